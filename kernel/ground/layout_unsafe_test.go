package ground

import (
	"testing"
	"unsafe"

	"wick/kernel/ground/regs"
)

// SAFETY: this file only asks for offsets and sizes.

// TestRegisterLayouts checks what the assembly takes for granted: the general registers of thread and regs.User are laid out
// alike, and the XSAVE image is aligned.
func TestRegisterLayouts(t *testing.T) {
	var th thread
	var u regs.User
	for _, f := range []struct {
		name         string
		thread, user uintptr
	}{
		{"AX", unsafe.Offsetof(th.ax), unsafe.Offsetof(u.AX)},
		{"BX", unsafe.Offsetof(th.bx), unsafe.Offsetof(u.BX)},
		{"CX", unsafe.Offsetof(th.cx), unsafe.Offsetof(u.CX)},
		{"DX", unsafe.Offsetof(th.dx), unsafe.Offsetof(u.DX)},
		{"SI", unsafe.Offsetof(th.si), unsafe.Offsetof(u.SI)},
		{"DI", unsafe.Offsetof(th.di), unsafe.Offsetof(u.DI)},
		{"BP", unsafe.Offsetof(th.bp), unsafe.Offsetof(u.BP)},
		{"R8", unsafe.Offsetof(th.r8), unsafe.Offsetof(u.R8)},
		{"R9", unsafe.Offsetof(th.r9), unsafe.Offsetof(u.R9)},
		{"R10", unsafe.Offsetof(th.r10), unsafe.Offsetof(u.R10)},
		{"R11", unsafe.Offsetof(th.r11), unsafe.Offsetof(u.R11)},
		{"R12", unsafe.Offsetof(th.r12), unsafe.Offsetof(u.R12)},
		{"R13", unsafe.Offsetof(th.r13), unsafe.Offsetof(u.R13)},
		{"R14", unsafe.Offsetof(th.r14), unsafe.Offsetof(u.R14)},
		{"R15", unsafe.Offsetof(th.r15), unsafe.Offsetof(u.R15)},
	} {
		if f.thread != f.user {
			t.Errorf("%s: offset %d in thread, %d in regs.User", f.name, f.thread, f.user)
		}
	}
	if off := unsafe.Offsetof(u.Image); off%64 != 0 {
		t.Errorf("Image is at offset %d, not aligned to 64", off)
	}
	for range 100 {
		if a := uintptr(unsafe.Pointer(regs.New())); a%64 != 0 {
			t.Fatalf("regs.New returned %#x, not aligned to 64", a)
		}
	}
}
