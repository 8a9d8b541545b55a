package packet

func (p *printer) ipv4Detail(b []byte, l Layer) {
	h, f := ParseIPv4(b)
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		if f.Name != "version" && len(b) >= IPv4Size {
			p.ipv4Fields(IPv4(b))
			p.fieldHex("cksum", int(IPv4(b).Checksum()), 4)
			p.fieldIPv4("src", IPv4(b).Source())
			p.fieldIPv4("dst", IPv4(b).Destination())
		}
		return
	}
	p.field("ihl", len(h))
	p.ipv4Fields(h)
	p.cksum(h.Checksum(), p.ipv4Check(h))
	p.fieldIPv4("src", h.Source())
	p.fieldIPv4("dst", h.Destination())
	p.ipv4Options(h, true)
	p.ipv4Faults(h, l.Off, l.limit)
}

// ipv4Fields prints what stands before the checksum.
func (p *printer) ipv4Fields(h IPv4) {
	p.fieldHex("tos", h.TOS(), 2)
	p.field("total", h.TotalLen())
	p.fieldHex("id", h.ID(), 4)
	p.ipv4Flags(h)
	p.field("off", h.FragmentOffset())
	p.field("ttl", h.TTL())
	p.fieldName("proto", h.Protocol(), ProtocolName(h.Protocol()))
}

func (p *printer) ipv4Flags(h IPv4) {
	p.str(" flags=[")
	sep := ""
	for _, f := range [...]struct {
		set  bool
		name string
	}{{h.ReservedFlag(), "reserved"}, {h.DontFragment(), "DF"}, {h.MoreFragments(), "MF"}} {
		if f.set {
			p.str(sep)
			p.str(f.name)
			sep = ","
		}
	}
	p.char(']')
}

func (p *printer) ipv6Detail(b []byte, l Layer) {
	h, f := ParseIPv6(b)
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		return
	}
	p.fieldHex("tc", h.TrafficClass(), 2)
	p.fieldHex("flow", h.FlowLabel(), 5)
	p.field("payload", h.PayloadLen())
	p.fieldName("next", h.NextHeader(), ProtocolName(h.NextHeader()))
	p.field("hop", h.HopLimit())
	p.fieldIPv6("src", h.Source())
	p.fieldIPv6("dst", h.Destination())
	_, jumbo := p.ipv6End(h, l.Off, l.limit)
	p.ipv6Faults(h, l.Off, l.limit, jumbo)
}
