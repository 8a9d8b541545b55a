package timers

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimersExpireInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := NewSet()
		start := time.Now()
		var at []time.Duration
		for _, d := range []time.Duration{3 * time.Second, -1, time.Second, 2 * time.Second, 3 * time.Hour} {
			ts.AfterFunc(d, func() { at = append(at, time.Since(start)) })
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
		ts := NewSet()
		expired := 0
		a := ts.AfterFunc(time.Second, func() { expired++ })
		ts.AfterFunc(2*time.Second, func() { expired += 10 })
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

// TestFewTimersRunAtOnce: a thousand timers that expire together take few stacks, and none waits for ever.
func TestFewTimersRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := NewSet()
		var running, most, done atomic.Int64
		for range 1000 {
			ts.AfterFunc(time.Second, func() {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(time.Millisecond)
				running.Add(-1)
				done.Add(1)
			})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if most.Load() > atOnce || done.Load() != 1000 {
			t.Errorf("%d have run, up to %d at once", done.Load(), most.Load())
		}
	})
}

// TestTimersGoOnBesideOneThatWaits: a function may start and stop timers, and wait for a lock of one who waits for another timer.
func TestTimersGoOnBesideOneThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := NewSet()
		other := make(chan struct{})
		done := false
		var inner *Timer
		ts.AfterFunc(time.Second, func() {
			inner = ts.AfterFunc(time.Second, func() { close(other) })
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
