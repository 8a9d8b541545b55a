package filter

import "fmt"

// parser compiles an expression. After an error it goes on without a sense, but to an end; the first error counts.
//
//	expression = term { ("and" | "or") (term | id) }
//	term       = { "not" } (relation | primitive | "(" expression ")")
//	relation   = arithmetic ("=" | "!=" | "<" | …) arithmetic
//	primitive  = [protocol] [direction] [type] id | protocol | "vlan" [number] | …
type parser struct {
	lexer
	token token // the next
	err   error

	tags  int        // VLAN tags that the expression has gone into
	quals qualifiers // of the last primitive that had an id
	depth int        // of parentheses and nots
}

// maxDepth bounds nesting.
const maxDepth = 200

// value is what a part of an expression is: a test, or a number of the packet.
type value struct {
	test   test
	number *number
	token  token // where it starts
}

func (p *parser) advance() { p.token = p.lexer.next() }

// fail notes an error at a token.
func (p *parser) fail(t token, format string, args ...any) {
	if p.err == nil {
		p.err = &Error{Text: p.text, Offset: t.at, Length: t.size, Message: fmt.Sprintf(format, args...)}
	}
	p.pos, p.token = len(p.text), token{at: len(p.text)}
}

// unexpected says what should have stood where the next token is.
func (p *parser) unexpected(want string) {
	if p.token.kind == tokenEnd {
		p.fail(p.token, "it ends where %s should follow", want)
		return
	}
	p.fail(p.token, "%q where %s should stand", p.token.text, want)
}

// take moves past a keyword or a sign if it is the next token.
func (p *parser) take(texts ...string) bool {
	if !p.token.is(texts...) {
		return false
	}
	p.advance()
	return true
}

// test returns the test that a value is; a number by itself is none.
func (p *parser) test(v value) test {
	if v.test != nil {
		return v.test
	}
	if p.err == nil {
		p.fail(v.token, "a number is no test: compare it with something")
	}
	return func(*view) bool { return false }
}

// expression parses terms; and and or bind alike, from the left.
func (p *parser) expression() value {
	v := p.term()
	for p.err == nil {
		and := p.token.is("and", "&&")
		if !and && !p.token.is("or", "||") {
			break
		}
		p.advance()
		left := p.test(v)
		var right test
		if p.quals.set && p.isID() {
			right = p.idTest(&p.quals)
		} else {
			right = p.test(p.term())
		}
		if and {
			v = value{test: both(left, right), token: v.token}
		} else {
			v = value{test: either(left, right), token: v.token}
		}
	}
	return v
}

// term parses nots and what they negate.
func (p *parser) term() value {
	start := p.token
	if !p.take("not", "!") {
		return p.relation()
	}
	if !p.enter() {
		return value{token: start}
	}
	defer p.leave()
	if p.quals.set && p.isID() { // not A and not B, where B has the qualifiers of A
		return value{test: not(p.idTest(&p.quals)), token: start}
	}
	return value{test: not(p.test(p.term())), token: start}
}

// enter goes one level deeper; false if that is too deep.
func (p *parser) enter() bool {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.token, "more than %d levels deep", maxDepth)
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

// relation parses a comparison, or what isn't one.
func (p *parser) relation() value {
	v := p.arithmetic(0)
	if v.number == nil || !p.token.is("=", "==", "!=", "<", ">", "<=", ">=") {
		return v
	}
	op := p.token.text
	p.advance()
	right := p.arithmetic(0)
	if right.number == nil {
		if p.err == nil {
			p.fail(right.token, "a number should stand here")
		}
		return v
	}
	return value{test: compare(op, v.number, right.number), token: v.token}
}

// group parses what is in parentheses: tests, or a number.
func (p *parser) group() value {
	start := p.token
	if !p.enter() {
		return value{token: start}
	}
	defer p.leave()
	p.advance()
	v := p.expression()
	if p.err == nil && !p.take(")") {
		p.unexpected(`")"`)
	}
	v.token = start
	return v
}
