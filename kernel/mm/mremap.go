package mm

import (
	"math"

	"golang.org/x/sys/unix"
)

// Mremap changes the size or the place of a mapping, mremap(2), and returns its address.
func (s *Space) Mremap(addr, oldLength, newLength uint64, flags int, newAddr uint64) (uint64, error) {
	oldLength, newLength = pageUp(oldLength), pageUp(newLength)
	toGiven := flags&(unix.MREMAP_FIXED|unix.MREMAP_DONTUNMAP) != 0
	const known = unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED | unix.MREMAP_DONTUNMAP
	// In the order of Linux's check_mremap_params.
	switch {
	case flags&^known != 0, !aligned(addr), newLength == 0, newLength > TaskEnd:
		return 0, unix.EINVAL
	case toGiven && (newAddr > TaskEnd-newLength || !aligned(newAddr) || flags&unix.MREMAP_MAYMOVE == 0),
		flags&unix.MREMAP_DONTUNMAP != 0 && oldLength != newLength,
		toGiven && addr+oldLength > newAddr && newAddr+newLength > addr:
		return 0, unix.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	// The destination is unmapped and the source split; Linux wants the same room.
	if toGiven && len(s.areas)+2 >= s.limits.Areas-3 {
		return 0, unix.ENOMEM
	}
	a := s.areas.find(addr)
	if a == nil {
		return 0, unix.EFAULT
	}
	if toGiven {
		return s.mremapTo(a, addr, oldLength, newLength, flags, newAddr)
	}
	if oldLength >= newLength {
		if oldLength > newLength {
			if oldLength > TaskEnd-addr {
				return 0, unix.EINVAL
			}
			if err := s.munmap(addr+newLength, addr+oldLength); err != nil {
				return 0, err
			}
		}
		return addr, nil
	}
	if err := s.checkGrow(a, addr, oldLength, newLength); err != nil {
		return 0, err
	}
	if addr+oldLength == a.end && newLength <= TaskEnd-addr {
		if i, j := s.areas.overlapping(a.end, addr+newLength); i == j {
			s.grow(a, addr+newLength)
			return addr, nil
		}
	}
	if flags&unix.MREMAP_MAYMOVE == 0 {
		return 0, unix.ENOMEM
	}
	to, err := s.place(0, newLength, false)
	if err != nil {
		return 0, err
	}
	return to, s.moveArea(addr, oldLength, to, newLength, false)
}

// checkGrow does the checks of check_prep_vma (mm/mremap.c): whether [addr, addr+oldLength) of area a can be
// resized to newLength at all.
func (s *Space) checkGrow(a *area, addr, oldLength, newLength uint64) error {
	switch {
	case oldLength == 0 && (a.src == nil || a.flags&areaShared == 0):
		return unix.EINVAL
	case oldLength > a.end-addr:
		return unix.EFAULT
	case newLength <= oldLength:
		return nil
	case a.src != nil && newLength > uint64(math.MaxInt64-a.offset(addr)):
		return unix.EINVAL
	case s.limits.Size != 0 && s.size+newLength-oldLength > s.limits.Size:
		return unix.ENOMEM
	case a.prot&unix.PROT_WRITE != 0 && a.flags&areaShared == 0 && s.overCommit(newLength-oldLength):
		return unix.ENOMEM
	}
	return nil
}

// grow makes area a longer, to end, where nothing is mapped.
func (s *Space) grow(a *area, end uint64) {
	more := *a
	more.off = a.offset(a.end)
	more.start, more.end = a.end, end
	s.insert(more)
}

// mremapTo is Mremap of a part of area a with MREMAP_FIXED or MREMAP_DONTUNMAP, the arguments checked.
func (s *Space) mremapTo(a *area, addr, oldLength, newLength uint64, flags int, to uint64) (uint64, error) {
	if err := s.checkGrow(a, addr, oldLength, newLength); err != nil {
		return 0, err
	}
	keep := flags&unix.MREMAP_DONTUNMAP != 0
	if keep && s.limits.Size != 0 && s.size+newLength > s.limits.Size {
		return 0, unix.ENOMEM
	}
	if flags&unix.MREMAP_FIXED != 0 {
		if to < MinAddr {
			return 0, unix.EPERM
		}
		if err := s.munmap(to, to+newLength); err != nil {
			return 0, err
		}
	} else {
		var err error
		if to, err = s.place(to, newLength, false); err != nil {
			return 0, err
		}
	}
	if oldLength > newLength {
		if err := s.munmap(addr+newLength, addr+oldLength); err != nil {
			return 0, err
		}
		oldLength = newLength
	}
	return to, s.moveArea(addr, oldLength, to, newLength, keep)
}

// moveArea moves [addr, addr+length), a part of one area, to the free range [to, to+newLength) with
// its pages. keep leaves the old addresses mapped, without pages.
func (s *Space) moveArea(addr, length, to, newLength uint64, keep bool) error {
	if !s.roomToSplit(addr, addr+length) {
		return unix.ENOMEM
	}
	if !s.makeTables(addr, length, to) {
		s.prune(to, to+newLength)
		return unix.ENOMEM
	}
	s.movePages(addr, length, to)
	moved := *s.areas.find(addr)
	moved.off = moved.offset(addr)
	moved.start, moved.end = to, to+newLength
	moved.flags &^= areaStack
	s.insert(moved)
	if !keep {
		s.remove(addr, addr+length)
		s.prune(addr, addr+length)
	}
	return nil
}

// makeTables makes the page tables that the pages of [addr, addr+length) need at to.
func (s *Space) makeTables(addr, length, to uint64) bool {
	var made uint64 // addresses below it have their table
	for lo, hi := addr, addr+length; ; {
		t, start, end := s.nextLeaf(lo, hi)
		if t == nil {
			return true
		}
		for va := start; va < end; va += PageSize {
			dest := va - addr + to
			if t.load(va>>shiftPage) == 0 || dest < made {
				continue
			}
			if s.makeLeaf(dest) == nil {
				return false
			}
			made = (dest>>shiftPD + 1) << shiftPD
		}
		lo = end
	}
}

// movePages moves the entries of [addr, addr+length) to the tables for to. Translations of the old
// addresses may be used until the flush: the frames stay the same.
func (s *Space) movePages(addr, length, to uint64) {
	for lo, hi := addr, addr+length; ; {
		t, start, end := s.nextLeaf(lo, hi)
		if t == nil {
			return
		}
		for va := start; va < end; va += PageSize {
			e := t.load(va >> shiftPage)
			if e == 0 {
				continue
			}
			t.store(va>>shiftPage, 0)
			if e&ptePresent != 0 {
				s.unmapped.touch(va)
			}
			dest := va - addr + to
			s.leaf(dest).store(dest>>shiftPage, e)
		}
		lo = end
	}
}
