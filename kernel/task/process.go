package task

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
	"wick/kernel/mm"
)

var le = binary.LittleEndian

// DefaultMaxThreads is the thread limit of a process whose Options name none.
const DefaultMaxThreads = 4096

// Status is how a process ended.
type Status struct {
	Code   int         // of exit or exit_group, 0 to 255
	Signal unix.Signal // not 0: it was killed by this signal, and Code has no meaning
}

// Options say what a process is made of.
type Options struct {
	PID  int
	Name string // comm: of the first thread, up to 15 bytes

	CPU    CPU
	Extent regs.Extent // of the state that the CPU keeps for a thread
	Space  *mm.Space   // released at the end
	Regs   *regs.User  // of the first thread: IP and SP are set

	// Syscall does the system call that t.Regs describes and stores the result in t.Regs.AX. It runs on the
	// thread's goroutine.
	Syscall func(t *Thread)

	// Ended is called once, when the last thread has left and before Space is released and Wait returns.
	Ended func()

	// Signalled, if not nil, is called after a signal has been sent, without locks, from any goroutine.
	Signalled func()

	// Log gets the report of a fatal fault, several lines of text. Trace, if not nil, appends to the report what
	// is known of the thread's last calls.
	Log   func(report string)
	Trace func(t *Thread, report []byte) []byte

	MaxThreads int // 0: DefaultMaxThreads
}

// Process is a running program: an address space, threads, signal actions.
type Process struct {
	PID   int
	Space *mm.Space

	cpu     CPU
	options Options
	futexes futexTable
	started time.Time
	done    chan struct{} // closed after the resources have been released

	mu      sync.Mutex
	threads map[int]*Thread        // guarded by mu; those that have not left
	leader  *Thread                // the first thread, also after it has left; never changes
	nextTID int                    // guarded by mu
	actions [NumSignals + 1]Action // guarded by mu
	pending pending                // guarded by mu; sent to the process, not to one thread
	exiting bool                   // guarded by mu; status is final and every thread has been told
	status  Status                 // guarded by mu
	pastCPU time.Duration          // guarded by mu; CPU time of the threads that have left

	itimers   [numITimers]Timer
	timers    map[int]*Timer // guarded by mu, by id
	nextTimer int            // guarded by mu: the next id to try
}

// New makes a process with one thread, which Run starts.
func New(o Options) *Process {
	if o.MaxThreads == 0 {
		o.MaxThreads = DefaultMaxThreads
	}
	p := &Process{
		PID: o.PID, Space: o.Space, cpu: o.CPU, options: o,
		started: time.Now(), done: make(chan struct{}),
		threads: make(map[int]*Thread), nextTID: o.PID + 1,
	}
	t := newThread(p, o.PID, o.Regs)
	t.SetName(o.Name)
	p.initITimers()
	p.leader = t
	p.threads[t.TID] = t
	return p
}

// Run starts the first thread.
func (p *Process) Run() { go p.leader.run() }

// Started returns when the process was made.
func (p *Process) Started() time.Time { return p.started }

// Leader returns the first thread, also after it has left.
func (p *Process) Leader() *Thread { return p.leader }

// Wait blocks until the process has ended and its resources are released, and returns how it ended.
func (p *Process) Wait() Status {
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Done returns a channel that is closed when Wait would return.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exiting tells whether the end of the process has begun.
func (p *Process) Exiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exiting
}

// ExitGroup ends the process with an exit code: exit_group(2). The threads leave on their own; the caller, if it
// is one of them, returns from its system call first.
func (p *Process) ExitGroup(code int) {
	p.mu.Lock()
	p.exitLocked(Status{Code: code & 0xff})
	p.mu.Unlock()
}

// exitLocked makes st the status, unless the process is ending already, and tells every thread to leave.
func (p *Process) exitLocked(st Status) {
	if p.exiting {
		return
	}
	p.exiting, p.status = true, st
	for _, t := range p.threads {
		t.notify(nil, attExit)
	}
}

// Threads returns the number of threads that have not left.
func (p *Process) Threads() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.threads)
}

// ThreadIDs returns the ids of the threads that have not left, in ascending order.
func (p *Process) ThreadIDs() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.threads))
}

// Thread returns the thread with this id, or nil.
func (p *Process) Thread(tid int) *Thread {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.threads[tid]
}

// removeThread takes a thread that leaves off the books. The last one ends the process.
func (p *Process) removeThread(t *Thread) {
	t.Record.Remove()
	p.mu.Lock()
	delete(p.threads, t.TID)
	p.pastCPU += t.CPUTime()
	if t == p.leader && !p.exiting {
		p.status = Status{Code: t.exitCode}
	}
	t.pending.flush(^Set(0)) // timers whose signals it has not taken go on
	last := len(p.threads) == 0
	if last {
		p.exiting = true
	} else {
		p.targetLocked(t, p.pending.set)
	}
	p.mu.Unlock()
	if last {
		p.release()
	}
}

// release gives back what the process held. No thread is left.
func (p *Process) release() {
	p.stopTimers()
	if p.options.Ended != nil {
		p.options.Ended()
	}
	p.Space.Release()
	close(p.done)
}
