package packet

// IPv6 is an IPv6 header without extension headers [RFC 8200 3].
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------+---------------+---------------------------------------+
//	|Version| Traffic Class |             Flow Label                |
//	+-------+---------------+-------+---------------+---------------+
//	|         Payload Length        |  Next Header  |   Hop Limit   |
//	+-------------------------------+---------------+---------------+
//	|                    Source Address, 16 bytes                   |
//	+---------------------------------------------------------------+
//	|                  Destination Address, 16 bytes                |
//	+---------------------------------------------------------------+
type IPv6 []byte

// IPv6Size is the length of an IPv6 header in bytes.
const IPv6Size = 40

const (
	offPayload6 = 4
	offHop6     = 7
	offSource6  = 8
)

// ParseIPv6 validates the header at the start of b: version, and that the header is there.
func ParseIPv6(b []byte) (IPv6, Fault) {
	if len(b) < 1 {
		return nil, short(len(b), IPv6Size)
	}
	if version := int(b[0] >> 4); version != 6 {
		return nil, Fault{Name: "version", Relation: '=', Got: version, Want: 6}
	}
	if len(b) < IPv6Size {
		return nil, short(len(b), IPv6Size)
	}
	return IPv6(b[:IPv6Size]), Fault{}
}

// TrafficClass returns DSCP and ECN.
func (h IPv6) TrafficClass() int { return int(be16(h)>>4) & 0xff }

// FlowLabel returns the flow label.
func (h IPv6) FlowLabel() int { return int(be32(h) & 0xfffff) }

// PayloadLen returns the length of what follows the header in bytes.
func (h IPv6) PayloadLen() int { return int(be16(h[offPayload6:])) }

// NextHeader returns the protocol of what follows the header.
func (h IPv6) NextHeader() int { return int(h[6]) }

// HopLimit returns the hop limit.
func (h IPv6) HopLimit() int { return int(h[offHop6]) }

// Source returns the sender's address.
func (h IPv6) Source() []byte { return h[8:24] }

// Destination returns the address of the next destination.
func (h IPv6) Destination() []byte { return h[24:40] }

func (p *printer) ipv6(off, end int) {
	p.protocol("IPv6")
	h, f := ParseIPv6(p.slice(off, end))
	if f.Bad() {
		p.push(LayerIPv6, off, end)
		p.parseFault(f, off, end)
		return
	}
	body := off + IPv6Size
	stop, jumbo := p.ipv6End(h, off, end)
	p.end = stop
	p.pushLayer(Layer{Kind: LayerIPv6, Off: off, End: body, limit: end})
	chain := extensions{data: p.slice(0, stop), end: stop, off: body, protocol: h.NextHeader()}
	last := chain.skip()
	p.ip = ipContext{source: h.Source(), destination: h.Destination(), v6: true, hop: h.HopLimit(), hopOff: off + offHop6,
		fragment: last.fragment, cut: body+max(h.PayloadLen(), jumbo) > end}
	if last.source != nil {
		p.ip.source = last.source
	}
	if last.destination != nil {
		p.ip.destination = last.destination
	}
	var pt ports
	if last.fragmentOff == 0 && !last.bad.Bad() {
		pt = p.peekPorts(last.protocol, last.off, stop)
	}
	p.char(' ')
	p.pair6(h, pt)
	p.ipv6Words(h, jumbo)
	p.ipv6Faults(h, off, end, jumbo)
	if !p.extensions(&chain, off, stop) {
		return
	}
	p.ipv6Upper(&chain, stop)
}

// ipv6Upper prints what stands behind the extension headers.
func (p *printer) ipv6Upper(c *extensions, stop int) {
	switch {
	case c.fragmentOff != 0:
		p.laterFragment(c.protocol, c.off, stop)
	case c.protocol == extNone:
		p.str(" no-next-header")
		if c.off < stop {
			p.compare("no-next-header-data", stop-c.off, '!', 0, c.off)
			p.pushData(c.off, stop)
		}
	default:
		p.transport(c.protocol, c.off, stop)
	}
}

// ipv6End returns where the payload ends, as far as that can be, and the length of a jumbogram.
func (p *printer) ipv6End(h IPv6, off, end int) (stop, jumbo int) {
	n := h.PayloadLen()
	if n == 0 {
		if h.NextHeader() == extHopByHop {
			jumbo = jumboLength(p.slice(off+IPv6Size, end))
			n = jumbo
		} else if p.f.Checksum == ChecksumOffload { // segmentation left to the card
			return end, 0
		}
	}
	return min(off+IPv6Size+n, end), jumbo
}

// pair6 prints the addresses, in brackets if there are ports.
func (p *printer) pair6(h IPv6, pt ports) {
	from := len(p.b)
	p.addr6(h.Source(), pt.known, pt.source)
	p.char('>')
	p.addr6(h.Destination(), pt.known, pt.destination)
	p.mark(MarkAddress, from)
}

func (p *printer) addr6(a []byte, known bool, port int) {
	if !known {
		p.b = appendIPv6(p.b, a)
		return
	}
	p.char('[')
	p.b = appendIPv6(p.b, a)
	p.char(']')
	p.port(true, port)
}

// ipv6Words prints what is worth a word on the line.
func (p *printer) ipv6Words(h IPv6, jumbo int) {
	p.field("hop", h.HopLimit())
	if h.TrafficClass() != 0 {
		p.fieldHex("tc", h.TrafficClass(), 2)
	}
	if jumbo != 0 {
		p.field("jumbo", jumbo)
	}
}

func (p *printer) ipv6Faults(h IPv6, off, end, jumbo int) {
	have := end - off - IPv6Size
	switch {
	case h.PayloadLen() > have:
		p.compare("payload", h.PayloadLen(), '>', have, off+offPayload6)
	case jumbo > have:
		p.compare("jumbo", jumbo, '>', have, off+IPv6Size)
	case jumbo != 0 && jumbo <= maxDatagram: // [RFC 2675 2]
		p.compare("jumbo", jumbo, '<', maxDatagram+1, off+IPv6Size)
	case h.PayloadLen() != 0 && h.NextHeader() == extHopByHop && jumboLength(p.slice(off+IPv6Size, end)) != 0:
		p.compare("jumbo-with-payload", h.PayloadLen(), '=', 0, off+offPayload6)
	}
	if h.HopLimit() == 0 {
		p.wrong("hop-zero", off+offHop6)
	}
	if why := badSource6(h.Source(), h.Destination()); why != "" {
		p.wrong(why, off+offSource6)
	}
}

// badSource6 says why nothing may come from source, "" if it may [RFC 4291 2.5.3, 2.7].
func badSource6(source, destination []byte) string {
	switch {
	case source[0] == 0xff:
		return "src-multicast"
	case isLoopback6(source) && !isLoopback6(destination):
		return "src-loopback"
	}
	return ""
}

func isLoopback6(a []byte) bool { return a[15] == 1 && zeros(a[:15]) }
