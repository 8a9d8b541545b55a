package ground

import "sync/atomic"

// A futex waiter is a thread in stateFutex; with so few threads, waking looks at all of them. No lock makes looking at the word
// and waiting one step: a thread waits first and then looks at the word, and who wakes has changed the word first and then
// looks for threads, so that one of them sees the other.

const (
	futexWaitOp = 0
	futexWakeOp = 1
	futexMask   = 127 // without FUTEX_PRIVATE_FLAG
)

// futex does futex(2) WAIT and WAKE.
func futex(c *cpu, t *thread) {
	switch t.si & futexMask {
	case futexWaitOp:
		deadline := uint64(0)
		if t.r10 != 0 {
			deadline = nowNS() + timespecNS(t.r10)
		}
		if futexWait(c, t, p32(t.di), uint32(t.dx), deadline) && deadline != 0 {
			armTimer(c, deadline)
		}
	case futexWakeOp:
		t.ax = futexWake(c, t.di, t.dx)
	default:
		t.ax = negErrno(enosys)
	}
}

// futexWait makes the running thread wait if the word has the value. It returns false if the thread goes on at once.
func futexWait(c *cpu, t *thread, word *uint32, value uint32, deadlineNS uint64) bool {
	if atomic.LoadUint32(word) != value {
		t.ax = negErrno(eagain)
		return false
	}
	t.ax = 0
	atomic.StoreUint64(&t.futexAddr, addressOf(word))
	state := wait(c, t, stateFutex, deadlineNS)
	if atomic.LoadUint32(word) == value || !claim(t, state) {
		return true
	}
	t.ax = negErrno(eagain)
	switchTo(c, t)
	return false
}

// futexWake wakes up to n threads that wait for the word at addr, and returns how many.
func futexWake(c *cpu, addr, n uint64) uint64 {
	woken := uint64(0)
	for i, top := uint64(1), atomic.LoadUint64(&topThread); i <= top && woken < n; i++ {
		t := thread_(i)
		state := atomic.LoadUint64(&t.state)
		if state&stateKind == stateFutex && atomic.LoadUint64(&t.futexAddr) == addr && claim(t, state) {
			put(c, i)
			woken++
		}
	}
	return woken
}

// timespecNS reads a struct timespec of the runtime, in nanoseconds.
func timespecNS(addr uint64) uint64 { return *p64(addr)*1000000000 + *p64(addr + 8) }
