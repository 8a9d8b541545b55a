package vfs

import (
	"math"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// maxEventCount is the highest value of an eventfd's counter, see eventfd(2).
const maxEventCount = math.MaxUint64 - 1

// EventFD is a counter as a file, see eventfd(2).
type EventFD struct {
	queue     waiter.Queue
	semaphore bool

	mu    sync.Mutex
	count uint64 // guarded by mu
}

// NewEventFD returns an eventfd whose counter starts at count.
func NewEventFD(count uint64, semaphore bool) *EventFD {
	return &EventFD{count: count, semaphore: semaphore}
}

// Read takes the counter, or 1 of it in semaphore mode: unix.EAGAIN while it is 0.
func (e *EventFD) Read(dst Dst, _ int64) (int64, error) {
	if dst.Len() < 8 {
		return 0, unix.EINVAL
	}
	e.mu.Lock()
	value := e.count
	if value == 0 {
		e.mu.Unlock()
		return 0, unix.EAGAIN
	}
	if e.semaphore {
		value = 1
	}
	e.count -= value
	e.mu.Unlock()
	e.queue.Notify(waiter.WritableEvents)
	return writeUint64(dst, value)
}

// Write adds to the counter: unix.EAGAIN while that would overflow it.
func (e *EventFD) Write(src Src, _ int64) (int64, error) {
	if src.Len() < 8 {
		return 0, unix.EINVAL
	}
	value, err := readUint64(src)
	if err != nil {
		return 0, err
	}
	if value == math.MaxUint64 {
		return 0, unix.EINVAL
	}
	e.mu.Lock()
	if value > maxEventCount-e.count {
		e.mu.Unlock()
		return 0, unix.EAGAIN
	}
	e.count += value
	e.mu.Unlock()
	e.queue.Notify(waiter.ReadableEvents)
	return 8, nil
}

// Readiness implements waiter.Waitable. As on Linux, the counter is writable if 1 can be added.
func (e *EventFD) Readiness(mask waiter.EventMask) waiter.EventMask {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ready waiter.EventMask
	if e.count > 0 {
		ready |= waiter.EventIn
	}
	if e.count < maxEventCount {
		ready |= waiter.EventOut
	}
	return ready & mask
}

// EventRegister implements waiter.Waitable.
func (e *EventFD) EventRegister(entry *waiter.Entry) error {
	e.queue.EventRegister(entry)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (e *EventFD) EventUnregister(entry *waiter.Entry) { e.queue.EventUnregister(entry) }

// Stat implements File.
func (e *EventFD) Stat() (unix.Stat_t, error) { return anonymousStat(0o600, anonymousInodes), nil }

// Path is the name in /proc/self/fd.
func (e *EventFD) Path() string { return "anon_inode:[eventfd]" }

// Close implements File.
func (e *EventFD) Close() error { return nil }

func (e *EventFD) seekless() {}
