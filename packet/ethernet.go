package packet

// Ethernet is an Ethernet header [802.3 3.1.1].
//
//	 0                   6                   12      14
//	+-------------------+-------------------+-------+----
//	|    destination    |      source       | type  | payload
//	+-------------------+-------------------+-------+----
type Ethernet []byte

// EthernetSize is the length of an Ethernet header in bytes, without VLAN tags.
const EthernetSize = 14

// ParseEthernet validates the header at the start of b.
func ParseEthernet(b []byte) (Ethernet, Fault) {
	if len(b) < EthernetSize {
		return nil, short(len(b), EthernetSize)
	}
	return Ethernet(b[:EthernetSize]), Fault{}
}

// Destination returns the address the frame is for.
func (h Ethernet) Destination() []byte { return h[0:6] }

// Source returns the address of the sender.
func (h Ethernet) Source() []byte { return h[6:12] }

// Type returns the EtherType, or the length of an 802.3 frame.
func (h Ethernet) Type() uint16 { return be16(h[12:]) }

// EtherTypes of the protocols that are decoded [IANA ieee-802-numbers].
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeARP  = 0x0806
	EtherTypeVLAN = 0x8100 // C-tag [802.1Q 9.5]
	EtherTypeIPv6 = 0x86dd
	EtherTypeQinQ = 0x88a8 // S-tag [802.1Q 9.5]
	EtherType9100 = 0x9100 // S-tag of old equipment

	max8023Length = 1500   // a type up to here is a length [802.3 3.2.6]
	minEtherType  = 0x0600 // from here on it is a type
)

// VLAN is a tag, counted from after the type that announces it [802.1Q 9.6].
//
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//	+-----+-+-----------------------+-------------------------------+
//	| PCP |D|          VID          |             type              |
//	+-----+-+-----------------------+-------------------------------+
type VLAN []byte

// VLANSize is the length of a tag in bytes.
const VLANSize = 4

// maxVLANs is how deep tags are followed, maxVLANDepth how many are in order.
const (
	maxVLANs     = 8
	maxVLANDepth = 2
)

// ParseVLAN validates the tag at the start of b.
func ParseVLAN(b []byte) (VLAN, Fault) {
	if len(b) < VLANSize {
		return nil, short(len(b), VLANSize)
	}
	return VLAN(b[:VLANSize]), Fault{}
}

// Priority returns the priority code point.
func (h VLAN) Priority() int { return int(h[0] >> 5) }

// DropEligible returns the DEI bit.
func (h VLAN) DropEligible() bool { return h[0]&0x10 != 0 }

// ID returns the VLAN identifier.
func (h VLAN) ID() int { return int(be16(h) & 0xfff) }

// Type returns the EtherType of what follows.
func (h VLAN) Type() uint16 { return be16(h[2:]) }

// ethernet prints the link layer and what it carries.
func (p *printer) ethernet() {
	h, f := ParseEthernet(p.slice(0, p.wire))
	if f.Bad() {
		p.push(LayerEthernet, 0, p.wire)
		if len(p.data) >= 12 {
			p.addresses(Ethernet(p.data))
		}
		p.protocol("Ethernet")
		p.parseFault(f, 0, p.wire)
		return
	}
	p.push(LayerEthernet, 0, EthernetSize)
	p.addresses(h)
	p.ethernetFaults(h)
	p.tagged(h.Type(), EthernetSize-2, EthernetSize)
}

// tagged prints what stands at off, of type typ, which stands at typeOff: VLAN tags and what they carry.
func (p *printer) tagged(typ uint16, typeOff, off int) {
	for tags := 0; isVLAN(typ); tags++ {
		if tags == maxVLANs {
			p.str(" ...")
			return
		}
		var ok bool
		if typ, ok = p.vlan(typ, off, tags); !ok {
			return
		}
		off += VLANSize
		typeOff = off - 2
	}
	p.etherPayload(typ, typeOff, off)
}

// addresses prints source and destination.
func (p *printer) addresses(h Ethernet) {
	p.char(' ')
	from := len(p.b)
	p.b = appendMAC(p.b, h.Source())
	p.char('>')
	p.b = appendMAC(p.b, h.Destination())
	p.mark(MarkLink, from)
}

func (p *printer) ethernetFaults(h Ethernet) {
	if h.Source()[0]&1 != 0 {
		p.wrong("src-multicast", 6)
	}
}

func isVLAN(typ uint16) bool {
	return typ == EtherTypeVLAN || typ == EtherTypeQinQ || typ == EtherType9100
}

// vlan prints the tag at off, which type tpid announced, and returns the type it announces.
func (p *printer) vlan(tpid uint16, off, tags int) (uint16, bool) {
	if tpid == EtherTypeVLAN {
		p.str(" vlan")
	} else {
		p.str(" svlan")
	}
	b := p.slice(off, p.wire)
	h, f := ParseVLAN(b)
	if f.Bad() {
		p.push(LayerVLAN, off, p.wire)
		if len(b) >= 2 {
			p.tagWords(VLAN(b))
		}
		p.parseFault(f, off, p.wire)
		return 0, false
	}
	p.pushLayer(Layer{Kind: LayerVLAN, Off: off, End: off + VLANSize, Protocol: int(tpid)})
	p.tagWords(h)
	p.vlanFaults(h, off)
	if tags >= maxVLANDepth {
		p.compare("vlan-depth", tags+1, '>', maxVLANDepth, off)
	}
	return h.Type(), true
}

// tagWords prints what is in the first half of a tag.
func (p *printer) tagWords(h VLAN) {
	p.char(' ')
	p.num(h.ID())
	p.str("/p")
	p.num(h.Priority())
	if h.DropEligible() {
		p.str("/dei")
	}
}

func (p *printer) vlanFaults(h VLAN, off int) {
	if h.ID() == 0xfff { // reserved [802.1Q table 9-2]
		p.compare("vlan-id", h.ID(), '>', 0xffe, off)
	}
}

// etherPayload prints what stands at off, of type or length typ, which stands at typeOff.
func (p *printer) etherPayload(typ uint16, typeOff, off int) {
	switch {
	case typ <= max8023Length:
		p.llc(int(typ), off)
	case typ < minEtherType:
		p.fault(Fault{Name: "ethertype", Relation: '<', Got: int(typ), Want: minEtherType, Hex: true}, typeOff)
		p.pushData(off, p.wire)
	default:
		p.etherType(typ, typeOff, off, p.wire)
	}
}

// etherType prints the protocol typ, which stands at typeOff, in [off, end).
func (p *printer) etherType(typ uint16, typeOff, off, end int) {
	switch typ {
	case EtherTypeIPv4:
		p.ipv4(off, end)
	case EtherTypeIPv6:
		p.ipv6(off, end)
	case EtherTypeARP:
		p.arp(off, end)
	default:
		p.otherEtherType(typ, typeOff, off, end)
	}
}

// otherEtherType prints a protocol that is not decoded further.
func (p *printer) otherEtherType(typ uint16, typeOff, off, end int) {
	if name := EtherTypeName(typ); name != "" {
		p.char(' ')
		p.str(name)
	} else {
		p.fault(Fault{Name: "ethertype-unknown", Relation: '!', Got: int(typ), Hex: true}, typeOff)
	}
	p.field("len", end-off)
	p.pushData(off, end)
}

// pushData notes a payload that has no layer of its own.
func (p *printer) pushData(off, end int) {
	if off < end {
		p.push(LayerData, off, end)
	}
}
