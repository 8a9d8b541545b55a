package net

import (
	"bytes"
	"io"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// packetPayload is the data of a received packet, kept in the engine's buffers.
type packetPayload stack.PacketBuffer

func (p *packetPayload) packet() *stack.PacketBuffer { return (*stack.PacketBuffer)(p) }

// Len implements payload.
func (p *packetPayload) Len() int { return p.packet().Data().Size() }

// Cost implements payload.
func (p *packetPayload) Cost() int { return p.packet().MemSize() }

// Retain implements payload.
func (p *packetPayload) Retain() { p.packet().IncRef() }

// Release implements payload.
func (p *packetPayload) Release() { p.packet().DecRef() }

// CopyTo implements payload. It changes nothing, so that it can be done again (MSG_PEEK).
func (p *packetPayload) CopyTo(w io.Writer) (int, error) {
	return copyPacket(w, p.packet(), p.packet().HeaderSize())
}

// copyPacket writes a packet without its first bytes to w.
func copyPacket(w io.Writer, pkt *stack.PacketBuffer, without int) (int, error) {
	views, skip := pkt.AsViewList()
	skip += without
	total := 0
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		n, err := w.Write(b[skip:])
		total += n
		if err != nil || n < len(b)-skip {
			return total, err
		}
		skip = 0
	}
	return total, nil
}

// bytesPayload is received data in memory of its own.
type bytesPayload []byte

// bytesOf copies a packet without its first bytes.
func bytesOf(pkt *stack.PacketBuffer, without int) bytesPayload {
	var b bytes.Buffer
	b.Grow(max(pkt.Size()-without, 0))
	copyPacket(&b, pkt, without) // a bytes.Buffer takes everything
	return b.Bytes()
}

// bytesOverhead is what such a payload costs besides its bytes.
const bytesOverhead = 64

// Len implements payload.
func (p bytesPayload) Len() int { return len(p) }

// Cost implements payload.
func (p bytesPayload) Cost() int { return cap(p) + bytesOverhead }

// Retain implements payload; the garbage collector counts.
func (p bytesPayload) Retain() {}

// Release implements payload.
func (p bytesPayload) Release() {}

// CopyTo implements payload.
func (p bytesPayload) CopyTo(w io.Writer) (int, error) { return w.Write(p) }

// HandlePacket implements stack.TransportEndpoint.
func (d *ipDatagram) HandlePacket(id stack.TransportEndpointID, pkt *stack.PacketBuffer) {
	r := metadata(pkt)
	r.from.port = id.RemotePort
	if d.kind == protocolPing {
		if !isEchoReply(pkt) {
			return
		}
		r.payload = bytesOf(pkt, len(pkt.LinkHeader().Slice())+len(pkt.NetworkHeader().Slice()))
		r.from.port = 0
	} else {
		if bad := udpFault(d.n.stack, pkt); bad != "" {
			d.n.dropped(pkt, bad)
			return
		}
		d.n.stack.Stats().UDP.PacketsReceived.Increment()
		// The packet is kept, not copied: nobody else looks at it after this.
		r.payload = (*packetPayload)(pkt.IncRef())
	}
	d.n.dropped(pkt, d.rx.deliver(r))
}

// isEchoReply tells whether the packet is an answer to a ping.
func isEchoReply(pkt *stack.PacketBuffer) bool {
	h := pkt.TransportHeader().Slice()
	if pkt.NetworkProtocolNumber == header.IPv4ProtocolNumber {
		return header.ICMPv4(h).Type() == header.ICMPv4EchoReply
	}
	return header.ICMPv6(h).Type() == header.ICMPv6EchoReply
}

// metadata is what the headers of a received packet tell.
func metadata(pkt *stack.PacketBuffer) received {
	r := received{index: uint32(pkt.NICID), ipv6: pkt.NetworkProtocolNumber == header.IPv6ProtocolNumber}
	var src, dst tcpip.Address
	if r.ipv6 {
		h := header.IPv6(pkt.NetworkHeader().Slice())
		src, dst, r.ttl = h.SourceAddress(), h.DestinationAddress(), h.HopLimit()
		r.tos, _ = h.TOS()
	} else {
		h := header.IPv4(pkt.NetworkHeader().Slice())
		src, dst, r.ttl = h.SourceAddress(), h.DestinationAddress(), h.TTL()
		r.tos, _ = h.TOS()
	}
	r.from = endpointOf(tcpip.FullAddress{Addr: src, NIC: pkt.NICID})
	r.to = netipOf(dst)
	return r
}

// Abort implements stack.TransportEndpoint.
func (d *ipDatagram) Abort() { d.close() }

// Wait implements stack.TransportEndpoint.
func (d *ipDatagram) Wait() {}

// filtered tells whether ICMP_FILTER, which doesn't know all types, or ICMPV6_FILTER keeps the message from a raw socket.
func (d *ipDatagram) filtered(pkt *stack.PacketBuffer) bool {
	h := pkt.TransportHeader().Slice()
	switch {
	case len(h) == 0:
		return false
	case d.transport == header.ICMPv6ProtocolNumber:
		return d.opts.icmpv6Filter[h[0]/32]&(1<<(h[0]%32)) != 0
	}
	return d.transport == header.ICMPv4ProtocolNumber && h[0] < 32 && d.opts.icmpFilter&(1<<h[0]) != 0
}

// rawReceiver is a raw endpoint as the stack sees it.
type rawReceiver ipDatagram

// HandlePacket implements stack.RawTransportEndpoint. IPv4 raw sockets get the IP header too, IPv6 ones don't [raw(7),
// RFC 3542 3].
func (w *rawReceiver) HandlePacket(pkt *stack.PacketBuffer) {
	d := (*ipDatagram)(w)
	r := metadata(pkt)
	d.mu.RLock()
	wanted := !d.closed && (d.bindAddr.BitLen() == 0 || addressOf(r.to) == d.bindAddr) &&
		(!d.connected || addressOf(r.from.addr) == d.id.RemoteAddress) &&
		(d.opts.device == 0 || tcpip.NICID(d.opts.device) == pkt.NICID) && !d.filtered(pkt)
	d.mu.RUnlock()
	if !wanted {
		return
	}
	skip := len(pkt.LinkHeader().Slice())
	if r.ipv6 {
		skip += len(pkt.NetworkHeader().Slice())
	}
	r.payload = bytesOf(pkt, skip)
	d.rx.deliver(r)
	d.n.taken(pkt)
}
