package net

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"wick/packet"
)

// quickPath takes what nearly all frames carry, TCP and UDP over IPv4 for an endpoint that exists, straight to that endpoint. The
// way through the engine's layers costs several times as much. What is not certain to end at the endpoint that way, unchanged,
// isn't taken: it goes through all layers, and is counted, answered and dropped by them.
//
// On the way TCP segments that follow each other in a batch of frames are put together (see heldSegment).
//
// All but the counters belongs to the driver's goroutine.
type quickPath struct {
	n     *netstack
	index tcpip.NICID
	// batches tells that flush is called at the end of each batch of frames; otherwise nothing may be held.
	batches bool
	tcp     segmentQueue

	subnets []subnet4 // of the interface
	change  uint64    // which change of the addresses they were seen after

	held heldSegment
	last lastDatagram

	frames, bytes atomic.Uint64 // that were taken
}

// segmentQueue is the engine's TCP.
type segmentQueue interface {
	QueuePacket(stack.TransportEndpoint, stack.TransportEndpointID, *stack.PacketBuffer)
}

// subnet4 is an IPv4 address of ours, and the one for all on its network.
type subnet4 struct{ address, broadcast tcpip.Address }

// lastDatagram tells where a datagram went, so that the next one between the same ports, of a client that asks again and again, need
// not be looked up.
type lastDatagram struct {
	id       stack.TransportEndpointID
	enrolled uint64 // what it was before the lookup
	ep       stack.TransportEndpoint
}

// init makes the quick path of an interface ready, before the link is attached.
func (q *quickPath) init(n *netstack, index uint32, batches bool) {
	q.n, q.index, q.batches = n, tcpip.NICID(index), batches
	q.tcp = n.stack.TransportProtocolInstance(tcp.ProtocolNumber).(segmentQueue)
}

// quickPacket is a frame whose headers are as quickPath wants them.
type quickPacket struct {
	ip        header.IPv4
	transport []byte // header and data
	id        stack.TransportEndpointID
}

// parseQuick looks in an Ethernet frame for an IPv4 packet with TCP or UDP that is whole, has a right header without options, and
// may be from a host to another one.
func parseQuick(frame []byte) (p quickPacket, ok bool) {
	if header.Ethernet(frame).Type() != header.IPv4ProtocolNumber {
		return p, false
	}
	ip := header.IPv4(frame[header.EthernetMinimumSize:])
	if len(ip) < header.IPv4MinimumSize+header.UDPMinimumSize || ip[0] != 4<<4|header.IPv4MinimumSize/4 {
		return p, false
	}
	size, src := int(ip.TotalLength()), ip.SourceAddressSlice()
	if size < header.IPv4MinimumSize+header.UDPMinimumSize || size > len(ip) || ip.More() || ip.FragmentOffset() != 0 ||
		src[0] == 0 || src[0] == 127 || src[0] >= 224 || checksum.Checksum(ip[:header.IPv4MinimumSize], 0) != 0xFFFF {
		return p, false
	}
	p.ip, p.transport = ip[:header.IPv4MinimumSize], ip[header.IPv4MinimumSize:size]
	switch tcpip.TransportProtocolNumber(ip.Protocol()) {
	case header.TCPProtocolNumber:
		if len(p.transport) < header.TCPMinimumSize {
			return p, false
		}
	case header.UDPProtocolNumber:
	default:
		return p, false
	}
	ports := header.UDP(p.transport) // in the same place as TCP's
	p.id = stack.TransportEndpointID{
		LocalAddress: ip.DestinationAddress(), LocalPort: ports.DestinationPort(),
		RemoteAddress: ip.SourceAddress(), RemotePort: ports.SourcePort(),
	}
	return p, true
}

// take takes a frame for our hardware address if it can.
func (q *quickPath) take(frame []byte, checksum packet.Checksum) bool {
	p, ok := parseQuick(frame)
	if ok = ok && q.n.raws.Load() == 0 && q.ours(p.id.LocalAddress, p.id.RemoteAddress); ok {
		if tcpip.TransportProtocolNumber(p.ip.Protocol()) == header.TCPProtocolNumber {
			ok = q.takeTCP(frame, &p, checksum)
		} else {
			ok = q.takeUDP(frame, &p, checksum)
		}
	}
	if !ok {
		q.flush() // what came before goes up before
		return false
	}
	q.frames.Add(1)
	q.bytes.Add(uint64(len(frame) - header.EthernetMinimumSize))
	stats := q.n.stack.Stats().IP
	stats.PacketsReceived.Increment()
	stats.ValidPacketsReceived.Increment()
	stats.PacketsDelivered.Increment()
	return true
}

// ours tells whether dst is an address of the interface, and src neither that nor the one of a whole network that the interface is on.
func (q *quickPath) ours(dst, src tcpip.Address) (ours bool) {
	if change := q.n.change.load(); change != q.change {
		q.subnets, q.change = q.subnets[:0], change
		for _, p := range q.n.addresses(uint32(q.index)) {
			if p.Addr().Is4() {
				q.subnets = append(q.subnets, subnet4{addressOf(p.Addr()), addressOf(broadcastOf(p))})
			}
		}
	}
	for _, s := range q.subnets {
		if src == s.address || src == s.broadcast {
			return false
		}
		ours = ours || dst == s.address
	}
	return ours
}

func (q *quickPath) find(protocol tcpip.TransportProtocolNumber, id stack.TransportEndpointID) stack.TransportEndpoint {
	return q.n.stack.FindTransportEndpoint(header.IPv4ProtocolNumber, protocol, id, q.index)
}

func (q *quickPath) takeUDP(frame []byte, p *quickPacket, checksum packet.Checksum) bool {
	l := &q.last
	if now := q.n.enrolled.load(); l.enrolled != now || l.id != p.id {
		*l = lastDatagram{p.id, now, q.find(header.UDPProtocolNumber, p.id)}
	}
	ep := l.ep
	if ep == nil {
		return false
	}
	q.flush()
	pkt := q.packet(frame, p, header.UDPMinimumSize)
	pkt.TransportProtocolNumber = header.UDPProtocolNumber
	pkt.RXChecksumValidated = checksum != packet.ChecksumUnknown
	ep.HandlePacket(p.id, pkt)
	pkt.DecRef()
	return true
}

// takeTCP holds the segment, or adds it to the one that is held.
func (q *quickPath) takeTCP(frame []byte, p *quickPacket, checksum packet.Checksum) bool {
	size := int(header.TCP(p.transport).DataOffset())
	if size < header.TCPMinimumSize || size > len(p.transport) || checksum == packet.ChecksumUnknown && !validTCP(p) {
		return false
	}
	tcp, data := header.TCP(p.transport[:size]), p.transport[size:]
	if h := &q.held; h.pkt != nil && h.id == p.id && h.follows(p.ip, tcp) {
		if h.continuedBy(tcp, data) {
			h.append(tcp, data)
			return true
		}
		if h.supersededBy(tcp, data) {
			h.drop()
		}
	}
	q.flush()
	ep := q.find(header.TCPProtocolNumber, p.id)
	if ep == nil {
		return false
	}
	pkt := q.packet(frame, p, size)
	pkt.TransportProtocolNumber = header.TCPProtocolNumber
	pkt.RXChecksumValidated = true
	q.held = newHeldSegment(pkt, ep, p.id, len(data))
	if !q.batches {
		q.flush()
	}
	return true
}

// validTCP tells whether the checksum is right.
func validTCP(p *quickPacket) bool {
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, p.id.RemoteAddress, p.id.LocalAddress, uint16(len(p.transport)))
	return checksum.Checksum(p.transport, sum) == 0xFFFF
}

// packet copies a frame into a packet whose headers are in their places, the transport's with size bytes.
func (q *quickPath) packet(frame []byte, p *quickPacket, size int) *stack.PacketBuffer {
	frame = frame[:header.EthernetMinimumSize+len(p.ip)+len(p.transport)] // without Ethernet's padding
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(buffer.NewViewWithData(frame))})
	pkt.NICID, pkt.PktType, pkt.NetworkProtocolNumber = q.index, tcpip.PacketHost, header.IPv4ProtocolNumber
	pkt.LinkHeader().Consume(header.EthernetMinimumSize) // they are all there: see parseQuick
	pkt.NetworkHeader().Consume(header.IPv4MinimumSize)
	pkt.TransportHeader().Consume(size)
	return pkt
}

// flush hands on what is held.
func (q *quickPath) flush() {
	h := q.held
	if h.pkt == nil {
		return
	}
	q.held = heldSegment{}
	q.tcp.QueuePacket(h.ep, h.id, h.pkt)
	h.pkt.DecRef()
}
