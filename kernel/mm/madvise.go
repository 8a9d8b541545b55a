package mm

import "golang.org/x/sys/unix"

// Madvise takes advice about [addr, addr+length), madvise(2). MADV_DONTNEED, MADV_FREE and
// MADV_REMOVE give memory back at once; most other advice is accepted and changes nothing.
func (s *Space) Madvise(addr, length uint64, advice int) error {
	if !knownAdvice(advice) || !aligned(addr) {
		return unix.EINVAL
	}
	end := addr + pageUp(length)
	if length != 0 && pageUp(length) == 0 || end < addr {
		return unix.EINVAL
	}
	if end == addr {
		return nil
	}
	switch advice {
	case unix.MADV_POPULATE_READ, unix.MADV_POPULATE_WRITE:
		return s.madvisePopulate(addr, end, advice == unix.MADV_POPULATE_WRITE)
	case unix.MADV_REMOVE:
		return s.madviseRemove(addr, end)
	case unix.MADV_DONTNEED, unix.MADV_DONTNEED_LOCKED, unix.MADV_FREE:
		return s.madviseFree(addr, end, advice)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch advice {
	case unix.MADV_DONTFORK:
		return s.madviseFlag(addr, end, areaDontFork, true)
	case unix.MADV_DOFORK:
		return s.madviseFlag(addr, end, areaDontFork, false)
	case unix.MADV_WIPEONFORK:
		return s.madviseFlag(addr, end, areaWipeOnFork, true)
	case unix.MADV_KEEPONFORK:
		return s.madviseFlag(addr, end, areaWipeOnFork, false)
	}
	if !s.areas.covered(addr, end) {
		return unix.ENOMEM
	}
	return nil
}

// madviseFlag gives the areas of [addr, end) a flag, or takes it away. As with madviseFree, unmapped parts are passed over.
func (s *Space) madviseFlag(addr, end uint64, flag areaFlags, on bool) error {
	covered := s.areas.covered(addr, end)
	for addr < end {
		i := s.areas.search(addr)
		if i == len(s.areas) || s.areas[i].start >= end {
			break
		}
		a := &s.areas[i]
		lo, hi := max(addr, a.start), min(end, a.end)
		if flag == areaWipeOnFork && on && a.src != nil {
			return unix.EINVAL
		}
		if (a.flags&flag != 0) != on {
			if !s.roomToSplit(lo, hi) {
				return unix.ENOMEM
			}
			s.areas.cut(lo)
			s.areas.cut(hi)
			i = s.areas.search(lo)
			s.areas[i].flags ^= flag
			s.areas.join(i, i+1)
		}
		addr = hi
	}
	if !covered {
		return unix.ENOMEM
	}
	return nil
}

// knownAdvice tells what a Linux without KSM, memory failure handling and guard regions knows.
// MADV_COLLAPSE is refused as by a Linux without transparent huge pages; MADV_HUGEPAGE is
// accepted nevertheless, as plain advice.
func knownAdvice(advice int) bool {
	switch advice {
	case unix.MADV_NORMAL, unix.MADV_RANDOM, unix.MADV_SEQUENTIAL, unix.MADV_WILLNEED, unix.MADV_DONTNEED,
		unix.MADV_FREE, unix.MADV_REMOVE, unix.MADV_DONTFORK, unix.MADV_DOFORK, unix.MADV_HUGEPAGE, unix.MADV_NOHUGEPAGE,
		unix.MADV_DONTDUMP, unix.MADV_DODUMP, unix.MADV_WIPEONFORK, unix.MADV_KEEPONFORK, unix.MADV_COLD, unix.MADV_PAGEOUT,
		unix.MADV_POPULATE_READ, unix.MADV_POPULATE_WRITE, unix.MADV_DONTNEED_LOCKED:
		return true
	}
	return false
}

// madviseFree takes the pages of [addr, end) away, where the kind of area allows it. Unmapped parts
// are passed over, and reported as ENOMEM at the end.
func (s *Space) madviseFree(addr, end uint64, advice int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	i, j := s.areas.overlapping(addr, end)
	for ; i < j; i++ {
		a := &s.areas[i]
		lo, hi := max(addr, a.start), min(end, a.end)
		if advice == unix.MADV_FREE && a.src != nil {
			return unix.EINVAL
		}
		s.clear(lo, hi) // DEVIATION: with MADV_FREE, too, at once and not when memory gets short
	}
	if !s.areas.covered(addr, end) {
		return unix.ENOMEM
	}
	return nil
}

// madviseRemove makes [addr, end) zero in what is mapped there, files too, and gives the memory back.
func (s *Space) madviseRemove(addr, end uint64) (err error) {
	for addr < end {
		s.mu.Lock()
		i := s.areas.search(addr)
		if i == len(s.areas) || s.areas[i].start >= end {
			s.mu.Unlock()
			return unix.ENOMEM
		}
		a := s.areas[i] // as it is now: a file is asked without the lock
		lo, hi := max(addr, a.start), min(end, a.end)
		if lo > addr {
			err = unix.ENOMEM
		}
		s.mu.Unlock()
		switch {
		case a.src == nil:
			return unix.EINVAL
		case a.flags&areaMayWrite == 0:
			return unix.EACCES
		}
		if err := a.src.shared.Punch(a.offset(lo), int64(hi-lo)); err != nil {
			return err
		}
		addr = hi
	}
	return err
}

// madvisePopulate fills the pages of [addr, end), area by area.
func (s *Space) madvisePopulate(addr, end uint64, write bool) error {
	need := uint8(unix.PROT_READ)
	if write {
		need = unix.PROT_WRITE
	}
	for addr < end {
		s.mu.RLock()
		a := s.areas.find(addr)
		if a == nil {
			s.mu.RUnlock()
			return unix.ENOMEM
		}
		stop, permitted := min(end, a.end), a.prot&need != 0
		s.mu.RUnlock()
		if !permitted {
			return unix.EINVAL
		}
		switch s.populate(addr, stop, write) {
		case Handled:
		case BusError:
			return unix.EFAULT
		default: // also if the area was changed meanwhile
			return unix.ENOMEM
		}
		addr = stop
	}
	return nil
}
