package hw

import "unsafe"

// View returns the memory of d as a slice of T, so that a driver can lay its descriptors over it. T
// is a struct of the sync/atomic integer types or of plain integers, without pointers. It panics if d
// isn't aligned for T or not a whole number of Ts.
func View[T any](d []byte) []T {
	var t T
	size := int(unsafe.Sizeof(t))
	if len(d) == 0 || size == 0 {
		return nil
	}
	// SAFETY: the pointer is only looked at as a number.
	if uintptr(unsafe.Pointer(&d[0]))%unsafe.Alignof(t) != 0 || len(d)%size != 0 {
		panic("hw: memory of the wrong alignment or size for its type")
	}
	// SAFETY: d is that long, aligned (checked above), and stays alive through the result; T has
	// no pointers, so that every bit pattern is a valid T.
	return unsafe.Slice((*T)(unsafe.Pointer(&d[0])), len(d)/size)
}
