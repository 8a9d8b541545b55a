package filter

import (
	"net/netip"
	"strings"
)

// isAddressWord tells whether a word is an address, which may stand without qualifiers.
func isAddressWord(s string) bool {
	_, err := netip.ParseAddr(s)
	_, mac := parseMAC(s)
	return err == nil || mac
}

// idTest parses an id, or several in parentheses, that the qualifiers apply to.
func (p *parser) idTest(q *qualifiers) test {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	if p.take("not", "!") {
		return not(p.sound(p.idTest(q)))
	}
	if !p.take("(") {
		return p.sound(p.id(q))
	}
	t := p.idTest(q)
	for p.err == nil && !p.take(")") {
		switch {
		case p.take("and", "&&"):
			t = both(t, p.idTest(q))
		case p.take("or", "||"):
			t = either(t, p.idTest(q))
		default:
			p.unexpected(`and, or, or ")"`)
		}
	}
	return p.sound(t)
}

// sound replaces the test that an error has left out.
func (p *parser) sound(t test) test {
	if t == nil {
		return func(*view) bool { return false }
	}
	return t
}

// oriented joins the tests of source and destination as the qualifiers say.
func (q *qualifiers) oriented(source, destination test) test {
	switch q.direction {
	case "src":
		return source
	case "dst":
		return destination
	case "and":
		return both(source, destination)
	}
	return either(source, destination)
}

// id parses one id.
func (p *parser) id(q *qualifiers) test {
	t := p.token
	if t.kind != tokenWord || q.kind != "proto" && isKeyword(t) {
		p.unexpected(wanted(q))
		return nil
	}
	p.advance()
	switch q.kind {
	case "port":
		n, ok := p.port(q, t, t.text)
		if !ok {
			return nil
		}
		return p.portTest(q, t, n, n)
	case "portrange":
		return p.portRange(q, t)
	case "proto":
		return p.protoTest(q, t)
	case "net":
		return p.net(q, t)
	}
	if q.kind == "" && p.token.is("/") {
		return p.net(q, t)
	}
	return p.host(q, t)
}

// wanted says what the qualifiers ask for.
func wanted(q *qualifiers) string {
	switch q.kind {
	case "port":
		return "a port"
	case "portrange":
		return "two ports with a hyphen between them"
	case "proto":
		return "a protocol"
	case "net":
		return "a network"
	}
	return "an address"
}

// port reads a port by number or name.
func (p *parser) port(q *qualifiers, t token, text string) (uint32, bool) {
	n, ok := parseNumber(text)
	if !ok {
		n, ok = services[text]
	}
	switch {
	case !ok:
		p.fail(t, "unknown port %q", text)
	case n > 0xffff && q.protocol != "vsock":
		p.fail(t, "port %d is greater than 65535", n)
	default:
		return n, true
	}
	return 0, false
}

// portRange reads two ports with a hyphen between them.
func (p *parser) portRange(q *qualifiers, t token) test {
	first, last, ok := strings.Cut(t.text, "-")
	if !ok {
		last = first
	}
	low, ok := p.port(q, t, first)
	if !ok {
		return nil
	}
	high, ok := p.port(q, t, last)
	if !ok {
		return nil
	}
	return p.portTest(q, t, min(low, high), max(low, high))
}

func (p *parser) portTest(q *qualifiers, t token, low, high uint32) test {
	var list []uint32
	switch q.protocol {
	case "":
		list = []uint32{ipProtocols["tcp"], ipProtocols["udp"], ipProtocols["sctp"]}
	case "tcp", "udp", "sctp":
		list = []uint32{ipProtocols[q.protocol]}
	case "vsock":
		return q.oriented(vsockNumber(16, 4, uint64(low), uint64(high)), vsockNumber(20, 4, uint64(low), uint64(high)))
	default:
		p.fail(q.at, "%s has no ports", q.protocol)
		return nil
	}
	return q.oriented(portRange(p.tags, list, 0, low, high), portRange(p.tags, list, 2, low, high))
}

// protoTest is the test of a protocol by number or name.
func (p *parser) protoTest(q *qualifiers, t token) test {
	names := ipProtocols
	if q.protocol == "ether" {
		names = etherTypes
	}
	n, ok := parseNumber(t.text)
	if !ok {
		n, ok = names[t.text]
	}
	switch {
	case !ok:
		p.fail(t, "unknown protocol %q", t.text)
	case q.direction != "":
		p.fail(q.at, "proto has no direction")
	case q.protocol == "ether" && n <= 0xffff:
		return etherProto(p.tags, n)
	case q.protocol != "ether" && n > 0xff || n > 0xffff:
		p.fail(t, "protocol %d is too great", n)
	case q.protocol == "ip":
		return ipProto(p.tags, n)
	case q.protocol == "ip6":
		return ip6Proto(p.tags, n)
	case q.protocol == "":
		return either(ipProto(p.tags, n), ip6Proto(p.tags, n))
	default:
		p.fail(q.at, "proto goes with ether, ip and ip6, not with %s", q.protocol)
	}
	return nil
}

// host is the test of one address.
func (p *parser) host(q *qualifiers, t token) test {
	if q.protocol == "vsock" {
		n, ok := parseNumber(t.text)
		if !ok {
			p.fail(t, "a context id, a number, should stand here")
			return nil
		}
		return q.oriented(vsockNumber(0, 8, uint64(n), uint64(n)), vsockNumber(8, 8, uint64(n), uint64(n)))
	}
	if mac, ok := parseMAC(t.text); ok {
		if q.protocol != "ether" {
			p.fail(t, "an Ethernet address goes with ether: ether host %s", t.text)
			return nil
		}
		return q.oriented(etherAddress(6, mac), etherAddress(0, mac))
	}
	a, err := netip.ParseAddr(t.text)
	switch {
	case q.protocol == "ether":
		p.fail(t, "an Ethernet address should stand here")
	case err != nil && strings.Trim(t.text, "0123456789.") == "":
		p.fail(t, "an address has four numbers; of a network: net %s", t.text)
	case err != nil:
		p.fail(t, "names are not looked up: give an address instead of %q", t.text)
	case a.Zone() != "":
		p.fail(t, "an address without a zone should stand here")
	case a.Is4():
		return p.test4(q, t, be32(a.As4()), 0xffffffff)
	default:
		return p.test6(q, t, a.As16(), 128)
	}
	return nil
}

// net is the test of a network: A, A.B, A.B.C, A.B.C.D/bits, A.B.C.D mask M, or that of IPv6.
func (p *parser) net(q *qualifiers, t token) test {
	if a, err := netip.ParseAddr(t.text); err == nil && a.Is6() && a.Zone() == "" {
		bits, ok := p.bits(128)
		if !ok {
			return nil
		}
		if a != netip.PrefixFrom(a, bits).Masked().Addr() {
			p.fail(t, "%s has bits behind the first %d", t.text, bits)
			return nil
		}
		return p.test6(q, t, a.As16(), bits)
	}
	address, mask, ok := partial(t.text)
	if !ok {
		p.fail(t, "a network should stand here, such as 10.0.0.0/8")
		return nil
	}
	switch {
	case p.token.is("/"):
		bits, ok := p.bits(32)
		if !ok {
			return nil
		}
		mask = ^uint32(0) << (32 - bits)
	case p.token.is("mask"):
		p.advance()
		m, _, ok := partial(p.token.text)
		if p.token.kind != tokenWord || !ok {
			p.unexpected("a mask")
			return nil
		}
		mask = m
		p.advance()
	}
	if address&^mask != 0 {
		p.fail(t, "%s has bits that its mask hasn't", t.text)
		return nil
	}
	return p.test4(q, t, address, mask)
}

// bits reads the length of a prefix, if there is one.
func (p *parser) bits(most uint32) (int, bool) {
	if !p.take("/") {
		return int(most), true
	}
	at := p.token
	n := p.expectNumber()
	if p.err == nil && n > most {
		p.fail(at, "%d is more than %d bits", n, most)
	}
	return int(n), p.err == nil
}

// partial reads one to four numbers with dots, and how much of an address they are.
func partial(s string) (address, mask uint32, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return 0, 0, false
	}
	for i, part := range parts {
		n, ok := parseDigits(part, 10, 0xff)
		if !ok {
			return 0, 0, false
		}
		address |= n << (24 - 8*i)
		mask |= 0xff << (24 - 8*i)
	}
	return address, mask, true
}

func be32(a [4]byte) uint32 {
	return uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
}

// test4 tests an IPv4 address wherever the protocol has one.
func (p *parser) test4(q *qualifiers, t token, address, mask uint32) test {
	const arpSource, arpTarget = 14, 24
	of := func(typ, source, destination int) test {
		return q.oriented(address4(p.tags, typ, source, address, mask), address4(p.tags, typ, destination, address, mask))
	}
	switch q.protocol {
	case "":
		return either(of(typeIP, ipSource, ipDest), either(of(typeARP, arpSource, arpTarget), of(typeRARP, arpSource, arpTarget)))
	case "ip":
		return of(typeIP, ipSource, ipDest)
	case "arp":
		return of(typeARP, arpSource, arpTarget)
	case "rarp":
		return of(typeRARP, arpSource, arpTarget)
	case "ip6":
		p.fail(t, "an IPv6 address should stand here")
	default:
		p.fail(q.at, "%s has no addresses", q.protocol)
	}
	return nil
}

// test6 tests an IPv6 address.
func (p *parser) test6(q *qualifiers, t token, address [16]byte, bits int) test {
	switch q.protocol {
	case "", "ip6":
		return q.oriented(address6(p.tags, ip6Source, address, bits), address6(p.tags, ip6Dest, address, bits))
	case "ip", "arp", "rarp":
		p.fail(t, "an IPv4 address should stand here")
	default:
		p.fail(q.at, "%s has no addresses", q.protocol)
	}
	return nil
}
