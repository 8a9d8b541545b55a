// Package vsockdev is the virtio-vsock device [virtio 5.10] of a guest: between the rings that package vhostuser shows and
// the connections of package vsock.
package vsockdev

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"wick/vmm/vhostuser"
	"wick/vsock"
)

// The queues [virtio 5.10.2]. The third, for events, stays with QEMU.
const (
	receiveQueue  = 0 // to the guest
	transmitQueue = 1 // from the guest
	queues        = 2
)

// Limits of a device. A guest can have the host keep (BufAlloc + 64 KiB) for each of Config.MaxConns connections, and no more.
const (
	DefaultConns = 1023     // Firecracker's
	BufAlloc     = 64 << 10 // bytes; Firecracker's
)

// closeTime is how long a guest may take to answer the last SHUTDOWN.
const closeTime = 8 * time.Second

// Config is what a Device is made of.
type Config struct {
	CID      uint32 // the guest's
	MaxConns int    // connections at a time, both ways; 0: DefaultConns
	// HandshakeTime is how long the front-end may take to say what it says first; 0: no bound.
	HandshakeTime time.Duration
	// Request is called with each connection that the guest asks for, to the host or to any other CID; see vsock.Config. It must
	// not block.
	Request func(*vsock.Conn)
	// Dropped is called with packets that were dropped, and why (see vsock.Endpoint.Input). It may be nil.
	Dropped func(h *vsock.Header, why string)
	// Log is called with what went wrong that no connection's owner is told. It may be nil.
	Log func(error)
}

// Device is the vsock device of a guest.
type Device struct {
	*vsock.Endpoint
	config  Config
	backend *vhostuser.Backend
	paused  atomic.Bool // the transmit queue waits for room for answers
	running atomic.Bool // the guest's driver is at work
	bad     atomic.Uint64
}

// New returns the device for the front-end at the other end of conn.
func New(conn *net.UnixConn, c Config) *Device {
	if c.MaxConns == 0 {
		c.MaxConns = DefaultConns
	}
	d := &Device{config: c}
	d.Endpoint = vsock.New(vsock.Config{
		// What goes to nobody is refused, too: a guest that waits for an answer learns nothing.
		Addressed: func(from, _ uint32) bool { return from == c.CID },
		Request:   c.Request,
		Ready:     func() { d.fill(d.backend.Queue(receiveQueue)) },
		MaxConns:  c.MaxConns, BufAlloc: BufAlloc, CloseTime: closeTime,
	})
	d.backend = vhostuser.New(conn, d)
	d.backend.HandshakeTime = c.HandshakeTime
	return d
}

// Serve serves the front-end until it closes its connection. Then all connections of the guest are over.
func (d *Device) Serve() error { return d.backend.Serve() }

// Close ends Serve.
func (d *Device) Close() error { return d.backend.Close() }

// CID returns the guest's address.
func (d *Device) CID() uint32 { return d.config.CID }

// Running tells whether the guest has a driver for the device that is at work.
func (d *Device) Running() bool { return d.running.Load() }

// Malformed returns how many packets of the guest were none.
func (d *Device) Malformed() uint64 { return d.bad.Load() }

// Features implements vhostuser.Device: streams, which need no feature [virtio 5.10.3].
func (d *Device) Features() uint64 { return 0 }

// Config implements vhostuser.Device: the guest's CID [virtio 5.10.4].
func (d *Device) Config() []byte { return binary.LittleEndian.AppendUint64(nil, uint64(d.config.CID)) }

// Queues implements vhostuser.Device.
func (d *Device) Queues() int { return queues }

// Kick implements vhostuser.Device.
func (d *Device) Kick(q *vhostuser.Queue) {
	d.running.Store(true)
	if q.Index == receiveQueue {
		d.fill(q)
	} else {
		d.drain(q)
	}
}

// Stopped implements vhostuser.Device.
func (d *Device) Stopped(err error) {
	d.running.Store(false)
	d.Abort()
	if err != nil && d.config.Log != nil {
		d.config.Log(err)
	}
}

// fill gives the guest what there is for it, as long as it has buffers.
func (d *Device) fill(q *vhostuser.Queue) {
	q.Each(func(c *vhostuser.Chain) (int, bool, error) {
		n, err := d.Output(c.Write...)
		if err != nil {
			err = fmt.Errorf("%w: %w", vhostuser.ErrRing, err)
		}
		return n, n > 0, err
	})
	if d.paused.Load() && !d.Congested() && d.paused.Swap(false) {
		d.backend.Queue(transmitQueue).Wake()
	}
}

// drain takes what the guest sends, but not while more answers wait for its buffers than it should have asked for.
func (d *Device) drain(q *vhostuser.Queue) {
	q.Each(func(c *vhostuser.Chain) (int, bool, error) {
		if d.Congested() {
			d.paused.Store(true)
			if d.Congested() { // else fill has not seen that we wait
				return 0, false, nil
			}
		}
		d.input(c.Read)
		return 0, true, nil
	})
}

// input takes in a packet. The guest may write to it meanwhile: the header is copied first.
func (d *Device) input(pieces [][]byte) {
	var b [vsock.HeaderSize]byte
	n := 0
	for n < len(b) && len(pieces) > 0 {
		m := copy(b[n:], pieces[0])
		n += m
		if pieces[0] = pieces[0][m:]; len(pieces[0]) == 0 {
			pieces = pieces[1:]
		}
	}
	h, err := vsock.ParseHeader(b[:n])
	if err != nil {
		d.bad.Add(1)
		return
	}
	if why := d.Input(&h, pieces...); why != "" && d.config.Dropped != nil {
		d.config.Dropped(&h, why)
	}
}
