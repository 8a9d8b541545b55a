package ground

import "wick/kernel/ground/regs"

// The floating-point state of a user thread: x87, SSE, AVX and AVX-512.
//
// Go code uses SSE, so the XMM registers are saved whenever a thread leaves ring 3, and loaded when it enters. The rest is
// mostly in its initial state, and then neither saved nor loaded: StateMode says so for a thread, restDirty for a CPU.
//
// The kernel's own Go code uses neither x87 nor AVX: XSAVE is off (CR4.OSXSAVE is 0) while packages are initialised, which
// is when they look for AVX. So a thread of the kernel's runtime that is preempted has XMM registers only. A CPU turns XSAVE
// on when it first enters ring 3, which the kernel's main makes it do.

// How the rest of the state is saved.
const (
	xsaveNone    = 0 // FXSAVE
	xsaveTest    = 1 // XSAVE, if FNSTENV or the registers show that it is not initial
	xsaveTracked = 2 // XSAVE, if XGETBV tells that it is not initial
)

// MXCSR [SDM1 10.2.3]: all exceptions masked, round to nearest; and the flags of exceptions that there have been.
const (
	mxcsrInitial = 0x1f80
	mxcsrFlags   = 0x3f
)

const (
	cr4OSXSAVE = 1 << 18

	cpuidXSAVE = 1 << 26 // leaf 1, ECX
	cpuidAVX   = 1 << 28

	leafXSAVE      = 0xd
	cpuidXSAVEOPT  = 1 << 0 // leaf 0xd, subleaf 1, EAX
	cpuidXGETBVUse = 1 << 2 // XGETBV with ECX 1
)

var (
	xsaveKind    uint64
	xcr0         uint64
	restMask     uint64 // xcr0 without SSE
	haveXSAVEOPT uint64
	imageSize    uint64 // of an XSAVE image with all of xcr0

	// initialImage is the address of an XSAVE image in which everything is initial; it must be aligned to 64 bytes.
	initialImage uint64
	initialWords [(regs.LegacySize + 64 + 64) / 8]uint64
)

// initState finds out what state the CPU has and how it is saved. It is for the first CPU; the others are alike.
func initState() {
	_, _, features, _ := cpuid(1, 0)
	if features&cpuidXSAVE == 0 || features&cpuidAVX == 0 {
		return
	}
	// Of CPUs that have AVX, AMD's 15h family alone has no more than XSAVE. For QEMU's model of it OSXSAVE is a reserved bit of
	// CR4, and setting that hangs QEMU, which would leave a virtual machine that it is not in.
	options, _, _, _ := cpuid(leafXSAVE, 1)
	if options == 0 {
		return
	}
	low, _, _, _ := cpuid(leafXSAVE, 0)
	able := uint64(low)
	if able&regs.AVX512 != regs.AVX512 {
		able &^= regs.AVX512
	}
	able &= regs.X87 | regs.SSE | regs.AVX | regs.AVX512
	initialImage = (addressOf(&initialWords) + 63) &^ 63
	*p32(initialImage + 24) = mxcsrInitial // MXCSR comes with AVX
	kind := uint64(xsaveTest)
	if options&cpuidXGETBVUse != 0 && tracksUse(able) {
		kind = xsaveTracked
	} else {
		able &^= regs.AVX512 // the test looks at YMM registers
	}
	if imageSize = imageEnd(able); imageSize > regs.ImageSize {
		able &^= regs.AVX512
		imageSize = imageEnd(able)
	}
	xcr0, restMask, xsaveKind = able, able&^regs.SSE, kind
	haveXSAVEOPT = uint64(options & cpuidXSAVEOPT)
}

// imageEnd returns the size of a standard XSAVE image with the components [SDM1 13.5].
func imageEnd(components uint64) uint64 {
	end := uint64(regs.LegacySize + 64)
	for i := uint64(2); i < 63; i++ {
		if components>>i&1 != 0 {
			size, offset, _, _ := cpuid(leafXSAVE, i)
			end = max(end, uint64(size)+uint64(offset))
		}
	}
	return end
}
