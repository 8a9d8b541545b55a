package net

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// icmpMeaning is what an ICMP error says to a socket. A hard one is told to connected sockets without IP_RECVERR too [ip(7)].
type icmpMeaning struct {
	err  unix.Errno
	hard bool
}

// unreachable4 is by the code of an ICMP destination unreachable [RFC 792, RFC 1812 5.2.7.1; Linux's icmp_err_convert].
//
// DEVIATION: that a datagram needs fragmentation is not told to connected sockets without IP_RECVERR.
var unreachable4 = [...]icmpMeaning{
	{unix.ENETUNREACH, false}, {unix.EHOSTUNREACH, false}, {unix.ENOPROTOOPT, true}, {unix.ECONNREFUSED, true},
	{unix.EMSGSIZE, false}, {unix.EOPNOTSUPP, false}, {unix.ENETUNREACH, true}, {unix.EHOSTDOWN, true},
	{unix.ENONET, true}, {unix.ENETUNREACH, true}, {unix.EHOSTUNREACH, true}, {unix.ENETUNREACH, false},
	{unix.EHOSTUNREACH, false}, {unix.EHOSTUNREACH, true}, {unix.EHOSTUNREACH, true}, {unix.EHOSTUNREACH, true},
}

// unreachable6 is by the code of an ICMPv6 destination unreachable [RFC 4443 3.1; Linux's icmpv6_err_convert].
var unreachable6 = [...]icmpMeaning{
	{unix.ENETUNREACH, false}, {unix.EACCES, true}, {unix.EHOSTUNREACH, false}, {unix.EHOSTUNREACH, false},
	{unix.ECONNREFUSED, true}, {unix.EACCES, true}, {unix.EACCES, true},
}

// meaningOf tells what the error says, and the MTU if it is about that. ok is false for what isn't told to sockets.
func meaningOf(ipv6 bool, h []byte) (m icmpMeaning, info uint32, ok bool) {
	typ, code := h[0], int(h[1])
	switch {
	case !ipv6 && header.ICMPv4Type(typ) == header.ICMPv4DstUnreachable && code < len(unreachable4):
		if m = unreachable4[code]; m.err == unix.EMSGSIZE {
			info = uint32(binary.BigEndian.Uint16(h[6:]))
		}
	case ipv6 && header.ICMPv6Type(typ) == header.ICMPv6DstUnreachable && code < len(unreachable6):
		m = unreachable6[code]
	case ipv6 && header.ICMPv6Type(typ) == header.ICMPv6PacketTooBig:
		m, info = icmpMeaning{unix.EMSGSIZE, false}, binary.BigEndian.Uint32(h[4:])
	default:
		return m, 0, false
	}
	return m, info, true
}

// HandleError implements stack.TransportEndpoint: an ICMP error about a datagram of ours. The packet's data begins with
// the quoted transport header.
//
// DEVIATION: the engine tells nothing of time exceeded and parameter problems.
func (d *ipDatagram) HandleError(_ stack.TransportError, pkt *stack.PacketBuffer) {
	ipv6 := pkt.NetworkProtocolNumber == header.IPv6ProtocolNumber
	wanted := d.rx.wantsErrors(ipv6)
	if !wanted && !d.hasPeer.Load() {
		return
	}
	view := stack.PayloadSince(pkt.TransportHeader())
	defer view.Release()
	const icmpHeader = 8 // of both versions' errors
	h := view.AsSlice()
	if len(h) < icmpHeader {
		return
	}
	m, info, ok := meaningOf(ipv6, h)
	if !ok || !wanted && !m.hard {
		return
	}
	e := icmpError{err: m.err, ipv6: ipv6, typ: h[0], code: h[1], info: info}
	if wanted && !e.quote(h[icmpHeader:], pkt, d.kind == protocolUDP) {
		return
	}
	d.rx.fail(e, wanted)
}

// quote takes over what the error quotes: the IP packet that is to blame, as far as there is one.
func (e *icmpError) quote(ip []byte, pkt *stack.PacketBuffer, udp bool) bool {
	var to, offender tcpip.Address
	if e.ipv6 {
		if len(ip) < header.IPv6MinimumSize {
			return false
		}
		to, offender = header.IPv6(ip).DestinationAddress(), header.IPv6(pkt.NetworkHeader().Slice()).SourceAddress()
	} else {
		if len(ip) < header.IPv4MinimumSize {
			return false
		}
		to, offender = header.IPv4(ip).DestinationAddress(), header.IPv4(pkt.NetworkHeader().Slice()).SourceAddress()
	}
	e.to = endpointOf(tcpip.FullAddress{Addr: to, NIC: pkt.NICID})
	e.offender = endpointOf(tcpip.FullAddress{Addr: offender, NIC: pkt.NICID})
	e.data = pkt.Data().AsRange().ToSlice()
	if udp {
		if len(e.data) < header.UDPMinimumSize {
			return false
		}
		e.to.port = header.UDP(e.data).DestinationPort()
		e.data = e.data[header.UDPMinimumSize:]
	}
	return true
}
