package task

// Robust futexes: locks that a thread holds when it ends are marked, and a waiter is woken, set_robust_list(2).
//
// struct robust_list_head, 64-bit:
//
//	+0   next             first entry; the last one points back at the head
//	+8   futex_offset     from an entry to its lock word, signed
//	+16  list_op_pending  an entry that is just being put in or taken out, or 0
const (
	// RobustHeadSize is the size of the head in bytes, the len argument of set_robust_list.
	RobustHeadSize = 24

	robustLimit     = 2048 // ROBUST_LIST_LIMIT: the list may be a loop
	futexWaiters    = 0x80000000
	futexOwnerDied  = 0x40000000
	futexTIDMask    = 0x3fffffff
	robustPIMutex   = 1 // bit of an entry's address: a PI futex
	robustEntryMask = ^uint64(robustPIMutex)
)

// SetRobustList notes where the thread's robust list is.
func (t *Thread) SetRobustList(head uint64) { t.robust = head }

// RobustList returns the address given to SetRobustList.
func (t *Thread) RobustList() uint64 { return t.robust }

// SetClearTID sets where 0 is stored and a futex waiter woken when the thread ends: set_tid_address(2).
func (t *Thread) SetClearTID(addr uint64) { t.clearTID = addr }

// releaseRobust marks the locks that the thread holds. The list is the program's: whatever doesn't make sense ends
// the walk.
func (t *Thread) releaseRobust() {
	if t.robust == 0 {
		return
	}
	var head [RobustHeadSize]byte
	if t.Process.Space.CopyIn(head[:], t.robust) != nil {
		return
	}
	entry, offset, busy := le.Uint64(head[0:]), le.Uint64(head[8:]), le.Uint64(head[16:])&robustEntryMask
	for n := 0; n < robustLimit && entry&robustEntryMask != t.robust; n++ {
		entry &= robustEntryMask
		var next [8]byte
		// Read the link first: the new owner of the lock may change it.
		err := t.Process.Space.CopyIn(next[:], entry)
		if entry != busy && !t.abandon(entry+offset, false) || err != nil {
			break
		}
		entry = le.Uint64(next[:])
	}
	if busy != 0 {
		t.abandon(busy+offset, true)
	}
}

// abandon marks the lock word at addr, if the thread owns it, and wakes a waiter. If it was busy with the lock and nobody owns
// that, it may have released it and not have come to wake a waiter. It returns false if there is no memory there.
func (t *Thread) abandon(addr uint64, busy bool) bool {
	p := t.Process
	if addr&3 != 0 {
		return false
	}
	for {
		v, err := p.Space.LoadUint32(addr)
		if err != nil {
			return false
		}
		owner := v & futexTIDMask
		if owner == 0 && busy {
			p.FutexWake(addr, 1, futexAnyBits)
		}
		if owner != uint32(t.TID) {
			return true
		}
		swapped, err := p.Space.CompareAndSwapUint32(addr, v, v&futexWaiters|futexOwnerDied)
		if err != nil {
			return false
		}
		if swapped {
			if v&futexWaiters != 0 {
				p.FutexWake(addr, 1, futexAnyBits)
			}
			return true
		}
	}
}
