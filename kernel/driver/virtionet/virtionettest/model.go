// Package virtionettest is a model of a virtio network card, for tests of its driver and of what stands on it: what it does
// with its queues, over package virtiotest. It completes checksums and cuts TCP segments as a card must.
package virtionettest

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"

	"wick/kernel/driver/virtio/virtiotest"
)

// Feature bits [virtio 5.1.3].
const (
	CSUM      = 1 << 0
	GuestCSUM = 1 << 1
	MTU       = 1 << 3
	MAC       = 1 << 5
	GuestTSO4 = 1 << 7
	GuestTSO6 = 1 << 8
	HostTSO4  = 1 << 11
	HostTSO6  = 1 << 12
	MrgRxbuf  = 1 << 15
	Status    = 1 << 16

	// QEMU is what QEMU offers with user networking, and TAP what it offers with a TAP interface.
	QEMU = virtiotest.Indirect | virtiotest.EventIdx | MAC | MrgRxbuf | Status
	TAP  = QEMU | CSUM | GuestCSUM | GuestTSO4 | GuestTSO6 | HostTSO4 | HostTSO6
)

const headerSize = 12

// Model is a card. It is safe for concurrent use.
type Model struct {
	*virtiotest.Device

	// To be set before the driver starts.
	HoldTransmit bool               // frames stay in the queue until Release
	OnSend       func(frame []byte) // or nil: gets each frame that was sent, and may call the model

	peer *Model // or nil

	mu   sync.Mutex // of sending, held while the peer receives
	sent [][]byte   // guarded by mu
	rx   sync.Mutex // of receiving
}

// New returns a card with features, an address, the link up, and queues of size descriptors.
func New(mac [6]byte, features uint64, size int) *Model {
	config := make([]byte, 12)
	copy(config, mac[:])
	config[6] = 1
	binary.LittleEndian.PutUint16(config[10:], 1500)
	m := &Model{Device: virtiotest.New(1, features, config, size, size)}
	m.OnNotify = func(queue int) {
		if queue == 1 && !m.HoldTransmit {
			m.Release()
		}
	}
	return m
}

// Connect makes each of two cards receive what the other one sends: as it is if the receiver takes segments made of
// several, as between virtual machines on one host. A frame for which there is no room is lost.
func Connect(a, b *Model) { a.peer, b.peer = b, a }

// SetLink makes the carrier come or go.
func (m *Model) SetLink(up bool) {
	m.SetConfig(func(config []byte) {
		config[6] = 0
		if up {
			config[6] = 1
		}
	})
}

// Release sends what is in the transmit queue.
func (m *Model) Release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.Queues[1]
	for {
		c, ok := q.Pop()
		if !ok {
			break
		}
		if len(c.Writable) > 0 {
			panic("virtionettest: a frame to be sent has segments to be written")
		}
		m.send(c.Read())
		q.Push(c.ID, 0)
	}
	q.Signal()
}

// send sends a frame with its header.
func (m *Model) send(b []byte) {
	h := parse(b)
	accepted := m.Accepted()
	if h.flags&^needsCsum != 0 || h.flags != 0 && accepted&CSUM == 0 ||
		h.gso == gsoTCPv4 && accepted&HostTSO4 == 0 || h.gso == gsoTCPv6 && accepted&HostTSO6 == 0 {
		panic(fmt.Sprintf("virtionettest: header %+v with features %#x", h, accepted))
	}
	if p := m.peer; p != nil && h.acceptable(p.Accepted()) {
		p.DeliverRaw(b)
		return
	}
	for _, frame := range h.segments(b[headerSize:]) {
		m.sent = append(m.sent, frame)
		if m.OnSend != nil {
			m.OnSend(frame)
		}
		if m.peer != nil {
			m.peer.Deliver(frame)
		}
	}
}

// Sent returns the frames that have been sent, and forgets them.
func (m *Model) Sent() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	sent := m.sent
	m.sent = nil
	return sent
}

// Deliver makes the card receive a frame, and tells whether there was room for it.
func (m *Model) Deliver(frame []byte) bool {
	return m.DeliverRaw(append(make([]byte, headerSize), frame...))
}

// DeliverRaw makes the card receive a frame with its header, in which it puts the number of buffers.
func (m *Model) DeliverRaw(b []byte) bool {
	m.rx.Lock()
	defer m.rx.Unlock()
	q := m.Queues[0]
	var chains []virtiotest.Chain
	for room := 0; room < len(b); {
		c, ok := q.Pop()
		if !ok {
			q.Return(len(chains))
			return false
		}
		chains = append(chains, c)
		room += c.Room()
		if room < len(b) && m.Accepted()&MrgRxbuf == 0 {
			panic(fmt.Sprintf("virtionettest: a buffer of %d bytes for a frame of %d", room, len(b)))
		}
	}
	b = append([]byte(nil), b...)
	binary.LittleEndian.PutUint16(b[10:], uint16(len(chains)))
	for _, c := range chains {
		n := c.Write(b)
		b = b[n:]
		q.Push(c.ID, n)
	}
	q.Signal()
	return true
}

// DeliverBuffers makes the card fill one buffer with each of several pieces of memory, as they are. It waits for as many buffers
// first, which the driver may be about to give back.
func (m *Model) DeliverBuffers(pieces ...[]byte) {
	m.rx.Lock()
	defer m.rx.Unlock()
	q := m.Queues[0]
	for q.Available() < len(pieces) {
		runtime.Gosched()
	}
	for _, p := range pieces {
		c, ok := q.Pop()
		if !ok {
			panic("virtionettest: no room")
		}
		q.Push(c.ID, c.Write(p))
	}
	q.Signal()
}
