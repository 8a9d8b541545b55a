// Package mmtest is a machine made of Go memory, for tests of and with address spaces.
//
// Machine plays ground's part and checks the rules of mm.Machine: a frame that is freed twice, while
// a page table still refers to it or while a TLB may still know it fails the test. It also plays
// the CPU (Access), with a TLB that never forgets anything by itself.
package mmtest

import (
	"sync"
	"testing"

	"wick/kernel/mm"
)

// base is the physical address of the first frame.
const base = 1 << 20

type state uint8

const (
	free  state = iota
	used        // handed out by AllocFrame
	root        // handed out by NewRoot
	fixed       // the contents of a Backing
)

// Machine is a mm.Machine. All of its methods may be called concurrently.
type Machine struct {
	tb    testing.TB
	pages [][mm.PageSize]byte // set once

	mu      sync.Mutex
	states  []state              // of each page
	list    []int                // free pages
	roots   map[mm.PhysAddr]*tlb // of each live root
	flushes int                  // calls of Flush
	spare   int                  // allocations that still succeed; negative: no limit
	onAlloc func()               // see OnAlloc
	onFlush func()               // see OnFlush
}

// tlb is what the CPUs may remember of the tables of a root.
type tlb struct {
	pages  map[uint64]uint64    // entries that map pages, by page-aligned address
	tables map[mm.PhysAddr]bool // tables, the paging-structure caches [SDM3 4.10.3]
}

// New returns a machine with the given number of frames. At the end of the test it checks that all have
// been freed: release the spaces first.
func New(tb testing.TB, frames int) *Machine {
	m := &Machine{
		tb:     tb,
		pages:  make([][mm.PageSize]byte, frames),
		states: make([]state, frames),
		list:   make([]int, frames),
		roots:  make(map[mm.PhysAddr]*tlb),
		spare:  -1,
	}
	for i := range m.list {
		m.list[i] = frames - 1 - i
	}
	tb.Cleanup(func() {
		if n := m.InUse(); n != 0 && !tb.Failed() {
			tb.Errorf("%d frames have not been freed", n)
		}
	})
	return m
}

// NewSpace returns an address space that is released at the end of the test.
func (m *Machine) NewSpace(limits mm.Limits) *mm.Space {
	m.tb.Helper()
	s, err := mm.NewSpace(m, limits)
	if err != nil {
		m.tb.Fatal(err)
	}
	m.tb.Cleanup(s.Release)
	return s
}

// InUse returns how many frames are handed out; those of a Backing don't count.
func (m *Machine) InUse() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.states {
		if s == used || s == root {
			n++
		}
	}
	return n
}

// Flushes returns how often Flush has been called.
func (m *Machine) Flushes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flushes
}

// FailAfter lets n more allocations succeed, and then none. A negative n takes the limit away.
func (m *Machine) FailAfter(n int) {
	m.mu.Lock()
	m.spare = n
	m.mu.Unlock()
}

// OnFlush has do called at the beginning of each Flush, while the TLBs still have everything.
func (m *Machine) OnFlush(do func()) {
	m.mu.Lock()
	m.onFlush = do
	m.mu.Unlock()
}

// OnAlloc has do called at the beginning of each AllocFrame.
func (m *Machine) OnAlloc(do func()) {
	m.mu.Lock()
	m.onAlloc = do
	m.mu.Unlock()
}

// AllocFrame implements mm.Machine.
func (m *Machine) AllocFrame() (mm.PhysAddr, bool) {
	m.mu.Lock()
	do := m.onAlloc
	m.mu.Unlock()
	if do != nil {
		do()
	}
	return m.alloc(used)
}

// NewRoot implements mm.Machine.
func (m *Machine) NewRoot() (mm.PhysAddr, bool) { return m.alloc(root) }

func (m *Machine) alloc(as state) (mm.PhysAddr, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.list) == 0 || m.spare == 0 {
		return 0, false
	}
	if m.spare > 0 {
		m.spare--
	}
	i := m.list[len(m.list)-1]
	m.list = m.list[:len(m.list)-1]
	m.states[i] = as
	clear(m.pages[i][:])
	pa := address(i)
	if as == root {
		m.roots[pa] = &tlb{make(map[uint64]uint64), make(map[mm.PhysAddr]bool)}
	}
	return pa, true
}

func address(i int) mm.PhysAddr { return base + mm.PhysAddr(i)*mm.PageSize }

// index returns the number of the frame at pa, or -1.
func (m *Machine) index(pa mm.PhysAddr) int {
	i := int(pa-base) / mm.PageSize
	if pa < base || pa%mm.PageSize != 0 || i >= len(m.pages) {
		return -1
	}
	return i
}

// FreeFrames implements mm.Machine.
func (m *Machine) FreeFrames(pas []mm.PhysAddr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	gone := make(map[mm.PhysAddr]bool, len(pas))
	for _, pa := range pas {
		i := m.index(pa)
		switch {
		case i < 0:
			m.tb.Errorf("FreeFrames(%#x): no such frame", pa)
			continue
		case m.states[i] == free:
			m.tb.Errorf("FreeFrames(%#x): the frame is free already", pa)
			continue
		case m.states[i] == fixed:
			m.tb.Errorf("FreeFrames(%#x): the frame belongs to a file", pa)
			continue
		case m.states[i] == root:
			delete(m.roots, pa)
		}
		gone[pa] = true
		m.states[i] = free
		m.list = append(m.list, i)
	}
	for r, tlb := range m.roots {
		m.visit(r, func(va, entry uint64) {
			if gone[frame(entry)] {
				m.tb.Errorf("a frame was freed while %#x is mapped with it", va)
			}
		}, func(table mm.PhysAddr) {
			if gone[table] {
				m.tb.Errorf("a table was freed while it is used")
			}
		})
		for va, entry := range tlb.pages {
			if gone[frame(entry)] {
				m.tb.Errorf("a frame was freed while a TLB may have the translation of %#x to it", va)
			}
		}
		for pa := range gone {
			if tlb.tables[pa] {
				m.tb.Errorf("a table was freed while a CPU may have it cached")
			}
		}
	}
	// What is used after it was freed shall be noticed.
	for pa := range gone {
		p := &m.pages[m.index(pa)]
		for i := range p {
			p[i] = 0xdb
		}
	}
}

// Page implements mm.Machine.
func (m *Machine) Page(pa mm.PhysAddr) *[mm.PageSize]byte {
	i := m.index(pa)
	if i < 0 {
		panic("mmtest: Page of an address that is no frame")
	}
	return &m.pages[i]
}

// Flush implements mm.Machine.
func (m *Machine) Flush(r mm.PhysAddr, va uint64, n int) {
	m.mu.Lock()
	do := m.onFlush
	m.mu.Unlock()
	if do != nil {
		do()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flushes++
	tlb, ok := m.roots[r]
	if !ok {
		m.tb.Errorf("Flush(%#x): no such root", r)
		return
	}
	if n == 0 {
		clear(tlb.pages)
	}
	end := va + uint64(n)*mm.PageSize
	for a := range tlb.pages {
		if a >= va && a < end {
			delete(tlb.pages, a)
		}
	}
	clear(tlb.tables) // INVLPG forgets tables wherever they are [SDM3 4.10.4.1]
}
