package net

import (
	"container/heap"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// timers are the engine's. A timer of package time starts a goroutine when it expires, and if those of a thousand connections do so at
// once, their stacks are megabytes. Of these only a few functions run at a time.
type timers struct {
	now   func() time.Duration // since some moment; monotonic
	alarm *time.Timer          // for the first of queue

	mu      sync.Mutex
	queue   timerHeap // guarded by mu
	running int       // guarded by mu: goroutines in run
}

// timersAtOnce is how many functions run at a time. One would do, as they wait only for locks, but for the delay.
const timersAtOnce = 4

func newTimers(now func() time.Duration) *timers {
	ts := &timers{now: now}
	ts.alarm = time.AfterFunc(time.Hour, ts.run)
	return ts
}

// afterFunc is time.AfterFunc, but for f having to wait until few others run.
func (ts *timers) afterFunc(d time.Duration, f func()) tcpip.Timer {
	t := &timer{of: ts, f: f, index: notQueued}
	t.Reset(d)
	return t
}

// run runs what is due.
func (ts *timers) run() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.running == timersAtOnce {
		return // they take it
	}
	ts.running++
	for len(ts.queue) > 0 && ts.queue[0].when <= ts.now() {
		t := heap.Pop(&ts.queue).(*timer)
		ts.setAlarmLocked()
		ts.mu.Unlock()
		t.f()
		ts.mu.Lock()
	}
	ts.running--
	ts.setAlarmLocked()
}

// setAlarmLocked has run called when the first timer expires.
func (ts *timers) setAlarmLocked() {
	if len(ts.queue) > 0 && ts.running < timersAtOnce {
		ts.alarm.Reset(ts.queue[0].when - ts.now())
	}
}

// timer is one of timers.
type timer struct {
	of *timers
	f  func()

	when  time.Duration // guarded by of.mu
	index int           // guarded by of.mu: in of.queue, or notQueued
}

const notQueued = -1

// Stop implements tcpip.Timer.
func (t *timer) Stop() bool {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.index == notQueued {
		return false
	}
	heap.Remove(&t.of.queue, t.index)
	return true
}

// Reset implements tcpip.Timer.
func (t *timer) Reset(d time.Duration) {
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
type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].when < h[j].when }

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(t any) {
	t.(*timer).index = len(*h)
	*h = append(*h, t.(*timer))
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = notQueued
	return t
}
