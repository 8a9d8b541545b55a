package net

import (
	"testing"
	"time"
	"unsafe"

	"gvisor.dev/gvisor/pkg/tcpip"
)

func TestClockTellsTheEnginesTime(t *testing.T) {
	if unsafe.Sizeof(tcpip.MonotonicTime{}) != unsafe.Sizeof(time.Duration(0)) {
		t.Fatal("the engine's monotonic time is no number of nanoseconds any more")
	}
	for _, d := range []time.Duration{0, 1, 999, time.Second + 1, 100 * 365 * 24 * time.Hour} {
		if got, want := monotonic(d), (tcpip.MonotonicTime{}).Add(d); got != want {
			t.Errorf("%v: got %v, want %v", d, got, want)
		}
	}
	c := newQuickClock()
	before := c.NowMonotonic()
	time.Sleep(time.Millisecond)
	if d := c.NowMonotonic().Sub(before); d < time.Millisecond || d > time.Minute {
		t.Errorf("it went by %v in a millisecond", d)
	}
}
