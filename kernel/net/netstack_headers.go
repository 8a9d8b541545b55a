package net

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// frameHeaders is what a frame's headers say, as far as a linkJudge has to know.
type frameHeaders struct {
	known               bool // it is of a protocol that the engine has
	v6                  bool
	source, destination tcpip.Address // with the zero length if the frame isn't IP
	transport           uint8         // 0 if it isn't known
	body, end           int           // of the transport in the frame, without padding
	fragment            fragmentKey   // the zero value if it is none
	ports               [2]uint16     // of TCP
	flags               header.TCPFlags
}

// fragmentKey tells the datagrams apart that fragments are of [RFC 791 3.2, RFC 8200 4.5].
type fragmentKey struct {
	source, destination tcpip.Address
	id                  uint32
	protocol            uint8 // of IPv4
	v6                  bool
}

func (h *frameHeaders) isFragment() bool { return h.fragment != fragmentKey{} }

func (h *frameHeaders) isTCP() bool {
	return h.transport == uint8(header.TCPProtocolNumber) && !h.isFragment() && h.ports != [2]uint16{}
}

// requests tells whether it is a segment that opens a connection.
func (h *frameHeaders) requests() bool {
	return h.isTCP() && h.flags&(header.TCPFlagSyn|header.TCPFlagAck|header.TCPFlagRst) == header.TCPFlagSyn
}

func (h *frameHeaders) network() tcpip.NetworkProtocolNumber {
	if h.v6 {
		return header.IPv6ProtocolNumber
	}
	return header.IPv4ProtocolNumber
}

func (h *frameHeaders) transportID() stack.TransportEndpointID {
	return stack.TransportEndpointID{RemoteAddress: h.source, RemotePort: h.ports[0], LocalAddress: h.destination, LocalPort: h.ports[1]}
}

// parseHeaders reads a frame, which is not believed anything: where it breaks off, what follows is not known.
func parseHeaders(frame []byte) (h frameHeaders) {
	if len(frame) < header.EthernetMinimumSize {
		return h
	}
	switch header.Ethernet(frame).Type() {
	case header.IPv4ProtocolNumber:
		h.known = true
		h.ipv4(frame)
	case header.IPv6ProtocolNumber:
		h.known = true
		h.ipv6(frame)
	case header.ARPProtocolNumber:
		h.known = true
	}
	if h.transport == uint8(header.TCPProtocolNumber) && h.end-h.body >= header.TCPMinimumSize && h.end <= len(frame) {
		t := header.TCP(frame[h.body:h.end])
		h.ports, h.flags = [2]uint16{t.SourcePort(), t.DestinationPort()}, t.Flags()
	}
	return h
}

func (h *frameHeaders) ipv4(frame []byte) {
	ip := header.IPv4(frame[header.EthernetMinimumSize:])
	if !ip.IsValid(len(ip)) {
		return
	}
	h.source, h.destination, h.transport = ip.SourceAddress(), ip.DestinationAddress(), ip.Protocol()
	h.body = header.EthernetMinimumSize + int(ip.HeaderLength())
	h.end = header.EthernetMinimumSize + int(ip.TotalLength())
	if ip.More() || ip.FragmentOffset() != 0 {
		h.fragment = fragmentKey{h.source, h.destination, uint32(ip.ID()), h.transport, false}
	}
}

// ipv6 walks the extension headers [RFC 8200 4].
func (h *frameHeaders) ipv6(frame []byte) {
	h.v6 = true
	ip := header.IPv6(frame[header.EthernetMinimumSize:])
	if !ip.IsValid(len(ip)) {
		return
	}
	h.source, h.destination = ip.SourceAddress(), ip.DestinationAddress()
	h.end = header.EthernetMinimumSize + header.IPv6MinimumSize + int(ip.PayloadLength())
	next, at := ip.NextHeader(), header.EthernetMinimumSize+header.IPv6MinimumSize
	const maxHeaders = 16
	for range maxHeaders {
		switch header.IPv6ExtensionHeaderIdentifier(next) {
		case header.IPv6HopByHopOptionsExtHdrIdentifier, header.IPv6RoutingExtHdrIdentifier, header.IPv6DestinationOptionsExtHdrIdentifier:
			if at+8 > h.end {
				return
			}
			next, at = frame[at], at+8*(int(frame[at+1])+1)
		case header.IPv6FragmentExtHdrIdentifier:
			if at+8 > h.end {
				return
			}
			if binary.BigEndian.Uint16(frame[at+2:])&^6 != 0 { // neither the first nor the last: an atomic fragment is whole
				h.fragment = fragmentKey{h.source, h.destination, binary.BigEndian.Uint32(frame[at+4:]), 0, true}
			}
			next, at = frame[at], at+8
		default:
			if at <= h.end {
				h.transport, h.body = next, at
			}
			return
		}
	}
}
