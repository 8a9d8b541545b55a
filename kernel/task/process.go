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

// Options say what a process is made of. Fork fills in for a child what it has of its parent: all but the functions.
type Options struct {
	PID  int    // 0: 1
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

	// Over, if not nil, is called once, without locks, when the process can be waited for.
	Over func()

	// Signalled, if not nil, is called after a signal has been sent, without locks, from any goroutine.
	Signalled func()

	// Log gets the report of a fatal fault, several lines of text. Trace, if not nil, appends to the report what
	// is known of the thread's last calls.
	Log   func(report string)
	Trace func(t *Thread, report []byte) []byte

	// User returns the real user id; nil: it is root's.
	User func() uint32

	// Gate, if not nil, keeps threads out of the kernel while memory is tight.
	Gate *Gate

	MaxThreads int // of all processes together; 0: DefaultMaxThreads
}

// Process is a running program: an address space, threads, signal actions.
type Process struct {
	PID int

	// Space changes at Exec, when the process has one thread; all threads may use it freely. Others call AddressSpace.
	Space *mm.Space

	// Local belongs to the system-call layer. It is set before the process runs.
	Local any

	cpu     CPU
	options Options
	family  *Family
	kin     kin
	started time.Time
	done    chan struct{} // closed after the resources have been released

	lent     chan struct{} // closed when a CLONE_VFORK child gives its parent's memory back; nil: it is no such child
	lentOnce sync.Once

	mu      sync.Mutex
	threads map[int]*Thread        // guarded by mu; those that have not left
	leader  *Thread                // guarded by mu; the first thread, also after it has left, or that which has called Exec
	only    chan struct{}          // guarded by mu; not nil: a thread waits in BecomeOnly until it is the only one
	actions [NumSignals + 1]Action // guarded by mu
	pending pending                // guarded by mu; sent to the process, not to one thread
	stop    stopState              // guarded by mu
	exiting bool                   // guarded by mu; status is final and every thread has been told
	status  Status                 // guarded by mu
	pastCPU time.Duration          // guarded by mu; CPU time of the threads that have left

	itimers   [numITimers]Timer
	timers    map[int]*Timer // guarded by mu, by id
	nextTimer int            // guarded by mu: the next id to try
}

// New makes the first process of a machine, with one thread, which Run starts.
func New(o Options) *Process {
	if o.MaxThreads == 0 {
		o.MaxThreads = DefaultMaxThreads
	}
	if o.PID == 0 {
		o.PID = 1
	}
	f := newFamily(o.MaxThreads)
	p := newProcess(f, o)
	f.first, f.lastID, f.tasks, f.forks = p, p.PID, 1, 1
	p.kin.group, p.kin.session = p.PID, p.PID
	f.processes[p.PID], f.threads[p.PID] = p, p.leader
	return p
}

// newProcess makes a process that nobody knows of yet.
func newProcess(f *Family, o Options) *Process {
	p := &Process{
		PID: o.PID, Space: o.Space, cpu: o.CPU, options: o, family: f,
		started: time.Now(), done: make(chan struct{}),
		threads: make(map[int]*Thread),
	}
	t := newThread(p, o.PID, o.Regs)
	t.SetName(o.Name)
	p.options.Regs, p.options.Space = nil, nil // the thread and the process have them
	p.initITimers()
	p.leader = t
	p.threads[t.TID] = t
	return p
}

// Run starts the first thread.
func (p *Process) Run() { go p.leader.run() }

// user returns the real user id.
func (p *Process) user() uint32 {
	if p.options.User == nil {
		return 0
	}
	return p.options.User()
}

// Started returns when the process was made.
func (p *Process) Started() time.Time { return p.started }

// Leader returns the first thread, also after it has left.
func (p *Process) Leader() *Thread {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leader
}

// AddressSpace returns the address space that the process has now.
func (p *Process) AddressSpace() *mm.Space {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Space
}

// Wait blocks until the process has ended and its resources are released, and returns how it ended. With the first process all
// others have ended too.
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

// Left tells whether the thread has left.
func (t *Thread) Left() bool {
	p := t.Process
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.threads[t.TID] != t
}

// removeThread takes a thread that leaves off the books. The last one ends the process.
func (p *Process) removeThread(t *Thread) {
	t.Record.Remove()
	// Who sees that the process doesn't have the thread any more doesn't see it in the family either.
	p.family.mu.Lock()
	p.mu.Lock()
	if t.TID != p.PID {
		p.family.forgetLocked(t.TID)
	}
	p.family.mu.Unlock()
	delete(p.threads, t.TID)
	t.Regs, t.Record, t.Local = nil, nil, nil // some of it is large, and a leader stays until its process has been waited for
	p.pastCPU += t.CPUTime()
	if t == p.leader && !p.exiting {
		p.status = Status{Code: t.exitCode}
	}
	t.pending.flush(^Set(0)) // timers whose signals it has not taken go on
	p.completeLocked()
	last := len(p.threads) == 0
	if last {
		p.exiting = true
	} else {
		p.targetLocked(t, p.pending.set)
	}
	if p.only != nil && len(p.threads) == 1 {
		close(p.only)
		p.only = nil
	}
	p.mu.Unlock()
	p.tellOfStop()
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
	resident := p.Space.Stats().ResidentPages
	p.Space.Release()
	p.giveBack()
	p.leaveFamily(resident)
	close(p.done)
	if p.options.Over != nil {
		p.options.Over()
	}
}

// giveBack lets the parent of a CLONE_VFORK child go on.
func (p *Process) giveBack() {
	if p.lent != nil {
		p.lentOnce.Do(func() { close(p.lent) })
	}
}
