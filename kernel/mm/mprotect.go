package mm

import "golang.org/x/sys/unix"

// protMask are the access bits of prot. PROT_SEM has no meaning on x86 and is accepted.
const (
	protMask = unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC
	protSem  = 8
)

// Mprotect changes the access rights of [addr, addr+length), mprotect(2). Areas before the first
// address that isn't mapped are changed even if it returns ENOMEM.
func (s *Space) Mprotect(addr, length uint64, prot int) error {
	const grows = unix.PROT_GROWSDOWN | unix.PROT_GROWSUP
	if prot&grows == grows || !aligned(addr) {
		return unix.EINVAL
	}
	if length == 0 {
		return nil
	}
	end := addr + pageUp(length)
	if end <= addr {
		return unix.ENOMEM
	}
	if prot&^(protMask|protSem|grows) != 0 {
		return unix.EINVAL
	}
	if prot&grows != 0 {
		return unix.EINVAL // no area grows
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.mprotect(addr, end, prot&protMask)
	s.flush()
	return err
}

// mprotect is Mprotect with s.mu held; s.flush must follow.
func (s *Space) mprotect(addr, end uint64, prot int) error {
	for addr < end {
		i := s.areas.search(addr)
		if i == len(s.areas) || s.areas[i].start > addr {
			return unix.ENOMEM
		}
		a := &s.areas[i]
		stop := min(end, a.end)
		if int(a.prot) != prot {
			if prot&unix.PROT_WRITE != 0 {
				if a.src != nil && a.flags&(areaShared|areaMayWrite) == areaShared {
					return unix.EACCES
				}
				if a.flags&areaShared == 0 && a.prot&unix.PROT_WRITE == 0 && s.overCommit(stop-addr) {
					return unix.ENOMEM
				}
			}
			if !s.roomToSplit(addr, stop) {
				return unix.ENOMEM
			}
			s.setProt(addr, stop, prot)
		}
		addr = stop
	}
	return nil
}

// setProt gives [lo, hi), which lies in one area, the access rights prot.
func (s *Space) setProt(lo, hi uint64, prot int) {
	s.areas.cut(lo)
	s.areas.cut(hi)
	i := s.areas.search(lo)
	s.areas[i].prot = uint8(prot)
	s.areas.join(i, i+1)
	for {
		t, start, end := s.nextLeaf(lo, hi)
		if t == nil {
			return
		}
		for va := start; va < end; va += PageSize {
			old := t.load(va >> shiftPage)
			if old == 0 {
				continue
			}
			e := old.protect(prot)
			if e == old {
				continue
			}
			t.store(va>>shiftPage, e)
			// More rights need no flush: a fault from an old translation is Handled.
			const rights = ptePresent | pteWrite
			if old&rights&^e != 0 || old&ptePresent != 0 && e&^old&pteNoExec != 0 {
				s.unmapped.touch(va)
			}
		}
		lo = end
	}
}
