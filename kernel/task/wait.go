package task

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// si_code values of SIGCHLD [asm-generic/siginfo.h].
const (
	CldExited    = 1
	CldKilled    = 2
	CldStopped   = 5
	CldContinued = 6
)

// Which says for which children to wait: the fields that are set must fit.
type Which struct {
	PID, Group int
	Process    *Process
	Clones     bool // those whose exit signal isn't SIGCHLD (__WCLONE)
	All        bool // whatever their exit signal (__WALL)
	Living     bool // wait until none is left that fits: their ends are not what is waited for
	Stopped    bool // wait for stops too (WUNTRACED, WSTOPPED)
	Continued  bool // wait for continuations too (WCONTINUED)
}

func (w *Which) fits(p *Process) bool {
	return (w.PID == 0 || p.PID == w.PID) && (w.Group == 0 || p.kin.group == w.Group) && (w.Process == nil || p == w.Process) &&
		(w.All || w.Clones == (p.kin.exitSignal != unix.SIGCHLD))
}

// Waited is what is learnt of a child that has ended, or been stopped or continued.
type Waited struct {
	PID          int // 0: none has
	Status       Status
	CPU          time.Duration // with that of its own children
	PeakResident uint64        // pages
	UID          uint32        // its real user id

	news      news // noNews: it has ended
	stoppedBy unix.Signal
}

// Stopped returns the signal that has stopped the child; 0: it isn't that what is learnt.
func (w *Waited) Stopped() unix.Signal {
	if w.news != newsStopped {
		return 0
	}
	return w.stoppedBy
}

// Continued tells whether what is learnt is that the child goes on.
func (w *Waited) Continued() bool { return w.news == newsContinued }

// Info returns the Info of the SIGCHLD for it, which is also what waitid(2) stores.
func (w *Waited) Info(sig unix.Signal) Info {
	code, status := int32(CldExited), uint64(w.Status.Code)
	switch {
	case w.news == newsStopped:
		code, status = CldStopped, uint64(w.stoppedBy)
	case w.news == newsContinued:
		code, status = CldContinued, uint64(unix.SIGCONT)
	case w.Status.Signal != 0:
		code, status = CldKilled, uint64(w.Status.Signal)
	}
	return Info{Signo: int32(sig), Code: code, Data: [4]uint64{uint64(w.PID) | uint64(w.UID)<<32, status, uint64(w.CPU / (10 * time.Millisecond))}}
}

// WaitChild waits for the end of a child, and takes it off the books unless keep, or for what else which says: wait4(2),
// waitid(2). With poll it doesn't wait: Waited.PID is 0 if there are children, but nothing of them to learn. Errors: unix.ECHILD,
// unix.EINTR.
func (t *Thread) WaitChild(which Which, poll, keep bool) (Waited, error) {
	p, f := t.Process, t.Process.family
	for {
		f.mu.Lock()
		w, any := p.changedChildLocked(&which, keep)
		if w.PID != 0 {
			f.mu.Unlock()
			return w, nil
		}
		if !any || poll {
			f.mu.Unlock()
			if !any {
				return Waited{}, unix.ECHILD
			}
			return Waited{}, nil
		}
		if p.kin.waiters == nil {
			p.kin.waiters = make(map[*Thread]struct{})
		}
		p.kin.waiters[t] = struct{}{}
		f.mu.Unlock()
		err := t.Sleep(time.Time{})
		f.mu.Lock()
		delete(p.kin.waiters, t)
		f.mu.Unlock()
		if err != nil {
			return Waited{}, err
		}
	}
}

// changedChildLocked returns what is learnt of a child that fits, if there is something, and whether any child fits.
func (p *Process) changedChildLocked(which *Which, keep bool) (w Waited, any bool) {
	for _, c := range p.kin.children {
		if !which.fits(c) {
			continue
		}
		any = true
		if !c.kin.zombie {
			if w, ok := c.newsLocked(which, keep); ok {
				return w, true
			}
		} else if !which.Living {
			w := c.waitedLocked()
			if !keep {
				p.family.reapLocked(c)
			}
			return w, true
		}
	}
	return Waited{}, any
}

// waitedLocked returns what is learnt of a zombie.
func (p *Process) waitedLocked() Waited {
	return Waited{PID: p.PID, UID: p.user(), Status: p.status, CPU: p.kin.usedCPU + p.kin.childrenCPU, PeakResident: max(p.kin.peakResident, p.kin.childPeak)}
}

// reapLocked takes a zombie off the books. Its parent has its CPU time, unless it never waits.
func (f *Family) reapLocked(p *Process) {
	parent := p.kin.parent
	parent.kin.childrenCPU += p.kin.usedCPU + p.kin.childrenCPU
	parent.kin.childPeak = max(parent.kin.childPeak, p.kin.peakResident, p.kin.childPeak)
	f.removeLocked(p)
}

// removeLocked takes a process that has ended off the books.
func (f *Family) removeLocked(p *Process) {
	if parent := p.kin.parent; parent != nil {
		i := slices.Index(parent.kin.children, p)
		parent.kin.children = slices.Delete(parent.kin.children, i, i+1)
	}
	p.kin.zombie, p.kin.gone, p.kin.parent = false, true, nil
	delete(f.processes, p.PID)
	delete(f.threads, p.PID)
	f.tasks--
	f.ended1.Broadcast()
}

// ChildrenUsage returns the CPU time of the children that were waited for, and theirs, and the highest number of resident pages.
func (p *Process) ChildrenUsage() (cpu time.Duration, peakResident uint64) {
	p.family.mu.Lock()
	defer p.family.mu.Unlock()
	return p.kin.childrenCPU, p.kin.childPeak
}

// leaveFamily is the end of a process for the others: its children are given to the first process, its parent is told. The first
// process takes all others with it.
func (p *Process) leaveFamily(peakResident uint64) {
	f := p.family
	var told []*Process // who has got a signal
	f.mu.Lock()
	p.kin.usedCPU, p.kin.peakResident, p.kin.zombie = p.CPUTime(), peakResident, true
	if p == f.first {
		f.endLocked()
		f.removeLocked(p)
		f.mu.Unlock()
		return
	}
	groups := p.linkedGroupsLocked()
	for _, c := range p.kin.children {
		if sig := c.kin.deathSignal; sig != 0 {
			_ = c.sendQuietly(Info{Signo: int32(sig), Code: SiUser, Data: [4]uint64{uint64(p.PID)}})
			told = append(told, c)
		}
		c.kin.parent, c.kin.exitSignal = f.first, unix.SIGCHLD
		f.first.kin.children = append(f.first.kin.children, c)
		if c.kin.zombie {
			told = append(told, f.tellParentLocked(c))
		}
	}
	p.kin.children = nil
	told = append(told, f.freeLocked(groups)...)
	told = append(told, f.tellParentLocked(p))
	f.mu.Unlock()
	for _, q := range told {
		q.signalled()
	}
}

// tellParentLocked sends the parent of a zombie its signal, and wakes it if it waits; a parent that doesn't want to know of its
// children has it taken off the books. It returns the parent.
func (f *Family) tellParentLocked(p *Process) *Process {
	parent := p.kin.parent
	sig, w := p.kin.exitSignal, p.waitedLocked()
	unwanted := f.ending
	if sig == unix.SIGCHLD {
		a := parent.Action(sig)
		unwanted = unwanted || a.Handler == SigIgn || a.Flags&SaNocldwait != 0
	}
	if sig != 0 {
		_ = parent.sendQuietly(w.Info(sig))
	}
	if unwanted {
		f.removeLocked(p)
	}
	parent.wakeWaitersLocked()
	return parent
}

// wakeWaitersLocked has the process's threads that wait for children look again.
func (p *Process) wakeWaitersLocked() {
	for t := range p.kin.waiters {
		t.nudge()
	}
}

// endLocked kills all processes but the first, and waits until they have gone.
func (f *Family) endLocked() {
	f.ending = true
	for _, p := range f.processes {
		switch {
		case p.kin.zombie && p != f.first:
			f.removeLocked(p)
		case p != f.first:
			_ = p.sendQuietly(Info{Signo: int32(unix.SIGKILL), Code: SiKernel})
		}
	}
	for len(f.processes) > 1 {
		f.ended1.Wait()
	}
}
