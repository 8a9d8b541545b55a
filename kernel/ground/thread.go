package ground

import "wick/kernel/ground/regs"

// userRegs gives the assembly the offsets of regs.User.
type userRegs regs.User

// maxThreads bounds the threads (Ms) of the kernel's runtime. An M exists per GOMAXPROCS and per blocked
// ground call, of which there are few: user threads don't hold one each.
const maxThreads = 64

// State of a thread.
const (
	stateFree     = iota
	stateRunnable // in the run queue
	stateRunning  // on a CPU
	stateFutex    // in FUTEX_WAIT
	stateSleep    // in nanosleep
	stateEpoll    // in epoll_pwait
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

	state      uint64
	tid        uint64
	next       uint64 // run-queue link: index of the next thread, 0 at the end
	onCPU      uint64 // while running
	deadlineNS uint64 // wakes a blocked thread; 0: none
	futexAddr  uint64

	signalPending, signalMask   uint64
	altSP, altSize, altFlags    uint64
	epollEvents, epollMaxEvents uint64
}

var (
	threads   [maxThreads]thread // 0 is not used
	topThread uint64             // highest index in use
)

// thread_ returns the thread with index i, which is its tid.
func thread_(i uint64) *thread { return &threads[i%maxThreads] }
