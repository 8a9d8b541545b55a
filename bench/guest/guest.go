// Package guest builds and starts the virtual machines that make bench compares: wick and Linux, with the same program in
// the same machine.
package guest

import (
	"fmt"
	"os"
	"path/filepath"

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
	Size Size

	image   string             // file
	initrds map[Program]string // files
	line    string             // kernel command line; none if empty
}

// Size is how large a kernel is, in bytes.
type Size struct {
	Shipped int64 // the file that is distributed, with modules the guest loads
	Loaded  int64 // what QEMU loads: nothing is compressed
}

// Guest is a kernel on a machine with a number of CPUs.
type Guest struct {
	*Kernel
	CPUs int
}

// String returns the guest's name: "wick, 1 vCPU".
func (g Guest) String() string {
	if g.CPUs == 1 {
		return g.Name + ", 1 vCPU"
	}
	return fmt.Sprintf("%s, %d vCPUs", g.Name, g.CPUs)
}

// DefaultMemory is what guests get unless their memory is what is measured, in bytes.
const DefaultMemory = 256 << 20

// Runs tells whether the guest can run a program: a kernel may lack the drivers.
func (g Guest) Runs(p Program) bool { return g.initrds[p] != "" }

// Start starts the guest with a program, in a machine that differs from other guests' in nothing but kernel, initial RAM
// disk and command line. It has a vsock device if vsock, which leads to it (see vmm.VsockPair), is not nil.
func (g Guest) Start(qemu string, p Program, memory int64, forwards []vmm.Forward, vsock *os.File) (*Process, error) {
	m := vmm.Machine{Type: "pc", Accel: vmm.TCG, CPUs: g.CPUs, Memory: memory, NIC: "e1000", Forwards: forwards, Vsock: vsock}
	args := m.ByHand(g.image, g.initrds[p])
	if g.line != "" {
		args = append(args, "-append", g.line)
	}
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
