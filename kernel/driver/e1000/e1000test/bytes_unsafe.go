package e1000test

import (
	"sync/atomic"
	"unsafe"
)

// bytesOf returns the memory of words.
func bytesOf(words []atomic.Uint64) []byte {
	// SAFETY: the result spans exactly the words, which hold no pointers, and keeps them alive.
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 8*len(words))
}
