package packet

// ICMP is the start of an ICMP or ICMPv6 message [RFC 792] [RFC 4443 2.1].
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|     Type      |     Code      |           Checksum            |
//	+---------------+---------------+-------------------------------+
//	|              by type: id and sequence, gateway, MTU, pointer  |
//	+---------------------------------------------------------------+
type ICMP []byte

const (
	icmpSize  = 8
	icmpFixed = 4 // type, code and checksum
)

// ParseICMP validates the header at the start of b.
func ParseICMP(b []byte) (ICMP, Fault) {
	if len(b) < icmpSize {
		return nil, short(len(b), icmpSize)
	}
	return ICMP(b), Fault{}
}

// Type returns the type of the message.
func (h ICMP) Type() int { return int(h[0]) }

// Code returns the code, whose meaning depends on the type.
func (h ICMP) Code() int { return int(h[1]) }

// Checksum returns the checksum as it stands.
func (h ICMP) Checksum() uint16 { return be16(h[2:]) }

// ID returns the identifier of an echo message.
func (h ICMP) ID() int { return int(be16(h[4:])) }

// Seq returns the sequence number of an echo message.
func (h ICMP) Seq() int { return int(be16(h[6:])) }

// Types of ICMP [IANA icmp-parameters].
const (
	icmpEchoReply    = 0
	icmpUnreachable  = 3
	icmpSourceQuench = 4
	icmpRedirect     = 5
	icmpEcho         = 8
	icmpTimeExceeded = 11
	icmpParameter    = 12
	icmpTimestamp    = 13
	icmpTimestampRep = 14
	icmpAddressMask  = 17
	icmpMaskReply    = 18

	codeFragNeeded = 4 // of icmpUnreachable
)

func icmpName(typ int) string {
	switch typ {
	case icmpEchoReply:
		return "echo-reply"
	case icmpUnreachable:
		return "unreachable"
	case icmpSourceQuench:
		return "source-quench"
	case icmpRedirect:
		return "redirect"
	case icmpEcho:
		return "echo-request"
	case 9:
		return "router-advert"
	case 10:
		return "router-solicit"
	case icmpTimeExceeded:
		return "time-exceeded"
	case icmpParameter:
		return "parameter-problem"
	case icmpTimestamp:
		return "timestamp-request"
	case icmpTimestampRep:
		return "timestamp-reply"
	case 15:
		return "info-request"
	case 16:
		return "info-reply"
	case icmpAddressMask:
		return "mask-request"
	case icmpMaskReply:
		return "mask-reply"
	case 40:
		return "photuris"
	case 42:
		return "extended-echo-request"
	case 43:
		return "extended-echo-reply"
	}
	return ""
}

// icmpCode names a code; ok is false if the type has no codes, and 0 is the only one.
func icmpCode(typ, code int) (name string, ok bool) {
	switch typ {
	case icmpUnreachable:
		return unreachableCode(code), true
	case icmpRedirect:
		return pick(code, "net", "host", "tos-net", "tos-host"), true
	case icmpTimeExceeded:
		return pick(code, "ttl", "reassembly"), true
	case icmpParameter:
		return pick(code, "pointer", "option-missing", "length"), true
	case 9, 40, 43:
		return "", true
	}
	return "", icmpName(typ) == ""
}

func unreachableCode(code int) string {
	switch code {
	case 0:
		return "net"
	case 1:
		return "host"
	case 2:
		return "protocol"
	case 3:
		return "port"
	case codeFragNeeded:
		return "frag-needed"
	case 5:
		return "source-route"
	case 6:
		return "net-unknown"
	case 7:
		return "host-unknown"
	case 8:
		return "host-isolated"
	case 9:
		return "net-prohibited"
	case 10:
		return "host-prohibited"
	case 11:
		return "tos-net"
	case 12:
		return "tos-host"
	case 13:
		return "admin-prohibited"
	case 14:
		return "precedence-violation"
	case 15:
		return "precedence-cutoff"
	}
	return ""
}

// pick returns the n-th name, "" beyond the last.
func pick(n int, names ...string) string {
	if n < len(names) {
		return names[n]
	}
	return ""
}

func (p *printer) icmp(off, end int) {
	p.protocol("ICMP")
	h, f := ParseICMP(p.slice(off, end))
	if f.Bad() {
		p.push(LayerICMP, off, end)
		if b := p.slice(off, end); len(b) >= icmpFixed {
			p.icmpCodeFault(ICMP(b), p.icmpHead(ICMP(b)), off)
		}
		p.parseFault(f, off, end)
		return
	}
	p.push(LayerICMP, off, off+icmpSize)
	coded := p.icmpHead(h)
	p.icmpWords(h, end-off-icmpSize)
	quote := icmpQuotes(h.Type())
	if quote {
		p.quote(off+icmpSize, end)
	}
	p.check("ck", p.payloadCheck(ProtocolICMP, off, end, h.Checksum(), false, p.ip.cut))
	p.icmpCodeFault(h, coded, off)
	if !quote {
		p.pushData(off+icmpSize, end)
	}
}

// icmpHead prints type and code, and tells whether the code has a meaning.
func (p *printer) icmpHead(h ICMP) bool {
	code, coded := icmpCode(h.Type(), h.Code())
	p.icmpType(icmpName(h.Type()), h, code, coded)
	return coded
}

// icmpCodeFault reports a code where there are none.
func (p *printer) icmpCodeFault(h ICMP, coded bool, off int) {
	if !coded && h.Code() != 0 {
		p.compare("code", h.Code(), '=', 0, off+1)
	}
}

// icmpType prints a type; where codes have a meaning type and code by name and number.
func (p *printer) icmpType(name string, h ICMP, code string, coded bool) {
	p.char(' ')
	if !coded {
		p.str(name)
		return
	}
	p.named(name, "type-", h.Type())
	p.char(' ')
	p.named(code, "code-", h.Code())
}

// named prints name(number), or the number behind a prefix.
func (p *printer) named(name, prefix string, n int) {
	if name == "" {
		p.str(prefix)
		p.num(n)
		return
	}
	p.str(name)
	p.char('(')
	p.num(n)
	p.char(')')
}

// icmpQuotes tells whether a message quotes the packet that it is about.
func icmpQuotes(typ int) bool {
	switch typ {
	case icmpUnreachable, icmpSourceQuench, icmpRedirect, icmpTimeExceeded, icmpParameter:
		return true
	}
	return false
}

// icmpWords prints the fields of a message with size bytes behind the first 8.
func (p *printer) icmpWords(h ICMP, size int) {
	switch h.Type() {
	case icmpEcho, icmpEchoReply:
		p.field("id", h.ID())
		p.field("seq", h.Seq())
		p.field("len", size)
	case icmpTimestamp, icmpTimestampRep, icmpAddressMask, icmpMaskReply, 15, 16:
		p.field("id", h.ID())
		p.field("seq", h.Seq())
	case icmpUnreachable:
		if h.Code() == codeFragNeeded { // [RFC 1191 4]
			p.field("mtu", int(be16(h[6:])))
		}
	case icmpRedirect:
		p.fieldIPv4("gateway", h[4:8])
	case icmpParameter:
		p.field("pointer", int(h[4]))
	case icmpTimeExceeded, icmpSourceQuench:
	default:
		p.field("len", size)
	}
}

// quote prints the packet at off that an error message quotes, one level deep and in short. That it is cut off is in the
// nature of a quote.
func (p *printer) quote(off, end int) {
	b := p.slice(off, end)
	if len(b) == 0 {
		return
	}
	p.push(LayerQuote, off, end)
	p.str(" <")
	p.quoted4or6(b, off)
	p.char('>')
}

func (p *printer) quoted4or6(b []byte, off int) {
	if b[0]>>4 == 6 {
		p.str("IPv6")
		h, f := ParseIPv6(b)
		if f.Bad() {
			p.quoteFault(f, off)
			return
		}
		e := extensions{data: b, end: len(b), off: IPv6Size, protocol: h.NextHeader()}.skip()
		body := b[min(e.off, len(b)):]
		p.char(' ')
		p.pair6(h, quotedPorts(e.protocol, e.fragmentOff, body))
		p.field("hop", h.HopLimit())
		p.quotedUpper(e.protocol, e.fragmentOff, body)
		return
	}
	p.str("IPv4")
	h, f := ParseIPv4(b)
	if f.Bad() {
		p.quoteFault(f, off)
		return
	}
	body := b[len(h):]
	p.char(' ')
	p.pair4(h, quotedPorts(h.Protocol(), h.FragmentOffset(), body))
	p.field("ttl", h.TTL())
	p.quotedUpper(h.Protocol(), h.FragmentOffset(), body)
}

// quoteFault reports why the IP header of a quote could not be read.
func (p *printer) quoteFault(f Fault, off int) {
	if f.Name == truncated {
		p.str(" ...")
		return
	}
	p.fault(f, off)
}

func quotedPorts(protocol, at int, b []byte) ports {
	if at != 0 || len(b) < 4 || protocol != ProtocolTCP && protocol != ProtocolUDP {
		return ports{}
	}
	return ports{int(be16(b)), int(be16(b[2:])), true}
}

// quotedUpper prints what the first 8 bytes behind the quoted IP header tell.
func (p *printer) quotedUpper(protocol, at int, b []byte) {
	p.char(' ')
	if name := ProtocolName(protocol); name != "" {
		p.str(name)
	} else {
		p.str("proto=")
		p.num(protocol)
	}
	switch {
	case at != 0:
		p.str(" (not first fragment)")
	case len(b) < 8:
	case protocol == ProtocolTCP:
		p.str(" seq=")
		p.num32(be32(b[4:]))
	case protocol == ProtocolUDP:
		p.field("len", int(be16(b[4:]))-UDPSize)
	case protocol == ProtocolICMP:
		p.quotedEcho(ICMP(b), icmpName(int(b[0])), int(b[0]) == icmpEcho || b[0] == icmpEchoReply)
	case protocol == ProtocolICMPv6:
		p.quotedEcho(ICMP(b), icmpv6Name(int(b[0])), int(b[0]) == icmpv6Echo || b[0] == icmpv6EchoReply)
	}
}

func (p *printer) quotedEcho(h ICMP, name string, echo bool) {
	p.char(' ')
	if name == "" {
		p.str("type-")
		p.num(h.Type())
	}
	p.str(name)
	if echo {
		p.field("id", h.ID())
		p.field("seq", h.Seq())
	}
}
