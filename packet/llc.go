package packet

// LLC is a logical link control header behind an 802.3 length [802.2 3.2].
//
//	 0        1        2       3 (or 4)
//	+--------+--------+--------+----
//	|  DSAP  |  SSAP  | control| payload
//	+--------+--------+--------+----
type LLC []byte

const llcSize = 3

// ParseLLC validates the header at the start of b. The control field of information and supervisory frames has a
// second byte, which belongs to the payload here.
func ParseLLC(b []byte) (LLC, Fault) {
	if len(b) < llcSize {
		return nil, short(len(b), llcSize)
	}
	return LLC(b[:llcSize]), Fault{}
}

// DSAP returns the destination's service access point.
func (h LLC) DSAP() int { return int(h[0]) }

// SSAP returns the source's service access point.
func (h LLC) SSAP() int { return int(h[1]) }

// Control returns the first byte of the control field.
func (h LLC) Control() int { return int(h[2]) }

// SNAP is a subnetwork access protocol header behind LLC [RFC 1042].
//
//	 0                          3                 5
//	+--------+--------+--------+--------+--------+----
//	|           OUI            |       type      | payload
//	+--------+--------+--------+--------+--------+----
type SNAP []byte

const (
	snapSize = 5
	snapSAP  = 0xaa
	rawIPX   = 0xffff // Novell puts IPX, which starts so, right behind the length
)

// ParseSNAP validates the header at the start of b.
func ParseSNAP(b []byte) (SNAP, Fault) {
	if len(b) < snapSize {
		return nil, short(len(b), snapSize)
	}
	return SNAP(b[:snapSize]), Fault{}
}

// OUI returns who defined the type; 0 means that it is an EtherType.
func (h SNAP) OUI() int { return int(h[0])<<16 | int(be16(h[1:])) }

// Type returns the protocol.
func (h SNAP) Type() uint16 { return be16(h[3:]) }

// llc prints an 802.3 frame whose payload at off has the given length.
func (p *printer) llc(length, off int) {
	p.protocol("802.3")
	p.field("len", length)
	end := off + length
	if end > p.wire {
		p.compare("length", length, '>', p.wire-off, off-2)
		end = p.wire
	}
	p.end = end
	h, f := ParseLLC(p.slice(off, end))
	p.str(" LLC")
	if f.Bad() {
		p.push(LayerLLC, off, end)
		p.parseFault(f, off, end)
		return
	}
	if be16(h) == rawIPX {
		p.str(" (IPX)")
		p.pushData(off, end)
		return
	}
	p.push(LayerLLC, off, off+llcSize)
	p.llcFields(h)
	if h.DSAP() == snapSAP && h.SSAP() == snapSAP {
		p.snap(off+llcSize, end)
		return
	}
	p.field("data", end-off-llcSize)
	p.pushData(off+llcSize, end)
}

func (p *printer) llcFields(h LLC) {
	p.fieldHex("dsap", h.DSAP(), 2)
	p.fieldHex("ssap", h.SSAP(), 2)
	p.fieldHex("ctl", h.Control(), 2)
	p.word(sapName(h.DSAP()))
}

func (p *printer) snap(off, end int) {
	p.str(" SNAP")
	h, f := ParseSNAP(p.slice(off, end))
	if f.Bad() {
		p.push(LayerSNAP, off, end)
		p.parseFault(f, off, end)
		return
	}
	p.push(LayerSNAP, off, off+snapSize)
	p.snapFields(h)
	if h.OUI() == 0 && h.Type() >= minEtherType {
		p.etherType(h.Type(), off+3, off+snapSize, end)
		return
	}
	p.field("data", end-off-snapSize)
	p.pushData(off+snapSize, end)
}

func (p *printer) snapFields(h SNAP) {
	p.fieldHex("oui", h.OUI(), 6)
	p.fieldHex("type", int(h.Type()), 4)
	if h.OUI() == 0x00000c {
		p.word(ciscoName(h.Type()))
	}
}

// sapName names a service access point [802.2 E.6].
func sapName(sap int) string {
	switch sap {
	case 0x06:
		return "IP"
	case 0x42:
		return "STP"
	case 0xaa:
		return "SNAP"
	case 0xe0:
		return "IPX"
	case 0xf0:
		return "NetBIOS"
	case 0xfe:
		return "IS-IS"
	}
	return ""
}

// ciscoName names the protocols of Cisco's OUI.
func ciscoName(typ uint16) string {
	switch typ {
	case 0x0104:
		return "PortFast"
	case 0x010b:
		return "PVST+"
	case 0x0111:
		return "UDLD"
	case 0x2000:
		return "CDP"
	case 0x2003:
		return "VTP"
	case 0x2004:
		return "DTP"
	}
	return ""
}
