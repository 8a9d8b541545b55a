package task

import "wick/kernel/ground/regs"

// The floating-point state of a signal frame, struct _xstate of Linux [uapi/asm/sigcontext.h]. With XSAVE:
//
//	0      FXSAVE image; in its bytes for software struct _fpx_sw_bytes:
//	464      magic1, extended_size (32 bits each), xfeatures (64), xstate_size (32)
//	512    header and extended state, to xstate_size
//	...    magic2, 32 bits
//
// A program that copies only the 512 bytes that it knows loses magic2, and with it what it doesn't know.
const (
	swMagic1   = 464
	swExtended = 468
	swFeatures = 472
	swSize     = 480
	magic1     = 0x46505853
	magic2     = 0x46505845
	magic2Size = 4

	// leastExtended is the least xstate_size: the FXSAVE image and the header.
	leastExtended = regs.LegacySize + 64
)

// fpstateSize is how many bytes the state takes in a frame.
func fpstateSize(e regs.Extent) uint64 {
	if e.Features == 0 {
		return regs.LegacySize
	}
	return uint64(e.Size) + magic2Size
}

// storeState stores the state of the thread at an address of the program.
func (t *Thread) storeState(addr uint64) error {
	e := t.Process.options.Extent
	var buffer [regs.ImageSize + magic2Size]byte
	b := buffer[:fpstateSize(e)]
	t.Regs.SaveState(e, b[:e.ImageSize()])
	if e.Features != 0 {
		le.PutUint32(b[swMagic1:], magic1)
		le.PutUint32(b[swExtended:], uint32(len(b)))
		le.PutUint64(b[swFeatures:], e.Features)
		le.PutUint32(b[swSize:], uint32(e.Size))
		le.PutUint32(b[e.Size:], magic2)
	}
	return t.Process.Space.CopyOut(addr, b)
}

// loadState makes the state at an address that of the thread; 0 stands for the initial state. Whatever the program has made
// of it, the CPU takes what is left of it.
func (t *Thread) loadState(addr uint64) error {
	if addr == 0 {
		t.Regs.ResetState()
		return nil
	}
	space, e := t.Process.Space, t.Process.options.Extent
	var buffer [regs.ImageSize]byte
	image := buffer[:e.ImageSize()]
	if err := space.CopyIn(image[:regs.LegacySize], addr); err != nil {
		return err
	}
	features := uint64(regs.X87 | regs.SSE)
	if size := extendedSize(image, e); size == 0 {
		image = image[:regs.LegacySize]
	} else if end, err := space.Uint32(addr + uint64(size)); err != nil {
		return err
	} else if end != magic2 {
		image = image[:regs.LegacySize]
	} else {
		features = le.Uint64(image[swFeatures:])
		if err := space.CopyIn(image[regs.LegacySize:size], addr+regs.LegacySize); err != nil {
			return err
		}
	}
	t.Regs.LoadState(e, image, features)
	return nil
}

// extendedSize returns xstate_size if an FXSAVE image says that extended state follows, else 0.
func extendedSize(image []byte, e regs.Extent) int {
	size := le.Uint32(image[swSize:])
	if e.Features == 0 || le.Uint32(image[swMagic1:]) != magic1 ||
		size < leastExtended || uint64(size) > uint64(e.Size) || size > le.Uint32(image[swExtended:]) {
		return 0
	}
	return int(size)
}
