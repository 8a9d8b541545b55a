package hw

import "sync/atomic"

// MMIO is a window of device registers in memory. An offset that is outside of it, or no multiple of the register's size,
// panics.
type MMIO []uint32

// Load32 implements Registers.
func (m MMIO) Load32(offset uint32) uint32 { return atomic.LoadUint32(&m[offset/4]) }

// Store32 implements Registers.
func (m MMIO) Store32(offset uint32, v uint32) { store(&m[offset/4], v) }

// Load8 implements Window.
func (m MMIO) Load8(offset uint32) uint8 { return load(narrow[uint8](m, offset)) }

// Load16 implements Window.
func (m MMIO) Load16(offset uint32) uint16 { return load(narrow[uint16](m, offset)) }

// Store8 implements Window.
func (m MMIO) Store8(offset uint32, v uint8) { store(narrow[uint8](m, offset), v) }

// Store16 implements Window.
func (m MMIO) Store16(offset uint32, v uint16) { store(narrow[uint16](m, offset), v) }

// load is one MOV. Package atomic has no loads of 8 and 16 bits.
//
//go:noinline
func load[T uint8 | uint16](p *T) T { return *p }

// store is one MOV. atomic.StoreUint32 is an XCHG on amd64, which reads the device register too, and
// which QEMU executes with all processors stopped if there are several (it can't be atomic on MMIO). The
// processor keeps stores in order [SDM3 10.2.2]; the compiler can neither drop, repeat nor move the store
// of a function that it doesn't inline.
//
//go:noinline
func store[T uint8 | uint16 | uint32](p *T, v T) { *p = v }
