package packet

// Link says what a frame starts with.
type Link uint32

// Links.
const (
	LinkEthernet   Link = iota
	LinkRaw             // IPv4 or IPv6, as the first four bits say
	LinkCooked          // Linux cooked capture [https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html]
	LinkCooked2         // its second version [https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html]
	LinkVsock           // a virtio-vsock packet [virtio 5.10.6]
	LinkVsockMon        // the same behind the header of Linux's vsockmon
	LinkVsockEvent      // an event of a virtio-vsock device [virtio 5.10.6.7]

	// LinkOther plus the number of a link type of captures stands for what isn't decoded.
	LinkOther Link = 1 << 16
)

// link prints the frame from its first byte on.
func (p *printer) link() {
	switch p.f.Link {
	case LinkEthernet:
		p.ethernet()
	case LinkRaw:
		p.raw()
	case LinkCooked:
		p.cooked(sllSize, SLL.version1)
	case LinkCooked2:
		p.cooked(sll2Size, SLL.version2)
	case LinkVsock:
		p.vsock(0, p.wire)
	case LinkVsockMon:
		p.vsockMon()
	case LinkVsockEvent:
		p.vsockEvent()
	default:
		p.compare("link-unknown", int(p.f.Link&^LinkOther), '!', 0, 0)
		p.pushData(0, p.wire)
	}
}

// raw prints IP without a link header.
func (p *printer) raw() {
	if b := p.slice(0, p.wire); len(b) > 0 && b[0]>>4 == 6 {
		p.ipv6(0, p.wire)
		return
	}
	p.ipv4(0, p.wire)
}

// SLL is a header of Linux cooked captures, of version 1:
//
//	 0       2       4       6                               14      16
//	+-------+-------+-------+-------------------------------+-------+----
//	|  type | ARPHRD| length|      address (8 bytes)        | proto | payload
//	+-------+-------+-------+-------------------------------+-------+----
//
// or of version 2:
//
//	 0       2       4               8       10  11  12                             20
//	+-------+-------+---------------+-------+---+---+-------------------------------+----
//	| proto |reservd|   interface   | ARPHRD|typ|len|      address (8 bytes)        | payload
//	+-------+-------+---------------+-------+---+---+-------------------------------+----
type SLL []byte

const (
	sllSize    = 16
	sll2Size   = 20
	sllAddress = 8 // bytes
)

// cookedFields are those that both versions have.
type cookedFields struct {
	kind     int // whom the packet was for
	address  []byte
	protocol uint16
	typeOff  int // where protocol stands
}

func (h SLL) version1() cookedFields {
	return cookedFields{int(be16(h)), h[6:][:min(int(be16(h[4:])), sllAddress)], be16(h[14:]), 14}
}

func (h SLL) version2() cookedFields {
	return cookedFields{int(h[10]), h[12:][:min(int(h[11]), sllAddress)], be16(h), 0}
}

// cooked prints a frame with a cooked header.
func (p *printer) cooked(size int, fields func(SLL) cookedFields) {
	p.protocol("cooked")
	b := p.slice(0, size)
	if len(b) < size {
		p.push(LayerCooked, 0, p.wire)
		p.parseFault(short(len(b), size), 0, p.wire)
		return
	}
	p.push(LayerCooked, 0, size)
	h := fields(SLL(b))
	p.char('(')
	if name := cookedName(h.kind); name != "" {
		p.str(name)
	} else {
		p.num(h.kind)
	}
	p.char(')')
	if len(h.address) > 0 {
		p.char(' ')
		p.b = appendMAC(p.b, h.address)
	}
	if h.protocol < minEtherType { // [https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html]: 1 raw 802.3, 4 802.2
		p.fieldHex("proto", int(h.protocol), 4)
		p.pushData(size, p.wire)
		return
	}
	p.tagged(h.protocol, h.typeOff, size)
}

func cookedName(kind int) string {
	return pick(kind, "to-us", "broadcast", "multicast", "to-other", "from-us")
}

// cookedDetail prints the fields of a cooked header.
func (p *printer) cookedDetail(b []byte, l Layer) {
	var h cookedFields
	switch {
	case p.f.Link == LinkCooked && len(b) >= sllSize:
		h = SLL(b).version1()
	case p.f.Link == LinkCooked2 && len(b) >= sll2Size:
		h = SLL(b).version2()
		p.field("interface", int(be32(b[4:])))
	default:
		p.parseFault(short(len(b), l.End), l.Off, p.wire)
		return
	}
	p.fieldName("type", h.kind, cookedName(h.kind))
	p.mac("addr", h.address)
	p.fieldHex("proto", int(h.protocol), 4)
	p.word(EtherTypeName(h.protocol))
}
