package main

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"wick/test/programs/check"
)

func goroutines(t *check.T) {
	const many = 10000
	sums := make(chan int)
	start := make(chan struct{})
	for i := range many {
		go func() {
			<-start
			sums <- i
		}()
	}
	close(start)
	sum := 0
	for range many {
		sum += <-sums
	}
	check.Equal(t, "sum", sum, many*(many-1)/2)
}

// ring passes a token around.
func ring(t *check.T) {
	const places, rounds = 100, 300
	first := make(chan int)
	in := first
	for range places {
		out := make(chan int)
		go func(in <-chan int) {
			defer close(out)
			for v := range in {
				out <- v + 1
			}
		}(in)
		in = out
	}
	v := 0
	for range rounds {
		first <- v
		v = <-in
	}
	close(first)
	check.Equal(t, "token", v, places*rounds)
}

func mutex(t *check.T) {
	const workers, rounds = 16, 5000
	var mu sync.Mutex
	var wg sync.WaitGroup
	n := 0
	for range workers {
		wg.Go(func() {
			for range rounds {
				mu.Lock()
				n++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	check.Equal(t, "count", n, workers*rounds)
}

func rwMutex(t *check.T) {
	var mu sync.RWMutex
	var wg sync.WaitGroup
	var a, b int
	for w := range 8 {
		wg.Go(func() {
			for range 2000 {
				if w == 0 {
					mu.Lock()
					a++
					runtime.Gosched()
					b++
					mu.Unlock()
					continue
				}
				mu.RLock()
				if a != b {
					t.Errorf("a reader saw %d and %d", a, b)
				}
				mu.RUnlock()
			}
		})
	}
	wg.Wait()
	check.Equal(t, "writes", a, 2000)
}

func cond(t *check.T) {
	var mu sync.Mutex
	c := sync.NewCond(&mu)
	var wg sync.WaitGroup
	turn := 0
	const players, rounds = 5, 400
	for p := range players {
		wg.Go(func() {
			for range rounds {
				mu.Lock()
				for turn%players != p {
					c.Wait()
				}
				turn++
				c.Broadcast()
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	check.Equal(t, "turns", turn, players*rounds)
}

// timers checks that none fires early and all fire, in the order of their times.
func timers(t *check.T) {
	const many = 1000
	var wg sync.WaitGroup
	var early atomic.Int32
	start := time.Now()
	for range many {
		d := time.Duration(rand.IntN(100)) * time.Millisecond
		wg.Add(1)
		time.AfterFunc(d, func() {
			if time.Since(start) < d {
				early.Add(1)
			}
			wg.Done()
		})
	}
	wg.Wait()
	check.Equal(t, "timers that fired early", early.Load(), 0)

	stopped := time.AfterFunc(time.Hour, func() { t.Errorf("a stopped timer fired") })
	if !stopped.Stop() {
		t.Errorf("a timer of an hour was not to be stopped")
	}
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	last := time.Now()
	for range 20 {
		// The value of a tick is no clock: the runtime computes it from two readings, between which it may be interrupted.
		<-ticker.C
		now := time.Now()
		if now.Before(last) {
			t.Errorf("the clock went back from %v to %v", last, now)
		}
		last = now
	}
}

// parallel computes on all processors, with garbage collections in between.
func parallel(t *check.T) {
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	collatz := func(n uint64) (steps int) {
		for ; n != 1; steps++ {
			if n%2 == 0 {
				n /= 2
			} else {
				n = 3*n + 1
			}
		}
		return steps
	}
	var wg sync.WaitGroup
	totals := make([]int, 8)
	for w := range totals {
		wg.Go(func() {
			for n := uint64(1); n <= 20000; n++ {
				totals[w] += collatz(n)
			}
		})
	}
	for range 5 {
		runtime.GC()
	}
	wg.Wait()
	for w, total := range totals {
		if total != 1834634 { // the sum of OEIS A006577 over 1…20000
			t.Errorf("worker %d: got %d", w, total)
		}
	}
}
