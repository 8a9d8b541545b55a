package packet

// Ports of DNS, multicast DNS [RFC 6762] and link-local name resolution [RFC 4795], which share the format.
const (
	portDNS   = 53
	portMDNS  = 5353
	portLLMNR = 5355
)

// maxDNSWords bounds how many bytes of a name or a text are printed.
const maxDNSWords = 128

func isDNS(port int) bool { return port == portDNS || port == portMDNS || port == portLLMNR }

// dns prints the message in [off, end), one level deep.
func (p *printer) dns(off, end int) {
	p.push(LayerDNS, off, end)
	p.application("DNS")
	p.dnsWords(off, end)
}

func (p *printer) dnsWords(off, end int) {
	h, f := ParseDNS(p.slice(off, end))
	if f.Bad() {
		p.parseFault(f, off, end)
		return
	}
	p.fieldHex("id", h.ID(), 4)
	p.dnsKind(h)
	p.dnsFlags(h)
	if h.Flags()&dnsReserved != 0 {
		p.wrong("reserved-bit", off+3)
	}
	pos, f := p.dnsQuestions(h)
	if !f.Bad() && h.Answers() > 0 {
		pos, f = p.dnsSection(h, pos, h.Answers())
	}
	if n := h.Authority(); n > 0 {
		p.field("auth", n)
		if p.inDetails && !f.Bad() && pos > 0 {
			pos, f = p.dnsSection(h, pos, n)
		}
	}
	if n := h.Additional(); n > 0 {
		p.field("add", n)
		if p.inDetails && !f.Bad() && pos > 0 {
			_, f = p.dnsSection(h, pos, n)
		}
	}
	if f.Bad() {
		p.parseFault(f, off, end)
	}
}

// dnsKind prints whether it is a query or a response, of what kind, and how it went.
func (p *printer) dnsKind(h DNS) {
	if h.Response() {
		p.str(" response ")
		if name := dnsRCodeName(h.RCode()); name != "" {
			p.str(name)
		} else {
			p.str("rcode-")
			p.num(h.RCode())
		}
	} else {
		p.str(" query")
	}
	if op := h.Opcode(); op != 0 {
		p.char(' ')
		if name := dnsOpcodeName(op); name != "" {
			p.str(name)
		} else {
			p.str("opcode-")
			p.num(op)
		}
	}
}

// dnsFlags prints the flags that are set.
func (p *printer) dnsFlags(h DNS) {
	sep := " ["
	for i := range 7 {
		if h.Flags()&(0x40>>i) == 0 || 0x40>>i == dnsReserved {
			continue
		}
		p.str(sep)
		p.str(pick(i, "aa", "tc", "rd", "ra", "", "ad", "cd"))
		sep = ","
	}
	if sep == "," {
		p.char(']')
	}
}

// dnsQuestions prints the questions, on a line the first, and returns where they end.
func (p *printer) dnsQuestions(h DNS) (pos int, f Fault) {
	pos = DNSSize
	n := h.Questions()
	if n > 1 {
		p.field("questions", n)
	}
	for i := range n {
		show := i == 0 || p.inDetails && i < maxItemsFull
		name := newDNSName(h, pos)
		at := len(p.b)
		if show {
			p.char(' ')
			p.dnsName(&name)
			if len(p.b) == at+1 {
				p.b = p.b[:at]
			}
		} else {
			for name.next() {
			}
		}
		if name.bad.Bad() {
			return 0, name.bad
		}
		if name.after+4 > len(h) {
			return 0, Fault{Name: truncated, Relation: '<', Got: len(h), Want: name.after + 4}
		}
		if show {
			p.dnsType(int(be16(h[name.after:])), at)
		}
		pos = name.after + 4
	}
	return pos, Fault{}
}

// dnsType puts the type before the name that was printed from index at on: people look for it there.
func (p *printer) dnsType(typ, at int) {
	end := len(p.b)
	p.char(' ')
	p.dnsTypeName(typ)
	p.rotate(at, end)
}

func (p *printer) dnsTypeName(typ int) {
	if name := dnsTypeName(typ); name != "" {
		p.str(name)
		return
	}
	p.str("type-")
	p.num(typ)
}

// rotate exchanges b[at:mid] and b[mid:].
func (p *printer) rotate(at, mid int) {
	reverse(p.b[at:mid])
	reverse(p.b[mid:])
	reverse(p.b[at:])
}

func reverse(b []byte) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
}

// dnsName prints a name to its end, or to its fault; of a long one the first part.
func (p *printer) dnsName(n *dnsName) {
	printed := 0
	for n.next() {
		if printed > maxDNSWords {
			continue
		}
		if printed > 0 {
			p.char('.')
		}
		printed += 1 + len(n.label)
		if printed > maxDNSWords {
			p.str("...")
			continue
		}
		for _, c := range n.label {
			if c == '.' || c == ' ' || c == ',' || c == '<' || c == '>' { // would look like something else
				p.b = append(p.b, '\\', 'x', hexDigits[c>>4], hexDigits[c&0xf])
				continue
			}
			p.b = appendEscapedByte(p.b, c)
		}
	}
	if printed == 0 && !n.bad.Bad() {
		p.char('.')
	}
}

// dnsSection prints n records from pos on as a list, and returns where they end; 0 if not all were walked.
func (p *printer) dnsSection(h DNS, pos, n int) (int, Fault) {
	var list brackets
	for range n {
		r, f := h.record(pos)
		if f.Bad() {
			list.done(p)
			return 0, f
		}
		if !list.item(p) {
			list.done(p)
			return 0, Fault{}
		}
		if f := p.dnsRecord(h, r); f.Bad() {
			list.done(p)
			return 0, f
		}
		pos = r.data + r.size
	}
	list.done(p)
	return pos, Fault{}
}

// dnsRecord prints a record; whom it is about only if there is no question that says so.
func (p *printer) dnsRecord(h DNS, r dnsRecord) Fault {
	if h.Questions() == 0 || p.inDetails {
		name := newDNSName(h, r.name)
		p.dnsName(&name)
		p.char(' ')
	}
	p.dnsTypeName(r.typ)
	if r.typ == dnsOPT { // the class is the size that the sender takes [RFC 6891 6.1.2]
		p.field("size", r.class)
		return Fault{}
	}
	if p.inDetails {
		p.str(" ttl=")
		p.num32(r.ttl)
	}
	return p.dnsData(h, r)
}

// dnsData prints the data of a record, as far as its type is known.
func (p *printer) dnsData(h DNS, r dnsRecord) Fault {
	d := h[r.data : r.data+r.size]
	skip, want := 0, 0 // bytes before a name, and least size
	switch r.typ {
	case dnsA:
		want = 4
	case dnsAAAA:
		want = 16
	case dnsMX:
		skip, want = 2, 3
	case dnsSRV:
		skip, want = 6, 7
	case dnsNS, dnsCNAME, dnsPTR, dnsDNAME, dnsSOA:
		want = 1
	case dnsTXT:
		want = 1
	default:
		p.field("len", r.size)
		return Fault{}
	}
	if len(d) < want {
		return Fault{Name: "rdata", Relation: '<', Got: len(d), Want: want, Offset: r.data}
	}
	p.char(' ')
	switch r.typ {
	case dnsA:
		p.b = appendIPv4(p.b, d)
		return Fault{}
	case dnsAAAA:
		p.b = appendIPv6(p.b, d)
		return Fault{}
	case dnsTXT:
		p.quoted(d[1:min(1+int(d[0]), len(d))], maxDNSWords)
		return Fault{}
	}
	for i := 0; i < skip; i += 2 {
		p.num(int(be16(d[i:])))
		p.char(' ')
	}
	name := newDNSName(h[:r.data+r.size], r.data+skip)
	p.dnsName(&name)
	return name.bad
}

// dnsStream prints the message of a TCP segment, if it holds one, whole [RFC 1035 4.2.2].
func (p *printer) dnsStream(off, end int) {
	b := p.slice(off, end)
	if len(b) >= 2+DNSSize && int(be16(b)) == end-off-2 {
		p.dns(off+2, end)
		return
	}
	p.pushData(off, end)
}
