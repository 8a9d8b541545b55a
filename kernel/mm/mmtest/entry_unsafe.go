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

// LoadUint32 reads the word at off, a multiple of 4, of a page atomically, as a CPU does.
func LoadUint32(p *[mm.PageSize]byte, off uint64) uint32 {
	// SAFETY: the mask keeps the word inside the page and aligned.
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&p[off&(mm.PageSize-4)])))
}
