package virtionet

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/hw"
	"wick/packet"
)

// Errors of Transmit. Those about the length come with numbers.
var (
	ErrRingFull   = errors.New("virtionet: transmit queue full")
	ErrTooLong    = errors.New("virtionet: frame too long")
	ErrTooShort   = errors.New("virtionet: frame too short")
	ErrBadOffload = errors.New("virtionet: what is left to the card can't be done to the frame")
	ErrStopped    = errors.New("virtionet: stopped")
)

// txQueue is the transmit queue and the buffers that frames are copied into, as many for each as it needs.
type txQueue struct {
	offload bool // the card completes frames, and one of 64 KiB fits

	mu      sync.Mutex
	queue   *virtio.Queue // guarded by mu, as all below
	addr    uint64
	buffers []byte
	next    []int // buffer behind another, of the same frame or among the free ones
	first   int   // free buffer
	free    int   // buffers

	segments     []virtio.Segment // of the frame that is being sent
	segmentation packet.Segmentation
	frame        []byte    // that segmentation has made
	piece        [1][]byte // frame, in one piece
	stopped      bool      // nothing more is sent
	stuck        bool      // the card has sent nothing for sendPatience; nobody waits until it does
}

// buffersFor returns how many buffers a frame of so many bytes needs.
func buffersFor(length int) int { return (headerSize + length + bufferSize - 1) / bufferSize }

// init makes the queue, for frames of maxFrame bytes and for longer ones if the card cuts them.
func (t *txQueue) init(d *virtio.Device, memory hw.Memory, size, maxFrame int) (err error) {
	offload := d.Features().Has(hostOffloads)
	if size == 0 {
		size = defaultTxBuffers
		if offload {
			size = defaultTxSegmented
		}
	}
	segments := buffersFor(maxFrame)
	if offload {
		segments = buffersFor(maxSegment)
	}
	if t.queue, err = d.NewQueue(transmitQueue, virtio.QueueConfig{Size: size, Segments: segments}); err != nil {
		return err
	}
	m, err := memory.AllocDMA(size * bufferSize)
	if err != nil {
		return err
	}
	t.addr, t.buffers, t.free, t.next = m.Addr, m.Data, size, make([]int, size)
	for i := range t.next {
		t.next[i] = i + 1
	}
	t.segments = make([]virtio.Segment, 0, min(t.queue.Segments(), size))
	t.offload = offload && min(t.queue.Segments(), size) == segments
	if !t.offload {
		t.frame = make([]byte, maxFrame)
	}
	return nil
}

// Transmit sends one Ethernet frame, which is in pieces that are their owner's again when it returns. With no room in the
// queue it waits until the card has sent something, but not for long: then the frame is dropped, and the error is
// ErrRingFull. It is safe for concurrent use.
func (d *Device) Transmit(pieces ...[]byte) error {
	return d.TransmitOffload(packet.Offload{}, pieces...)
}

// TransmitOffload is Transmit for a frame that is to be completed: by the card if it can, else here.
func (d *Device) TransmitOffload(o packet.Offload, pieces ...[]byte) error {
	length := 0
	for _, p := range pieces {
		length += len(p)
	}
	t := &d.tx
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		d.counters.add(TxStopped, 1)
		return ErrStopped
	}
	limit, longest := d.maxFrame(), length // of what is given, and of the frames that go over the wire
	if o.SegmentSize > 0 {
		limit, longest = maxSegment, o.HeaderLen+o.SegmentSize
	}
	switch {
	case length > limit || !t.offload && buffersFor(longest) > cap(t.segments):
		return d.refuseLocked(TxTooLong, o, length, pieces, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLong, length, limit))
	case length < ethernetHeader:
		return d.refuseLocked(TxTooShort, o, length, pieces, fmt.Errorf("%w: %d bytes, limit %d", ErrTooShort, length, ethernetHeader))
	case !o.Fits(length) || longest > d.maxFrame():
		return d.refuseLocked(TxBadOffload, o, length, pieces, ErrBadOffload)
	}
	var err error
	if o.Checksum && !t.offload {
		err = d.completeLocked(o, length, pieces)
	} else {
		err = d.sendLocked(o, length, pieces)
	}
	d.publishLocked()
	return err
}

// completeLocked sends a frame that the card can't complete, or those that are made of it.
func (d *Device) completeLocked(o packet.Offload, length int, pieces [][]byte) error {
	t := &d.tx
	t.segmentation.Begin(o, length, pieces)
	for {
		frame := t.segmentation.Next(t.frame)
		if frame == nil {
			return nil
		}
		t.piece[0] = frame
		if err := d.sendLocked(packet.Offload{}, len(frame), t.piece[:]); err != nil {
			return err // and the rest of the segment is lost, too
		}
	}
}

// sendLocked copies a frame into buffers and puts it into the queue.
func (d *Device) sendLocked(o packet.Offload, length int, pieces [][]byte) error {
	t := &d.tx
	n := buffersFor(length)
	if room, err := d.awaitRoomLocked(n); err != nil {
		d.counters.add(TxStopped, 1)
		return err
	} else if !room {
		return d.refuseLocked(TxRingFull, o, length, pieces, ErrRingFull)
	}
	first := t.first
	header(t.buffer(first)).put(o)
	t.segments = t.segments[:0]
	at, frame := first, packet.PiecesOf(pieces)
	for used := headerSize; ; used = 0 {
		used += len(frame.Next(t.buffer(at)[used:]))
		t.segments = append(t.segments, t.segment(at, used))
		if len(t.segments) == n {
			break
		}
		at = t.next[at]
	}
	if d.tap != nil {
		d.tapSentLocked(o, length, t.buffer(first)[headerSize:min(headerSize+length, bufferSize)], "")
	}
	if err := t.queue.Add(first, t.segments, nil); err != nil {
		return err // can't be: there was room
	}
	t.first = t.next[at]
	t.next[at] = endOfFrame
	t.free -= n
	d.counters.add(TxFrames, 1)
	d.counters.add(TxBytes, length)
	if o.Checksum {
		d.counters.add(TxChecksums, 1)
	}
	if o.SegmentSize > 0 {
		d.counters.add(TxSegments, 1)
	}
	return nil
}

// publishLocked has the card send what is in the queue.
func (d *Device) publishLocked() {
	if d.tx.queue.Publish() {
		d.counters.add(TxNotifications, 1)
	}
}

// endOfFrame is what stands in txQueue.next behind the last buffer of a frame that the card has.
const endOfFrame = -1

func (t *txQueue) buffer(i int) []byte { return t.buffers[i*bufferSize:][:bufferSize:bufferSize] }

func (t *txQueue) segment(i, length int) virtio.Segment {
	return virtio.Segment{Addr: t.addr + uint64(i*bufferSize), Len: uint32(length)}
}

// How long a frame waits for the card to send others, and the end of the use for it to send all. Cards send within
// microseconds of being told, or, if the host is busy, when they get to it; one that takes longer is as good as unplugged.
const (
	sendPatience = time.Second
	stopPatience = 5 * time.Second
)

// awaitLocked looks until done is true or the patience is over, and tells whether it was. It waits by looking: the receiving
// goroutine sends too, so nobody may need to be woken by it.
func awaitLocked(patience time.Duration, done func() bool) bool {
	end := time.Now().Add(patience)
	for looks := 0; !done(); looks++ {
		if looks < 100 {
			runtime.Gosched()
		} else {
			time.Sleep(100 * time.Microsecond) // the card may need our CPU
		}
		if time.Now().After(end) {
			return done()
		}
	}
	return true
}

// awaitRoomLocked waits until n buffers are free and the queue takes a chain of them.
func (d *Device) awaitRoomLocked(n int) (room bool, err error) {
	t := &d.tx
	if t.roomLocked(n) {
		return true, nil
	}
	if err := d.reclaimLocked(); err != nil || t.roomLocked(n) || t.stuck {
		return err == nil && t.roomLocked(n), err
	}
	d.publishLocked() // the card may not have been told of what fills the queue
	d.counters.add(TxWaits, 1)
	t.stuck = !awaitLocked(d.sendPatience, func() bool {
		err = d.reclaimLocked()
		return err != nil || t.roomLocked(n)
	})
	return err == nil && !t.stuck, err
}

func (t *txQueue) roomLocked(n int) bool { return n <= t.free && t.queue.Room(n) }

// reclaimLocked takes back the buffers of what the card has sent.
func (d *Device) reclaimLocked() error {
	t := &d.tx
	for {
		u, ok, err := t.queue.Take()
		if err != nil {
			t.stopped = true
			d.fail(err)
			return err
		}
		if !ok {
			return nil
		}
		t.stuck = false
		for i := u.Token; i != endOfFrame; {
			next := t.next[i]
			t.next[i] = t.first
			t.first = i
			t.free++
			i = next
		}
	}
}

// stopTransmit sends nothing more, and waits until the card has sent what it has, if it is able to.
func (d *Device) stopTransmit() {
	t := &d.tx
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	t.stopped = true
	awaitLocked(d.stopPatience, func() bool {
		return d.broken.Load() != nil || d.reclaimLocked() != nil || t.queue.Outstanding() == 0
	})
}

// refuseLocked counts a frame as dropped before it was sent, and returns err.
func (d *Device) refuseLocked(why Counter, o packet.Offload, length int, pieces [][]byte, err error) error {
	d.counters.add(why, 1)
	if d.tap != nil {
		var start []byte // a copy, since the pieces may be short; this isn't the fast path
		for _, p := range pieces {
			start = append(start, p[:min(len(p), bufferSize-len(start))]...)
		}
		d.tapSentLocked(o, length, start, why.String())
	}
	return err
}

func (d *Device) tapSentLocked(o packet.Offload, length int, data []byte, drop string) {
	f := packet.Frame{Direction: packet.Transmit, WireLen: length, Data: data, Segmented: o.SegmentSize > 0, Drop: drop}
	if o.Checksum {
		f.Checksum = packet.ChecksumOffload
	}
	d.tap(f)
}
