package pci

import (
	"errors"
	"fmt"

	"wick/kernel/hw"
)

// ErrMSIX is wrapped by the errors of MSIX.
var ErrMSIX = errors.New("no message-signalled interrupts (MSI-X)")

// The capability [PCI 3.0 6.8.2].
//
//	 31                     16 15         8 7          0
//	+-------------------------+------------+------------+
//	|     message control     |    next    |  id, 0x11  |
//	+-------------------------+------------+------+-----+
//	|      offset of the table in its BAR         | BAR |
//	+---------------------------------------------+-----+
const (
	capabilityMSIX uint8 = 0x11

	msixSize         uint32 = 0x7FF << 16 // message control: number of the table's last entry
	msixFunctionMask uint32 = 1 << 30     // no entry sends
	msixEnable       uint32 = 1 << 31     // messages, and no INTx

	msixTable    = 4 // register with the table's place, behind the capability's first
	msixTableBAR = 7 // mask
)

// An entry of the table [PCI 3.0 6.8.2.7–10].
const (
	entryAddress uint32 = 0x0 // 64 bits
	entryData    uint32 = 0x8
	entryControl uint32 = 0xC
	entrySize    uint32 = 0x10

	entryMasked uint32 = 1 << 0 // of entryControl
)

// MSIX is the table of messages by which a function interrupts.
type MSIX struct {
	function   *Function
	capability uint8
	table      hw.Window
	offset     uint32 // of the table in its window
	entries    int
}

// MSIX returns the function's table. bar returns what can be reached of base address register i, and its window.
func (f *Function) MSIX(bar func(i int) (BAR, hw.Window, error)) (*MSIX, error) {
	for _, c := range f.Capabilities() {
		if c.ID != capabilityMSIX || c.Offset > 256-8 {
			continue
		}
		m := &MSIX{function: f, capability: c.Offset, entries: int(f.Read32(c.Offset)&msixSize>>16) + 1}
		place := f.Read32(c.Offset + msixTable)
		m.offset = place &^ msixTableBAR
		b, window, err := bar(int(place & msixTableBAR))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMSIX, err)
		}
		if uint64(m.offset)+uint64(m.entries)*uint64(entrySize) > b.Size {
			return nil, fmt.Errorf("%w: %d entries at %#x of a BAR of %#x bytes", ErrMSIX, m.entries, m.offset, b.Size)
		}
		m.table = window
		return m, nil
	}
	return nil, ErrMSIX
}

// Len returns the number of entries.
func (m *MSIX) Len() int { return m.entries }

// Enable has the function interrupt by messages, of which none is sent before Set, and not by its INTx line. The function must
// respond to memory.
func (m *MSIX) Enable() {
	control := m.function.Read32(m.capability) &^ msixFunctionMask
	m.function.Write32(m.capability, control|msixEnable|msixFunctionMask)
	for i := range m.entries {
		m.Mask(i)
	}
	m.function.Write32(m.capability, control|msixEnable)
}

// Disable has the function interrupt by its INTx line.
func (m *MSIX) Disable() {
	m.function.Write32(m.capability, m.function.Read32(m.capability)&^msixEnable)
}

// Set says what entry i sends, and lets it send. The entry must be masked: while it isn't, its function may look at it.
func (m *MSIX) Set(i int, message hw.Message) {
	at := m.entry(i)
	m.table.Store32(at+entryAddress, uint32(message.Address))
	m.table.Store32(at+entryAddress+4, uint32(message.Address>>32))
	m.table.Store32(at+entryData, message.Data)
	m.table.Store32(at+entryControl, m.table.Load32(at+entryControl)&^entryMasked)
}

// Mask keeps entry i from sending.
func (m *MSIX) Mask(i int) {
	at := m.entry(i) + entryControl
	m.table.Store32(at, m.table.Load32(at)|entryMasked) // the other bits are reserved, and to be kept
}

func (m *MSIX) entry(i int) uint32 {
	if i < 0 || i >= m.entries {
		panic("pci: no such entry of the MSI-X table")
	}
	return m.offset + uint32(i)*entrySize
}
