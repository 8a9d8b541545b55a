package e1000

import "wick/kernel/hw"

// ring is what both rings have: descriptors that the card knows, and a buffer for each.
type ring struct {
	size    int // descriptors
	addr    uint64
	buffers []byte
}

// buffer returns the buffer of descriptor i.
func (r *ring) buffer(i int) []byte {
	return r.buffers[i*bufferSize : (i+1)*bufferSize : (i+1)*bufferSize]
}

// alloc gets the memory of a ring of size descriptors; descriptors is the array of them, and
// buffersAddr the physical address of the first buffer.
func (r *ring) alloc(memory hw.Allocator, size int) (descriptors []byte, buffersAddr uint64, err error) {
	if size < 8 || size > maxDescriptors || size%8 != 0 {
		return nil, 0, ErrRingSize // the length must be a multiple of 128 bytes [8254x 13.4.27]
	}
	table, err := allocDMA(memory, size*descSize)
	if err != nil {
		return nil, 0, err
	}
	buffers, err := allocDMA(memory, size*bufferSize)
	if err != nil {
		return nil, 0, err
	}
	r.size, r.addr, r.buffers = size, table.Addr, buffers.Data
	return table.Data, buffers.Addr, nil
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
