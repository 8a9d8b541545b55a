package e1000test

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"wick/kernel/hw"
)

// descriptor is any kind of descriptor: the card writes the second half back.
type descriptor struct {
	address atomic.Uint64
	rest    atomic.Uint64
}

// ringLocked returns the descriptors of the ring whose registers start at base.
func (m *Model) ringLocked(base, baseHigh, length uint32) []descriptor {
	addr := uint64(m.registers[base/4]) | uint64(m.registers[baseHigh/4])<<32
	n := int(m.registers[length/4])
	if addr%16 != 0 || n == 0 || n%128 != 0 {
		panic(fmt.Sprintf("e1000test: ring of %d bytes at %#x", n, addr))
	}
	memory := m.reachLocked(addr, n)
	if len(memory) != n {
		panic(fmt.Sprintf("e1000test: ring of %d bytes at %#x, where only %d are memory", n, addr, len(memory)))
	}
	return hw.View[descriptor](memory)
}

// transmitLocked sends what is in the transmit ring [8254x 3.4].
func (m *Model) transmitLocked() (sent [][]byte) {
	if m.registers[tctl/4]&tctlEN == 0 {
		return nil
	}
	ring := m.ringLocked(tdbal, tdbah, tdlen)
	head, tail := &m.registers[tdh/4], m.registers[tdt/4]
	if int(tail) >= len(ring) {
		panic(fmt.Sprintf("e1000test: TDT is %d in a ring of %d", tail, len(ring)))
	}
	var frame txFrame
	for *head != tail {
		d := &ring[*head]
		rest := d.rest.Load()
		command := rest >> 24
		if command&txDEXT != 0 && rest>>20&0xF == 0 {
			m.context = parseContext(d.address.Load(), rest)
		} else {
			if len(frame.data) == 0 {
				frame.command, frame.options = command, rest>>40&0xFF
			}
			frame.data = append(frame.data, m.reachLocked(d.address.Load(), int(rest&0xFFFF))...)
			if command&txEOP != 0 {
				sent = append(sent, m.context.frames(frame)...)
				frame = txFrame{}
			}
		}
		if command&txRS != 0 {
			d.rest.Store(rest | txDD<<32)
		}
		*head = (*head + 1) % uint32(len(ring))
	}
	m.sent = append(m.sent, sent...)
	m.raiseLocked(causeTXDW)
	return sent
}

// Release sends what HoldTransmit has held back.
func (m *Model) Release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.transmitLocked()
}

// Sent returns the frames that have been sent, and forgets them.
func (m *Model) Sent() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	sent := m.sent
	m.sent = nil
	return sent
}

// Received is what the card writes into one receive descriptor.
type Received struct {
	Data   []byte
	Status uint8 // RxDD and RxEOP are usual
	Errors uint8
	Length int // bytes; what the card says, whatever Data is
}

// Deliver makes the card receive a frame. It tells whether there was a descriptor for it, or, with QEMUQueue,
// whether it was at least queued.
func (m *Model) Deliver(frame []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.QEMUQueue && m.registers[rctl/4]&rctlEN != 0 && m.roomLocked() == 0 {
		m.queued = append(m.queued, bytes.Clone(frame))
		return true
	}
	return m.deliverLocked(frame)
}

// flushLocked delivers what is queued. All frames for which there is no room are lost, as in QEMU, whose queue
// goes on with the next frame when the card refuses one.
func (m *Model) flushLocked() {
	if m.roomLocked() == 0 {
		return
	}
	queued := m.queued
	m.queued = nil
	for _, frame := range queued {
		m.deliverLocked(frame)
	}
}

func (m *Model) deliverLocked(frame []byte) bool {
	if len(frame) > maxFrame && m.registers[rctl/4]&(rctlSBP|rctlLPE) == 0 {
		return true // the card drops it in silence [8254x 13.4.22]
	}
	var parts []Received
	for rest := frame; ; {
		n := min(len(rest), 2048)
		parts = append(parts, Received{Data: rest[:n], Status: RxDD, Length: n})
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
	}
	parts[len(parts)-1].Status |= RxEOP
	return m.writeLocked(parts)
}

// DeliverRaw makes the card write descriptors as they are, all or, without room, none.
func (m *Model) DeliverRaw(parts ...Received) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writeLocked(parts)
}

func (m *Model) writeLocked(parts []Received) bool {
	control := m.registers[rctl/4]
	if control&rctlEN == 0 || m.registers[status/4]&statusLU == 0 {
		return false
	}
	if control&rctlSECRC == 0 || control&rctlBSIZE != 0 {
		panic(fmt.Sprintf("e1000test: RCTL is %#x, want 2048 byte buffers without FCS", control))
	}
	ring := m.ringLocked(rdbal, rdbah, rdlen)
	if m.roomLocked() < len(parts) {
		m.registers[mpc/4]++
		m.registers[rnbc/4]++
		m.raiseLocked(causeRXO)
		return false
	}
	head := &m.registers[rdh/4]
	for _, p := range parts {
		d := &ring[*head]
		if d.rest.Load()&RxDD<<32 != 0 {
			panic(fmt.Sprintf("e1000test: receive descriptor %d comes back with DD", *head))
		}
		copy(m.reachLocked(d.address.Load(), 2048), p.Data)
		*head = (*head + 1) % uint32(len(ring))
		d.rest.Store(uint64(p.Length)&0xFFFF | uint64(p.Status|rxIXSM)<<32 | uint64(p.Errors)<<40)
	}
	m.raiseLocked(causeRXT0)
	return true
}

// roomLocked returns how many receive descriptors the card owns.
func (m *Model) roomLocked() int {
	size := int(m.registers[rdlen/4] / 16)
	head, tail := int(m.registers[rdh/4]), int(m.registers[rdt/4])
	if size == 0 {
		return 0
	}
	if head >= size || tail >= size {
		panic(fmt.Sprintf("e1000test: RDH is %d and RDT %d in a ring of %d", head, tail, size))
	}
	return (tail - head + size) % size
}

// Room returns how many receive descriptors the card owns.
func (m *Model) Room() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roomLocked()
}

// Connect makes each of two cards receive what the other one sends. A frame for which there is no
// room is lost.
func Connect(a, b *Model) {
	a.OnSend = func(frame []byte) { b.Deliver(bytes.Clone(frame)) }
	b.OnSend = func(frame []byte) { a.Deliver(bytes.Clone(frame)) }
}
