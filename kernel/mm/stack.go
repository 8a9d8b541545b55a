package mm

import "golang.org/x/sys/unix"

// MapStack maps the main thread's stack where the layout has it. Below it stays unmapped what
// Linux keeps free too.
//
// DEVIATION: the stack has its full size from the start, instead of growing on faults below it. That costs
// addresses only.
func (s *Space) MapStack(exec bool) error {
	a := area{
		start: s.layout.StackTop - s.layout.StackSize,
		end:   s.layout.StackTop,
		prot:  unix.PROT_READ | unix.PROT_WRITE,
		flags: areaStack,
	}
	if exec {
		a.prot |= unix.PROT_EXEC
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, j := s.areas.overlapping(a.start-stackGuardGap, a.end); i < j {
		return unix.EEXIST
	}
	if s.top == nil || s.limits.Size != 0 && s.size+a.len() > s.limits.Size {
		return unix.ENOMEM
	}
	s.insert(a)
	return nil
}
