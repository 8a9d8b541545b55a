package packet

func (p *printer) ethernetDetail(b []byte, l Layer) {
	h, f := ParseEthernet(b)
	if f.Bad() {
		p.parseFault(f, l.Off, p.wire)
		return
	}
	p.mac("dst", h.Destination())
	p.mac("src", h.Source())
	p.typeDetail(h.Type())
	p.ethernetFaults(h)
}

// typeDetail prints an EtherType or an 802.3 length.
func (p *printer) typeDetail(typ uint16) {
	if typ <= max8023Length {
		p.field("length", int(typ))
		return
	}
	p.fieldHex("ethertype", int(typ), 4)
	p.word(EtherTypeName(typ))
}

func (p *printer) vlanDetail(b []byte, l Layer) {
	h, f := ParseVLAN(b)
	if f.Bad() {
		p.parseFault(f, l.Off, p.wire)
		return
	}
	p.fieldHex("tpid", l.Protocol, 4)
	p.field("pcp", h.Priority())
	dei := 0
	if h.DropEligible() {
		dei = 1
	}
	p.field("dei", dei)
	p.field("vid", h.ID())
	p.typeDetail(h.Type())
	p.vlanFaults(h, l.Off)
}

func (p *printer) llcDetail(b []byte, l Layer) {
	h, f := ParseLLC(b)
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		return
	}
	p.llcFields(h)
}

func (p *printer) snapDetail(b []byte, l Layer) {
	h, f := ParseSNAP(b)
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		return
	}
	p.snapFields(h)
}

func (p *printer) arpDetail(b []byte, l Layer) {
	h, f := ParseARP(b)
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		return
	}
	p.field("htype", h.HardwareType())
	p.fieldHex("ptype", h.ProtocolType(), 4)
	p.field("hlen", h.HardwareLen())
	p.field("plen", h.ProtocolLen())
	p.fieldName("op", h.Operation(), arpOperation(h.Operation()))
	p.mac("sha", h.SenderHardware())
	p.protocolAddress("spa", h.SenderProtocol())
	p.mac("tha", h.TargetHardware())
	p.protocolAddress("tpa", h.TargetProtocol())
	if f = h.mismatch(); f.Bad() {
		p.fault(f, l.Off)
		return
	}
	p.arpFaults(h, l.Off)
}

func (p *printer) protocolAddress(name string, a []byte) {
	p.char(' ')
	p.str(name)
	p.char('=')
	switch len(a) {
	case 4:
		p.b = appendIPv4(p.b, a)
	case 16:
		p.b = appendIPv6(p.b, a)
	default:
		p.b = appendMAC(p.b, a)
	}
}
