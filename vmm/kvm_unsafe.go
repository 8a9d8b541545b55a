package vmm

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// kvmMemoryRegion is struct kvm_userspace_memory_region [KVM 4.35].
type kvmMemoryRegion struct {
	Slot, Flags uint32
	GuestAddr   uint64
	Size        uint64
	UserAddr    uint64
}

// kvmRegs is struct kvm_regs [KVM 4.11]: the general registers, of which RIP and RFLAGS matter here.
type kvmRegs struct {
	General     [16]uint64
	RIP, RFLAGS uint64
}

// kvmSegment is struct kvm_segment [KVM 4.13].
type kvmSegment struct {
	Base                                                    uint64
	Limit                                                   uint32
	Selector                                                uint16
	Type, Present, DPL, DB, S, L, G, AVL, Unusable, Padding uint8
}

// kvmSregs is struct kvm_sregs [KVM 4.13].
type kvmSregs struct {
	CS, DS, ES, FS, GS, SS, TR, LDT kvmSegment
	GDT, IDT                        struct {
		Base    uint64
		Limit   uint16
		Padding [3]uint16
	}
	CR0, CR2, CR3, CR4, CR8, EFER, APICBase uint64
	Interrupts                              [4]uint64
}

// setMemory makes memory the machine's, from physical address 0 on.
func setMemory(vm int, memory []byte) error {
	r := kvmMemoryRegion{Size: uint64(len(memory))}
	// SAFETY: the memory is a mapping and not of the Go heap; the caller unmaps it after its last use by the machine.
	r.UserAddr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
	return ioctl(vm, kvmSetMemoryRegion, &r)
}

// longMode puts a CPU into 64-bit mode at probeCode, with the tables of the probe.
func longMode(cpu int) error {
	var s kvmSregs
	if err := ioctl(cpu, kvmGetSregs, &s); err != nil {
		return err
	}
	code := kvmSegment{Limit: 0xffffffff, Selector: 1 << 3, Type: 11, Present: 1, S: 1, L: 1, G: 1}
	data := kvmSegment{Limit: 0xffffffff, Selector: 2 << 3, Type: 3, Present: 1, S: 1, DB: 1, G: 1}
	s.CS, s.DS, s.ES, s.FS, s.GS, s.SS = code, data, data, data, data, data
	s.CR3 = probePML4
	s.CR4 = 0x220      // PAE OSFXSR
	s.CR0 = 0x80000033 // PG NE ET MP PE
	s.EFER = 0x500     // LMA LME
	if err := ioctl(cpu, kvmSetSregs, &s); err != nil {
		return err
	}
	return ioctl(cpu, kvmSetRegs, &kvmRegs{RIP: probeCode, RFLAGS: 2})
}

// ioctl does a request whose argument is a struct.
func ioctl[T any](fd int, request uint, argument *T) error {
	// SAFETY: each request above takes the struct that it is called with (TestKVMStructs checks the sizes), and keeps no
	// pointer to it.
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(argument)))
	if errno != 0 {
		return errno
	}
	return nil
}
