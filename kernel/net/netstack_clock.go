package net

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"wick/kernel/timers"
)

// engineClock is what the engine's timers go by.
type engineClock = tcpip.Clock

// quickClock is the engine's own clock, which it looks at a dozen times for a segment and its answer, but for NowMonotonic: that
// takes a third of the instructions, as it doesn't add up times of day to have a number of nanoseconds.
type quickClock struct {
	engineClock
	start  time.Time
	timers *timers.Set
}

func newQuickClock() *quickClock {
	return &quickClock{engineClock: tcpip.NewStdClock(), start: time.Now(), timers: timers.NewSet()}
}

func (c *quickClock) elapsed() time.Duration { return time.Since(c.start) }

// NowMonotonic implements tcpip.Clock.
func (c *quickClock) NowMonotonic() tcpip.MonotonicTime { return monotonic(c.elapsed()) }

// AfterFunc implements tcpip.Clock.
func (c *quickClock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	return c.timers.AfterFunc(d, f)
}
