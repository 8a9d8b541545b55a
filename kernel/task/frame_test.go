package task

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

const handlerAt = 0x500000

// registers gives u values that are all different.
func registers(u *regs.User, e regs.Extent, seed uint64) {
	for i, r := range frameRegs(u) {
		*r = seed + uint64(i)*0x1111
	}
	u.SP, u.Flags = stackAt-0x1008, flagIF|flag1|flagCF|flagOF|flagDF|flagAC
	u.LoadState(e, stateImage(e, seed), ^uint64(0))
}

// avx is the state of a CPU with AVX.
var avx = regs.Extent{Features: regs.X87 | regs.SSE | regs.AVX, Size: 832}

// stateImage is an image of floating-point state that depends on seed.
func stateImage(e regs.Extent, seed uint64) []byte {
	image := make([]byte, e.ImageSize())
	for i := range image {
		image[i] = byte(uint64(i) + seed)
	}
	le.PutUint16(image[0:], 0x27f)
	le.PutUint32(image[24:], 0x1fa0)
	le.PutUint32(image[28:], 0)
	clear(image[416:min(len(image), leastExtended)])
	if e.Features != 0 {
		le.PutUint64(image[regs.LegacySize:], e.Features)
	}
	return image
}

// snapshot is what a program can see of its registers.
type snapshot struct {
	regs   [numFrameRegs]uint64
	fs, gs uint64
	state  [regs.ImageSize]byte
}

func snap(u *regs.User, e regs.Extent) snapshot {
	s := snapshot{fs: u.FSBase, gs: u.GSBase}
	u.SaveState(e, s.state[:e.ImageSize()])
	for i, r := range frameRegs(u) {
		s.regs[i] = *r
	}
	return s
}

func TestSignalFrameRoundTripKeepsEveryRegister(t *testing.T) {
	t.Run("FXSAVE", func(t *testing.T) { roundTrip(t, regs.Extent{}) })
	t.Run("XSAVE", func(t *testing.T) { roundTrip(t, avx) })
}

func roundTrip(t *testing.T, e regs.Extent) {
	w := newWorld(t)
	w.opts.Extent = e
	const info = 0x1122334455667788
	var before, after snapshot
	var inHandler snapshot
	var action Action
	w.calls[500] = func(th *Thread) (uint64, error) {
		th.Process.SetAction(unix.SIGUSR1, action)
		th.SetMask(SetOf(unix.SIGINT))
		th.SetAltStack(Stack{Base: altAt, Size: altLen})
		registers(th.Regs, e, 0x0123456789000000)
		th.Regs.IP = textAt + 0x100
		before = snap(th.Regs, e)
		th.SendInfo(Info{Signo: int32(unix.SIGUSR1), Code: SiQueue, Data: [4]uint64{42, info}})
		return th.Regs.AX, nil
	}
	w.cpu.Program(textAt).Call(500)
	w.cpu.Program(textAt+0x100).Do(func(u *regs.User) {
		u.IP--
		after = snap(u, e)
		u.IP++
	}).Call(callExitGroup, 3)

	action = w.handler(handlerAt, SaSiginfo, SetOf(unix.SIGUSR2), func(u *regs.User) {
		inHandler = snap(u, e)
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
		if initial := snap(regs.New(), e); inHandler.state != initial.state {
			t.Error("the state in the handler is not initial")
		}
		w.checkFrame(frame, &before)
		if got := w.word(u.SI + 24); got != info {
			t.Errorf("si_value %#x", got)
		}
		// The handler tramples on everything.
		sp, ip, flags := u.SP, u.IP, u.Flags
		registers(u, e, 0x7777)
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
	e := w.opts.Extent
	image, want := make([]byte, e.ImageSize()), before.state[:e.ImageSize()]
	flags := uint64(6)
	if e.Features != 0 {
		flags |= 1
		le.PutUint64(want[464:], (832+4)<<32|0x46505853)
		le.PutUint64(want[472:], 7)
		le.PutUint64(want[480:], 832)
		if got := w.word(fpstate + 832); uint32(got) != 0x46505845 {
			w.tb.Errorf("%#x behind the image, want FP_XSTATE_MAGIC2", uint32(got))
		}
	}
	if w.space.CopyIn(image, fpstate) != nil || !bytes.Equal(image, want) || fpstate%64 != 0 {
		w.tb.Errorf("image at %#x: %x, want %x", fpstate, image, want)
	}
	clear(want[464:regs.LegacySize])
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"uc_flags", w.word(uc), flags},
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
	if end := fpstate + fpstateSize(e); end > before.regs[15]-redZone {
		w.tb.Errorf("the frame ends at %#x, in the red zone below %#x", end, before.regs[15])
	}
}

// stateAfter stores a state in a frame, has change change it, and returns what the thread has after its return.
func stateAfter(t *testing.T, e regs.Extent, change func(image []byte)) []byte {
	t.Helper()
	w := newWorld(t)
	w.opts.Extent = e
	th := w.bareThread()
	registers(th.Regs, e, 1)
	if err := th.storeState(dataAt); err != nil {
		t.Fatal(err)
	}
	image := make([]byte, fpstateSize(e))
	if err := w.space.CopyIn(image, dataAt); err != nil {
		t.Fatal(err)
	}
	change(image)
	if err := w.space.CopyOut(dataAt, image); err != nil {
		t.Fatal(err)
	}
	th.Regs.ResetState()
	if err := th.loadState(dataAt); err != nil {
		t.Fatal(err)
	}
	after := make([]byte, e.ImageSize())
	th.Regs.SaveState(e, after)
	return after
}

// A program may change a frame: what is valid of it is taken over, and the rest of the state is initial.
func TestChangedFrameStateIsTakenOver(t *testing.T) {
	upper := stateImage(avx, 1)[leastExtended:]
	zeros := make([]byte, len(upper))
	for _, c := range []struct {
		name   string
		change func(image []byte)
		upper  []byte
		named  uint64 // what the header names afterwards
	}{
		{"nothing", func([]byte) {}, upper, 7},
		{"no magic1", func(b []byte) { b[swMagic1]++ }, zeros, 3},
		{"no magic2", func(b []byte) { b[832]++ }, zeros, 3},
		{"too large", func(b []byte) { le.PutUint32(b[swSize:], 833) }, zeros, 3},
		{"too small", func(b []byte) { le.PutUint32(b[swSize:], 512) }, zeros, 3},
		{"larger than it says", func(b []byte) { le.PutUint32(b[swExtended:], 600) }, zeros, 3},
		{"features without AVX", func(b []byte) { b[swFeatures] = 3 }, zeros, 3},
		{"AVX not named", func(b []byte) { b[regs.LegacySize] = 3 }, zeros, 3},
		{"everything named", func(b []byte) { le.PutUint64(b[regs.LegacySize:], ^uint64(0)) }, upper, 7},
		{"header of nonsense", func(b []byte) {
			for i := range 56 {
				b[regs.LegacySize+8+i] = 0xff
			}
		}, upper, 7},
		{"registers", func(b []byte) { clear(b[leastExtended:832]) }, zeros, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			after := stateAfter(t, avx, c.change)
			if got := after[leastExtended:]; c.named&regs.AVX != 0 && !bytes.Equal(got, c.upper) {
				t.Errorf("upper halves %x, want %x", got, c.upper)
			}
			if got := le.Uint64(after[regs.LegacySize:]); got != c.named {
				t.Errorf("components %#x, want %#x", got, c.named)
			}
			if want := stateImage(avx, 1); !bytes.Equal(after[:416], want[:416]) {
				t.Errorf("x87 and SSE %x, want %x", after[:416], want[:416])
			}
		})
	}
}

// A frame for a CPU without XSAVE ends where the FXSAVE image does, whatever the program writes there.
func TestFrameWithoutXSAVEHasNoExtendedState(t *testing.T) {
	after := stateAfter(t, regs.Extent{}, func(b []byte) {
		if len(b) != regs.LegacySize {
			t.Errorf("%d bytes", len(b))
		}
		le.PutUint32(b[swMagic1:], magic1)
		le.PutUint32(b[swSize:], 832)
		le.PutUint32(b[swExtended:], 836)
	})
	if want := stateImage(regs.Extent{}, 1); !bytes.Equal(after[:416], want[:416]) {
		t.Errorf("x87 and SSE %x, want %x", after[:416], want[:416])
	}
}
