// Package virtiovsock drives virtio socket devices, by "Virtual I/O Device (VIRTIO) Version 1.2", cited as [virtio]. It carries
// the packets of a vsock.Endpoint to the host and from it; what is in them it leaves to that.
//
//	vsock.Endpoint.Output → tx queue → the host      whoever has something to send does this itself, in Kick
//	vsock.Endpoint.Input  ← rx queue ← the host      one goroutine, woken by the interrupt
//	vsock.Endpoint.Abort  ← event queue              the same
//
// There are no locks: each direction has one owner at a time, and who comes meanwhile has it look once more (see turn). So the
// endpoint may call Kick from wherever it is, and no hook of its runs with a lock of the driver held.
package virtiovsock

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/hw"
	"wick/packet"
	"wick/vsock"
)

// featureStream says that there are stream sockets [virtio 5.10.3]. Without any such bit there are them, too.
const featureStream virtio.Features = 1 << 0

// configCID is the guest's CID in the configuration space, 64 bits [virtio 5.10.4].
const configCID = 0

// Queues [virtio 5.10.2].
const (
	rxQueue    = 0
	txQueue    = 1
	eventQueue = 2
)

// Config is what a Device is made of.
type Config struct {
	Transport virtio.Transport
	Memory    hw.Memory
	Tap       Tap // or nil
	// Settle, if not nil, is told of each packet that has been received, after Tap, what has become of it: why it was dropped,
	// "" if it wasn't.
	Settle func(drop string)

	// CheckInterval is how often the device is looked at without an interrupt, in case one was lost; 0 for the default.
	CheckInterval time.Duration
}

// Tap is told of each packet that is received or sent, with all of its data, which is valid until the call returns; the
// number, the time and the interface are left to the tap. It runs in the data path, for both directions at once: it must
// neither block nor send.
type Tap func(f packet.Frame)

// Sizes: of buffers in bytes, of queues in buffers. A packet is as long as there is room for in one buffer, so that what programs
// and hosts send, a power of two mostly, is to fill whole ones.
const (
	rxBufferSize = vsock.HeaderSize + 8<<10
	rxBuffers    = 64
	txBufferSize = vsock.HeaderSize + 16<<10
	txBuffers    = 32
	eventSize    = 4 // struct virtio_vsock_event
	eventBuffers = 8

	defaultCheckInterval = time.Second
)

// eventTransportReset is the only event there is [virtio 5.10.6.7].
const eventTransportReset = 0

// Errors of New and Err.
var (
	ErrNotVsock = errors.New("virtiovsock: not a socket device")
	ErrCID      = errors.New("virtiovsock: no address of a guest")
)

// Device is one device.
type Device struct {
	device *virtio.Device
	tap    Tap
	settle func(drop string)
	cid    atomic.Uint32

	check, stopPatience time.Duration

	endpoint *vsock.Endpoint

	receiving turn
	rx        pool // owned by receiving, as is events
	events    pool

	sending turn
	tx      pool // owned by sending

	unsent   atomic.Int32 // buffers in the tx queue
	stopping atomic.Bool
	broken   atomic.Pointer[error] // why the device can't be used any more
	done     chan struct{}         // closed when its goroutine has ended
	counters counters
}

// New sets up a device. It is live once there is an endpoint (see Attach). The errors are those of this package, of package
// virtio, and of the allocator.
func New(c Config) (*Device, error) {
	if kind := c.Transport.Type(); kind != virtio.TypeVsock {
		return nil, fmt.Errorf("%w but of type %d", ErrNotVsock, kind)
	}
	device, err := virtio.Open(c.Transport, c.Memory, func(virtio.Features) virtio.Features { return featureStream })
	if err != nil {
		return nil, err
	}
	d := &Device{device: device, tap: c.Tap, settle: c.Settle, check: c.CheckInterval, stopPatience: stopPatience, done: make(chan struct{})}
	if d.check == 0 {
		d.check = defaultCheckInterval
	}
	if err := d.setUp(c.Memory); err != nil {
		device.Fail()
		return nil, err
	}
	return d, nil
}

func (d *Device) setUp(memory hw.Memory) error {
	if err := d.readCID(); err != nil {
		return err
	}
	for _, p := range []struct {
		pool        *pool
		queue       uint16
		count, size int
	}{
		{&d.rx, rxQueue, rxBuffers, rxBufferSize}, {&d.tx, txQueue, txBuffers, txBufferSize}, {&d.events, eventQueue, eventBuffers, eventSize},
	} {
		if err := p.pool.init(d.device, memory, p.queue, p.count, p.size); err != nil {
			return err
		}
	}
	return nil
}

// readCID reads which address the machine has.
func (d *Device) readCID() error {
	var cid uint64
	if err := d.device.ReadConfig(configCID+8, func(c virtio.Config) { cid = c.Uint64(configCID) }); err != nil {
		return err
	}
	if cid < uint64(vsock.MinGuest) || cid > uint64(vsock.MaxGuest) {
		return fmt.Errorf("%w: %d, want %d to %d", ErrCID, cid, vsock.MinGuest, vsock.MaxGuest)
	}
	d.cid.Store(uint32(cid))
	return nil
}

// CID returns the machine's address. It may be another one after a reset of the transport.
func (d *Device) CID() uint32 { return d.cid.Load() }

// Attach makes the device live, for the packets of an endpoint whose Ready hook calls Kick. It is to be called once.
func (d *Device) Attach(e *vsock.Endpoint) error {
	d.endpoint = e
	if err := d.device.Start(); err != nil {
		d.device.Fail()
		return err
	}
	for _, p := range []*pool{&d.rx, &d.events} {
		for i := range p.count {
			if err := p.give(i); err != nil {
				return err
			}
		}
		p.queue.Publish()
	}
	go d.run()
	go d.watch()
	d.Kick()
	return nil
}

// run is the receiving goroutine.
func (d *Device) run() {
	defer close(d.done)
	err := d.device.Serve(func(bool) error {
		d.counters.add(Interrupts)
		d.look()
		if why := d.broken.Load(); why != nil {
			return *why
		}
		return nil
	})
	if !d.stopping.Load() {
		d.fail(err)
	}
	// Nobody may be at the queues when the device forgets them; who comes later finds it broken.
	closed := errClosed
	d.broken.CompareAndSwap(nil, &closed)
	d.sending.wait()
	d.receiving.wait()
	if err := d.device.Reset(); err != nil {
		d.broken.Store(&err)
	}
	d.endpoint.Abort()
}

var errClosed = errors.New("virtiovsock: stopped")

// tell tells the tap of a packet.
func (d *Device) tell(direction packet.Direction, b []byte) {
	if d.tap != nil {
		d.tap(packet.Frame{Link: packet.LinkVsock, Direction: direction, WireLen: len(b), Data: b})
	}
}

// look takes what the device has for us, and sends what it has room for again.
func (d *Device) look() {
	d.receiving.take(func() {
		if d.broken.Load() == nil {
			if err := d.receive(); err != nil && err != errClosed {
				d.fail(err)
			}
		}
	})
	d.Kick()
}

// watch looks at the device without an interrupt: one that was lost would be the last, with event indices.
func (d *Device) watch() {
	ticker := time.NewTicker(d.check)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			d.look()
		case <-d.done:
			return
		}
	}
}

// fail gives the device up, from any goroutine.
func (d *Device) fail(err error) {
	if d.broken.CompareAndSwap(nil, &err) {
		d.device.Fail()
		d.device.Close() // the receiving goroutine is woken, and ends
	}
}

// How long Stop waits for the host to take what was sent, and how often it looks.
const (
	stopPatience = time.Second
	stopInterval = 200 * time.Microsecond
)

// Stop ends the use of the device, which must be attached: what has been sent is taken by the host, unless it doesn't for a
// second. All connections are over then.
func (d *Device) Stop() {
	d.Kick()
	// Another goroutine may be about to send what there was.
	unsent := func() bool { return d.sending.taken() || d.unsent.Load() > 0 }
	for end := time.Now().Add(d.stopPatience); unsent() && d.broken.Load() == nil && time.Now().Before(end); d.Kick() {
		time.Sleep(stopInterval)
	}
	d.stopping.Store(true)
	if d.device.Close() {
		<-d.done
	}
}

// Done is closed when the device is not used any more; Err says why.
func (d *Device) Done() <-chan struct{} { return d.done }

// Err returns how the device has failed; nil if it hasn't, or was stopped.
func (d *Device) Err() error {
	if why := d.broken.Load(); why != nil && *why != errClosed {
		return *why
	}
	return nil
}
