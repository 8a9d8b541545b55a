package packet

// TCP is a TCP header with its options [RFC 9293 3.1] [RFC 3168 6.1].
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|          Source Port          |       Destination Port        |
//	+-------------------------------+-------------------------------+
//	|                        Sequence Number                        |
//	+---------------------------------------------------------------+
//	|                    Acknowledgment Number                      |
//	+-------+-----+-+-+-+-+-+-+-+-+-+-------------------------------+
//	|  Data |     |A|C|E|U|A|P|R|S|F|                               |
//	| Offset| Rsr |E|W|C|R|C|S|S|Y|I|            Window             |
//	|       |     | |R|E|G|K|H|T|N|N|                               |
//	+-------+-----+-+-+-+-+-+-+-+-+-+-------------------------------+
//	|           Checksum            |         Urgent Pointer        |
//	+-------------------------------+-------------------------------+
//	|                           [Options]                           |
//	+---------------------------------------------------------------+
type TCP []byte

// TCPSize is the length of a TCP header without options, in bytes.
const TCPSize = 20

// TCPFlags are the control bits of a TCP header.
type TCPFlags uint16

// Control bits, and those that are reserved.
const (
	TCPFIN TCPFlags = 1 << iota
	TCPSYN
	TCPRST
	TCPPSH
	TCPACK
	TCPURG
	TCPECE
	TCPCWR
	TCPAE // accurate ECN, once NS [RFC 9768]

	tcpReserved TCPFlags = 0xe00
	tcpFlagMask TCPFlags = 0xfff
)

const (
	offTCPAck    = 8
	offTCPDoff   = 12
	offTCPFlags  = 13
	offTCPUrgent = 18
)

// ParseTCP validates the header at the start of b: the data offset, and that the header is there.
func ParseTCP(b []byte) (TCP, Fault) {
	if len(b) < TCPSize {
		return nil, short(len(b), TCPSize)
	}
	h := TCP(b)
	if n := h.HeaderLen(); n < TCPSize {
		return nil, Fault{Name: "data-offset", Relation: '<', Got: n / 4, Want: TCPSize / 4, Offset: offTCPDoff}
	}
	if n := h.HeaderLen(); n > len(b) {
		return nil, Fault{Name: "data-offset", Relation: '>', Got: n, Want: len(b), Offset: offTCPDoff}
	}
	return h[:h.HeaderLen()], Fault{}
}

// SourcePort returns the sender's port.
func (h TCP) SourcePort() int { return int(be16(h)) }

// DestinationPort returns the receiver's port.
func (h TCP) DestinationPort() int { return int(be16(h[2:])) }

// Seq returns the sequence number.
func (h TCP) Seq() uint32 { return be32(h[4:]) }

// Ack returns the acknowledgment number.
func (h TCP) Ack() uint32 { return be32(h[offTCPAck:]) }

// HeaderLen returns the data offset in bytes.
func (h TCP) HeaderLen() int { return int(h[offTCPDoff]>>4) * 4 }

// Flags returns the control bits, the reserved ones included.
func (h TCP) Flags() TCPFlags { return TCPFlags(be16(h[offTCPDoff:])) & tcpFlagMask }

// Window returns the window as it stands, not scaled.
func (h TCP) Window() int { return int(be16(h[14:])) }

// Checksum returns the checksum as it stands.
func (h TCP) Checksum() uint16 { return be16(h[16:]) }

// Urgent returns the urgent pointer.
func (h TCP) Urgent() int { return int(be16(h[offTCPUrgent:])) }

// Options returns the bytes of the options.
func (h TCP) Options() []byte { return h[TCPSize:] }

func (p *printer) tcp(off, end int) {
	p.protocol("TCP")
	b := p.slice(off, end)
	h, f := ParseTCP(b)
	if f.Bad() {
		p.push(LayerTCP, off, end)
		p.tcpBroken(b, f, off, end)
		return
	}
	body := off + len(h)
	p.push(LayerTCP, off, body)
	if p.decoder != nil && !p.ip.fragment {
		p.tcpPast = p.decoder.segment(&p.ip, h)
	}
	p.tcpWords(h)
	p.tcpOptions(h, false)
	p.field("len", max(end-body, 0))
	p.check("ck", p.tcpCheck(h, off, end))
	p.tcpFaults(h, off)
	p.tcpPayload(h, body, end)
}

// tcpBroken prints a header that isn't whole or has no sound length: the fault, then what stands in fixed places
// nevertheless.
func (p *printer) tcpBroken(b []byte, f Fault, off, end int) {
	cut := false
	if f.Relation == '>' {
		f.Want = end - off
		if cut = f.Got <= f.Want; cut { // the rest of the options is on the wire
			f = short(len(b), f.Got)
		}
	}
	p.parseFault(f, off, end)
	if len(b) < TCPSize {
		return
	}
	h := TCP(b)
	if h.HeaderLen() < TCPSize {
		p.field("sport", h.SourcePort())
		p.field("dport", h.DestinationPort())
	}
	p.tcpWords(h)
	if cut {
		p.tcpOptions(h, false)
		p.field("len", end-off-h.HeaderLen())
	}
	p.check("ck", p.tcpCheck(h, off, end))
}

// tcpWords prints flags and numbers.
func (p *printer) tcpWords(h TCP) {
	p.char(' ')
	p.tcpFlags(h.Flags())
	p.str(" seq=")
	p.num32(h.Seq() - p.tcpPast.seqBase)
	if h.Flags()&TCPACK != 0 {
		p.str(" ack=")
		p.num32(h.Ack() - p.tcpPast.ackBase)
	}
	p.window(h)
	if h.Flags()&TCPURG != 0 {
		p.field("urg", h.Urgent())
	}
}

// window prints the window as it stands, and scaled if the SYNs have been seen.
func (p *printer) window(h TCP) {
	p.field("win", h.Window())
	if shift := p.tcpPast.scale; shift != 0 && h.Window() != 0 {
		p.char('(')
		p.num(h.Window() << shift)
		p.char(')')
	}
}

// tcpFlags prints the flags as tcpdump does: a letter each, a period for ACK.
func (p *printer) tcpFlags(f TCPFlags) {
	p.char('[')
	if f&^tcpReserved == 0 {
		p.str("none")
	}
	const letters = "FSRP.UEWe"
	for i := range len(letters) {
		if f&(1<<i) != 0 {
			p.char(letters[i])
		}
	}
	p.char(']')
}

func (p *printer) tcpCheck(h TCP, off, end int) checkResult {
	return p.payloadCheck(ProtocolTCP, off, end, h.Checksum(), true, p.ip.cut)
}

// tcpFaults reports what a sound header has no business to hold.
func (p *printer) tcpFaults(h TCP, off int) {
	f := h.Flags()
	if r := f & tcpReserved; r != 0 {
		p.fault(Fault{Name: "reserved", Relation: '!', Got: int(r >> 9), Hex: true}, off+offTCPDoff)
	}
	if f&(TCPSYN|TCPFIN) == TCPSYN|TCPFIN {
		p.wrong("SYN+FIN", off+offTCPFlags)
	}
	if f&(TCPSYN|TCPRST) == TCPSYN|TCPRST {
		p.wrong("SYN+RST", off+offTCPFlags)
	}
	switch f & (TCPFIN | TCPSYN | TCPRST | TCPPSH | TCPACK | TCPURG) {
	case 0:
		p.wrong("null", off+offTCPFlags)
	case TCPFIN | TCPPSH | TCPURG:
		p.wrong("xmas", off+offTCPFlags)
	}
	if f&TCPACK == 0 && h.Ack() != 0 {
		p.without("ack ", h.Ack(), " without ACK byte ", off+offTCPAck)
	}
	if f&TCPURG == 0 && h.Urgent() != 0 {
		p.without("urg ", uint32(h.Urgent()), " without URG byte ", off+offTCPUrgent)
	}
	p.zeroPort(h.SourcePort(), h.DestinationPort(), off)
	p.tcpOptionFaults(h, off+TCPSize)
}

// without reports a number without the flag that gives it a meaning.
func (p *printer) without(name string, n uint32, what string, off int) {
	from := p.bangName(name)
	p.num32(n)
	p.str(what)
	p.num(off)
	p.mark(MarkAnomaly, from)
}

func (p *printer) tcpPayload(h TCP, off, end int) {
	switch {
	case off >= end:
	case p.ip.fragment || p.crowded():
		p.pushData(off, end)
	case h.SourcePort() == portDNS || h.DestinationPort() == portDNS:
		p.dnsStream(off, end)
	case !p.http(off, end):
		p.pushData(off, end)
	}
}
