package virtiotest

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"wick/kernel/hw"
)

// firstAddr is where the model's memory starts, and pageSize its granularity, in bytes. Between two allocations there is
// always memory that is neither's.
const (
	firstAddr = 0x1000000
	pageSize  = 4096
)

// AllocDMA implements hw.Memory.
func (d *Device) AllocDMA(size int) (hw.DMA, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	words := make([]atomic.Uint64, (size+7)/8) // aligned as real memory is
	// SAFETY: the result spans the words, which hold no pointers, and keeps them alive.
	data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 8*len(words))[:size]
	m := hw.DMA{Addr: d.nextAddr, Data: data}
	d.memory = append(d.memory, m)
	d.nextAddr += (uint64(size)+pageSize-1)&^(pageSize-1) + pageSize
	return m, nil
}

// reachLocked returns the n bytes of memory at a physical address.
func (d *Device) reachLocked(addr uint64, n int) []byte {
	for _, m := range d.memory {
		if addr >= m.Addr && addr-m.Addr+uint64(n) <= uint64(len(m.Data)) {
			return m.Data[addr-m.Addr:][:n:n]
		}
	}
	panic(fmt.Sprintf("virtiotest: the device reaches for %d bytes at %#x, where there is no memory", n, addr))
}

// wordLocked returns the 32-bit word at a physical address.
func (d *Device) wordLocked(addr uint64) *atomic.Uint32 {
	return &hw.View[atomic.Uint32](d.reachLocked(addr, 4))[0]
}
