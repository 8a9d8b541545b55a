// Package uarttest is a model of a 16550A serial port, for tests of its driver.
//
// The transmitter sends as fast as it is given bytes, as QEMU's does, unless it is held. The interrupt is
// an edge; while it is masked edges are lost.
package uarttest

import (
	"errors"
	"sync"
)

// Model is a serial port. It implements hw.Ports and hw.Interrupt, and is safe for concurrent use.
type Model struct {
	// Kinds of ports. To be set before the driver starts.
	Absent       bool // nothing is there: all bits are 1
	NoFIFO       bool // a 16450: one byte each way
	LoseTHRE     bool // the interrupt of an empty transmitter never comes
	ForeverModem bool // the cause of a modem status change never goes away

	base uint16

	mu       sync.Mutex
	changed  sync.Cond // of mu
	scratch  uint8     // guarded by mu, as all that follow are
	ier      uint8
	fcr      uint8
	lcr      uint8
	mcr      uint8
	divisor  uint16
	errors   uint8  // error bits of LSR
	input    []byte // from the host, not yet in the FIFO
	rxFIFO   []byte
	txFIFO   []byte
	output   []byte
	held     bool // the transmitter doesn't send
	thre     bool // the cause of an empty transmitter is pending
	lineHigh bool
	masked   bool
	pending  bool // an interrupt has fired and nobody has waited for it
	closed   bool
	accesses int
}

// ErrClosed is the error of Wait after Close.
var ErrClosed = errors.New("uarttest: closed")

// Offsets of registers from the base port.
const (
	data = iota // RBR, THR, DLL
	ier         // IER, DLM
	iir         // IIR, FCR
	lcr
	mcr
	lsr
	msr
	scr
)

// Bits.
const (
	dlab       = 0x80
	out2       = 0x08
	enableData = 0x01
	enableTHRE = 0x02
	fifoDepth  = 16
)

// New returns a serial port at a base port.
func New(base uint16) *Model {
	m := &Model{base: base, masked: true}
	m.changed.L = &m.mu
	return m
}

// In8 implements hw.Ports.
func (m *Model) In8(port uint16) uint8 {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.updateLocked()
	m.accesses++
	if m.Absent {
		return 0xFF
	}
	switch port - m.base {
	case data:
		return m.receiveLocked()
	case ier:
		return m.ier
	case iir:
		return m.identifyLocked()
	case lcr:
		return m.lcr
	case mcr:
		return m.mcr
	case lsr:
		return m.lineStatusLocked()
	case scr:
		return m.scratch
	}
	return 0
}

func (m *Model) receiveLocked() uint8 {
	if len(m.rxFIFO) == 0 {
		return 0
	}
	b := m.rxFIFO[0]
	m.rxFIFO = m.rxFIFO[1:]
	m.fillLocked()
	return b
}

func (m *Model) lineStatusLocked() uint8 {
	v := m.errors
	m.errors = 0
	if len(m.rxFIFO) > 0 {
		v |= 0x01
	}
	if len(m.txFIFO) == 0 {
		v |= 0x20
		if !m.held {
			v |= 0x40
		}
	}
	return v
}

func (m *Model) identifyLocked() uint8 {
	fifos := m.fcr & 1 * 0xC0
	cause := m.causeLocked()
	if cause == 0x02 {
		m.thre = false
	}
	return cause | fifos
}

// causeLocked returns the pending cause of the highest priority. The time after which old data is a cause is 0.
func (m *Model) causeLocked() uint8 {
	switch {
	case m.ier&enableData != 0 && len(m.rxFIFO) >= m.levelLocked():
		return 0x04
	case m.ier&enableData != 0 && len(m.rxFIFO) > 0:
		return 0x0C
	case m.ier&enableTHRE != 0 && m.thre && !m.LoseTHRE:
		return 0x02
	case m.ForeverModem:
		return 0x00
	}
	return 0x01
}

// levelLocked returns the trigger level.
func (m *Model) levelLocked() int {
	if m.fcr&1 == 0 {
		return 1
	}
	return [...]int{1, 4, 8, 14}[m.fcr>>6]
}

// Out8 implements hw.Ports.
func (m *Model) Out8(port uint16, v uint8) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.updateLocked()
	m.accesses++
	if m.Absent {
		return
	}
	switch port - m.base {
	case data:
		if m.lcr&dlab != 0 {
			m.divisor = m.divisor&0xFF00 | uint16(v)
			return
		}
		m.sendLocked(v)
	case ier:
		if m.lcr&dlab != 0 {
			m.divisor = m.divisor&0xFF | uint16(v)<<8
			return
		}
		if v&enableTHRE != 0 && m.ier&enableTHRE == 0 && len(m.txFIFO) == 0 {
			m.thre = true
		}
		m.ier = v
	case iir:
		if !m.NoFIFO {
			m.fcr = v
		}
		if v&2 != 0 {
			m.rxFIFO = nil
		}
	case lcr:
		m.lcr = v
	case mcr:
		m.mcr = v
	case scr:
		m.scratch = v
	}
}

func (m *Model) sendLocked(b uint8) {
	if len(m.txFIFO) == m.depthLocked() {
		panic("uarttest: a byte for a full transmitter")
	}
	m.thre = false
	m.txFIFO = append(m.txFIFO, b)
	if !m.held {
		m.transmitLocked()
	}
}

func (m *Model) depthLocked() int {
	if m.fcr&1 == 0 {
		return 1
	}
	return fifoDepth
}

func (m *Model) transmitLocked() {
	m.output = append(m.output, m.txFIFO...)
	m.txFIFO = m.txFIFO[:0]
	m.thre = true
}

// fillLocked moves input into the FIFO, as much as QEMU's port says that it takes.
func (m *Model) fillLocked() {
	for len(m.input) > 0 && len(m.rxFIFO) < m.depthLocked() {
		m.rxFIFO = append(m.rxFIFO, m.input[0])
		m.input = m.input[1:]
	}
}

// updateLocked sets the interrupt line.
func (m *Model) updateLocked() {
	high := m.causeLocked() != 1 && m.mcr&out2 != 0
	if high && !m.lineHigh && !m.masked {
		m.fireLocked()
	}
	m.lineHigh = high
	m.changed.Broadcast()
}

func (m *Model) fireLocked() { m.masked, m.pending = true, true }

// Wait implements hw.Interrupt.
func (m *Model) Wait() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.pending && !m.closed {
		m.changed.Wait()
	}
	if m.closed {
		return ErrClosed
	}
	m.pending = false
	return nil
}

// Unmask implements hw.Interrupt.
func (m *Model) Unmask() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.masked = false
	return nil
}

// Feed gives the port bytes from the host.
func (m *Model) Feed(p []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.input = append(m.input, p...)
	m.fillLocked()
	m.updateLocked()
}

// Fail sets error bits in LSR.
func (m *Model) Fail(bits uint8) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errors |= bits
}

// Hold makes the transmitter stop, or go on.
func (m *Model) Hold(hold bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = hold
	if !hold {
		m.transmitLocked()
	}
	m.updateLocked()
}

// Release makes a held transmitter send what it has, and no more.
func (m *Model) Release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.transmitLocked()
	m.updateLocked()
}

// WaitOutput waits until n bytes have been sent, and returns and forgets all that have.
func (m *Model) WaitOutput(n int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.output) < n && !m.closed {
		m.changed.Wait()
	}
	output := m.output
	m.output = nil
	return output
}

// WaitFull waits until the transmitter holds n bytes and its interrupt is enabled.
func (m *Model) WaitFull(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.txFIFO) < n || m.ier&enableTHRE == 0 {
		m.changed.Wait()
	}
}

// WaitStopped waits until the interrupt for data is disabled.
func (m *Model) WaitStopped() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.ier&enableData != 0 {
		m.changed.Wait()
	}
}

// Divisor returns the divisor of the baud rate.
func (m *Model) Divisor() uint16 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.divisor
}

// Accesses returns how many accesses to ports there were, and starts to count again.
func (m *Model) Accesses() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.accesses
	m.accesses = 0
	return n
}

// Close ends Wait.
func (m *Model) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.changed.Broadcast()
}

// In16 implements hw.Ports; a serial port has only 8-bit registers.
func (m *Model) In16(uint16) uint16 { panic("uarttest: a 16-bit access") }

// In32 implements hw.Ports; a serial port has only 8-bit registers.
func (m *Model) In32(uint16) uint32 { panic("uarttest: a 32-bit access") }

// Out16 implements hw.Ports; a serial port has only 8-bit registers.
func (m *Model) Out16(uint16, uint16) { panic("uarttest: a 16-bit access") }

// Out32 implements hw.Ports; a serial port has only 8-bit registers.
func (m *Model) Out32(uint16, uint32) { panic("uarttest: a 32-bit access") }
