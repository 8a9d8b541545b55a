package packet

func (p *printer) udpDetail(b []byte, l Layer) {
	h, f := ParseUDP(b)
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		return
	}
	p.field("sport", h.SourcePort())
	p.field("dport", h.DestinationPort())
	p.field("length", h.Len())
	p.cksum(h.Checksum(), p.udpCheck(h, l.Off, p.udpEnd(h, l.Off, p.end)))
	if f := p.udpLenFault(h, l.Off, p.end); f.Bad() {
		p.fault(f, l.Off)
	}
	p.udpFaults(h, l.Off)
}

func (p *printer) tcpDetail(b []byte, l Layer) {
	h, f := ParseTCP(b)
	if f.Bad() {
		p.tcpBroken(b, f, l.Off, l.End)
		return
	}
	p.field("sport", h.SourcePort())
	p.field("dport", h.DestinationPort())
	p.str(" seq=")
	p.num32(h.Seq() - p.tcpPast.seqBase)
	p.str(" ack=")
	p.num32(h.Ack() - p.tcpPast.ackBase)
	p.field("doff", len(h))
	p.str(" flags=")
	p.tcpFlags(h.Flags())
	p.window(h)
	p.field("urg", h.Urgent())
	p.cksum(h.Checksum(), p.tcpCheck(h, l.Off, p.end))
	p.tcpOptions(h, true)
	p.tcpFaults(h, l.Off)
}

func (p *printer) icmpDetail(b []byte, l Layer) {
	h, f := ParseICMP(b)
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		return
	}
	code, coded := icmpCode(h.Type(), h.Code())
	p.fieldName("type", h.Type(), icmpName(h.Type()))
	p.fieldName("code", h.Code(), code)
	p.cksum(h.Checksum(), p.payloadCheck(ProtocolICMP, l.Off, p.end, h.Checksum(), false, p.ip.cut))
	p.icmpWords(h, p.end-l.Off-icmpSize)
	p.icmpCodeFault(h, coded, l.Off)
}

func (p *printer) icmpv6Detail(l Layer) {
	h, f := ParseICMP(p.slice(l.Off, p.end))
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		return
	}
	code, coded := icmpv6Code(h.Type(), h.Code())
	p.fieldName("type", h.Type(), icmpv6Name(h.Type()))
	p.fieldName("code", h.Code(), code)
	p.cksum(h.Checksum(), p.payloadCheck(ProtocolICMPv6, l.Off, p.end, h.Checksum(), true, p.ip.cut))
	if size := icmpv6Size(h.Type()); len(h) < size {
		p.parseFault(short(len(h), size), l.Off, p.end)
		return
	}
	p.icmpv6Words(h, p.end-l.Off-icmpSize)
	p.icmpv6Faults(h, l.Off, p.end, coded)
}

// extensionDetail prints an extension header.
func (p *printer) extensionDetail(b []byte, l Layer) {
	p.char(' ')
	p.str(extensionName(l.Protocol))
	p.fieldName("next", int(b[0]), ProtocolName(int(b[0])))
	p.field("length", l.End-l.Off)
	e := extensions{data: p.slice(0, p.end), end: p.end, off: l.Off, protocol: l.Protocol}
	e.next()
	p.extension(&e, p.end)
}
