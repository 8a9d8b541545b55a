package packet

// UDP is a UDP header [RFC 768].
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|          Source Port          |       Destination Port        |
//	+-------------------------------+-------------------------------+
//	|            Length             |           Checksum            |
//	+-------------------------------+-------------------------------+
type UDP []byte

// UDPSize is the length of a UDP header in bytes.
const UDPSize = 8

const (
	offUDPLen = 4
	offUDPSum = 6
)

// ParseUDP validates the header at the start of b.
func ParseUDP(b []byte) (UDP, Fault) {
	if len(b) < UDPSize {
		return nil, short(len(b), UDPSize)
	}
	return UDP(b[:UDPSize]), Fault{}
}

// SourcePort returns the sender's port.
func (h UDP) SourcePort() int { return int(be16(h)) }

// DestinationPort returns the receiver's port.
func (h UDP) DestinationPort() int { return int(be16(h[2:])) }

// Len returns the length of header and payload in bytes, as it stands.
func (h UDP) Len() int { return int(be16(h[offUDPLen:])) }

// Checksum returns the checksum as it stands, 0 if the sender computed none.
func (h UDP) Checksum() uint16 { return be16(h[offUDPSum:]) }

func (p *printer) udp(off, end int) {
	p.protocol("UDP")
	h, f := ParseUDP(p.slice(off, end))
	if f.Bad() {
		p.push(LayerUDP, off, end)
		p.parseFault(f, off, end)
		return
	}
	p.push(LayerUDP, off, off+UDPSize)
	stop := p.udpEnd(h, off, end)
	if f := p.udpLenFault(h, off, end); f.Bad() {
		p.fault(f, off)
	}
	p.field("len", stop-off-UDPSize)
	p.check("ck", p.udpCheck(h, off, stop))
	p.udpFaults(h, off)
	p.udpPayload(h, off+UDPSize, stop)
}

// udpEnd returns where the datagram ends: where its length says, as far as that can be.
func (p *printer) udpEnd(h UDP, off, end int) int {
	if n := h.Len(); n >= UDPSize && off+n < end {
		return off + n
	}
	return end
}

// udpLenFault compares the length with what IP carries. A first fragment holds less than the length says.
func (p *printer) udpLenFault(h UDP, off, end int) Fault {
	n, have := h.Len(), end-off
	switch {
	case n == 0 && (p.f.Checksum == ChecksumOffload || p.ip.v6 && have > maxDatagram): // a jumbogram [RFC 2675 4]
		return Fault{}
	case n < UDPSize:
		return Fault{Name: "length", Relation: '<', Got: n, Want: UDPSize, Offset: offUDPLen}
	case n > have && !p.ip.fragment && !p.ip.cut:
		return Fault{Name: "length", Relation: '>', Got: n, Want: have, Offset: offUDPLen}
	case n < have:
		return Fault{Name: "length", Relation: '<', Got: n, Want: have, Offset: offUDPLen}
	}
	return Fault{}
}

func (p *printer) udpCheck(h UDP, off, end int) checkResult {
	if h.Checksum() == 0 {
		return checkResult{state: checkNone}
	}
	if p.udpLenFault(h, off, end).Bad() { // what the checksum covers is not known
		return checkResult{state: checkTruncated}
	}
	return p.payloadCheck(ProtocolUDP, off, end, h.Checksum(), true, h.Len() > end-off)
}

func (p *printer) udpFaults(h UDP, off int) {
	if h.Checksum() == 0 && p.ip.v6 { // [RFC 8200 8.1]
		p.wrong("zero-checksum", off+offUDPSum)
	}
	p.zeroPort(h.SourcePort(), h.DestinationPort(), off)
}

func (p *printer) udpPayload(h UDP, off, end int) {
	sport, dport := h.SourcePort(), h.DestinationPort()
	switch {
	case off >= end:
	case p.ip.fragment || p.crowded():
		p.pushData(off, end)
	case isDNS(sport) || isDNS(dport):
		p.dns(off, end)
	case !p.ip.v6 && isDHCP(sport) && isDHCP(dport):
		p.dhcp(off, end)
	default:
		p.pushData(off, end)
	}
}
