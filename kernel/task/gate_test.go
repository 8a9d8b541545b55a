package task

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestGateLetsFewInWhileMemoryIsTight(t *testing.T) {
	const most, threads = 3, 100
	tight := uint32(1)
	g := NewGate(&tight, most)
	var inside, highest, entries atomic.Int32
	var all sync.WaitGroup
	for range threads {
		all.Go(func() {
			for range 20 {
				if !g.enter() {
					t.Error("not counted")
					return
				}
				highest.Store(max(highest.Load(), inside.Add(1)))
				time.Sleep(10 * time.Microsecond)
				inside.Add(-1)
				entries.Add(1)
				g.leave()
			}
		})
	}
	all.Wait()
	if highest.Load() > most || entries.Load() != 20*threads {
		t.Errorf("%d were inside at once, want %d; %d entries", highest.Load(), most, entries.Load())
	}
}

func TestGateIsOpenWhileThereIsMemory(t *testing.T) {
	var tight uint32
	g := NewGate(&tight, 1)
	for range 3 {
		if g.enter() {
			t.Fatal("counted")
		}
	}
	if (*Gate)(nil).enter() {
		t.Error("counted where there is no gate")
	}
}

// TestGateYieldsIfNobodyLeaves: who is inside may wait for somebody outside.
func TestGateYieldsIfNobodyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tight := uint32(1)
		g := NewGate(&tight, 1)
		g.enter()
		entered := make(chan int, 10)
		for i := range 3 {
			go func() {
				g.enter()
				entered <- i
			}()
		}
		time.Sleep(gatePatience - 1)
		synctest.Wait()
		if len(entered) != 0 {
			t.Fatal("it has not waited")
		}
		for i := range 3 {
			time.Sleep(gatePatience)
			synctest.Wait()
			if len(entered) > i+1 {
				t.Fatalf("%d got in at once", len(entered)-i)
			}
		}
		time.Sleep(10 * gatePatience)
		synctest.Wait()
		if len(entered) != 3 {
			t.Fatalf("%d got in", len(entered))
		}
		for range 4 {
			g.leave()
		}
		if n := g.inside.Load(); n != 0 || g.extra.Load() != 0 || g.looking {
			t.Errorf("%d inside, %d extra, looking %v", n, g.extra.Load(), g.looking)
		}
	})
}
