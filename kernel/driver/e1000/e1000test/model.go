// Package e1000test is a model of the 82540EM, for tests of its driver and of what stands on it.
//
// It behaves as the manual says, and where that leaves a choice, as QEMU does: frames go out while TDT is
// stored, and the interrupt is a level.
package e1000test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"wick/kernel/hw"
)

// Model is a card with its memory and its interrupt line. It implements hw.Registers, hw.Allocator and
// hw.Interrupt. It is safe for concurrent use.
type Model struct {
	// What is wrong with the card. To be set before the driver starts.
	StuckReset   bool // CTRL.RST never clears
	NoEEPROM     bool // EERD.DONE is never set
	HoldTransmit bool // frames stay in the ring until Release
	QEMUQueue    bool // Deliver queues frames as QEMU does, and loses them as QEMU does: see flushLocked

	// Hooks, or nil. They are called without the model's lock, so they may call it.
	OnLoad   func(offset uint32)           // before a register is read
	OnStore  func(offset uint32, v uint32) // after a register has been written
	OnUnmask func()                        // before the line is unmasked
	OnSend   func(frame []byte)            // a frame that was sent

	mu        sync.Mutex
	registers [windowSize / 4]uint32 // guarded by mu
	eeprom    [64]uint16             // guarded by mu
	memory    []hw.DMA               // guarded by mu
	nextAddr  uint64                 // guarded by mu
	sent      [][]byte               // guarded by mu
	context   offload                // guarded by mu; from the last context descriptor
	queued    [][]byte               // guarded by mu; see QEMUQueue
	stores    map[uint32]int         // guarded by mu

	line    sync.Cond // of mu
	masked  bool      // guarded by mu
	pending bool      // guarded by mu; the interrupt has fired and nobody has waited for it
	closed  bool      // guarded by mu
	lose    int       // guarded by mu; interrupts still to be lost
}

// firstAddr is where the model's memory starts, and pageSize its granularity, in bytes.
const (
	firstAddr = 0x1000000
	pageSize  = 4096
)

// ErrClosed is the error of Wait after Close.
var ErrClosed = errors.New("e1000test: closed")

// New returns a card with the address mac in its EEPROM, with the link up.
func New(mac [6]byte) *Model {
	m := &Model{nextAddr: firstAddr, stores: map[uint32]int{}, masked: true}
	m.line.L = &m.mu
	m.SetEEPROM(mac)
	m.registers[ral0/4] = uint32(mac[0]) | uint32(mac[1])<<8 | uint32(mac[2])<<16 | uint32(mac[3])<<24
	m.registers[rah0/4] = uint32(mac[4]) | uint32(mac[5])<<8 | 1<<31
	m.registers[status/4] = statusLU
	return m
}

// SetEEPROM puts an address into the EEPROM.
func (m *Model) SetEEPROM(mac [6]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range 3 {
		m.eeprom[i] = uint16(mac[2*i]) | uint16(mac[2*i+1])<<8
	}
}

// SetReceiveAddress sets RAL0 and RAH0.
func (m *Model) SetReceiveAddress(low, high uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registers[ral0/4], m.registers[rah0/4] = low, high
}

// AllocDMA implements hw.Allocator.
func (m *Model) AllocDMA(size int) (hw.DMA, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// As []uint64, so that it is aligned as real memory is.
	words := make([]atomic.Uint64, (size+7)/8)
	d := hw.DMA{Addr: m.nextAddr, Data: bytesOf(words)[:size]}
	m.memory = append(m.memory, d)
	m.nextAddr += (uint64(size) + pageSize - 1) &^ (pageSize - 1)
	return d, nil
}

// reachLocked returns the memory at a physical address: at most n bytes.
func (m *Model) reachLocked(addr uint64, n int) []byte {
	for _, d := range m.memory {
		if addr >= d.Addr && addr < d.Addr+uint64(len(d.Data)) {
			p := d.Data[addr-d.Addr:]
			return p[:min(n, len(p))]
		}
	}
	panic(fmt.Sprintf("e1000test: the card reaches for address %#x, where there is no memory", addr))
}

// Load32 implements hw.Registers.
func (m *Model) Load32(offset uint32) uint32 {
	if m.OnLoad != nil {
		m.OnLoad(offset)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &m.registers[offset/4]
	v := *r
	switch offset {
	case icr, mpc, rnbc: // cleared by reading
		*r = 0
	case eerd:
		if v&eerdStart != 0 && !m.NoEEPROM {
			word := m.eeprom[v>>8&0x3F]
			*r = v&^eerdStart | eerdDone | uint32(word)<<16 // at the next look
		}
	case ctrl:
		if !m.StuckReset {
			*r &^= ctrlRST
		}
	}
	return v
}

// Store32 implements hw.Registers.
func (m *Model) Store32(offset uint32, v uint32) {
	m.store(offset, v)
	if m.OnStore != nil {
		m.OnStore(offset, v)
	}
}

func (m *Model) store(offset uint32, v uint32) {
	m.mu.Lock()
	m.stores[offset]++
	r := &m.registers[offset/4]
	var sent [][]byte
	switch offset {
	case ims:
		*r |= v
	case imc:
		m.registers[ims/4] &^= v
	case status, icr:
	case tdt:
		*r = v & 0xFFFF
		if !m.HoldTransmit {
			sent = m.transmitLocked()
		}
	case rdt:
		*r = v & 0xFFFF
		m.flushLocked()
	case ctrl:
		*r = v
		if v&ctrlRST != 0 {
			m.resetLocked()
		}
	default:
		*r = v
	}
	m.fireLocked()
	m.mu.Unlock()
	if m.OnSend != nil {
		for _, frame := range sent {
			m.OnSend(frame)
		}
	}
}

// resetLocked clears what a reset clears: nearly all, but not the link, the addresses nor the bit itself.
func (m *Model) resetLocked() {
	for i := range m.registers {
		switch i * 4 {
		case ctrl, status, ral0, rah0:
		default:
			m.registers[i] = 0
		}
	}
}

// Register returns a register, without the effects of reading it.
func (m *Model) Register(offset uint32) uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.registers[offset/4]
}

// Stores returns how often a register has been written.
func (m *Model) Stores(offset uint32) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stores[offset]
}

// SetLink makes the carrier come or go.
func (m *Model) SetLink(up bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registers[status/4] &^= statusLU
	if up {
		m.registers[status/4] |= statusLU
	}
	m.raiseLocked(causeLSC)
}

// raiseLocked sets causes.
func (m *Model) raiseLocked(causes uint32) {
	m.registers[icr/4] |= causes
	m.fireLocked()
}

// fireLocked makes the interrupt fire if the line is high and not masked.
func (m *Model) fireLocked() {
	if m.masked || m.registers[icr/4]&m.registers[ims/4] == 0 {
		return
	}
	m.masked = true
	if m.lose > 0 {
		m.lose--
		m.masked = false
		return
	}
	m.pending = true
	m.line.Broadcast()
}

// Wait implements hw.Interrupt.
func (m *Model) Wait() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.pending && !m.closed {
		m.line.Wait()
	}
	if m.closed {
		return ErrClosed
	}
	m.pending = false
	return nil
}

// Unmask implements hw.Interrupt.
func (m *Model) Unmask() error {
	if m.OnUnmask != nil {
		m.OnUnmask()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.masked = false
	m.fireLocked()
	return nil
}

// Interrupt fires the interrupt without a cause, as another device on the line would.
func (m *Model) Interrupt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.masked, m.pending = true, true
	m.line.Broadcast()
}

// LoseInterrupts makes the next n interrupts not arrive. The line stays high and unmasked, so that the
// next event is another chance.
func (m *Model) LoseInterrupts(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose = n
}

// Close ends Wait.
func (m *Model) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.line.Broadcast()
}
