package virtionettest

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"wick/packet"
)

// Values in the header [virtio 5.1.6].
const (
	needsCsum = 1
	gsoNone   = 0
	gsoTCPv4  = 1
	gsoTCPv6  = 4
)

// header is the header of a frame.
type header struct {
	flags, gso            byte
	length, size          int // hdr_len and gso_size
	csumStart, csumOffset int
}

func parse(b []byte) header {
	if len(b) < headerSize {
		panic(fmt.Sprintf("virtionettest: a frame with its header of %d bytes", len(b)))
	}
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(b[at:])) }
	return header{flags: b[0], gso: b[1], length: u16(2), size: u16(4), csumStart: u16(6), csumOffset: u16(8)}
}

// acceptable tells whether a driver with these features takes the frame as it is.
func (h header) acceptable(features uint64) bool {
	switch {
	case h.flags == 0:
		return true
	case features&GuestCSUM == 0:
		return false
	case h.gso == gsoTCPv4:
		return features&GuestTSO4 != 0
	case h.gso == gsoTCPv6:
		return features&GuestTSO6 != 0
	}
	return true
}

// segments returns what goes over the wire of a frame.
func (h header) segments(frame []byte) [][]byte {
	frame = bytes.Clone(frame)
	if h.flags&needsCsum == 0 {
		if h.gso != gsoNone {
			panic(fmt.Sprintf("virtionettest: segmentation without a checksum: %+v", h))
		}
		return [][]byte{frame}
	}
	if h.gso == gsoNone {
		h.complete(frame)
		return [][]byte{frame}
	}
	if h.size == 0 || h.length <= h.csumStart || h.length > len(frame) {
		panic(fmt.Sprintf("virtionettest: header %+v of a frame of %d bytes", h, len(frame)))
	}
	var all [][]byte
	headers, payload := frame[:h.length], frame[h.length:]
	for at := 0; at < len(payload); at += h.size {
		piece := payload[at:min(at+h.size, len(payload))]
		all = append(all, h.segment(headers, piece, at, at+h.size >= len(payload)))
	}
	return all
}

// segment makes one frame of a piece of the payload.
func (h header) segment(headers, piece []byte, at int, last bool) []byte {
	f := append(bytes.Clone(headers), piece...)
	be := binary.BigEndian
	ip, tcp := f[14:h.csumStart], f[h.csumStart:]
	switch h.gso {
	case gsoTCPv4:
		be.PutUint16(ip[2:], uint16(len(f)-14))
		be.PutUint16(ip[4:], be.Uint16(ip[4:])+uint16(at/h.size))
		be.PutUint16(ip[10:], 0)
		be.PutUint16(ip[10:], ^packet.Sum(ip, 0))
	case gsoTCPv6:
		be.PutUint16(ip[4:], uint16(len(f)-14-40))
	}
	be.PutUint32(tcp[4:], be.Uint32(tcp[4:])+uint32(at))
	if !last {
		tcp[13] &^= 0x09 // FIN, PSH
	}
	// The sum of the pseudo header has the length of the whole; that of the piece takes its place.
	sum := be.Uint16(tcp[16:])
	whole := uint16(len(headers) - h.csumStart + h.payload(headers))
	sum = packet.Sum([]byte{byte(^whole >> 8), byte(^whole), byte(len(tcp) >> 8), byte(len(tcp))}, sum)
	be.PutUint16(tcp[16:], sum)
	h.complete(f)
	return f
}

// payload returns the length of the payload that the IP header tells of.
func (h header) payload(headers []byte) int {
	if h.gso == gsoTCPv4 {
		return int(binary.BigEndian.Uint16(headers[14+2:])) - (h.length - 14)
	}
	return int(binary.BigEndian.Uint16(headers[14+4:])) - (h.length - 14 - 40)
}

// complete puts in the checksum.
func (h header) complete(frame []byte) {
	if h.csumStart+h.csumOffset+2 > len(frame) {
		panic(fmt.Sprintf("virtionettest: header %+v of a frame of %d bytes", h, len(frame)))
	}
	sum := ^packet.Sum(frame[h.csumStart:], 0)
	if sum == 0 {
		sum = 0xFFFF // of UDP; for TCP it is the same
	}
	binary.BigEndian.PutUint16(frame[h.csumStart+h.csumOffset:], sum)
}
