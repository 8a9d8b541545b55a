package packet

// IPv4 options [IANA ip-parameters].
const (
	ipv4RecordRoute = 7
	ipv4Timestamp   = 68
	ipv4LSRR        = 131
	ipv4SSRR        = 137
	ipv4RouterAlert = 148
)

func ipv4OptionName(kind int) string {
	switch kind {
	case optionEnd:
		return "eol"
	case optionNop:
		return "nop"
	case ipv4RecordRoute:
		return "rr"
	case 25:
		return "qs"
	case ipv4Timestamp:
		return "ts"
	case 82:
		return "traceroute"
	case 130:
		return "sec"
	case ipv4LSRR:
		return "lsrr"
	case 133:
		return "esec"
	case 134:
		return "cipso"
	case 136:
		return "sid"
	case ipv4SSRR:
		return "ssrr"
	case ipv4RouterAlert:
		return "router-alert"
	}
	return ""
}

// ipv4Options prints the options in angle brackets; with all, those that only fill as well.
func (p *printer) ipv4Options(h IPv4, all bool) {
	if len(h) == IPv4Size {
		return
	}
	var list brackets
	for it := (options{b: h.Options()}); it.next(); {
		if it.kind <= optionNop && !all {
			continue
		}
		if !list.item(p) {
			break
		}
		p.optionName(ipv4OptionName(it.kind), it.kind)
		switch it.kind {
		case optionEnd, optionNop:
		case ipv4RecordRoute, ipv4LSRR, ipv4SSRR:
			p.route(it.body)
		case ipv4RouterAlert:
			if len(it.body) == 2 {
				p.char(' ')
				p.num(int(be16(it.body)))
			}
		default:
			p.field("len", len(it.body)+2)
		}
	}
	list.done(p)
}

// optionName prints a name, or the number of what has none.
func (p *printer) optionName(name string, kind int) {
	if name == "" {
		p.str("opt-")
		p.num(kind)
		return
	}
	p.str(name)
}

// route prints the addresses of a route option; ^ stands before the one that the pointer is at.
func (p *printer) route(body []byte) {
	if len(body) < 1 {
		return
	}
	for i := 1; i+4 <= len(body); i += 4 {
		p.char(' ')
		if int(body[0]) == i+3 { // the pointer counts from 1 at the kind [RFC 791 3.1]
			p.char('^')
		}
		p.b = appendIPv4(p.b, body[i:])
	}
}

func (p *printer) ipv4OptionFaults(h IPv4, off int) {
	if len(h) == IPv4Size {
		return
	}
	it := options{b: h.Options()}
	for it.next() {
		body, at := it.body, off+IPv4Size+it.at
		switch it.kind {
		case ipv4RecordRoute, ipv4LSRR, ipv4SSRR:
			if len(body) < 1 || (len(body)-1)%4 != 0 {
				p.compare("route-length", len(body)+2, '!', 0, at+1)
			} else if body[0] < 4 {
				p.compare("route-pointer", int(body[0]), '<', 4, at+2)
			}
		case ipv4RouterAlert:
			if len(body) != 2 {
				p.compare("router-alert-length", len(body)+2, '=', 4, at+1)
			}
		}
	}
	if it.bad.Bad() {
		p.fault(it.bad, off+IPv4Size)
	}
}
