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
	ErrRingFull = errors.New("e1000: transmit ring full")
	ErrTooLong  = errors.New("e1000: frame too long")
	ErrTooShort = errors.New("e1000: frame too short")
	ErrStopped  = errors.New("e1000: stopped")
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
}

func (r *txRing) init(memory hw.Allocator, size int) error {
	if size == 0 {
		size = defaultTxDescriptors
	}
	table, buffers, err := r.alloc(memory, size)
	if err != nil {
		return err
	}
	r.descriptors = hw.View[txDesc](table)
	for i := range r.descriptors {
		r.descriptors[i].address.Store(buffers + uint64(i*bufferSize))
	}
	return nil
}

// Transmit sends one Ethernet frame, which is in pieces that are their owner's again when it returns.
// It doesn't wait: with no room in the ring the frame is dropped, and the error is ErrRingFull.
// A frame that is too long or too short is a *LengthError. It is safe for concurrent use.
func (d *Device) Transmit(pieces ...[]byte) error {
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
	// The descriptor at tail is never the card's, and neither is its buffer.
	frame := r.assembleLocked(pieces)
	switch {
	case length > maxFrame:
		d.dropSentLocked(TxTooLong, length, frame)
		return &LengthError{Got: length, Limit: maxFrame, Err: ErrTooLong}
	case length < headerSize:
		d.dropSentLocked(TxTooShort, length, frame)
		return &LengthError{Got: length, Limit: headerSize, Err: ErrTooShort}
	case !r.roomLocked():
		d.dropSentLocked(TxRingFull, length, frame)
		return ErrRingFull
	}
	frame = pad(frame)
	if d.tap != nil {
		d.tap(packet.Frame{Direction: packet.Transmit, WireLen: len(frame), Data: frame})
	}
	d.counters.add(TxFrames, 1)
	d.counters.add(TxBytes, len(frame))

	// This also takes back the DD of the last round.
	control := txControl(len(frame)) | txEOP | txIFCS | txRS
	r.descriptors[r.tail].control.Store(uint64(control))
	if r.tail++; r.tail == r.size {
		r.tail = 0
	}
	r.used++
	store(d, regTDT, raw(r.tail)) // after the descriptor: see hw.Registers
	return nil
}

// assembleLocked puts the pieces into the buffer of the next descriptor, as far as they fit.
func (r *txRing) assembleLocked(pieces [][]byte) []byte {
	buffer := r.buffer(r.tail)
	n := 0
	for _, p := range pieces {
		n += copy(buffer[n:], p)
	}
	return buffer[:n]
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

// roomLocked tells whether there is a descriptor for a frame. Only when there seems to be none
// does it look at which ones the card is done with.
func (r *txRing) roomLocked() bool {
	if r.used < r.size-1 {
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
	return r.used < r.size-1
}

// dropSentLocked counts a frame as dropped before it was sent.
func (d *Device) dropSentLocked(why Counter, length int, frame []byte) {
	d.counters.add(why, 1)
	if d.tap != nil {
		d.tap(packet.Frame{Direction: packet.Transmit, WireLen: length, Data: frame, Drop: why.String()})
	}
}
