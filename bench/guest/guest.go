// Package guest builds and starts the virtual machines that make bench compares: wick and Linux, with the same program in
// the same machine.
package guest

import (
	"os"
	"path/filepath"
	"slices"

	"wick/vmm"
)

// Program is what a guest runs.
type Program string

// The programs, by the names of their files.
const (
	Server Program = "server" // bench/programs/server
	Micro  Program = "micro"  // bench/programs/micro.c
	Vsock  Program = "vsock"  // bench/programs/vsock
)

// Programs are all of them.
var Programs = []Program{Server, Micro, Vsock}

// Kernel is a kernel with what it boots.
type Kernel struct {
	Name string // "wick", "debian", "tiny"
	What string // version and origin, for the report

	image string                 // file
	line  string                 // kernel command line; none if empty
	on    map[*Machine]onMachine // what differs with the machine; a kernel doesn't run on others
}

// onMachine is what a kernel has on a machine.
type onMachine struct {
	size    Size
	initrds map[Program]string // files
	line    string             // more of the kernel command line
}

// Machine is a kind of machine.
type Machine struct {
	Name string

	kind, nic string   // as in vmm.Machine
	modules   []string // of Debian's kernel
}

// Machines are all kinds of machines.
var Machines = []*Machine{
	{Name: "pc/e1000", kind: "pc", nic: "e1000", modules: []string{"e1000"}},
	{Name: "pc/virtio-pci", kind: "pc", nic: "virtio", modules: []string{"virtio_pci", "virtio_net"}},
	{Name: "microvm/virtio-mmio", kind: "microvm", nic: "virtio", modules: []string{"virtio_mmio", "virtio_net"}},
}

// microvm tells whether the machine is QEMU's microvm, on which Linux needs ACPI's tables to find its devices, and to be told
// how fast the TSC is.
func (m *Machine) microvm() bool { return m.kind == "microvm" }

// modulesFor are the names of the modules with which Debian's kernel runs a program.
func (m *Machine) modulesFor(p Program) []string {
	if p != Vsock {
		return m.modules
	}
	bus := "virtio_pci"
	if m.microvm() {
		bus = "virtio_mmio"
	}
	return append(slices.Clone(m.modules), bus, "vmw_vsock_virtio_transport")
}

// Size is how large a kernel is, in bytes.
type Size struct {
	Shipped int64 // the file that is distributed, with modules the guest loads
	Loaded  int64 // what QEMU loads: nothing is compressed
}

// Guest is a kernel on a machine with a number of CPUs.
type Guest struct {
	*Kernel
	Machine *Machine
	CPUs    int
	Args    []string // more of QEMU's
}

// RunsOn tells whether the kernel runs on a machine.
func (k *Kernel) RunsOn(m *Machine) bool {
	_, runs := k.on[m]
	return runs
}

// Size returns how large the kernel is, with what it loads on the guest's machine.
func (g Guest) Size() Size { return g.on[g.Machine].size }

// DefaultMemory is what guests get unless their memory is what is measured, in bytes.
const DefaultMemory = 256 << 20

// Runs tells whether the guest can run a program: a kernel may lack the drivers.
func (g Guest) Runs(p Program) bool { return g.on[g.Machine].initrds[p] != "" }

// Start starts the guest with a program, in a machine that differs from other guests' in nothing but kernel, initial RAM
// disk and command line. It has a vsock device if vsock, which leads to it (see vmm.VsockPair), is not nil.
func (g Guest) Start(qemu string, p Program, memory int64, forwards []vmm.Forward, vsock *os.File) (*Process, error) {
	on := g.on[g.Machine]
	m := vmm.Machine{
		Type: g.Machine.kind, Accel: vmm.TCG, CPUs: g.CPUs, Memory: memory, NIC: g.Machine.nic, Forwards: forwards,
		Vsock: vsock, ACPI: g.line != "",
	}
	args := m.ByHand(g.image, on.initrds[p])
	if g.line != "" {
		args = append(args, "-append", g.line+on.line)
	}
	args = append(args, g.Args...)
	if vsock == nil {
		return Start(qemu, args, nil)
	}
	files := make([]*os.File, vmm.VsockFD-2)
	files[vmm.VsockFD-3] = vsock
	return Start(qemu, args, files)
}

// write writes a file of a guest.
func write(dir, name string, data []byte) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, data, 0o644)
}
