// Package filter selects packets by expressions in the syntax of tcpdump: pcap-filter(7).
//
// An expression is compiled once, for all link types, and matches packets as tcpdump does, with these exceptions:
//
//   - Names of hosts and networks are not looked up; of services and protocols those in this package are known.
//   - A test that needs bytes which a packet doesn't have, or the capture hasn't, fails; tcpdump rejects such a packet even
//     if the test is negated. So "not port 22" shows broken packets, too.
//   - "inbound", "outbound" and "ifname NAME" work where the capture tells direction and interface.
//   - "vsock", "vsock port N" and "vsock host CID" select virtio-vsock packets.
//   - Not supported: gateway, protochain, ip broadcast, mpls, pppoe, geneve, vxlan, ATM and Wi-Fi.
//
// As in tcpdump, and binds no tighter than or, and each "vlan" makes what stands behind it look behind one more tag.
package filter

import (
	"strings"

	"wick/packet"
)

// Filter is a compiled expression. It must not be used by several goroutines at once.
type Filter struct {
	match test
	view  view
}

// Parse compiles an expression; the empty one matches every packet. Its errors are of type *Error.
func Parse(text string) (*Filter, error) {
	p := parser{lexer: lexer{text: text}}
	p.advance()
	if p.token.kind == tokenEnd {
		return &Filter{match: func(*view) bool { return true }}, nil
	}
	v := p.expression()
	if p.err == nil && p.token.kind != tokenEnd {
		p.unexpected("and, or, or the end")
	}
	match := p.test(v)
	if p.err != nil {
		return nil, p.err
	}
	return &Filter{match: match}, nil
}

// Match tells whether a frame passes.
func (f *Filter) Match(frame *packet.Frame) bool {
	f.view = view{frame: frame, data: frame.Data}
	return f.match(&f.view)
}

// Error tells why an expression can't be compiled, and where.
type Error struct {
	Text    string // the expression
	Offset  int    // byte of Text where it goes wrong
	Length  int    // of what is wrong there, in bytes; 0 at the end
	Message string
}

// Error returns three lines: what is wrong, the expression, and marks under the place.
func (e *Error) Error() string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, e.Text)
	indent := len([]rune(clean[:e.Offset]))
	marks := max(len([]rune(clean[e.Offset:e.Offset+e.Length])), 1)
	return "filter: " + e.Message + "\n  " + clean + "\n  " + strings.Repeat(" ", indent) + strings.Repeat("^", marks)
}

// test tells whether a packet passes a part of an expression.
type test func(v *view) bool

func both(a, b test) test   { return func(v *view) bool { return a(v) && b(v) } }
func either(a, b test) test { return func(v *view) bool { return a(v) || b(v) } }
func not(a test) test       { return func(v *view) bool { return !a(v) } }
