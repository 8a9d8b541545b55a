package mm

import (
	"sync/atomic"
	"unsafe"
)

// asTable views a frame as a paging structure.
func asTable(p *[PageSize]byte) *table {
	// SAFETY: both types have PageSize bytes without pointers; frames are page-aligned.
	return (*table)(unsafe.Pointer(p))
}

// word views the four bytes at off of a frame as a word for atomic operations. off must be a
// multiple of 4.
func word(p *[PageSize]byte, off uint64) *uint32 {
	// SAFETY: the mask keeps the word inside the frame and aligned, whatever off is.
	return (*uint32)(unsafe.Pointer(&p[off&(PageSize-4)]))
}

func loadWord(p *[PageSize]byte, off uint64) uint32     { return atomic.LoadUint32(word(p, off)) }
func storeWord(p *[PageSize]byte, off uint64, v uint32) { atomic.StoreUint32(word(p, off), v) }
func casWord(p *[PageSize]byte, off uint64, old, v uint32) bool {
	return atomic.CompareAndSwapUint32(word(p, off), old, v)
}
