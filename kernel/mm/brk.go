package mm

import "golang.org/x/sys/unix"

// SetBrk sets where the heap begins; the ELF loader calls it with the end of the program.
func (s *Space) SetBrk(start uint64) {
	s.mu.Lock()
	s.brkStart, s.brk = pageUp(start), pageUp(start)
	s.mu.Unlock()
}

// Brk moves the program break to addr and returns it. If that can't be done it returns the
// present one, which is all the error reporting that the system call has, brk(2).
func (s *Space) Brk(addr uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if addr < s.brkStart || addr > TaskEnd {
		return s.brk
	}
	have, want := pageUp(s.brk), pageUp(addr)
	switch {
	case want < have:
		if s.munmap(want, have) != nil {
			return s.brk
		}
	case want > have:
		heap := area{start: have, end: want, prot: unix.PROT_READ | unix.PROT_WRITE}
		if !s.roomForHeap(have, want) {
			return s.brk
		}
		s.insert(heap)
	}
	s.brk = addr
	return addr
}

// roomForHeap tells whether the heap may grow over [lo, hi), and leaves a gap above it as Linux does for stacks.
func (s *Space) roomForHeap(lo, hi uint64) bool {
	if s.top == nil || len(s.areas) >= s.limits.Areas || s.overCommit(hi-lo) ||
		s.limits.Size != 0 && s.size+hi-lo > s.limits.Size {
		return false
	}
	i, j := s.areas.overlapping(lo, min(hi+stackGuardGap, TaskEnd))
	return i == j || s.areas[i].flags&areaStack == 0 && s.areas[i].start >= hi
}
