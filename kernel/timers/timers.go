// Package timers runs functions at their time, a few at once.
package timers

import (
	"container/heap"
	"sync"
	"time"
)

// Set is a set of timers. One of package time starts a goroutine when it expires, and if a thousand do so at once, their stacks are
// megabytes. Of the functions of a set only a few run at a time.
type Set struct {
	start time.Time
	alarm *time.Timer // for the first of queue

	mu      sync.Mutex
	queue   timerHeap // guarded by mu
	running int       // guarded by mu: goroutines in run
}

// atOnce is how many functions run at a time. One would do, as they wait only for locks, but for the delay.
const atOnce = 4

// NewSet returns a set without timers.
func NewSet() *Set {
	s := &Set{start: time.Now()}
	s.alarm = time.AfterFunc(time.Hour, s.run)
	return s
}

// common is the set of AfterFunc.
var common = sync.OnceValue(NewSet)

// AfterFunc is time.AfterFunc, but for f having to wait until few others run.
func AfterFunc(d time.Duration, f func()) *Timer { return common().AfterFunc(d, f) }

// AfterFunc has f run after d. It may wait for locks, but not for long.
func (s *Set) AfterFunc(d time.Duration, f func()) *Timer {
	t := &Timer{of: s, f: f, index: notQueued}
	t.Reset(d)
	return t
}

// now is the time since the set was made.
func (s *Set) now() time.Duration { return time.Since(s.start) }

// run runs what is due.
func (s *Set) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == atOnce {
		return // they take it
	}
	s.running++
	for len(s.queue) > 0 && s.queue[0].when <= s.now() {
		t := heap.Pop(&s.queue).(*Timer)
		s.setAlarmLocked()
		s.mu.Unlock()
		t.f()
		s.mu.Lock()
	}
	s.running--
	s.setAlarmLocked()
}

// setAlarmLocked has run called when the first timer expires.
func (s *Set) setAlarmLocked() {
	if len(s.queue) > 0 && s.running < atOnce {
		s.alarm.Reset(s.queue[0].when - s.now())
	}
}

// Timer is one of a set.
type Timer struct {
	of *Set
	f  func()

	when  time.Duration // guarded by of.mu
	index int           // guarded by of.mu: in of.queue, or notQueued
}

const notQueued = -1

// Stop keeps the timer from expiring; false if there is nothing to be kept from. Its function may be running.
func (t *Timer) Stop() bool {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.index == notQueued {
		return false
	}
	heap.Remove(&t.of.queue, t.index)
	return true
}

// Reset has the timer expire after d, whether it was stopped, has expired or waits.
func (t *Timer) Reset(d time.Duration) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.when = t.of.now() + max(d, 0)
	if t.index == notQueued {
		heap.Push(&t.of.queue, t)
	} else {
		heap.Fix(&t.of.queue, t.index)
	}
	if t.index == 0 {
		t.of.setAlarmLocked()
	}
}

// timerHeap implements heap.Interface; the first timer expires first.
type timerHeap []*Timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].when < h[j].when }

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(t any) {
	t.(*Timer).index = len(*h)
	*h = append(*h, t.(*Timer))
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = notQueued
	return t
}
