package regs

import "encoding/binary"

// The image of x87, SSE and AVX state, the standard format of the XSAVE area [SDM1 13.4]:
//
//	0     FXSAVE image: x87, MXCSR, XMM0 to XMM15 [SDM1 10.5.1]
//	512   header: XSTATE_BV, the components that are not in their initial state; XCOMP_BV, 0; reserved, 0
//	576   upper halves of YMM0 to YMM15
//	...   AVX-512, where CPUID says
const (
	// ImageSize has room for all components that are used, wherever the CPU puts them, in bytes.
	ImageSize = 2688
	// LegacySize is the size of the part that is an FXSAVE image, in bytes.
	LegacySize = 512

	headerSize = 64
	imageFCW   = 0
	imageMXCSR = 24
	imageXMM   = 160
)

// Components of the state, bits of XCR0 and XSTATE_BV [SDM1 13.1].
const (
	X87    = 1 << 0
	SSE    = 1 << 1
	AVX    = 1 << 2
	AVX512 = 7 << 5 // opmask, upper halves of ZMM0 to ZMM15, ZMM16 to ZMM31

	legacy = X87 | SSE
)

// Values of User.StateMode.
const (
	// StateSSE: Image has MXCSR and the XMM registers; everything else is in its initial state, whatever Image says.
	StateSSE = 0
	// StateFull: Image has the XMM registers and all components that XSTATE_BV names, without XSAVE x87 and SSE.
	StateFull = 1
)

// Initial values of the control words [SDM1 8.1.5, 10.2.3].
const (
	initialFCW   = 0x037f
	initialMXCSR = 0x1f80
	mxcsrMask    = 0xffff // bits that may be set on every amd64 CPU, DAZ among them
)

// Extent is the state that the CPU keeps for a thread. The zero Extent is that of a CPU without XSAVE: x87 and SSE.
type Extent struct {
	Features uint64 // XCR0; 0: no XSAVE
	Size     int    // of the image, in bytes
}

// ImageSize returns how many bytes of an image matter.
func (e Extent) ImageSize() int {
	if e.Features == 0 {
		return LegacySize
	}
	return e.Size
}

// New returns a register file with initial floating-point state and everything else zero. It is always on the heap:
// ground keeps its address as a number, and on a stack it would neither be aligned nor stay where it is.
//
//go:noinline
func New() *User {
	u := new(User)
	u.ResetState()
	return u
}

// ResetState makes all of the state initial.
func (u *User) ResetState() {
	clear(u.Image[:])
	binary.LittleEndian.PutUint16(u.Image[imageFCW:], initialFCW)
	binary.LittleEndian.PutUint32(u.Image[imageMXCSR:], initialMXCSR)
	u.StateMode = StateSSE
}

// CopyState makes the state that of another thread, which is not in ring 3.
func (u *User) CopyState(from *User) { u.Image, u.StateMode = from.Image, from.StateMode }

// x87Valid tells whether the x87 part of Image is that of the thread.
func (u *User) x87Valid(e Extent) bool {
	return u.StateMode == StateFull && (e.Features == 0 || u.header()&X87 != 0)
}

func (u *User) header() uint64 { return binary.LittleEndian.Uint64(u.Image[LegacySize:]) }

// SaveState stores the state in an image of e.ImageSize() bytes, without anything in the bytes for software. x87 and SSE
// state is always written and named in the header; a component that is not named there is initial.
func (u *User) SaveState(e Extent, image []byte) {
	clear(image)
	copy(image[imageMXCSR:], u.Image[imageMXCSR:imageMXCSR+8])
	copy(image[imageXMM:imageXMM+256], u.Image[imageXMM:])
	if u.x87Valid(e) {
		copy(image[:imageMXCSR], u.Image[:])
		copy(image[32:imageXMM], u.Image[32:])
	} else {
		binary.LittleEndian.PutUint16(image[imageFCW:], initialFCW)
	}
	if e.Features == 0 {
		return
	}
	named := uint64(0)
	if u.StateMode == StateFull {
		named = u.header() & e.Features &^ legacy
	}
	if named != 0 {
		copy(image[LegacySize+headerSize:], u.Image[LegacySize+headerSize:])
	}
	binary.LittleEndian.PutUint64(image[LegacySize:], named|legacy)
}

// LoadState replaces the state by an image, which a program may have changed: of LegacySize bytes, then everything but x87
// and SSE becomes initial, or of e.ImageSize() bytes. Components that are not in features, or that the image doesn't name,
// become initial, too. What would fault when the CPU loads it is cleared: bits of MXCSR and of the header that mean nothing.
func (u *User) LoadState(e Extent, image []byte, features uint64) {
	u.ResetState()
	named := features & legacy
	if e.Features != 0 && len(image) > LegacySize {
		features &= e.Features
		named = features & binary.LittleEndian.Uint64(image[LegacySize:])
	}
	if named&X87 != 0 {
		copy(u.Image[:imageMXCSR], image)
		copy(u.Image[32:imageXMM], image[32:])
	}
	if named&SSE != 0 {
		copy(u.Image[imageXMM:imageXMM+256], image[imageXMM:])
	}
	if features&(SSE|AVX) != 0 { // whether named or not [SDM1 13.8]
		mxcsr := binary.LittleEndian.Uint32(image[imageMXCSR:])
		binary.LittleEndian.PutUint32(u.Image[imageMXCSR:], mxcsr&mxcsrMask)
	}
	if named&^legacy != 0 {
		copy(u.Image[LegacySize+headerSize:], image[LegacySize+headerSize:])
	}
	binary.LittleEndian.PutUint64(u.Image[LegacySize:], named&^SSE)
	u.StateMode = StateFull
}

// X87Words returns the x87 control and status words.
func (u *User) X87Words(e Extent) (control, status uint16) {
	if !u.x87Valid(e) {
		return initialFCW, 0
	}
	return binary.LittleEndian.Uint16(u.Image[0:]), binary.LittleEndian.Uint16(u.Image[2:])
}

// MXCSR returns the SSE control and status register.
func (u *User) MXCSR() uint32 { return binary.LittleEndian.Uint32(u.Image[imageMXCSR:]) }
