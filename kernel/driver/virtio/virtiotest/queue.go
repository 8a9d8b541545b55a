package virtiotest

import (
	"encoding/binary"
	"fmt"
)

// Queue is the device's side of a split virtqueue [virtio 2.7].
type Queue struct {
	// Quiet tells the driver never to notify: whoever runs the device looks by himself.
	Quiet bool

	device *Device
	index  int
	most   int // descriptors

	// guarded by device.mu, as all below
	ready                     bool
	size                      uint32
	desc, availRing, usedRing uint64 // physical addresses of the table, the available ring and the used ring
	next                      uint16 // available index that is popped next
	used                      uint16 // used index
	signalled                 uint16 // used index at the last decision about an interrupt
	notified                  int
	vector                    uint16 // of the MSI-X table
}

// Chain is what the driver has made available at once.
type Chain struct {
	ID       uint16
	Readable [][]byte
	Writable [][]byte
}

// Room returns how many bytes the device can write.
func (c *Chain) Room() (n int) {
	for _, w := range c.Writable {
		n += len(w)
	}
	return n
}

// Read returns all that the device can read.
func (c *Chain) Read() (all []byte) {
	for _, r := range c.Readable {
		all = append(all, r...)
	}
	return all
}

// Write puts data into the writable segments, as far as it fits, and returns how much did.
func (c *Chain) Write(data []byte) (n int) {
	for _, w := range c.Writable {
		n += copy(w, data[n:])
	}
	return n
}

func (q *Queue) resetLocked() {
	q.ready, q.size, q.desc, q.availRing, q.usedRing = false, 0, 0, 0, 0
	q.next, q.used, q.signalled, q.notified, q.vector = 0, 0, 0, 0, noVector
}

// Live tells whether the driver has set the queue up and the device may use it.
func (q *Queue) Live() bool {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	return q.liveLocked()
}

func (q *Queue) liveLocked() bool { return q.ready && q.device.status&statusDriverOK != 0 }

func (q *Queue) eventIdxLocked() bool { return q.device.accepted&EventIdx != 0 }

// Notified returns how often the driver has notified.
func (q *Queue) Notified() int {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	return q.notified
}

// Available returns how many chains the device has not popped yet.
func (q *Queue) Available() int {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	return q.availableLocked()
}

func (q *Queue) availableLocked() int {
	if !q.liveLocked() {
		return 0
	}
	n := uint16(q.device.wordLocked(q.availRing).Load()>>16) - q.next
	if uint32(n) > q.size {
		panic(fmt.Sprintf("virtiotest: queue %d of %d descriptors has %d chains available", q.index, q.size, n))
	}
	return int(n)
}

// Pop takes the next chain. If there is none, the driver is asked to notify when there is.
func (q *Queue) Pop() (c Chain, ok bool) {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	if q.availableLocked() == 0 {
		if !q.liveLocked() || q.Quiet {
			return Chain{}, false
		}
		q.askLocked()
		if q.availableLocked() == 0 { // it may have come before the driver saw that
			return Chain{}, false
		}
	}
	slot := uint64(uint32(q.next) % q.size)
	id := binary.LittleEndian.Uint16(q.device.reachLocked(q.availRing+4+2*slot, 2))
	q.next++
	if uint32(id) >= q.size {
		panic(fmt.Sprintf("virtiotest: queue %d: head %d of %d descriptors", q.index, id, q.size))
	}
	return q.walkLocked(id), true
}

// Sleep asks to be notified of the chain after those that have been popped, whether it is there already or not.
func (q *Queue) Sleep() {
	q.device.mu.Lock()
	q.askLocked()
	q.device.mu.Unlock()
	q.Quiet = false
	q.Signal()
}

// askLocked sets avail_event, where there is one.
func (q *Queue) askLocked() {
	if q.eventIdxLocked() {
		q.device.wordLocked(q.usedRing + 4 + 8*uint64(q.size)).Store(uint32(q.next))
	}
}

// Flags of descriptors [virtio 2.7.5].
const (
	flagNext     = 1
	flagWrite    = 2
	flagIndirect = 4
)

// walkLocked follows a chain.
func (q *Queue) walkLocked(id uint16) Chain {
	c := Chain{ID: id}
	table, entries, i := q.desc, q.size, uint32(id)
	indirect := false
	for n := 0; ; n++ {
		if i >= entries || n == int(q.size) {
			panic(fmt.Sprintf("virtiotest: queue %d: chain %d leads to descriptor %d of %d after %d", q.index, id, i, entries, n))
		}
		d := q.device.reachLocked(table+16*uint64(i), 16)
		addr, length := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint32(d[8:])
		flags, next := binary.LittleEndian.Uint16(d[12:]), binary.LittleEndian.Uint16(d[14:])
		if flags&flagIndirect != 0 {
			if indirect || flags != flagIndirect || q.device.accepted&Indirect == 0 || length%16 != 0 || length == 0 {
				panic(fmt.Sprintf("virtiotest: queue %d: indirect table of %d bytes, flags %#x", q.index, length, flags))
			}
			indirect, table, entries, i, n = true, addr, length/16, 0, -1
			continue
		}
		segment := q.device.reachLocked(addr, int(length))
		switch {
		case flags&flagWrite != 0:
			c.Writable = append(c.Writable, segment)
		case len(c.Writable) > 0:
			panic(fmt.Sprintf("virtiotest: queue %d: a segment to be read behind one to be written", q.index))
		default:
			c.Readable = append(c.Readable, segment)
		}
		if flags&flagNext == 0 {
			if indirect && uint32(n+1) != entries {
				panic(fmt.Sprintf("virtiotest: queue %d: indirect table of %d descriptors with a chain of %d", q.index, entries, n+1))
			}
			return c
		}
		i = uint32(next)
	}
}

// Return makes the last n chains that were popped available again, as if they hadn't been.
func (q *Queue) Return(n int) {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	q.next -= uint16(n)
}

// Push gives a chain back, of which the device has written so many bytes. The driver doesn't see it before Signal.
func (q *Queue) Push(id uint16, written int) { q.PushRaw(uint32(id), uint32(written)) }

// PushRaw writes a used element, whatever is in it.
func (q *Queue) PushRaw(id, written uint32) {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	if q.size == 0 {
		return // the driver has reset the device since it made the chain available
	}
	at := q.usedRing + 4 + 8*uint64(uint32(q.used)%q.size)
	q.device.wordLocked(at).Store(id)
	q.device.wordLocked(at + 4).Store(written)
	q.used++
}

// Scribble writes all over what only the driver may write, but for the available index: the descriptor table, the indirect tables of
// chains, and the available ring.
func (q *Queue) Scribble() {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	for i := range uint64(q.size) {
		d := q.device.reachLocked(q.desc+16*i, 16)
		if binary.LittleEndian.Uint16(d[12:]) == flagIndirect {
			scribble(q.device.reachLocked(binary.LittleEndian.Uint64(d), int(binary.LittleEndian.Uint32(d[8:]))))
		}
		scribble(d)
	}
	scribble(q.device.reachLocked(q.availRing+4, 2*int(q.size)))
}

func scribble(b []byte) {
	for i := range b {
		b[i] = 0xA5
	}
}

// SkipUsed moves the used index by n elements that nobody has written.
func (q *Queue) SkipUsed(n int) {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	q.used += uint16(n)
}

// Signal shows the driver what has been pushed, and interrupts if it wants that.
func (q *Queue) Signal() {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	if !q.liveLocked() {
		return
	}
	old := q.signalled
	q.signalled = q.used
	head := uint32(q.used) << 16
	if q.Quiet && !q.eventIdxLocked() {
		head |= 1 // NO_NOTIFY
	}
	q.device.wordLocked(q.usedRing).Store(head)
	if q.eventIdxLocked() {
		event := uint16(q.device.wordLocked(q.availRing + 4 + 2*uint64(q.size)).Load())
		if q.used-event-1 >= q.used-old {
			return
		}
	} else if q.device.wordLocked(q.availRing).Load()&1 != 0 { // NO_INTERRUPT
		return
	}
	q.device.raiseLocked(q)
}

// notify is what the driver does.
func (d *Device) notify(queue uint32) {
	d.mu.Lock()
	if int(queue) >= len(d.Queues) || !d.Queues[queue].liveLocked() {
		panic(fmt.Sprintf("virtiotest: queue %d is notified, which isn't live", queue))
	}
	d.Queues[queue].notified++
	d.mu.Unlock()
	if d.OnNotify != nil {
		d.OnNotify(int(queue))
	}
}

// selected returns the queue whose registers show, or nil.
func (d *Device) selected() *Queue {
	if i := int(d.selector.queue); i < len(d.Queues) {
		return d.Queues[i]
	}
	return nil
}

// setReady makes a queue live once the driver has said where it is.
func (q *Queue) setReady() {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	if q.device.status&(statusFeaturesOK|statusDriverOK) != statusFeaturesOK {
		panic(fmt.Sprintf("virtiotest: queue %d is set up in status %#x", q.index, q.device.status))
	}
	if q.size == 0 || q.size&(q.size-1) != 0 || int(q.size) > q.most || q.desc%16 != 0 || q.availRing%2 != 0 || q.usedRing%4 != 0 {
		panic(fmt.Sprintf("virtiotest: queue %d: %d of %d descriptors at %#x, %#x, %#x", q.index, q.size, q.most, q.desc, q.availRing, q.usedRing))
	}
	q.device.reachLocked(q.desc, 16*int(q.size))
	q.device.reachLocked(q.availRing, 6+2*int(q.size))
	q.device.reachLocked(q.usedRing, 6+8*int(q.size))
	q.ready = true
}

// half sets one half of an address.
func half(addr *uint64, high bool, v uint32) {
	if high {
		*addr = *addr&0xFFFFFFFF | uint64(v)<<32
	} else {
		*addr = *addr&^0xFFFFFFFF | uint64(v)
	}
}
