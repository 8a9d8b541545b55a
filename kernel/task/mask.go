package task

import (
	"time"

	"golang.org/x/sys/unix"
)

// Mask returns the signals that the thread holds back.
func (t *Thread) Mask() Set { return t.mask }

// SetMask replaces the signals that the thread holds back. SIGKILL and SIGSTOP can't be.
func (t *Thread) SetMask(mask Set) {
	p := t.Process
	p.mu.Lock()
	defer p.mu.Unlock()
	t.setMaskLocked(mask)
}

func (t *Thread) setMaskLocked(mask Set) {
	mask &^= unblockable
	held := mask &^ t.mask
	t.mask = mask
	t.recalculateLocked()
	// What this thread was chosen to take, another may have to.
	t.Process.targetLocked(t, held)
}

// SetCallMask replaces the mask until the present system call has ended, or, if a signal interrupts it, until its
// handler has returned: ppoll, pselect, epoll_pwait, rt_sigsuspend. The call must Sleep with RestartNoHandler.
func (t *Thread) SetCallMask(mask Set) {
	t.saved, t.maskSaved = t.mask, true
	t.attention.Or(attCall)
	t.SetMask(mask)
}

// restoreMask undoes SetCallMask.
func (t *Thread) restoreMask() {
	t.maskSaved = false
	t.SetMask(t.saved)
}

// Pending returns the signals that were sent to the thread or its process and are held back.
func (t *Thread) Pending() Set {
	t.Process.mu.Lock()
	defer t.Process.mu.Unlock()
	return (t.pending.set | t.Process.pending.set) & t.mask
}

// Suspend waits with another mask until a signal's handler has to run: rt_sigsuspend(2). It returns unix.EINTR.
func (t *Thread) Suspend(mask Set) error {
	t.SetCallMask(mask)
	return t.Pause(time.Time{})
}

// WaitSignal takes a signal of the set, waiting for it until the deadline, if that isn't the zero time:
// rt_sigtimedwait(2). Errors: unix.EAGAIN after the deadline, unix.EINTR.
func (t *Thread) WaitSignal(set Set, deadline time.Time) (Info, error) {
	set &^= unblockable
	p := t.Process
	p.mu.Lock()
	info, ok := t.takeLocked(set)
	if !ok {
		t.waitSet = set
		t.recalculateLocked()
	}
	p.mu.Unlock()
	if ok {
		return info, nil
	}
	err := t.Pause(deadline)
	p.mu.Lock()
	t.waitSet = 0
	info, ok = t.takeLocked(set)
	// A signal that this thread was chosen for while it waited may be left for another.
	p.targetLocked(t, set&t.mask)
	p.mu.Unlock()
	switch {
	case ok:
		return info, nil
	case err == unix.ETIMEDOUT:
		return info, unix.EAGAIN
	}
	return info, err
}

// TakeSignal takes a signal of the set that was sent to the thread or its process; ok is false if there is none.
func (t *Thread) TakeSignal(set Set) (info Info, ok bool) {
	t.Process.mu.Lock()
	defer t.Process.mu.Unlock()
	return t.takeLocked(set &^ unblockable)
}

// PendingForAll returns the signals that were sent to the process, not to one thread, or to its first thread.
func (p *Process) PendingForAll() Set {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending.set | p.leader.pending.set
}

// takeLocked removes a pending signal of the set.
func (t *Thread) takeLocked(set Set) (Info, bool) {
	info, ok := t.pending.take(set)
	if !ok {
		info, ok = t.Process.pending.take(set)
	}
	t.recalculateLocked()
	return info, ok
}

// Action returns what a signal does.
func (p *Process) Action(sig unix.Signal) Action {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.actions[sig]
}

// SetAction changes what a signal does; unix.EINVAL for SIGKILL and SIGSTOP. A pending signal that is ignored from now
// on is forgotten [POSIX 2.4.3].
func (p *Process) SetAction(sig unix.Signal, a Action) error {
	if unblockable.Has(sig) {
		return unix.EINVAL
	}
	a.Mask &^= unblockable
	p.mu.Lock()
	defer p.mu.Unlock()
	p.actions[sig] = a
	if p.ignoredLocked(sig, 0) {
		gone := SetOf(sig)
		p.pending.flush(gone)
		for _, t := range p.threads {
			t.pending.flush(gone)
		}
	}
	return nil
}
