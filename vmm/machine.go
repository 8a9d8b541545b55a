// Package vmm starts wick's virtual machines in QEMU and takes care that none is left behind.
package vmm

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"wick/hostlink"
)

// The devices of the machine that the kernel and QEMU must agree on.
const (
	// MAC is the address of the network card: QEMU's range of locally administered ones.
	MAC = "52:54:00:12:34:56"
	// DebugExitPort ends QEMU when the guest writes to it: isa-debug-exit, status (v<<1)|1.
	DebugExitPort = 0xf4
)

// Addresses of QEMU's user networking, its defaults: the guest, the gateway (which is also the way
// to the host's own 127.0.0.1) and the name server.
const (
	GuestAddress = "10.0.2.15/24"
	Gateway      = "10.0.2.2"
	DNS          = "10.0.2.3"
)

// MachineTypes are the values of Machine.Type.
var MachineTypes = []string{microvm, pc, "q35"}

const (
	microvm = "microvm" // the machine without a PCI bus and with little else, which starts fastest
	pc      = "pc"
)

// MachineFor returns the type of machine that fits a network card where none is named: microvm, unless the card needs a PCI bus.
func MachineFor(nic string) string {
	if CheckNIC(microvm, nic) != nil {
		return pc
	}
	return microvm
}

// NICs are the values of Machine.NIC: the network cards that the kernel has drivers for, of which the first is the default,
// and none.
var NICs = []string{virtio, e1000, NoNIC}

const (
	virtio = "virtio"
	e1000  = "e1000"
	// NoNIC stands for a machine without a network card.
	NoNIC = "none"
)

// CheckNIC tells why a type of machine can't have a network card.
func CheckNIC(machineType, nic string) error {
	if machineType == microvm && nic == e1000 {
		return errors.New("an e1000 needs a PCI bus, which microvm hasn't")
	}
	return nil
}

// NICDevices are QEMU's names of the network cards, on PCI and on microvm.
var NICDevices = []string{virtioPCI, virtioMMIO, e1000}

const (
	virtioPCI  = "virtio-net-pci"
	virtioMMIO = "virtio-net-device"
)

// RNGDevices are QEMU's names of the entropy devices, on PCI and on microvm. QEMU gives them its host's random numbers.
var RNGDevices = []string{rngPCI, rngMMIO}

const (
	rngPCI  = "virtio-rng-pci"
	rngMMIO = "virtio-rng-device"
)

// LinkDevice is QEMU's device at whose guest's end the frames are.
const LinkDevice = "virtserialport"

// Values of Machine.Accel: what executes the guest's instructions.
const (
	TCG = "tcg" // QEMU emulates the processor
	KVM = "kvm" // the host's processor does it itself
)

// Machine describes a virtual machine.
type Machine struct {
	Type     string // one of MachineTypes
	Accel    string // TCG or KVM
	CPUModel string // QEMU's -cpu; "" for the host's with KVM, else QEMU's default
	CPUs     int
	Memory   int64  // bytes
	NIC      string // one of NICs

	ACPI bool // on microvm: with its tables, for guests that find the devices in no other way

	SerialLink bool // the frames go over COM2, and there is no entropy device, as on machines without virtio

	Forwards []Forward

	Kernel *os.File // the kernel image; a descriptor that QEMU can open again by its number
	Bundle *os.File // the initial RAM disk, the same
	Pcap   *os.File // gets a capture of the network card if not nil
	Vsock  *os.File // leads to a vhost-user-vsock device if not nil; see VsockPair
	GDB    *os.File // listens for a debugger, for which the machine waits, if not nil; see ListenGDB
}

// Numbers of the descriptors that QEMU inherits, behind 0, 1 and 2. Of these 0 and 1 are the link.
const (
	bootFD = 3 + iota
	monitorFD
	kernelFD
	bundleFD
	pcapFD
	VsockFD
	gdbFD
)

// Args returns QEMU's command line, without the program's name.
func (m *Machine) Args() []string {
	args := m.common()
	args = append(args,
		"-kernel", fdPath(kernelFD),
		"-initrd", fdPath(bundleFD),
		// COM1: what the kernel says while it boots and when it panics, as plain text.
		"-chardev", "socket,id=boot,fd="+strconv.Itoa(bootFD),
		"-serial", "chardev:boot",
		// The frames of package hostlink, by two pipes.
		"-chardev", "stdio,id=link,signal=off",
	)
	args = append(args, m.link()...)
	args = append(args,
		"-chardev", "socket,id=monitor,fd="+strconv.Itoa(monitorFD),
		"-mon", "chardev=monitor,mode=control",
	)
	if m.Pcap != nil {
		args = append(args, "-object", "filter-dump,id=pcap,netdev=n0,file="+fdPath(pcapFD))
	}
	if m.Vsock != nil {
		args = append(args, m.VsockArgs(inheritedVsock())...)
	}
	if m.GDB != nil {
		args = append(args, "-chardev", "socket,id=gdb,server=on,wait=off,nodelay=on,fd="+strconv.Itoa(gdbFD), "-gdb", "chardev:gdb", "-S")
	}
	return args
}

// link returns what carries the frames: a virtio port, not a console, which would lose bytes while we
// read none; or COM2, where QEMU writes each byte by itself. Of -serial a microvm takes only the first.
func (m *Machine) link() []string {
	if m.SerialLink {
		return []string{"-device", "isa-serial,chardev=link,index=1"}
	}
	bus := "virtio-serial-pci,disable-legacy=on"
	if m.Type == microvm {
		bus = "virtio-serial-device"
	}
	return []string{"-device", bus + ",max_ports=2", "-device", LinkDevice + ",chardev=link,name=" + hostlink.PortName}
}

// rng returns the source of entropy.
func (m *Machine) rng() []string {
	switch {
	case m.SerialLink:
		return nil
	case m.Type == microvm:
		return []string{"-device", rngMMIO}
	}
	return []string{"-device", rngPCI + ",disable-legacy=on"}
}

// nic returns the -device option of the network card.
func (m *Machine) nic() string {
	card := ",netdev=n0,mac=" + MAC
	switch {
	case m.NIC == e1000:
		return e1000 + card + ",romfile=" // without its option ROM the firmware has no network boot to prepare
	case m.Type == microvm:
		return virtioMMIO + card
	}
	return virtioPCI + card + ",romfile=,disable-legacy=on" // without the interface of before virtio 1
}

// ByHand returns a command line for somebody who starts QEMU without wick: the program's output
// goes to the first serial port, on QEMU's standard output. The kernel and the bundle are files; Vsock, if there is one, is
// to be QEMU's descriptor VsockFD.
func (m *Machine) ByHand(kernel, bundle string) []string {
	args := append(m.common(),
		"-kernel", kernel,
		"-initrd", bundle,
		"-serial", "stdio",
	)
	if m.Vsock != nil {
		args = append(args, m.VsockArgs(inheritedVsock())...)
	}
	return args
}

// common returns what both command lines begin with.
func (m *Machine) common() []string {
	args := []string{"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"}
	switch {
	case m.Type != microvm:
		args = append(args, "-M", m.Type)
	case m.ACPI:
		args = append(args, "-M", microvm, "-global", "virtio-mmio.force-legacy=false")
	default:
		// Without ACPI the firmware is faster, devices are on the kernel's command line, and CPUs in the MP table.
		args = append(args, "-M", microvm+",acpi=off", "-global", "virtio-mmio.force-legacy=false")
	}
	args = append(args, "-accel", m.Accel)
	switch {
	case m.CPUModel != "":
		args = append(args, "-cpu", m.CPUModel)
	case m.Accel == KVM:
		args = append(args, "-cpu", "host")
	}
	args = append(args,
		"-smp", strconv.Itoa(m.CPUs),
		"-m", memoryArg(m.Memory),
		"-device", "isa-debug-exit,iobase=0x"+strconv.FormatUint(DebugExitPort, 16)+",iosize=0x04",
	)
	args = append(args, m.rng()...)
	if m.NIC == NoNIC {
		return args
	}
	return append(args,
		"-device", m.nic(),
		"-netdev", m.netdev(),
	)
}

func (m *Machine) netdev() string {
	var s strings.Builder
	s.WriteString("user,id=n0")
	for _, f := range m.Forwards {
		s.WriteByte(',')
		s.WriteString(f.qemu())
	}
	return s.String()
}

// memoryArg writes a size for QEMU, which takes a bare number as MiB.
func memoryArg(size int64) string {
	if size%(1<<20) == 0 {
		return strconv.FormatInt(size>>20, 10) + "M"
	}
	return strconv.FormatInt((size+1023)>>10, 10) + "k"
}

// fdPath is the name by which QEMU opens a descriptor that it has inherited.
func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
