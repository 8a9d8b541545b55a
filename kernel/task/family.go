package task

import (
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxID is the highest id of a process or thread, less one (pid_max); after it, ids begin at minID again, with those that are
// free.
const (
	maxID = 32768
	minID = 300
)

// Family is all processes of a machine: the first, and those that come of it by Fork. When the first ends, the others are
// killed.
type Family struct {
	futexes    futexTable
	maxThreads int

	mu        sync.Mutex
	ended1    sync.Cond        // of mu: a process has gone
	first     *Process         // number 1; never changes
	processes map[int]*Process // guarded by mu; by id, those that are still to be waited for too
	threads   map[int]*Thread  // guarded by mu; by id, nil: about to be. The first of a process as long as that is in processes
	tasks     int              // guarded by mu: the threads that live, and the processes whose threads have all left
	lastID    int              // guarded by mu: given last
	ending    bool             // guarded by mu: the first process has ended, so nothing begins any more
	forks     uint64           // guarded by mu: processes that there have been

	shortage sync.Mutex // taken with none of the others held; a page fault may run under it
	chosen   *Process   // guarded by shortage: the last one that ends, or has ended, for want of memory; see wantMemory
}

// kin is what a Process is to others. Family.mu guards all of it.
type kin struct {
	parent       *Process // nil: none, of the first
	children     []*Process
	group        int
	session      int
	exitSignal   unix.Signal // for the parent at the end; 0: none
	deathSignal  unix.Signal // for this process at the end of its parent: PR_SET_PDEATHSIG
	zombie       bool        // it has ended and is to be waited for
	gone         bool        // it has been waited for
	executed     bool        // it runs a program of its own, so its parent can't move it to another group
	waiters      map[*Thread]struct{}
	childrenCPU  time.Duration // of the children that were waited for, and theirs
	usedCPU      time.Duration // of a zombie
	peakResident uint64        // of a zombie, in pages
	childPeak    uint64        // the highest of the children's
}

func newFamily(maxThreads int) *Family {
	f := &Family{maxThreads: maxThreads, processes: make(map[int]*Process), threads: make(map[int]*Thread)}
	f.ended1.L = &f.mu
	return f
}

// newIDLocked returns an id that is free, and counts a task with it; unix.EAGAIN if there are too many.
func (f *Family) newIDLocked() (int, error) {
	if f.ending || f.tasks >= f.maxThreads {
		return 0, unix.EAGAIN
	}
	for range maxID {
		f.lastID++
		if f.lastID >= maxID {
			f.lastID = minID
		}
		if _, used := f.threads[f.lastID]; !used && !f.isGroupLocked(f.lastID) {
			f.tasks++
			f.threads[f.lastID] = nil
			return f.lastID, nil
		}
	}
	return 0, unix.EAGAIN
}

// forget takes the id of a thread that isn't its process's first off the books.
func (f *Family) forget(tid int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgetLocked(tid)
}

func (f *Family) forgetLocked(tid int) {
	delete(f.threads, tid)
	f.tasks--
}

// isGroupLocked tells whether a process group or a session still has this id.
func (f *Family) isGroupLocked(id int) bool {
	for _, p := range f.processes {
		if p.kin.group == id || p.kin.session == id {
			return true
		}
	}
	return false
}

// Process returns the process with this id, one that is to be waited for too, or nil.
func (f *Family) Process(pid int) *Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.processes[pid]
}

// Thread returns the thread with this id, of any process, or nil.
func (f *Family) Thread(tid int) *Thread {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.threads[tid]
}

// Processes returns all processes by their ids, in ascending order.
func (f *Family) Processes() []*Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.Collect(maps.Values(f.processes))
	slices.SortFunc(list, func(a, b *Process) int { return a.PID - b.PID })
	return list
}

// Counts returns how many threads there are, and how many processes there have been.
func (f *Family) Counts() (threads int, forks uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tasks, f.forks
}

// Family returns the processes that p is one of.
func (p *Process) Family() *Family { return p.family }

// ParentID returns the id of the parent, 0 if there is none.
func (p *Process) ParentID() int {
	p.family.mu.Lock()
	defer p.family.mu.Unlock()
	if p.kin.parent == nil {
		return 0
	}
	return p.kin.parent.PID
}

// Group returns the ids of the process group and the session.
func (p *Process) Group() (group, session int) {
	p.family.mu.Lock()
	defer p.family.mu.Unlock()
	return p.kin.group, p.kin.session
}

// Zombie tells whether the process has ended, and its parent has not waited for it.
func (p *Process) Zombie() bool {
	p.family.mu.Lock()
	defer p.family.mu.Unlock()
	return p.kin.zombie
}

// Gone tells whether the process has ended, and been waited for.
func (p *Process) Gone() bool {
	p.family.mu.Lock()
	defer p.family.mu.Unlock()
	return p.kin.gone
}

// SetDeathSignal sets the signal that the process gets when its parent ends, 0 for none: PR_SET_PDEATHSIG of prctl(2).
//
// DEVIATION: it is sent when the parent ends, and not already when the thread ends that has made the process.
func (p *Process) SetDeathSignal(sig unix.Signal) {
	p.family.mu.Lock()
	defer p.family.mu.Unlock()
	p.kin.deathSignal = sig
}

// DeathSignal returns what SetDeathSignal has set.
func (p *Process) DeathSignal() unix.Signal {
	p.family.mu.Lock()
	defer p.family.mu.Unlock()
	return p.kin.deathSignal
}

// SetGroup moves the process pid, p itself or a child of it, to the process group: setpgid(2), with its errors. 0 stands for p's
// id, and for pid's.
func (p *Process) SetGroup(pid, group int) error {
	f := p.family
	f.mu.Lock()
	defer f.mu.Unlock()
	if pid == 0 {
		pid = p.PID
	}
	if group == 0 {
		group = pid
	}
	if group < 0 {
		return unix.EINVAL
	}
	q := f.processes[pid]
	switch {
	case q == nil, q != p && q.kin.parent != p:
		return unix.ESRCH
	case q != p && q.kin.session != p.kin.session:
		return unix.EPERM
	case q != p && q.kin.executed:
		return unix.EACCES
	case q.kin.session == q.PID:
		return unix.EPERM
	}
	if group != pid && !f.hasGroupLocked(group, p.kin.session) {
		return unix.EPERM
	}
	q.kin.group = group
	return nil
}

// hasGroupLocked tells whether the session has such a process group.
func (f *Family) hasGroupLocked(group, session int) bool {
	for _, p := range f.processes {
		if p.kin.group == group && p.kin.session == session {
			return true
		}
	}
	return false
}

// HasGroup tells whether p's session has such a process group.
func (p *Process) HasGroup(group int) bool {
	p.family.mu.Lock()
	defer p.family.mu.Unlock()
	return p.family.hasGroupLocked(group, p.kin.session)
}

// NewSession makes p the leader of a new session and process group, and returns their id: setsid(2). unix.EPERM if there is a
// process group with its id already.
func (p *Process) NewSession() (int, error) {
	f := p.family
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range f.processes {
		if q.kin.group == p.PID {
			return 0, unix.EPERM
		}
	}
	p.kin.group, p.kin.session = p.PID, p.PID
	return p.PID, nil
}

// ofGroup returns the processes of a group.
func (f *Family) ofGroup(group int) (list []*Process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.processes {
		if p.kin.group == group {
			list = append(list, p)
		}
	}
	return list
}

// Kill sends a signal to processes as kill(2) chooses them: by id, the group of the caller (0) or of another (negative), all
// others but the first process (-1). Number 0 only asks whether there are any. may says which of them the caller may send the
// signal to. unix.ESRCH: there are none; unix.EPERM: it may do so to none.
//
// DEVIATION: the first process is killed by signals whose default action that is, also those of other processes.
func (t *Thread) Kill(pid int, info Info, may func(to *Process, sig unix.Signal) error) error {
	self := t.Process
	f := self.family
	var list []*Process
	switch {
	case pid > 0:
		if q := f.Thread(pid); q != nil {
			list = append(list, q.Process)
		}
	case pid == -1:
		for _, p := range f.Processes() {
			if p != self && p != f.first {
				list = append(list, p)
			}
		}
	case pid == 0:
		group, _ := self.Group()
		list = f.ofGroup(group)
	default:
		list = f.ofGroup(-pid)
	}
	if len(list) == 0 {
		return unix.ESRCH
	}
	done := false
	var err error
	for _, p := range list {
		if err = may(p, info.Signal()); err != nil {
			continue
		}
		switch {
		case info.Signo == 0:
		case p == self:
			err = t.SendProcess(info)
		default:
			err = p.SendInfo(info)
		}
		done = done || err == nil
	}
	if done {
		return nil
	}
	return err
}

// SignalGroup sends a signal of the kernel to a process group; false: there is none.
func (f *Family) SignalGroup(group int, sig unix.Signal) bool {
	list := f.ofGroup(group)
	for _, p := range list {
		_ = p.Signal(sig) // a number that doesn't exist
	}
	return len(list) > 0
}
