package net

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// engineClock is what the engine's timers go by.
type engineClock = tcpip.Clock

// quickClock is the engine's own clock, which it looks at a dozen times for a segment and its answer, but for NowMonotonic: that
// takes a third of the instructions, as it doesn't add up times of day to have a number of nanoseconds.
type quickClock struct {
	engineClock
	start  time.Time
	timers *timers
}

func newQuickClock() *quickClock {
	c := &quickClock{engineClock: tcpip.NewStdClock(), start: time.Now()}
	c.timers = newTimers(c.elapsed)
	return c
}

func (c *quickClock) elapsed() time.Duration { return time.Since(c.start) }

// NowMonotonic implements tcpip.Clock.
func (c *quickClock) NowMonotonic() tcpip.MonotonicTime { return monotonic(c.elapsed()) }

// AfterFunc implements tcpip.Clock.
func (c *quickClock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	return c.timers.afterFunc(d, f)
}
