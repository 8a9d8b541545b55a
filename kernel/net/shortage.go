package net

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// shortage holds back whoever would fill the kernel's memory while that is short: sockets take in no more, writers wait,
// and frames that would stay are dropped. Nothing tells when there is memory again, so it looks from time to time
// while somebody waits.
type shortage struct {
	short   func() bool                // nil: never
	lasting func() bool                // nil: short
	crowded func(connections int) bool // nil: never

	mu      sync.Mutex
	waiting map[*waiter.Queue]struct{} // guarded by mu: to be told

	large sync.Mutex // held from looking whether there is memory for much data to having put it there

	sends [sendsAtOnce]sync.Mutex // one is held during a send of many bytes
	next  atomic.Uint32           // chooses one of them
}

// manyBytes are so many that those who put them there should not all look for memory first.
const manyBytes = 16 << 10

// sendsAtOnce is how many may send many bytes by IP at a time. The others have not taken memory for them yet: hundreds might find that there
// is enough for each, and then not for all.
const sendsAtOnce = 4

// send waits for the turn of a send of size bytes, which ends with the returned function.
func (s *shortage) send(size int) (end func()) {
	if size < manyBytes {
		return func() {}
	}
	turn := &s.sends[s.next.Add(1)%sendsAtOnce]
	turn.Lock()
	return turn.Unlock
}

// lookEvery is how often waiters have the memory looked at.
const lookEvery = 20 * time.Millisecond

// now tells whether memory is short.
func (s *shortage) now() bool { return s.short != nil && s.short() }

// lasts is now for somebody who can wait a moment.
func (s *shortage) lasts() bool {
	if s.lasting == nil {
		return s.now()
	}
	return s.lasting()
}

// refuses tells whether there is too little memory for a connection to e. One over the loopback needs as much as one from without: its SYN
// would be lost.
func (s *shortage) refuses(e endpoint) bool {
	looped := e.addr.Unmap().IsLoopback() || e.addr.IsUnspecified()
	return s.lasts() || looped && s.crowded != nil && s.crowded(1)
}

// holds is now for somebody who waits for waiter.WritableEvents of q, which are sent when it is over.
func (s *shortage) holds(q *waiter.Queue) bool {
	if !s.now() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		s.waiting = make(map[*waiter.Queue]struct{})
		time.AfterFunc(lookEvery, s.look)
	}
	s.waiting[q] = struct{}{}
	return true
}

// look wakes those who wait if there is memory.
func (s *shortage) look() {
	if s.now() {
		time.AfterFunc(lookEvery, s.look)
		return
	}
	s.mu.Lock()
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for q := range waiting {
		q.Notify(waiter.WritableEvents)
	}
}

// copy takes size bytes that a program gives, unless memory is short: then unix.EAGAIN, and q is told when it is over. No lock of a
// socket may be held, for program memory may have to be paged in; unix.EFAULT if it can't be.
func (s *shortage) copy(src vfs.Src, size int, q *waiter.Queue) ([]byte, error) {
	if size >= manyBytes {
		s.large.Lock()
		defer s.large.Unlock()
	}
	if s.holds(q) {
		return nil, unix.EAGAIN
	}
	data := make([]byte, size)
	for n := 0; n < size; {
		k, err := src.Read(data[n:])
		if err != nil || k == 0 {
			return nil, unix.EFAULT
		}
		n += k
	}
	return data, nil
}
