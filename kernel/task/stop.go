package task

import (
	"slices"

	"golang.org/x/sys/unix"
)

// A process is stopped by the default action of a stop signal: each of its threads parks before it enters ring 3 the next time,
// and leaves a call in which it sleeps for that, as for a signal. With the last one the process has stopped, and its parent is
// told. SIGCONT has all go on, whatever its own action is; SIGKILL ends them where they are, signal(7).

// stopping are the signals whose default action stops the process.
const stopping Set = 1<<(unix.SIGSTOP-1) | 1<<(unix.SIGTSTP-1) | 1<<(unix.SIGTTIN-1) | 1<<(unix.SIGTTOU-1)

// stopState is what a Process has to do with stop signals. Process.mu guards it.
type stopState struct {
	stopped   bool        // the threads are to park, or have parked
	by        unix.Signal // which stop signal
	parked    int         // threads that have
	complete  bool        // all have, and the parent is to know
	continues uint64      // SIGCONTs so far

	news   news // that no wait has taken yet
	untold news // that the parent has had no SIGCHLD for
}

// news is what a parent may wait for, but the end.
type news uint8

const (
	noNews news = iota
	newsStopped
	newsContinued
)

// prepareLocked does what the sending of a signal does at once: SIGCONT and the stop signals undo each other.
func (p *Process) prepareLocked(sig unix.Signal) {
	var undone Set
	switch {
	case sig == unix.SIGCONT:
		undone = stopping
		p.continueLocked()
	case stopping.Has(sig):
		undone = SetOf(unix.SIGCONT)
	default:
		return
	}
	p.pending.flush(undone)
	for _, t := range p.threads {
		t.pending.flush(undone)
	}
}

// continueLocked has the threads go on.
func (p *Process) continueLocked() {
	s := &p.stop
	s.continues++
	if !s.stopped {
		return
	}
	if s.complete {
		s.news, s.untold = newsContinued, newsContinued
	}
	s.stopped, s.complete = false, false
	for _, t := range p.threads {
		t.attention.And(^uint32(attStop))
		t.nudge()
	}
}

// takeStopLocked is the default action of a stop signal that a thread has taken. It gives the lock up for a while. The first
// process is never stopped, as that of a container isn't: nobody could continue it.
func (p *Process) takeStopLocked(sig unix.Signal) {
	continues := p.stop.continues
	p.mu.Unlock()
	no := p == p.family.first || sig != unix.SIGSTOP && p.orphaned()
	p.mu.Lock()
	if no || p.exiting || p.stop.stopped || p.stop.continues != continues {
		return
	}
	p.stop.stopped, p.stop.by, p.stop.complete = true, sig, false
	for _, t := range p.threads {
		t.notify(nil, attStop)
	}
}

// orphaned tells whether the process group is orphaned.
func (p *Process) orphaned() bool {
	p.family.mu.Lock()
	defer p.family.mu.Unlock()
	return p.family.orphanedLocked(p.kin.group)
}

// orphanedLocked tells whether a process group has no member whose parent is in another group of the same session, so that nobody
// would continue it: setpgid(2).
func (f *Family) orphanedLocked(group int) bool {
	for _, q := range f.processes {
		if q.kin.group == group && !q.kin.zombie && q.linkedLocked() {
			return false
		}
	}
	return true
}

// linkedLocked tells whether the process's parent is in another group of the same session.
func (p *Process) linkedLocked() bool {
	parent := p.kin.parent
	return parent != nil && parent.kin.group != p.kin.group && parent.kin.session == p.kin.session
}

// linkedGroupsLocked returns the groups that may be orphaned by the end of the process.
func (p *Process) linkedGroupsLocked() (groups []int) {
	for _, q := range slices.Concat(p.kin.children, []*Process{p}) {
		if q.linkedLocked() {
			groups = append(groups, q.kin.group)
		}
	}
	return groups
}

// freeLocked sends SIGHUP and SIGCONT to those groups that are orphaned now and have a stopped member: setpgid(2). It returns who
// has got them.
func (f *Family) freeLocked(groups []int) (told []*Process) {
	slices.Sort(groups)
	for _, group := range slices.Compact(groups) {
		var members []*Process
		stopped := false
		for _, q := range f.processes {
			if q.kin.group == group && !q.kin.zombie {
				members, stopped = append(members, q), stopped || q.Stopped()
			}
		}
		if !stopped || !f.orphanedLocked(group) {
			continue
		}
		for _, q := range members {
			_ = q.sendQuietly(Info{Signo: int32(unix.SIGHUP), Code: SiKernel})
			_ = q.sendQuietly(Info{Signo: int32(unix.SIGCONT), Code: SiKernel})
		}
		told = append(told, members...)
	}
	return told
}

// park blocks the thread while its process is stopped, or until it has to leave.
func (t *Thread) park() {
	p := t.Process
	p.mu.Lock()
	if p.stop.stopped {
		p.stop.parked++
		p.completeLocked()
		p.mu.Unlock()
		p.signalled()
		t.sleeping()
		for t.attention.Load()&attStop != 0 && t.attention.Load()&attExit == 0 {
			<-t.wake
		}
		t.awake()
		p.mu.Lock()
		p.stop.parked--
	}
	if !p.stop.stopped {
		t.attention.And(^uint32(attStop))
	}
	p.mu.Unlock()
}

// completeLocked notes that the process has stopped, if all threads have parked.
func (p *Process) completeLocked() {
	s := &p.stop
	if s.stopped && !s.complete && s.parked == len(p.threads) && s.parked > 0 && !p.exiting {
		s.complete, s.news, s.untold = true, newsStopped, newsStopped
	}
}

// tellOfStop tells the parent that the process has been stopped or continued since it was told last. No lock is held.
func (p *Process) tellOfStop() {
	p.mu.Lock()
	untold := p.stop.untold != noNews
	p.mu.Unlock()
	if !untold {
		return
	}
	f := p.family
	f.mu.Lock()
	parent := p.kin.parent
	p.mu.Lock()
	w := Waited{PID: p.PID, news: p.stop.untold, stoppedBy: p.stop.by, UID: p.user(), CPU: p.cpuTimeLocked()}
	p.stop.untold = noNews
	p.mu.Unlock()
	if parent == nil || p.kin.zombie || w.news == noNews {
		f.mu.Unlock()
		return
	}
	if a := parent.Action(unix.SIGCHLD); a.Handler != SigIgn && a.Flags&SaNocldstop == 0 {
		_ = parent.sendQuietly(w.Info(unix.SIGCHLD))
	}
	parent.wakeWaitersLocked()
	f.mu.Unlock()
	parent.signalled()
}

// newsLocked returns, with Family.mu held, what a wait for this child learns of it besides its end, and takes it unless keep.
func (p *Process) newsLocked(which *Which, keep bool) (Waited, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.stop.news
	if n == noNews || n == newsStopped && !which.Stopped || n == newsContinued && !which.Continued {
		return Waited{}, false
	}
	if !keep {
		p.stop.news = noNews
	}
	return Waited{PID: p.PID, news: n, stoppedBy: p.stop.by, UID: p.user(), CPU: p.cpuTimeLocked()}, true
}

// Stopped tells whether the process has been stopped by a signal.
func (p *Process) Stopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop.complete
}
