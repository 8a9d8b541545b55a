package mm

// Space is the address space of a process.
type Space struct {
	machine Machine
	root    PhysAddr
}
