package hw

import "sync/atomic"

// MMIO is a window of device registers in memory. An offset that is outside of it panics.
type MMIO []uint32

// Load32 implements Registers.
func (m MMIO) Load32(offset uint32) uint32 { return atomic.LoadUint32(&m[offset/4]) }

// Store32 implements Registers.
func (m MMIO) Store32(offset uint32, v uint32) { store32(&m[offset/4], v) }

// store32 is one MOV. atomic.StoreUint32 is an XCHG on amd64, which reads the device register too, and
// which QEMU executes with all processors stopped if there are several (it can't be atomic on MMIO). The
// processor keeps stores in order [SDM3 10.2.2]; the compiler can neither drop, repeat nor move the store
// of a function that it doesn't inline.
//
//go:noinline
func store32(p *uint32, v uint32) { *p = v }
