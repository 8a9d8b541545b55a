package task

import (
	"time"

	"golang.org/x/sys/unix"
)

// Flags of clone(2) that a new process may have. CLONE_PIDFD is for the caller of Fork to do.
const forkMay = unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND | unix.CLONE_SETTLS |
	unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID | unix.CLONE_CHILD_SETTID | unix.CLONE_PARENT | unix.CLONE_SYSVSEM |
	unix.CLONE_UNTRACED | unix.CLONE_IO | unix.CLONE_PTRACE | cloneSignal

// Fork makes a process that goes on where the caller is, with 0 for the result: fork(2), vfork(2) and clone(2) without
// CLONE_THREAD. Of o it takes the functions. Nobody knows of it until StartChild has it run, or Abandon gives it up. Errors: unix.ENOSYS
// for flags that aren't implemented, unix.EINVAL, unix.EPERM for a TLS address that can't be one, unix.EAGAIN at the limit on
// threads, unix.ENOMEM.
func (t *Thread) Fork(a *CloneArgs, o Options) (*Process, error) {
	p, f := t.Process, t.Process.family
	switch err := a.check(); {
	case err != nil:
		return nil, err
	case a.Flags&unix.CLONE_THREAD != 0 || a.Flags&^forkMay != 0:
		return nil, unix.ENOSYS
	case a.Flags&cloneSignal > NumSignals, a.Flags&unix.CLONE_PARENT != 0 && p == f.first:
		return nil, unix.EINVAL
	case a.Flags&unix.CLONE_SETTLS != 0 && a.TLS >= lowerHalf:
		return nil, unix.EPERM
	}
	f.mu.Lock()
	pid, err := f.newIDLocked()
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	space := p.Space
	if a.Flags&unix.CLONE_VM != 0 {
		space.Retain()
	} else if space, err = p.Space.Fork(); err != nil {
		f.forget(pid)
		return nil, err
	}
	o.PID, o.Name, o.CPU, o.Extent, o.Space, o.MaxThreads = pid, t.Name(), p.cpu, p.options.Extent, space, p.options.MaxThreads
	o.Regs = t.childRegs(a)
	o.Regs.Root = uint64(space.Root())
	child := newProcess(f, o)
	child.inheritFrom(t, a)
	return child, nil
}

// inheritFrom gives a new process what it has of the thread that has called fork.
func (p *Process) inheritFrom(t *Thread, a *CloneArgs) {
	if a.Flags&unix.CLONE_VFORK != 0 {
		p.lent = make(chan struct{})
	}
	if a.Flags&(unix.CLONE_VM|unix.CLONE_VFORK) != unix.CLONE_VM {
		p.leader.altStack = t.altStack
	}
	t.Process.mu.Lock()
	defer t.Process.mu.Unlock()
	p.leader.mask = t.mask
	if t.maskSaved {
		p.leader.mask = t.saved
	}
	p.actions = t.Process.actions
	if a.Flags&unix.CLONE_CLEAR_SIGHAND != 0 {
		p.clearHandlers()
	}
}

// clearHandlers makes the action of each signal that has a handler the default one; what is ignored stays so.
func (p *Process) clearHandlers() {
	for sig := range p.actions {
		if p.actions[sig].Handler == SigIgn {
			p.actions[sig] = Action{Handler: SigIgn}
		} else {
			p.actions[sig] = Action{}
		}
	}
}

// adopt puts a new process into the family, unless its parent or all of them are ending.
func (f *Family) adopt(child *Process, t *Thread, a *CloneArgs) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := t.Process
	if f.ending || p.Exiting() {
		return false
	}
	parent := p
	child.kin.exitSignal = unix.Signal(a.Flags & cloneSignal)
	if a.Flags&unix.CLONE_PARENT != 0 {
		parent, child.kin.exitSignal = p.kin.parent, p.kin.exitSignal
	}
	child.kin.parent, child.kin.group, child.kin.session = parent, p.kin.group, p.kin.session
	parent.kin.children = append(parent.kin.children, child)
	f.processes[child.PID], f.threads[child.PID] = child, child.leader
	f.forks++
	return true
}

// StartChild has a process that Fork has made run, and waits, with CLONE_VFORK, until it has a program of its own or has
// ended. Or it abandons it, because the caller's process is to end: unix.EAGAIN.
func (t *Thread) StartChild(child *Process, a *CloneArgs) error {
	pid := child.PID
	if !t.Process.family.adopt(child, t, a) {
		child.Abandon()
		return unix.EAGAIN
	}
	if a.Flags&unix.CLONE_PARENT_SETTID != 0 {
		_ = t.Process.storeTID(a.ParentTID, pid) // as in Linux, where nobody looks at the result
	}
	mine := *a
	mine.Flags &^= unix.CLONE_PARENT_SETTID
	_ = child.leader.storeTIDs(&mine)
	child.Run()
	if child.lent != nil {
		t.sleepUnlessKilled(child.lent)
	}
	return nil
}

// Abandon ends a process that Fork has made and that has not run.
func (p *Process) Abandon() {
	p.leader.Record.Remove()
	if p.options.Ended != nil {
		p.options.Ended()
	}
	p.Space.Release()
	p.family.forget(p.PID)
}

// sleepUnlessKilled blocks until ready is closed, or the thread has to leave. Signals with handlers wait.
func (t *Thread) sleepUnlessKilled(ready <-chan struct{}) {
	t.sleeping()
	defer t.awake()
	for t.attention.Load()&attExit == 0 {
		select {
		case <-ready:
			return
		case <-t.wake:
		}
	}
}

// BecomeOnly ends all other threads of the process, as execve(2) does, and returns when they have left. The caller is then
// the first thread, with its id. unix.EINTR means that the caller has to leave itself.
func (t *Thread) BecomeOnly() error {
	p := t.Process
	p.mu.Lock()
	if p.exiting || p.only != nil {
		p.mu.Unlock()
		return unix.EINTR
	}
	if len(p.threads) > 1 {
		only := make(chan struct{})
		p.only = only
		for _, other := range p.threads {
			if other != t {
				other.notify(t, attExit)
			}
		}
		p.mu.Unlock()
		t.sleepUnlessKilled(only)
		p.mu.Lock()
		p.only = nil
	}
	defer p.mu.Unlock()
	if p.exiting || t.attention.Load()&attExit != 0 {
		return unix.EINTR
	}
	return nil
}

// takeLead gives the only thread of a process the id of its first one.
func (t *Thread) takeLead() {
	p, f, old := t.Process, t.Process.family, t.TID
	if old == p.PID {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.threads, old)
	delete(f.threads, old)
	f.tasks--
	t.TID, t.Record.TID = p.PID, uint64(p.PID)
	p.leader, p.threads[p.PID], f.threads[p.PID] = t, t, t
}

// Exec gives the process, whose only thread t is, another program: its address space, and the registers that it begins
// with. What the process keeps, and what it doesn't, is said in execve(2).
func (t *Thread) Exec(program Options) {
	p, old := t.Process, t.Process.Space
	t.releaseRobust() // by the id that the thread has had
	if t.clearTID != 0 {
		_ = p.storeTID(t.clearTID, 0)
		_, _ = p.FutexWake(t.clearTID, 1, futexAnyBits)
	}
	t.takeLead()
	p.mu.Lock()
	p.Space = program.Space
	p.clearHandlers()
	for id, timer := range p.timers {
		timer.disarmLocked()
		delete(p.timers, id)
	}
	p.mu.Unlock()
	p.family.mu.Lock()
	p.kin.executed, p.kin.exitSignal = true, unix.SIGCHLD
	p.family.mu.Unlock()

	t.robust, t.clearTID = 0, 0
	t.altStack = Stack{Flags: SsDisable}
	t.trap, t.systemPlace, t.deadline = trapState{}, [2]uint64{}, time.Time{}
	t.SetName(program.Name)
	t.Regs.Begin(program.Regs)
	old.Release()
	p.giveBack()
}
