package task

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

// bareThread returns a thread that the test itself runs.
func (w *world) bareThread() *Thread {
	if w.proc == nil {
		o := w.opts
		o.PID, o.CPU, o.Space, o.Regs, o.MaxThreads = 1, w.cpu, w.space, regs.New(), 1000
		w.proc = New(o)
		w.tb.Cleanup(w.space.Release)
		return w.proc.leader
	}
	t, err := w.proc.addThread(regs.New())
	if err != nil {
		w.tb.Fatal(err)
	}
	return t
}

func TestFutexErrors(t *testing.T) {
	w := newWorld(t)
	th := w.bareThread()
	p := th.Process
	w.put(dataAt, 5)
	past, never := time.Now().Add(-time.Second), time.Time{}
	for _, c := range []struct {
		name string
		do   func() error
		want error
	}{
		{"other value", func() error { return th.FutexWait(dataAt, 6, 1, never) }, unix.EAGAIN},
		{"no bits", func() error { return th.FutexWait(dataAt, 5, 0, never) }, unix.EINVAL},
		{"not aligned", func() error { return th.FutexWait(dataAt+2, 0, 1, never) }, unix.EINVAL},
		{"no memory", func() error { return th.FutexWait(0x1000, 0, 1, never) }, unix.EFAULT},
		{"beyond user memory", func() error { return th.FutexWait(1<<63, 0, 1, never) }, unix.EFAULT},
		{"deadline passed", func() error { return th.FutexWait(dataAt, 5, 1, past) }, unix.ETIMEDOUT},
		{"timeout", func() error { return th.FutexWait(dataAt, 5, 1, time.Now().Add(time.Millisecond)) }, unix.ETIMEDOUT},
		{"wake without bits", func() error { _, err := p.FutexWake(dataAt, 1, 0); return err }, unix.EINVAL},
		{"wake, not aligned", func() error { _, err := p.FutexWake(dataAt+1, 1, 1); return err }, unix.EINVAL},
		{"requeue, other value", func() error {
			v := uint32(6)
			_, _, err := p.FutexRequeue(dataAt, dataAt+4, 1, 1, &v)
			return err
		}, unix.EAGAIN},
		{"requeue, negative", func() error { _, _, err := p.FutexRequeue(dataAt, dataAt+4, -1, 1, nil); return err }, unix.EINVAL},
		{"wake op, no memory", func() error { _, err := p.FutexWakeOp(dataAt, 0x1000, 1, 1, 0); return err }, unix.EFAULT},
		{"wake op, unknown", func() error { _, err := p.FutexWakeOp(dataAt, dataAt+8, 1, 1, 7<<28); return err }, unix.ENOSYS},
		{"signal", func() error {
			p.SetAction(unix.SIGUSR1, Action{Handler: 4096})
			th.SendInfo(UserInfo(unix.SIGUSR1, SiTkill, 1, 0))
			return th.FutexWait(dataAt, 5, 1, never)
		}, unix.EINTR},
	} {
		if err := c.do(); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for i := range p.family.futexes.buckets {
		if p.family.futexes.buckets[i].first != nil {
			t.Error("a waiter was left behind")
		}
	}
}

func TestWakeOpArithmetic(t *testing.T) {
	const old = 0b1100
	op := func(op, cmp, oparg, cmparg uint32) uint32 { return op<<28 | cmp<<24 | oparg&0xfff<<12 | cmparg&0xfff }
	for _, c := range []struct {
		op   uint32
		want uint32
		also bool
	}{
		{op(wakeOpSet, wakeCmpEQ, 7, old), 7, true},
		{op(wakeOpAdd, wakeCmpNE, 0xfff, old), old - 1, false},
		{op(wakeOpOr, wakeCmpLT, 1, 13), old | 1, true},
		{op(wakeOpAnd, wakeCmpLE, 4, 12), 0b1000, true},
		{op(wakeOpXor, wakeCmpGT, 0b101, 12), 0b1001, false},
		{op(wakeOpOr|wakeOpShift, wakeCmpGE, 5, 0xfff), old | 32, true},
	} {
		v, err := wakeOpApply(c.op, old)
		also, err2 := wakeOpCompare(c.op, old)
		if v != c.want || also != c.also || err != nil || err2 != nil {
			t.Errorf("op %#x: %d %v %v %v, want %d %v", c.op, v, also, err, err2, c.want, c.also)
		}
	}
}

// sleepers makes n threads wait at addr, and returns when all of them are in the bucket.
func (w *world) sleepers(n int, addr uint64, bits uint32, woken func(i int)) *sync.WaitGroup {
	var wg sync.WaitGroup
	for i := range n {
		th := w.bareThread()
		wg.Go(func() {
			if err := th.FutexWait(addr, uint32(w.word(addr)), bits, time.Time{}); err != nil {
				w.tb.Errorf("FutexWait: %v", err)
			}
			woken(i)
		})
		for th.waiter.bucket.Load() == nil {
			time.Sleep(10 * time.Microsecond)
		}
	}
	return &wg
}

func TestFutexWakesInOrderAndByBits(t *testing.T) {
	w := newWorld(t)
	w.bareThread()
	order := make(chan int, 8)
	wg := w.sleepers(3, dataAt, 1, func(i int) { order <- i })
	wg2 := w.sleepers(1, dataAt, 2, func(int) { order <- 100 })
	for i, c := range []struct {
		bits uint32
		want int
	}{{1, 0}, {2, 100}, {3, 1}, {futexAnyBits, 2}} {
		if n, err := w.proc.FutexWake(dataAt, 1, c.bits); n != 1 || err != nil {
			t.Fatalf("wake %d: %d, %v", i, n, err)
		}
		if got := <-order; got != c.want {
			t.Errorf("wake %d woke %d, want %d", i, got, c.want)
		}
	}
	wg.Wait()
	wg2.Wait()
	if n, _ := w.proc.FutexWake(dataAt, 1, futexAnyBits); n != 0 {
		t.Errorf("%d more woken", n)
	}
}

func TestRequeueMovesWaiters(t *testing.T) {
	for _, to := range []uint64{dataAt + 4, dataAt + 64*4, dataAt} {
		t.Run(fmt.Sprintf("%#x", to), func(t *testing.T) {
			w := newWorld(t)
			w.bareThread()
			var woken atomic.Int32
			wg := w.sleepers(5, dataAt, futexAnyBits, func(int) { woken.Add(1) })
			zero := uint32(0)
			n, moved, err := w.proc.FutexRequeue(dataAt, to, 1, 3, &zero)
			if n != 1 || moved != 3 || err != nil {
				t.Fatalf("requeue: %d, %d, %v", n, moved, err)
			}
			if to != dataAt {
				if n, _ := w.proc.FutexWake(dataAt, 10, futexAnyBits); n != 1 {
					t.Errorf("%d were left at the first address, want 1", n)
				}
			}
			if n, _ := w.proc.FutexWake(to, 10, futexAnyBits); n != 3+map[bool]int{true: 1}[to == dataAt] {
				t.Errorf("%d at the second address", n)
			}
			wg.Wait()
		})
	}
}

// TestFutexMutexUnderLoad runs the mutex of Drepper's "Futexes Are Tricky" (mutex 2) on several threads that
// are also interrupted by signals and timeouts; a lost wake-up would stop them.
func TestFutexMutexUnderLoad(t *testing.T) {
	w := newWorld(t)
	p := w.bareThread().Process
	p.SetAction(unix.SIGURG, Action{Handler: 4096})
	const lock, threads, rounds = dataAt, 8, 1500
	counter := 0 // guarded by the futex
	cas := func(old, v uint32) bool {
		ok, err := p.Space.CompareAndSwapUint32(lock, old, v)
		if err != nil {
			t.Error(err)
		}
		return ok
	}
	load := func() uint32 { v, _ := p.Space.LoadUint32(lock); return v }
	xchg2 := func() uint32 {
		for {
			if v := load(); cas(v, 2) {
				return v
			}
		}
	}
	stop := make(chan struct{})
	var all []*Thread
	for range threads {
		all = append(all, w.bareThread())
	}
	var noise sync.WaitGroup
	noise.Go(func() { // signals and requeues to the same address
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			all[i%threads].SendInfo(UserInfo(unix.SIGURG, SiTkill, 1, 0))
			p.FutexRequeue(lock, lock, 0, threads, nil)
			time.Sleep(50 * time.Microsecond)
		}
	})
	var wg sync.WaitGroup
	for i, th := range all {
		wg.Go(func() {
			for n := range rounds {
				if !cas(0, 1) {
					for xchg2() != 0 {
						var deadline time.Time
						if (n+i)%7 == 0 {
							deadline = time.Now().Add(20 * time.Microsecond)
						}
						switch err := th.FutexWait(lock, 2, futexAnyBits, deadline); err {
						case nil, unix.EAGAIN, unix.ETIMEDOUT:
						case unix.EINTR:
							th.nextSignal() // takes it, as delivery would
						default:
							t.Errorf("FutexWait: %v", err)
						}
					}
				}
				counter++
				for {
					if v := load(); cas(v, 0) {
						if v == 2 {
							p.FutexWake(lock, 1, futexAnyBits)
						}
						break
					}
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	noise.Wait()
	if counter != threads*rounds {
		t.Errorf("counter %d, want %d", counter, threads*rounds)
	}
}

// TestFutexRequeueRaces moves waiters back and forth while they give up and are woken.
func TestFutexRequeueRaces(t *testing.T) {
	w := newWorld(t)
	p := w.bareThread().Process
	const a, b = dataAt, dataAt + 64
	var left atomic.Int32
	var wg sync.WaitGroup
	for i := range 6 {
		th := w.bareThread()
		left.Add(1)
		wg.Go(func() {
			defer left.Add(-1)
			for range 1000 {
				th.FutexWait([]uint64{a, b}[i%2], 0, futexAnyBits, time.Now().Add(30*time.Microsecond))
				if th.waiter.bucket.Load() != nil {
					t.Error("a place was left behind")
				}
			}
		})
	}
	for ; left.Load() > 0; runtime.Gosched() {
		p.FutexRequeue(a, b, 0, 2, nil)
		p.FutexRequeue(b, a, 1, 2, nil)
		p.FutexWakeOp(a, b, 1, 1, wakeOpAdd<<28|wakeCmpGE<<24)
	}
	wg.Wait()
}

func TestFutexWaitDoesNotAllocate(t *testing.T) {
	w := newWorld(t)
	th, waker := w.bareThread(), w.bareThread()
	ended := make(chan struct{})
	go func() { // waits and wakes in turn with the measured thread
		defer close(ended)
		for waker.FutexWait(dataAt+4, 0, 1, time.Time{}) == nil {
			for {
				if n, _ := th.Process.FutexWake(dataAt, 1, 1); n == 1 {
					break
				}
				runtime.Gosched()
			}
		}
	}()
	turn := func() {
		for {
			if n, _ := th.Process.FutexWake(dataAt+4, 1, 1); n == 1 {
				break
			}
			runtime.Gosched()
		}
		if err := th.FutexWait(dataAt, 0, 1, time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
	}
	turn()
	if n := testing.AllocsPerRun(200, turn); n > 0 {
		t.Errorf("%v allocations for a wait with a timeout", n)
	}
	waker.notify(nil, attExit)
	<-ended // it looks at the memory
}
