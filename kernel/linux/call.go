package linux

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes of structures of the ABI, in bytes.
const (
	timespecSize = 16 // tv_sec, tv_nsec
	timevalSize  = 16 // tv_sec, tv_usec
)

// timespec reads a time span. Errors: unix.EFAULT; unix.EINVAL if it is negative or has too many nanoseconds.
func (c *Call) timespec(addr uint64) (time.Duration, error) {
	var b [timespecSize]byte
	if err := c.Space.CopyIn(b[:], addr); err != nil {
		return 0, err
	}
	return span(int64(le.Uint64(b[0:])), int64(le.Uint64(b[8:])), 1)
}

// timeval reads a time span in microseconds, with the errors of timespec.
func (c *Call) timeval(addr uint64) (time.Duration, error) {
	var b [timevalSize]byte
	if err := c.Space.CopyIn(b[:], addr); err != nil {
		return 0, err
	}
	return span(int64(le.Uint64(b[0:])), int64(le.Uint64(b[8:])), 1000)
}

// span returns a time span of seconds and parts of unitNS nanoseconds; what a Duration can't hold is cut.
func span(sec, part, unitNS int64) (time.Duration, error) {
	switch {
	case sec < 0 || part < 0 || part >= int64(time.Second)/unitNS:
		return 0, unix.EINVAL
	case sec >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64, nil
	}
	return time.Duration(sec)*time.Second + time.Duration(part*unitNS), nil
}

// putTimespec stores d as a timespec.
func (c *Call) putTimespec(addr uint64, d time.Duration) error {
	var b [timespecSize]byte
	encodeTimespec(b[:], d)
	return c.Space.CopyOut(addr, b[:])
}

func encodeTimespec(b []byte, d time.Duration) {
	le.PutUint64(b[0:], uint64(d/time.Second))
	le.PutUint64(b[8:], uint64(d%time.Second))
}

func encodeTimeval(b []byte, d time.Duration) {
	le.PutUint64(b[0:], uint64(d/time.Second))
	le.PutUint64(b[8:], uint64(d%time.Second/time.Microsecond))
}

// after returns the deadline d from now, far enough in the future if it can't be told.
func (c *Call) after(d time.Duration) time.Time {
	return c.Thread.Deadline(min(d, maxWait))
}

// maxWait bounds waits so that deadlines can be computed with: 100 years.
const maxWait = 100 * 365 * 24 * time.Hour

// maxEnd bounds times of day that waits end at, so that intervals can be added to them.
const maxEnd = 2 * maxWait
