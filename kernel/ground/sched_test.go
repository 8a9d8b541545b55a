package ground

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// reset gives a test the CPUs and threads, which are variables of the package, as they are before boot.
func reset(t *testing.T, n uint64) {
	clean := func() {
		clear(cpus[:])
		clear(threads[:])
		idleCPUs, topThread, cpuCount = 0, 0, 1
	}
	clean()
	t.Cleanup(clean)
	cpuCount = n
	for i := range n {
		c := cpuByID(i)
		c.id, c.armedNS = i, noTimer
		c.cur = addressOf(&c.idle)
	}
}

func TestTakeGivesEachItsTurn(t *testing.T) {
	reset(t, 1)
	c := cpuByID(0)
	runs := make(map[uint64]int)
	for _, tid := range []uint64{1, 2, 31, 63} {
		put(c, tid)
	}
	for range 40 {
		tid := next(c)
		runs[tid]++
		put(c, tid)
	}
	for tid, n := range runs {
		if n != 10 {
			t.Errorf("thread %d had %d turns of 40, with four in the queue", tid, n)
		}
	}
}

// TestRootIsInUseWhileItIsLeft: a CPU that changes from one program's page tables to another's is asked for flushes of both until it has
// the new ones.
func TestRootIsInUseWhileItIsLeft(t *testing.T) {
	reset(t, 1)
	c := cpuByID(0)
	const old, new, other = 0x1000, 0x2000, 0x3000
	for _, step := range []struct {
		root, loaded     uint64
		oldUsed, newUsed bool
	}{{old, old, true, false}, {new, old, true, true}, {new, new, false, true}} {
		c.root, c.loaded = step.root, step.loaded
		if uses(c, old) != step.oldUsed || uses(c, new) != step.newUsed || uses(c, other) {
			t.Errorf("root %#x, loaded %#x: uses the old one: %v, the new one: %v, another one: %v",
				step.root, step.loaded, uses(c, old), uses(c, new), uses(c, other))
		}
	}
}

func TestNextTakesOwnThreadsFirst(t *testing.T) {
	reset(t, 3)
	put(cpuByID(0), 5)
	put(cpuByID(1), 6)
	put(cpuByID(2), 7)
	for _, want := range []uint64{6, 7, 5, 0} {
		if tid := next(cpuByID(1)); tid != want {
			t.Errorf("got thread %d, want %d", tid, want)
		}
	}
}

func TestWaitingThreadIsOfferedOnce(t *testing.T) {
	reset(t, 4)
	c := cpuByID(0)
	put(c, 1)
	put(c, 2)
	if set := unoffered(c); set != 1<<1|1<<2 {
		t.Errorf("new in the queue: %b", set)
	}
	if set := unoffered(c); set != 0 {
		t.Errorf("offered again: %b", set)
	}
	take(&c.queue, 0)
	put(c, 1)
	if set := unoffered(c); set != 1<<1 {
		t.Errorf("thread 1 has come anew, to be offered are %b", set)
	}
}

// What a CPU has woken waits for that CPU while its patience lasts, and longer while that runs one goroutine after the other; but not
// while it stays with one.
func TestIdleCPUIsToldOfWhatWaitsLong(t *testing.T) {
	reset(t, 2)
	c := cpuByID(0)
	beginIdle(cpuByID(1))
	const p = 1 << 20
	put(c, 1)
	if set := untold(c, 1000); set != 0 || c.offerNS != 1000+minPatienceNS {
		t.Fatalf("told of %b at once, and again at %d", set, c.offerNS)
	}
	if set := untold(c, c.offerNS-1); set != 0 {
		t.Errorf("told of %b too soon", set)
	}
	c.busyP = p
	for tick := uint64(1); tick < 10; tick++ {
		before, now := c.patienceNS, c.offerNS
		if set := judge(c, now, p, tick); set != 0 {
			t.Fatalf("told of %b while goroutines take turns", set)
		}
		if want := min(2*before, uint64(maxPatienceNS)); c.patienceNS != want || c.offerNS != now+want {
			t.Errorf("after %d ns it has patience for %d ns, until %d; want %d more", before, c.patienceNS, c.offerNS, want)
		}
	}
	put(c, 2)
	if set := judge(c, c.offerNS, p, 9); set != 1<<1|1<<2 || c.offerNS != 0 {
		t.Errorf("told of %b when it still runs the same, want both", set)
	}
	if set := untold(c, 1<<40); set != 0 || c.offerNS != 0 {
		t.Errorf("told of %b again", set)
	}
	put(c, 3)
	if set := untold(c, 1<<40); set != 0 || c.offerNS != 1<<40+minPatienceNS {
		t.Errorf("told of %b at once; it has patience until %d", set, c.offerNS)
	}
}

// Where no CPU idles there is nobody to tell; who idles later finds what waits.
func TestNobodyIsToldIfNoCPUIdles(t *testing.T) {
	reset(t, 2)
	c := cpuByID(0)
	put(c, 1)
	if untold(c, 1000); c.offerNS != 0 {
		t.Errorf("it looks again at %d", c.offerNS)
	}
	if tid := becomeIdle(cpuByID(1)); tid != 1 {
		t.Errorf("the CPU that has nothing to do takes thread %d", tid)
	}
}

// A thread that had to make room twice without the runtime's scheduler having run computes, and gets an idle CPU at once.
func TestThreadThatComputesIsToldOfAtOnce(t *testing.T) {
	reset(t, 2)
	c, th := cpuByID(0), newThread()
	beginIdle(cpuByID(1))
	const p = 1 << 20
	for _, step := range []struct {
		p, tick uint64
		want    bool
	}{{p, 1, false}, {p, 2, false}, {p, 2, true}, {p, 3, false}, {2 * p, 3, false}, {0, 0, false}, {0, 0, false}} {
		displaced(c, th, step.p, step.tick)
		if set := untold(c, 1000); (set != 0) != step.want {
			t.Errorf("displaced with P %#x at %d: told of %b", step.p, step.tick, set)
		}
		if take(&c.queue, 0) != th.tid {
			t.Fatal("it isn't in the queue")
		}
	}
}

// A CPU that was told of another's threads tells of its own at once, until it idles: where many CPUs are needed, each wakes the next.
func TestCPUThatHelpsTellsAtOnce(t *testing.T) {
	reset(t, 3)
	c := cpuByID(0)
	beginIdle(cpuByID(1))
	c.helps = 1
	put(c, 1)
	if set := untold(c, 1000); set != 1<<1 {
		t.Errorf("told of %b, want thread 1", set)
	}
	take(&c.queue, 0)
	becomeIdle(c)
	leaveIdle(c)
	put(c, 1)
	if set := untold(c, 1000); set != 0 {
		t.Errorf("told of %b at once after it has idled", set)
	}
}

func TestFutexWaitsOnlyForItsValue(t *testing.T) {
	reset(t, 1)
	c, th := cpuByID(0), newThread()
	word := uint32(1)
	switchTo(c, th)
	if futexWait(c, th, &word, 2, 0) || th.ax != negErrno(eagain) || c.cur != addressOf(th) {
		t.Error("a thread waits though the word has another value")
	}
	if !futexWait(c, th, &word, 1, 0) || c.cur != addressOf(&c.idle) {
		t.Error("a thread doesn't wait though the word has its value")
	}
	if n := futexWake(c, addressOf(&word)+4, 1); n != 0 {
		t.Error("a thread was woken that waits for another word")
	}
	if n := futexWake(c, addressOf(&word), 0); n != 0 {
		t.Error("more threads were woken than were to be")
	}
	if n := futexWake(c, addressOf(&word), 9); n != 1 || next(c) != th.tid {
		t.Errorf("%d threads were woken, want 1", n)
	}
}

// A claim of a thread that has been woken meanwhile, and waits in the same way again, must not end that wait.
func TestClaimIsOfOneWait(t *testing.T) {
	reset(t, 1)
	c, th := cpuByID(0), newThread()
	seen := wait(c, th, stateSleep, 1)
	if !claim(th, seen) || claim(th, seen) {
		t.Fatal("a wait doesn't end exactly once")
	}
	if wait(c, th, stateSleep, 2); claim(th, seen) {
		t.Error("a claim has ended a later wait")
	}
}

func TestExpiredLooksAfterItsOwnDeadlines(t *testing.T) {
	reset(t, 2)
	var word uint32
	sleeper, waiter, other, forever := newThread(), newThread(), newThread(), newThread()
	c := cpuByID(0)
	wait(c, sleeper, stateSleep, 100)
	futexWait(c, waiter, &word, 0, 200)
	wait(cpuByID(1), other, stateEpoll, 50)
	wait(c, forever, stateEpoll, 0)
	if when, hurry := expired(c, 99); when != 100 || hurry || c.queue != 0 {
		t.Errorf("at 99 the next deadline is %d, want 100; woken %b", when, c.queue)
	}
	if when, hurry := expired(c, 150); when != 200 || hurry || next(c) != sleeper.tid || sleeper.ax != 0 {
		t.Errorf("at 150 the next deadline is %d, want 200, and the sleeper awake", when)
	}
	if when, hurry := expired(c, 200); when != noTimer || !hurry || next(c) != waiter.tid || waiter.ax != negErrno(etimedout) {
		t.Errorf("at 200 the next deadline is %d, want none, and the waiter awake with ETIMEDOUT", when)
	}
	if when, hurry := expired(cpuByID(1), 200); when != noTimer || !hurry || next(cpuByID(1)) != other.tid {
		t.Error("the other CPU has not woken its thread")
	}
}

func TestNewThreadHasIndexOfItsOwn(t *testing.T) {
	reset(t, 1)
	var wg sync.WaitGroup
	var got [maxThreads]atomic.Int32
	for range maxThreads + 10 {
		wg.Go(func() {
			if th := newThread(); th != nil {
				got[th.tid].Add(1)
			}
		})
	}
	wg.Wait()
	for i := range got {
		if n := got[i].Load(); n != min(int32(i), 1) {
			t.Errorf("thread %d was given away %d times", i, n)
		}
	}
	if topThread != maxThreads-1 {
		t.Errorf("the highest thread is said to be %d", topThread)
	}
}

// machine is CPUs that are goroutines. What they run are threads that a function stands for: it does the next step of the thread
// with the CPU that runs it, and leaves it running, waiting, or in a queue.
type machine struct {
	step       func(c *cpu, t *thread)
	began      time.Time
	interrupts [maxCPUs]chan struct{} // an interrupt that is pending
	stop       atomic.Bool
	wg         sync.WaitGroup
}

func (m *machine) start() {
	m.began = time.Now()
	for i := range cpuCount {
		m.interrupts[i] = make(chan struct{}, 1)
	}
	for i := range cpuCount {
		m.wg.Go(func() { m.run(cpuByID(i)) })
	}
}

func (m *machine) interrupt(id uint64) {
	select {
	case m.interrupts[id] <- struct{}{}:
	default:
	}
}

// run does as schedule does, and waits for an interrupt where a CPU would halt.
func (m *machine) run(c *cpu) {
	for !m.stop.Load() {
		tid := choose(c, false, false)
		if tid == 0 {
			<-m.interrupts[c.id]
			leaveIdle(c)
			continue
		}
		th := thread_(tid)
		switchTo(c, th)
		m.step(c, th)
		for fresh := untold(c, uint64(time.Since(m.began))); fresh != 0; fresh &= fresh - 1 {
			if id, ok := takeIdle(); ok {
				m.interrupt(id)
			}
		}
	}
}

func (m *machine) end() {
	m.stop.Store(true)
	for i := range cpuCount {
		m.interrupt(i)
	}
	m.wg.Wait()
}

// yield puts the running thread back in its CPU's queue.
func yield(c *cpu, th *thread) {
	c.cur = addressOf(&c.idle)
	atomic.StoreUint64(&th.state, stateRunnable)
	put(c, th.tid)
}

// TestNoWakeUpIsLost has threads on several CPUs hand tokens round a ring, by a futex each: a thread waits for a token, and
// wakes the next one. If a wake-up were lost, the tokens would stop; if one were for two CPUs, the race detector would see it.
func TestNoWakeUpIsLost(t *testing.T) {
	for _, n := range []uint64{1, 2, 4, 8} {
		reset(t, n)
		const ring = 12
		rounds := 3000
		if testing.Short() {
			rounds = 300
		}
		var word [ring]uint32 // tokens that have come
		var seen [ring]uint32 // of those, how many the thread has passed on; the thread's own
		var passed atomic.Int64
		done := make(chan struct{})
		want := int64(ring * rounds)
		m := &machine{}
		m.step = func(c *cpu, th *thread) {
			me := th.tid - 1
			if atomic.LoadUint32(&word[me]) == seen[me] {
				if futexWait(c, th, &word[me], seen[me], 0) {
					return
				}
				yield(c, th)
				return
			}
			seen[me]++
			after := (me + 1) % ring
			atomic.AddUint32(&word[after], 1)
			futexWake(c, addressOf(&word[after]), 1)
			if passed.Add(1) == want {
				close(done)
			}
			if rand.N(4) == 0 {
				runtime.Gosched()
			}
			yield(c, th)
		}
		for range ring {
			put(cpuByID(0), newThread().tid)
		}
		word[0], word[5] = 1, 1 // two tokens
		m.start()
		<-done
		m.end()
	}
}

// TestTimerAndWakerClaimOnce has a timer and a waker race for threads that wait with a deadline: each wait ends exactly once.
func TestTimerAndWakerClaimOnce(t *testing.T) {
	reset(t, 2)
	timer, waker := cpuByID(0), cpuByID(1)
	var word uint32
	th := newThread()
	for range 20000 {
		futexWait(timer, th, &word, 0, 1)
		var wg sync.WaitGroup
		wg.Go(func() { expired(timer, 1) })
		wg.Go(func() { futexWake(waker, addressOf(&word), 1) })
		wg.Wait()
		if n := bits.OnesCount64(timer.queue) + bits.OnesCount64(waker.queue); n != 1 {
			t.Fatalf("the thread is in %d queues", n)
		}
		timedOut := timer.queue != 0
		if (th.ax == negErrno(etimedout)) != timedOut {
			t.Fatalf("timed out is %v, the result is %d", timedOut, int64(th.ax))
		}
		timer.queue, waker.queue = 0, 0
	}
}

// A thread that is put in a queue when a CPU has just found nothing to do: either the CPU sees it before it idles, or whoever puts
// it there is told to interrupt the CPU.
func TestNothingWaitsBesideAnIdleCPU(t *testing.T) {
	reset(t, 2)
	busy, c := cpuByID(0), cpuByID(1)
	tid := newThread().tid
	if next(c) != 0 {
		t.Fatal("there is something to do")
	}
	put(busy, tid)
	if id, ok := takeIdle(); ok {
		t.Errorf("CPU %d idles before it has said so", id)
	}
	if got := becomeIdle(c); got != tid || isIdle(c.id) {
		t.Errorf("the CPU runs thread %d, want %d; it idles: %v", got, tid, isIdle(c.id))
	}
	if got := becomeIdle(c); got != 0 || !isIdle(c.id) {
		t.Errorf("with nothing to do, the CPU runs thread %d; it idles: %v", got, isIdle(c.id))
	}
	put(busy, tid)
	if id, ok := takeIdle(); !ok || id != c.id {
		t.Error("nobody is told to interrupt the idle CPU")
	}
}

// TestIdleCPUIsWokenOnce has CPUs claim idle ones: each is claimed by one, and only if it is idle.
func TestIdleCPUIsWokenOnce(t *testing.T) {
	reset(t, 8)
	for range 2000 {
		for _, id := range []uint64{1, 3, 4, 7} {
			beginIdle(cpuByID(id))
		}
		var claimed [maxCPUs]atomic.Int32
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if id, ok := takeIdle(); ok {
					claimed[id].Add(1)
				}
			})
		}
		wg.Wait()
		for id := range claimed {
			if want := int32(0b10011010 >> id & 1); claimed[id].Load() != want {
				t.Fatalf("CPU %d was claimed %d times, want %d", id, claimed[id].Load(), want)
			}
		}
	}
}
