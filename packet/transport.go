package packet

import "encoding/binary"

// Protocol numbers [IANA protocol-numbers].
const (
	ProtocolICMP   = 1
	ProtocolIGMP   = 2
	ProtocolIPv4   = 4
	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolIPv6   = 41
	ProtocolICMPv6 = 58
)

// transport prints the protocol that IP carries in [off, end).
func (p *printer) transport(protocol, off, end int) {
	switch protocol {
	case ProtocolTCP:
		p.tcp(off, end)
	case ProtocolUDP:
		p.udp(off, end)
	case ProtocolICMP:
		p.icmp(off, end)
	case ProtocolICMPv6:
		p.icmpv6(off, end)
	case ProtocolIPv4, ProtocolIPv6:
		p.tunnel(protocol, off, end)
	default:
		p.otherProtocol(protocol, off, end)
	}
}

// tunnel prints IP in IP, to a bounded depth.
func (p *printer) tunnel(protocol, off, end int) {
	if p.ip.fragment || p.depth == maxDepth {
		p.otherProtocol(protocol, off, end)
		return
	}
	p.depth++
	if protocol == ProtocolIPv4 {
		p.ipv4(off, end)
	} else {
		p.ipv6(off, end)
	}
}

// otherProtocol prints a protocol that is not decoded further.
func (p *printer) otherProtocol(protocol, off, end int) {
	p.char(' ')
	if name := ProtocolName(protocol); name != "" {
		p.str(name)
	} else {
		p.str("proto=")
		p.num(protocol)
	}
	p.field("len", max(end-off, 0))
	p.pushData(off, end)
}

// ports are those of a transport header, if they are known.
type ports struct {
	source, destination int
	known               bool
}

// peekPorts looks for the ports that are printed with the addresses. A TCP header without a sound data offset is not
// believed so far.
func (p *printer) peekPorts(protocol, off, end int) ports {
	if protocol != ProtocolTCP && protocol != ProtocolUDP {
		return ports{}
	}
	b := p.slice(off, end)
	if len(b) < 4 || protocol == ProtocolTCP && len(b) >= TCPSize && TCP(b).HeaderLen() < TCPSize {
		return ports{}
	}
	return ports{int(be16(b)), int(be16(b[2:])), true}
}

// transportSize returns the least length of a transport header in bytes, 0 if not known.
func transportSize(protocol int) int {
	switch protocol {
	case ProtocolTCP:
		return TCPSize
	case ProtocolUDP:
		return UDPSize
	case ProtocolICMP, ProtocolICMPv6:
		return icmpSize
	}
	return 0
}

// pseudoSum adds up the pseudo-header [RFC 9293 3.1] [RFC 8200 8.1].
func (p *printer) pseudoSum(protocol, length int) uint16 {
	var b [8]byte
	binary.BigEndian.PutUint32(b[:], uint32(length))
	b[7] = byte(protocol)
	return Sum(p.ip.destination, Sum(p.ip.source, Sum(b[:], 0)))
}

// payloadCheck judges the checksum got, which covers [off, end) and, if pseudo, the pseudo-header of protocol; cut says
// that it covers more.
func (p *printer) payloadCheck(protocol, off, end int, got uint16, pseudo, cut bool) checkResult {
	switch {
	case p.f.Checksum == ChecksumOffload && pseudo: // no card fills in the checksum of ICMP, which has none
		return checkResult{state: checkOffload}
	case p.f.Checksum == ChecksumVerified && pseudo:
		return checkResult{state: checkHardware}
	case p.ip.fragment:
		return checkResult{state: checkFragment}
	case cut || !p.captured(end):
		return checkResult{state: checkTruncated}
	}
	var sum uint16
	if pseudo {
		sum = p.pseudoSum(protocol, end-off)
	}
	return verify(Sum(p.slice(off, end), sum), got)
}

// zeroPort reports a port that no socket can have.
func (p *printer) zeroPort(source, destination, off int) {
	if source == 0 {
		p.wrong("src-port-zero", off)
	}
	if destination == 0 {
		p.wrong("dst-port-zero", off+2)
	}
}
