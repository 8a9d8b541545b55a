package packet

// maxDHCPText bounds how many bytes of a text option are printed.
const maxDHCPText = 64

// dhcp prints the message in [off, end).
func (p *printer) dhcp(off, end int) {
	p.push(LayerDHCP, off, end)
	p.application("DHCP")
	p.dhcpWords(off, end)
}

func (p *printer) dhcpWords(off, end int) {
	h, f := ParseDHCP(p.slice(off, end))
	if f.Bad() {
		p.parseFault(f, off, end)
		return
	}
	cookie := h.Cookie() == dhcpCookie
	if cookie {
		p.dhcpKind(h)
	} else {
		p.str(pick(min(h.Op(), 3), "", " bootp-request", " bootp-reply", ""))
	}
	p.str(" xid=")
	p.b = appendHex(p.b, uint64(h.XID()), 8)
	p.mac("chaddr", h.HardwareAddress())
	p.dhcpAddress("ciaddr", h.ClientAddress())
	p.dhcpAddress("yiaddr", h.YourAddress())
	p.dhcpAddress("siaddr", h.NextServer())
	p.dhcpAddress("giaddr", h.Relay())
	if op := h.Op(); op != 1 && op != 2 {
		p.compare("op-unknown", op, '!', 0, off)
	}
	if !cookie {
		p.fault(Fault{Name: "cookie", Relation: '=', Got: int(h.Cookie()), Want: dhcpCookie, Hex: true}, off+offDHCPCookie)
		return
	}
	p.dhcpOptions(h, off+DHCPSize, end)
}

// dhcpKind prints the type of the message, which is an option.
func (p *printer) dhcpKind(h DHCP) {
	for it := (dhcpTLV{b: h[DHCPSize:]}); it.next(); {
		if it.kind != dhcpType || len(it.body) != 1 {
			continue
		}
		p.char(' ')
		if name := dhcpTypeName(int(it.body[0])); name != "" {
			p.str(name)
			return
		}
		p.str("type-")
		p.num(int(it.body[0]))
		return
	}
	p.str(pick(min(h.Op(), 3), "", " bootp-request", " bootp-reply", ""))
}

// dhcpAddress prints an address, if it is there.
func (p *printer) dhcpAddress(name string, a []byte) {
	if be32(a) != 0 {
		p.fieldIPv4(name, a)
	}
}

// dhcpOptions prints the options, which start at off.
func (p *printer) dhcpOptions(h DHCP, off, end int) {
	var list brackets
	it := dhcpTLV{b: h[DHCPSize:]}
	whole := true
	for it.next() {
		if it.kind == dhcpType {
			continue
		}
		if whole = list.item(p); !whole {
			break
		}
		name, form := dhcpOption(it.kind)
		p.optionName(name, it.kind)
		p.dhcpBody(form, it.body)
	}
	list.done(p)
	if !whole || !p.captured(end) {
		return
	}
	if it.bad.Bad() {
		p.fault(it.bad, off)
	} else if !it.ended { // [RFC 2131 4.1]
		p.wrong("no-end-option", end)
	}
}

// dhcpBody prints what an option says.
func (p *printer) dhcpBody(form dhcpForm, b []byte) {
	switch {
	case form == dhcpText:
		p.char(' ')
		p.quoted(b, maxDHCPText)
	case form == dhcpAddresses && len(b) >= 4 && len(b)%4 == 0:
		for i := 0; i < min(len(b), 4*maxItems); i += 4 {
			p.char(' ')
			p.b = appendIPv4(p.b, b[i:])
		}
	case form == dhcpNumber && len(b) == 1:
		p.char(' ')
		p.num(int(b[0]))
	case form == dhcpNumber && len(b) == 2:
		p.char(' ')
		p.num(int(be16(b)))
	case form == dhcpNumber && len(b) == 4:
		p.char(' ')
		p.num32(be32(b))
	default:
		p.field("len", len(b))
	}
}
