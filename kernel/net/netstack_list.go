package net

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// connections implements engine. An endpoint of IPv6 that speaks IPv4, too, is registered for both, and told of once.
func (n *netstack) connections() []connection {
	var out []connection
	seen := make(map[stack.TransportEndpoint]bool)
	for _, e := range n.stack.RegisteredEndpoints() {
		if seen[e] {
			continue
		}
		seen[e] = true
		switch ep := e.(type) {
		case *tcp.Endpoint:
			out = append(out, tcpConnection(ep))
		case *ipDatagram:
			if ep.kind == protocolUDP {
				out = append(out, ep.connection())
			}
		}
	}
	return out
}

func tcpConnection(ep *tcp.Endpoint) connection {
	c := connection{protocol: "tcp", state: linuxTCPState(tcp.EndpointState(ep.State()))}
	if i, ok := ep.Info().(*stack.TransportEndpointInfo); ok {
		c.ipv6 = i.NetProto == header.IPv6ProtocolNumber
		c.local = endpoint{addr: netipOf(i.ID.LocalAddress), port: i.ID.LocalPort}
		c.peer = endpoint{addr: netipOf(i.ID.RemoteAddress), port: i.ID.RemotePort}
	}
	if c.state == tcpListen {
		return c
	}
	c.rxQueue, _ = ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	c.txQueue, _ = ep.GetSockOptInt(tcpip.SendQueueSizeOption)
	return c
}

// connection describes a UDP endpoint; like Linux it has the TCP state closed, or established if it is connected.
func (d *ipDatagram) connection() connection {
	d.mu.RLock()
	defer d.mu.RUnlock()
	c := connection{protocol: "udp", ipv6: d.ipv6, state: tcpClose}
	c.local = endpoint{addr: netipOf(d.id.LocalAddress), port: d.id.LocalPort}
	if d.connected {
		c.state = tcpEstablished
		c.peer = endpoint{addr: netipOf(d.id.RemoteAddress), port: d.id.RemotePort}
	}
	if q, ok := d.rx.(*datagramQueue); ok {
		q.mu.Lock()
		c.rxQueue = q.cost
		q.mu.Unlock()
		c.drops = q.dropped.Load()
	}
	return c
}
