package net

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/header/parse"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"
)

// transport is a transport protocol of ours: what the engine must know to find the endpoint
// of a received packet. It makes no endpoints; see netstack_datagram.go.
type transport struct {
	n       *netstack
	number  tcpip.TransportProtocolNumber
	minimum int // size of the header in bytes
	parse   func(*stack.PacketBuffer) bool
	ports   func(h []byte) (src, dst uint16)
	unknown func(*netstack, *stack.PacketBuffer) stack.UnknownDestinationPacketDisposition
}

func (n *netstack) newUDPProtocol(*stack.Stack) stack.TransportProtocol {
	return &transport{
		n: n, number: header.UDPProtocolNumber, minimum: header.UDPMinimumSize, parse: parse.UDP,
		ports: func(h []byte) (uint16, uint16) {
			return header.UDP(h).SourcePort(), header.UDP(h).DestinationPort()
		},
		unknown: udpUnknown,
	}
}

// udpUnknown has a datagram for a port that nobody listens on answered with port unreachable [RFC 1122 4.1.3.1],
// unless it is broken.
func udpUnknown(n *netstack, pkt *stack.PacketBuffer) stack.UnknownDestinationPacketDisposition {
	if bad := udpFault(n.stack, pkt); bad != "" {
		n.dropped(pkt, bad)
		return stack.UnknownDestinationPacketMalformed
	}
	n.dropped(pkt, dropUDPPort)
	return stack.UnknownDestinationPacketUnhandled
}

// udpFault checks length and checksum of a received datagram, counts what fails, and says what it was; "" if all is well.
func udpFault(s *stack.Stack, pkt *stack.PacketBuffer) (drop string) {
	udp := header.UDP(pkt.TransportHeader().Slice())
	src, dst := addressesOf(pkt)
	if n := int(udp.Length()) - header.UDPMinimumSize; n >= 0 && n < pkt.Data().Size() {
		pkt.Data().CapLength(n) // what IP carries beyond the datagram isn't part of it
	}
	lengthOK, sumOK := header.UDPValid(
		udp,
		func() uint16 { return pkt.Data().Checksum() },
		uint16(pkt.Data().Size()),
		pkt.NetworkProtocolNumber,
		src, dst,
		pkt.RXChecksumValidated)
	switch {
	case !lengthOK:
		s.Stats().UDP.MalformedPacketsReceived.Increment()
		return dropUDPMalformed
	case !sumOK:
		s.Stats().UDP.ChecksumErrors.Increment()
		return dropUDPChecksum
	}
	return ""
}

// addressesOf are the addresses in the IP header of a packet.
func addressesOf(pkt *stack.PacketBuffer) (src, dst tcpip.Address) {
	h := pkt.NetworkHeader().Slice()
	if pkt.NetworkProtocolNumber == header.IPv6ProtocolNumber {
		return header.IPv6(h).SourceAddress(), header.IPv6(h).DestinationAddress()
	}
	return header.IPv4(h).SourceAddress(), header.IPv4(h).DestinationAddress()
}

// icmpUnknown is silent: the network layer has answered what is to be answered.
func icmpUnknown(*netstack, *stack.PacketBuffer) stack.UnknownDestinationPacketDisposition {
	return stack.UnknownDestinationPacketHandled
}

// The "ports" of an ICMP echo are its identifier, as the destination.

func (n *netstack) newICMPv4Protocol(*stack.Stack) stack.TransportProtocol {
	return &transport{
		n: n, number: header.ICMPv4ProtocolNumber, minimum: header.ICMPv4MinimumSize, parse: parse.ICMPv4,
		ports:   func(h []byte) (uint16, uint16) { return 0, header.ICMPv4(h).Ident() },
		unknown: icmpUnknown,
	}
}

func (n *netstack) newICMPv6Protocol(*stack.Stack) stack.TransportProtocol {
	return &transport{
		n: n, number: header.ICMPv6ProtocolNumber, minimum: header.ICMPv6MinimumSize, parse: parse.ICMPv6,
		ports:   func(h []byte) (uint16, uint16) { return 0, header.ICMPv6(h).Ident() },
		unknown: icmpUnknown,
	}
}

// Number implements stack.TransportProtocol.
func (t *transport) Number() tcpip.TransportProtocolNumber { return t.number }

// NewEndpoint implements stack.TransportProtocol.
func (t *transport) NewEndpoint(tcpip.NetworkProtocolNumber, *waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	return nil, &tcpip.ErrNotSupported{}
}

// NewRawEndpoint implements stack.TransportProtocol.
func (t *transport) NewRawEndpoint(tcpip.NetworkProtocolNumber, *waiter.Queue) (tcpip.Endpoint, tcpip.Error) {
	return nil, &tcpip.ErrNotSupported{}
}

// MinimumPacketSize implements stack.TransportProtocol.
func (t *transport) MinimumPacketSize() int { return t.minimum }

// ParsePorts implements stack.TransportProtocol. h is at least as long as the header, or, in an ICMP
// error, 8 bytes.
func (t *transport) ParsePorts(h []byte) (src, dst uint16, err tcpip.Error) {
	src, dst = t.ports(h)
	return src, dst, nil
}

// HandleUnknownDestinationPacket implements stack.TransportProtocol.
func (t *transport) HandleUnknownDestinationPacket(_ stack.TransportEndpointID, pkt *stack.PacketBuffer) stack.UnknownDestinationPacketDisposition {
	return t.unknown(t.n, pkt)
}

// SetOption implements stack.TransportProtocol.
func (t *transport) SetOption(tcpip.SettableTransportProtocolOption) tcpip.Error {
	return &tcpip.ErrUnknownProtocolOption{}
}

// Option implements stack.TransportProtocol.
func (t *transport) Option(tcpip.GettableTransportProtocolOption) tcpip.Error {
	return &tcpip.ErrUnknownProtocolOption{}
}

// Parse implements stack.TransportProtocol.
func (t *transport) Parse(pkt *stack.PacketBuffer) bool { return t.parse(pkt) }

// Close implements stack.TransportProtocol; the protocol has no goroutines.
func (t *transport) Close() {}

// Wait implements stack.TransportProtocol.
func (t *transport) Wait() {}

// Pause implements stack.TransportProtocol.
func (t *transport) Pause() {}

// Resume implements stack.TransportProtocol.
func (t *transport) Resume() {}

// Restore implements stack.TransportProtocol.
func (t *transport) Restore() {}

var _ stack.TransportProtocol = (*transport)(nil)
