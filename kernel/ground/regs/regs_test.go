package regs

import (
	"encoding/binary"
	"testing"
)

// TestSetFXKeepsWhatCPUsHave checks that DAZ, which a thread may have set, survives a signal frame, and that a bit
// which no CPU has, and which would fault when it is loaded, doesn't.
func TestSetFXKeepsWhatCPUsHave(t *testing.T) {
	const daz, reserved = 1 << 6, 1 << 17
	var image [512]byte
	binary.LittleEndian.PutUint32(image[24:], initialMXCSR|daz|reserved)
	u := New()
	u.SetFX(&image)
	if got := binary.LittleEndian.Uint32(u.FX[24:]); got != initialMXCSR|daz {
		t.Errorf("MXCSR is %#x, want %#x", got, initialMXCSR|daz)
	}
	if u.FPMode != FPModeFull {
		t.Error("the image wouldn't be loaded")
	}
}

func TestNewHasInitialState(t *testing.T) {
	u := New()
	if fcw, mxcsr := binary.LittleEndian.Uint16(u.FX[0:]), binary.LittleEndian.Uint32(u.FX[24:]); fcw != 0x37f || mxcsr != 0x1f80 {
		t.Errorf("FCW %#x, MXCSR %#x, want 0x37f and 0x1f80 [SDM1 8.1.5, 10.2.3]", fcw, mxcsr)
	}
}
