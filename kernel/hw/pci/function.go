package pci

import (
	"errors"
	"strconv"
)

// Errors of BAR. They come wrapped with the function's address and the number of the register.
var (
	ErrNoBAR         = errors.New("no such base address register")
	ErrBARUnassigned = errors.New("base address register without an address")
	ErrBARType       = errors.New("base address register of an unknown type")
)

// Bits of a base address register [PCI 3.0 6.2.5.1].
const (
	barIO       uint32 = 1 << 0
	barType     uint32 = 3 << 1 // mask, memory only
	barType32   uint32 = 0 << 1
	barTypeLow  uint32 = 1 << 1 // below 1 MiB, of PCI 2.1
	barType64   uint32 = 2 << 1
	barPrefetch uint32 = 1 << 3
	barMemFlags uint32 = 0xF // mask
	barIOFlags  uint32 = 0x3 // mask
)

// BAR is a region of ports or memory to which a function responds.
type BAR struct {
	IO       bool // ports, not memory
	Prefetch bool
	Address  uint64
	Size     uint64 // bytes
}

// BAR returns the region of base address register i. The function doesn't respond while its size is
// found out, so it must not be in use.
func (f *Function) BAR(i int) (BAR, error) {
	count := 0
	switch f.layout {
	case layoutDevice:
		count = 6
	case layoutBridge:
		count = 2
	}
	if i < 0 || i >= count {
		return BAR{}, f.barError(i, ErrNoBAR)
	}
	command := f.Command()
	f.SetCommand(command &^ (CommandIO | CommandMemory))
	defer f.SetCommand(command)

	register := regBAR0 + uint8(4*i)
	value, mask := f.size(register)
	switch {
	case mask == 0:
		return BAR{}, f.barError(i, ErrNoBAR)
	case value&barIO != 0:
		// Devices may leave the upper half of the mask 0: there are 16 bits of ports.
		size := -(mask&^barIOFlags | 0xFFFF0000)
		return f.assigned(i, BAR{IO: true, Address: uint64(value &^ barIOFlags), Size: uint64(size)})
	}
	bar := BAR{Prefetch: value&barPrefetch != 0, Address: uint64(value &^ barMemFlags)}
	upperMask := ^uint32(0)
	switch value & barType {
	case barType32, barTypeLow:
	case barType64:
		if i+1 >= count {
			return BAR{}, f.barError(i, ErrBARType)
		}
		var upper uint32
		upper, upperMask = f.size(register + 4)
		bar.Address |= uint64(upper) << 32
	default:
		return BAR{}, f.barError(i, ErrBARType)
	}
	bar.Size = -(uint64(upperMask)<<32 | uint64(mask&^barMemFlags))
	return f.assigned(i, bar)
}

// size returns the value of a base address register and what reads back after writing all ones.
func (f *Function) size(register uint8) (value, mask uint32) {
	value = f.bus.Read32(f.Address, register)
	f.bus.Write32(f.Address, register, ^uint32(0))
	mask = f.bus.Read32(f.Address, register)
	f.bus.Write32(f.Address, register, value)
	return value, mask
}

func (f *Function) assigned(i int, bar BAR) (BAR, error) {
	if bar.Address == 0 {
		return BAR{}, f.barError(i, ErrBARUnassigned)
	}
	return bar, nil
}

func (f *Function) barError(i int, err error) error {
	return &barError{address: f.Address, bar: i, err: err}
}

type barError struct {
	address Address
	bar     int
	err     error
}

func (e *barError) Error() string {
	return "pci " + e.address.String() + ": BAR " + strconv.Itoa(e.bar) + ": " + e.err.Error()
}

func (e *barError) Unwrap() error { return e.err }

// Command returns the Command register.
func (f *Function) Command() Command { return Command(f.bus.Read16(f.Address, regCommand)) }

// SetCommand writes the Command register.
func (f *Function) SetCommand(c Command) { f.bus.Write16(f.Address, regCommand, uint16(c)) }

// Enable lets the function respond to memory, reach memory itself, and interrupt.
func (f *Function) Enable() {
	f.SetCommand(f.Command()&^CommandInterruptDisable | CommandMemory | CommandBusMaster)
}

// InterruptLine returns the number of the interrupt line that the firmware has routed the function to;
// ok is false if the function has none [PCI 3.0 6.2.4].
func (f *Function) InterruptLine() (line uint8, ok bool) {
	v := f.bus.Read32(f.Address, regInterrupt)
	line, pin := uint8(v), uint8(v>>8)
	return line, pin != 0 && line != 0xFF
}

// Subsystem returns the IDs that the maker of the board has given it.
func (f *Function) Subsystem() (vendor, device uint16) {
	v := f.bus.Read32(f.Address, regSubsystem)
	return uint16(v), uint16(v >> 16)
}

// Capability is one entry of the list of capabilities [PCI 3.0 6.7].
type Capability struct {
	ID     uint8
	Offset uint8 // of the entry in the configuration space
}

// maxCapabilities is how many fit in the configuration space behind the header, 4 bytes each.
const maxCapabilities = (256 - 64) / 4

// Capabilities returns the list of capabilities. It ends where an entry would be in the header, and,
// should it be a circle, after as many entries as there can be.
func (f *Function) Capabilities() []Capability {
	if f.bus.Read16(f.Address, regStatus)&statusCapabilities == 0 {
		return nil
	}
	var list []Capability
	offset := f.bus.Read8(f.Address, regCapabilities) &^ 3
	for offset >= 64 && len(list) < maxCapabilities {
		v := f.bus.Read32(f.Address, offset)
		list = append(list, Capability{ID: uint8(v), Offset: offset})
		offset = uint8(v>>8) &^ 3
	}
	return list
}

// Read32 reads a register of the function, for capabilities. Its number is a multiple of 4.
func (f *Function) Read32(register uint8) uint32 { return f.bus.Read32(f.Address, register) }

// Write32 writes a register of the function, for capabilities. Its number is a multiple of 4.
func (f *Function) Write32(register uint8, v uint32) { f.bus.Write32(f.Address, register, v) }
