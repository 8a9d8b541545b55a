package regs

import (
	"bytes"
	"encoding/binary"
	"testing"
)

var avx = Extent{Features: X87 | SSE | AVX, Size: 832}

// TestLoadStateKeepsWhatCPUsHave checks that DAZ, which a thread may have set, survives a signal frame, and that a bit
// which no CPU has, and which would fault when it is loaded, doesn't.
func TestLoadStateKeepsWhatCPUsHave(t *testing.T) {
	const daz, reserved = 1 << 6, 1 << 17
	for _, e := range []Extent{{}, avx} {
		image := make([]byte, e.ImageSize())
		binary.LittleEndian.PutUint32(image[24:], initialMXCSR|daz|reserved)
		u := New()
		u.LoadState(e, image, ^uint64(0))
		if got := u.MXCSR(); got != initialMXCSR|daz {
			t.Errorf("%+v: MXCSR is %#x, want %#x", e, got, initialMXCSR|daz)
		}
		if u.StateMode != StateFull {
			t.Errorf("%+v: the image wouldn't be loaded", e)
		}
	}
}

func TestNewHasInitialState(t *testing.T) {
	for _, e := range []Extent{{}, avx} {
		image := make([]byte, e.ImageSize())
		u := New()
		u.SaveState(e, image)
		if fcw, mxcsr := binary.LittleEndian.Uint16(image[0:]), binary.LittleEndian.Uint32(image[24:]); fcw != 0x37f || mxcsr != 0x1f80 {
			t.Errorf("FCW %#x, MXCSR %#x, want 0x37f and 0x1f80 [SDM1 8.1.5, 10.2.3]", fcw, mxcsr)
		}
	}
}

// What a thread had in registers that are initial again, and so were not saved, is not its state.
func TestSaveStateHasNothingStale(t *testing.T) {
	for _, e := range []Extent{{}, avx} {
		u := New()
		for i := range u.Image {
			u.Image[i] = 0x55
		}
		u.StateMode = StateSSE
		image := bytes.Repeat([]byte{0xaa}, e.ImageSize())
		u.SaveState(e, image)
		if control, status := u.X87Words(e); control != initialFCW || status != 0 {
			t.Errorf("%+v: x87 words %#x, %#x", e, control, status)
		}
		for i, b := range image {
			sse := i >= imageMXCSR && i < 32 || i >= imageXMM && i < imageXMM+256
			if sse && b != 0x55 || !sse && (b == 0x55 || b == 0xaa) {
				t.Fatalf("%+v: byte %d is %#x", e, i, b)
			}
		}
		if e.Features != 0 && image[LegacySize] != X87|SSE {
			t.Errorf("components %#x", image[LegacySize])
		}
	}
}
