package task

import "golang.org/x/sys/unix"

// Stack is an alternate signal stack, stack_t of sigaltstack(2).
type Stack struct {
	Base  uint64
	Flags uint32
	Size  uint64
}

// Flags of a Stack.
const (
	SsOnstack    = 1
	SsDisable    = 2
	SsAutodisarm = 1 << 31

	minStackSize = 2048 // MINSIGSTKSZ
	// StackSize is the size of stack_t in bytes.
	StackSize = 24
)

// Encode stores a stack_t in b.
func (s Stack) Encode(b []byte) {
	le.PutUint64(b[0:], s.Base)
	le.PutUint32(b[8:], s.Flags)
	le.PutUint32(b[12:], 0)
	le.PutUint64(b[16:], s.Size)
}

// DecodeStack reads a stack_t.
func DecodeStack(b []byte) Stack {
	return Stack{Base: le.Uint64(b[0:]), Flags: le.Uint32(b[8:]), Size: le.Uint64(b[16:])}
}

func (s Stack) enabled() bool { return s.Size != 0 }

// covers tells whether sp lies in the stack. The end counts, the start doesn't: stacks grow down.
func (s Stack) covers(sp uint64) bool { return sp > s.Base && sp-s.Base <= s.Size }

// contains tells whether a thread at sp runs on the stack. One that disarms itself can't tell.
func (s Stack) contains(sp uint64) bool { return s.Flags&SsAutodisarm == 0 && s.covers(sp) }

// AltStack returns the alternate stack; SsOnstack is set if the thread runs on it.
func (t *Thread) AltStack() Stack {
	s := t.altStack
	s.Flags &= SsAutodisarm
	switch {
	case !s.enabled():
		s.Flags |= SsDisable
	case s.contains(t.Regs.SP):
		s.Flags |= SsOnstack
	}
	return s
}

// SetAltStack changes the alternate stack. Errors: unix.EPERM while the thread runs on it, unix.EINVAL for flags,
// unix.ENOMEM for less than 2048 bytes.
func (t *Thread) SetAltStack(s Stack) error {
	mode := s.Flags &^ SsAutodisarm
	switch {
	case t.altStack.contains(t.Regs.SP):
		return unix.EPERM
	case mode != SsDisable && mode != SsOnstack && mode != 0:
		return unix.EINVAL
	case mode == SsDisable:
		s.Base, s.Size = 0, 0
	case s.Size < minStackSize:
		return unix.ENOMEM
	}
	t.altStack = s
	return nil
}
