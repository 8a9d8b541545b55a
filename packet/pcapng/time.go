package pcapng

import (
	"math"
	"math/bits"
	"time"
)

// Resolutions of times, as the option has them [pcapng 4.2].
const (
	resolutionDefault = 6    // microseconds
	resolutionNanos   = 9    // what is written
	resolutionBinary  = 0x80 // the rest is a power of two, not of ten
	maxPower          = 19   // of ten that fits 64 bits
)

// timestamp is a count of units since the interface's offset from 1970.
func (i *Interface) timestamp(units uint64) time.Time {
	var sec, nanos uint64
	if power := uint(i.resolution &^ resolutionBinary); i.resolution&resolutionBinary != 0 {
		if power < 64 {
			sec = units >> power
			units &= 1<<power - 1
			high, low := bits.Mul64(units, 1e9)
			nanos = low>>power | high<<(64-power) // units < 2^power, so that this is less than 1e9
		} else {
			nanos, _ = bits.Mul64(units, 1e9)
			nanos >>= min(power-64, 63)
		}
	} else if power <= maxPower {
		unit := pow10(power)
		sec = units / unit
		nanos = scale(units%unit, power)
	} else {
		nanos = scale(units, power)
	}
	if sec > math.MaxInt64/2 || i.offset > math.MaxInt64/2 || i.offset < -math.MaxInt64/2 { // time.Unix would overflow
		return time.Time{}
	}
	return time.Unix(int64(sec)+i.offset, int64(nanos))
}

// scale turns units of 10^-power seconds into nanoseconds.
func scale(units uint64, power uint) uint64 {
	if power <= resolutionNanos {
		return units * pow10(resolutionNanos-power)
	}
	if power-resolutionNanos > maxPower {
		return 0
	}
	return units / pow10(power-resolutionNanos)
}

func pow10(n uint) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// maxSeconds is how many seconds 64 bits hold in nanoseconds: until the year 2554.
const maxSeconds = math.MaxUint64 / 1_000_000_000

// nanosSince1970 is what is written for a time; 0 for one that can't be written.
func nanosSince1970(t time.Time) uint64 {
	if sec := t.Unix(); sec < 0 || sec >= maxSeconds {
		return 0
	}
	return uint64(t.Unix())*1e9 + uint64(t.Nanosecond())
}
