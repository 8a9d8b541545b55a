package e1000

import (
	"errors"
	"strconv"
	"sync"

	"wick/kernel/hw"
	"wick/packet"
)

// Errors of Transmit. Those about the length come as a *LengthError.
var (
	ErrRingFull   = errors.New("e1000: transmit ring full")
	ErrTooLong    = errors.New("e1000: frame too long")
	ErrTooShort   = errors.New("e1000: frame too short")
	ErrStopped    = errors.New("e1000: stopped")
	ErrBadOffload = errors.New("e1000: what is left to the card can't be done to the frame")
)

// LengthError says that a frame can't be sent because of its length.
type LengthError struct {
	Got   int // bytes
	Limit int // bytes
	Err   error
}

func (e *LengthError) Error() string {
	return e.Err.Error() + ": got " + strconv.Itoa(e.Got) + " bytes, limit " + strconv.Itoa(e.Limit)
}

// Unwrap returns ErrTooLong or ErrTooShort.
func (e *LengthError) Unwrap() error { return e.Err }

// txRing is the transmit ring.
//
// The card owns the descriptors from oldest to tail-1. One is always free, so that TDH = TDT means
// that it owns none [8254x 3.4].
type txRing struct {
	ring
	mu          sync.Mutex
	descriptors []txDesc // guarded by mu, as the buffers are
	tail        int      // guarded by mu; descriptor that is filled next
	used        int      // guarded by mu; descriptors that the card may still own
	stopped     bool     // guarded by mu; nothing more is sent

	segmentation packet.Segmentation // guarded by mu
}

func (r *txRing) init(memory hw.Allocator, size int) error {
	if size == 0 {
		size = defaultTxDescriptors
	}
	table, err := r.alloc(memory, size)
	if err != nil {
		return err
	}
	r.descriptors = hw.View[txDesc](table)
	return nil
}

// Transmit sends one Ethernet frame, which is in pieces that are their owner's again when it returns.
// It doesn't wait: with no room in the ring the frame is dropped, and the error is ErrRingFull.
// A frame that is too long or too short is a *LengthError. It is safe for concurrent use.
func (d *Device) Transmit(pieces ...[]byte) error {
	return d.TransmitOffload(packet.Offload{}, pieces...)
}

// TransmitOffload is Transmit for a frame that is to be completed: by the card, where it can and that pays, else here.
func (d *Device) TransmitOffload(o packet.Offload, pieces ...[]byte) error {
	length := 0
	for _, p := range pieces {
		length += len(p)
	}
	r := &d.tx
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		d.counters.add(TxStopped, 1)
		return ErrStopped
	}
	limit, longest := maxFrame, length // of what is given, and of the frames that go over the wire
	if o.SegmentSize > 0 {
		limit, longest = maxSegment, o.HeaderLen+o.SegmentSize
	}
	switch {
	case length > limit:
		return d.refuseLocked(TxTooLong, o, length, pieces, &LengthError{Got: length, Limit: limit, Err: ErrTooLong})
	case length < headerSize:
		return d.refuseLocked(TxTooShort, o, length, pieces, &LengthError{Got: length, Limit: headerSize, Err: ErrTooShort})
	case !o.Fits(length) || longest > maxFrame:
		return d.refuseLocked(TxBadOffload, o, length, pieces, ErrBadOffload)
	case d.completes(o, length):
		return d.sendOffloadLocked(o, length, pieces)
	}
	err := d.sendFramesLocked(o, length, pieces)
	store(d, regTDT, raw(r.tail)) // after the descriptors: see hw.Registers
	return err
}

// sendFramesLocked completes a frame, or makes several of it, and fills a descriptor for each.
func (d *Device) sendFramesLocked(o packet.Offload, length int, pieces [][]byte) error {
	r := &d.tx
	r.segmentation.Begin(o, length, pieces)
	for {
		// The descriptor at tail is never the card's, and neither is its buffer.
		frame := r.segmentation.Next(r.buffer(r.tail))
		if frame == nil {
			return nil
		}
		if !r.roomLocked(1) {
			store(d, regTDT, raw(r.tail)) // QEMU's card makes room at once
			if !r.roomLocked(1) {
				d.dropSentLocked(TxRingFull, packet.Offload{}, len(frame), frame)
				return ErrRingFull // and the rest of the segment is lost, too
			}
		}
		frame = pad(frame)
		d.tellSentLocked(packet.Offload{}, len(frame), frame, "")
		d.counters.add(TxFrames, 1)
		d.counters.add(TxBytes, len(frame))
		r.putLocked(r.bufferAddr(r.tail), txControl(len(frame))|txEOP|txIFCS)
	}
}

// putLocked fills the next descriptor. The card reports each one as done, so that none is waited for in vain.
func (r *txRing) putLocked(address uint64, control txControl) {
	r.descriptors[r.tail].address.Store(address)
	r.descriptors[r.tail].control.Store(uint64(control | txRS)) // this also takes back the DD of the last round
	r.tail = r.after(r.tail)
	r.used++
}

// pad makes a frame as long as Ethernet demands; QEMU's card doesn't, whatever TCTL.PSP says.
func pad(frame []byte) []byte {
	n := len(frame)
	if n >= minFrame {
		return frame
	}
	frame = frame[:minFrame]
	clear(frame[n:])
	return frame
}

// roomLocked tells whether there are n free descriptors. Only when there seem to be too few
// does it look at which ones the card is done with.
func (r *txRing) roomLocked(n int) bool {
	if r.used+n < r.size {
		return true
	}
	for r.used > 0 {
		oldest := r.tail - r.used
		if oldest < 0 {
			oldest += r.size
		}
		if txControl(r.descriptors[oldest].control.Load())&txDD == 0 {
			break
		}
		r.used--
	}
	return r.used+n < r.size
}

// refuseLocked counts a frame of so many bytes as dropped before it was sent, and returns err.
func (d *Device) refuseLocked(why Counter, o packet.Offload, length int, pieces [][]byte, err error) error {
	frame := packet.PiecesOf(pieces)
	d.dropSentLocked(why, o, length, frame.Next(d.tx.buffer(d.tx.tail)))
	return err
}

// dropSentLocked counts a frame, of which start is there, as dropped before it was sent.
func (d *Device) dropSentLocked(why Counter, o packet.Offload, length int, start []byte) {
	d.counters.add(why, 1)
	d.tellSentLocked(o, length, start, why.String())
}

// tellSentLocked tells the tap of a frame, of which start is there.
func (d *Device) tellSentLocked(o packet.Offload, length int, start []byte, drop string) {
	if d.tap == nil {
		return
	}
	f := packet.Frame{Direction: packet.Transmit, WireLen: length, Data: start, Segmented: o.SegmentSize > 0, Drop: drop}
	if o.Checksum {
		f.Checksum = packet.ChecksumOffload
	}
	d.tap(f)
}
