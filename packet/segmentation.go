package packet

import "encoding/binary"

// MaxOffloadHeaders bounds the headers of a frame that is left to a card to be cut, in bytes: what an E1000 can be told.
const MaxOffloadHeaders = 255

// Places in headers, in bytes.
const (
	ipv4LengthAt   = 2
	ipv4IDAt       = 4
	ipv4ChecksumAt = 10
	ipv6LengthAt   = 4
	ipv6HeaderSize = 40
	tcpSeqAt       = 4
	tcpFlagsAt     = 13
	tcpChecksumAt  = 16
	minTCPHeader   = 20
	minIPv4Header  = 20
)

// Fits tells whether what is left to the card can be done to an Ethernet frame of so many bytes.
func (o *Offload) Fits(length int) bool {
	if !o.Checksum {
		return o.SegmentSize == 0
	}
	sum := o.ChecksumStart + o.ChecksumOffset
	if o.ChecksumStart < EthernetSize || o.ChecksumOffset < 0 || sum+2 > min(length, MaxOffloadHeaders) {
		return false
	}
	if o.SegmentSize == 0 {
		return true
	}
	network := minIPv4Header
	if o.IPv6 {
		network = ipv6HeaderSize
	}
	return o.SegmentSize > 0 && o.ChecksumStart >= EthernetSize+network && o.ChecksumOffset == tcpChecksumAt &&
		o.HeaderLen >= o.ChecksumStart+minTCPHeader && o.HeaderLen <= min(length, MaxOffloadHeaders)
}

// Pieces is what is left of a frame in pieces.
type Pieces struct {
	pieces [][]byte
	used   int // bytes of the first piece
}

// PiecesOf is the whole of a frame.
func PiecesOf(frame [][]byte) Pieces { return Pieces{pieces: frame} }

// Next copies what comes next to the start of buffer, and returns it: less than fits only at the end.
func (p *Pieces) Next(buffer []byte) []byte {
	n := 0
	for n < len(buffer) && len(p.pieces) > 0 {
		copied := copy(buffer[n:], p.pieces[0][p.used:])
		n += copied
		if p.used += copied; p.used == len(p.pieces[0]) {
			p.pieces, p.used = p.pieces[1:], 0
		}
	}
	return buffer[:n]
}

// Segmentation does what is left to a card, for cards that can't: it makes the frames of one. The zero value is ready for Begin.
type Segmentation struct {
	o       Offload
	pieces  Pieces
	left    int // bytes of pieces
	made    int // frames
	headers [MaxOffloadHeaders]byte
}

// Begin starts with a frame in pieces, of so many bytes in all. The offload must fit it.
func (s *Segmentation) Begin(o Offload, length int, frame [][]byte) {
	s.o, s.pieces, s.left, s.made = o, PiecesOf(frame), length, 0
	if o.SegmentSize == 0 {
		return
	}
	headers := s.pieces.Next(s.headers[:o.HeaderLen])
	s.left -= len(headers)
	// The pseudo header has the length of the whole; each frame adds its own.
	sum := headers[o.ChecksumStart+o.ChecksumOffset:]
	binary.BigEndian.PutUint16(sum, add16(binary.BigEndian.Uint16(sum), ^uint16(length-o.ChecksumStart)))
}

// Next makes the next frame in buffer, and returns it; nil if there are no more. The buffer must have room for HeaderLen +
// SegmentSize bytes, or for the whole frame if it isn't cut.
func (s *Segmentation) Next(buffer []byte) []byte {
	if s.left == 0 && s.made > 0 {
		s.pieces = Pieces{} // they are their owner's again
		return nil
	}
	headers, size := 0, s.left
	if s.o.SegmentSize > 0 {
		headers, size = copy(buffer, s.headers[:s.o.HeaderLen]), min(s.left, s.o.SegmentSize)
	}
	frame := buffer[:headers+len(s.pieces.Next(buffer[headers:headers+size]))]
	s.left -= size
	if s.o.SegmentSize > 0 {
		s.number(frame)
	}
	s.made++
	s.o.complete(frame)
	return frame
}

// number fills in what differs from segment to segment.
func (s *Segmentation) number(frame []byte) {
	be := binary.BigEndian
	ip, tcp := frame[EthernetSize:], frame[s.o.ChecksumStart:]
	if s.o.IPv6 {
		be.PutUint16(ip[ipv6LengthAt:], uint16(len(ip)-ipv6HeaderSize))
	} else {
		be.PutUint16(ip[ipv4LengthAt:], uint16(len(ip)))
		be.PutUint16(ip[ipv4IDAt:], be.Uint16(ip[ipv4IDAt:])+uint16(s.made))
		be.PutUint16(ip[ipv4ChecksumAt:], 0)
		be.PutUint16(ip[ipv4ChecksumAt:], ^Sum(ip[:s.o.ChecksumStart-EthernetSize], 0))
	}
	be.PutUint32(tcp[tcpSeqAt:], be.Uint32(tcp[tcpSeqAt:])+uint32(s.made*s.o.SegmentSize))
	if s.left > 0 {
		tcp[tcpFlagsAt] &^= byte(TCPFIN | TCPPSH)
	}
	be.PutUint16(tcp[tcpChecksumAt:], add16(be.Uint16(tcp[tcpChecksumAt:]), uint16(len(tcp))))
}

// complete fills in the checksum.
func (o *Offload) complete(frame []byte) {
	if !o.Checksum {
		return
	}
	sum := ^Sum(frame[o.ChecksumStart:], 0)
	if sum == 0 {
		sum = 0xFFFF // 0 says that UDP has none; to TCP both are the same [RFC 768]
	}
	binary.BigEndian.PutUint16(frame[o.ChecksumStart+o.ChecksumOffset:], sum)
}
