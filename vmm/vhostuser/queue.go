package vhostuser

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// maxQueueSize is the most entries that a ring may have [virtio 2.6].
const maxQueueSize = 32768

// Descriptor flags [virtio 2.7.5].
const (
	descNext     = 1
	descWrite    = 2
	descIndirect = 4
)

const descSize = 16

// Offsets in the rings [virtio 2.7.6, 2.7.8]: two words of 16 bits, flags and index, then the entries.
const (
	ringHeader    = 4
	availElement  = 2
	usedElement   = 8
	eventSize     = 2 // used_event and avail_event, behind the entries
	noInterrupt   = 1 // flag of the available ring
	noNotify      = 1 // flag of the used ring
	ringAlignment = 4 // of the used ring; the available ring has 2
)

// Queue is a virtqueue, seen from the device.
type Queue struct {
	Index   int
	backend *Backend

	mu      sync.Mutex
	size    uint16                   // guarded by mu, as all below
	addr    struct{ d, a, u uint64 } // of the rings, as the front-end knows them
	enabled bool
	kick    *os.File // eventfd; the queue is started while there is one
	call    *os.File // eventfd; nil if the driver polls

	desc, avail, used []byte // nil while the queue is not running
	eventIdx          bool
	nextAvail         uint16 // index of the next entry to take
	nextUsed          uint16 // index of the next entry to give back
	told              uint16 // nextUsed when the guest was interrupted last
	quiet             bool   // the guest has been told not to notify
	table             []byte // an indirect table, copied
	chain             Chain
}

// Chain is what a driver has put into a queue: buffers that the device reads, then buffers that it writes.
type Chain struct {
	Read, Write [][]byte // in guest memory: it may change while one looks
	head        uint16
}

// Each calls f with each chain that is available. f returns how many bytes it has written, and whether it has used the
// chain: if not, that stays the first, and Each ends; nor will the guest notify then, so whoever left it must call Each
// again. An error of f is the guest's and stops the device.
func (q *Queue) Each(f func(c *Chain) (written int, used bool, err error)) {
	q.guarded(func() error {
		if q.desc == nil {
			return nil
		}
		defer q.interrupt()
		took := false
		for !q.backend.isBroken() { // by another queue, meanwhile
			n, err := q.available()
			if err != nil {
				return err
			}
			if n == 0 {
				if q.listen(); q.sleeping() {
					if took {
						q.lookAgain()
					}
					return nil
				}
				continue
			}
			took = true
			q.hush()
			for range n {
				chain, err := q.next()
				if err != nil {
					return err
				}
				written, used, err := f(chain)
				if err != nil || !used {
					return err
				}
				q.nextAvail++
				q.give(chain.head, uint32(written))
			}
		}
		return nil
	})
}

// availIndex returns the driver's index, with acquire order. The index is 2 bytes behind the start of a ring that is aligned to
// 2 only; it is read as half of an aligned word.
func (q *Queue) availIndex() uint16 {
	if alignedWord(q.avail) {
		return uint16(word(q.avail).Load() >> 16)
	}
	return uint16(word(q.avail[2:]).Load())
}

// available returns how many chains there are to take.
func (q *Queue) available() (int, error) {
	n := q.availIndex() - q.nextAvail
	if n > q.size {
		return 0, fmt.Errorf("%w: its index went to %d from %d, and there are %d entries", ErrRing, q.availIndex(), q.nextAvail, q.size)
	}
	return int(n), nil
}

// sleeping tells whether there is nothing to take after the guest has been asked to notify.
func (q *Queue) sleeping() bool { return q.availIndex() == q.nextAvail }

// lookAgainTime is how long after the last chain a queue is looked at once more, without a notification. By then what a processor
// holds back is long to be seen.
const lookAgainTime = time.Millisecond

// lookAgain has Kick called a little later, as if the guest had notified. The guest stores its index, and then loads whether the
// device wants to know; for a guest with one CPU, QEMU 7.2 translates the barrier between them to nothing (tcg_gen_mb), and so
// the guest can have seen that the device looks anyway when the device sees that there is nothing, and sleeps.
func (q *Queue) lookAgain() {
	q.kick.SetReadDeadline(time.Now().Add(lookAgainTime))
}

// hush tells the guest not to notify [virtio 2.7.10]. With avail_event nothing is to be done: it stays behind.
func (q *Queue) hush() {
	if !q.eventIdx && !q.quiet {
		q.quiet = true
		q.storeUsed()
	}
}

// listen tells the guest to notify. Whatever the guest adds later makes a kick; what it has added before is to be seen
// after that, which is why a barrier stands between.
func (q *Queue) listen() {
	if q.eventIdx {
		binary.LittleEndian.PutUint16(q.used[ringHeader+usedElement*int(q.size):], q.nextAvail)
		barrier()
		return
	}
	if q.quiet {
		q.quiet = false
		q.storeUsed()
	}
}

// barrier orders what was stored before it before what is loaded behind it: atomic operations are sequentially
// consistent.
func barrier() {
	var w atomic.Uint32
	w.Swap(1)
}

// storeUsed publishes the used ring's flags and index.
func (q *Queue) storeUsed() {
	w := uint32(q.nextUsed) << 16
	if q.quiet {
		w |= noNotify
	}
	word(q.used).Store(w)
}

// next returns the next chain. The guest may change all of it at any time: each field is read once.
func (q *Queue) next() (*Chain, error) {
	slot := int(q.nextAvail % q.size)
	head := binary.LittleEndian.Uint16(q.avail[ringHeader+availElement*slot:])
	if head >= q.size {
		return nil, fmt.Errorf("%w: descriptor %d of %d", ErrRing, head, q.size)
	}
	c := &q.chain
	c.head, c.Read, c.Write = head, c.Read[:0], c.Write[:0]
	return c, q.follow(c, q.desc, head, int(q.size))
}

// follow adds the buffers of a chain of descriptors to c. A chain that is longer than its table goes in a circle.
func (q *Queue) follow(c *Chain, table []byte, at uint16, size int) error {
	for range size {
		if int(at) >= size {
			return fmt.Errorf("%w: descriptor %d of %d", ErrRing, at, size)
		}
		d := table[descSize*int(at):]
		addr, length := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint32(d[8:])
		flags, next := binary.LittleEndian.Uint16(d[12:]), binary.LittleEndian.Uint16(d[14:])
		if flags&descIndirect != 0 {
			return q.followTable(c, table, addr, length, flags)
		}
		var err error
		switch {
		case flags&descWrite != 0:
			c.Write, err = q.backend.memory.appendGuest(c.Write, addr, length)
		case len(c.Write) > 0:
			err = fmt.Errorf("%w: a buffer to read behind one to write", ErrRing)
		default:
			c.Read, err = q.backend.memory.appendGuest(c.Read, addr, length)
		}
		if err != nil || flags&descNext == 0 {
			return err
		}
		at = next
	}
	return fmt.Errorf("%w: a chain of more than %d descriptors", ErrRing, size)
}

// followTable adds the buffers of an indirect table [virtio 2.7.5.3].
func (q *Queue) followTable(c *Chain, table []byte, addr uint64, length uint32, flags uint16) error {
	n := int(length / descSize)
	switch {
	case &table[0] != &q.desc[0]:
		return fmt.Errorf("%w: an indirect table in an indirect table", ErrRing)
	case flags&descNext != 0:
		return fmt.Errorf("%w: a descriptor behind an indirect table", ErrRing)
	case length%descSize != 0 || n == 0 || n > int(q.size):
		return fmt.Errorf("%w: an indirect table of %d bytes in a ring of %d", ErrRing, length, q.size)
	}
	pieces, err := q.backend.memory.appendGuest(nil, addr, length)
	if err != nil {
		return err
	}
	q.table = q.table[:0]
	for _, p := range pieces {
		q.table = append(q.table, p...)
	}
	return q.follow(c, q.table, 0, n)
}

// give gives a chain back to the driver [virtio 2.7.8].
func (q *Queue) give(head uint16, written uint32) {
	e := q.used[ringHeader+usedElement*int(q.nextUsed%q.size):]
	binary.LittleEndian.PutUint32(e, uint32(head))
	binary.LittleEndian.PutUint32(e[4:], written)
	q.nextUsed++
	q.storeUsed()
}

// interrupt interrupts the guest if chains were given back since the last time and it wants to know [virtio 2.7.7].
// storeUsed was the barrier between the index and what is read here.
func (q *Queue) interrupt() {
	if q.nextUsed == q.told {
		return
	}
	wanted := binary.LittleEndian.Uint16(q.avail)&noInterrupt == 0
	if q.eventIdx {
		event := binary.LittleEndian.Uint16(q.avail[ringHeader+availElement*int(q.size):])
		wanted = q.nextUsed-event-1 < q.nextUsed-q.told
	}
	q.told = q.nextUsed
	if wanted && q.call != nil {
		q.call.Write(one[:]) // it fails only if the counter is at its end, and then the guest will look anyhow
	}
}

// one is what is written to an eventfd.
var one = [8]byte{1}

// Wake makes Kick be called soon, as if the guest had notified. It may be called with any lock held but the Backend's own.
func (q *Queue) Wake() {
	q.backend.mu.Lock()
	defer q.backend.mu.Unlock()
	if f := q.backend.kicks[q.Index]; f != nil {
		f.Write(one[:])
	}
}
