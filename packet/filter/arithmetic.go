package filter

// number is a number that is computed from a packet.
type number struct {
	value    func(v *view) (n uint32, ok bool) // not ok: the packet hasn't what it needs
	constant bool
	n        uint32 // if constant
}

func constant(n uint32) *number {
	return &number{func(*view) (uint32, bool) { return n, true }, true, n}
}

// precedence returns how tight an operator binds, 0 if it is none.
func precedence(sign string) int {
	switch sign {
	case "|", "^":
		return 1
	case "&":
		return 2
	case "<<", ">>":
		return 3
	case "+", "-":
		return 4
	case "*", "/", "%":
		return 5
	}
	return 0
}

// arithmetic parses operands with operators between them that bind tighter than the given one; or a test, which has
// none.
func (p *parser) arithmetic(least int) value {
	left := p.operand()
	for left.number != nil && p.err == nil && p.token.kind == tokenSign {
		op := p.token
		bind := precedence(op.text)
		if bind <= least {
			break
		}
		p.advance()
		right := p.arithmetic(bind)
		if right.number == nil {
			if p.err == nil {
				p.fail(right.token, "a number should stand here")
			}
			break
		}
		if right.number.constant && right.number.n == 0 && (op.text == "/" || op.text == "%") {
			p.fail(right.token, "division by zero")
			break
		}
		left = value{number: combine(op.text, left.number, right.number), token: left.token}
	}
	return left
}

// combine computes with two numbers.
func combine(op string, a, b *number) *number {
	value := func(v *view) (uint32, bool) {
		x, ok := a.value(v)
		if !ok {
			return 0, false
		}
		y, ok := b.value(v)
		if !ok {
			return 0, false
		}
		return calculate(op, x, y)
	}
	if a.constant && b.constant {
		if n, ok := value(nil); ok {
			return constant(n)
		}
	}
	return &number{value: value}
}

// calculate computes modulo 2³²; nothing comes of a division by zero.
func calculate(op string, x, y uint32) (uint32, bool) {
	switch op {
	case "|":
		return x | y, true
	case "^":
		return x ^ y, true
	case "&":
		return x & y, true
	case "<<":
		return x << y, true
	case ">>":
		return x >> y, true
	case "+":
		return x + y, true
	case "-":
		return x - y, true
	case "*":
		return x * y, true
	}
	if y == 0 {
		return 0, false
	}
	if op == "/" {
		return x / y, true
	}
	return x % y, true
}

// compare compares two numbers.
func compare(op string, a, b *number) test {
	return func(v *view) bool {
		x, ok := a.value(v)
		if !ok {
			return false
		}
		y, ok := b.value(v)
		if !ok {
			return false
		}
		switch op {
		case "=", "==":
			return x == y
		case "!=":
			return x != y
		case "<":
			return x < y
		case ">":
			return x > y
		case "<=":
			return x <= y
		}
		return x >= y
	}
}

// operand parses one number, or a whole test.
func (p *parser) operand() value {
	start := p.token
	switch {
	case p.token.is("("):
		return p.group()
	case p.token.is("-"):
		if !p.enter() {
			return value{token: start}
		}
		defer p.leave()
		p.advance()
		v := p.operand()
		if v.number == nil {
			p.fail(start, "a minus belongs before a number")
			return v
		}
		return value{number: combine("-", constant(0), v.number), token: start}
	case p.token.is("len"):
		p.advance()
		return value{number: &number{value: func(v *view) (uint32, bool) { return uint32(v.frame.WireLen), true }}, token: start}
	case p.token.kind != tokenWord:
		p.unexpected("a test")
		return value{token: start}
	}
	if n, ok := namedNumber(p.token); ok {
		p.advance()
		return value{number: constant(n), token: start}
	}
	return p.primitive()
}

// namedNumber returns the number that a token is, or has the name of.
func namedNumber(t token) (uint32, bool) {
	if n, ok := parseNumber(t.text); ok {
		return n, true
	}
	return constantName(t.text)
}

// accessor parses what is in brackets behind a protocol: the bytes of its header at an offset.
func (p *parser) accessor(protocol token) value {
	base, ok := accessorBase(protocol.text, p.tags)
	if !ok {
		p.fail(protocol, "bytes of %q can't be accessed", protocol.text)
		return value{token: protocol}
	}
	p.advance() // the bracket
	if !p.enter() {
		return value{token: protocol}
	}
	defer p.leave()
	offset := p.arithmetic(0)
	if offset.number == nil {
		if p.err == nil {
			p.fail(offset.token, "an offset should stand here")
		}
		return value{token: protocol}
	}
	size := 1
	if p.take(":") {
		n, ok := parseNumber(p.token.text)
		if p.token.kind != tokenWord || !ok || n != 1 && n != 2 && n != 4 {
			p.unexpected("1, 2 or 4")
			return value{token: protocol}
		}
		size = int(n)
		p.advance()
	}
	if !p.take("]") {
		p.unexpected(`":" or "]"`)
		return value{token: protocol}
	}
	load := func(v *view) (uint32, bool) {
		start, ok := base(v)
		if !ok {
			return 0, false
		}
		at, ok := offset.number.value(v)
		if !ok || at > 1<<30 {
			return 0, false
		}
		return v.number(start+int(at), size)
	}
	return value{number: &number{value: load}, token: protocol}
}

// accessorBase returns where the header of a protocol starts.
func accessorBase(name string, tags int) (func(v *view) (int, bool), bool) {
	switch name {
	case "ether", "link", "vsock":
		return func(v *view) (int, bool) { return 0, name != "vsock" || v.isVsock() }, true
	case "ip":
		return func(v *view) (int, bool) { return v.ip(tags) }, true
	case "ip6":
		return func(v *view) (int, bool) { return v.ip6(tags) }, true
	case "arp", "rarp":
		return func(v *view) (int, bool) {
			typ, off := v.network(tags)
			return off, typ == typeARP && name == "arp" || typ == typeRARP && name == "rarp"
		}, true
	case "icmp6":
		return func(v *view) (int, bool) {
			off, ok := v.ip6(tags)
			return off + ip6Size, ok && v.is(off+ip6Next, 1, 58)
		}, true
	}
	protocol, ok := ipProtocols[name]
	if !ok {
		return nil, false
	}
	return func(v *view) (int, bool) { // IPv4 only, as in tcpdump
		off, ok := v.ip(tags)
		if !ok || !v.is(off+ipProtocol, 1, protocol) {
			return 0, false
		}
		return v.transport(off)
	}, true
}
