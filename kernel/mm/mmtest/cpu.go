package mmtest

import "wick/kernel/mm"

// Bits of paging-structure entries [SDM3 Table 4-20].
const (
	present = 1 << 0
	write   = 1 << 1
	user    = 1 << 2
	noExec  = 1 << 63
)

func frame(entry uint64) mm.PhysAddr { return mm.PhysAddr(entry & 0x000ffffffffff000) }

// Access makes an access of ring 3 as a CPU would, and returns the page if no page fault comes of it. It
// uses and fills the TLB.
func (m *Machine) Access(r mm.PhysAddr, va uint64, forWrite, fetch bool) (*[mm.PageSize]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	page := va &^ (mm.PageSize - 1)
	tlb := m.roots[r]
	if c, ok := tlb[page]; ok && permits(c.entry, forWrite, fetch) {
		return m.Page(frame(c.entry)), true
	}
	delete(tlb, page) // a page fault forgets the translation [SDM3 4.10.4.1]
	c, ok := m.translate(r, page)
	if !ok || !permits(c.entry, forWrite, fetch) {
		return nil, false
	}
	tlb[page] = c
	return m.Page(frame(c.entry)), true
}

// Touch is Access by a thread of s: page faults are given to Fault, until the access succeeds or Fault refuses.
func (m *Machine) Touch(s *mm.Space, va uint64, forWrite, fetch bool) (*[mm.PageSize]byte, mm.Outcome) {
	for {
		if p, ok := m.Access(s.Root(), va, forWrite, fetch); ok {
			return p, mm.Handled
		}
		if o := s.Fault(va, forWrite, fetch); o != mm.Handled {
			return nil, o
		}
	}
}

// FillTLB caches every translation that exists, as a CPU might that looks ahead.
func (m *Machine) FillTLB() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for r, tlb := range m.roots {
		m.visit(r, func(va uint64, c cached) {
			if c.entry&present != 0 {
				if _, ok := tlb[va]; !ok {
					tlb[va] = c
				}
			}
		})
	}
}

func permits(entry uint64, forWrite, fetch bool) bool {
	return entry&present != 0 && entry&user != 0 && (!forWrite || entry&write != 0) && (!fetch || entry&noExec == 0)
}

// translate walks the tables of r for the page at va. m.mu is held.
func (m *Machine) translate(r mm.PhysAddr, va uint64) (c cached, ok bool) {
	table := r
	for level := 0; ; level++ {
		c.tables[level] = table
		e := loadEntry(m.Page(table), int(va>>(39-9*level)&511))
		if e&present == 0 {
			return cached{}, false
		}
		if level == 3 {
			c.entry = e
			return c, true
		}
		table = frame(e)
	}
}

// visit calls do for each entry of a page table in the lower half of r that isn't zero. m.mu is held.
func (m *Machine) visit(r mm.PhysAddr, do func(va uint64, c cached)) {
	var c cached
	var walk func(table mm.PhysAddr, level int, va uint64)
	walk = func(table mm.PhysAddr, level int, va uint64) {
		c.tables[level] = table
		last := 512
		if level == 0 {
			last = 256
		}
		for i := range last {
			e := loadEntry(m.Page(table), i)
			if e == 0 {
				continue
			}
			at := va | uint64(i)<<(39-9*level)
			if level < 3 {
				walk(frame(e), level+1, at)
				continue
			}
			c.entry = e
			do(at, c)
		}
	}
	walk(r, 0, 0)
}
