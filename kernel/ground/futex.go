package ground

// A futex waiter is a thread in stateFutex; with so few threads, waking looks at all of them.

const (
	futexWait = 0
	futexWake = 1
	futexMask = 127 // without FUTEX_PRIVATE_FLAG
)

// futex does futex(2) WAIT and WAKE. It returns true if the thread blocks.
func futex(t *thread) (result uint64, blocked bool) {
	addr, value := t.di, t.dx
	switch t.si & futexMask {
	case futexWait:
		if *p32(addr) != uint32(value) {
			return negErrno(eagain), false
		}
		deadline := uint64(0)
		if t.r10 != 0 {
			deadline = nowNS() + timespecNS(t.r10)
		}
		t.futexAddr = addr
		t.ax = 0
		blockUntil(t, stateFutex, deadline)
		return 0, true
	case futexWake:
		n := uint64(0)
		for i := uint64(1); i <= topThread && n < value; i++ {
			if w := thread_(i); w.state == stateFutex && w.futexAddr == addr {
				wake(w)
				n++
			}
		}
		return n, false
	}
	return negErrno(enosys), false
}

// timespecNS reads a struct timespec of the runtime, in nanoseconds.
func timespecNS(addr uint64) uint64 { return *p64(addr)*1000000000 + *p64(addr + 8) }
