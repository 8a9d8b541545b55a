package task

import (
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

const handlerAt = 0x500000

// registers gives u values that are all different.
func registers(u *regs.User, seed uint64) {
	for i, r := range frameRegs(u) {
		*r = seed + uint64(i)*0x1111
	}
	u.SP, u.Flags = stackAt-0x1008, flagIF|flag1|flagCF|flagOF|flagDF|flagAC
	var fx [512]byte
	for i := range fx[:fpstateSW] {
		fx[i] = byte(uint64(i) + seed)
	}
	le.PutUint16(fx[0:], 0x27f)
	le.PutUint32(fx[24:], 0x1fa0)
	le.PutUint32(fx[28:], 0xffff)
	u.SetFX(&fx)
}

// snapshot is what a program can see of its registers.
type snapshot struct {
	regs   [numFrameRegs]uint64
	fs, gs uint64
	fx     [512]byte
}

func snap(u *regs.User) snapshot {
	s := snapshot{fs: u.FSBase, gs: u.GSBase, fx: u.FX}
	for i, r := range frameRegs(u) {
		s.regs[i] = *r
	}
	return s
}

func TestSignalFrameRoundTripKeepsEveryRegister(t *testing.T) {
	w := newWorld(t)
	const info = 0x1122334455667788
	var before, after snapshot
	var inHandler snapshot
	var action Action
	w.calls[500] = func(th *Thread) (uint64, error) {
		th.Process.SetAction(unix.SIGUSR1, action)
		th.SetMask(SetOf(unix.SIGINT))
		th.SetAltStack(Stack{Base: altAt, Size: altLen})
		registers(th.Regs, 0x0123456789000000)
		th.Regs.IP = textAt + 0x100
		before = snap(th.Regs)
		th.SendInfo(Info{Signo: int32(unix.SIGUSR1), Code: SiQueue, Data: [4]uint64{42, info}})
		return th.Regs.AX, nil
	}
	w.cpu.Program(textAt).Call(500)
	w.cpu.Program(textAt+0x100).Do(func(u *regs.User) {
		u.IP--
		after = snap(u)
		u.IP++
	}).Call(callExitGroup, 3)

	action = w.handler(handlerAt, SaSiginfo, SetOf(unix.SIGUSR2), func(u *regs.User) {
		inHandler = snap(u)
		frame := u.SP
		if frame%16 != 8 {
			t.Errorf("SP %#x at the handler: a function expects SP%%16 == 8", frame)
		}
		if u.DI != uint64(unix.SIGUSR1) || u.SI != frame+infoOffset || u.DX != frame+ucontextOffset || u.AX != 0 {
			t.Errorf("handler's arguments: DI %#x SI %#x DX %#x AX %#x, SP %#x", u.DI, u.SI, u.DX, u.AX, u.SP)
		}
		if u.Flags&(flagDF|flagTF) != 0 {
			t.Errorf("flags %#x in the handler", u.Flags)
		}
		if fcw, mxcsr := le.Uint16(u.FX[0:]), le.Uint32(u.FX[24:]); fcw != initialFCW || mxcsr != initialMXCSR {
			t.Errorf("FCW %#x, MXCSR %#x in the handler", fcw, mxcsr)
		}
		w.checkFrame(frame, &before)
		if got := w.word(u.SI + 24); got != info {
			t.Errorf("si_value %#x", got)
		}
		// The handler tramples on everything.
		sp, ip, flags := u.SP, u.IP, u.Flags
		registers(u, 0x7777)
		u.SP, u.IP, u.Flags = sp, ip, flags
	})
	w.expect(w.run(), Status{Code: 3})
	if before != after {
		t.Errorf("registers changed:\n%x\n%x", before, after)
	}
	if inHandler.fs != before.fs {
		t.Error("FS base changed")
	}
}

// checkFrame compares a frame with the registers that it was made of.
func (w *world) checkFrame(frame uint64, before *snapshot) {
	w.tb.Helper()
	uc := frame + ucontextOffset
	for i, want := range before.regs {
		if got := w.word(uc + ucMcontext + 8*uint64(i)); got != want {
			w.tb.Errorf("register %d in the frame: %#x, want %#x", i, got, want)
		}
	}
	fpstate := w.word(uc + ucMcontext + mcFpstate)
	var fx [512]byte
	if w.space.CopyIn(fx[:], fpstate) != nil || fx != before.fx || fpstate%64 != 0 {
		w.tb.Errorf("FXSAVE image at %#x: %x, want %x", fpstate, fx, before.fx)
	}
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"uc_flags", w.word(uc), 6},
		{"uc_link", w.word(uc + 8), 0},
		{"ss_sp", w.word(uc + 16), altAt},
		{"ss_size", w.word(uc + 32), altLen},
		{"cs, gs, fs, ss", w.word(uc + ucMcontext + mcSegments), 0x002b000000000033},
		{"oldmask", w.word(uc + ucMcontext + mcOldmask), uint64(SetOf(unix.SIGINT))},
		{"uc_sigmask", w.word(uc + ucSigmask), uint64(SetOf(unix.SIGINT))},
		{"si_signo, si_errno", w.word(frame + infoOffset), uint64(unix.SIGUSR1)},
	} {
		if c.got != c.want {
			w.tb.Errorf("%s: %#x, want %#x", c.name, c.got, c.want)
		}
	}
	if red := before.regs[15] - redZone; fpstate+fpstateSize > red {
		w.tb.Errorf("the frame ends at %#x, in the red zone below %#x", fpstate+fpstateSize, before.regs[15])
	}
}
