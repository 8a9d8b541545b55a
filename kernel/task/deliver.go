package task

import (
	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

// Restart tells how a system call that a signal interrupted goes on, signal(7).
type Restart uint8

const (
	notInterrupted Restart = iota
	// RestartSys: it fails with EINTR if a handler without SA_RESTART runs, and starts again otherwise.
	RestartSys
	// RestartNoHandler: it fails with EINTR if any handler runs, and starts again otherwise.
	RestartNoHandler
	// RestartNever: it fails with EINTR.
	RestartNever
)

// syscallSize is the length of the SYSCALL instruction in bytes.
const syscallSize = 2

// Interrupt tells that the present system call was interrupted, and returned EINTR. Whether the program sees
// that or the call starts again is decided when the signal is delivered.
func (t *Thread) Interrupt(number uint64, how Restart) {
	t.callNumber, t.interrupted = number, how
	t.attention.Or(attCall)
}

// attend does what attention asks for, before the thread enters ring 3. It returns false if the thread must leave.
func (t *Thread) attend() bool {
	if t.maskSaved && t.interrupted == notInterrupted {
		t.restoreMask() // the call has ended on its own: its mask is no reason to deliver a signal
	}
	if t.Regs.Vec == regs.Syscall {
		t.resumed = false
	}
	if !t.resumed {
		t.attention.And(^uint32(attCall))
	}
	for t.deliver() {
		if t.interrupted != notInterrupted {
			if t.interrupted != RestartNever {
				t.restartCall()
				t.resumed = true
				t.attention.Or(attCall) // to come here after the call and end resumed
			}
			t.interrupted = notInterrupted
		}
		if !t.maskSaved {
			return true
		}
		t.restoreMask() // which may make other signals deliverable
	}
	return false
}

// deliver makes frames for the handlers of all deliverable signals. It returns false if the thread must leave.
func (t *Thread) deliver() bool {
	for {
		wants := t.attention.Load()
		if wants&attExit != 0 {
			return false
		}
		if wants&attStop != 0 {
			t.park()
			continue
		}
		if wants&attSignal == 0 {
			return true
		}
		if info, action, ok := t.nextSignal(); ok {
			t.handle(info, action)
		}
	}
}

// restartCall makes the thread execute its SYSCALL instruction again.
func (t *Thread) restartCall() {
	t.Regs.AX = t.callNumber
	t.Regs.IP -= syscallSize
}

// nextSignal takes the next deliverable signal that has a handler. Those whose action ends the process do it
// here; ok is false then, or when there is none.
func (t *Thread) nextSignal() (info Info, action Action, ok bool) {
	p := t.Process
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.exiting && !p.stop.stopped {
		info, ok = t.pending.take(^t.mask)
		if !ok {
			info, ok = p.pending.take(^t.mask)
		}
		if !ok {
			break
		}
		sig := info.Signal()
		action = p.actions[sig]
		switch {
		case action.Handler == SigIgn:
		case action.Handler != SigDfl:
			if action.Flags&SaResethand != 0 {
				p.actions[sig].Handler = SigDfl
			}
			return info, action, true
		case stopping.Has(sig):
			p.takeStopLocked(sig)
		case !ignoredByDefault.Has(sig):
			p.exitLocked(Status{Signal: sig})
		}
	}
	t.recalculateLocked()
	return Info{}, Action{}, false
}

// deliverableLocked tells whether a signal is pending that the thread would take now.
func (t *Thread) deliverableLocked() bool {
	return (t.pending.set|t.Process.pending.set)&^(t.mask&^t.waitSet) != 0
}

// recalculateLocked sets or clears attSignal by what is pending and not held back. It is for the thread itself: another one that
// sleeps wouldn't see the bit, nor would it be notified any more, for it looks as if it had been.
func (t *Thread) recalculateLocked() {
	if t.deliverableLocked() {
		t.attention.Or(attSignal)
	} else {
		t.attention.And(^uint32(attSignal))
	}
}

// handle makes the thread run the handler of a signal when it enters ring 3.
func (t *Thread) handle(info Info, action Action) {
	if t.interrupted == RestartSys && action.Flags&SaRestart != 0 {
		t.restartCall()
	}
	t.interrupted = notInterrupted
	old := t.mask
	if t.maskSaved {
		old = t.saved
	}
	if !t.pushFrame(&info, &action, old) {
		t.badFrame(info.Signal())
		return
	}
	t.maskSaved = false
	mask := t.mask | action.Mask
	if action.Flags&SaNodefer == 0 {
		mask |= SetOf(info.Signal())
	}
	t.SetMask(mask)
}

// badFrame is what happens if the frame of a handler can't be stored: force_sigsegv in Linux. A handler of
// SIGSEGV may still run, on its own stack, unless it was the one that had no room.
func (t *Thread) badFrame(sig unix.Signal) {
	p := t.Process
	if sig == unix.SIGSEGV {
		p.mu.Lock()
		p.actions[unix.SIGSEGV].Handler = SigDfl
		p.mu.Unlock()
	}
	t.force(Info{Signo: int32(unix.SIGSEGV), Code: SiKernel},
		"a signal handler can't be called: no room for its frame, or no valid handler and restorer")
}

// force sends the thread a signal that it can't evade, because it can't go on: if it is ignored or held
// back, its default action applies. If that ends the process, a report says why.
func (t *Thread) force(info Info, why string) {
	p, sig := t.Process, info.Signal()
	p.mu.Lock()
	action := &p.actions[sig]
	if action.Handler == SigIgn || t.mask.Has(sig) {
		action.Handler = SigDfl
		t.mask &^= SetOf(sig)
	}
	fatal := action.Handler == SigDfl && !p.exiting
	if !fatal {
		t.pending.flush(SetOf(sig)) // its Info describes this fault, not an earlier kill
		t.pending.add(info)
		t.recalculateLocked()
	} else {
		p.exitLocked(Status{Signal: sig})
	}
	p.mu.Unlock()
	if fatal {
		t.report(&info, why)
	}
}

// wantsLocked tells whether the thread would take the signal now.
func (t *Thread) wantsLocked(sig unix.Signal) bool { return !(t.mask &^ t.waitSet).Has(sig) }

// ignoredLocked tells whether a signal sent now is lost: it is ignored and mask doesn't hold it back.
func (p *Process) ignoredLocked(sig unix.Signal, mask Set) bool {
	if mask.Has(sig) {
		return false
	}
	h := p.actions[sig].Handler
	return h == SigIgn || h == SigDfl && (ignoredByDefault.Has(sig) || p == p.family.first && stopping.Has(sig))
}

// SendInfo sends a signal to the process: one of its threads that doesn't hold it back will take it.
// unix.EAGAIN means that too many are queued.
func (p *Process) SendInfo(info Info) error { return p.send(nil, nil, info) }

// Signal sends a signal to the process from the kernel, such as SIGINT for a key of the terminal.
func (p *Process) Signal(sig unix.Signal) error {
	if sig < 1 || sig > NumSignals {
		return unix.EINVAL
	}
	return p.SendInfo(Info{Signo: int32(sig), Code: SiKernel})
}

// SendInfo sends a signal to this thread. unix.EAGAIN means that too many are queued, unix.ESRCH that it has left.
func (t *Thread) SendInfo(info Info) error { return t.Process.send(nil, t, info) }

// SendProcess is Process.SendInfo by one of its own threads.
func (t *Thread) SendProcess(info Info) error { return t.Process.send(t, nil, info) }

// SendThread is SendInfo by another thread of the process, or itself.
func (t *Thread) SendThread(to *Thread, info Info) error { return t.Process.send(t, to, info) }

// send sends a signal to a thread or, if to is nil, to the process. sender is the thread that does it, nil if it is
// none: it is not in ring 3, so it needn't be kicked if the signal is its own.
func (p *Process) send(sender, to *Thread, info Info) error {
	p.mu.Lock()
	err := p.sendLocked(sender, to, info)
	p.mu.Unlock()
	p.signalled()
	return err
}

// sendQuietly is SendInfo without telling those who watch the pending signals: signalled must follow.
func (p *Process) sendQuietly(info Info) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sendLocked(nil, nil, info)
}

// signalled tells those who watch the pending signals that there may be a new one, and the parent if one has stopped or continued
// the process. No lock is held.
func (p *Process) signalled() {
	p.tellOfStop()
	if p.options.Signalled != nil {
		p.options.Signalled()
	}
}

func (p *Process) sendLocked(sender, to *Thread, info Info) error {
	sig, queue, mask := info.Signal(), &p.pending, p.leader.mask
	if to != nil {
		queue, mask = &to.pending, to.mask
	}
	switch {
	case p.exiting:
		return nil
	case to != nil && p.threads[to.TID] != to:
		return unix.ESRCH // it has left since the caller found it
	case sig == unix.SIGKILL:
		p.exitLocked(Status{Signal: sig})
		return nil
	}
	p.prepareLocked(sig)
	switch {
	case p.ignoredLocked(sig, mask):
		return nil
	}
	if err := queue.add(info); err != nil {
		return err
	}
	if to == nil {
		p.targetLocked(sender, SetOf(sig))
	} else if to.wantsLocked(sig) {
		to.notify(sender, attSignal)
	}
	return nil
}

// targetLocked finds a thread for each of the signals of set that are pending for the process; the first
// thread is preferred, as in Linux. sender is as for send.
func (p *Process) targetLocked(sender *Thread, set Set) {
	set &= p.pending.set
	if set == 0 {
		return
	}
	if t := p.threads[p.leader.TID]; t != nil {
		set = t.offerLocked(sender, set)
	}
	for _, t := range p.threads {
		if set == 0 {
			return
		}
		set = t.offerLocked(sender, set)
	}
}

// offerLocked tells the thread of those of the signals that it would take, and returns the others.
func (t *Thread) offerLocked(sender *Thread, set Set) Set {
	held := t.mask &^ t.waitSet
	if set&^held != 0 {
		t.notify(sender, attSignal)
	}
	return set & held
}
