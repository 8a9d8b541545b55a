package ground

import "unsafe"

// Raw memory access. SAFETY: addresses are of the direct map, of ground's own structs, or of memory of the
// kernel's runtime, whose faults are resolved in place; none is a user address.

// pointer makes a pointer of an address that no Go allocation has.
func pointer(a uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }

func p64(a uint64) *uint64 { return (*uint64)(pointer(a)) }
func p32(a uint64) *uint32 { return (*uint32)(pointer(a)) }
func p16(a uint64) *uint16 { return (*uint16)(pointer(a)) }
func p8(a uint64) *uint8   { return (*uint8)(pointer(a)) }

// addressOf returns the address of a variable of ground, which never moves.
func addressOf[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }

// threadAt and cpuAt turn addresses kept as integers back into pointers.
func threadAt(a uint64) *thread     { return (*thread)(pointer(a)) }
func cpuAt(a uint64) *cpu           { return (*cpu)(pointer(a)) }
func vdsoDataAt(a uint64) *vdsoData { return (*vdsoData)(pointer(a)) }
func userAt(a uint64) *userRegs     { return (*userRegs)(pointer(a)) }
