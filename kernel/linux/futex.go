package linux

import (
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
)

// Commands of futex(2) [linux/futex.h].
const (
	futexWait       = 0
	futexWake       = 1
	futexRequeue    = 3
	futexCmpRequeue = 4
	futexWakeOp     = 5
	futexWaitBitset = 9
	futexWakeBitset = 10

	futexPrivate       = 128
	futexClockRealtime = 256

	futexMatchAny = 0xffffffff
)

// futex is futex(2). The PI commands are unix.ENOSYS.
func (c *Call) futex() (uint64, error) {
	addr, value, addr2, value3 := c.Args[0], uint32(c.Args[2]), c.Args[4], uint32(c.Args[5])
	command := c.Args[1] & 0xffffffff &^ (futexPrivate | futexClockRealtime)
	realtime := c.Args[1]&futexClockRealtime != 0
	if realtime && command != futexWaitBitset && command != futexWait {
		return 0, unix.ENOSYS
	}
	// The fourth argument is a timeout for the waiting commands and a second count for the others.
	count, count2 := int(int32(value)), int(int32(c.Args[3]))
	switch command {
	case futexWait:
		return c.futexWait(addr, value, futexMatchAny, false, realtime)
	case futexWaitBitset:
		return c.futexWait(addr, value, value3, true, realtime)
	case futexWake:
		n, err := c.FutexWake(addr, count, futexMatchAny)
		return uint64(n), err
	case futexWakeBitset:
		n, err := c.FutexWake(addr, count, value3)
		return uint64(n), err
	case futexRequeue:
		woken, moved, err := c.FutexRequeue(addr, addr2, count, count2, nil)
		return uint64(woken + moved), err // futex(2) tells of the woken only, but Linux counts as below
	case futexCmpRequeue:
		woken, moved, err := c.FutexRequeue(addr, addr2, count, count2, &value3)
		return uint64(woken + moved), err
	case futexWakeOp:
		n, err := c.FutexWakeOp(addr, addr2, count, count2, value3)
		return uint64(n), err
	}
	return 0, unix.ENOSYS
}

// futexWait waits, with a timeout that is a time of day (absolute) or a span. With a timeout the call doesn't start
// again after a handler.
func (c *Call) futexWait(addr uint64, value, bits uint32, absolute, realtime bool) (uint64, error) {
	if c.Args[3] == 0 {
		return 0, c.Thread.FutexWait(addr, value, bits, time.Time{})
	}
	d, err := c.timespec(c.Args[3])
	if err != nil {
		return 0, err
	}
	var deadline time.Time
	switch {
	case !absolute:
		deadline = c.after(d)
	case realtime:
		deadline = realtimeDeadline(d)
	default:
		deadline = c.Kernel.monotonicDeadline(d)
	}
	err = c.Thread.FutexWait(addr, value, bits, deadline)
	if err == unix.EINTR {
		return 0, errNoRestart
	}
	return 0, err
}

func (c *Call) setRobustList() (uint64, error) {
	if c.Args[1] != task.RobustHeadSize {
		return 0, unix.EINVAL
	}
	c.Thread.SetRobustList(c.Args[0])
	return 0, nil
}

// getRobustList knows the caller's list.
//
// DEVIATION: those of other threads, which only debuggers ask for, are unix.EPERM.
func (c *Call) getRobustList() (uint64, error) {
	if tid := int32(c.Args[0]); tid != 0 && tid != int32(c.Thread.TID) {
		if c.Process.Process.Thread(int(tid)) == nil {
			return 0, unix.ESRCH
		}
		return 0, unix.EPERM
	}
	if err := c.Space.PutUint64(c.Args[1], c.Thread.RobustList()); err != nil {
		return 0, err
	}
	return 0, c.Space.PutUint64(c.Args[2], task.RobustHeadSize)
}
