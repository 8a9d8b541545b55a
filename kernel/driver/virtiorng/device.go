// Package virtiorng drives virtio entropy devices, by "Virtual I/O Device (VIRTIO) Version 1.2", cited as [virtio]: it reads
// random bytes that the host has made.
//
// The device has at most one buffer, and only once somebody wants bytes. One that is never answered stays its own; whoever
// reads then waits for that one again, for as long as he wants to wait.
package virtiorng

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/hw"
)

// requestQueue is the only queue [virtio 5.4.2].
const requestQueue = 0

// bufferSize is how many bytes are asked for at once.
const bufferSize = 64

// maxEmpty is how many buffers in a row may come back with nothing in them, where there must be a byte [virtio 5.4.6.2].
const maxEmpty = 16

// Errors of New and Read. Those of Read come for good, except ErrSilent.
var (
	ErrNotEntropy = errors.New("virtiorng: not an entropy device")
	ErrSilent     = errors.New("virtiorng: the device doesn't answer")
	ErrEmpty      = errors.New("virtiorng: the device gives back buffers without a byte")
)

// Config is what a Device is made of.
type Config struct {
	Transport virtio.Transport
	Memory    hw.Memory

	// CheckInterval is how often a reader looks without an interrupt, in case one was lost; 0 for the default.
	CheckInterval time.Duration
}

const defaultCheckInterval = 100 * time.Millisecond

// Device is one device.
type Device struct {
	device *virtio.Device
	check  time.Duration
	wake   chan struct{} // an interrupt has come
	done   chan struct{} // no more will come
	ended  error         // why; set before done is closed

	mu     sync.Mutex    // held while somebody reads
	queue  *virtio.Queue // guarded by mu, as all below
	addr   uint64
	buffer []byte
	asked  bool  // the device has the buffer
	err    error // nothing can be read any more
}

// New sets up a device. The errors are those of this package, of package virtio, and of the allocator.
func New(c Config) (*Device, error) {
	if kind := c.Transport.Type(); kind != virtio.TypeEntropy {
		return nil, fmt.Errorf("%w but a %v", ErrNotEntropy, kind)
	}
	device, err := virtio.Open(c.Transport, c.Memory, nil)
	if err != nil {
		return nil, err
	}
	d := &Device{device: device, check: c.CheckInterval, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if d.check == 0 {
		d.check = defaultCheckInterval
	}
	if err := d.setUp(c.Memory); err != nil {
		device.Fail()
		return nil, err
	}
	go d.run()
	return d, nil
}

func (d *Device) setUp(memory hw.Memory) (err error) {
	if d.queue, err = d.device.NewQueue(requestQueue, virtio.QueueConfig{Size: 2, Segments: 1}); err != nil {
		return err
	}
	m, err := memory.AllocDMA(bufferSize)
	if err != nil {
		return err
	}
	d.addr, d.buffer = m.Addr, m.Data
	return d.device.Start()
}

// run waits for the interrupt.
func (d *Device) run() {
	defer close(d.done)
	d.ended = d.device.Serve(func(bool) error {
		select {
		case d.wake <- struct{}{}:
		default:
		}
		return nil
	})
}

// Read fills b. It waits for the device, but no longer than patience in all: then the error is ErrSilent. What it has read
// until an error is in b, and counted.
func (d *Device) Read(b []byte, patience time.Duration) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	deadline := time.Now().Add(patience)
	for empty := 0; n < len(b); {
		got, err := d.takeLocked(deadline)
		if err != nil {
			return n, err
		}
		if got > 0 {
			n += copy(b[n:], d.buffer[:got])
			clear(d.buffer) // nobody reads them twice
			empty = 0
		} else if empty++; empty == maxEmpty {
			return n, d.failLocked(ErrEmpty)
		}
	}
	return n, nil
}

// takeLocked has the device fill the buffer, and returns how many bytes it has written.
func (d *Device) takeLocked(deadline time.Time) (n int, err error) {
	if d.err != nil {
		return 0, d.err
	}
	if !d.asked {
		if err := d.queue.Add(0, nil, []virtio.Segment{{Addr: d.addr, Len: bufferSize}}); err != nil {
			return 0, d.failLocked(err)
		}
		d.asked = true
		d.queue.Publish()
	}
	for {
		u, ok, err := d.queue.Take()
		if err != nil {
			return 0, d.failLocked(err)
		}
		if ok {
			d.queue.DisableInterrupts()
			d.asked = false
			return u.Written, nil
		}
		if d.queue.EnableInterrupts() {
			continue
		}
		wait := min(d.check, time.Until(deadline))
		if wait <= 0 {
			return 0, ErrSilent
		}
		select {
		case <-d.wake:
		case <-time.After(wait):
		case <-d.done:
			return 0, d.failLocked(d.ended)
		}
	}
}

// failLocked gives the device up.
func (d *Device) failLocked(err error) error {
	d.err = err
	d.device.Close()
	<-d.done
	d.device.Fail()
	d.device.Reset() // one that doesn't end changes nothing: the device isn't used any more
	return err
}
