package ground

import (
	"sync/atomic"

	"wick/kernel/ground/regs"
)

// userRegs gives the assembly the offsets of regs.User.
type userRegs regs.User

// maxThreads bounds the threads (Ms) of the kernel's runtime: a set of them is a word. An M exists per GOMAXPROCS and per
// blocked ground call, of which there are few: user threads don't hold one each.
const maxThreads = 64

// Kinds of states of a thread. A thread that waits belongs to nobody, until claim has changed its state. One that is runnable
// belongs to who takes it out of a queue, or hasn't put it there yet; one that runs, to its CPU.
const (
	stateFree     = iota
	stateRunnable // in the queue of a CPU
	stateRunning  // on a CPU
	stateFutex    // in FUTEX_WAIT
	stateSleep    // in nanosleep
	stateEpoll    // in epoll_pwait

	stateKind = 7 // mask: above it a waiting thread has the number of the wait
	stateWait = 8
)

// thread is one M of the kernel's runtime, with its registers while it doesn't run. The assembly knows
// the offsets by go_asm.h; the first fifteen fields are laid out as in regs.User.
type thread struct {
	ax, bx, cx, dx, si, di, bp, r8, r9, r10, r11, r12, r13, r14, r15 uint64

	ip, flags, sp uint64
	vec, err, cr2 uint64
	fsBase        uint64

	// full: all registers are saved (after a fault or interrupt); else only those that a system call preserves.
	full uint64

	// user is the address of the *regs.User that this thread has in ring 3, 0 if none; userSP and userG are what
	// enterUser saved to return with.
	user          uint64
	userSP, userG uint64
	// resumeUser: the thread was interrupted in ring 3 and may go straight back with this *regs.User.
	resumeUser uint64

	xmm [256]byte // X0–X15 if full

	state uint64 // kind and, while it waits, number of the wait; atomic
	tid   uint64
	onCPU uint64 // while running

	// Of the present or last wait; written before the state, atomically but for waits.
	waits      uint64 // its number, times stateWait
	deadlineNS uint64 // when it ends; 0: never
	timerCPU   uint64 // the CPU that looks after the deadline
	futexAddr  uint64

	// What it ran when it last had to make room: the runtime's P, 0 if none, and that P's count of scheduling.
	roomP, roomTick uint64

	signalPending               uint64 // atomic
	signalMask                  uint64
	altSP, altSize, altFlags    uint64
	epollEvents, epollMaxEvents uint64
}

var (
	threads   [maxThreads]thread // 0 is not used
	topThread uint64             // highest index that has been used; atomic
)

// thread_ returns the thread with index i, which is its tid.
func thread_(i uint64) *thread { return &threads[i%maxThreads] }

// wait makes the running thread of a CPU one that waits, until deadlineNS if that isn't 0, and returns its state. From then on
// another CPU may wake it, and run it: it can only be touched after claim.
func wait(c *cpu, t *thread, kind, deadlineNS uint64) (state uint64) {
	t.waits += stateWait
	atomic.StoreUint64(&t.deadlineNS, deadlineNS)
	atomic.StoreUint64(&t.timerCPU, c.id)
	c.cur = addressOf(&c.idle)
	state = t.waits | kind
	atomic.StoreUint64(&t.state, state)
	return state
}

// claim ends the wait in which t was seen, and tells whether it did: then t is runnable and the caller's.
func claim(t *thread, state uint64) bool {
	return atomic.CompareAndSwapUint64(&t.state, state, stateRunnable)
}

// claimKind ends the wait of any thread that waits in this way, and returns the thread; nil if there is none.
func claimKind(kind uint64) *thread {
	for i, top := uint64(1), atomic.LoadUint64(&topThread); i <= top; i++ {
		t := thread_(i)
		if state := atomic.LoadUint64(&t.state); state&stateKind == kind && claim(t, state) {
			return t
		}
	}
	return nil
}

// newThread returns a thread that is not in use, for the caller; nil if there is none.
func newThread() *thread {
	for i := uint64(1); i < maxThreads; i++ {
		t := thread_(i)
		if atomic.LoadUint64(&t.state) != stateFree || !claim(t, stateFree) {
			continue
		}
		for top := atomic.LoadUint64(&topThread); top < i; top = atomic.LoadUint64(&topThread) {
			atomic.CompareAndSwapUint64(&topThread, top, i)
		}
		t.tid = i
		return t
	}
	return nil
}
