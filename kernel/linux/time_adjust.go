package linux

import (
	"time"

	"golang.org/x/sys/unix"
)

// adjtimex is adjtimex(2): what Linux tells as long as nobody has set or steered its clock. It can only be read: to change it is
// EPERM, as in a container. struct timex:
//
//	+0 modes   +8 offset   +16 freq   +24 maxerror   +32 esterror   +40 status   +48 constant   +56 precision
//	+64 tolerance   +72 time   +88 tick, then zeros up to 208 bytes
func (c *Call) adjtimex(addr uint64) (uint64, error) {
	const (
		adjOffsetSSRead = 0xa001 // ADJ_OFFSET_SS_READ, which changes nothing
		staUnsync       = 0x40
		timeError       = 5
		maxError        = 16000000 // NTP_PHASE_LIMIT in µs
	)
	modes, err := c.Space.Uint32(addr)
	if err != nil {
		return 0, err
	}
	if modes != 0 && modes != adjOffsetSSRead {
		return 0, unix.EPERM
	}
	var b [208]byte
	le.PutUint32(b[0:], modes)
	le.PutUint64(b[24:], maxError)
	le.PutUint64(b[32:], maxError)
	le.PutUint32(b[40:], staUnsync)
	le.PutUint64(b[48:], 2)       // log2 of the time constant
	le.PutUint64(b[56:], 1)       // µs
	le.PutUint64(b[64:], 500<<16) // 500 ppm
	now := time.Now()
	le.PutUint64(b[72:], uint64(now.Unix()))
	le.PutUint64(b[80:], uint64(now.Nanosecond()/1000))
	le.PutUint64(b[88:], 10000) // µs between ticks of USER_HZ
	return timeError, c.Space.CopyOut(addr, b[:])
}

// clockAdjtime is clock_adjtime(2): clock, struct timex.
func (c *Call) clockAdjtime() (uint64, error) {
	if clock := int32(c.Args[0]); clock != unix.CLOCK_REALTIME {
		if _, err := c.readClock(clock); err != nil {
			return 0, err
		}
		return 0, unix.EOPNOTSUPP
	}
	return c.adjtimex(c.Args[1])
}
