package task

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/record"
	"wick/kernel/ground/regs"
	"wick/kernel/timers"
)

// nameSize is the size of a thread's name with its final NUL (TASK_COMM_LEN).
const nameSize = 16

// What Thread.attention asks for. No bit, which is the rule, means: enter ring 3 again.
const (
	attSignal = 1 << iota // a signal may be deliverable
	attExit               // the thread must leave
	attStop               // the thread must park
	attCall               // the last call was interrupted, or changed the mask for its own time
)

// Thread is one thread of a Process. Its goroutine runs it, and only that goroutine touches the
// fields that no comment gives to others.
type Thread struct {
	TID     int
	Process *Process
	Regs    *regs.User
	Record  *record.Thread // of its system calls, kept by the system-call layer

	// Local belongs to the system-call layer. Like the fields above it is nil when the thread has left.
	Local any

	attention atomic.Uint32
	wake      chan struct{} // capacity 1: Sleep looks at attention again

	mask    Set     // guarded by Process.mu for others; its thread may read it without
	waitSet Set     // guarded by Process.mu: signals that end a sleep although mask holds them back
	pending pending // guarded by Process.mu

	saved       Set       // the mask to go back to if maskSaved
	maskSaved   bool      // mask is in force for the present call only
	interrupted Restart   // how the call that has just been interrupted wants to go on
	callNumber  uint64    // of that call
	resumed     bool      // the present call is an interrupted one that goes on
	deadline    time.Time // of the present call, kept for when it goes on

	altStack Stack
	trap     trapState

	systemPlace [2]uint64 // IP and address of the last fault that systemFault has looked at

	waiter   futexWaiter
	robust   uint64 // address of the robust list's head
	clearTID uint64 // where to store 0 and wake at the end
	exitCode int
	timer    *timers.Timer
	inside   bool // it counts at the gate
	started  time.Time
	slept    atomic.Int64 // ns asleep; during a sleep less the time of its beginning, in ns after started, and less 1
	told     atomic.Int64 // ns of CPU time, the most that CPUTime has returned
	name     atomic.Pointer[string]
}

// trapState is what the last exception left for signal frames: thread.trap_nr, error_code and cr2 in Linux.
type trapState struct{ number, code, cr2 uint64 }

func newThread(p *Process, tid int, u *regs.User) *Thread {
	t := &Thread{TID: tid, Process: p, Regs: u, Record: record.Add(p.PID, tid, u), wake: make(chan struct{}, 1), started: time.Now()}
	t.altStack.Flags = SsDisable
	t.waiter.thread = t
	return t
}

// Name returns the thread's name, as prctl(PR_GET_NAME).
func (t *Thread) Name() string {
	if s := t.name.Load(); s != nil {
		return *s
	}
	return ""
}

// SetName sets the thread's name, cut to 15 bytes.
func (t *Thread) SetName(name string) {
	if len(name) >= nameSize {
		name = name[:nameSize-1]
	}
	t.name.Store(&name)
}

// run is the life of the thread.
func (t *Thread) run() {
	p, u := t.Process, t.Regs
	for {
		if t.attention.Load() != 0 && !t.attend() {
			break
		}
		p.cpu.Enter(u)
		switch u.Vec {
		case regs.Syscall:
			t.enter()
			p.options.Syscall(t)
			t.exit()
		case regs.Interrupted:
			runtime.Gosched()
		case regs.PageFault:
			t.pageFault()
		default:
			t.exception()
		}
	}
	t.enter()
	t.leave()
	t.exit()
}

// Exit makes the thread leave when its system call returns: exit(2).
func (t *Thread) Exit(code int) {
	t.exitCode = code & 0xff
	t.attention.Or(attExit)
}

// leave is the end of the thread.
func (t *Thread) leave() {
	p := t.Process
	t.releaseRobust() // also at the end of the process: others may share the locks
	if t.clearTID != 0 && (!p.Exiting() || p.Space.Shared()) {
		p.storeTID(t.clearTID, 0)
		p.FutexWake(t.clearTID, 1, futexAnyBits)
	}
	p.removeThread(t)
}

// notify sets bits of attention and brings the thread to look at them, wherever it is. If they are set, it was told
// already and has not looked yet. sender, if not nil, is the thread whose goroutine calls. Process.mu is held, under
// which the bits are cleared.
func (t *Thread) notify(sender *Thread, bits uint32) {
	if t.attention.Or(bits)&bits == bits || t == sender {
		return
	}
	t.nudge()
	t.Process.cpu.Kick(t.Regs)
}

// nudge has the thread look at attention if it sleeps.
func (t *Thread) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// SleepInterrupted is the error of Sleep when a signal or the end of the process wants the thread.
const SleepInterrupted = unix.EINTR

// Wakeup is the channel by which the thread is woken, see Sleep: with room for one token, which is sent without blocking.
func (t *Thread) Wakeup() chan struct{} { return t.wake }

// Sleep blocks until there is a token in Wakeup (nil), until the deadline, if it isn't the zero time (unix.ETIMEDOUT), or
// until a signal, a stop or the end of the process wants the thread (unix.EINTR). All that can wake the thread share the
// one channel, which is much faster than a select. So the token may be of an earlier wait, of a signal that another thread
// has taken, or of the time, which is over: whoever waits for something looks, and sleeps again. It allocates nothing but,
// once, a timer.
func (t *Thread) Sleep(deadline time.Time) error {
	if t.Wanted() {
		return SleepInterrupted
	}
	if !deadline.IsZero() {
		left := time.Until(deadline)
		if left <= 0 {
			return unix.ETIMEDOUT
		}
		if t.timer == nil {
			t.timer = timers.AfterFunc(left, t.nudge)
		} else {
			t.timer.Reset(left)
		}
		defer t.timer.Stop()
	}
	t.sleeping()
	<-t.wake
	t.awake()
	t.enter()
	return nil
}

// Pause sleeps until the deadline, if it isn't the zero time (unix.ETIMEDOUT), or until a signal, a stop or the end of the
// process wants the thread (unix.EINTR).
func (t *Thread) Pause(deadline time.Time) error {
	for {
		if err := t.Sleep(deadline); err != nil {
			return err
		}
	}
}

// Wanted tells whether a signal, a stop or the end of the process wants the thread: a sleep must end, and so should long work that has
// got somewhere.
func (t *Thread) Wanted() bool { return t.attention.Load()&(attSignal|attExit|attStop) != 0 }

// Deadline returns the deadline of a call that waits for d from now, or the one it had at first if the
// call goes on after an interruption without a handler.
func (t *Thread) Deadline(d time.Duration) time.Time {
	if !t.resumed || t.deadline.IsZero() {
		t.deadline = time.Now().Add(d)
	}
	return t.deadline
}
