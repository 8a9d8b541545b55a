package mm

import "golang.org/x/sys/unix"

// Fork returns a copy of the space for a new process, fork(2). The pages of private areas are shared by both until one of
// them writes, shared areas stay shared. The error is unix.ENOMEM; the space is then as before.
//
// Pages of files and of zeros are not given to the copy: it gets them by page faults, as with Linux. madvise(2) can keep an
// area from the copy (MADV_DONTFORK) or its contents (MADV_WIPEONFORK).
func (s *Space) Fork() (*Space, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.top == nil {
		return nil, unix.ENOMEM
	}
	child, err := s.Sibling(s.limits)
	if err != nil {
		return nil, unix.ENOMEM
	}
	// Files may Drop from its Views from now on: they wait until the copy is there.
	child.mu.Lock()
	child.layout, child.brkStart, child.brk = s.layout, s.brkStart, s.brk
	child.areas = make(areaList, 0, len(s.areas))
	views := make(map[*View]*View)
	copied := true
	for i := range s.areas {
		if a := s.areas[i]; a.flags&areaDontFork == 0 {
			a.src = a.src.forked(child, views)
			child.insert(a)
			if copied && a.flags&(areaShared|areaWipeOnFork) == 0 {
				copied = s.sharePages(child, a.start, a.end)
			}
		}
	}
	child.mu.Unlock()
	s.flush() // what can't be written any more without a fault
	if !copied {
		child.Release()
		return nil, unix.ENOMEM
	}
	return child, nil
}

// forked returns the View that the areas of v have in a copy of its space. views are those that have been made so far.
func (v *View) forked(child *Space, views map[*View]*View) *View {
	if v == nil {
		return nil
	}
	c := views[v]
	if c == nil {
		c = &View{Backing: v.Backing, shared: v.shared, space: child, name: v.name}
		if v.shared != nil {
			v.shared.Inherit(v, c)
		}
		views[v] = c
	}
	return c
}

// sharePages has the pages of [lo, hi) that belong to s mapped by child too, neither of them writable. It returns false if there
// is no memory for the page tables. Both locks are held for writing; s.flush must follow.
func (s *Space) sharePages(child *Space, lo, hi uint64) bool {
	var pages int64
	defer func() { child.resident.Add(pages) }()
	for {
		t, start, end := s.nextLeaf(lo, hi)
		if t == nil {
			return true
		}
		var to *table
		for va := start; va < end; va += PageSize {
			e := t.load(va >> shiftPage)
			if e == 0 || e&pteBorrowed != 0 {
				continue
			}
			if to == nil {
				if to = child.makeLeaf(va); to == nil {
					return false
				}
			}
			if e&pteCounted != 0 {
				s.shares.another(e.frame())
			} else {
				s.shares.begin(e.frame())
				if e&pteWrite != 0 {
					s.unmapped.touch(va)
				}
				e = e&^(pteWrite|pteDirty) | pteCounted
				t.store(va>>shiftPage, e)
			}
			to.store(va>>shiftPage, e)
			pages++
		}
		lo = end
	}
}
