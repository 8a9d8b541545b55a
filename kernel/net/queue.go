package net

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// datagramQueue holds what a datagram socket has received and nobody has read. It is bounded by the memory that the
// datagrams really take, not by their data only, so that a flood of empty ones is bounded too.
type datagramQueue struct {
	wait  *waiter.Queue
	stack *Stack

	dropped atomic.Uint64 // datagrams that found the queue full, or no memory
	stamp   atomic.Bool   // note the time of arrival

	wantErrors4, wantErrors6 atomic.Bool // IP_RECVERR, IPV6_RECVERR

	mu     sync.Mutex
	ring   []received // guarded by mu, as all below; the first is at head
	head   int
	count  int
	cost   int
	limit  int
	err    error // an ICMP error that nobody has been told yet
	errors errorQueue
	closed bool // take in nothing more
}

// Why deliver drops datagrams.
const (
	dropSocketQueueFull = "socket-queue-full"
	dropSocketNoMemory  = "socket-no-memory"
	dropSocketShut      = "socket-shut" // shutdown(SHUT_RD)
)

// datagramSlotCost is what a place in the ring costs, in bytes.
const datagramSlotCost = 160

// deliver implements datagramSink.
func (q *datagramQueue) deliver(d received) (drop string) {
	if q.stamp.Load() {
		d.timeNS = time.Now().UnixNano()
	}
	starved := q.stack.shortage.now()
	q.mu.Lock()
	if q.closed || q.cost > q.limit || starved {
		closed := q.closed
		q.mu.Unlock()
		drop = dropSocketShut
		if !closed {
			drop = q.drops(starved)
		}
		d.payload.Release()
		return drop
	}
	if q.count == len(q.ring) {
		q.growLocked()
	}
	q.ring[(q.head+q.count)&(len(q.ring)-1)] = d
	q.count++
	q.cost += d.payload.Cost() + datagramSlotCost
	q.mu.Unlock()
	q.wait.Notify(waiter.ReadableEvents)
	return ""
}

// drops counts a datagram that is dropped, and says why.
func (q *datagramQueue) drops(starved bool) (why string) {
	q.dropped.Add(1)
	if starved {
		q.stack.starved.Add(1)
		return dropSocketNoMemory
	}
	q.stack.overflow.Add(1)
	return dropSocketQueueFull
}

// growLocked doubles the ring; its length is a power of two.
func (q *datagramQueue) growLocked() {
	ring := make([]received, max(4, 2*len(q.ring)))
	for i := range q.count {
		ring[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
	}
	q.ring, q.head = ring, 0
}

// takeError returns the pending error and clears it.
func (q *datagramQueue) takeError() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.err
	q.err = nil
	return err
}

// take removes the first datagram, or only looks at it. The caller releases the payload. The pending error
// goes first; an empty queue is unix.EAGAIN, a closed one ok == false.
func (q *datagramQueue) take(peek bool) (d received, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		err, q.err = q.err, nil
		return received{}, false, err
	}
	if q.count == 0 {
		if q.closed {
			return received{}, false, nil
		}
		return received{}, false, unix.EAGAIN
	}
	d = q.ring[q.head]
	if peek {
		d.payload.Retain()
		return d, true, nil
	}
	q.ring[q.head] = received{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.count--
	q.cost -= d.payload.Cost() + datagramSlotCost
	return d, true, nil
}

// next is the length of the first datagram, 0 if there is none.
func (q *datagramQueue) next() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == 0 {
		return 0
	}
	return q.ring[q.head].payload.Len()
}

// state tells whether reading would not block, and whether an error is pending.
func (q *datagramQueue) state() (readable, failed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count > 0 || q.closed, q.err != nil || len(q.errors.waiting) > 0
}

// setLimit bounds the memory of the queue, in bytes.
func (q *datagramQueue) setLimit(n int) {
	q.mu.Lock()
	q.limit = n
	q.mu.Unlock()
}

func (q *datagramQueue) getLimit() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.limit
}

// shut stops the reception; what is queued can still be read.
func (q *datagramQueue) shut() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wait.Notify(waiter.ReadableEvents | waiter.EventRdHUp | waiter.EventHUp)
}

// drop stops the reception and throws away what is queued.
func (q *datagramQueue) drop() {
	q.mu.Lock()
	q.closed = true
	for q.count > 0 {
		q.ring[q.head].payload.Release()
		q.ring[q.head] = received{}
		q.head = (q.head + 1) & (len(q.ring) - 1)
		q.count--
	}
	q.ring, q.cost, q.head, q.errors = nil, 0, 0, errorQueue{}
	q.mu.Unlock()
}
