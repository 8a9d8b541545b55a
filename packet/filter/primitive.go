package filter

import "slices"

// qualifiers say what an id means.
type qualifiers struct {
	set       bool
	protocol  string // "" for any
	direction string // "src", "dst", "and" or ""
	kind      string // "host", "net", "port", "portrange", "proto" or ""
	at        token  // where they start
}

// protocols may stand before a direction, a type, or brackets, or by themselves.
var protocols = []string{"ether", "link", "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "igrp", "pim", "ah", "esp",
	"vrrp", "carp", "atalk", "aarp", "decnet", "lat", "sca", "moprc", "mopdl", "stp", "vsock"}

// kinds are the types of ids; others are words that start or join tests.
var (
	kinds  = []string{"host", "net", "port", "portrange", "proto"}
	others = []string{"src", "dst", "vlan", "less", "greater", "broadcast", "multicast", "inbound", "outbound", "ifname", "on", "len", "and", "or",
		"not", "mask"}
)

// isKeyword tells whether a word can't be an id.
func isKeyword(t token) bool {
	if t.escaped {
		return false
	}
	_, named := constantName(t.text)
	return named || slices.Contains(protocols, t.text) || slices.Contains(kinds, t.text) || slices.Contains(others, t.text)
}

// isID tells whether the next token is an id without qualifiers: a word that isn't a keyword, nor part of arithmetic.
func (p *parser) isID() bool {
	if p.token.kind != tokenWord || isKeyword(p.token) {
		return false
	}
	if _, ok := parseNumber(p.token.text); !ok {
		return true
	}
	ahead := p.lexer
	next := ahead.next()
	if next.is("/") && p.quals.kind == "net" {
		return true
	}
	return precedence(next.text) == 0 && !next.is("=", "==", "!=", "<", ">", "<=", ">=")
}

// primitive parses a test that isn't a comparison, or a protocol with brackets.
func (p *parser) primitive() value {
	start := p.token
	if t := p.special(); t != nil || p.err != nil {
		return value{test: t, token: start}
	}
	q := qualifiers{set: true, at: start}
	if !start.escaped && slices.Contains(protocols, start.text) {
		q.protocol = start.text
		p.advance()
		switch {
		case p.token.is("["):
			return p.accessor(start)
		case p.token.is("broadcast", "multicast"):
			return value{test: p.cast(q.protocol), token: start}
		}
		if q.protocol == "link" {
			q.protocol = "ether"
		}
	}
	p.direction(&q)
	if !p.token.escaped && p.token.kind == tokenWord && slices.Contains(kinds, p.token.text) {
		q.kind = p.token.text
		p.advance()
	}
	if q.direction == "" && q.kind == "" && q.protocol != "" {
		return value{test: p.abbreviation(q.protocol, start), token: start}
	}
	if q.direction == "" && q.kind == "" && !isAddressWord(start.text) {
		p.unknown(start)
		return value{token: start}
	}
	t := p.idTest(&q)
	p.quals = q
	return value{test: t, token: start}
}

// unknown says why a word means nothing.
func (p *parser) unknown(t token) {
	switch {
	case slices.Contains(unsupported, t.text):
		p.fail(t, "%q is not supported", t.text)
	case isKeyword(t):
		p.fail(t, "%q where a test should stand", t.text)
	default:
		p.fail(t, "unknown word %q", t.text)
	}
}

// direction parses src, dst, and the two joined.
func (p *parser) direction(q *qualifiers) {
	if !p.token.is("src", "dst") {
		return
	}
	first := p.token.text
	p.advance()
	q.direction = first
	ahead := p.lexer
	second := ahead.next()
	if !p.token.is("and", "or", "&&", "||") || !second.is("src", "dst") || second.text == first {
		return
	}
	if q.direction = ""; p.token.is("and", "&&") {
		q.direction = "and"
	}
	p.advance()
	p.advance()
	if q.direction == "" && q.kind == "" && !p.token.is(kinds...) { // "src or dst ID"
		q.kind = "host"
	}
}

// special parses tests that begin with a word of their own; nil if there is none.
func (p *parser) special() test {
	start := p.token
	switch {
	case p.take("vlan"):
		return p.vlan()
	case p.take("less"):
		n := p.expectNumber()
		return func(v *view) bool { return uint32(v.frame.WireLen) <= n }
	case p.take("greater"):
		n := p.expectNumber()
		return func(v *view) bool { return uint32(v.frame.WireLen) >= n }
	case p.token.is("broadcast", "multicast"):
		return p.cast("ether")
	case p.take("inbound"):
		return inbound
	case p.take("outbound"):
		return outbound
	case p.take("ifname", "on"):
		name := p.token
		if name.kind != tokenWord {
			p.unexpected("the name of an interface")
			return nil
		}
		p.advance()
		return func(v *view) bool { return v.frame.Interface == name.text }
	case !start.escaped && slices.Contains(unsupported, start.text):
		p.unknown(start)
	}
	return nil
}

// expectNumber parses a number.
func (p *parser) expectNumber() uint32 {
	n, ok := parseNumber(p.token.text)
	if p.token.kind != tokenWord || !ok {
		p.unexpected("a number")
		return 0
	}
	p.advance()
	return n
}

// vlan parses what may follow "vlan", and goes behind the tag.
func (p *parser) vlan() test {
	tags := p.tags
	p.tags++
	tagged := func(v *view) bool {
		typ, _ := v.network(tags)
		return typ == 0x8100 || typ == 0x88a8 || typ == 0x9100
	}
	if p.token.kind != tokenWord {
		return tagged
	}
	at := p.token
	id, ok := parseNumber(p.token.text)
	if !ok || !p.isID() {
		return tagged
	}
	p.advance()
	if id > 0xfff {
		p.fail(at, "VLAN %d is greater than 4095", id)
	}
	return func(v *view) bool {
		if !tagged(v) {
			return false
		}
		_, off := v.network(tags)
		tag, ok := v.number(off, 2)
		return ok && tag&0xfff == id
	}
}

// cast parses broadcast and multicast behind a protocol.
func (p *parser) cast(protocol string) test {
	word, tags := p.token, p.tags
	p.advance()
	switch {
	case protocol == "ether" || protocol == "link":
		if word.text == "broadcast" {
			return etherAddress(0, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		}
		return func(v *view) bool {
			first, ok := v.number(0, 1)
			return isEther(v) && ok && first&1 != 0
		}
	case protocol == "ip" && word.text == "multicast":
		return func(v *view) bool {
			off, ok := v.ip(tags)
			if !ok {
				return false
			}
			first, ok := v.number(off+ipDest, 1)
			return ok && first >= 224
		}
	case protocol == "ip6" && word.text == "multicast":
		return func(v *view) bool {
			off, ok := v.ip6(tags)
			return ok && v.is(off+ip6Dest, 1, 0xff)
		}
	case protocol == "ip":
		p.fail(word, "ip broadcast is not supported: a capture doesn't tell the netmask")
	default:
		p.fail(word, "%q doesn't go with %s", word.text, protocol)
	}
	return nil
}

// abbreviation is the test of a protocol by itself.
func (p *parser) abbreviation(name string, at token) test {
	tags := p.tags
	switch name {
	case "ether":
		p.fail(p.token, "host, proto, broadcast, multicast, src or dst should follow ether")
		return nil
	case "vsock":
		return (*view).isVsock
	case "stp":
		return etherProto(tags, 0x42)
	case "icmp", "igmp", "igrp", "vrrp", "carp":
		return ipProto(tags, ipProtocols[name])
	case "icmp6":
		return ip6Proto(tags, ipProtocols[name])
	}
	if n, ok := etherTypes[name]; ok {
		return etherProto(tags, n)
	}
	n := ipProtocols[name]
	return either(ipProto(tags, n), ip6Proto(tags, n))
}
