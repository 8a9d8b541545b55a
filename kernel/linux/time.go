package linux

import (
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
)

const (
	coarseResolution = 4 * time.Millisecond  // that of Linux with HZ=250
	clockTick        = 10 * time.Millisecond // USER_HZ is 100

	timerAbstime = 1 // TIMER_ABSTIME of clock_nanosleep
)

// startTime is what CLOCK_MONOTONIC counts from if nothing else is known.
var startTime = time.Now()

// monotonic is CLOCK_MONOTONIC.
func (k *Kernel) monotonic() time.Duration {
	if k.Monotonic != nil {
		return k.Monotonic()
	}
	return time.Since(startTime)
}

// monotonicZero returns the time at which CLOCK_MONOTONIC was 0, or a little later, but for no deadline too early. The two clocks
// can't be read at once, so it is found out once, and by the quickest of several tries.
func (k *Kernel) monotonicZero() time.Time {
	k.zeroOnce.Do(func() {
		for try := range 10 {
			elapsed := k.monotonic() // first, so that what comes in between makes it later
			if zero := time.Now().Add(-elapsed); try == 0 || zero.Before(k.zero) {
				k.zero = zero
			}
		}
	})
	return k.zero
}

// monotonicDeadline returns the time at which CLOCK_MONOTONIC is at.
func (k *Kernel) monotonicDeadline(at time.Duration) time.Time {
	return k.monotonicZero().Add(min(at, maxWait))
}

// realtimeDeadline returns the time at which CLOCK_REALTIME is at, if nobody sets that clock; no program can.
func realtimeDeadline(at time.Duration) time.Time {
	now := time.Now()
	return now.Add(min(at-time.Duration(now.UnixNano()), maxWait))
}

// readClock returns the time on a clock; unix.EINVAL if there is none of that number.
func (c *Call) readClock(clock int32) (time.Duration, error) {
	switch clock {
	case unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_MONOTONIC_COARSE,
		unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
		return c.Kernel.monotonic(), nil
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_TAI:
		return time.Duration(time.Now().UnixNano()), nil
	case unix.CLOCK_PROCESS_CPUTIME_ID:
		return c.CPUTime(), nil
	case unix.CLOCK_THREAD_CPUTIME_ID:
		return c.Thread.CPUTime(), nil
	}
	if clock >= 0 {
		return 0, unix.EINVAL
	}
	of, err := c.cpuClock(clock)
	switch {
	case err != nil:
		return 0, err
	case of == nil:
		return c.CPUTime(), nil
	}
	return of.CPUTime(), nil
}

// cpuClock returns the thread whose CPU time a clock shows, nil for the process's. Such clocks have an id made from that
// of the process or thread, clock_getcpuclockid(3): the id's complement, 3 bits to the left, with bit 2 for a thread and
// 2 (CPUCLOCK_SCHED) or another kind of time below.
func (c *Call) cpuClock(clock int32) (*task.Thread, error) {
	id, thread, kind := int(^(clock >> 3)), clock&4 != 0, clock&3
	switch {
	case kind == 3: // a clock that is a file descriptor
		return nil, unix.EINVAL
	case !thread && (id == 0 || id == c.PID):
		return nil, nil
	case !thread:
		return nil, unix.EINVAL
	case id == 0:
		return c.Thread, nil
	}
	if t := c.Process.Process.Thread(id); t != nil {
		return t, nil
	}
	return nil, unix.EINVAL
}

func (c *Call) clockGettime() (uint64, error) {
	now, err := c.readClock(int32(c.Args[0]))
	if err != nil {
		return 0, err
	}
	return 0, c.putTimespec(c.Args[1], now)
}

func (c *Call) clockGetres() (uint64, error) {
	clock := int32(c.Args[0])
	if _, err := c.readClock(clock); err != nil {
		return 0, err
	}
	if c.Args[1] == 0 {
		return 0, nil
	}
	resolution := time.Nanosecond
	if clock == unix.CLOCK_REALTIME_COARSE || clock == unix.CLOCK_MONOTONIC_COARSE {
		resolution = coarseResolution
	}
	return 0, c.putTimespec(c.Args[1], resolution)
}

// sleepUntil sleeps and, if a signal ends that early and left is not 0, stores there what was left.
func (c *Call) sleepUntil(deadline time.Time, left uint64) (uint64, error) {
	err := c.Thread.Pause(deadline)
	if err == unix.ETIMEDOUT {
		return 0, nil
	}
	if left != 0 {
		if err := c.putTimespec(left, max(0, time.Until(deadline))); err != nil {
			return 0, err
		}
	}
	return 0, err
}

func (c *Call) nanosleep() (uint64, error) {
	d, err := c.timespec(c.Args[0])
	if err != nil {
		return 0, err
	}
	return c.sleepUntil(c.after(d), c.Args[1])
}

// clockNanosleep is clock_nanosleep(2), without the clocks of CPU time (unix.EOPNOTSUPP).
func (c *Call) clockNanosleep() (uint64, error) {
	clock := int32(c.Args[0])
	realtime := false
	switch clock {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_TAI:
		realtime = true
	case unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
	case unix.CLOCK_THREAD_CPUTIME_ID:
		return 0, unix.EINVAL
	default:
		if _, err := c.readClock(clock); err != nil {
			return 0, err
		}
		return 0, unix.EOPNOTSUPP
	}
	d, err := c.timespec(c.Args[2])
	switch {
	case err != nil:
		return 0, err
	case c.Args[1]&timerAbstime == 0:
		return c.sleepUntil(c.after(d), c.Args[3])
	case realtime:
		return c.sleepUntil(realtimeDeadline(d), 0)
	}
	return c.sleepUntil(c.Kernel.monotonicDeadline(d), 0)
}

func (c *Call) gettimeofday() (uint64, error) {
	if c.Args[0] != 0 {
		var b [timevalSize]byte
		encodeTimeval(b[:], time.Duration(time.Now().UnixNano()))
		if err := c.Space.CopyOut(c.Args[0], b[:]); err != nil {
			return 0, err
		}
	}
	if c.Args[1] != 0 { // struct timezone: UTC
		return 0, c.Space.PutUint64(c.Args[1], 0)
	}
	return 0, nil
}

func (c *Call) time() (uint64, error) {
	now := uint64(time.Now().Unix())
	if c.Args[0] != 0 {
		if err := c.Space.PutUint64(c.Args[0], now); err != nil {
			return 0, err
		}
	}
	return now, nil
}

// times is times(2): all CPU time counts as the program's own, none as the system's.
func (c *Call) times() (uint64, error) {
	if c.Args[0] != 0 {
		var b [32]byte // tms_utime, tms_stime, tms_cutime, tms_cstime
		le.PutUint64(b[0:], uint64(c.CPUTime()/clockTick))
		children, _ := c.ChildrenUsage()
		le.PutUint64(b[16:], uint64(children/clockTick))
		if err := c.Space.CopyOut(c.Args[0], b[:]); err != nil {
			return 0, err
		}
	}
	return uint64(c.Kernel.monotonic() / clockTick), nil
}

// alarm is alarm(2): what was left is rounded, but never to 0.
func (c *Call) alarm() (uint64, error) {
	left, _ := c.SetITimer(task.ITimerReal, time.Duration(uint32(c.Args[0]))*time.Second, 0)
	if left == 0 {
		return 0, nil
	}
	return uint64(max(1, (left+time.Second/2)/time.Second)), nil
}

// setitimer is setitimer(2).
func (c *Call) setitimer() (uint64, error) {
	which := int32(c.Args[0])
	if which < unix.ITIMER_REAL || which > unix.ITIMER_PROF {
		return 0, unix.EINVAL
	}
	var value, interval time.Duration
	if c.Args[1] != 0 {
		var err error
		if interval, err = c.timeval(c.Args[1]); err != nil {
			return 0, err
		}
		if value, err = c.timeval(c.Args[1] + timevalSize); err != nil {
			return 0, err
		}
	}
	left, oldInterval := c.SetITimer(task.ITimer(which), min(value, maxWait), min(interval, maxWait))
	return 0, c.putItimer(c.Args[2], left, oldInterval)
}

func (c *Call) getitimer() (uint64, error) {
	which := int32(c.Args[0])
	if which < unix.ITIMER_REAL || which > unix.ITIMER_PROF {
		return 0, unix.EINVAL
	}
	left, interval := c.ITimer(task.ITimer(which))
	if c.Args[1] == 0 {
		return 0, unix.EFAULT
	}
	return 0, c.putItimer(c.Args[1], left, interval)
}

// putItimer stores a struct itimerval, unless addr is 0.
func (c *Call) putItimer(addr uint64, value, interval time.Duration) error {
	if addr == 0 {
		return nil
	}
	var b [2 * timevalSize]byte
	encodeTimeval(b[0:], interval)
	encodeTimeval(b[timevalSize:], value)
	return c.Space.CopyOut(addr, b[:])
}
