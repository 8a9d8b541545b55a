package task

import "golang.org/x/sys/unix"

// The encoded operation of FUTEX_WAKE_OP, futex(2):
//
//	 31   28 27   24 23         12 11          0
//	+-------+-------+-------------+-------------+
//	|  op   |  cmp  |    oparg    |   cmparg    |   op bit 3: oparg is a shift count
//	+-------+-------+-------------+-------------+
const (
	wakeOpSet = 0
	wakeOpAdd = 1
	wakeOpOr  = 2
	wakeOpAnd = 3 // and with the complement
	wakeOpXor = 4

	wakeOpShift = 8

	wakeCmpEQ = 0
	wakeCmpNE = 1
	wakeCmpLT = 2
	wakeCmpLE = 3
	wakeCmpGT = 4
	wakeCmpGE = 5
)

// signed12 extends the sign of a 12-bit number.
func signed12(v uint32) int32 { return int32(v<<20) >> 20 }

// wakeOpApply computes the new value of the word; unix.ENOSYS for an unknown operation.
func wakeOpApply(op, old uint32) (uint32, error) {
	arg := uint32(signed12(op >> 12))
	if op>>28&wakeOpShift != 0 {
		arg = 1 << (arg & 31)
	}
	switch op >> 28 & 7 {
	case wakeOpSet:
		return arg, nil
	case wakeOpAdd:
		return old + arg, nil
	case wakeOpOr:
		return old | arg, nil
	case wakeOpAnd:
		return old &^ arg, nil
	case wakeOpXor:
		return old ^ arg, nil
	}
	return 0, unix.ENOSYS
}

// wakeOpCompare compares the old value of the word; unix.ENOSYS for an unknown comparison.
func wakeOpCompare(op, old uint32) (bool, error) {
	v, arg := int32(old), signed12(op)
	switch op >> 24 & 15 {
	case wakeCmpEQ:
		return v == arg, nil
	case wakeCmpNE:
		return v != arg, nil
	case wakeCmpLT:
		return v < arg, nil
	case wakeCmpLE:
		return v <= arg, nil
	case wakeCmpGT:
		return v > arg, nil
	case wakeCmpGE:
		return v >= arg, nil
	}
	return false, unix.ENOSYS
}

// FutexWakeOp changes the word at addr2 as op says, wakes up to n waiters at addr, and up to n2 at addr2 if
// the old value passes op's comparison: FUTEX_WAKE_OP. It tells how many it has woken.
func (p *Process) FutexWakeOp(addr, addr2 uint64, n, n2 int, op uint32) (int, error) {
	if err := futexAddr(addr | addr2); err != nil {
		return 0, err
	}
	word, word2 := p.Space.Word(addr), p.Space.Word(addr2)
	b, b2, unlock := p.family.futexes.lockTwo(word, word2)
	defer unlock()
	var old uint32
	for {
		var err error
		if old, err = p.Space.LoadUint32(addr2); err != nil {
			return 0, err
		}
		v, err := wakeOpApply(op, old)
		if err != nil {
			return 0, err
		}
		swapped, err := p.Space.CompareAndSwapUint32(addr2, old, v)
		if err != nil {
			return 0, err
		}
		if swapped {
			break
		}
	}
	also, err := wakeOpCompare(op, old)
	if err != nil {
		return 0, err
	}
	woken := b.wake(word, n, futexAnyBits)
	if also {
		woken += b2.wake(word2, n2, futexAnyBits)
	}
	return woken, nil
}
