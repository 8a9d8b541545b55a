package net

import (
	"math"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// ipv4Protocol is the engine's IPv4, with a shorter way down.
type ipv4Protocol struct {
	stack.MulticastForwardingNetworkProtocol
	n *netstack
}

func (n *netstack) newIPv4Protocol(s *stack.Stack) stack.NetworkProtocol {
	return &ipv4Protocol{ipv4.NewProtocol(s).(stack.MulticastForwardingNetworkProtocol), n}
}

// NewEndpoint implements stack.NetworkProtocol.
func (p *ipv4Protocol) NewEndpoint(nic stack.NetworkInterface, dispatcher stack.TransportDispatcher) stack.NetworkEndpoint {
	ep := p.MulticastForwardingNetworkProtocol.NewEndpoint(nic, dispatcher)
	if nic.IsLoopback() {
		return ep
	}
	return &ipv4Sender{ep.(ipv4Endpoint), p.n, nic}
}

// ipv4Endpoint is what the engine asks of its IPv4 on an interface.
type ipv4Endpoint interface {
	stack.AddressableEndpoint
	stack.GroupAddressableEndpoint
	stack.MulticastForwardingNetworkEndpoint
	stack.LinkResolvableNetworkEndpoint
}

// ipv4Sender is IPv4 on an interface. What nearly all packets are, to another host and whole, it sends by itself: the engine's way
// asks tables of rules that there are not, and reads its own header back several times.
type ipv4Sender struct {
	ipv4Endpoint
	n   *netstack
	nic stack.NetworkInterface
}

// WritePacket implements stack.NetworkEndpoint.
func (s *ipv4Sender) WritePacket(r *stack.Route, params stack.NetworkHeaderParams, pkt *stack.PacketBuffer) tcpip.Error {
	if !s.plain(r, &params, pkt) {
		return s.ipv4Endpoint.WritePacket(r, params, pkt)
	}
	if params.Protocol == header.TCPProtocolNumber && s.n.acks.hold(segment{pkt, r, params, s}) {
		return nil
	}
	return s.write(r, &params, pkt)
}

// plain tells whether a packet goes to another host, in one piece, and its header needs neither options nor a number: one that
// isn't fragmented needs none if DF is set [RFC 6864 4.1].
func (s *ipv4Sender) plain(r *stack.Route, params *stack.NetworkHeaderParams, pkt *stack.PacketBuffer) bool {
	most := math.MaxUint16
	if pkt.GSOOptions.Type == stack.GSONone {
		most = int(s.nic.MTU())
	}
	return params.DF && params.ExperimentOptionValue == 0 && r.Loop() == stack.PacketOut &&
		header.IPv4MinimumSize+pkt.Size() <= most
}

// write puts the header before a plain packet, and hands it on.
func (s *ipv4Sender) write(r *stack.Route, params *stack.NetworkHeaderParams, pkt *stack.PacketBuffer) tcpip.Error {
	ip := header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize))
	ip.Encode(&header.IPv4Fields{
		TOS: params.TOS, TotalLength: uint16(pkt.Size()), Flags: header.IPv4FlagDontFragment, TTL: params.TTL,
		Protocol: uint8(params.Protocol), SrcAddr: r.LocalAddress(), DstAddr: r.RemoteAddress(),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	stats := s.n.stack.Stats().IP
	if err := s.nic.WritePacket(r, pkt); err != nil {
		stats.OutgoingPacketErrors.Increment()
		return err
	}
	stats.PacketsSent.Increment()
	return nil
}

// sendHeld implements segmentSender.
func (s *ipv4Sender) sendHeld(g segment) { s.write(g.route, &g.params, g.pkt) }
