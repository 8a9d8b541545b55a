// Package virtioconsole drives one port of a virtio console device, which is a byte channel to the host, by "Virtual I/O
// Device (VIRTIO) Version 1.2", cited as [virtio].
//
// The port is a generic one, chosen by its name; ports of that kind hold the sender back when the host is slow, where QEMU's
// consoles throw away. Bytes move by the buffer and not, as on a serial port, one by one.
//
// One goroutine answers the interrupt: it negotiates the port and wakes who waits to read or to write. For what has been sent
// the device interrupts only if somebody waits for it. Another one looks now and then whether an interrupt was lost.
//
// Port.mu is the only lock.
package virtioconsole

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/hw"
)

// featureMultiport: the device has ports, told of by messages [virtio 5.3.3].
const featureMultiport virtio.Features = 1 << 1

// Queues [virtio 5.3.2]. The driver serves the port of number 1: the first that is no console.
const (
	controlReceiveQueue  = 2
	controlTransmitQueue = 3
	receiveQueue         = 4
	transmitQueue        = 5
	portNumber           = 1
)

// Sizes of the queues in buffers, and of the buffers in bytes.
const (
	dataBuffers    = 16
	controlBuffers = 16
	bufferSize     = 8 << 10 // more than the largest frame of package console
	controlSize    = 256     // a message with a name
)

// Errors of New and of a Port.
var (
	ErrNotConsole = errors.New("virtioconsole: not a console device")
	ErrNoPorts    = errors.New("virtioconsole: the device has no ports")
	ErrNoPort     = errors.New("virtioconsole: the device has no port of that name")
)

// Config is what a Port is made of.
type Config struct {
	Transport virtio.Transport
	Memory    hw.Memory
	Name      string // of the port

	// CheckInterval is how often the device is looked at without an interrupt, in case one was lost; 0 for the default.
	CheckInterval time.Duration
}

const defaultCheckInterval = time.Second

// Port is a byte channel to the host. One goroutine may read and several write at a time.
type Port struct {
	device *virtio.Device
	name   string
	check  time.Duration
	ended  chan struct{} // closed when the device isn't used any more

	mu      sync.Mutex
	changed sync.Cond // of mu; something below has
	rx, tx  lane      // guarded by mu, as all that follow are
	control struct{ rx, tx lane }
	open    bool    // both ends are
	filled  []piece // what has been received, oldest first
	err     error   // nothing goes any more
}

// lane is a queue with a buffer for each of its descriptors.
type lane struct {
	queue *virtio.Queue
	addr  uint64
	data  []byte
	size  int   // of a buffer, bytes
	free  []int // buffers that the driver has
}

// piece is what is left of a received buffer.
type piece struct {
	buffer int
	bytes  []byte
}

// New takes over a device and opens its port. It waits until the host has told of the port, which it does at once, or until
// the timeout. The errors are those of this package, of package virtio, and of the allocator.
func New(c Config, timeout time.Duration) (*Port, error) {
	if kind := c.Transport.Type(); kind != virtio.TypeConsole {
		return nil, fmt.Errorf("%w but of type %d", ErrNotConsole, kind)
	}
	device, err := virtio.Open(c.Transport, c.Memory, func(virtio.Features) virtio.Features { return featureMultiport })
	if err != nil {
		return nil, err
	}
	p := &Port{device: device, name: c.Name, check: c.CheckInterval, ended: make(chan struct{})}
	if p.check == 0 {
		p.check = defaultCheckInterval
	}
	p.changed.L = &p.mu
	if err := p.setUp(c.Memory); err != nil {
		device.Fail()
		return nil, err
	}
	go p.run()
	go p.watch()
	if err := p.await(time.Now().Add(timeout), func() bool { return p.open }); err != nil {
		device.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w: %q within %v", ErrNoPort, c.Name, timeout)
		}
		return nil, err
	}
	return p, nil
}

func (p *Port) setUp(memory hw.Memory) error {
	if !p.device.Features().Has(featureMultiport) {
		return ErrNoPorts
	}
	for _, l := range []struct {
		lane          *lane
		queue         uint16
		buffers, size int
		receives      bool
	}{
		{&p.control.rx, controlReceiveQueue, controlBuffers, controlSize, true},
		{&p.control.tx, controlTransmitQueue, controlBuffers, controlSize, false},
		{&p.rx, receiveQueue, dataBuffers, bufferSize, true},
		{&p.tx, transmitQueue, dataBuffers, bufferSize, false},
	} {
		if err := l.lane.init(p.device, memory, l.queue, l.buffers, l.size, l.receives); err != nil {
			return err
		}
	}
	if err := p.device.Start(); err != nil {
		return err
	}
	p.control.rx.queue.Publish()
	p.rx.queue.Publish()
	return p.tell(controlDeviceReady, badPort, 1)
}

func (l *lane) init(d *virtio.Device, memory hw.Memory, queue uint16, buffers, size int, receives bool) (err error) {
	if l.queue, err = d.NewQueue(queue, virtio.QueueConfig{Size: buffers, Segments: 1}); err != nil {
		return err
	}
	buffers = l.queue.Size()
	m, err := memory.AllocDMA(buffers * size)
	if err != nil {
		return err
	}
	l.addr, l.data, l.size = m.Addr, m.Data, size
	for i := range buffers {
		if !receives {
			l.free = append(l.free, i)
		} else if err := l.give(i); err != nil {
			return err
		}
	}
	return nil
}

func (l *lane) buffer(i int) []byte { return l.data[i*l.size:][:l.size:l.size] }

// give lets the device fill a buffer.
func (l *lane) give(i int) error {
	return l.queue.Add(i, nil, []virtio.Segment{{Addr: l.addr + uint64(i*l.size), Len: uint32(l.size)}})
}

// send puts bytes into a free buffer and gives it to the device. It returns how many fitted.
func (l *lane) send(b []byte) (int, error) {
	i := l.free[len(l.free)-1]
	n := copy(l.buffer(i), b)
	if err := l.queue.Add(i, []virtio.Segment{{Addr: l.addr + uint64(i*l.size), Len: uint32(n)}}, nil); err != nil {
		return 0, err
	}
	l.free = l.free[:len(l.free)-1]
	l.queue.Publish()
	return n, nil
}

// reclaim takes back the buffers that the device has read.
func (l *lane) reclaim() error {
	for {
		u, ok, err := l.queue.Take()
		if !ok || err != nil {
			return err
		}
		l.free = append(l.free, u.Token)
	}
}

// run is the goroutine of the interrupt.
func (p *Port) run() {
	defer close(p.ended)
	err := p.device.Serve(func(bool) error { return p.service() })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.changed.Broadcast()
	p.device.Reset() // one that doesn't end changes nothing: the device isn't used any more
}

// watch looks at the device without an interrupt: one that was lost would be the last, with event indices.
func (p *Port) watch() {
	ticker := time.NewTicker(p.check)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-p.ended:
			return
		}
		if err := p.service(); err != nil {
			p.mu.Lock()
			p.failLocked(err)
			p.mu.Unlock()
		}
	}
}

// service does what the device has asked for.
func (p *Port) service() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err // it is being reset, or has been
	}
	for again := true; again; {
		if err := p.controlLocked(); err != nil {
			return err
		}
		if err := p.receiveLocked(); err != nil {
			return err
		}
		again = p.control.rx.queue.EnableInterrupts() || p.rx.queue.EnableInterrupts()
	}
	p.changed.Broadcast() // also who waits for buffers to be sent looks
	return nil
}

// receiveLocked takes what has come.
func (p *Port) receiveLocked() error {
	for {
		u, ok, err := p.rx.queue.Take()
		if !ok || err != nil {
			return err
		}
		if u.Written == 0 {
			if err := p.rx.give(u.Token); err != nil {
				return err
			}
			p.rx.queue.Publish()
			continue
		}
		p.filled = append(p.filled, piece{u.Token, p.rx.buffer(u.Token)[:u.Written]})
	}
}

// Messages about ports [virtio 5.3.6.2].
//
//	 31                              0 15          0 15          0
//	+---------------------------------+-------------+-------------+
//	|           port number           |    event    |    value    |  and a name, with controlPortName
//	+---------------------------------+-------------+-------------+
const (
	controlDeviceReady uint16 = 0 // from the driver: it takes messages
	controlPortAdd     uint16 = 1 // from the device
	controlPortReady   uint16 = 3 // from the driver, answers controlPortAdd: 1 for success
	controlPortOpen    uint16 = 6 // either end has opened its side, or closed it
	controlPortName    uint16 = 7 // from the device

	controlHeader        = 8
	badPort       uint32 = 0xFFFFFFFF
)

// controlLocked answers the messages of the device.
func (p *Port) controlLocked() error {
	l := &p.control.rx
	for {
		u, ok, err := l.queue.Take()
		if !ok || err != nil {
			return err
		}
		if err := p.handleLocked(l.buffer(u.Token)[:u.Written]); err != nil {
			return err
		}
		if err := l.give(u.Token); err != nil {
			return err
		}
		l.queue.Publish()
	}
}

// handleLocked answers one message. Those about other ports, and those that make no sense, are left alone.
func (p *Port) handleLocked(message []byte) error {
	if len(message) < controlHeader || binary.LittleEndian.Uint32(message) != portNumber {
		return nil
	}
	switch binary.LittleEndian.Uint16(message[4:]) {
	case controlPortAdd:
		return p.tell(controlPortReady, portNumber, 1)
	case controlPortName:
		name := strings.TrimRight(string(message[controlHeader:]), "\x00") // QEMU sends one
		if name == p.name && !p.open {
			p.open = true
			return p.tell(controlPortOpen, portNumber, 1)
		}
	}
	return nil
}

// tell sends a message to the device.
func (p *Port) tell(event uint16, port uint32, value uint16) error {
	l := &p.control.tx
	if err := l.reclaim(); err != nil {
		return err
	}
	if len(l.free) == 0 {
		return fmt.Errorf("messages to the device: %w", virtio.ErrQueueFull)
	}
	message := binary.LittleEndian.AppendUint32(nil, port)
	message = binary.LittleEndian.AppendUint16(message, event)
	message = binary.LittleEndian.AppendUint16(message, value)
	_, err := l.send(message)
	return err
}

// await waits until done, which is called with the lock held, is true. The errors are the port's and, at the deadline unless
// that is the zero time, os.ErrDeadlineExceeded.
func (p *Port) await(deadline time.Time, done func() bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.awaitLocked(deadline, done)
}

func (p *Port) awaitLocked(deadline time.Time, done func() bool) error {
	if !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.changed.Broadcast()
		})
		defer timer.Stop()
	}
	for !done() {
		if p.err != nil {
			return p.err
		}
		if !deadline.IsZero() && !time.Now().Before(deadline) {
			return os.ErrDeadlineExceeded
		}
		p.changed.Wait()
	}
	return nil
}

// failLocked gives the device up.
func (p *Port) failLocked(err error) error {
	if p.err == nil {
		p.err = err
		p.changed.Broadcast()
		p.device.Close() // the goroutine of the interrupt sees it, and resets the device
	}
	return p.err
}

// Read reads what has been received, and waits if that is nothing.
func (p *Port) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.awaitLocked(time.Time{}, func() bool { return len(p.filled) > 0 }); err != nil {
		return 0, err
	}
	first := &p.filled[0]
	n := copy(b, first.bytes)
	if first.bytes = first.bytes[n:]; len(first.bytes) > 0 {
		return n, nil
	}
	buffer := first.buffer
	p.filled = append(p.filled[:0], p.filled[1:]...) // there are few
	if p.err != nil {
		return n, nil // it is told when all has been read
	}
	if err := p.rx.give(buffer); err != nil {
		return n, p.failLocked(err)
	}
	p.rx.queue.Publish()
	return n, nil
}

// Write sends b, and waits for the host as long as it takes.
func (p *Port) Write(b []byte) (sent int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for sent < len(b) {
		if err := p.awaitSentLocked(time.Time{}, func() bool { return len(p.tx.free) > 0 }); err != nil {
			return sent, err
		}
		n, err := p.tx.send(b[sent:])
		if err != nil {
			return sent, p.failLocked(err)
		}
		sent += n
	}
	return sent, nil
}

// Flush waits until the host has taken all that Write has returned for, or until the deadline, unless that is the zero time:
// then the error is os.ErrDeadlineExceeded.
func (p *Port) Flush(deadline time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.awaitSentLocked(deadline, func() bool { return p.tx.queue.Outstanding() == 0 })
}

// awaitSentLocked is awaitLocked for what the device has read. It interrupts only for who waits.
func (p *Port) awaitSentLocked(deadline time.Time, done func() bool) error {
	var broken error
	err := p.awaitLocked(deadline, func() bool {
		for p.err == nil { // then the device has been reset
			if broken = p.tx.reclaim(); broken != nil || done() {
				return true
			}
			if !p.tx.queue.EnableInterrupts() {
				return false
			}
		}
		return false
	})
	if broken != nil {
		return p.failLocked(broken)
	}
	return err
}
