package packet

// IPv4 is an IPv4 header with its options [RFC 791 3.1].
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------+-------+---------------+-------------------------------+
//	|Version|  IHL  |Type of Service|          Total Length         |
//	+-------+-------+---------------+-----+-------------------------+
//	|         Identification        |Flags|     Fragment Offset     |
//	+---------------+---------------+-----+-------------------------+
//	|  Time to Live |    Protocol   |         Header Checksum       |
//	+---------------+---------------+-------------------------------+
//	|                       Source Address                          |
//	+---------------------------------------------------------------+
//	|                    Destination Address                        |
//	+---------------------------------------------------------------+
//	|                    Options                    |    Padding    |
//	+---------------------------------------------------------------+
type IPv4 []byte

// IPv4Size is the length of an IPv4 header without options, in bytes.
const IPv4Size = 20

const (
	ipv4Reserved  = 0x8000
	ipv4DF        = 0x4000
	ipv4MF        = 0x2000
	ipv4OffMask   = 0x1fff
	maxDatagram   = 65535
	offTotal      = 2
	offFragment   = 6
	offTTL        = 8
	offSource     = 12
	fragmentUnits = 8 // bytes
)

// ParseIPv4 validates the header at the start of b: version, header length, and that the header is there.
func ParseIPv4(b []byte) (IPv4, Fault) {
	if len(b) < 1 {
		return nil, short(len(b), IPv4Size)
	}
	if version := int(b[0] >> 4); version != 4 {
		return nil, Fault{Name: "version", Relation: '=', Got: version, Want: 4}
	}
	if len(b) < IPv4Size {
		return nil, short(len(b), IPv4Size)
	}
	ihl := int(b[0] & 0xf)
	if ihl < 5 {
		return nil, Fault{Name: "ihl", Relation: '<', Got: ihl, Want: 5}
	}
	if total := int(be16(b[offTotal:])); len(b) < 4*ihl && total >= IPv4Size && total < 4*ihl {
		return nil, Fault{Name: "ihl", Relation: '>', Got: 4 * ihl, Want: total} // it would not be there in a whole packet either
	}
	if len(b) < 4*ihl {
		return nil, short(len(b), 4*ihl)
	}
	return IPv4(b[:4*ihl]), Fault{}
}

// TOS returns the type of service byte: DSCP and ECN.
func (h IPv4) TOS() int { return int(h[1]) }

// TotalLen returns the length of header and payload in bytes.
func (h IPv4) TotalLen() int { return int(be16(h[offTotal:])) }

// ID returns the identification that fragments share.
func (h IPv4) ID() int { return int(be16(h[4:])) }

// DontFragment returns the DF flag.
func (h IPv4) DontFragment() bool { return be16(h[offFragment:])&ipv4DF != 0 }

// MoreFragments returns the MF flag.
func (h IPv4) MoreFragments() bool { return be16(h[offFragment:])&ipv4MF != 0 }

// ReservedFlag returns the flag that must be zero.
func (h IPv4) ReservedFlag() bool { return be16(h[offFragment:])&ipv4Reserved != 0 }

// FragmentOffset returns where the payload belongs in the datagram, in bytes.
func (h IPv4) FragmentOffset() int {
	return int(be16(h[offFragment:])&ipv4OffMask) * fragmentUnits
}

// IsFragment tells whether the payload is a part only.
func (h IPv4) IsFragment() bool { return be16(h[offFragment:])&(ipv4MF|ipv4OffMask) != 0 }

// TTL returns the time to live.
func (h IPv4) TTL() int { return int(h[offTTL]) }

// Protocol returns the number of the payload's protocol.
func (h IPv4) Protocol() int { return int(h[9]) }

// Checksum returns the header checksum as it stands.
func (h IPv4) Checksum() uint16 { return be16(h[10:]) }

// Source returns the sender's address.
func (h IPv4) Source() []byte { return h[12:16] }

// Destination returns the address of the next destination.
func (h IPv4) Destination() []byte { return h[16:20] }

// Options returns the bytes of the options.
func (h IPv4) Options() []byte { return h[IPv4Size:] }

// FinalDestination returns the last hop of a source route that isn't used up, else Destination. This is what transport
// checksums cover [RFC 1122 4.1.3.4].
func (h IPv4) FinalDestination() []byte {
	for it := (options{b: h.Options()}); it.next(); {
		if it.kind != ipv4LSRR && it.kind != ipv4SSRR {
			continue
		}
		if r := it.body; len(r) >= 5 && int(r[0]) <= len(r) {
			return r[len(r)-4:]
		}
	}
	return h.Destination()
}

// ipContext is what a transport needs to know of the IP header before it.
type ipContext struct {
	source, destination []byte // as the pseudo-header has them
	v6                  bool
	hop                 int // time to live or hop limit
	hopOff              int // where it stands
	fragment            bool
	cut                 bool // the datagram is longer than the frame: nothing to verify
}

func (p *printer) ipv4(off, end int) {
	p.protocol("IPv4")
	b := p.slice(off, end)
	h, f := ParseIPv4(b)
	if f.Bad() {
		p.push(LayerIPv4, off, end)
		if f.Name != "version" && len(b) >= IPv4Size {
			p.char(' ')
			p.pair4(IPv4(b), ports{})
			if f.Name == truncated {
				p.field("ttl", IPv4(b).TTL())
			}
		}
		p.parseFault(f, off, end)
		return
	}
	body := off + len(h)
	stop := p.ipv4End(h, off, end)
	p.end = stop
	p.pushLayer(Layer{Kind: LayerIPv4, Off: off, End: body, limit: end})
	p.ip = ipContext{source: h.Source(), destination: h.FinalDestination(), hop: h.TTL(), hopOff: off + offTTL,
		fragment: h.IsFragment(), cut: off+h.TotalLen() > end}
	var pt ports
	if h.FragmentOffset() == 0 {
		pt = p.peekPorts(h.Protocol(), body, stop)
	}
	p.char(' ')
	p.pair4(h, pt)
	p.ipv4Words(h, stop-body)
	r := p.ipv4Check(h)
	if p.info != nil {
		p.info.HeaderCheck = r.verdict()
	}
	if r.state != checkOK && r.state != checkHardware {
		p.check("hdr-ck", r)
	}
	p.ipv4Faults(h, off, end)
	if h.FragmentOffset() != 0 {
		p.laterFragment(h.Protocol(), body, stop)
		return
	}
	p.transport(h.Protocol(), body, stop)
}

// ipv4End returns where the datagram ends: where its total length says, as far as that can be.
func (p *printer) ipv4End(h IPv4, off, end int) int {
	total := h.TotalLen()
	if total == 0 || off+total > end {
		return end
	}
	return off + max(total, len(h))
}

// pair4 prints the addresses, with ports if there are any.
func (p *printer) pair4(h IPv4, pt ports) {
	from := len(p.b)
	p.b = appendIPv4(p.b, h.Source())
	p.port(pt.known, pt.source)
	p.char('>')
	p.b = appendIPv4(p.b, h.Destination())
	p.port(pt.known, pt.destination)
	p.mark(MarkAddress, from)
}

func (p *printer) port(known bool, n int) {
	if known {
		p.char(':')
		p.num(n)
	}
}

// ipv4Words prints what is worth a word on the line.
func (p *printer) ipv4Words(h IPv4, size int) {
	p.field("ttl", h.TTL())
	if h.TOS() != 0 {
		p.fieldHex("tos", h.TOS(), 2)
	}
	if h.DontFragment() {
		p.str(" DF")
	}
	if h.IsFragment() {
		p.fieldHex("id", h.ID(), 4)
		p.fragmentWords(h.FragmentOffset(), size, h.MoreFragments())
	}
	p.ipv4Options(h, false)
}

// fragmentWords prints the place of a fragment and whether more follow.
func (p *printer) fragmentWords(at, size int, more bool) {
	p.str(" frag ")
	p.num(at)
	p.char('+')
	p.num(size)
	if more {
		p.str(" more")
	} else {
		p.str(" last")
	}
}

// laterFragment prints a fragment that doesn't hold the transport header.
func (p *printer) laterFragment(protocol, off, end int) {
	p.char(' ')
	if name := ProtocolName(protocol); name != "" {
		p.str(name)
	} else {
		p.str("proto=")
		p.num(protocol)
	}
	p.str(" (not first fragment)")
	p.pushData(off, end)
}

// ipv4Check judges the header checksum.
func (p *printer) ipv4Check(h IPv4) checkResult {
	if p.f.Checksum == ChecksumVerified {
		return checkResult{state: checkHardware}
	}
	r := verify(Sum(h, 0), h.Checksum())
	switch {
	case r.state == checkBad && h.Checksum() == 0 && p.f.Checksum != ChecksumOffload:
		return checkResult{state: checkNone}
	case r.state == checkBad && p.f.Checksum == ChecksumOffload:
		return checkResult{state: checkOffload}
	}
	return r
}

func (p *printer) ipv4Faults(h IPv4, off, end int) {
	total := h.TotalLen()
	switch {
	case total == 0 && p.f.Checksum == ChecksumOffload: // segmentation left to the card
	case total < IPv4Size:
		p.compare("total", total, '<', IPv4Size, off+offTotal)
	case len(h) > total:
		p.compare("ihl", len(h), '>', total, off)
	case off+total > end:
		p.compare("total", total, '>', end-off, off+offTotal)
	}
	p.fragmentFaults4(h, off)
	if h.TTL() == 0 {
		p.wrong("ttl-zero", off+offTTL)
	}
	if why := badSource4(h.Source(), h.Destination()); why != "" {
		p.wrong(why, off+offSource)
	}
	p.ipv4OptionFaults(h, off)
}

// fragmentFaults4 reports fragments that no sender makes in earnest.
func (p *printer) fragmentFaults4(h IPv4, off int) {
	if h.ReservedFlag() {
		p.wrong("reserved-flag", off+offFragment)
	}
	if !h.IsFragment() {
		return
	}
	if h.DontFragment() {
		p.wrong("DF-on-fragment", off+offFragment)
	}
	p.fragmentFaults(fragment{
		id: uint32(h.ID()), protocol: h.Protocol(), at: h.FragmentOffset(), size: max(h.TotalLen()-len(h), 0), more: h.MoreFragments(),
	}, off+offFragment, off+offTotal)
}

// fragment is a part of a datagram, of either version of IP.
type fragment struct {
	id       uint32
	protocol int
	at, size int // in bytes
	more     bool
}

// fragmentFaults reports what both versions of IP can have wrong with a fragment; its offset and its length stand at
// the given bytes.
func (p *printer) fragmentFaults(f fragment, offAt, offLen int) {
	at, size, more := f.at, f.size, f.more
	if at+size > maxDatagram { // ping of death
		p.compare("fragment-end", at+size, '>', maxDatagram, offAt)
	}
	if more && size%fragmentUnits != 0 {
		p.compare("fragment-not-x8", size, '!', 0, offLen)
	}
	if least := transportSize(f.protocol); more && at == 0 && size < least { // [RFC 1858]
		p.compare("tiny-fragment", size, '<', least, offLen)
	}
	if !p.inDetails {
		p.overlap = p.overlapping(f)
	}
	if p.overlap > 0 { // [RFC 5722]
		p.compare("fragment-overlap", p.overlap, '!', 0, offAt)
	}
}

// badSource4 says why nothing may come from source, "" if it may [RFC 1122 3.2.1.3].
func badSource4(source, destination []byte) string {
	switch {
	case source[0] >= 224 && source[0] < 240:
		return "src-multicast"
	case be32(source) == 0xffffffff:
		return "src-broadcast"
	case source[0] >= 240:
		return "src-reserved"
	case source[0] == 127 && destination[0] != 127:
		return "src-loopback"
	case be32(source) == 0 && destination[0] < 224: // a host that has no address yet asks all
		return "src-unspecified"
	}
	return ""
}
