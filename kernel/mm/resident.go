package mm

import "golang.org/x/sys/unix"

// Msync does the checks of msync(2). There is nothing to write back: a shared mapping has the frames of the file itself.
func (s *Space) Msync(addr, length uint64, flags int) error {
	const known = unix.MS_ASYNC | unix.MS_INVALIDATE | unix.MS_SYNC
	if flags&^known != 0 || !aligned(addr) || flags&unix.MS_ASYNC != 0 && flags&unix.MS_SYNC != 0 {
		return unix.EINVAL
	}
	end := addr + pageUp(length)
	if end < addr {
		return unix.ENOMEM
	}
	return s.checkMapped(addr, end)
}

// checkMapped returns ENOMEM unless all of [addr, end) is mapped.
func (s *Space) checkMapped(addr, end uint64) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.areas.covered(addr, end) {
		return unix.ENOMEM
	}
	return nil
}

// Mincore stores into user memory at vec a byte for each page of [addr, addr+length), 1 if it is
// in memory, mincore(2).
func (s *Space) Mincore(addr, length, vec uint64) error {
	if !aligned(addr) {
		return unix.EINVAL
	}
	if addr > TaskEnd || length > TaskEnd-addr {
		return unix.ENOMEM
	}
	var bytes [512]byte
	for end := addr + pageUp(length); addr < end; {
		n := min(uint64(len(bytes)), (end-addr)/PageSize)
		if err := s.mincore(bytes[:n], addr); err != nil {
			return err
		}
		if err := s.CopyOut(vec, bytes[:n]); err != nil {
			return err
		}
		addr += n * PageSize
		vec += n
	}
	return nil
}

// mincore tells which pages from addr on are in memory.
func (s *Space) mincore(in []byte, addr uint64) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.areas.covered(addr, addr+uint64(len(in))*PageSize) {
		return unix.ENOMEM
	}
	for i := range in {
		va := addr + uint64(i)*PageSize
		in[i] = 0
		if t := s.leaf(va); t != nil && t.load(va>>shiftPage) != 0 {
			in[i] = 1
		} else if a := s.areas.find(va); a.src != nil {
			if _, ok := a.src.Frame(a.offset(va)); ok {
				in[i] = 1
			}
		}
	}
	return nil
}

// Mlock locks [addr, addr+length) in memory, mlock2(2). Nothing is ever paged out, so that comes
// down to filling the pages, unless onFault says that this isn't wanted.
func (s *Space) Mlock(addr, length uint64, onFault bool) error {
	lo, hi, err := lockRange(addr, length)
	if err != nil || lo == hi {
		return err
	}
	if err := s.checkMapped(lo, hi); err != nil {
		return err
	}
	if onFault {
		return nil
	}
	return s.fill(lo, hi)
}

// Munlock undoes Mlock: it checks that the range is mapped.
func (s *Space) Munlock(addr, length uint64) error {
	lo, hi, err := lockRange(addr, length)
	if err != nil || lo == hi {
		return err
	}
	return s.checkMapped(lo, hi)
}

// lockRange widens the range to whole pages, as mlock(2) does.
func lockRange(addr, length uint64) (lo, hi uint64, err error) {
	lo = pageDown(addr)
	hi = lo + pageUp(length+addr-lo)
	if hi < lo {
		return 0, 0, unix.EINVAL
	}
	return lo, hi, nil
}

// Mlockall locks present and future mappings, mlockall(2).
func (s *Space) Mlockall(flags int) error {
	const known = unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT
	if flags&^known != 0 || flags&(unix.MCL_CURRENT|unix.MCL_FUTURE) == 0 {
		return unix.EINVAL
	}
	onFault := flags&unix.MCL_ONFAULT != 0
	s.mu.Lock()
	s.lockNew = flags&unix.MCL_FUTURE != 0 && !onFault
	s.mu.Unlock()
	if flags&unix.MCL_CURRENT != 0 && !onFault {
		_ = s.fill(0, TaskEnd) // mlockall(2): what can't be filled is no error
	}
	return nil
}

// Munlockall undoes Mlockall.
func (s *Space) Munlockall() {
	s.mu.Lock()
	s.lockNew = false
	s.mu.Unlock()
}

// fill makes the pages of all areas in [lo, hi) present, those that can't be accessed aside.
func (s *Space) fill(lo, hi uint64) error {
	for lo < hi {
		s.mu.RLock()
		i := s.areas.search(lo)
		if i == len(s.areas) || s.areas[i].start >= hi {
			s.mu.RUnlock()
			return nil
		}
		a := s.areas[i]
		s.mu.RUnlock()
		start, end := max(lo, a.start), min(hi, a.end)
		if a.prot != unix.PROT_NONE {
			if s.populate(start, end, a.prot&unix.PROT_WRITE != 0) != Handled {
				return unix.ENOMEM
			}
		}
		lo = end
	}
	return nil
}

// Private returns how many pages would come free with the space: those that neither a file nor another space has, and page tables.
// Another one that gives its own up at the same time may make it more.
func (s *Space) Private() (pages uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.top == nil {
		return 0
	}
	pages = s.soleShared()
	for lo := uint64(0); ; {
		t, start, end := s.nextLeaf(lo, lowerHalf)
		if t == nil {
			return pages
		}
		pages++
		for va := start; va < end; va += PageSize {
			e := t.load(va >> shiftPage)
			if e != 0 && e&pteBorrowed == 0 && (e&pteCounted == 0 || s.shares.sole(e.frame())) {
				pages++
			}
		}
		lo = end
	}
}

// soleShared returns how many pages MAP_SHARED areas without a file have that no other space maps. s.mu is held.
func (s *Space) soleShared() (pages uint64) {
	counted := make(map[*anonymous]bool)
	for i := range s.areas {
		v := s.areas[i].src
		if v == nil {
			continue
		}
		if m, ok := v.Backing.(*anonymous); ok && !counted[m] {
			counted[m] = true
			pages += m.sole()
		}
	}
	return pages
}
