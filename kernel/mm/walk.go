package mm

import (
	"sync"
	"sync/atomic"
)

// lowerHalf is the end of what the lower half of a root maps.
const lowerHalf = 1 << 47

// leafCache remembers where page tables are that copies to and from user memory have used, so that most find theirs without a walk.
// Each word has the number of a table's frame in the upper bits, and below that the number of the table, which is the address that
// it maps without the lowest bits; 0: nothing. It may be read and filled with s.mu held for reading, for tables only go away with s.mu
// held for writing; who frees some must empty it.
type leafCache [4]atomic.Uint64

const (
	leafNumberBits = 47 - shiftPD
	leafNumberMask = 1<<leafNumberBits - 1
)

// find returns the frame of a table; 0 if it isn't remembered.
func (c *leafCache) find(number uint64) PhysAddr {
	if w := c[number%uint64(len(c))].Load(); w&leafNumberMask == number {
		return PhysAddr(w >> leafNumberBits << shiftPage)
	}
	return 0
}

func (c *leafCache) put(number uint64, frame PhysAddr) {
	c[number%uint64(len(c))].Store(uint64(frame)>>shiftPage<<leafNumberBits | number)
}

func (c *leafCache) empty() {
	for i := range c {
		c[i].Store(0)
	}
}

// leaf returns the page table for va, or nil if there is none yet. s.mu is held.
func (s *Space) leaf(va uint64) *table {
	if va >= TaskEnd || s.top == nil {
		return nil
	}
	if frame := s.leaves.find(va >> shiftPD); frame != 0 {
		return asTable(s.machine.Page(frame))
	}
	t := s.top
	var frame PhysAddr
	for shift := shiftPML4; shift > shiftPage; shift -= 9 {
		e := t.load(va >> shift)
		if e == 0 {
			return nil
		}
		frame = e.frame()
		t = asTable(s.machine.Page(frame))
	}
	s.leaves.put(va>>shiftPD, frame)
	return t
}

// makeLeaf returns the page table for va, with the tables above it made as needed; nil means out of
// memory. va is below TaskEnd; s.mu is held.
func (s *Space) makeLeaf(va uint64) *table {
	t := s.top
	for shift := shiftPML4; shift > shiftPage; shift -= 9 {
		e := t.load(va >> shift)
		if e == 0 {
			frame, ok := s.machine.AllocFrame()
			if !ok {
				return nil
			}
			e = entry(frame) | tableEntry
			if !t.set(va>>shift, e) { // another fault was quicker
				s.machine.FreeFrames([]PhysAddr{frame})
				e = t.load(va >> shift)
			}
		}
		t = asTable(s.machine.Page(e.frame()))
	}
	return t
}

// nextLeaf returns the first page table with addresses in [va, end) and the part of the range that
// it covers. Absent tables are passed over at their own size, so huge empty areas cost nothing. t is
// nil when there is none. s.mu is held.
func (s *Space) nextLeaf(va, end uint64) (t *table, lo, hi uint64) {
	for va < end {
		t = s.top
		shift := shiftPML4
		for ; shift > shiftPage; shift -= 9 {
			e := t.load(va >> shift)
			if e == 0 {
				break
			}
			t = asTable(s.machine.Page(e.frame()))
		}
		next := (va>>shift + 1) << shift
		if shift == shiftPage {
			next = (va>>shiftPD + 1) << shiftPD
			return t, va, min(next, end)
		}
		va = next
	}
	return nil, end, end
}

// gather collects what has been taken out of the page tables until no TLB can have it any more.
type gather struct {
	lo, hi uint64 // the pages whose translations must go
	whole  bool   // all of the lower half
	n      int
	frames *gathered // nil: none
}

// gathered is room for frames; a space has some while it takes frames away only, for there can be many spaces.
type gathered [1024]PhysAddr

var gatheredPool = sync.Pool{New: func() any { return new(gathered) }}

// touch notes that the translation of the page at va has been taken away.
func (g *gather) touch(va uint64) {
	if g.lo == g.hi {
		g.lo, g.hi = va, va+PageSize
		return
	}
	g.lo, g.hi = min(g.lo, va), max(g.hi, va+PageSize)
}

// countedFrame marks the address of a frame, in the low bits, that other entries may refer to: see shares.
const countedFrame PhysAddr = 1

// add takes a frame that no entry of the space refers to any more; touch has been called for its page.
func (g *gather) add(s *Space, frame PhysAddr) {
	if g.n == len(gathered{}) {
		g.flush(s)
	}
	if g.frames == nil {
		g.frames = gatheredPool.Get().(*gathered)
	}
	g.frames[g.n] = frame
	g.n++
}

// flush removes the translations from the TLBs, and then frees the frames.
func (g *gather) flush(s *Space) {
	switch {
	case g.whole:
		s.machine.Flush(s.root, 0, 0)
	case g.hi > g.lo:
		s.machine.Flush(s.root, g.lo, int((g.hi-g.lo)/PageSize))
	}
	g.lo, g.hi = 0, 0
	if g.frames == nil {
		return
	}
	kept := g.frames[:0]
	for _, frame := range g.frames[:g.n] {
		if frame&countedFrame == 0 || s.shares.drop(frame&^countedFrame) {
			kept = append(kept, frame&^countedFrame)
		}
	}
	if len(kept) > 0 {
		s.machine.FreeFrames(kept)
	}
	gatheredPool.Put(g.frames)
	g.n, g.frames = 0, nil
}

// flush ends a change of the map: what was taken out of the page tables goes out of the TLBs and is freed, and files
// whose last area has gone are told. s.mu is held for writing.
func (s *Space) flush() {
	s.unmapped.flush(s)
	s.dropReplaced()
	for i, v := range s.gone {
		v.shared.Detach(v)
		s.gone[i] = nil
	}
	s.gone = s.gone[:0]
}

// clear takes all pages of [lo, hi) out of the page tables. s.mu is held for writing, and s.flush must follow.
func (s *Space) clear(lo, hi uint64) { s.clearPages(lo, hi, true) }

// clearPages is clear; without owned it leaves the pages that belong to the space.
func (s *Space) clearPages(lo, hi uint64, owned bool) {
	zero := PhysAddr(s.zero.Load())
	var pages int64
	for {
		t, start, end := s.nextLeaf(lo, hi)
		if t == nil {
			break
		}
		for va := start; va < end; va += PageSize {
			e := t.load(va >> shiftPage)
			if e == 0 || !owned && e&pteBorrowed == 0 {
				continue
			}
			t.store(va>>shiftPage, 0)
			if e&ptePresent != 0 {
				s.unmapped.touch(va)
			}
			if e.frame() != zero {
				pages++
			}
			switch {
			case e&pteCounted != 0:
				s.unmapped.add(s, e.frame()|countedFrame)
			case e&pteBorrowed == 0:
				s.unmapped.add(s, e.frame())
			}
		}
		lo = end
	}
	s.resident.Add(-pages)
}

// prune frees the tables that lie, after an unmapping of [lo, hi), wholly in the gap between two
// areas. s.mu is held for writing, and s.flush must follow.
func (s *Space) prune(lo, hi uint64) {
	floor, ceiling := uint64(0), uint64(lowerHalf)
	i := s.areas.search(lo)
	if i > 0 {
		floor = s.areas[i-1].end
	}
	if i < len(s.areas) {
		ceiling = s.areas[i].start
	}
	s.pruneTables(lo, hi, floor, ceiling)
}

// pruneTables frees the tables that map something in [lo, hi) and nothing outside [floor, ceiling).
func (s *Space) pruneTables(lo, hi, floor, ceiling uint64) {
	if lo < hi {
		s.leaves.empty()
		s.pruneBelow(s.top, shiftPML4, 0, lo, hi, floor, ceiling)
	}
}

// pruneBelow is pruneTables for the tables that t, which maps addresses from base on, points to.
func (s *Space) pruneBelow(t *table, shift int, base, lo, hi, floor, ceiling uint64) {
	span := uint64(1) << shift
	last := min(511, (hi-1-base)>>shift)
	for i := (max(lo, base) - base) >> shift; i <= last; i++ {
		e := t.load(i)
		if e == 0 {
			continue
		}
		start := base + i*span
		if shift > shiftPD {
			s.pruneBelow(asTable(s.machine.Page(e.frame())), shift-9, start, lo, hi, floor, ceiling)
		}
		if start < floor || start+span > ceiling {
			continue
		}
		// What was below it has been freed: tables of a gap that have nothing in [lo, hi) went
		// when their own areas did.
		t.store(i, 0)
		s.unmapped.touch(start) // INVLPG also drops the CPU's copies of table entries [SDM3 4.10.4.1]
		s.unmapped.add(s, e.frame())
	}
}
