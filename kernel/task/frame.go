package task

import (
	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

// The frame that a signal handler finds on its stack, struct rt_sigframe of Linux on x86-64
// [arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h]:
//
//	SP at entry, SP % 16 == 8
//	+0    pretcode   sa_restorer: where the handler returns to
//	+8    ucontext   uc_flags, uc_link, uc_stack (24), uc_mcontext (256), uc_sigmask (8)
//	+312  siginfo    128 bytes
//	...
//	fpstate          XSAVE image and a magic number, or FXSAVE image, 64-byte aligned; uc_mcontext points at it
//	...              red zone, 128 bytes, unless the handler has a stack of its own
const (
	frameSize      = 8 + ucontextSize + InfoSize
	ucontextOffset = 8
	infoOffset     = ucontextOffset + ucontextSize

	ucontextSize  = 304
	ucStack       = 16
	ucMcontext    = 40
	ucSigmask     = 296
	mcRegs        = 0   // R8 to flags, 18 registers
	mcSegments    = 144 // cs, gs, fs, ss: 16 bits each
	mcErr         = 152
	mcTrapNo      = 160
	mcOldmask     = 168
	mcCR2         = 176
	mcFpstate     = 184
	fpstateAlign  = 64
	frameAlign    = 16
	redZone       = 128
	segmentCode   = 0x33 // what Linux programs find in CS and SS
	segmentData   = 0x2b
	numFrameRegs  = 18
	frameRegIP    = 16
	frameRegFlags = 17
)

// uc_flags: SS is saved, and restored strictly. Without UC_FP_XSTATE the image is plain FXSAVE.
const (
	ucFPXstate        = 1
	ucSigcontextSS    = 2
	ucStrictRestoreSS = 4
)

// Flags of RFLAGS [SDM1 3.4.3].
const (
	flagCF = 1 << 0
	flag1  = 1 << 1 // always set
	flagPF = 1 << 2
	flagAF = 1 << 4
	flagZF = 1 << 6
	flagSF = 1 << 7
	flagTF = 1 << 8
	flagIF = 1 << 9
	flagDF = 1 << 10
	flagOF = 1 << 11
	flagRF = 1 << 16
	flagAC = 1 << 18

	// userFlags are the flags that a signal frame may change (FIX_EFLAGS).
	userFlags = flagCF | flagPF | flagAF | flagZF | flagSF | flagTF | flagDF | flagOF | flagRF | flagAC
)

// MinSignalStack is what a handler's frame takes of a stack at most, in bytes: AT_MINSIGSTKSZ.
func MinSignalStack(e regs.Extent) uint64 {
	return redZone + fpstateAlign + fpstateSize(e) + frameAlign + frameSize + 8
}

// lowerHalf is the first address that is not a program's.
const lowerHalf = 1 << 47

// frameRegs lists the registers in the order of struct sigcontext.
func frameRegs(u *regs.User) [numFrameRegs]*uint64 {
	return [numFrameRegs]*uint64{&u.R8, &u.R9, &u.R10, &u.R11, &u.R12, &u.R13, &u.R14, &u.R15,
		&u.DI, &u.SI, &u.BP, &u.BX, &u.DX, &u.AX, &u.CX, &u.SP, &u.IP, &u.Flags}
}

// framePlace returns where the frame and the floating-point state go; ok is false if the alternate stack is too small.
func (t *Thread) framePlace(onstack bool) (frame, fpstate uint64, ok bool) {
	sp := t.Regs.SP
	nested := t.altStack.contains(sp)
	entering := onstack && t.altStack.enabled() && !nested
	if entering {
		sp = t.altStack.Base + t.altStack.Size
	} else {
		sp -= redZone
	}
	fpstate = (sp - fpstateSize(t.Process.options.Extent)) &^ (fpstateAlign - 1)
	frame = (fpstate-frameSize)&^(frameAlign-1) - 8
	if (nested || entering) && !t.altStack.covers(frame) {
		return 0, 0, false
	}
	return frame, fpstate, frame < lowerHalf
}

// pushFrame stores a signal frame and makes the thread run the handler. It returns false, with the registers as
// they were, if that can't be.
func (t *Thread) pushFrame(info *Info, action *Action, mask Set) bool {
	u, space := t.Regs, t.Process.Space
	// x86-64 handlers return through sa_restorer only.
	if action.Flags&SaRestorer == 0 || action.Handler >= lowerHalf {
		return false
	}
	frame, fpstate, ok := t.framePlace(action.Flags&SaOnstack != 0)
	if !ok {
		return false
	}
	var b [frameSize]byte
	le.PutUint64(b[0:], action.Restorer)
	t.encodeContext(b[ucontextOffset:], fpstate, mask)
	info.Encode(b[infoOffset:])
	if t.storeState(fpstate) != nil || space.CopyOut(frame, b[:]) != nil {
		return false
	}
	if t.altStack.Flags&SsAutodisarm != 0 {
		t.altStack = Stack{Flags: SsDisable}
	}
	u.SP, u.IP = frame, action.Handler
	u.DI, u.SI, u.DX, u.AX = uint64(info.Signo), frame+infoOffset, frame+ucontextOffset, 0
	u.Flags &^= flagDF | flagRF | flagTF
	u.ResetState()
	return true
}

// encodeContext stores a ucontext in b.
func (t *Thread) encodeContext(b []byte, fpstate uint64, mask Set) {
	flags := uint64(ucSigcontextSS | ucStrictRestoreSS)
	if t.Process.options.Extent.Features != 0 {
		flags |= ucFPXstate
	}
	le.PutUint64(b[0:], flags)
	t.altStack.Encode(b[ucStack:])
	mc := b[ucMcontext:]
	for i, r := range frameRegs(t.Regs) {
		le.PutUint64(mc[mcRegs+8*i:], *r)
	}
	le.PutUint16(mc[mcSegments:], segmentCode)
	le.PutUint16(mc[mcSegments+6:], segmentData)
	le.PutUint64(mc[mcErr:], t.trap.code)
	le.PutUint64(mc[mcTrapNo:], t.trap.number)
	le.PutUint64(mc[mcOldmask:], uint64(mask))
	le.PutUint64(mc[mcCR2:], t.trap.cr2)
	le.PutUint64(mc[mcFpstate:], fpstate)
	le.PutUint64(b[ucSigmask:], uint64(mask))
}

// SignalReturn is rt_sigreturn(2): it restores what pushFrame saved, and whatever the handler changed of it. A frame
// that can't be read ends in SIGSEGV. It leaves all registers as the program shall find them.
//
// DEVIATION: segment registers are not restored (there is only one set of segments), and reserved bits of
// MXCSR are cleared instead of being fatal.
func (t *Thread) SignalReturn() {
	u, space := t.Regs, t.Process.Space
	var b [ucontextSize]byte
	// The handler's RET has popped pretcode, so SP points at the ucontext.
	if space.CopyIn(b[:], u.SP) != nil {
		t.badReturn()
		return
	}
	mc := b[ucMcontext:]
	ip := le.Uint64(mc[mcRegs+8*frameRegIP:])
	if ip >= lowerHalf || t.loadState(le.Uint64(mc[mcFpstate:])) != nil {
		t.badReturn()
		return
	}
	flags := u.Flags
	for i, r := range frameRegs(u) {
		*r = le.Uint64(mc[mcRegs+8*i:])
	}
	u.Flags = flags&^userFlags | u.Flags&userFlags | flag1 | flagIF
	u.Vec = regs.Interrupted // RCX and R11 are the frame's: a return by SYSRET would lose them
	t.SetMask(Set(le.Uint64(b[ucSigmask:])))
	t.SetAltStack(DecodeStack(b[ucStack:])) // Linux ignores a refusal, too
}

func (t *Thread) badReturn() {
	t.force(Info{Signo: int32(unix.SIGSEGV), Code: SiKernel}, "rt_sigreturn found no valid signal frame")
}
