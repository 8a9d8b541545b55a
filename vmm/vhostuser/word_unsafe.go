package vhostuser

import (
	"sync/atomic"
	"unsafe"
)

// word returns the first four bytes of b as a word that the guest, on another CPU, reads or writes at any time.
//
// SAFETY: b has four bytes, as the slicing checks, and they are aligned, which sync/atomic needs and alignedWord checks.
// They are in a mapping of the guest's memory, which the garbage collector does not know, and which stays while the queue's
// lock is held.
func word(b []byte) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&b[:4][0])) }

// alignedWord tells whether word may be used.
//
// SAFETY: the address is looked at only.
func alignedWord(b []byte) bool { return uintptr(unsafe.Pointer(&b[:4][0]))%4 == 0 }
