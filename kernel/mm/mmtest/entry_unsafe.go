package mmtest

import (
	"sync/atomic"
	"unsafe"

	"wick/kernel/mm"
)

// loadEntry reads entry i, below 512, of the paging structure in p.
func loadEntry(p *[mm.PageSize]byte, i int) uint64 {
	// SAFETY: the index keeps the eight bytes inside the page, and pages are aligned: they are elements of a
	// large slice, which the allocator aligns to its own pages.
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&p[i&511*8])))
}
