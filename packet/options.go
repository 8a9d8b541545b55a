package packet

// options walks the options of IPv4 and TCP: kind, length of the whole, body; kinds 0 and 1 are single bytes
// [RFC 791 3.1] [RFC 9293 3.2].
type options struct {
	b    []byte
	pos  int
	kind int
	at   int    // where the option starts in b
	body []byte // without kind and length
	bad  Fault  // why the walk ended early
}

const (
	optionEnd = 0
	optionNop = 1
)

// next moves to the next option; false at the end or at a fault.
func (o *options) next() bool {
	if o.pos >= len(o.b) {
		return false
	}
	o.at, o.kind, o.body = o.pos, int(o.b[o.pos]), nil
	if o.kind == optionEnd {
		o.pos = len(o.b)
		return true
	}
	if o.kind == optionNop {
		o.pos++
		return true
	}
	left := len(o.b) - o.pos
	if left < 2 {
		o.bad = Fault{Name: "option-length", Relation: '<', Got: left, Want: 2, Offset: o.pos}
		return false
	}
	size := int(o.b[o.pos+1])
	switch {
	case size < 2:
		o.bad = Fault{Name: "option-length", Relation: '<', Got: size, Want: 2, Offset: o.pos + 1}
		return false
	case size > left:
		o.bad = Fault{Name: "option-length", Relation: '>', Got: size, Want: left, Offset: o.pos + 1}
		return false
	}
	o.body = o.b[o.pos+2 : o.pos+size]
	o.pos += size
	return true
}

// brackets puts a list in angle brackets, with commas; the zero value has printed nothing yet.
type brackets struct{ open bool }

// item starts the next item of the list.
func (l *brackets) item(p *printer) {
	if l.open {
		p.char(',')
		return
	}
	l.open = true
	p.str(" <")
}

// done ends the list, if there was an item.
func (l *brackets) done(p *printer) {
	if l.open {
		p.char('>')
	}
}
