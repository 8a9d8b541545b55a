package virtiovsock

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/hw"
	"wick/packet"
	"wick/vsock"
)

// pool is a queue, and as many buffers as it takes, each of one segment.
type pool struct {
	queue   *virtio.Queue
	count   int
	size    int // of a buffer, in bytes
	addr    uint64
	buffers []byte
	free    []int // buffers that the device hasn't got; of the tx queue only
}

func (p *pool) init(d *virtio.Device, memory hw.Memory, queue uint16, count, size int) (err error) {
	if p.queue, err = d.NewQueue(queue, virtio.QueueConfig{Size: count, Segments: 1}); err != nil {
		return err
	}
	p.count, p.size = p.queue.Size(), size
	m, err := memory.AllocDMA(p.count * size)
	if err != nil {
		return err
	}
	p.addr, p.buffers = m.Addr, m.Data
	for i := range p.count {
		p.free = append(p.free, i)
	}
	return nil
}

func (p *pool) buffer(i int) []byte { return p.buffers[i*p.size:][:p.size:p.size] }

// give adds a buffer for the device to write into.
func (p *pool) give(i int) error {
	return p.queue.Add(i, nil, []virtio.Segment{{Addr: p.addr + uint64(i*p.size), Len: uint32(p.size)}})
}

// send adds the first n bytes of a buffer for the device to read.
func (p *pool) send(i, n int) error {
	return p.queue.Add(i, []virtio.Segment{{Addr: p.addr + uint64(i*p.size), Len: uint32(n)}}, nil)
}

// turn gives work to one goroutine at a time, without making any wait.
type turn struct{ calls atomic.Int64 }

// take does the work, and again if it was called for meanwhile. If another goroutine is at it, that one does.
func (t *turn) take(work func()) {
	if t.calls.Add(1) != 1 {
		return
	}
	for n := int64(1); n != 0; {
		work()
		n = t.calls.Add(-n)
	}
}

// taken tells whether somebody is at it.
func (t *turn) taken() bool { return t.calls.Load() != 0 }

// wait waits until nobody is at it.
func (t *turn) wait() {
	for t.taken() {
		time.Sleep(stopInterval)
	}
}

// batch is after how many buffers the device is told of them, in case it has run out.
const batch = 8

// receive takes what is in the event and rx queues until there is nothing more and the next thing interrupts.
func (d *Device) receive() error {
	for {
		if err := d.takeEvents(); err != nil {
			return err
		}
		some, err := d.takePackets()
		if err != nil {
			return err
		}
		if !some && !d.rx.queue.EnableInterrupts() && !d.events.queue.EnableInterrupts() {
			return nil
		}
		// Let those run who got the data, then look for more: under load that is cheaper than another interrupt.
		runtime.Gosched()
	}
}

// takePackets hands what has come to the endpoint, and tells whether there was anything.
func (d *Device) takePackets() (some bool, err error) {
	q := d.rx.queue
	for owed := 0; ; {
		if err := d.awaitAnswers(); err != nil {
			return some, err
		}
		u, ok, err := q.Take()
		if err != nil || !ok {
			q.Publish()
			return some, err
		}
		some = true
		d.input(d.rx.buffer(u.Token)[:u.Written])
		if err := d.rx.give(u.Token); err != nil {
			return some, err
		}
		if owed++; owed == batch {
			q.Publish()
			owed = 0
		}
	}
}

// input hands one packet on.
func (d *Device) input(b []byte) {
	d.tell(packet.Receive, b)
	drop := d.handOn(b)
	if d.settle != nil {
		d.settle(drop)
	}
}

// handOn returns why a packet was dropped, "" if it wasn't.
func (d *Device) handOn(b []byte) (drop string) {
	h, err := vsock.ParseHeader(b)
	if err != nil {
		d.counters.add(RxMalformed)
		return RxMalformed.String()
	}
	return d.endpoint.Input(&h, b[vsock.HeaderSize:])
}

// awaitAnswers waits while too many answers to strangers are to be sent: the host has to take some before it gets to send
// more.
func (d *Device) awaitAnswers() error {
	for d.endpoint.Congested() {
		if d.Kick(); !d.endpoint.Congested() {
			break
		}
		if d.broken.Load() != nil || d.stopping.Load() {
			return errClosed
		}
		time.Sleep(stopInterval)
	}
	return nil
}

// takeEvents does what the device says has happened.
func (d *Device) takeEvents() error {
	for {
		u, ok, err := d.events.queue.Take()
		if err != nil {
			return err
		}
		if !ok {
			d.events.queue.Publish()
			return nil
		}
		b := d.events.buffer(u.Token)[:u.Written]
		if len(b) < eventSize || binary.LittleEndian.Uint32(b) != eventTransportReset {
			d.counters.add(EventsUnknown)
		} else {
			d.counters.add(TransportResets)
			// The address may be another one now; the driver must not keep connections [virtio 5.10.6.7].
			if err := d.readCID(); err != nil {
				return err
			}
			d.endpoint.Abort()
		}
		if err := d.events.give(u.Token); err != nil {
			return err
		}
	}
}

// Kick sends what the endpoint has to be sent, as far as there is room. It never waits: the rest goes when the device has
// made room.
func (d *Device) Kick() {
	d.sending.take(func() {
		if d.endpoint == nil || d.broken.Load() != nil {
			return
		}
		if err := d.send(); err != nil {
			d.fail(err)
		}
	})
}

// send fills the tx queue.
func (d *Device) send() error {
	for owed := 0; ; owed++ {
		if owed == batch {
			d.publish()
			owed = 0
		}
		if len(d.tx.free) == 0 {
			d.publish()
			if room, err := d.reclaim(); err != nil || !room {
				return err
			}
		}
		i := d.tx.free[len(d.tx.free)-1]
		b := d.tx.buffer(i)
		n, err := d.endpoint.Output(b)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		d.tell(packet.Transmit, b[:n])
		d.tx.free = d.tx.free[:len(d.tx.free)-1]
		if err := d.tx.send(i, n); err != nil {
			return err
		}
	}
	d.publish()
	_, err := d.takeSent()
	d.unsent.Store(int32(d.tx.queue.Outstanding()))
	return err
}

func (d *Device) publish() {
	if d.tx.queue.Publish() {
		d.counters.add(TxNotifications)
	}
}

// reclaim takes back what the device has sent. If that is nothing, it is false, and the device interrupts when it has.
func (d *Device) reclaim() (room bool, err error) {
	for {
		if room, err = d.takeSent(); room || err != nil {
			d.tx.queue.DisableInterrupts()
			return room, err
		}
		if !d.tx.queue.EnableInterrupts() {
			d.counters.add(TxWaits)
			d.unsent.Store(int32(d.tx.queue.Outstanding()))
			return false, nil
		}
	}
}

func (d *Device) takeSent() (some bool, err error) {
	for {
		u, ok, err := d.tx.queue.Take()
		if err != nil || !ok {
			return some, err
		}
		some = true
		d.tx.free = append(d.tx.free, u.Token)
	}
}
