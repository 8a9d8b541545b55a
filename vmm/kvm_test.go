package vmm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

func TestCheckKVM(t *testing.T) {
	if err := checkKVM(filepath.Join(t.TempDir(), "kvm")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no device: %v", err)
	}
	if err := checkKVM(os.DevNull); !errors.Is(err, syscall.ENOTTY) || !strings.Contains(err.Error(), os.DevNull) {
		t.Errorf("another device: %v", err)
	}
	t.Logf("KVM here: %v", CheckKVM())
}

// TestKVMStructs checks the structs against the sizes that are part of the requests' numbers [ioctl(2)].
func TestKVMStructs(t *testing.T) {
	for _, c := range []struct {
		request uint
		size    uintptr
	}{
		{kvmSetMemoryRegion, unsafe.Sizeof(kvmMemoryRegion{})},
		{kvmSetRegs, unsafe.Sizeof(kvmRegs{})},
		{kvmGetSregs, unsafe.Sizeof(kvmSregs{})},
		{kvmSetSregs, unsafe.Sizeof(kvmSregs{})},
	} {
		if want := uintptr(c.request >> 16 & 0x3fff); c.size != want {
			t.Errorf("request %#x: %d bytes, want %d", c.request, c.size, want)
		}
	}
}
