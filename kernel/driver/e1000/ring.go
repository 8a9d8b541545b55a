package e1000

import "wick/kernel/hw"

// ring is what both rings have: descriptors that the card knows, and a buffer for each.
type ring struct {
	size        int // descriptors
	addr        uint64
	buffers     []byte
	buffersAddr uint64
}

// buffer returns the buffer of descriptor i.
func (r *ring) buffer(i int) []byte {
	return r.buffers[i*bufferSize : (i+1)*bufferSize : (i+1)*bufferSize]
}

// bufferAddr returns the physical address of the buffer of descriptor i.
func (r *ring) bufferAddr(i int) uint64 { return r.buffersAddr + uint64(i*bufferSize) }

// after returns the number of the descriptor behind i.
func (r *ring) after(i int) int {
	if i++; i == r.size {
		return 0
	}
	return i
}

// alloc gets the memory of a ring of size descriptors, and returns the array of them.
func (r *ring) alloc(memory hw.Allocator, size int) (descriptors []byte, err error) {
	if size < 8 || size > MaxDescriptors || size%8 != 0 {
		return nil, ErrRingSize // the length must be a multiple of 128 bytes [8254x 13.4.27]
	}
	table, err := allocDMA(memory, size*descSize)
	if err != nil {
		return nil, err
	}
	buffers, err := allocDMA(memory, size*bufferSize)
	if err != nil {
		return nil, err
	}
	r.size, r.addr = size, table.Addr
	r.buffers, r.buffersAddr = buffers.Data, buffers.Addr
	return table.Data, nil
}

func allocDMA(memory hw.Allocator, size int) (hw.DMA, error) {
	m, err := memory.AllocDMA(size)
	if err != nil {
		return hw.DMA{}, err
	}
	if len(m.Data) < size || m.Addr%ringAligned != 0 || m.Addr+uint64(size) > maxDMAAddr {
		return hw.DMA{}, ErrDMAAddress
	}
	m.Data = m.Data[:size]
	return m, nil
}
