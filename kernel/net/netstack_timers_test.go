package net

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

func newTestTimers() *timers {
	start := time.Now()
	return newTimers(func() time.Duration { return time.Since(start) })
}

func TestTimersExpireInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := newTestTimers()
		start := time.Now()
		var at []time.Duration
		for _, d := range []time.Duration{3 * time.Second, -1, time.Second, 2 * time.Second, 3 * time.Hour} {
			ts.afterFunc(d, func() { at = append(at, time.Since(start)) })
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if want := []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Hour}; !slices.Equal(at, want) {
			t.Errorf("expired at %v, want %v", at, want)
		}
	})
}

func TestTimersStopAndStartAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := newTestTimers()
		expired := 0
		a := ts.afterFunc(time.Second, func() { expired++ })
		ts.afterFunc(2*time.Second, func() { expired += 10 })
		if !a.Stop() {
			t.Error("it can't be stopped")
		}
		if a.Stop() {
			t.Error("it was stopped again")
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		if expired != 10 {
			t.Fatalf("expired: %d", expired)
		}
		a.Reset(time.Hour)
		a.Reset(time.Second) // earlier
		time.Sleep(time.Second)
		synctest.Wait()
		if expired != 11 {
			t.Errorf("expired: %d after the second start", expired)
		}
		if a.Stop() {
			t.Error("stopped after it has expired")
		}
	})
}

// TestFewTimersRunAtOnce: a thousand connections' timers that expire together take few stacks, and none waits for ever.
func TestFewTimersRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := newTestTimers()
		var running, most, done atomic.Int64
		for range 1000 {
			ts.afterFunc(time.Second, func() {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(time.Millisecond)
				running.Add(-1)
				done.Add(1)
			})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if most.Load() > timersAtOnce || done.Load() != 1000 {
			t.Errorf("%d have run, up to %d at once", done.Load(), most.Load())
		}
	})
}

// TestTimersGoOnBesideOneThatWaits: a function may start and stop timers, and wait for a lock of one who waits for another timer.
func TestTimersGoOnBesideOneThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := newTestTimers()
		other := make(chan struct{})
		done := false
		var inner tcpip.Timer
		ts.afterFunc(time.Second, func() {
			inner = ts.afterFunc(time.Second, func() { close(other) })
			<-other
			done = !inner.Stop()
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if !done {
			t.Error("the other timer did not expire meanwhile")
		}
	})
}
