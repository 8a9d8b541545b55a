package linux

import (
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// timerfdCreate is timerfd_create(2): clockid, flags.
func (c *Call) timerfdCreate() (uint64, error) {
	flags := uint32(c.Args[1])
	if flags&^(unix.TFD_CLOEXEC|unix.TFD_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	realtime := false
	switch int32(c.Args[0]) {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_ALARM:
		realtime = true
	case unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
	default:
		return 0, unix.EINVAL
	}
	fd, err := c.FDs.Open(vfs.NewTimerFD(realtime), unix.O_RDWR|flags)
	return uint64(fd), err
}

// timer returns the timer open as the descriptor in the first argument.
func (c *Call) timer() (*vfs.OpenFile, *vfs.TimerFD, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return nil, nil, err
	}
	t, ok := o.File().(*vfs.TimerFD)
	if !ok {
		o.Release()
		return nil, nil, unix.EINVAL
	}
	return o, t, nil
}

// timerfdSettime is timerfd_settime(2): fd, flags, new_value, old_value.
func (c *Call) timerfdSettime() (uint64, error) {
	flags := uint32(c.Args[1])
	if flags&^(unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET) != 0 {
		return 0, unix.EINVAL
	}
	interval, err := c.timespec(c.Args[2])
	if err != nil {
		return 0, err
	}
	value, err := c.timespec(c.Args[2] + timespecSize)
	if err != nil {
		return 0, err
	}
	o, t, err := c.timer()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	var next time.Time
	switch {
	case value == 0:
	case flags&unix.TFD_TIMER_ABSTIME == 0:
		next = time.Now().Add(min(value, maxWait))
	case t.Realtime():
		next = realtimeDeadline(value)
	default:
		next = c.Kernel.monotonicDeadline(value)
	}
	left, oldInterval := t.Set(next, interval)
	if c.Args[3] == 0 {
		return 0, nil
	}
	return 0, c.putItimerspec(c.Args[3], left, oldInterval)
}

func (c *Call) timerfdGettime() (uint64, error) {
	o, t, err := c.timer()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	left, interval := t.Get()
	return 0, c.putItimerspec(c.Args[1], left, interval)
}

// putItimerspec stores a struct itimerspec.
func (c *Call) putItimerspec(addr uint64, value, interval time.Duration) error {
	var b [2 * timespecSize]byte
	encodeTimespec(b[:timespecSize], interval)
	encodeTimespec(b[timespecSize:], value)
	return c.Space.CopyOut(addr, b[:])
}
