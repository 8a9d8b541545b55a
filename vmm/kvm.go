package vmm

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// kvmDevice is the way to the host's KVM, cited as [KVM]: Documentation/virt/kvm/api.rst of Linux.
const kvmDevice = "/dev/kvm"

// Requests of KVM [KVM 4], and the one version that they have had since 2007.
const (
	kvmGetAPIVersion   = 0xae00
	kvmCreateVM        = 0xae01
	kvmGetVCPUMmapSize = 0xae04
	kvmCreateVCPU      = 0xae41
	kvmSetMemoryRegion = 0x4020ae46
	kvmSetTSSAddr      = 0xae47
	kvmRun             = 0xae80
	kvmSetRegs         = 0x4090ae82
	kvmGetSregs        = 0x8138ae83
	kvmSetSregs        = 0x4138ae84

	kvmAPIVersion = 12
)

// CheckKVM tells why KVM can't be used. It has a virtual machine execute two instructions: that the device can be opened
// doesn't say that the processor, or what this host itself runs in, lets it do so. (One that stands on no virtualization
// of the processor emulates what an ordinary kernel does, and not all of it.)
func CheckKVM() error { return checkKVM(kvmDevice) }

func checkKVM(path string) error {
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	version, err := unix.IoctlRetInt(int(device.Fd()), kvmGetAPIVersion)
	if err != nil {
		return fmt.Errorf("%s: asking for its version: %w", path, err)
	}
	if version != kvmAPIVersion {
		return fmt.Errorf("%s: its version is %d, not %d", path, version, kvmAPIVersion)
	}
	if err := probeKVM(int(device.Fd())); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// The memory of the probe: its code, and page tables that map the first 2 MiB.
const (
	probeCode = iota * 4096
	probePML4
	probePDPT
	probePD
	probeSize
)

// probeText is code for 64-bit mode: XORPS X15, X15; HLT.
var probeText = []byte{0x45, 0x0f, 0x57, 0xff, 0xf4}

// probeKVM has a virtual machine of its own execute probeText.
func probeKVM(device int) error {
	vm, err := unix.IoctlRetInt(device, kvmCreateVM)
	if err != nil {
		return fmt.Errorf("making a virtual machine: %w", err)
	}
	defer unix.Close(vm)
	memory, err := unix.Mmap(-1, 0, probeSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	defer unix.Munmap(memory)
	const present, writable, large = 1 << 0, 1 << 1, 1 << 7
	copy(memory[probeCode:], probeText)
	binary.LittleEndian.PutUint64(memory[probePML4:], probePDPT|present|writable)
	binary.LittleEndian.PutUint64(memory[probePDPT:], probePD|present|writable)
	binary.LittleEndian.PutUint64(memory[probePD:], present|writable|large)
	if err := setMemory(vm, memory); err != nil {
		return fmt.Errorf("giving it memory: %w", err)
	}
	// Old processors of Intel need room for a TSS; others don't mind.
	if err := unix.IoctlSetInt(vm, kvmSetTSSAddr, 0xfffbd000); err != nil {
		return fmt.Errorf("setting the TSS's address: %w", err)
	}
	size, err := unix.IoctlRetInt(device, kvmGetVCPUMmapSize)
	if err != nil {
		return fmt.Errorf("asking for the size of a CPU's state: %w", err)
	}
	cpu, err := unix.IoctlRetInt(vm, kvmCreateVCPU)
	if err != nil {
		return fmt.Errorf("making a CPU: %w", err)
	}
	defer unix.Close(cpu)
	state, err := unix.Mmap(cpu, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return os.NewSyscallError("mmap of a CPU's state", err)
	}
	defer unix.Munmap(state)
	if err := longMode(cpu); err != nil {
		return fmt.Errorf("setting its registers: %w", err)
	}
	if err := runUntilExit(cpu); err != nil {
		return fmt.Errorf("running it: %w", err)
	}
	const exitReason, exitHLT = 8, 5
	if reason := binary.LittleEndian.Uint32(state[exitReason:]); reason != exitHLT {
		return fmt.Errorf("it doesn't execute ordinary code (exit reason %d)", reason)
	}
	return nil
}

// runUntilExit runs a CPU until it leaves for a reason other than a signal to this thread, as the Go scheduler sends them.
func runUntilExit(cpu int) error {
	for {
		_, err := unix.IoctlRetInt(cpu, kvmRun)
		if err != unix.EINTR {
			return err
		}
	}
}
