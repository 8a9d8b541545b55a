package packet

// Types of ICMPv6 [IANA icmpv6-parameters].
const (
	icmpv6Unreachable  = 1
	icmpv6TooBig       = 2
	icmpv6TimeExceeded = 3
	icmpv6Parameter    = 4
	icmpv6Echo         = 128
	icmpv6EchoReply    = 129
	mldQuery           = 130
	mldReport          = 131
	mldDone            = 132
	ndpRouterSolicit   = 133
	ndpRouterAdvert    = 134
	ndpSolicit         = 135
	ndpAdvert          = 136
	ndpRedirect        = 137
	mld2Report         = 143
)

func icmpv6Name(typ int) string {
	switch typ {
	case icmpv6Unreachable:
		return "unreachable"
	case icmpv6TooBig:
		return "packet-too-big"
	case icmpv6TimeExceeded:
		return "time-exceeded"
	case icmpv6Parameter:
		return "parameter-problem"
	case icmpv6Echo:
		return "echo-request"
	case icmpv6EchoReply:
		return "echo-reply"
	case mldQuery:
		return "mld-query"
	case mldReport:
		return "mld-report"
	case mldDone:
		return "mld-done"
	case ndpRouterSolicit:
		return "router-solicit"
	case ndpRouterAdvert:
		return "router-advert"
	case ndpSolicit:
		return "neighbor-solicit"
	case ndpAdvert:
		return "neighbor-advert"
	case ndpRedirect:
		return "redirect"
	case 138:
		return "router-renumbering"
	case 139:
		return "node-info-query"
	case 140:
		return "node-info-reply"
	case mld2Report:
		return "mld2-report"
	case 155:
		return "rpl"
	case 160:
		return "extended-echo-request"
	case 161:
		return "extended-echo-reply"
	}
	return ""
}

// icmpv6Code names a code; ok is false if the type has no codes, and 0 is the only one.
func icmpv6Code(typ, code int) (name string, ok bool) {
	switch typ {
	case icmpv6Unreachable:
		return pick(code, "no-route", "admin-prohibited", "beyond-scope", "address", "port", "source-policy", "reject-route"), true
	case icmpv6TimeExceeded:
		return pick(code, "hop-limit", "reassembly"), true
	case icmpv6Parameter:
		return pick(code, "header-field", "next-header", "option", "incomplete-chain"), true
	case 138, 139, 140, 155, 161:
		return "", true
	}
	return "", icmpv6Name(typ) == ""
}

func (p *printer) icmpv6(off, end int) {
	p.protocol("ICMPv6")
	h, f := ParseICMP(p.slice(off, end))
	if f.Bad() {
		p.push(LayerICMPv6, off, end)
		if b := p.slice(off, end); len(b) >= icmpFixed {
			p.icmpCodeFault(ICMP(b), p.icmpv6Head(ICMP(b)), off)
		}
		p.parseFault(f, off, end)
		return
	}
	size := icmpv6Size(h.Type())
	coded := p.icmpv6Head(h)
	if len(h) < size {
		p.push(LayerICMPv6, off, end)
		p.icmpCodeFault(h, coded, off)
		p.parseFault(short(len(h), size), off, end)
		return
	}
	stop := off + size
	if icmpv6Lists(h.Type()) {
		stop = end
	}
	p.push(LayerICMPv6, off, stop)
	p.icmpv6Words(h, end-off-icmpSize)
	if icmpv6Quotes(h.Type()) {
		p.quote(off+icmpSize, end)
	}
	p.check("ck", p.payloadCheck(ProtocolICMPv6, off, end, h.Checksum(), true, p.ip.cut))
	p.icmpv6Faults(h, off, end, coded)
	if !icmpv6Quotes(h.Type()) {
		p.pushData(stop, end)
	}
}

// icmpv6Head prints type and code, and tells whether the code has a meaning.
func (p *printer) icmpv6Head(h ICMP) bool {
	code, coded := icmpv6Code(h.Type(), h.Code())
	p.icmpType(icmpv6Name(h.Type()), h, code, coded)
	return coded
}

// icmpv6Size returns the length of the fixed part of a message in bytes [RFC 4861 4] [RFC 3810 5].
func icmpv6Size(typ int) int {
	switch typ {
	case ndpRouterAdvert:
		return 16
	case ndpSolicit, ndpAdvert, mldQuery, mldReport, mldDone:
		return 24
	case ndpRedirect:
		return 40
	}
	return icmpSize
}

func icmpv6Quotes(typ int) bool { return typ <= icmpv6Parameter }

// icmpv6Lists tells whether the rest of a message consists of options, sources or records.
func icmpv6Lists(typ int) bool { return isNDP(typ) || typ == mldQuery || typ == mld2Report }

// icmpv6Words prints the fields of a message whose fixed part is there, with size bytes behind the first 8.
func (p *printer) icmpv6Words(h ICMP, size int) {
	switch typ := h.Type(); typ {
	case icmpv6TooBig:
		p.str(" mtu=")
		p.num32(be32(h[4:]))
	case icmpv6Parameter:
		p.str(" pointer=")
		p.num32(be32(h[4:]))
	case icmpv6Unreachable, icmpv6TimeExceeded:
	case icmpv6Echo, icmpv6EchoReply:
		p.field("id", h.ID())
		p.field("seq", h.Seq())
		p.field("len", size)
	case mldQuery, mldReport, mldDone:
		p.mld(h)
	case mld2Report:
		p.mld2(h)
	case ndpRouterSolicit, ndpRouterAdvert, ndpSolicit, ndpAdvert, ndpRedirect:
		p.ndp(h)
		p.ndpOptions(h)
	default:
		p.field("len", size)
	}
}

func (p *printer) icmpv6Faults(h ICMP, off, end int, coded bool) {
	p.icmpCodeFault(h, coded, off)
	if isNDP(h.Type()) {
		p.ndpFaults(h, off, end)
	}
}

// mld prints a message of multicast listener discovery [RFC 2710 3] [RFC 3810 5.1].
func (p *printer) mld(h ICMP) {
	p.str(" group=")
	p.b = appendIPv6(p.b, h[8:24])
	if h.Type() == mldQuery {
		p.field("max-delay", int(be16(h[4:])))
		if len(h) >= 28 {
			p.field("sources", int(be16(h[26:])))
		}
	}
}

// mld2 prints the records of a version 2 report [RFC 3810 5.2].
func (p *printer) mld2(h ICMP) {
	p.field("records", int(be16(h[6:])))
	var list brackets
	for b := h[8:]; len(b) >= 20 && list.item(p); {
		p.str(pick(int(b[0]), "type-0", "is-in", "is-ex", "to-in", "to-ex", "allow", "block"))
		p.char(' ')
		p.b = appendIPv6(p.b, b[4:20])
		sources := int(be16(b[2:]))
		if sources != 0 {
			p.field("sources", sources)
		}
		b = b[min(20+16*sources+4*int(b[1]), len(b)):]
	}
	list.done(p)
}
