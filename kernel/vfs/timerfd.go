package vfs

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/timers"
)

// TimerFD is a timer as a file, see timerfd_create(2). All its clocks run alike here, but for
// absolute times, which the caller turns into a time.Time.
type TimerFD struct {
	queue    waiter.Queue
	realtime bool // whether absolute times are of CLOCK_REALTIME

	mu       sync.Mutex
	timer    *timers.Timer // guarded by mu; nil if disarmed. After an expiration it rests until somebody reads or asks
	next     time.Time     // guarded by mu: the next expiration
	interval time.Duration // guarded by mu: 0: once
	expired  uint64        // guarded by mu: expirations not read yet
	setting  uint64        // guarded by mu: counts the calls of Set, so that a late timer is told from its successor
}

// NewTimerFD returns a disarmed timer.
func NewTimerFD(realtime bool) *TimerFD { return &TimerFD{realtime: realtime} }

// Realtime tells what NewTimerFD was told.
func (t *TimerFD) Realtime() bool { return t.realtime }

// Set arms the timer to expire at next and then each interval, or disarms it if next is the zero
// time. It returns the time left until the next expiration, and the interval, of the old setting.
func (t *TimerFD) Set(next time.Time, interval time.Duration) (oldLeft, oldInterval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.countLocked()
	oldLeft, oldInterval = t.leftLocked()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.setting++
	t.expired = 0
	t.next, t.interval = next, interval
	if !next.IsZero() {
		t.armLocked()
	}
	return oldLeft, oldInterval
}

// Get returns the time left until the next expiration (0: disarmed) and the interval.
func (t *TimerFD) Get() (left, interval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.expired > 0 { // else the timer, which may be late, has yet to tell of it
		t.countLocked()
		t.resumeLocked()
	}
	return t.leftLocked()
}

func (t *TimerFD) leftLocked() (left, interval time.Duration) {
	if t.timer == nil {
		return 0, t.interval
	}
	return max(time.Until(t.next), 1), t.interval
}

func (t *TimerFD) armLocked() {
	setting := t.setting
	t.timer = timers.AfterFunc(time.Until(t.next), func() { t.expire(setting) })
}

// expire is what the timer runs. As on Linux it tells of an expiration, and of the next one only when somebody has read or asked since:
// a short interval costs nothing while nobody looks.
func (t *TimerFD) expire(setting uint64) {
	t.mu.Lock()
	expired := false
	if setting == t.setting {
		t.countLocked()
		if expired = t.expired > 0; !expired {
			t.resumeLocked() // the timer was early, or a reader has counted before
		}
	}
	t.mu.Unlock()
	if expired {
		t.queue.Notify(waiter.ReadableEvents)
	}
}

// countLocked counts the expirations that have come. After the last one the timer is disarmed.
func (t *TimerFD) countLocked() {
	if t.timer == nil {
		return
	}
	late := time.Since(t.next)
	if late < 0 {
		return
	}
	t.expired++
	if t.interval == 0 {
		t.timer.Stop()
		t.timer = nil
		return
	}
	missed := late / t.interval
	t.expired += uint64(missed)
	t.next = t.next.Add((missed + 1) * t.interval)
}

// resumeLocked has the timer wait for the next expiration.
func (t *TimerFD) resumeLocked() {
	if t.timer != nil {
		t.timer.Reset(time.Until(t.next))
	}
}

// Read returns the number of expirations since the last Read: unix.EAGAIN while it is 0. Those count that the timer, which may be
// late, has yet to tell of.
func (t *TimerFD) Read(dst Dst, _ int64) (int64, error) {
	if dst.Len() < 8 {
		return 0, unix.EINVAL
	}
	t.mu.Lock()
	t.countLocked()
	count := t.expired
	t.expired = 0
	if count > 0 {
		t.resumeLocked()
	}
	t.mu.Unlock()
	if count == 0 {
		return 0, unix.EAGAIN
	}
	return writeUint64(dst, count)
}

// Write implements File: timers can't be written.
func (t *TimerFD) Write(Src, int64) (int64, error) { return 0, unix.EINVAL }

// Readiness implements waiter.Waitable.
func (t *TimerFD) Readiness(mask waiter.EventMask) waiter.EventMask {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.expired > 0 {
		return waiter.EventIn & mask
	}
	return 0
}

// EventRegister implements waiter.Waitable.
func (t *TimerFD) EventRegister(entry *waiter.Entry) error {
	t.queue.EventRegister(entry)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (t *TimerFD) EventUnregister(entry *waiter.Entry) { t.queue.EventUnregister(entry) }

// Stat implements File.
func (t *TimerFD) Stat() (unix.Stat_t, error) { return anonymousStat(0o600, anonymousInodes), nil }

// Path is the name in /proc/self/fd.
func (t *TimerFD) Path() string { return "anon_inode:[timerfd]" }

// Close stops the timer.
func (t *TimerFD) Close() error {
	t.Set(time.Time{}, 0)
	return nil
}

func (t *TimerFD) seekless() {}
