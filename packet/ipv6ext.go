package packet

// IPv6 extension headers [RFC 8200 4] [IANA protocol-numbers].
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extAH          = 51
	extNone        = 59
	extDestination = 60
	extMobility    = 135
	extHIP         = 139
	extShim6       = 140

	extSize    = 8 // least length of any of them, in bytes
	maxHeaders = 8 // that are followed
)

func isExtension(protocol int) bool {
	switch protocol {
	case extHopByHop, extRouting, extFragment, extAH, extDestination, extMobility, extHIP, extShim6:
		return true
	}
	return false
}

func extensionName(protocol int) string {
	switch protocol {
	case extHopByHop:
		return "hop-by-hop"
	case extRouting:
		return "routing"
	case extFragment:
		return "fragment"
	case extAH:
		return "AH"
	case extDestination:
		return "dst-opts"
	case extMobility:
		return "mobility"
	case extHIP:
		return "HIP"
	case extShim6:
		return "shim6"
	}
	return ""
}

// extensions walks the chain of extension headers.
//
//	+---------------+---------------+-------------------------------+
//	|  Next Header  |  Hdr Ext Len  | in units of 8 bytes behind the first 8; AH: of 4 behind 8
//	+---------------+---------------+----
type extensions struct {
	data     []byte // the frame as far as it was captured and belongs to the datagram
	end      int    // of the datagram
	off      int    // where the next header starts
	protocol int    // what the next header is
	count    int

	kind int    // of the current header
	at   int    // where it starts
	body []byte // all of it
	bad  Fault  // why the walk ended early; its offset counts from the frame

	fragment    bool   // the payload is a part only
	fragmentOff int    // where it belongs
	source      []byte // home address of a mobile node, which stands for the packet's source [RFC 6275 6.3]
	destination []byte // last hop of a route that isn't used up
}

// next moves to the next extension header; false at the upper layer, at a later fragment's data, or at a fault.
func (e *extensions) next() bool {
	if !isExtension(e.protocol) || e.fragmentOff != 0 || e.bad.Bad() {
		return false
	}
	if e.count == maxHeaders {
		e.bad = Fault{Name: "ext-depth", Relation: '>', Got: e.count + 1, Want: maxHeaders, Offset: e.off}
		return false
	}
	left := max(min(len(e.data), e.end)-e.off, 0)
	if left < extSize {
		e.bad = short(left, extSize)
		e.bad.Offset = e.off
		return false
	}
	h := e.data[e.off:]
	size := extSize + 8*int(h[1])
	switch e.protocol {
	case extFragment:
		size = extSize
	case extAH: // [RFC 4302 2.2]
		size = extSize + 4*int(h[1])
	}
	if e.off+size > e.end {
		e.bad = Fault{Name: "ext-length", Relation: '>', Got: size, Want: e.end - e.off, Offset: e.off + 1}
		return false
	}
	if size > left {
		e.bad = short(left, size)
		e.bad.Offset = e.off
		return false
	}
	e.kind, e.at, e.body = e.protocol, e.off, h[:size]
	e.protocol, e.off = int(h[0]), e.off+size
	e.count++
	e.note()
	return true
}

// note remembers what the upper layer needs of the current header.
func (e *extensions) note() {
	switch e.kind {
	case extFragment:
		f := fragment6(e.body)
		e.fragmentOff = f.offset()
		e.fragment = f.offset() != 0 || f.more()
	case extRouting:
		e.destination = routing6(e.body).destination()
	case extDestination:
		for it := (tlv6{b: e.body[2:]}); it.next(); {
			if it.kind == opt6HomeAddress && len(it.body) == homeAddressSize {
				e.source = it.body
			}
		}
	}
}

// skip walks a copy of the chain to its end.
func (e extensions) skip() extensions {
	for e.next() {
	}
	return e
}

// fragment6 is a fragment header [RFC 8200 4.5].
//
//	+---------------+---------------+-------------------------+---+-+
//	|  Next Header  |   Reserved    |      Fragment Offset    |Res|M|
//	+---------------+---------------+-------------------------+---+-+
//	|                         Identification                        |
//	+---------------------------------------------------------------+
type fragment6 []byte

func (h fragment6) offset() int { return int(be16(h[2:]) &^ 7) }
func (h fragment6) more() bool  { return h[3]&1 != 0 }
func (h fragment6) id() uint32  { return be32(h[4:]) }

// routing6 is a routing header [RFC 8200 4.4]; type 0 and 2 [RFC 6275 6.4] list addresses from byte 8, so does
// type 4 [RFC 8754 2], backwards.
type routing6 []byte

func (h routing6) kind() int { return int(h[2]) }
func (h routing6) left() int { return int(h[3]) }

// addresses returns the number of addresses listed, 0 for a type that lists none.
func (h routing6) addresses() int {
	n := (len(h) - extSize) / 16
	switch h.kind() {
	case 0, 2:
		return n
	case 4:
		return min(n, int(h[4])+1) // TLVs may follow
	}
	return 0
}

func (h routing6) address(i int) []byte { return h[extSize+16*i:][:16] }

// destination returns the last hop of the route, nil if it has been reached or isn't known.
func (h routing6) destination() []byte {
	n := h.addresses()
	switch {
	case n == 0 || h.left() == 0:
		return nil
	case h.kind() == 4:
		return h.address(0)
	}
	return h.address(n - 1)
}

// extensions prints the chain; false if nothing can follow.
func (p *printer) extensions(e *extensions, off, stop int) bool {
	for e.next() {
		p.pushLayer(Layer{Kind: LayerExtension, Off: e.at, End: e.at + len(e.body), Protocol: e.kind})
		if e.kind != extFragment {
			p.char(' ')
			p.str(extensionName(e.kind))
		}
		p.extension(e, stop)
		if e.kind == extHopByHop && e.at != off+IPv6Size {
			p.wrong("hop-by-hop-not-first", e.at)
		}
	}
	if !e.bad.Bad() {
		return true
	}
	p.char(' ')
	p.str(extensionName(e.protocol))
	f := e.bad
	f.Offset = 0
	p.parseFault(f, e.bad.Offset, stop)
	return false
}

// extension prints what is in the current header of the chain.
func (p *printer) extension(e *extensions, stop int) {
	switch e.kind {
	case extHopByHop, extDestination:
		p.options6(e.body, e.at, false)
	case extFragment:
		h := fragment6(e.body)
		p.str(" id=")
		p.b = appendHex(p.b, uint64(h.id()), 8)
		p.fragmentWords(h.offset(), stop-e.off, h.more())
		if !e.fragment {
			p.wrong("atomic-fragment", e.at)
			return
		}
		p.fragmentFaults(fragment{h.id(), e.protocol, h.offset(), stop - e.off, h.more()}, e.at+2, e.at)
	case extRouting:
		p.routing(routing6(e.body), e.at)
	case extAH:
		if len(e.body) >= 12 {
			p.str(" spi=")
			p.b = appendHex(p.b, uint64(be32(e.body[4:])), 8)
			p.str(" seq=")
			p.num32(be32(e.body[8:]))
		}
	default:
		p.field("len", len(e.body))
	}
}

func (p *printer) routing(h routing6, at int) {
	p.field("type", h.kind())
	p.field("left", h.left())
	n := h.addresses()
	var list brackets
	for i := 0; i < n && list.item(p); i++ {
		p.b = appendIPv6(p.b, h.address(i))
	}
	list.done(p)
	if n != 0 && h.left() > n {
		p.compare("segments-left", h.left(), '>', n, at+3)
	}
	if h.kind() == 0 { // [RFC 5095]
		p.wrong("routing-type-0", at+2)
	}
}

// IPv6 options [IANA ipv6-parameters].
const (
	opt6Pad1        = 0
	opt6PadN        = 1
	opt6TunnelLimit = 4
	opt6RouterAlert = 5
	opt6CALIPSO     = 7
	opt6Jumbo       = 0xc2
	opt6HomeAddress = 0xc9

	homeAddressSize = 16 // bytes
)

// option6Fault compares the length of an option's value with what it must be: [RFC 2473 4.1.1, RFC 2711 2.1, RFC 2675 2,
// RFC 6275 6.3], and of CALIPSO at least 8 bytes [RFC 5570 5.1]. at is the byte of the length.
func option6Fault(kind, size, at int) Fault {
	want := size
	switch kind {
	case opt6TunnelLimit:
		want = 1
	case opt6RouterAlert:
		want = 2
	case opt6Jumbo:
		want = 4
	case opt6HomeAddress:
		want = homeAddressSize
	case opt6CALIPSO:
		want = max(size, 8)
	}
	if size == want {
		return Fault{}
	}
	return Fault{Name: "option-length", Relation: '=', Got: size, Want: want, Offset: at}
}

func option6Name(kind int) string {
	switch kind {
	case opt6Pad1:
		return "pad1"
	case opt6PadN:
		return "padn"
	case opt6TunnelLimit:
		return "tunnel-limit"
	case opt6RouterAlert:
		return "router-alert"
	case opt6CALIPSO:
		return "calipso"
	case 0x26:
		return "quick-start"
	case 0x30:
		return "pmtu"
	case 0x63, 0x23:
		return "rpl"
	case 0x8b:
		return "ilnp-nonce"
	case opt6Jumbo:
		return "jumbo"
	case opt6HomeAddress:
		return "home-address"
	}
	return ""
}

// tlv6 walks the options of a hop-by-hop or destination options header [RFC 8200 4.2].
type tlv6 struct {
	b    []byte
	pos  int
	kind int
	at   int // where the option starts in b
	body []byte
	bad  Fault
}

func (o *tlv6) next() bool {
	if o.pos >= len(o.b) {
		return false
	}
	o.at, o.kind, o.body = o.pos, int(o.b[o.pos]), nil
	if o.kind == opt6Pad1 {
		o.pos++
		return true
	}
	left := len(o.b) - o.pos
	if left < 2 {
		o.bad = Fault{Name: "option-length", Relation: '<', Got: left, Want: 2, Offset: o.pos}
		return false
	}
	size := 2 + int(o.b[o.pos+1])
	if size > left {
		o.bad = Fault{Name: "option-length", Relation: '>', Got: size, Want: left, Offset: o.pos + 1}
		return false
	}
	o.body = o.b[o.pos+2 : o.pos+size]
	o.pos += size
	return true
}

// options6 prints the options of the header h at off; with all, those that only fill as well.
func (p *printer) options6(h []byte, off int, all bool) {
	var list brackets
	var first Fault
	it := tlv6{b: h[2:]}
	for it.next() {
		if f := option6Fault(it.kind, len(it.body), it.at+1); f.Bad() && !first.Bad() {
			first = f
		}
		if it.kind <= opt6PadN && !all {
			continue
		}
		if !list.item(p) {
			break
		}
		p.optionName(option6Name(it.kind), it.kind)
		switch {
		case it.kind == opt6RouterAlert && len(it.body) == 2:
			p.char(' ')
			p.num(int(be16(it.body)))
		case it.kind == opt6Jumbo && len(it.body) == 4:
			p.char(' ')
			p.num32(be32(it.body))
		case it.kind == opt6HomeAddress && len(it.body) == homeAddressSize:
			p.char(' ')
			p.b = appendIPv6(p.b, it.body)
		case it.kind > opt6PadN:
			p.field("len", len(it.body)+2)
		}
	}
	list.done(p)
	for _, f := range [...]Fault{first, it.bad} {
		if f.Bad() {
			p.fault(f, off+2)
		}
	}
}

// jumboLength returns the length of a jumbogram from the hop-by-hop header at the start of b, 0 if it has none
// [RFC 2675 2].
func jumboLength(b []byte) int {
	if len(b) < extSize {
		return 0
	}
	b = b[:min(len(b), extSize+8*int(b[1]))]
	for it := (tlv6{b: b[2:]}); it.next(); {
		if it.kind == opt6Jumbo && len(it.body) == 4 {
			return int(be32(it.body))
		}
	}
	return 0
}
