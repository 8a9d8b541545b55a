package packet

func (p *printer) udpDetail(b []byte, l layer) {
	h, f := ParseUDP(b)
	if f.Bad() {
		p.parseFault(f, l.off, l.end)
		return
	}
	p.field("sport", h.SourcePort())
	p.field("dport", h.DestinationPort())
	p.field("length", h.Len())
	p.cksum(h.Checksum(), p.udpCheck(h, l.off, p.udpEnd(h, l.off, p.end)))
	if f := p.udpLenFault(h, l.off, p.end); f.Bad() {
		p.fault(f, l.off)
	}
	p.udpFaults(h, l.off)
}

func (p *printer) tcpDetail(b []byte, l layer) {
	h, f := ParseTCP(b)
	if f.Bad() {
		p.tcpBroken(b, f, l.off, l.end)
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
	p.cksum(h.Checksum(), p.tcpCheck(h, l.off, p.end))
	p.tcpOptions(h, true)
	p.tcpFaults(h, l.off)
}

func (p *printer) icmpDetail(b []byte, l layer) {
	h, f := ParseICMP(b)
	if f.Bad() {
		p.parseFault(f, l.off, l.end)
		return
	}
	code, coded := icmpCode(h.Type(), h.Code())
	p.fieldName("type", h.Type(), icmpName(h.Type()))
	p.fieldName("code", h.Code(), code)
	p.cksum(h.Checksum(), p.payloadCheck(ProtocolICMP, l.off, p.end, h.Checksum(), false, p.ip.cut))
	p.icmpWords(h, p.end-l.off-icmpSize)
	if !coded && h.Code() != 0 {
		p.compare("code", h.Code(), '=', 0, l.off+1)
	}
}

func (p *printer) icmpv6Detail(l layer) {
	h, f := ParseICMP(p.slice(l.off, p.end))
	if f.Bad() {
		p.parseFault(f, l.off, l.end)
		return
	}
	code, coded := icmpv6Code(h.Type(), h.Code())
	p.fieldName("type", h.Type(), icmpv6Name(h.Type()))
	p.fieldName("code", h.Code(), code)
	p.cksum(h.Checksum(), p.payloadCheck(ProtocolICMPv6, l.off, p.end, h.Checksum(), true, p.ip.cut))
	if size := icmpv6Size(h.Type()); len(h) < size {
		p.parseFault(short(len(h), size), l.off, p.end)
		return
	}
	p.icmpv6Words(h, p.end-l.off-icmpSize)
	p.icmpv6Faults(h, l.off, p.end, coded)
}

// extensionDetail prints an extension header.
func (p *printer) extensionDetail(b []byte, l layer) {
	p.char(' ')
	p.str(extensionName(l.protocol))
	p.fieldName("next", int(b[0]), protocolName(int(b[0])))
	p.field("length", l.end-l.off)
	e := extensions{data: p.slice(0, p.end), end: p.end, off: l.off, protocol: l.protocol}
	e.next()
	p.extension(&e, p.end)
}
