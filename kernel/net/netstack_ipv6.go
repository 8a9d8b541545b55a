package net

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// ipv6Protocol is the engine's IPv6, with acknowledgements that are held.
type ipv6Protocol struct {
	stack.MulticastForwardingNetworkProtocol
	n *netstack
}

func (n *netstack) newIPv6Protocol(o ipv6.Options) stack.NetworkProtocolFactory {
	return func(s *stack.Stack) stack.NetworkProtocol {
		return &ipv6Protocol{ipv6.NewProtocolWithOptions(o)(s).(stack.MulticastForwardingNetworkProtocol), n}
	}
}

// NewEndpoint implements stack.NetworkProtocol.
func (p *ipv6Protocol) NewEndpoint(nic stack.NetworkInterface, dispatcher stack.TransportDispatcher) stack.NetworkEndpoint {
	ep := p.MulticastForwardingNetworkProtocol.NewEndpoint(nic, dispatcher)
	if nic.IsLoopback() {
		return ep
	}
	return &ipv6Sender{ep.(ipv6Endpoint), p.n}
}

// ipv6Endpoint is what the engine asks of its IPv6 on an interface.
type ipv6Endpoint interface {
	stack.AddressableEndpoint
	stack.DuplicateAddressDetector
	stack.GroupAddressableEndpoint
	stack.LinkAddressResolver
	stack.LinkResolvableNetworkEndpoint
	stack.MulticastForwardingNetworkEndpoint
	stack.NDPEndpoint
}

// ipv6Sender is IPv6 on an interface.
type ipv6Sender struct {
	ipv6Endpoint
	n *netstack
}

// WritePacket implements stack.NetworkEndpoint.
func (s *ipv6Sender) WritePacket(r *stack.Route, params stack.NetworkHeaderParams, pkt *stack.PacketBuffer) tcpip.Error {
	if params.Protocol == header.TCPProtocolNumber && r.Loop() == stack.PacketOut && s.n.acks.hold(segment{pkt, r, params, s}) {
		return nil
	}
	return s.ipv6Endpoint.WritePacket(r, params, pkt)
}

// sendHeld implements segmentSender.
func (s *ipv6Sender) sendHeld(g segment) { s.ipv6Endpoint.WritePacket(g.route, g.params, g.pkt) }
