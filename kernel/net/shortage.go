package net

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

// shortage holds back whoever would fill the kernel's memory while that is short: sockets take in no more, writers wait,
// and frames that would stay are dropped. Nothing tells when there is memory again, so it looks from time to time
// while somebody waits.
type shortage struct {
	short   func() bool // nil: never
	lasting func() bool // nil: short

	mu      sync.Mutex
	waiting map[*waiter.Queue]struct{} // guarded by mu: to be told
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
