package ground

import "sync/atomic"

// sliceNS is how long a thread may run while others wait for its CPU.
const sliceNS = 4000000

// minPatienceNS and maxPatienceNS bound how long a CPU has for itself what it has woken (see untold).
const (
	minPatienceNS = 200000
	maxPatienceNS = 2000000
)

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
	c.offerNS = 0
	atomic.StoreUint64(&c.helps, 0)
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
	if t.resumeUser == 0 && t.full == 0 { // it has asked for it, by a system call
		put(c, t.tid)
		return
	}
	p, tick := currentP(t)
	displaced(c, t, p, tick)
}

// displaced puts t, which has made room, in c's queue. It computes if it runs the goroutine with which it had to make room before.
func displaced(c *cpu, t *thread, p, tick uint64) {
	computes := p != 0 && p == t.roomP && tick == t.roomTick
	t.roomP, t.roomTick = p, tick
	put(c, t.tid)
	if computes {
		c.computing |= 1 << (t.tid % maxThreads)
	}
}

// offer has idle CPUs take what has waited long enough for this one. What they don't take gets the CPU when the slice of what runs
// is over.
func offer(c *cpu) {
	if atomic.LoadUint64(&c.queue) == 0 {
		c.offerNS = 0
		return
	}
	now := nowNS()
	if c.sliceEndNS == 0 {
		c.sliceEndNS = now + sliceNS
	}
	for fresh := untold(c, now); fresh != 0; fresh &= fresh - 1 {
		id, ok := takeIdle()
		if !ok {
			break
		}
		to := cpuByID(id)
		atomic.StoreUint64(&to.helps, 1)
		sendIPI(c, to, vecResched)
	}
	if c.offerNS != 0 {
		armTimer(c, c.offerNS)
	}
	armTimer(c, c.sliceEndNS)
}

// untold returns the threads in c's own queue that idle CPUs are to be told of now.
//
// To tell one is dear, and mostly for nothing: the runtime wakes a thread whenever a goroutine becomes runnable, and the goroutine
// that has made it so is mostly about to wait, and lets it run. So c has the threads for itself until its patience is over. There is
// none if one is waiting that computes, or if c was told itself: then there is work for many.
func untold(c *cpu, now uint64) (fresh uint64) {
	waiting := atomic.LoadUint64(&c.queue) &^ c.offered
	switch {
	case waiting == 0 || waiting&c.computing != 0 || atomic.LoadUint64(&c.helps) != 0 || atomic.LoadUint64(&idleCPUs) == 0:
		c.offerNS = 0
		return unoffered(c) // who idles later looks by itself
	case c.offerNS > now:
		return 0
	}
	p, tick := currentP(threadAt(c.cur))
	return judge(c, now, p, tick)
}

// judge is untold for when c begins to be patient, or its patience is over; c runs the runtime's P p, which has scheduled tick times.
// If that is still the goroutine with which it began, another CPU is needed, and c begins with little patience next time. If not,
// one goroutine after the other has its turn, and c has more.
func judge(c *cpu, now, p, tick uint64) (fresh uint64) {
	if c.offerNS != 0 {
		if p == c.busyP && tick == c.busyTick {
			c.offerNS, c.patienceNS = 0, 0
			return unoffered(c)
		}
		c.patienceNS *= 2
	}
	c.patienceNS = min(max(c.patienceNS, minPatienceNS), maxPatienceNS)
	c.offerNS = now + c.patienceNS
	c.busyP, c.busyTick = p, tick
	return 0
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
