package task

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// realTimer is ITIMER_REAL of a process, setitimer(2): it sends SIGALRM.
type realTimer struct {
	mu       sync.Mutex
	timer    *time.Timer   // guarded by mu; nil: never set
	run      uint64        // guarded by mu; which setting is in force: late expiries of earlier ones do nothing
	next     time.Time     // guarded by mu; zero: disarmed
	interval time.Duration // guarded by mu
}

// SetRealTimer arms ITIMER_REAL for value from now and then each interval, or disarms it (value 0), and returns
// what was left and the interval before.
func (p *Process) SetRealTimer(value, interval time.Duration) (left, oldInterval time.Duration) {
	r := &p.timer
	r.mu.Lock()
	defer r.mu.Unlock()
	left, oldInterval = r.leftLocked()
	if r.timer != nil {
		r.timer.Stop()
	}
	r.run++
	r.next, r.interval = time.Time{}, interval
	if value > 0 {
		run := r.run
		r.next = time.Now().Add(value)
		r.timer = time.AfterFunc(value, func() { p.expire(run) })
	}
	return left, oldInterval
}

// RealTimer returns what is left of ITIMER_REAL, 0 if it isn't armed, and its interval.
func (p *Process) RealTimer() (left, interval time.Duration) {
	p.timer.mu.Lock()
	defer p.timer.mu.Unlock()
	return p.timer.leftLocked()
}

// leftLocked never reports 0 for a timer that is armed.
func (r *realTimer) leftLocked() (left, interval time.Duration) {
	if r.next.IsZero() {
		return 0, r.interval
	}
	return max(time.Until(r.next), time.Microsecond), r.interval
}

// expire sends the signal, if setting number run is still in force.
func (p *Process) expire(run uint64) {
	r := &p.timer
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != run {
		return
	}
	r.next = time.Time{}
	if r.interval > 0 {
		r.next = time.Now().Add(r.interval)
		r.timer.Reset(r.interval)
	}
	// Under the lock: when a call that disarms the timer has returned, its signal has been sent or never will be.
	p.Signal(unix.SIGALRM)
}

// stop ends the timer with its process.
func (r *realTimer) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run++
	if r.timer != nil {
		r.timer.Stop()
	}
}
