package vfs

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// Frames is where the pages of files and pipes come from: memory that programs could have had, not the kernel's
// own. mm.Machine implements it.
type Frames interface {
	// AllocFrame returns a zeroed frame; ok is false when programs have had their share.
	AllocFrame() (pa mm.PhysAddr, ok bool)
	FreeFrames(pas []mm.PhysAddr)
	Page(pa mm.PhysAddr) *[mm.PageSize]byte
}

const pageSize = mm.PageSize

// page is memory for a page of a file or pipe.
type page struct {
	bytes *[pageSize]byte // nil: none
	frame mm.PhysAddr     // 0: it is on the heap
}

// memory gives out what programs make the kernel keep, so that no program can exhaust the kernel. The
// zero value takes pages from the heap and has no limits.
type memory struct {
	frames  Frames
	watches counter // entries of epoll interest lists
	text    counter // bytes of open generated files
}

// newPage returns a zeroed page: unix.ENOMEM if there is none.
func (m *memory) newPage() (page, error) {
	if m.frames == nil {
		return page{bytes: new([pageSize]byte)}, nil
	}
	frame, ok := m.frames.AllocFrame()
	if !ok {
		return page{}, unix.ENOMEM
	}
	return page{m.frames.Page(frame), frame}, nil
}

// freePages gives pages back that nobody looks at any more.
func (m *memory) freePages(pages ...page) {
	if m.frames == nil {
		return
	}
	var batch [64]mm.PhysAddr
	n := 0
	for _, p := range pages {
		if p.bytes == nil {
			continue
		}
		batch[n] = p.frame
		if n++; n == len(batch) {
			m.frames.FreeFrames(batch[:])
			n = 0
		}
	}
	m.frames.FreeFrames(batch[:n])
}

// counter counts something of which there is only so much.
type counter struct {
	used  atomic.Int64
	limit int64 // 0: none
}

// take takes n of it, if there are so many left.
func (c *counter) take(n int64) bool {
	if c.used.Add(n) > c.limit && c.limit != 0 {
		c.used.Add(-n)
		return false
	}
	return true
}

func (c *counter) give(n int64) { c.used.Add(-n) }

// left returns how much there is left.
func (c *counter) left() int64 { return max(0, c.limit-c.used.Load()) }

// Bounds on what is on the kernel's heap, by the size of the machine: the heap is a small part of it. One of
// each kind of object, at a few hundred bytes, is allowed for each objectShare bytes of memory.
const (
	objectShare = 16 << 10
	minObjects  = 1024
	textShare   = 64 // a part of memory for the texts of open generated files
	minText     = 256 << 10
)

// objects returns how many descriptors, names or epoll entries a machine with so much memory may have; total 0 is one
// with much.
func objects(total uint64) int64 {
	if total == 0 {
		return MaxFDLimit
	}
	return int64(min(max(total/objectShare, minObjects), MaxFDLimit))
}
