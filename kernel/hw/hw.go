// Package hw is what drivers see of the machine: ports, device registers, memory that devices reach,
// and interrupts.
//
// cmd/kernel wires these to ground; tests wire them to models of devices.
package hw

// Ports is the I/O port space [SDM1 19]. Under an emulator each access costs about a microsecond.
type Ports interface {
	In8(port uint16) uint8
	In16(port uint16) uint16
	In32(port uint16) uint32
	Out8(port uint16, v uint8)
	Out16(port uint16, v uint16)
	Out32(port uint16, v uint32)
}

// StringPorts is implemented by Ports that can write many bytes to one port at once (REP OUTS [SDM2
// 4.3]): under KVM that is one exit instead of one a byte.
type StringPorts interface {
	OutBytes(port uint16, p []byte)
}

// Registers is a window of 32-bit device registers. Offsets are in bytes, multiples of 4 within
// the window. Accesses happen once each and in program order, also with regard to memory that was
// written before a Store32 and is read after a Load32.
type Registers interface {
	Load32(offset uint32) uint32
	Store32(offset uint32, v uint32)
}

// Window is Registers of which some are 8 and 16 bits wide, at offsets that are multiples of their size. Each must be
// accessed in its own width.
type Window interface {
	Registers
	Load8(offset uint32) uint8
	Load16(offset uint32) uint16
	Store8(offset uint32, v uint8)
	Store16(offset uint32, v uint16)
}

// DMA is memory that devices reach: physically contiguous, below 4 GiB, never moved nor collected.
type DMA struct {
	Addr uint64 // physical address, a multiple of 4096
	Data []byte
}

// Allocator hands out DMA memory.
type Allocator interface {
	// AllocDMA returns size bytes of zeroed memory, or an error if there aren't as many in a row.
	AllocDMA(size int) (DMA, error)
}

// Memory is memory that the machine and a device look into at the same time, without registers between them.
type Memory interface {
	Allocator

	// Barrier is a full barrier: devices can see what was stored before it when anything is loaded after it. An atomic store
	// does not suffice. QEMU translates the barrier of a machine with one CPU to nothing (tcg_gen_mb), though its devices
	// run beside that CPU.
	Barrier()
}

// Interrupt is one interrupt line, or a message that a device writes.
type Interrupt interface {
	// Wait blocks until the interrupt has fired, also if it did before the call. A line that is a level is then
	// masked. An error means that none will come any more.
	Wait() error

	// Unmask lets a level fire again; it does nothing for others.
	Unmask() error
}

// Message is an interrupt that a device raises by a write to memory [PCI 3.0 6.8]. It is an edge.
type Message struct {
	Interrupt
	Address uint64 // physical, a multiple of 4
	Data    uint32
}
