package packet

func isNDP(typ int) bool { return typ >= ndpRouterSolicit && typ <= ndpRedirect }

// ndpHopLimit is the only hop limit of neighbor discovery: a router has not forwarded it [RFC 4861 4].
const ndpHopLimit = 255

// ndp prints the fixed part of a neighbor discovery message.
func (p *printer) ndp(h ICMP) {
	switch h.Type() {
	case ndpRouterAdvert:
		p.routerAdvert(h)
	case ndpSolicit:
		p.target(h)
	case ndpAdvert:
		p.target(h)
		p.letters(h[4], "RSO")
	case ndpRedirect:
		p.target(h)
		p.str(" dst=")
		p.b = appendIPv6(p.b, h[24:40])
	}
}

func (p *printer) target(h ICMP) {
	p.str(" target=")
	p.b = appendIPv6(p.b, h[8:24])
}

// letters prints in brackets the letters of the bits that are set, from the highest.
func (p *printer) letters(bits byte, names string) {
	p.str(" [")
	for i := range len(names) {
		if bits&(0x80>>i) != 0 {
			p.char(names[i])
		}
	}
	p.char(']')
}

// routerAdvert prints a router advertisement [RFC 4861 4.2] [RFC 4191 2.2].
func (p *printer) routerAdvert(h ICMP) {
	p.field("hop-limit", int(h[4]))
	p.letters(h[5], "MOH")
	p.str(" pref=")
	p.str(routerPreference(h[5]))
	p.field("lifetime", int(be16(h[6:])))
	p.str(" reachable=")
	p.num32(be32(h[8:]))
	p.str(" retrans=")
	p.num32(be32(h[12:]))
}

func routerPreference(bits byte) string {
	return pick(int(bits>>3&3), "medium", "high", "reserved", "low")
}

// NDP options [IANA icmpv6-parameters].
const (
	ndpSourceLL   = 1
	ndpTargetLL   = 2
	ndpPrefix     = 3
	ndpRedirected = 4
	ndpMTU        = 5
	ndpRoute      = 24
	ndpRDNSS      = 25
)

func ndpOptionName(kind int) string {
	switch kind {
	case ndpSourceLL:
		return "src-ll"
	case ndpTargetLL:
		return "tgt-ll"
	case ndpPrefix:
		return "prefix"
	case ndpRedirected:
		return "redirected"
	case ndpMTU:
		return "mtu"
	case 11:
		return "cga"
	case 12:
		return "signature"
	case 13:
		return "timestamp"
	case 14:
		return "nonce"
	case ndpRoute:
		return "route"
	case ndpRDNSS:
		return "rdnss"
	case 26:
		return "flags"
	case 31:
		return "dnssl"
	case 33:
		return "6lowpan-address"
	case 37:
		return "captive-portal"
	case 38:
		return "pref64"
	}
	return ""
}

// ndpOptionSize returns the least length in bytes of an option whose value is printed.
func ndpOptionSize(kind int) int {
	switch kind {
	case ndpPrefix:
		return 32
	case ndpRDNSS:
		return 24
	}
	return 8
}

// ndpTLV walks the options of neighbor discovery: type, length in units of 8 bytes [RFC 4861 4.6].
type ndpTLV struct {
	b    []byte
	pos  int
	kind int
	at   int
	body []byte // all of the option
	bad  Fault
}

func (o *ndpTLV) next() bool {
	left := len(o.b) - o.pos
	if left <= 0 {
		return false
	}
	if left < 2 {
		o.bad = Fault{Name: "option-length", Relation: '<', Got: left, Want: 8, Offset: o.pos}
		return false
	}
	size := 8 * int(o.b[o.pos+1])
	switch {
	case size == 0:
		o.bad = Fault{Name: "option-length-zero", Offset: o.pos + 1}
		return false
	case size > left:
		o.bad = Fault{Name: "option-length", Relation: '>', Got: size, Want: left, Offset: o.pos + 1}
		return false
	}
	o.at, o.kind, o.body = o.pos, int(o.b[o.pos]), o.b[o.pos:o.pos+size]
	o.pos += size
	return true
}

// ndpOptions prints the options in angle brackets.
func (p *printer) ndpOptions(h ICMP) {
	var list brackets
	for it := (ndpTLV{b: h[icmpv6Size(h.Type()):]}); it.next(); {
		if !list.item(p) {
			break
		}
		p.optionName(ndpOptionName(it.kind), it.kind)
		if len(it.body) < ndpOptionSize(it.kind) {
			continue
		}
		p.ndpOption(it.kind, it.body)
	}
	list.done(p)
}

// ndpOption prints the value of an option that has its least length.
func (p *printer) ndpOption(kind int, b []byte) {
	switch kind {
	case ndpSourceLL, ndpTargetLL:
		p.char(' ')
		p.b = appendMAC(p.b, b[2:8])
	case ndpPrefix: // [RFC 4861 4.6.2]
		p.char(' ')
		p.b = appendIPv6(p.b, b[16:32])
		p.char('/')
		p.num(int(b[2]))
		p.letters(b[3], "LA")
		p.str(" valid=")
		p.num32(be32(b[4:]))
		p.str(" preferred=")
		p.num32(be32(b[8:]))
	case ndpMTU:
		p.char(' ')
		p.num32(be32(b[4:]))
	case ndpRDNSS: // [RFC 8106 5.1]
		for i := 8; i+16 <= min(len(b), 8+16*maxItems); i += 16 {
			p.char(' ')
			p.b = appendIPv6(p.b, b[i:i+16])
		}
		p.str(" lifetime=")
		p.num32(be32(b[4:]))
	case ndpRoute: // [RFC 4191 2.3]
		var prefix [16]byte
		copy(prefix[:], b[8:])
		p.char(' ')
		p.b = appendIPv6(p.b, prefix[:])
		p.char('/')
		p.num(int(b[2]))
		p.str(" lifetime=")
		p.num32(be32(b[4:]))
	default:
		p.field("len", len(b))
	}
}

func (p *printer) ndpFaults(h ICMP, off, end int) {
	if p.ip.hop != ndpHopLimit {
		p.compare("hop-limit", p.ip.hop, '=', ndpHopLimit, p.ip.hopOff)
	}
	if typ := h.Type(); typ >= ndpSolicit && h[8] == 0xff {
		p.wrong("target-multicast", off+8)
	}
	size := icmpv6Size(h.Type())
	it := ndpTLV{b: h[size:]}
	for it.next() {
		if least := ndpOptionSize(it.kind); len(it.body) < least {
			p.compare("option-length", len(it.body), '<', least, off+size+it.at+1)
		}
	}
	if it.bad.Bad() && (it.bad.Relation == 0 || p.captured(end)) { // what lies beyond the capture may be in order
		p.fault(it.bad, off+size)
	}
}
