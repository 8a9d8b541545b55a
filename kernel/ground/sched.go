package ground

// The run queue is a FIFO of thread indices linked through thread.next.
var runHead, runTail uint64

// sliceNS is how long a thread may run while others wait for a CPU.
const sliceNS = 4000000

func enqueue(t *thread) {
	t.state = stateRunnable
	t.next = 0
	if runHead == 0 {
		runHead = t.tid
	} else {
		thread_(runTail).next = t.tid
	}
	runTail = t.tid
}

// enqueueFirst puts t before all others.
func enqueueFirst(t *thread) {
	t.state = stateRunnable
	t.next = runHead
	if runHead == 0 {
		runTail = t.tid
	}
	runHead = t.tid
}

func dequeue() *thread {
	t := thread_(runHead)
	runHead = t.next
	return t
}

// wake makes a blocked thread runnable and finds a CPU for it.
func wake(t *thread) {
	t.deadlineNS = 0
	enqueue(t)
	kickIdle()
}

// wakeFirst is wake for a thread that waits for a device: it goes before the others, and schedule lets it run at once.
func wakeFirst(t *thread) {
	t.deadlineNS = 0
	enqueueFirst(t)
	me().switchNow = 1
}

// kickIdle interrupts an idle CPU, if there is one, so that it looks at the run queue.
func kickIdle() {
	my := me()
	for i := uint64(0); i < cpuCount; i++ {
		c := cpuByID(i)
		if c != my && c.cur == addressOf(&c.idle) && c.woken == 0 {
			c.woken = 1
			sendIPI(c.lapicID, vecResched)
			return
		}
	}
}

// schedule chooses what this CPU resumes. The running thread goes on unless it has blocked, yields, or a device's thread
// wants the CPU.
func schedule(yield bool) {
	c := me()
	cur := threadAt(c.cur)
	idle := cur == &c.idle
	running := !idle && cur.state == stateRunning
	if c.switchNow != 0 {
		c.switchNow = 0
		yield = true
	}
	if runHead != 0 && (!running || yield) {
		next := dequeue()
		if running {
			// One that was in ring 3 comes back to Go, so that the Go scheduler sees what has become runnable.
			if u := cur.resumeUser; u != 0 {
				userAt(u).Kicked = 1
			}
			enqueue(cur)
		}
		switchTo(c, next)
	} else if !running && !idle {
		c.cur = addressOf(&c.idle)
	}
	if t := threadAt(c.cur); t != &c.idle {
		finish(c, t)
	}
	if runHead != 0 {
		kickIdle()
		if c.cur != addressOf(&c.idle) {
			armTimer(c, nowNS()+sliceNS)
		}
	}
}

func switchTo(c *cpu, t *thread) {
	c.cur = addressOf(t)
	t.state = stateRunning
	t.onCPU = c.id
}

// finish prepares the thread that is about to be resumed: one that goes back to ring 3 is brought back to Go instead if a
// signal waits for its M or somebody has kicked it, and pending signals get their frames.
func finish(c *cpu, t *thread) {
	pending := t.signalPending &^ t.signalMask
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
				t.signalPending &^= 1 << (s - 1)
				deliver(t, s, 0)
				return
			}
		}
	}
}

// expire wakes the threads whose time has come and arms the timer for the next.
func expire(c *cpu) {
	now := nowNS()
	next := uint64(noTimer)
	for i := uint64(1); i <= topThread; i++ {
		t := thread_(i)
		d := t.deadlineNS
		if d == 0 || t.state < stateFutex {
			continue
		}
		if d > now {
			if d < next {
				next = d
			}
			continue
		}
		t.ax = 0
		if t.state == stateFutex {
			t.ax = negErrno(etimedout)
		}
		wake(t)
	}
	if next != noTimer {
		armTimer(c, next)
	}
}

// blockUntil puts the running thread to sleep, until deadlineNS if that isn't 0.
func blockUntil(t *thread, state, deadlineNS uint64) {
	t.state = state
	t.deadlineNS = deadlineNS
	if deadlineNS != 0 {
		armTimer(me(), deadlineNS)
	}
}
