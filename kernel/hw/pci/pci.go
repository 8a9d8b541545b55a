// Package pci finds the functions on the PCI buses and sets them up, by configuration mechanism #1
// [PCI 3.0 3.2.2.3.2].
//
//	 31 30      24 23      16 15      11 10     8 7            2 1 0
//	+--+----------+----------+----------+--------+--------------+---+
//	| 1| reserved |   bus    |  device  |function|   register   |0 0|  CONFIG_ADDRESS, 0xCF8
//	+--+----------+----------+----------+--------+--------------+---+
package pci

import (
	"sync"

	"wick/kernel/hw"
)

// Ports of configuration mechanism #1.
const (
	portAddress uint16 = 0xCF8 // CONFIG_ADDRESS, RW, 32 bits only
	portData    uint16 = 0xCFC // CONFIG_DATA, RW
)

const addressEnable uint32 = 1 << 31

// Registers of the configuration space [PCI 3.0 6.1], [PCI-PCI bridge 1.2 3.2].
const (
	regVendorID     uint8 = 0x00 // 16 bits; 0xFFFF: no function
	regDeviceID     uint8 = 0x02 // 16 bits
	regCommand      uint8 = 0x04 // 16 bits, RW
	regStatus       uint8 = 0x06 // 16 bits, write 1 to clear
	regRevision     uint8 = 0x08 // 8 bits; class code in the 24 bits above
	regHeaderType   uint8 = 0x0E // 8 bits
	regBAR0         uint8 = 0x10 // 32 bits, RW; six of them, two in a bridge
	regSecondaryBus uint8 = 0x19 // 8 bits, bridges only
	regSubsystem    uint8 = 0x2C // vendor in the lower half, device in the upper
	regCapabilities uint8 = 0x34 // 8 bits
	regInterrupt    uint8 = 0x3C // line; pin in the 8 bits above
)

// Command is the Command register [PCI 3.0 6.2.2].
type Command uint16

// Bits of the Command register.
const (
	CommandIO               Command = 1 << 0  // respond to ports
	CommandMemory           Command = 1 << 1  // respond to memory
	CommandBusMaster        Command = 1 << 2  // may reach memory
	CommandInterruptDisable Command = 1 << 10 // no INTx
)

const statusCapabilities uint16 = 1 << 4 // there is a list of capabilities [PCI 3.0 6.2.3]

// Header types [PCI 3.0 6.2.1].
const (
	headerMultifunction uint8 = 1 << 7
	headerLayout        uint8 = 0x7F // mask
	layoutDevice        uint8 = 0
	layoutBridge        uint8 = 1
)

// Limits of the addresses.
const (
	devicesPerBus      = 32
	functionsPerDevice = 8
)

// Address is where a function is.
type Address struct {
	Bus      uint8
	Device   uint8
	Function uint8
}

// String returns the usual form, 00:03.0.
func (a Address) String() string {
	const hex = "0123456789abcdef"
	return string([]byte{
		hex[a.Bus>>4], hex[a.Bus&15], ':', hex[a.Device>>4&1], hex[a.Device&15], '.', hex[a.Function&7],
	})
}

// Bus is the way to the configuration space. It is safe for concurrent use.
type Bus struct {
	mu    sync.Mutex // the address register belongs to the access to the data register that follows
	ports hw.Ports   // guarded by mu
}

// NewBus returns the configuration space behind ports.
func NewBus(ports hw.Ports) *Bus { return &Bus{ports: ports} }

// selectLocked must be followed by an access to the data register.
func (b *Bus) selectLocked(a Address, register uint8) {
	b.ports.Out32(portAddress, addressEnable|uint32(a.Bus)<<16|uint32(a.Device)<<11|uint32(a.Function)<<8|uint32(register&^3))
}

// Read32 reads a register, whose number is a multiple of 4. Where there is no function, all bits are 1.
func (b *Bus) Read32(a Address, register uint8) uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.selectLocked(a, register)
	return b.ports.In32(portData)
}

// Write32 writes a register, whose number is a multiple of 4.
func (b *Bus) Write32(a Address, register uint8, v uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.selectLocked(a, register)
	b.ports.Out32(portData, v)
}

// Write16 writes a register, whose number is a multiple of 2, and not its neighbour.
func (b *Bus) Write16(a Address, register uint8, v uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.selectLocked(a, register)
	b.ports.Out16(portData+uint16(register&2), v)
}

// Read16 reads a register, whose number is a multiple of 2.
func (b *Bus) Read16(a Address, register uint8) uint16 {
	return uint16(b.Read32(a, register&^3) >> (register & 2 * 8))
}

// Read8 reads a register.
func (b *Bus) Read8(a Address, register uint8) uint8 {
	return uint8(b.Read32(a, register&^3) >> (register & 3 * 8))
}
