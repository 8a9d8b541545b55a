package main

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

func futexErrors(t *check.T) {
	word := new(uint32)
	check.Equal(t, "wait for another value", wait(word, 1, -1), syscall.EAGAIN)
	start := time.Now()
	check.Equal(t, "wait with time-out", uninterrupted(func() syscall.Errno { return wait(word, 0, 20*time.Millisecond) }), syscall.ETIMEDOUT)
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("a time-out of 20 ms took %v", took)
	}
	check.Equal(t, "wait with time-out 0", wait(word, 0, 0), syscall.ETIMEDOUT)
	past := unix.NsecToTimespec(1)
	check.Equal(t, "wait until the past", waitBitset(word, 0, &past, 1), syscall.ETIMEDOUT)
	check.Equal(t, "wake of nobody", wake(word, 10), 0)
	check.Equal(t, "wait at null", raw(0, futexWaitOp, 0, 0), syscall.EFAULT)
	check.Equal(t, "wait at a hole", raw(0x7f0000000, futexWaitOp, 0, 0), syscall.EFAULT)
	check.Equal(t, "wait in the kernel", raw(0xffff_ffff_8020_1000, futexWaitOp, 0, 0), syscall.EFAULT)
	check.Equal(t, "wait at a misaligned word", raw(misaligned(new([2]uint32)), futexWaitOp, 0, 0), syscall.EINVAL)
	check.Equal(t, "an unknown operation", raw(0x1000, 99, 0, 0), syscall.ENOSYS)
	check.Equal(t, "wait for no bits", waitBitset(word, 0, nil, 0), syscall.EINVAL)
	_, errno := wakeBitset(word, 1, 0)
	check.Equal(t, "wake of no bits", errno, syscall.EINVAL)
	_, errno = cmpRequeue(word, new(uint32), 1, 1, 7)
	check.Equal(t, "requeue with another value", errno, syscall.EAGAIN)
}

// uninterrupted sleeps until it is not the runtime's preemption signal that ends the sleep, as it ends one with a time-out
// [futex(2), EINTR].
func uninterrupted(sleep func() syscall.Errno) syscall.Errno {
	for {
		if errno := sleep(); errno != syscall.EINTR {
			return errno
		}
	}
}

// sleepers starts n goroutines that wait on a futex, and returns a function that waits for the end of all, and
// the count of those that have ended.
func sleepers(t *check.T, n int, sleep func() syscall.Errno) (join func(), ended *atomic.Int32) {
	var wg sync.WaitGroup
	ended = new(atomic.Int32)
	for range n {
		wg.Go(func() {
			t.Undisturbed(func() { // or one that has been counted as moved comes back to wait at the first word
				if errno := uninterrupted(sleep); errno != 0 {
					t.Errorf("futex wait: %v", errno)
				}
			})
			ended.Add(1)
		})
	}
	return wg.Wait, ended
}

// wakeAll calls wake until it has woken n in all. The waiters may not all be there when it is called first.
func wakeAll(n int, wake func(n int) int) {
	for n > 0 {
		woken := wake(n)
		n -= woken
		if woken == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

func futexWake(t *check.T) {
	const many = 20
	word := new(uint32)
	join, ended := sleepers(t, many, func() syscall.Errno { return wait(word, 0, -1) })
	wakeAll(1, func(int) int { return wake(word, 1) })
	wakeAll(4, func(n int) int { return wake(word, n) })
	for ended.Load() < 5 {
		time.Sleep(time.Millisecond)
	}
	check.Equal(t, "ended after 5 wakes", ended.Load(), 5)
	wakeAll(many-5, func(int) int { return wake(word, 1<<30) })
	join()
}

func futexBitset(t *check.T) {
	word := new(uint32)
	joinA, endedA := sleepers(t, 3, func() syscall.Errno { return waitBitset(word, 0, nil, 0b01) })
	joinB, endedB := sleepers(t, 3, func() syscall.Errno { return waitBitset(word, 0, nil, 0b10) })
	wakeAll(3, func(n int) int {
		woken, _ := wakeBitset(word, n, 0b10)
		return woken
	})
	joinB()
	check.Equal(t, "waiters of the other bit that ended", endedA.Load(), 0)
	wakeAll(3, func(n int) int { return wake(word, n) }) // FUTEX_WAKE matches every bit
	joinA()
	check.Equal(t, "waiters that ended", endedA.Load()+endedB.Load(), 6)
}

func futexRequeue(t *check.T) {
	from, to := new(uint32), new(uint32)
	join, _ := sleepers(t, 10, func() syscall.Errno { return wait(from, 0, -1) })
	moved := 0
	for moved < 10 {
		n, errno := cmpRequeue(from, to, 0, 10, 0)
		check.Equal(t, "requeue", errno, 0)
		moved += n
		time.Sleep(time.Millisecond)
	}
	check.Equal(t, "left at the first word", wake(from, 10), 0)
	n, errno := requeue(to, from, 2, 10)
	check.Equal(t, "requeue back", errno, 0)
	check.Equal(t, "woken or moved back", n, 10)
	check.Equal(t, "woken at the first word", wake(from, 10), 8)
	join()
}

// futexContended is the lock of Drepper's "Futexes are tricky", under contention: it finds lost wake-ups.
func futexContended(t *check.T) {
	var word uint32
	lock := func() {
		if atomic.CompareAndSwapUint32(&word, 0, 1) {
			return
		}
		for atomic.SwapUint32(&word, 2) != 0 {
			wait(&word, 2, -1)
		}
	}
	unlock := func() {
		if atomic.SwapUint32(&word, 0) == 2 {
			wake(&word, 1)
		}
	}
	const workers, rounds = 8, 2000
	var wg sync.WaitGroup
	n := 0
	for range workers {
		wg.Go(func() {
			for range rounds {
				lock()
				n++
				unlock()
			}
		})
	}
	wg.Wait()
	check.Equal(t, "count", n, workers*rounds)
}
