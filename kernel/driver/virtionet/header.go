package virtionet

import (
	"encoding/binary"

	"wick/packet"
)

// header is what stands before each frame, little-endian [virtio 5.1.6].
//
//	 7          0 15         0 15          0 15         0
//	+------------+------------+-------------------------+
//	|   flags    |  gso_type  |         hdr_len         |
//	+------------+------------+-------------------------+
//	|        gso_size         |       csum_start        |
//	+-------------------------+-------------------------+
//	|       csum_offset       |       num_buffers       |
//	+-------------------------+-------------------------+
type header []byte

const headerSize = 12

// Bits of flags.
const (
	flagNeedsCsum byte = 1 << 0 // the checksum is to be completed
	flagDataValid byte = 1 << 1 // the checksum has been verified
)

// Values of gso_type.
const (
	gsoNone  byte = 0
	gsoTCPv4 byte = 1
	gsoTCPv6 byte = 4
)

func (h header) flags() byte         { return h[0] }
func (h header) gsoType() byte       { return h[1] }
func (h header) gsoSize() int        { return int(binary.LittleEndian.Uint16(h[4:])) }
func (h header) checksumStart() int  { return int(binary.LittleEndian.Uint16(h[6:])) }
func (h header) checksumOffset() int { return int(binary.LittleEndian.Uint16(h[8:])) }
func (h header) numBuffers() int     { return int(binary.LittleEndian.Uint16(h[10:])) }

// put writes the header of a frame to be sent; num_buffers is 0 [virtio 5.1.6.2.1].
func (h header) put(o packet.Offload) {
	clear(h[:headerSize])
	if o.Checksum {
		h[0] = flagNeedsCsum
		binary.LittleEndian.PutUint16(h[6:], uint16(o.ChecksumStart))
		binary.LittleEndian.PutUint16(h[8:], uint16(o.ChecksumOffset))
	}
	if o.SegmentSize > 0 {
		h[1] = gsoTCPv4
		if o.IPv6 {
			h[1] = gsoTCPv6
		}
		binary.LittleEndian.PutUint16(h[2:], uint16(o.HeaderLen))
		binary.LittleEndian.PutUint16(h[4:], uint16(o.SegmentSize))
	}
}
