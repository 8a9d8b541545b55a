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
	if entry, ok := tlb.pages[page]; ok && permits(entry, forWrite, fetch) {
		return m.Page(frame(entry)), true
	}
	delete(tlb.pages, page) // a page fault forgets the translation [SDM3 4.10.4.1]
	entry := m.translate(r, page)
	if !permits(entry, forWrite, fetch) {
		return nil, false
	}
	tlb.pages[page] = entry
	return m.Page(frame(entry)), true
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
		m.visit(r, func(va, entry uint64) {
			if _, ok := tlb.pages[va]; !ok && entry&present != 0 {
				tlb.pages[va] = entry
			}
		}, func(table mm.PhysAddr) { tlb.tables[table] = true })
	}
}

func permits(entry uint64, forWrite, fetch bool) bool {
	return entry&present != 0 && entry&user != 0 && (!forWrite || entry&write != 0) && (!fetch || entry&noExec == 0)
}

// translate walks the tables of r for the page at va, and returns 0 or the entry that maps it. m.mu is held.
func (m *Machine) translate(r mm.PhysAddr, va uint64) uint64 {
	table := r
	for shift := 39; ; shift -= 9 {
		e := loadEntry(m.Page(table), int(va>>shift&511))
		if e&present == 0 {
			return 0
		}
		if shift == 12 {
			return e
		}
		table = frame(e)
		m.roots[r].tables[table] = true
	}
}

// visit calls page for each entry of a page table in the lower half of r that isn't zero, and
// table for each table below r. m.mu is held.
func (m *Machine) visit(r mm.PhysAddr, page func(va, entry uint64), table func(pa mm.PhysAddr)) {
	m.visitTable(r, 39, 0, 256, page, table)
}

func (m *Machine) visitTable(pa mm.PhysAddr, shift int, base uint64, n int, page func(va, entry uint64), table func(pa mm.PhysAddr)) {
	for i := range n {
		e := loadEntry(m.Page(pa), i)
		va := base | uint64(i)<<shift
		switch {
		case e == 0:
		case shift == 12:
			page(va, e)
		default:
			table(frame(e))
			m.visitTable(frame(e), shift-9, va, 512, page, table)
		}
	}
}
