package packet

// ARP is an address resolution message [RFC 826].
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|         hardware type         |         protocol type         |
//	+---------------+---------------+-------------------------------+
//	|     hlen      |     plen      |           operation           |
//	+---------------+---------------+-------------------------------+
//	| sender hardware address (hlen), sender protocol address (plen),
//	| target hardware address (hlen), target protocol address (plen)
//	+----
type ARP []byte

// ARPSize is the length of an ARP message for IPv4 on Ethernet, in bytes.
const ARPSize = 28

const (
	arpFixed    = 8
	arpEthernet = 1 // hardware type
)

// ParseARP validates the message at the start of b: its fixed part and that its addresses are there.
func ParseARP(b []byte) (ARP, Fault) {
	if len(b) < arpFixed {
		return nil, short(len(b), arpFixed)
	}
	h := ARP(b)
	size := arpFixed + 2*h.HardwareLen() + 2*h.ProtocolLen()
	if len(b) < size {
		return nil, short(len(b), size)
	}
	return h[:size], Fault{}
}

// HardwareType returns the kind of hardware address, 1 for Ethernet.
func (h ARP) HardwareType() int { return int(be16(h)) }

// ProtocolType returns the EtherType of the protocol addresses.
func (h ARP) ProtocolType() int { return int(be16(h[2:])) }

// HardwareLen returns the length of a hardware address in bytes.
func (h ARP) HardwareLen() int { return int(h[4]) }

// ProtocolLen returns the length of a protocol address in bytes.
func (h ARP) ProtocolLen() int { return int(h[5]) }

// Operation returns what is asked or told.
func (h ARP) Operation() int { return int(be16(h[6:])) }

// SenderHardware returns the sender's hardware address.
func (h ARP) SenderHardware() []byte { return h[arpFixed:][:h.HardwareLen()] }

// SenderProtocol returns the sender's protocol address.
func (h ARP) SenderProtocol() []byte {
	return h[arpFixed+h.HardwareLen():][:h.ProtocolLen()]
}

// TargetHardware returns the target's hardware address.
func (h ARP) TargetHardware() []byte {
	return h[arpFixed+h.HardwareLen()+h.ProtocolLen():][:h.HardwareLen()]
}

// TargetProtocol returns the target's protocol address.
func (h ARP) TargetProtocol() []byte {
	return h[arpFixed+2*h.HardwareLen()+h.ProtocolLen():][:h.ProtocolLen()]
}

// mismatch returns the first field that is not as IPv4 on Ethernet has it.
func (h ARP) mismatch() Fault {
	switch {
	case h.HardwareType() != arpEthernet:
		return Fault{Name: "htype", Relation: '=', Got: h.HardwareType(), Want: arpEthernet}
	case h.ProtocolType() != EtherTypeIPv4:
		return Fault{Name: "ptype", Relation: '=', Got: h.ProtocolType(), Want: EtherTypeIPv4, Hex: true, Offset: 2}
	case h.HardwareLen() != 6:
		return Fault{Name: "hlen", Relation: '=', Got: h.HardwareLen(), Want: 6, Offset: 4}
	case h.ProtocolLen() != 4:
		return Fault{Name: "plen", Relation: '=', Got: h.ProtocolLen(), Want: 4, Offset: 5}
	}
	return Fault{}
}

func (p *printer) arp(off, end int) {
	p.protocol("ARP")
	b := p.slice(off, end)
	h, f := ParseARP(b)
	if f.Bad() {
		p.push(LayerARP, off, end)
		if len(b) >= arpFixed {
			op := ARP(b).Operation()
			p.fieldName("op", op, arpOperation(op))
			if m := ARP(b).mismatch(); m.Bad() {
				p.fault(m, off)
			}
		}
		p.parseFault(f, off, end)
		return
	}
	p.end = off + len(h)
	p.push(LayerARP, off, p.end)
	if f = h.mismatch(); f.Bad() {
		p.fieldName("op", h.Operation(), arpOperation(h.Operation()))
		p.fault(f, off)
		return
	}
	p.arpSays(h)
	p.arpFaults(h, off)
}

// arpSays puts the message in words.
func (p *printer) arpSays(h ARP) {
	same := string(h.SenderProtocol()) == string(h.TargetProtocol())
	switch op := h.Operation(); {
	case op == 1 && be32(h.SenderProtocol()) == 0: // [RFC 5227 1.1]
		p.arpWords(" probe who-has ", h.TargetProtocol(), "", nil)
	case op == 1 && same: // [RFC 5227 3]
		p.arpWords(" announcement ", h.SenderProtocol(), " is-at ", h.SenderHardware())
	case op == 1:
		p.arpWords(" who-has ", h.TargetProtocol(), " tell ", h.SenderProtocol())
	case op == 2 && same:
		p.arpWords(" gratuitous ", h.SenderProtocol(), " is-at ", h.SenderHardware())
	case op == 2:
		p.arpWords(" ", h.SenderProtocol(), " is-at ", h.SenderHardware())
	case op == 3: // [RFC 903]
		p.arpWords(" reverse who-is ", h.TargetHardware(), " tell ", h.SenderHardware())
	case op == 4:
		p.arpWords(" reverse ", h.TargetHardware(), " is-at ", h.TargetProtocol())
	default:
		p.fieldName("op", op, arpOperation(op))
		p.arpWords(" ", h.SenderProtocol(), ">", h.TargetProtocol())
	}
}

// arpWords prints addresses, 4 bytes as IPv4, other lengths as hardware.
func (p *printer) arpWords(before string, a []byte, between string, b []byte) {
	p.str(before)
	p.arpAddress(a)
	p.str(between)
	p.arpAddress(b)
}

func (p *printer) arpAddress(a []byte) {
	if len(a) == 4 {
		p.b = appendIPv4(p.b, a)
		return
	}
	p.b = appendMAC(p.b, a)
}

func (p *printer) arpFaults(h ARP, off int) {
	if arpOperation(h.Operation()) == "" {
		p.compare("op-unknown", h.Operation(), '!', 0, off+6)
	}
	if why := badSender(h.SenderProtocol()); why != "" {
		p.wrong(why, off+arpFixed+6)
	}
	if p.f.Link != LinkEthernet {
		return
	}
	sender := h.SenderHardware()
	if source := Ethernet(p.data).Source(); string(sender) != string(source) {
		from := p.bangName("sender ")
		p.b = appendMAC(p.b, sender)
		p.str(" want ")
		p.b = appendMAC(p.b, source)
		p.str(" byte ")
		p.num(off + arpFixed)
		p.mark(MarkAnomaly, from)
	}
}

// badSender says why nobody can have the address a, "" if somebody can. 0.0.0.0 is that of a probe.
func badSender(a []byte) string {
	if be32(a) == 0 {
		return ""
	}
	return badSource4(a, a)
}

// arpOperation names an operation [IANA arp-parameters].
func arpOperation(op int) string {
	switch op {
	case 1:
		return "request"
	case 2:
		return "reply"
	case 3:
		return "reverse-request"
	case 4:
		return "reverse-reply"
	case 5:
		return "drarp-request"
	case 6:
		return "drarp-reply"
	case 7:
		return "drarp-error"
	case 8:
		return "inarp-request"
	case 9:
		return "inarp-reply"
	case 10:
		return "nak"
	}
	return ""
}
