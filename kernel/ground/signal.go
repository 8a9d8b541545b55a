package ground

// Signals of the kernel's own runtime: SIGURG, by which it preempts goroutines, and those of faults. Handlers run on
// the alternate stack of the thread with a frame as in Linux's rt_sigframe, reduced to what the runtime reads.

const (
	sigILL  = 4
	sigTRAP = 5
	sigBUS  = 7
	sigFPE  = 8
	sigSEGV = 11
)

var (
	handlers [65]uint64 // 0 and 1: SIG_DFL and SIG_IGN
	restorer uint64
)

// Offsets in the frame, in bytes: struct ucontext, in it struct sigcontext, and siginfo.
const (
	ucStackSP   = 16
	ucStackSize = 32
	ucContext   = 40
	ucMask      = 296
	ucSize      = 304
	infoSize    = 128
	fpSize      = 256 // X0–X15, not Linux's layout: the runtime doesn't look
	redZone     = 128

	siSigno = 0
	siCode  = 8
	siAddr  = 16
)

func handlerOf(sig uint64) uint64 { return handlers[sig%65] }

// deliver makes t run its handler for sig when it is resumed.
func deliver(t *thread, sig, addr uint64) {
	handler := handlerOf(sig)
	if handler < 2 {
		return
	}
	sp := t.altSP + t.altSize
	if t.sp > t.altSP && t.sp <= sp {
		sp = t.sp - redZone
	}
	fp := (sp - fpSize) &^ 15
	info := fp - infoSize
	uc := (info-ucSize)&^15 - 16
	frame := uc - 8 // the return address; SP%16 is 8 as after a CALL
	*p64(frame) = restorer
	for a := uc; a < fp; a += 8 {
		*p64(a) = 0
	}
	if t.full == 0 {
		// In a system call: the other registers are dead, and so is the vector state.
		t.flags = flagIF
	}
	copyWords(fp, addressOf(&t.xmm), fpSize/8)
	*p64(uc + ucStackSP), *p64(uc + ucStackSize) = t.altSP, t.altSize
	for i, v := range [...]uint64{t.r8, t.r9, t.r10, t.r11, t.r12, t.r13, t.r14, t.r15, t.di, t.si, t.bp, t.bx,
		t.dx, t.ax, t.cx, t.sp, t.ip, t.flags, selKernelCode, t.err, t.vec, t.signalMask, addr, fp} {
		*p64(uc + ucContext + uint64(i)*8) = v
	}
	*p64(uc + ucMask) = t.signalMask
	*p32(info + siSigno), *p32(info + siCode), *p64(info + siAddr) = uint32(sig), 1, addr
	t.sp, t.ip = frame, handler
	t.di, t.si, t.dx = sig, info, uc
	t.flags = flagIF
	t.signalMask = ^uint64(0)
	t.full = 1
}

// sigreturn undoes deliver; the thread's SP points at the ucontext.
func sigreturn(t *thread) {
	uc := t.sp
	r := uc + ucContext
	t.r8, t.r9, t.r10, t.r11 = *p64(r), *p64(r + 8), *p64(r + 16), *p64(r + 24)
	t.r12, t.r13, t.r14, t.r15 = *p64(r + 32), *p64(r + 40), *p64(r + 48), *p64(r + 56)
	t.di, t.si, t.bp, t.bx = *p64(r + 64), *p64(r + 72), *p64(r + 80), *p64(r + 88)
	t.dx, t.ax, t.cx = *p64(r + 96), *p64(r + 104), *p64(r + 112)
	t.sp, t.ip, t.flags = *p64(r + 120), *p64(r + 128), *p64(r + 136)
	copyWords(addressOf(&t.xmm), *p64(r + 184), fpSize/8)
	t.signalMask = *p64(uc + ucMask)
	t.full = 1
}

func copyWords(dst, src, n uint64) {
	for i := uint64(0); i < n*8; i += 8 {
		*p64(dst + i) = *p64(src + i)
	}
}

// faultSignal delivers the signal of an exception of the kernel's Go code: a nil dereference can be recovered from.
func faultSignal(t *thread) {
	sig := uint64(sigSEGV)
	switch t.vec {
	case 0, 16, 19:
		sig = sigFPE
	case 1, 3:
		sig = sigTRAP
	case 6:
		sig = sigILL
	}
	if handlerOf(sig) < 2 || t.altSP == 0 || t.signalMask>>(sig-1)&1 != 0 {
		die("fault in the kernel")
	}
	deliver(t, sig, t.cr2)
}
