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
type brackets struct{ items int }

// maxItems bounds how many items of a list a line has, maxItemsFull the same for the line of a layer.
const (
	maxItems     = 8
	maxItemsFull = 64
)

// item starts the next item of the list. If there have been enough it prints dots instead, and returns false.
func (l *brackets) item(p *printer) bool {
	limit := maxItems
	if p.inDetails {
		limit = maxItemsFull
	}
	if l.items == 0 {
		p.str(" <")
	} else {
		p.char(',')
	}
	l.items++
	if l.items > limit || p.crowded() {
		p.str("...")
		return false
	}
	return true
}

// done ends the list, if there was an item.
func (l *brackets) done(p *printer) {
	if l.items > 0 {
		p.char('>')
	}
}
