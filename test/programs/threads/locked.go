package main

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// lockedThreads pins goroutines to threads of their own and checks that they stay there.
func lockedThreads(t *check.T) {
	const many = 32
	var wg sync.WaitGroup
	var mu sync.Mutex
	tids := make(map[int]bool) // guarded by mu
	hold := make(chan struct{})
	for range many {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tid := unix.Gettid()
			mu.Lock()
			tids[tid] = true
			if len(tids) == many {
				close(hold)
			}
			mu.Unlock()
			<-hold
			for range 100 {
				runtime.Gosched()
				if now := unix.Gettid(); now != tid {
					t.Errorf("a locked goroutine moved from thread %d to %d", tid, now)
					return
				}
			}
		})
	}
	wg.Wait()
	check.Equal(t, "threads", len(tids), many)
}

// lockedPingPong makes each exchange a switch between two threads.
func lockedPingPong(t *check.T) {
	const rounds = 2000
	ping, pong := make(chan int), make(chan int)
	go func() {
		runtime.LockOSThread()
		for v := range ping {
			pong <- v + 1
		}
		close(pong)
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	v := 0
	for range rounds {
		ping <- v
		v = <-pong
	}
	close(ping)
	check.Equal(t, "count", v, rounds)
}

// threadsEnd makes threads end: one whose goroutine returns while locked is not used again.
func threadsEnd(t *check.T) {
	tids := make(map[int]int)
	for range 300 {
		tid := make(chan int)
		go func() {
			runtime.LockOSThread()
			tid <- unix.Gettid()
		}()
		tids[<-tid]++
	}
	if len(tids) < 100 {
		t.Errorf("300 goroutines that ended while locked used only %d threads", len(tids))
	}
}

// blockedThreads blocks many threads in the kernel at once, and wakes all of them.
func blockedThreads(t *check.T) {
	const many = 100
	var fds [2]int
	t.Must(unix.Pipe2(fds[:], unix.O_CLOEXEC))
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			buf := make([]byte, 1)
			for {
				n, err := unix.Read(fds[0], buf)
				if err == unix.EINTR {
					continue
				}
				if err != nil || n != 1 {
					t.Errorf("read: %d, %v", n, err)
				}
				return
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // lets most of them block; all orders must work
	for range many {
		_, err := unix.Write(fds[1], []byte("x"))
		t.Must(err)
	}
	wg.Wait()
	unix.Close(fds[0])
	unix.Close(fds[1])
}

func affinity(t *check.T) {
	var set unix.CPUSet
	t.Must(unix.SchedGetaffinity(0, &set))
	check.Equal(t, "processors", set.Count(), runtime.NumCPU())
}
