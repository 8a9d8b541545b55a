package virtiotest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"wick/kernel/hw"
)

// messages is a function's MSI-X table, and the messages that the machine has [PCI 3.0 6.8.2]. guarded by Device.mu
type messages struct {
	capability int // in the configuration space
	control    uint16
	entries    []entry
	config     uint16 // entry that the configuration has; those of queues are theirs
	files      []*Message
	most       int // messages that the machine has
}

type entry struct {
	address uint64
	data    uint32
	masked  bool
	pending bool
}

// Bits of the message control, and what says that something has no entry [virtio 4.1.5.1.2].
const (
	msixFunctionMask = 1 << 14
	msixEnable       = 1 << 15
	noVector         = 0xFFFF
)

// Where the MSI-X capability is, and the table in BAR 1.
const (
	msixCapability = 0xC0
	msixBARAddress = 0xFE008000
	msixBARSize    = 0x2000
	msixTableAt    = 0x1000
)

// ErrNoMessage is the error of PCI.Message when there are no more.
var ErrNoMessage = errors.New("virtiotest: no message left")

// AddMessages gives the function a MSI-X table, in a machine that has so many messages for it.
func (p *PCI) AddMessages(entries, messagesLeft int) {
	m := &messages{capability: msixCapability, entries: make([]entry, entries), config: noVector, most: messagesLeft}
	for i := range m.entries {
		m.entries[i].masked = true
	}
	p.Device.messages = m
	le := binary.LittleEndian
	le.PutUint32(p.Space[regBAR1:], msixBARAddress)
	le.PutUint32(p.mask[regBAR1:], ^uint32(msixBARSize-1))
	c := p.Space[msixCapability:]
	c[0], c[1] = 0x11, 0
	le.PutUint16(c[2:], uint16(entries-1))
	le.PutUint32(c[4:], msixTableAt|1)
	le.PutUint16(p.mask[msixCapability+2:], msixEnable|msixFunctionMask)
	p.Space[firstCap+capSize*4+1] = msixCapability
}

// Message is an interrupt by message. It implements hw.Interrupt.
type Message struct {
	device  *Device
	changed sync.Cond // of device.mu
	address uint64
	data    uint32
	pending bool // guarded by device.mu, as all that follow
	closed  bool
	fired   int
}

// Message opens another message, for virtio.PCIInterrupts.
func (p *PCI) Message() (hw.Message, error) {
	p.Device.mu.Lock()
	defer p.Device.mu.Unlock()
	m := p.Device.messages
	n := len(m.files)
	if n == m.most {
		return hw.Message{}, ErrNoMessage
	}
	f := &Message{device: p.Device, address: 0xFEE00000, data: uint32(80 + n)}
	f.changed.L = &p.Device.mu
	m.files = append(m.files, f)
	return hw.Message{Interrupt: f, Address: f.address, Data: f.data}, nil
}

// Line opens the INTx line, for virtio.PCIInterrupts.
func (p *PCI) Line() (hw.Interrupt, error) {
	p.Device.mu.Lock()
	defer p.Device.mu.Unlock()
	p.Device.lineOpen = true
	return p.Device, nil
}

// Messages returns how often each message has been raised that was opened and not closed, in the order of opening.
func (d *Device) Messages() (fired []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.messages == nil {
		return nil
	}
	for _, f := range d.messages.files {
		if !f.closed {
			fired = append(fired, f.fired)
		}
	}
	return fired
}

// LineOpen tells whether the driver has opened the INTx line.
func (d *Device) LineOpen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lineOpen
}

// Wait implements hw.Interrupt.
func (f *Message) Wait() error {
	f.device.mu.Lock()
	defer f.device.mu.Unlock()
	for !f.pending && !f.closed {
		f.changed.Wait()
	}
	if f.closed {
		return ErrClosed
	}
	f.pending = false
	return nil
}

// Unmask implements hw.Interrupt.
func (f *Message) Unmask() error { return nil }

// Close ends Wait.
func (f *Message) Close() error {
	f.device.mu.Lock()
	defer f.device.mu.Unlock()
	f.closed = true
	f.changed.Broadcast()
	return nil
}

// useMessagesLocked tells whether the device interrupts by messages.
func (d *Device) useMessagesLocked() bool {
	return d.messages != nil && d.messages.control&msixEnable != 0
}

// sendLocked sends the message of an entry, or keeps it until it may.
func (d *Device) sendLocked(vector uint16) {
	if vector == noVector {
		return
	}
	m := d.messages
	e := &m.entries[vector] // that it is there was seen when it was set
	if e.masked || m.control&msixFunctionMask != 0 {
		e.pending = true
		return
	}
	e.pending = false
	if d.lose > 0 {
		d.lose--
		return
	}
	i := slices.IndexFunc(m.files, func(f *Message) bool { return f.address == e.address && f.data == e.data })
	if i < 0 {
		panic(fmt.Sprintf("virtiotest: %#x is written to %#x, which is no message", e.data, e.address))
	}
	d.interrupts++
	m.files[i].fired++
	m.files[i].pending = true
	m.files[i].changed.Broadcast()
}

// setVector is what the driver does with the vector of a queue, or of the configuration if the queue is nil.
func (d *Device) setVector(q *Queue, v uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.useMessagesLocked() {
		panic("virtiotest: a vector is set and MSI-X isn't on")
	}
	to, what := &d.messages.config, -1
	if q != nil {
		to, what = &q.vector, q.index
		if q.ready {
			panic(fmt.Sprintf("virtiotest: queue %d gets a vector when it is live", q.index))
		}
	}
	if int(v) >= len(d.messages.entries) || d.RefuseVector != nil && d.RefuseVector(what, v) {
		v = noVector
	}
	*to = v
}

func (d *Device) loadVector(q *Queue) uint16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q != nil {
		return q.vector
	}
	return d.messages.config
}

// setControl is what the driver does with the message control.
func (d *Device) setControl(v uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.messages.control = v
	d.sendPendingLocked()
}

func (d *Device) sendPendingLocked() {
	for i := range d.messages.entries {
		if d.useMessagesLocked() && d.messages.entries[i].pending {
			d.sendLocked(uint16(i))
		}
	}
}

// table is BAR 1.
type table struct {
	hw.Window // not there: entries are of 32 bits
	d         *Device
}

func (t table) at(offset uint32) (e *entry, field uint32) {
	i := int(offset-msixTableAt) / 16
	if offset < msixTableAt || i >= len(t.d.messages.entries) {
		panic(fmt.Sprintf("virtiotest: BAR 1 is accessed at %#x", offset))
	}
	return &t.d.messages.entries[i], offset % 16
}

// Load32 implements hw.Registers.
func (t table) Load32(offset uint32) uint32 {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	e, field := t.at(offset)
	if field != 12 {
		panic("virtiotest: the driver reads an address or data of the MSI-X table")
	}
	if e.masked {
		return 1
	}
	return 0
}

// Store32 implements hw.Registers.
func (t table) Store32(offset uint32, v uint32) {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	e, field := t.at(offset)
	if field != 12 && !e.masked {
		panic("virtiotest: an entry of the MSI-X table is changed that isn't masked")
	}
	switch field {
	case 0, 4:
		half(&e.address, field != 0, v)
	case 8:
		e.data = v
	case 12:
		e.masked = v&1 != 0
		t.d.sendPendingLocked()
	}
}
