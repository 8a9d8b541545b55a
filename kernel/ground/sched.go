package ground

import "sync/atomic"

// sliceNS is how long a thread may run while others wait for its CPU.
const sliceNS = 4000000

// schedule chooses what this CPU resumes. The running thread goes on unless it waits now, yields, or a device's thread wants the
// CPU.
func schedule(c *cpu, yield bool) {
	t := threadAt(c.cur)
	running := t != &c.idle
	if tid := choose(c, yield, running); tid != 0 {
		switchTo(c, thread_(tid))
		if running {
			preempt(c, t)
		}
	}
	if t = threadAt(c.cur); t != &c.idle {
		finish(t)
		offer(c)
	}
}

// choose returns the thread that c is to run instead of what it runs, if anything: one that was woken for a device or, unless what
// runs goes on, one out of a queue. It returns 0 if there is none; if nothing runs, c is among the idle CPUs then.
func choose(c *cpu, yield, running bool) (tid uint64) {
	tid = c.first
	c.first = 0
	if tid == 0 && (yield || !running) {
		tid = next(c)
	}
	if tid == 0 && !running {
		tid = becomeIdle(c)
	}
	return tid
}

// becomeIdle puts c among the idle CPUs, unless there is a thread to run after all, which it returns. A thread that is put in a
// queue later is noticed by who puts it there.
func becomeIdle(c *cpu) (tid uint64) {
	beginIdle(c)
	if tid = next(c); tid != 0 {
		leaveIdle(c)
	}
	return tid
}

// switchTo makes t, which is the caller's, the thread that c runs.
func switchTo(c *cpu, t *thread) {
	c.cur = addressOf(t)
	c.sliceEndNS = 0
	t.onCPU = c.id
	atomic.StoreUint64(&t.state, stateRunning)
}

// preempt makes t wait for its turn. One that was in ring 3 comes back to Go, so that the Go scheduler sees what has become
// runnable.
func preempt(c *cpu, t *thread) {
	if u := t.resumeUser; u != 0 {
		userAt(u).Kicked = 1
	}
	atomic.StoreUint64(&t.state, stateRunnable)
	put(c, t.tid)
}

// offer has idle CPUs take what waits for this one. What they don't take gets the CPU when the slice of what runs is over.
func offer(c *cpu) {
	if atomic.LoadUint64(&c.queue) == 0 {
		return
	}
	if c.sliceEndNS == 0 {
		c.sliceEndNS = nowNS() + sliceNS
	}
	for fresh := unoffered(c); fresh != 0; fresh &= fresh - 1 {
		id, ok := takeIdle()
		if !ok {
			break
		}
		sendIPI(c, cpuByID(id), vecResched)
	}
	armTimer(c, c.sliceEndNS)
}

// leaveIdle is for a CPU that has something to do.
func leaveIdle(c *cpu) {
	endIdle(c.id)
	answerFlush(c)
}

// wakeFirst has this CPU, when it schedules now, run a thread that waited for a device before all others.
func wakeFirst(c *cpu, t *thread) {
	if c.first != 0 {
		put(c, c.first)
	}
	c.first = t.tid
}

// finish prepares the thread that is about to be resumed: one that goes back to ring 3 is brought back to Go instead if a
// signal waits for its M or somebody has kicked it, and pending signals get their frames.
func finish(t *thread) {
	pending := atomic.LoadUint64(&t.signalPending) &^ t.signalMask
	if t.resumeUser != 0 {
		u := userAt(t.resumeUser)
		if pending == 0 && u.Kicked == 0 {
			return
		}
		u.Vec = vecInterrupted
		u.Kicked = 0
		t.resumeUser = 0
	}
	if pending != 0 {
		for s := uint64(1); s <= 64; s++ {
			if pending>>(s-1)&1 != 0 {
				atomic.AndUint64(&t.signalPending, ^(1 << (s - 1)))
				deliver(t, s, 0)
				return
			}
		}
	}
}

// expire wakes the threads of this CPU's timer whose time has come, and arms it for the next. It tells whether what runs must
// make room: its slice is over, or somebody has become runnable who is in a hurry.
func expire(c *cpu) (yield bool) {
	now := nowNS()
	next, hurry := expired(c, now)
	if next != noTimer {
		armTimer(c, next)
	}
	return hurry || c.sliceEndNS != 0 && now >= c.sliceEndNS
}

// expired ends the waits that c looks after and that end at the time now. It returns when the next one ends. Who only slept, as
// the runtime's monitor does, is in no hurry.
func expired(c *cpu, now uint64) (next uint64, hurry bool) {
	next = noTimer
	for i, top := uint64(1), atomic.LoadUint64(&topThread); i <= top; i++ {
		t := thread_(i)
		state := atomic.LoadUint64(&t.state)
		d := atomic.LoadUint64(&t.deadlineNS)
		switch {
		case state&stateKind < stateFutex || d == 0 || atomic.LoadUint64(&t.timerCPU) != c.id:
		case d > now:
			next = min(next, d)
		case claim(t, state):
			t.ax = 0
			if state&stateKind == stateFutex {
				t.ax = negErrno(etimedout)
			}
			put(c, i)
			hurry = hurry || state&stateKind != stateSleep
		}
	}
	return next, hurry
}

// shortSleepNS is what is not worth a timer's interrupt. The runtime sleeps as long before it takes work from a thread that is
// about to do it itself.
const shortSleepNS = 10000

// sleepSlackNS is how much longer a sleep takes. Who else sleeps is the runtime's monitor only: 20 µs at a time, or it waits for a
// futex, by which each system call of the kernel that ends wakes it. What it looks after are things that have gone on for 10 ms.
const sleepSlackNS = 5000000

// sleep does nanosleep. It returns true if the thread has only yielded.
func sleep(c *cpu, t *thread, ns uint64) (yield bool) {
	t.ax = 0
	deadline := nowNS() + ns
	if ns > shortSleepNS {
		deadline += sleepSlackNS
		wait(c, t, stateSleep, deadline)
		armTimer(c, deadline)
		return false
	}
	for nowNS() < deadline && atomic.LoadUint64(&c.queue) == 0 {
		answerFlush(c)
		pause()
	}
	return true
}
