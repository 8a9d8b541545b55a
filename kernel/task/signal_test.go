package task

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

func TestStandardSignalsCoalesceAndRealTimeSignalsQueue(t *testing.T) {
	var q pending
	const rt = unix.Signal(34)
	for i := range uint64(3) {
		q.add(Info{Signo: int32(rt), Code: SiQueue, Data: [4]uint64{0, i}})
		q.add(Info{Signo: int32(unix.SIGUSR1), Data: [4]uint64{i}})
	}
	q.add(Info{Signo: int32(unix.SIGSEGV)})
	var got []uint64
	for {
		info, ok := q.take(^Set(0))
		if !ok {
			break
		}
		got = append(got, uint64(info.Signo)<<8|info.Data[0]|info.Data[1])
	}
	want := []uint64{11 << 8, 10 << 8, 34 << 8, 34<<8 | 1, 34<<8 | 2}
	if !slices.Equal(got, want) || q.set != 0 || len(q.queue) != 0 {
		t.Errorf("taken %x, want %x; left: %x %v", got, want, q.set, q.queue)
	}
}

func TestFullQueueRefusesOnlyWhatCarriesData(t *testing.T) {
	var q pending
	const rt = unix.Signal(40)
	for range maxQueued {
		if err := q.add(Info{Signo: int32(rt), Code: SiQueue}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.add(Info{Signo: int32(rt), Code: SiQueue}); err != unix.EAGAIN {
		t.Errorf("sigqueue: %v, want EAGAIN", err)
	}
	if err := q.add(Info{Signo: 50, Code: SiUser}); err != nil {
		t.Errorf("kill: %v", err)
	}
	if info, ok := q.take(SetOf(50)); !ok || info.Signo != 50 {
		t.Errorf("the signal without room was lost: %v %v", info, ok)
	}
	q.flush(SetOf(rt))
	if q.set != 0 || len(q.queue) != 0 {
		t.Errorf("after flush: %x, %d entries", q.set, len(q.queue))
	}
}

// TestInterruptedCalls checks what becomes of a call that a signal has interrupted.
func TestInterruptedCalls(t *testing.T) {
	const eintr = ^uint64(3) // -4
	for _, c := range []struct {
		name    string
		how     Restart
		flags   uint64
		ignored bool // no handler runs: the signal is taken away before it is delivered
		want    uint64
	}{
		{"RestartSys without SA_RESTART", RestartSys, 0, false, eintr},
		{"RestartSys with SA_RESTART", RestartSys, SaRestart, false, 77},
		{"RestartSys without handler", RestartSys, 0, true, 77},
		{"RestartNoHandler with SA_RESTART", RestartNoHandler, SaRestart, false, eintr},
		{"RestartNoHandler without handler", RestartNoHandler, 0, true, 77},
		{"RestartNever with SA_RESTART", RestartNever, SaRestart, false, eintr},
		{"RestartNever without handler", RestartNever, 0, true, eintr},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			handled, tries := 0, 0
			action := w.handler(handlerAt, c.flags, 0, func(u *regs.User) { handled++ })
			w.calls[500] = func(th *Thread) (uint64, error) {
				if tries++; tries == 2 {
					if th.Regs.DI != 5 || th.Regs.IP != th.Regs.CX {
						t.Errorf("restarted with other registers: %+v", th.Regs)
					}
					return 77, nil
				}
				th.Process.SetAction(unix.SIGUSR1, action)
				th.SendInfo(UserInfo(unix.SIGUSR1, SiTkill, 1, 0))
				err := th.Pause(time.Time{})
				if err != unix.EINTR {
					t.Errorf("Sleep: %v", err)
				}
				if c.ignored {
					th.Process.SetAction(unix.SIGUSR1, Action{Handler: SigIgn})
				}
				th.Interrupt(500, c.how)
				th.Regs.AX = errnoValue(unix.EINTR)
				return th.Regs.AX, nil
			}
			w.cpu.Program(textAt).Call(500, 5).Do(func(u *regs.User) {
				if u.AX != c.want {
					t.Errorf("result %#x, want %#x", u.AX, c.want)
				}
			}).Call(callExitGroup, 0)
			w.expect(w.run(), Status{})
			if want := map[bool]int{true: 0, false: 1}[c.ignored]; handled != want {
				t.Errorf("handler ran %d times, want %d", handled, want)
			}
		})
	}
}

func TestRestartedCallKeepsItsDeadline(t *testing.T) {
	w := newWorld(t)
	var deadlines []time.Time
	w.calls[500] = func(th *Thread) (uint64, error) {
		deadlines = append(deadlines, th.Deadline(time.Hour))
		switch len(deadlines) {
		case 1:
			th.Interrupt(500, RestartNoHandler)
			th.Process.cpu.Kick(th.Regs) // leave ring 3 once more before the call starts again
		}
		return 0, nil
	}
	w.cpu.Program(textAt).Call(500).Call(500).Call(callExitGroup, 0)
	w.expect(w.run(), Status{})
	if len(deadlines) != 3 || !deadlines[0].Equal(deadlines[1]) || deadlines[1].Equal(deadlines[2]) {
		t.Errorf("deadlines %v: want the second like the first, and the third later", deadlines)
	}
}

func TestMaskHoldsSignalsBack(t *testing.T) {
	w := newWorld(t)
	var order []uint64
	body := func(u *regs.User) { order = append(order, u.DI) }
	action := w.handler(handlerAt, 0, SetOf(unix.SIGUSR2), body)
	w.calls[500] = func(th *Thread) (uint64, error) {
		p := th.Process
		p.SetAction(unix.SIGUSR1, action)
		p.SetAction(unix.SIGUSR2, action)
		p.SetAction(unix.SIGURG, Action{})
		th.SetMask(SetOf(unix.SIGUSR1, unix.SIGUSR2, unix.SIGURG) | unblockable)
		th.SendInfo(UserInfo(unix.SIGUSR2, SiTkill, 1, 0))
		p.SendInfo(UserInfo(unix.SIGUSR1, SiUser, 1, 0))
		th.SendInfo(UserInfo(unix.SIGURG, SiTkill, 1, 0)) // held back, so not ignored yet
		if got, want := th.Pending(), SetOf(unix.SIGUSR1, unix.SIGUSR2, unix.SIGURG); got != want {
			t.Errorf("pending %x, want %x", got, want)
		}
		if th.Mask()&unblockable != 0 {
			t.Error("SIGKILL or SIGSTOP is held back")
		}
		return 0, nil
	}
	w.calls[501] = func(th *Thread) (uint64, error) { th.SetMask(0); return 0, nil }
	w.calls[502] = func(th *Thread) (uint64, error) {
		if th.Mask() != 0 || th.Pending() != 0 {
			t.Errorf("after the handlers: mask %x, pending %x", th.Mask(), th.Pending())
		}
		return 0, nil
	}
	w.cpu.Program(textAt).Call(500).Do(func(u *regs.User) {
		if len(order) != 0 {
			t.Errorf("delivered %v although held back", order)
		}
	}).Call(501).Call(502).Call(callExitGroup, 0)
	w.expect(w.run(), Status{})
	// The thread's own signal comes first; its handler holds nothing back that the other needs, so the frame of
	// the second is on top and runs first, but SIGUSR2 is in its own mask.
	if want := []uint64{uint64(unix.SIGUSR1), uint64(unix.SIGUSR2)}; !slices.Equal(order, want) {
		t.Errorf("handlers ran in the order %v, want %v", order, want)
	}
}

func TestResethandAndNodefer(t *testing.T) {
	w := newWorld(t)
	depth := 0
	var proc *Process
	action := w.handler(handlerAt, SaResethand|SaNodefer, 0, func(u *regs.User) {
		depth++
		proc.SendInfo(UserInfo(unix.SIGTERM, SiUser, 1, 0))
		proc.cpu.Kick(proc.leader.Regs)
	})
	w.calls[500] = func(th *Thread) (uint64, error) {
		proc = th.Process
		proc.SetAction(unix.SIGTERM, action)
		proc.SendInfo(UserInfo(unix.SIGTERM, SiUser, 1, 0))
		return 0, nil
	}
	w.cpu.Program(textAt).Call(500).Call(callExitGroup, 0)
	w.expect(w.run(), Status{Signal: unix.SIGTERM})
	if depth != 1 {
		t.Errorf("the handler ran %d times, want once", depth)
	}
}

// A program must not spin in a page fault that SMAP causes, which no page can resolve.
func TestAFaultThatSMAPCausesEndsInSIGSEGV(t *testing.T) {
	w := newWorld(t)
	p := w.cpu.Program(textAt)
	p.Leave(regs.PageFault, regs.FaultPresent, dataAt)
	w.expect(w.run(), Status{Signal: unix.SIGSEGV})
}

func TestExceptionsBecomeSignals(t *testing.T) {
	fx := func(u *regs.User, status uint16, mxcsr uint32) {
		image := make([]byte, regs.LegacySize)
		le.PutUint16(image[2:], status)
		le.PutUint32(image[24:], mxcsr)
		u.LoadState(regs.Extent{}, image, ^uint64(0))
	}
	for _, c := range []struct {
		name          string
		vec, err, cr2 uint64
		prepare       func(u *regs.User)
		sig           unix.Signal
		code          int32
		addr          uint64
	}{
		{"divide", regs.DivideError, 0, 0, nil, unix.SIGFPE, fpeIntDiv, textAt + 3},
		{"breakpoint", regs.Breakpoint, 0, 0, nil, unix.SIGTRAP, SiKernel, 0},
		{"single step", regs.Debug, 0, 0, func(u *regs.User) { u.Flags |= flagTF }, unix.SIGTRAP, trapTrace, textAt + 3},
		{"invalid opcode", regs.InvalidOpcode, 0, 0, nil, unix.SIGILL, illIllOpn, textAt + 3},
		{"stack fault", regs.StackFault, 0, 0, nil, unix.SIGBUS, SiKernel, 0},
		{"general protection", regs.GeneralProtection, 0, 0, nil, unix.SIGSEGV, SiKernel, 0},
		{"alignment", regs.AlignmentCheck, 0, 0, nil, unix.SIGBUS, busAdrAln, 0},
		{"x87", regs.X87Error, 0, 0, func(u *regs.User) { fx(u, 4, 0x1f80) }, unix.SIGFPE, fpeFltDiv, textAt + 3},
		{"SSE", regs.SIMDError, 0, 0, func(u *regs.User) { fx(u, 0, 0x1) }, unix.SIGFPE, fpeFltInv, textAt + 3},
		{"no mapping", regs.PageFault, regs.FaultUser, 0x666000, nil, unix.SIGSEGV, segvMapErr, 0x666000},
		{"null", regs.PageFault, regs.FaultUser | regs.FaultWrite, 8, nil, unix.SIGSEGV, segvMapErr, 8},
		{"no execution", regs.PageFault, regs.FaultUser | regs.FaultFetch, dataAt, nil, unix.SIGSEGV, segvAccErr, dataAt},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			handled := false
			action := w.handler(handlerAt, SaSiginfo, 0, func(u *regs.User) {
				handled = true
				sig, code := unix.Signal(w.word(u.SI)), int32(w.word(u.SI+8))
				if sig != c.sig || code != c.code || w.word(u.SI+16) != c.addr {
					t.Errorf("signal %v, code %d, address %#x; want %v, %d, %#x", sig, code, w.word(u.SI+16), c.sig, c.code, c.addr)
				}
				mc := u.DX + ucMcontext
				if w.word(mc+mcTrapNo) != c.vec || w.word(mc+mcErr) != c.err || w.word(mc+mcCR2) != c.cr2 {
					t.Errorf("trapno %d err %d cr2 %#x", w.word(mc+mcTrapNo), w.word(mc+mcErr), w.word(mc+mcCR2))
				}
				w.put(mc+8*frameRegIP, textAt+0x100) // go on elsewhere
				w.put(mc+8*frameRegFlags, flagIF)
			})
			w.calls[500] = func(th *Thread) (uint64, error) { return 0, th.Process.SetAction(c.sig, action) }
			p := w.cpu.Program(textAt).Call(500)
			if c.prepare != nil {
				w.cpu.Program(textAt + 0x80).Do(c.prepare).Do(func(u *regs.User) { u.IP = textAt + 3 })
				w.calls[500] = func(th *Thread) (uint64, error) {
					th.Regs.IP = textAt + 0x80
					return 0, th.Process.SetAction(c.sig, action)
				}
			}
			p.Leave(c.vec, c.err, c.cr2)
			w.cpu.Program(textAt+0x100).Call(callExitGroup, 9)
			w.expect(w.run(), Status{Code: 9})
			if !handled {
				t.Error("the handler didn't run")
			}
		})
	}
}

func TestFatalFaultKillsWithReport(t *testing.T) {
	w := newWorld(t)
	w.opts.Trace = func(_ *Thread, b []byte) []byte { return append(b, "the last calls\n"...) }
	w.cpu.Program(textAt).Do(func(u *regs.User) { u.R12, u.SP = 0xabcdef, altAt+8 }).
		Leave(regs.PageFault, regs.FaultUser|regs.FaultWrite, 0xdead000)
	w.expect(w.run(), Status{Signal: unix.SIGSEGV})
	if len(w.reports) != 1 {
		t.Fatalf("%d reports: %q", len(w.reports), w.reports)
	}
	for _, part := range []string{
		"SIGSEGV: write at 0xdead000: address not mapped\n", "thread 1 (test)", "IP  0000000000400001",
		"R12 0000000000abcdef", "CR2 000000000dead000", "IP is in no mapping", "SP is in 0x800000-0x804000 rw- (anonymous)",
		"the last calls\n",
	} {
		if !strings.Contains(w.reports[0], part) {
			t.Errorf("the report lacks %q:\n%s", part, w.reports[0])
		}
	}
}

func TestFaultWithHeldBackOrIgnoredSignalKills(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(th *Thread, a Action)
	}{
		{"held back", func(th *Thread, a Action) {
			th.Process.SetAction(unix.SIGFPE, a)
			th.SetMask(SetOf(unix.SIGFPE))
		}},
		{"ignored", func(th *Thread, _ Action) { th.Process.SetAction(unix.SIGFPE, Action{Handler: SigIgn}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			action := w.handler(handlerAt, 0, 0, func(*regs.User) { t.Error("the handler ran") })
			w.calls[500] = func(th *Thread) (uint64, error) { c.set(th, action); return 0, nil }
			w.cpu.Program(textAt).Call(500).Leave(regs.DivideError, 0, 0)
			w.expect(w.run(), Status{Signal: unix.SIGFPE})
		})
	}
}

func TestBadSignalReturnIsFatal(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(w *world, u *regs.User)
	}{
		{"no frame", func(_ *world, u *regs.User) { u.SP = 0x123450 }},
		{"no FXSAVE image", func(w *world, u *regs.User) { u.SP = dataAt; w.put(dataAt+ucMcontext+mcFpstate, 0x666000) }},
		{"IP in the upper half", func(w *world, u *regs.User) {
			u.SP = dataAt
			w.put(dataAt+ucMcontext+8*frameRegIP, 0xffff800000000000)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.cpu.Program(textAt).Do(func(u *regs.User) { c.set(w, u) }).Call(callSigreturn)
			w.expect(w.run(), Status{Signal: unix.SIGSEGV})
		})
	}
}

func TestSignalReturnSanitisesFlags(t *testing.T) {
	w := newWorld(t)
	w.cpu.Program(textAt).Do(func(u *regs.User) {
		u.SP = dataAt
		w.put(dataAt+ucMcontext+8*frameRegIP, textAt+0x100)
		w.put(dataAt+ucMcontext+8*frameRegFlags, ^uint64(0)&^flagIF)
		w.put(dataAt+ucSigmask, ^uint64(0))
	}).Call(callSigreturn)
	w.calls[500] = func(th *Thread) (uint64, error) {
		if want := uint64(userFlags | flag1 | flagIF); th.Regs.Flags != want {
			t.Errorf("flags %#x, want %#x: IF set; IOPL, NT, VM clear", th.Regs.Flags, want)
		}
		if th.Mask() != ^unblockable {
			t.Errorf("mask %x", th.Mask())
		}
		return 0, nil
	}
	w.cpu.Program(textAt+0x100).Call(500).Call(callExitGroup, 0)
	w.expect(w.run(), Status{})
}

func TestSuspendRestoresMaskAfterHandler(t *testing.T) {
	w := newWorld(t)
	var inside Set
	action := w.handler(handlerAt, 0, 0, func(u *regs.User) { inside = Set(w.word(u.DX + ucSigmask)) })
	old := SetOf(unix.SIGUSR1, unix.SIGHUP)
	w.calls[500] = func(th *Thread) (uint64, error) {
		th.Process.SetAction(unix.SIGUSR1, action)
		th.SetMask(old)
		th.SendInfo(UserInfo(unix.SIGUSR1, SiTkill, 1, 0))
		err := th.Suspend(SetOf(unix.SIGTERM))
		th.Interrupt(500, RestartNoHandler)
		return errnoValue(err.(unix.Errno)), nil
	}
	w.calls[501] = func(th *Thread) (uint64, error) {
		if th.Mask() != old {
			t.Errorf("mask %x, want %x", th.Mask(), old)
		}
		return 0, nil
	}
	w.cpu.Program(textAt).Call(500).Do(func(u *regs.User) {
		if u.AX != errnoValue(unix.EINTR) {
			t.Errorf("result %#x", u.AX)
		}
	}).Call(501).Call(callExitGroup, 0)
	w.expect(w.run(), Status{})
	if inside != old {
		t.Errorf("uc_sigmask %x, want %x", inside, old)
	}
}

func TestCallMaskIsNoReasonToDeliverIfTheCallWasNotInterrupted(t *testing.T) {
	w := newWorld(t)
	action := w.handler(handlerAt, 0, 0, func(*regs.User) { t.Error("the handler ran") })
	w.calls[500] = func(th *Thread) (uint64, error) { // as a ppoll that finds something ready
		th.Process.SetAction(unix.SIGUSR1, action)
		th.SetMask(SetOf(unix.SIGUSR1))
		th.SendInfo(UserInfo(unix.SIGUSR1, SiTkill, 1, 0))
		th.SetCallMask(0)
		return 1, nil
	}
	w.calls[501] = func(th *Thread) (uint64, error) {
		if th.Mask() != SetOf(unix.SIGUSR1) {
			t.Errorf("mask %x", th.Mask())
		}
		return 0, nil
	}
	w.cpu.Program(textAt).Call(500).Call(501).Call(callExitGroup, 0)
	w.expect(w.run(), Status{})
}

func TestSignalThatOnlyTheCallHeldBackIsDeliveredAfterIt(t *testing.T) {
	w := newWorld(t)
	handled := 0
	action := w.handler(handlerAt, 0, 0, func(u *regs.User) { handled++ })
	tries := 0
	w.calls[500] = func(th *Thread) (uint64, error) {
		if tries++; tries == 2 {
			if handled != 1 {
				t.Error("the call started again before the signal was delivered")
			}
			return 0, nil
		}
		th.Process.SetAction(unix.SIGUSR2, action)
		th.SetCallMask(SetOf(unix.SIGUSR2))
		th.SendThread(th, UserInfo(unix.SIGUSR2, SiTkill, 1, 0))
		th.Interrupt(500, RestartNoHandler) // by a signal that has been taken back
		return errnoValue(unix.EINTR), nil
	}
	w.cpu.Program(textAt).Call(500).Call(callExitGroup, 0)
	w.expect(w.run(), Status{})
	if tries != 2 || handled != 1 {
		t.Errorf("%d tries, handler ran %d times", tries, handled)
	}
}

func TestWaitSignalTakesHeldBackSignals(t *testing.T) {
	w := newWorld(t)
	set := SetOf(unix.SIGUSR1, 40)
	ready := make(chan *Thread, 1)
	w.calls[500] = func(th *Thread) (uint64, error) {
		th.SetMask(set)
		th.SendInfo(Info{Signo: 40, Code: SiQueue, Data: [4]uint64{0, 99}})
		info, err := th.WaitSignal(set, time.Time{})
		if err != nil || info.Signo != 40 || info.Data[1] != 99 {
			t.Errorf("pending signal: %+v, %v", info, err)
		}
		if _, err := th.WaitSignal(set, time.Now().Add(time.Millisecond)); err != unix.EAGAIN {
			t.Errorf("timeout: %v, want EAGAIN", err)
		}
		ready <- th
		info, err = th.WaitSignal(set, time.Time{})
		if err != nil || info.Signo != int32(unix.SIGUSR1) {
			t.Errorf("signal while waiting: %+v, %v", info, err)
		}
		if th.Wanted() || th.waitSet != 0 {
			t.Error("something is left of the wait")
		}
		return 0, nil
	}
	w.cpu.Program(textAt).Call(500).Call(callExitGroup, 0)
	p := w.start()
	(<-ready).Process.SendInfo(UserInfo(unix.SIGUSR1, SiUser, 1, 0))
	w.expect(w.wait(p), Status{})
}

func TestProcessSignalGoesToAThreadThatTakesIt(t *testing.T) {
	w := newWorld(t)
	taken := make(chan uint64, 1)
	action := w.handler(handlerAt, 0, 0, func(u *regs.User) { taken <- u.BX })
	asleep := make(chan struct{}, 2)
	w.calls[500] = func(th *Thread) (uint64, error) {
		th.Process.SetAction(unix.SIGINT, action)
		th.SetMask(SetOf(unix.SIGINT))
		return 0, nil
	}
	w.calls[501] = func(th *Thread) (uint64, error) { // the child lets it through
		th.SetMask(0)
		th.Regs.BX = uint64(th.TID)
		return 0, nil
	}
	w.calls[502] = func(th *Thread) (uint64, error) {
		asleep <- struct{}{}
		return 0, th.Pause(time.Time{})
	}
	w.cpu.Program(textAt).Call(500).Call(callClone, cloneThread, altAt+altLen).Do(func(u *regs.User) {
		if u.AX == 0 {
			u.IP = textAt + 0x100
		}
	}).Call(502)
	w.cpu.Program(textAt + 0x100).Call(501).Spin(func() { asleep <- struct{}{} })
	p := w.start()
	<-asleep
	<-asleep
	p.Signal(unix.SIGINT)
	if tid := <-taken; tid != 2 {
		t.Errorf("thread %d took it, want 2", tid)
	}
	p.Signal(unix.SIGKILL)
	w.expect(w.wait(p), Status{Signal: unix.SIGKILL})
}

// A thread may leave between tgkill's finding it and the signal.
func TestSignalForAThreadThatHasLeft(t *testing.T) {
	w := newWorld(t)
	first, second := w.bareThread(), w.bareThread()
	second.Process.removeThread(second)
	info := Info{Signo: int32(unix.SIGUSR1), Code: SiTkill}
	if err := first.SendThread(second, info); err != unix.ESRCH {
		t.Errorf("SendThread: %v, want ESRCH", err)
	}
	if err := second.SendInfo(info); err != unix.ESRCH {
		t.Errorf("SendInfo: %v, want ESRCH", err)
	}
}

func TestIgnoredSignalsDoNotInterruptASleep(t *testing.T) {
	w := newWorld(t)
	asleep := make(chan *Thread, 1)
	var released atomic.Bool
	w.calls[500] = func(th *Thread) (uint64, error) {
		asleep <- th
		for !released.Load() {
			if err := th.Sleep(time.Time{}); err != nil {
				t.Errorf("Sleep: %v", err)
			}
		}
		return 0, nil
	}
	w.cpu.Program(textAt).Call(500).Call(callExitGroup, 0)
	p := w.start()
	th := <-asleep
	for _, sig := range []unix.Signal{unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGCONT, unix.SIGTSTP} {
		th.SendInfo(UserInfo(sig, SiTkill, 1, 0))
		p.Signal(sig)
	}
	released.Store(true)
	th.nudge()
	w.expect(w.wait(p), Status{})
}
