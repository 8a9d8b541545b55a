package linux

import (
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
)

// Ways of sigev_notify, sigevent(3) [asm-generic/siginfo.h]. SIGEV_THREAD is what a C library makes of SIGEV_THREAD_ID.
const (
	sigevSignal   = 0
	sigevNone     = 1
	sigevThread   = 2
	sigevThreadID = 4
)

// timerCreate is timer_create(2): clockid, sevp, timerid.
func (c *Call) timerCreate() (uint64, error) {
	clock, of, err := c.timerClock(int32(c.Args[0]))
	if err != nil {
		return 0, err
	}
	var event *task.Event
	if c.Args[1] != 0 {
		if event, err = c.sigevent(c.Args[1]); err != nil {
			return 0, err
		}
	}
	id, err := c.NewTimer(clock, of, event)
	if err != nil {
		return 0, err
	}
	if err := c.Space.PutUint32(c.Args[2], uint32(id)); err != nil {
		_ = c.DeleteTimer(id) // unless another thread has guessed the number and done it
		return 0, err
	}
	return 0, nil
}

// timerClock returns what a timer of a clock counts. Clocks that are read only, such as CLOCK_MONOTONIC_RAW, are
// unix.EOPNOTSUPP.
func (c *Call) timerClock(clock int32) (task.Clock, *task.Thread, error) {
	switch clock {
	case unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
		return task.WallClock, nil, nil
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_TAI:
		return task.RealtimeClock, nil, nil
	case unix.CLOCK_PROCESS_CPUTIME_ID:
		return task.ProcessClock, nil, nil
	case unix.CLOCK_THREAD_CPUTIME_ID:
		return task.ThreadClock, c.Thread, nil
	}
	if clock >= 0 {
		if _, err := c.readClock(clock); err != nil {
			return 0, nil, err
		}
		return 0, nil, unix.EOPNOTSUPP
	}
	of, err := c.cpuClock(clock)
	if err != nil {
		return 0, nil, err
	}
	if of == nil {
		return task.ProcessClock, nil, nil
	}
	return task.ThreadClock, of, nil
}

// sigevent reads a struct sigevent, sigevent(3):
//
//	+0 sigev_value   +8 sigev_signo (32 bits)   +12 sigev_notify (32 bits)   +16 sigev_notify_thread_id (32 bits)
func (c *Call) sigevent(addr uint64) (*task.Event, error) {
	var b [64]byte
	if err := c.Space.CopyIn(b[:], addr); err != nil {
		return nil, err
	}
	how := int32(le.Uint32(b[12:]))
	if how == sigevNone {
		return &task.Event{}, nil
	}
	sig, err := signalArg(uint64(le.Uint32(b[8:])), false)
	if err != nil {
		return nil, err
	}
	event := &task.Event{Signal: sig, Code: task.SiTimer, Value: le.Uint64(b[0:])}
	switch how {
	case sigevSignal, sigevThread:
	case sigevThreadID:
		if event.Thread = c.Process.Process.Thread(int(int32(le.Uint32(b[16:])))); event.Thread == nil {
			return nil, unix.EINVAL
		}
	default:
		return nil, unix.EINVAL
	}
	return event, nil
}

// itimerspec reads a struct itimerspec. Spans that end after maxWait are cut.
func (c *Call) itimerspec(addr uint64) (value, interval time.Duration, err error) {
	if interval, err = c.timespec(addr); err != nil {
		return 0, 0, err
	}
	value, err = c.timespec(addr + timespecSize)
	return value, min(interval, maxWait), err
}

// timerSettime is timer_settime(2): timerid, flags, new_value, old_value.
func (c *Call) timerSettime() (uint64, error) {
	if c.Args[2] == 0 {
		return 0, unix.EINVAL
	}
	value, interval, err := c.itimerspec(c.Args[2])
	if err != nil {
		return 0, err
	}
	id, absolute := int(int32(c.Args[0])), c.Args[1]&timerAbstime != 0
	clock, err := c.TimerClock(id)
	switch {
	case err != nil:
		return 0, err
	case !absolute || clock != task.WallClock || value == 0:
		value = min(value, maxEnd)
	default:
		value = max(1, min(value, maxWait)-c.Started().Sub(c.Kernel.monotonicZero()))
	}
	left, oldInterval, err := c.SetTimer(id, value, interval, absolute)
	if err != nil || c.Args[3] == 0 {
		return 0, err
	}
	return 0, c.putItimerspec(c.Args[3], left, oldInterval)
}

func (c *Call) timerGettime() (uint64, error) {
	left, interval, err := c.Timer(int(int32(c.Args[0])))
	if err != nil {
		return 0, err
	}
	return 0, c.putItimerspec(c.Args[1], left, interval)
}

func (c *Call) timerGetoverrun() (uint64, error) {
	n, err := c.Overrun(int(int32(c.Args[0])))
	return uint64(n), err
}

func (c *Call) timerDelete() (uint64, error) { return 0, c.DeleteTimer(int(int32(c.Args[0]))) }
