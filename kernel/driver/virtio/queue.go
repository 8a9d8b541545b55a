package virtio

import (
	"errors"
	"fmt"
	"math/bits"
)

// Errors of queues.
var (
	ErrNoQueue   = errors.New("virtio: the device has no such queue")
	ErrQueueFull = errors.New("virtio: queue full")

	// Those of a device that breaks the rules come as a *QueueError.
	ErrUsedIndex  = errors.New("virtio: the device has used more chains than it has")
	ErrUsedID     = errors.New("virtio: the device has used a chain that it does not have")
	ErrUsedLength = errors.New("virtio: the device says that it has written more than there was room for")
)

// QueueError says how a device has broken the rules of a queue.
type QueueError struct {
	Queue uint16
	Got   uint32
	Limit uint32 // what Got should have been below, or at most; 0 for ErrUsedID
	Err   error
}

func (e *QueueError) Error() string {
	return fmt.Sprintf("%v: queue %d, got %d, limit %d", e.Err, e.Queue, e.Got, e.Limit)
}

// Unwrap returns ErrUsedIndex, ErrUsedID or ErrUsedLength.
func (e *QueueError) Unwrap() error { return e.Err }

// Segment is a piece of DMA memory.
type Segment struct {
	Addr uint64 // physical
	Len  uint32 // bytes
}

// QueueConfig says what a driver needs of a queue.
type QueueConfig struct {
	Size     int // descriptors at most; the queue has a power of two, from 2 to what the device allows
	Segments int // of a chain at most, at least 1; see Queue.Segments
}

// Queue is a split virtqueue [virtio 2.7].
//
//	Add → Publish → the device → Take
//
// It has the memory of chains in use in its own books, not in the descriptors, which a device could overwrite.
type Queue struct {
	device   *Device
	index    uint16
	segments int
	rings
	tablesAddr uint64 // physical; of rings.tables

	chains []chain  // by first descriptor
	order  []uint16 // first descriptors of chains by Queue.added, as in the available ring
	next   []uint16 // descriptor behind another, in a chain or among the free ones
	head   uint16   // first free descriptor
	free   int      // free descriptors

	added     uint16 // index of the chain that is added next
	published uint16 // what the device was told of added
	used      uint16 // index of the chain that is taken next
	flags     uint32 // of the available ring

	err error
}

// chain is what the device has of one buffer.
type chain struct {
	token     int
	count     int    // descriptors
	writable  uint64 // bytes
	published bool   // and not taken since
}

// Used is a chain that the device is done with.
type Used struct {
	Token   int // as given to Add
	Written int // bytes that the device has written from the start of the writable segments; at most as many as they have
}

// maxQueueSize is how many descriptors a queue can have [virtio 2.7].
const maxQueueSize = 1 << 15

// NewQueue makes queue i of the device and tells the device of it. That is to be done before Start. It interrupts only
// once EnableInterrupts has been called.
func (d *Device) NewQueue(i uint16, c QueueConfig) (*Queue, error) {
	most := min(d.transport.QueueMax(i), c.Size, maxQueueSize)
	if most < 2 {
		return nil, fmt.Errorf("%w: %d, of 2 to %d descriptors", ErrNoQueue, i, c.Size)
	}
	size := 1 << (bits.Len(uint(most)) - 1)
	q := &Queue{
		device: d, index: i, segments: min(c.Segments, size), // also with indirect tables [virtio 2.7.5.3.1]
		chains: make([]chain, size), order: make([]uint16, size), next: make([]uint16, size), free: size,
	}
	for j := range q.next {
		q.next[j] = uint16(j + 1)
	}
	tables := 0
	if d.features.Has(FeatureIndirect) && q.segments > 1 {
		tables = q.segments
	}
	var at QueueAddress
	var err error
	if q.rings, at, q.tablesAddr, err = newRings(d.memory, size, tables); err != nil {
		return nil, err
	}
	q.DisableInterrupts()
	if err := d.transport.SetQueue(i, at); err != nil {
		return nil, fmt.Errorf("queue %d: %w", i, err)
	}
	return q, nil
}

// Size returns the number of descriptors.
func (q *Queue) Size() int { return len(q.chains) }

// Segments returns how many segments a chain may have: as many as the driver wants, but no more than there are descriptors.
func (q *Queue) Segments() int { return q.segments }

// Err returns how the device has broken the rules; nil if it hasn't.
func (q *Queue) Err() error { return q.err }

// Outstanding returns how many chains have been published and not been taken.
func (q *Queue) Outstanding() int { return int(q.published - q.used) }

// Room tells whether a chain of n segments can be added.
func (q *Queue) Room(n int) bool { return q.err == nil && q.needs(n) <= q.free }

// needs returns how many descriptors a chain of n segments needs.
func (q *Queue) needs(n int) int {
	if n > 1 && len(q.tables) > 0 {
		return 1
	}
	return n
}

// Add gives a chain to the device, of segments that it reads and segments that it writes; it learns of it by Publish. The
// segments belong to the device until Take returns token. The error is ErrQueueFull or that of Err.
func (q *Queue) Add(token int, readable, writable []Segment) error {
	n := len(readable) + len(writable)
	if n == 0 || n > q.segments {
		panic(fmt.Sprintf("virtio: a chain of %d segments in a queue for 1 to %d", n, q.segments))
	}
	if q.err != nil {
		return q.err
	}
	needs := q.needs(n)
	if needs > q.free {
		return ErrQueueFull
	}
	head := q.head
	c := chain{token: token, count: needs}
	if needs < n {
		c.writable = q.fillTable(head, readable, writable)
		q.head = q.next[head]
	} else {
		c.writable = q.fillDescriptors(readable, writable)
	}
	q.free -= needs
	q.chains[head] = c
	slot := int(q.added) % len(q.order)
	q.order[slot], q.availRing[slot] = head, head
	q.added++
	return nil
}

// fillDescriptors puts a chain into the descriptors from the first free one on, and returns how many bytes are writable.
func (q *Queue) fillDescriptors(readable, writable []Segment) (bytes uint64) {
	n := len(readable) + len(writable)
	for i := range n {
		s, flags := segment(readable, writable, i)
		next := q.next[q.head]
		d := descriptor{address: s.Addr, length: s.Len, flags: flags}
		if i < n-1 {
			d.flags |= descNext
			d.next = next
		}
		if flags == descWrite {
			bytes += uint64(s.Len)
		}
		q.descriptors[q.head] = d
		q.head = next
	}
	return bytes
}

// fillTable puts a chain into the indirect table of descriptor head [virtio 2.7.5.3], and returns how many bytes are
// writable.
func (q *Queue) fillTable(head uint16, readable, writable []Segment) (bytes uint64) {
	n := len(readable) + len(writable)
	first := int(head) * q.segments
	table := q.tables[first : first+n]
	for i := range n {
		s, flags := segment(readable, writable, i)
		table[i] = descriptor{address: s.Addr, length: s.Len, flags: flags}
		if i < n-1 {
			table[i].flags |= descNext
			table[i].next = uint16(i + 1)
		}
		if flags == descWrite {
			bytes += uint64(s.Len)
		}
	}
	q.descriptors[head] = descriptor{
		address: q.tablesAddr + uint64(first*descriptorSize), length: uint32(n * descriptorSize), flags: descIndirect,
	}
	return bytes
}

// segment returns segment i of a chain, those that the device reads first [virtio 2.7.4.2].
func segment(readable, writable []Segment, i int) (s Segment, flags uint16) {
	if i < len(readable) {
		return readable[i], 0
	}
	return writable[i-len(readable)], descWrite
}

// Publish tells the device of the chains that have been added since the last call. It tells whether the device had to be
// notified, which it hasn't while it is looking at the queue anyway.
func (q *Queue) Publish() (notified bool) {
	if q.added == q.published || q.err != nil {
		return false
	}
	old := q.published
	for ; q.published != q.added; q.published++ {
		q.chains[q.order[int(q.published)%len(q.order)]].published = true
	}
	q.storeAvail()            // the device sees the chains if it sees the index [virtio 2.7.13.3]
	q.device.memory.Barrier() // the index can be seen before what the device wants to know is loaded [virtio 2.7.13.4.1]
	if !q.wantsNotify(old) {
		return false
	}
	q.device.transport.Notify(q.index)
	return true
}

func (q *Queue) storeAvail() { q.availHead.Store(uint32(q.published)<<16 | q.flags) }

// wantsNotify tells whether the device wants to be told that the index has moved on from old [virtio 2.7.10.1].
func (q *Queue) wantsNotify(old uint16) bool {
	if !q.device.features.Has(FeatureEventIdx) {
		return q.usedHead.Load()&usedNoNotify == 0
	}
	event := uint16(q.availEvent.Load())
	return q.published-event-1 < q.published-old
}

// Pending tells whether there is something to be taken.
func (q *Queue) Pending() bool { return q.err == nil && uint16(q.usedHead.Load()>>16) != q.used }

// Take takes back one chain that the device is done with; ok is false if there is none. If the device has broken the rules
// the error is a *QueueError, now and ever after.
func (q *Queue) Take() (u Used, ok bool, err error) {
	if q.err != nil {
		return Used{}, false, q.err
	}
	// An acquire load: what the device has written before it moved the index can be seen.
	pending := uint16(q.usedHead.Load()>>16) - q.used
	if pending == 0 {
		return Used{}, false, nil
	}
	if n := q.Outstanding(); int(pending) > n {
		return q.broken(ErrUsedIndex, uint32(pending), uint32(n))
	}
	element := &q.usedRing[int(q.used)%len(q.usedRing)]
	id, length := element.id.Load(), element.length.Load()
	if id >= uint32(len(q.chains)) {
		return q.broken(ErrUsedID, id, uint32(len(q.chains)))
	}
	c := &q.chains[id]
	if !c.published {
		return q.broken(ErrUsedID, id, 0)
	}
	if uint64(length) > c.writable {
		return q.broken(ErrUsedLength, length, uint32(c.writable))
	}
	u = Used{Token: c.token, Written: int(length)}
	q.release(uint16(id), c.count)
	*c = chain{}
	q.used++
	return u, true, nil
}

// broken records how the device has broken the rules.
func (q *Queue) broken(err error, got, limit uint32) (Used, bool, error) {
	q.err = &QueueError{Queue: q.index, Got: got, Limit: limit, Err: err}
	return Used{}, false, q.err
}

// release puts the count descriptors of a chain among the free ones.
func (q *Queue) release(first uint16, count int) {
	last := first
	for range count - 1 {
		last = q.next[last]
	}
	q.next[last] = q.head
	q.head = first
	q.free += count
}

// EnableInterrupts has the device interrupt when it uses a chain. It tells whether it has used some already: for those no
// interrupt may come [virtio 2.7.7.1, 2.7.14].
func (q *Queue) EnableInterrupts() (pending bool) {
	if q.device.features.Has(FeatureEventIdx) {
		q.usedEvent.Store(uint32(q.used))
	} else {
		q.flags &^= availNoInterrupt
		q.storeAvail()
	}
	q.device.memory.Barrier()
	return q.Pending()
}

// DisableInterrupts tells the device that it needn't interrupt. It may all the same.
func (q *Queue) DisableInterrupts() {
	if q.device.features.Has(FeatureEventIdx) {
		q.usedEvent.Store(uint32(q.used - 1)) // the farthest away
	} else {
		q.flags |= availNoInterrupt
		q.storeAvail()
	}
}
