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

// narrow returns a register that is smaller than the words of the window.
func narrow[T uint8 | uint16](m MMIO, offset uint32) *T {
	if uintptr(offset)%unsafe.Sizeof(T(0)) != 0 {
		panic("hw: a register at an offset that is no multiple of its size")
	}
	word := &m[offset/4] // checks it
	// SAFETY: the register is part of the word, because its offset is a multiple of its size.
	return (*T)(unsafe.Add(unsafe.Pointer(word), offset%4))
}
