package virtio

import (
	"sync/atomic"

	"wick/kernel/hw"
)

// descriptor is one entry of a descriptor table or of an indirect table, little-endian [virtio 2.7.5].
//
//	+-----------------------+------------+--------+--------+
//	|     address (64)      | length (32)| flags  |  next  |
//	+-----------------------+------------+--------+--------+
type descriptor struct {
	address uint64
	length  uint32 // bytes
	flags   uint16
	next    uint16
}

const descriptorSize = 16

// Flags of a descriptor.
const (
	descNext     uint16 = 1 << 0 // the chain goes on at next
	descWrite    uint16 = 1 << 1 // the device writes the buffer; else it reads it
	descIndirect uint16 = 1 << 2 // the buffer is a table of descriptors
)

// usedElement is an entry of the used ring [virtio 2.7.8].
type usedElement struct {
	id     atomic.Uint32 // first descriptor of the chain
	length atomic.Uint32 // bytes that the device has written
}

// Flags of the rings, without FeatureEventIdx [virtio 2.7.7, 2.7.10].
const (
	availNoInterrupt uint32 = 1 << 0
	usedNoNotify     uint32 = 1 << 0
)

// Sizes in bytes of what the rings have besides their entries.
const (
	ringHead = 4 // flags and index, 16 bits each: read and written as one word
	ringTail = 4 // used_event or avail_event, 16 bits, and 16 of padding
)

// rings is the memory of a queue. The driver writes the descriptors and the available ring, the device the used ring.
//
//	descriptor table   size × {address, length, flags, next}
//	available ring     flags, index, size × head, used_event
//	used ring          flags, index, size × {head, length}, avail_event
//	indirect tables    size × segments × {address, length, flags, next}
type rings struct {
	descriptors []descriptor

	availHead  *atomic.Uint32 // index in the upper half
	availRing  []uint16
	usedEvent  *atomic.Uint32
	usedHead   *atomic.Uint32 // index in the upper half
	usedRing   []usedElement
	availEvent *atomic.Uint32

	tables []descriptor
}

// newRings lays a queue of size descriptors, a power of two and at least 2, over fresh DMA memory: where the parts are,
// also the indirect tables. Each chain gets one of segments descriptors, none if that is 0.
func newRings(memory hw.Allocator, size, segments int) (r rings, at QueueAddress, tables uint64, err error) {
	table := size * descriptorSize
	avail := ringHead + 2*size + ringTail
	used := ringHead + 8*size + ringTail
	tablesAt := (table + avail + used + descriptorSize - 1) &^ (descriptorSize - 1)
	m, err := memory.AllocDMA(tablesAt + size*segments*descriptorSize)
	if err != nil {
		return rings{}, QueueAddress{}, 0, err
	}
	at = QueueAddress{Size: size, Descriptor: m.Addr, Driver: m.Addr + uint64(table), Device: m.Addr + uint64(table+avail)}

	word := func(b []byte) *atomic.Uint32 { return &hw.View[atomic.Uint32](b)[0] }
	r.descriptors = hw.View[descriptor](m.Data[:table])
	part := m.Data[table : table+avail]
	r.availHead = word(part[:ringHead])
	r.availRing = hw.View[uint16](part[ringHead : avail-ringTail])
	r.usedEvent = word(part[avail-ringTail:])
	part = m.Data[table+avail : table+avail+used]
	r.usedHead = word(part[:ringHead])
	r.usedRing = hw.View[usedElement](part[ringHead : used-ringTail])
	r.availEvent = word(part[used-ringTail:])
	r.tables = hw.View[descriptor](m.Data[tablesAt : tablesAt+size*segments*descriptorSize])
	return r, at, m.Addr + uint64(tablesAt), nil
}
