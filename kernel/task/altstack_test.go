package task

import (
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

func TestStackOverflowIsHandledOnAlternateStack(t *testing.T) {
	w := newWorld(t)
	action := w.handler(handlerAt, SaOnstack|SaSiginfo, 0, func(u *regs.User) {
		if u.SP <= altAt || u.SP > altAt+altLen {
			t.Errorf("the handler's SP is %#x", u.SP)
		}
		// siglongjmp: the handler never returns, the program unblocks the signal itself.
		u.IP, u.SP = textAt+0x100, stackAt
	})
	w.calls[500] = func(th *Thread) (uint64, error) {
		th.Process.SetAction(unix.SIGSEGV, action)
		th.Regs.SP = stackAt - stackSz + 16 // no room
		return 0, th.SetAltStack(Stack{Base: altAt, Size: altLen})
	}
	w.calls[501] = func(th *Thread) (uint64, error) {
		if th.Mask() != SetOf(unix.SIGSEGV) || th.AltStack().Flags != 0 {
			t.Errorf("mask %x, stack %+v", th.Mask(), th.AltStack())
		}
		th.SetMask(0)
		return 0, nil
	}
	w.cpu.Program(textAt).Call(500).Leave(regs.PageFault, regs.FaultUser|regs.FaultWrite, stackAt-stackSz-8)
	again := 0
	w.cpu.Program(textAt+0x100).Call(501).Do(func(u *regs.User) {
		if again++; again < 3 {
			u.IP, u.SP = textAt+3, stackAt-stackSz+16
		}
	}).Call(callExitGroup, 0)
	w.expect(w.run(), Status{})
	if again != 3 {
		t.Errorf("faulted %d times, want 3", again)
	}
}

func TestHandlerWithoutRoomForItsFrameIsFatal(t *testing.T) {
	for _, c := range []struct {
		name string
		sp   uint64
		alt  Stack
	}{
		{"no memory at SP", 0x1000, Stack{Flags: SsDisable}},
		{"stack pointer beyond user memory", 1 << 63, Stack{Flags: SsDisable}},
		{"alternate stack not mapped", stackAt, Stack{Base: 0x2000000, Size: 4096}},
		{"SP at the bottom of the alternate stack", altAt + 64, Stack{Base: altAt, Size: 2048}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			action := w.handler(handlerAt, SaOnstack, 0, func(*regs.User) { t.Error("the handler ran") })
			w.calls[500] = func(th *Thread) (uint64, error) {
				th.SetAltStack(c.alt)
				th.Regs.SP = c.sp
				th.Process.SetAction(unix.SIGUSR1, action)
				th.SendInfo(UserInfo(unix.SIGUSR1, SiTkill, 1, 0))
				return 0, nil
			}
			w.cpu.Program(textAt).Call(500).Call(callExitGroup, 0)
			w.expect(w.run(), Status{Signal: unix.SIGSEGV})
		})
	}
}

func TestAlternateStackRules(t *testing.T) {
	p := &Process{}
	th := &Thread{Process: p, Regs: regs.New()}
	th.altStack.Flags = SsDisable
	th.Regs.SP = stackAt
	good := Stack{Base: altAt, Size: altLen}
	for _, c := range []struct {
		name string
		s    Stack
		want error
	}{
		{"good", good, nil},
		{"too small", Stack{Base: altAt, Size: 2047}, unix.ENOMEM},
		{"bad flags", Stack{Base: altAt, Size: altLen, Flags: 8}, unix.EINVAL},
		{"SS_ONSTACK", Stack{Base: altAt, Size: altLen, Flags: SsOnstack}, nil},
	} {
		var err error = th.SetAltStack(c.s)
		if err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if got := th.AltStack(); got != good {
		t.Errorf("stack %+v, want %+v", got, good)
	}
	th.Regs.SP = altAt + altLen
	if err := th.SetAltStack(Stack{Flags: SsDisable}); err != unix.EPERM {
		t.Errorf("while on it: %v, want EPERM", err)
	}
	if got := th.AltStack().Flags; got != SsOnstack {
		t.Errorf("flags on it: %#x", got)
	}
	th.Regs.SP = stackAt
	if err := th.SetAltStack(Stack{Base: 5, Size: 7, Flags: SsDisable}); err != nil {
		t.Error(err)
	}
	if got := th.AltStack(); got != (Stack{Flags: SsDisable}) {
		t.Errorf("disabled: %+v", got)
	}
}
