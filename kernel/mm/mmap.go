package mm

import (
	"math"

	"golang.org/x/sys/unix"
)

// Mapping says what Mmap shall map, in the terms of mmap(2).
type Mapping struct {
	Addr, Length uint64
	Prot         int     // PROT_READ, PROT_WRITE, PROT_EXEC
	Flags        int     // MAP_PRIVATE or MAP_SHARED, MAP_FIXED, …; MAP_ANONYMOUS isn't looked at
	Backing      Backing // the file; nil: anonymous memory
	Offset       uint64  // in the file, a multiple of PageSize
	Name         string  // path of the file
	MayWrite     bool    // the file is open for writing: what is mapped shared can be made writable
}

// Mmap maps memory as mmap(2) does, and returns its address. Errors are those of mmap(2) that don't
// concern the descriptor.
//
// A file whose Backing is no SharedBacking can't be mapped shared and writable: ENODEV.
//
// DEVIATION: MAP_GROWSDOWN areas don't grow.
func (s *Space) Mmap(m Mapping) (uint64, error) {
	var v *View
	var granted Access
	if m.Backing != nil && m.check() == nil && m.checkType() == nil {
		var err error
		if v, granted, err = s.attach(&m); err != nil {
			return 0, err
		}
	} else if m.Backing == nil && m.Flags&unix.MAP_TYPE == unix.MAP_SHARED {
		v, granted, m.Offset = s.attachAnonymous(pageUp(m.Length)), SharedWrite, 0
	}
	addr, populate, err := s.mmap(m, v, granted)
	if err != nil && v != nil {
		v.detachUnused()
	}
	if err == nil && populate {
		// mmap(2): that not everything could be filled is no error.
		s.populate(addr, addr+pageUp(m.Length), m.Prot&unix.PROT_WRITE != 0)
	}
	return addr, err
}

// mmap is Mmap with the file attached, without filling pages; populate tells whether to fill them.
func (s *Space) mmap(m Mapping, v *View, granted Access) (addr uint64, populate bool, err error) {
	if err := m.check(); err != nil {
		return 0, false, err
	}
	length := pageUp(m.Length)
	fixed := m.Flags&(unix.MAP_FIXED|unix.MAP_FIXED_NOREPLACE) != 0

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.top == nil || len(s.areas) > s.limits.Areas {
		return 0, false, unix.ENOMEM
	}
	addr = m.Addr
	if !fixed {
		if addr, err = s.place(m.Addr, length, m.Flags&unix.MAP_32BIT != 0); err != nil {
			return 0, false, err
		}
	} else if err := s.checkFixed(m, length); err != nil {
		return 0, false, err
	}
	if err := m.checkType(); err != nil {
		return 0, false, err
	}
	if err := s.checkLimits(addr, length, &m); err != nil {
		return 0, false, err
	}
	if fixed {
		s.unmap(addr, addr+length)
		s.flush()
	}
	s.insert(m.area(addr, length, v, granted))
	populate = s.lockNew || m.Flags&unix.MAP_LOCKED != 0 ||
		m.Flags&(unix.MAP_POPULATE|unix.MAP_NONBLOCK) == unix.MAP_POPULATE
	return addr, populate && m.Prot != unix.PROT_NONE, nil
}

// check does the checks that need no look at the space, in Linux's order.
func (m *Mapping) check() error {
	switch {
	case !aligned(m.Offset) || m.Length == 0:
		return unix.EINVAL
	case pageUp(m.Length) == 0:
		return unix.ENOMEM
	case m.Backing != nil && (m.Offset > math.MaxInt64 || pageUp(m.Length) > math.MaxInt64-m.Offset):
		return unix.EOVERFLOW
	case m.Flags&unix.MAP_HUGETLB != 0:
		return unix.ENOMEM // there are no huge pages in the pool
	}
	return nil
}

// checkType checks the type of the mapping. Linux does this after the address has been found.
func (m *Mapping) checkType() error {
	kind := m.Flags & unix.MAP_TYPE
	if m.Backing == nil {
		switch {
		case kind == unix.MAP_SHARED && m.Flags&unix.MAP_GROWSDOWN == 0, kind == unix.MAP_PRIVATE:
			return nil
		}
		return unix.EINVAL
	}
	switch kind {
	case unix.MAP_SHARED, unix.MAP_SHARED_VALIDATE:
		// MAP_SYNC needs persistent memory; other unknown flags are MAP_SHARED_VALIDATE's very purpose.
		if kind == unix.MAP_SHARED_VALIDATE && m.Flags&^knownFlags != 0 {
			return unix.EOPNOTSUPP
		}
		if m.Prot&unix.PROT_WRITE != 0 {
			if _, ok := m.Backing.(SharedBacking); !ok {
				return unix.ENODEV
			}
			if !m.MayWrite {
				return unix.EACCES
			}
		}
	case unix.MAP_PRIVATE:
		if m.Flags&unix.MAP_GROWSDOWN != 0 {
			return unix.EINVAL
		}
	default:
		return unix.EINVAL
	}
	return nil
}

// knownFlags are the flags that MAP_SHARED_VALIDATE accepts for all files (LEGACY_MAP_MASK).
const knownFlags = unix.MAP_SHARED_VALIDATE | unix.MAP_FIXED | unix.MAP_FIXED_NOREPLACE | unix.MAP_ANONYMOUS |
	unix.MAP_DENYWRITE | unix.MAP_EXECUTABLE | unix.MAP_GROWSDOWN | unix.MAP_LOCKED | unix.MAP_NORESERVE |
	unix.MAP_POPULATE | unix.MAP_NONBLOCK | unix.MAP_STACK | unix.MAP_32BIT

// access returns what the mapping may do to its file.
func (m *Mapping) access() Access {
	switch {
	case m.Flags&unix.MAP_TYPE == unix.MAP_PRIVATE:
		return Private
	case !m.MayWrite:
		return SharedRead
	case m.Prot&unix.PROT_WRITE == 0:
		return SharedMayWrite
	}
	return SharedWrite
}

// area returns the area of the mapping at addr, of the file v if it isn't nil.
func (m *Mapping) area(addr, length uint64, v *View, granted Access) area {
	a := area{start: addr, end: addr + length, prot: uint8(m.Prot & protMask)}
	if m.Flags&unix.MAP_TYPE != unix.MAP_PRIVATE {
		a.flags |= areaShared
	}
	if v != nil {
		a.src, a.off = v, int64(m.Offset)
		if granted >= SharedMayWrite {
			a.flags |= areaMayWrite
		}
	}
	return a
}

// checkFixed checks the address of a mapping that goes to m.Addr and nowhere else.
func (s *Space) checkFixed(m Mapping, length uint64) error {
	switch {
	case length > TaskEnd || m.Addr > TaskEnd-length:
		return unix.ENOMEM
	case !aligned(m.Addr):
		return unix.EINVAL
	case m.Addr < MinAddr:
		return unix.EPERM
	}
	if m.Flags&unix.MAP_FIXED_NOREPLACE != 0 {
		if i, j := s.areas.overlapping(m.Addr, m.Addr+length); i < j {
			return unix.EEXIST
		}
	}
	return nil
}

// checkLimits tells whether the limits allow to map [addr, addr+length), over what may be there.
func (s *Space) checkLimits(addr, length uint64, m *Mapping) error {
	if s.limits.Size != 0 && s.size-s.areas.bytesIn(addr, addr+length)+length > s.limits.Size {
		return unix.ENOMEM
	}
	private := m.Flags&unix.MAP_TYPE == unix.MAP_PRIVATE && m.Prot&unix.PROT_WRITE != 0
	if private && m.Flags&unix.MAP_NORESERVE == 0 && s.overCommit(length) {
		return unix.ENOMEM
	}
	if !s.roomToSplit(addr, addr+length) {
		return unix.ENOMEM
	}
	return nil
}

// overCommit tells whether length bytes of private writable memory are more than the machine could ever
// give, the heuristic of vm.overcommit_memory=0.
func (s *Space) overCommit(length uint64) bool {
	return s.limits.Commit != 0 && length > s.limits.Commit
}

// roomToSplit tells whether the limit on areas lets the areas be split in two at lo and hi. Where nothing is split it always
// does: a program at its limit can give areas back.
func (s *Space) roomToSplit(lo, hi uint64) bool {
	n := len(s.areas)
	if s.areas.splits(lo) {
		n++
	}
	if s.areas.splits(hi) {
		n++
	}
	return n == len(s.areas) || n <= s.limits.Areas
}

// place chooses the address of a mapping: the hint if it is free, or else the highest gap below
// the base of the mappings.
func (s *Space) place(hint, length uint64, low bool) (uint64, error) {
	if length > TaskEnd {
		return 0, unix.ENOMEM
	}
	if hint = pageDown(hint); hint != 0 {
		hint = max(hint, MinAddr)
		if hint <= TaskEnd-length {
			if i, j := s.areas.overlapping(hint, hint+length); i == j {
				return hint, nil
			}
		}
	}
	if low {
		// MAP_32BIT: find_start_end of arch/x86/kernel/sys_x86_64.c.
		if addr, ok := s.areas.gapAbove(0x40000000, 0x80000000, length); ok {
			return addr, nil
		}
		return 0, unix.ENOMEM
	}
	if addr, ok := s.areas.gapBelow(MinAddr, s.layout.MmapBase, length); ok {
		return addr, nil
	}
	// As Linux does when the space below is used up: upwards from TASK_UNMAPPED_BASE.
	if addr, ok := s.areas.gapAbove(pageUp(TaskEnd/3), TaskEnd-s.layout.StackSize-stackGuardGap, length); ok {
		return addr, nil
	}
	return 0, unix.ENOMEM
}

// insert adds an area where nothing is mapped. s.mu is held for writing.
func (s *Space) insert(a area) {
	s.size += a.len()
	if a.flags&areaShared != 0 {
		s.sharing.Store(true)
	}
	if a.src != nil {
		a.src.size += a.len()
	}
	s.areas.insert(a)
}

// remove takes [lo, hi) out of the list of areas. s.mu is held for writing; s.flush must follow when no entry for it is
// left in the page tables.
func (s *Space) remove(lo, hi uint64) {
	i, j := s.areas.overlapping(lo, hi)
	for ; i < j; i++ {
		a := &s.areas[i]
		n := min(a.end, hi) - max(a.start, lo)
		s.size -= n
		if v := a.src; v != nil {
			if v.size -= n; v.size == 0 && v.shared != nil {
				s.gone = append(s.gone, v)
			}
		}
	}
	s.areas.remove(lo, hi)
}

// unmap takes the areas in [lo, hi) away and their pages out of the tables. s.mu is held for
// writing; s.flush must follow.
func (s *Space) unmap(lo, hi uint64) {
	if i, j := s.areas.overlapping(lo, hi); i < j {
		s.remove(lo, hi)
		s.clear(lo, hi)
	}
}

// Munmap unmaps [addr, addr+length), munmap(2).
func (s *Space) Munmap(addr, length uint64) error {
	if !aligned(addr) || addr > TaskEnd || length > TaskEnd-addr || length == 0 {
		return unix.EINVAL
	}
	end := addr + pageUp(length)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.munmap(addr, end)
}

// munmap is Munmap with s.mu held and the arguments checked.
func (s *Space) munmap(addr, end uint64) error {
	i, j := s.areas.overlapping(addr, end)
	if i == j {
		return nil
	}
	if !s.roomToSplit(addr, end) {
		return unix.ENOMEM
	}
	lo, hi := max(addr, s.areas[i].start), min(end, s.areas[j-1].end)
	s.unmap(lo, hi)
	s.prune(lo, hi)
	s.flush()
	return nil
}

// populate fills the pages of [lo, hi), for writing if write. It stops at the first page that can't be filled.
func (s *Space) populate(lo, hi uint64, write bool) Outcome {
	const chunk = 512 * PageSize // the lock is given up in between
	for lo < hi {
		end := min(hi, lo+chunk)
		s.mu.RLock()
		for ; lo < end; lo += PageSize {
			if _, outcome := s.page(lo, write); outcome != Handled {
				s.runlock()
				return outcome
			}
		}
		s.runlock()
	}
	return Handled
}
