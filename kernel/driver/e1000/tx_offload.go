package e1000

import (
	"encoding/binary"

	"wick/packet"
)

// maxSegment is the length of the longest frame that is cut into others, in bytes.
const maxSegment = headerSize + 1<<16 - 1

// leastOffload is the length of the shortest frame, in bytes, for which a context descriptor costs less than the sum.
const leastOffload = 256

// Places in headers, in bytes.
const (
	ipv4LengthAt   = 2
	ipv4ChecksumAt = 10
)

// completes tells whether the card is the one to complete a frame of so many bytes. It isn't for TCP segments over IPv6: QEMU's card
// writes the length of the whole packet, with the header, into the header [RFC 8200 3].
func (d *Device) completes(o packet.Offload, length int) bool {
	return o.Checksum && !d.whole && length >= leastOffload && !(o.SegmentSize > 0 && o.IPv6) && descriptorsFor(length) < d.tx.size
}

// descriptorsFor returns how many descriptors a frame of so many bytes needs that the card completes.
func descriptorsFor(length int) int { return 1 + (length+bufferSize-1)/bufferSize }

// sendOffloadLocked gives a frame to the card to be completed.
func (d *Device) sendOffloadLocked(o packet.Offload, length int, pieces [][]byte) error {
	r := &d.tx
	frame := packet.PiecesOf(pieces)
	// The headers, in the first data descriptor's buffer, say what goes into the context descriptor before it.
	part := frame.Next(r.buffer(r.after(r.tail)))
	if !r.roomLocked(descriptorsFor(length)) {
		d.dropSentLocked(TxRingFull, o, length, part)
		return ErrRingFull
	}
	d.tellSentLocked(o, length, part, "")
	d.counters.add(TxFrames, 1)
	d.counters.add(TxBytes, length)
	d.counters.add(TxChecksums, 1)
	options := txTXSM
	if o.SegmentSize > 0 {
		d.counters.add(TxSegments, 1)
		options |= txIXSM | txTSE
		prepare(part, o, length)
	}
	r.putLocked(context(o, length))
	for left := length; ; part = frame.Next(r.buffer(r.tail)) {
		control := txDEXT | txDTYPData | txIFCS | options | txControl(len(part))
		if left -= len(part); left == 0 {
			r.putLocked(r.bufferAddr(r.tail), control|txEOP)
			break
		}
		r.putLocked(r.bufferAddr(r.tail), control)
	}
	store(d, regTDT, raw(r.tail)) // after the descriptors: see hw.Registers
	return nil
}

// prepare makes the headers of a segment what the card expects, which fills in lengths and the checksum of IP, and adds the length
// to the sum of the pseudo header [8254x 3.5.3].
func prepare(headers []byte, o packet.Offload, length int) {
	be := binary.BigEndian
	ip, sum := headers[headerSize:], headers[o.ChecksumStart+o.ChecksumOffset:]
	be.PutUint16(ip[ipv4LengthAt:], 0)
	be.PutUint16(ip[ipv4ChecksumAt:], 0)
	without := uint32(be.Uint16(sum)) + uint32(^uint16(length-o.ChecksumStart)) // in ones' complement [RFC 1071]
	be.PutUint16(sum, uint16(without+without>>16))
}

// context returns the two halves of the context descriptor.
func context(o packet.Offload, length int) (offsets uint64, control txControl) {
	offsets = headerSize | (headerSize+ipv4ChecksumAt)<<contextIPCSO | uint64(o.ChecksumStart-1)<<contextIPCSE |
		uint64(o.ChecksumStart)<<contextTUCSS | uint64(o.ChecksumStart+o.ChecksumOffset)<<contextTUCSO // TUCSE 0: to the end
	control = txDEXT | txContextTCP | txContextIPv4
	if o.SegmentSize > 0 {
		control |= txTSE | txControl(length-o.HeaderLen) | txControl(o.HeaderLen)<<contextHDRLEN | txControl(o.SegmentSize)<<contextMSS
	}
	return offsets, control
}
