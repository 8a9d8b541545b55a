package main

import (
	"errors"
	"sync"

	"wick/kernel/ground"
	"wick/kernel/hw"
	"wick/kernel/mm"
)

// machine is ground as mm.Machine, hw.Ports and hw.Memory.
type machine struct{}

// frames are free frames at hand, so that not every page fault needs a call of ground.
var frames struct {
	mu    sync.Mutex
	cache [32]mm.PhysAddr // guarded by mu, as is n
	n     int
}

// AllocFrame implements mm.Machine.
func (machine) AllocFrame() (mm.PhysAddr, bool) {
	frames.mu.Lock()
	if frames.n == 0 {
		frames.n = ground.AllocFrames(frames.cache[:])
	}
	if frames.n == 0 {
		frames.mu.Unlock()
		return 0, false
	}
	frames.n--
	pa := frames.cache[frames.n]
	frames.mu.Unlock()
	clear(ground.Page(uint64(pa))[:])
	return pa, true
}

// FreeFrames implements mm.Machine.
func (machine) FreeFrames(pas []mm.PhysAddr) { ground.FreeFrames(pas) }

// Page implements mm.Machine.
func (machine) Page(pa mm.PhysAddr) *[mm.PageSize]byte { return ground.Page(uint64(pa)) }

// NewRoot implements mm.Machine.
func (machine) NewRoot() (mm.PhysAddr, bool) {
	root, ok := ground.NewRoot()
	return mm.PhysAddr(root), ok
}

// Flush implements mm.Machine.
func (machine) Flush(root mm.PhysAddr, va uint64, n int) { ground.Flush(uint64(root), va, n) }

// In8 implements hw.Ports, as do the following.
func (machine) In8(port uint16) uint8              { return ground.In8(port) }
func (machine) In16(port uint16) uint16            { return ground.In16(port) }
func (machine) In32(port uint16) uint32            { return ground.In32(port) }
func (machine) Out8(port uint16, v uint8)          { ground.Out8(port, v) }
func (machine) Out16(port uint16, v uint16)        { ground.Out16(port, v) }
func (machine) Out32(port uint16, v uint32)        { ground.Out32(port, v) }
func (machine) OutBytes(port uint16, bytes []byte) { ground.OutBytes(port, bytes) }

// Barrier implements hw.Memory.
func (machine) Barrier() { ground.Barrier() }

// AllocDMA implements hw.Allocator, and so hw.Memory.
func (machine) AllocDMA(size int) (hw.DMA, error) {
	pages := (size + mm.PageSize - 1) / mm.PageSize
	pa, memory, ok := ground.AllocDMA(pages)
	if !ok {
		return hw.DMA{}, errors.New("no contiguous memory for a device")
	}
	return hw.DMA{Addr: pa, Data: memory[:size]}, nil
}
