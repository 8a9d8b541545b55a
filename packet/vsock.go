package packet

import "encoding/binary"

// Vsock is the header of a virtio-vsock packet, all little-endian [virtio 5.10.6].
//
//	 0               8               16      20      24      28  30  32      36      40      44
//	+---------------+---------------+-------+-------+-------+---+---+-------+-------+-------+----
//	|    src_cid    |    dst_cid    | src_  | dst_  |  len  |typ| op| flags | buf_  | fwd_  | payload
//	|               |               | port  | port  |       |   |   |       | alloc | cnt   |
//	+---------------+---------------+-------+-------+-------+---+---+-------+-------+-------+----
type Vsock []byte

// VsockSize is the length of a virtio-vsock header in bytes.
const VsockSize = 44

const (
	offVsockSource = 0
	offVsockDest   = 8
	offVsockLen    = 24
	offVsockType   = 28
	offVsockOp     = 30
	offVsockFlags  = 32
	offVsockFwdCnt = 40

	maxVsockPayload = 64 << 10 // VIRTIO_VSOCK_MAX_PKT_BUF_SIZE of Linux
)

// Types of vsock sockets [virtio 5.10.6.2].
const (
	VsockStream    = 1
	VsockSeqPacket = 2
)

// Operations of vsock [virtio 5.10.6].
const (
	VsockRequest       = 1
	VsockResponse      = 2
	VsockReset         = 3
	VsockShutdown      = 4
	VsockRW            = 5
	VsockCreditUpdate  = 6
	VsockCreditRequest = 7
)

// ParseVsock validates the header at the start of b.
func ParseVsock(b []byte) (Vsock, Fault) {
	if len(b) < VsockSize {
		return nil, short(len(b), VsockSize)
	}
	return Vsock(b[:VsockSize]), Fault{}
}

func (h Vsock) u32(off int) uint32 { return binary.LittleEndian.Uint32(h[off:]) }

// SourceCID returns the sender's address.
func (h Vsock) SourceCID() uint64 { return binary.LittleEndian.Uint64(h[offVsockSource:]) }

// DestinationCID returns the receiver's address.
func (h Vsock) DestinationCID() uint64 { return binary.LittleEndian.Uint64(h[offVsockDest:]) }

// SourcePort returns the sender's port.
func (h Vsock) SourcePort() uint32 { return h.u32(16) }

// DestinationPort returns the receiver's port.
func (h Vsock) DestinationPort() uint32 { return h.u32(20) }

// Len returns the length of the payload in bytes, as it stands.
func (h Vsock) Len() uint32 { return h.u32(offVsockLen) }

// Type returns the type of the socket.
func (h Vsock) Type() int { return int(binary.LittleEndian.Uint16(h[offVsockType:])) }

// Op returns the operation.
func (h Vsock) Op() int { return int(binary.LittleEndian.Uint16(h[offVsockOp:])) }

// Flags returns the flags, whose meaning depends on the operation.
func (h Vsock) Flags() uint32 { return h.u32(offVsockFlags) }

// BufAlloc returns the size of the sender's receive buffer in bytes.
func (h Vsock) BufAlloc() uint32 { return h.u32(36) }

// FwdCnt returns how many bytes the sender has taken out of that buffer, modulo 2³².
func (h Vsock) FwdCnt() uint32 { return h.u32(offVsockFwdCnt) }

func vsockOpName(op int) string {
	return pick(op, "", "REQUEST", "RESPONSE", "RST", "SHUTDOWN", "RW", "CREDIT_UPDATE", "CREDIT_REQUEST")
}

func vsockTypeName(typ int) string { return pick(typ, "", "stream", "seqpacket") }

// vsockFlagNames names the flags that an operation may have, from the lowest.
func vsockFlagNames(op, typ int) (names [2]string) {
	switch {
	case op == VsockShutdown:
		return [2]string{"rcv", "send"}
	case op == VsockRW && typ == VsockSeqPacket:
		return [2]string{"eom", "eor"}
	}
	return names
}

// cidName names the addresses that have a meaning of their own [vsock(7)].
func cidName(cid uint64) string {
	switch cid {
	case 0:
		return "hypervisor"
	case 1:
		return "local"
	case 2:
		return "host"
	case 0xffffffff:
		return "any"
	}
	return "guest"
}

// vsock prints the packet in [off, end).
func (p *printer) vsock(off, end int) {
	p.protocol("vsock")
	h, f := ParseVsock(p.slice(off, end))
	if f.Bad() {
		p.push(LayerVsock, off, end)
		p.parseFault(f, off, end)
		return
	}
	body := off + VsockSize
	p.push(LayerVsock, off, body)
	if p.decoder != nil {
		p.vsockPast = p.decoder.vsock(h, end-body)
	}
	p.char(' ')
	p.vsockEnd(h.SourceCID(), h.SourcePort())
	p.char('>')
	p.vsockEnd(h.DestinationCID(), h.DestinationPort())
	p.vsockWords(h)
	p.vsockFaults(h, off, end)
	p.pushData(body, end)
}

func (p *printer) vsockEnd(cid uint64, port uint32) {
	p.vsockCID(cid)
	p.char(':')
	p.num32(port)
}

func (p *printer) vsockCID(cid uint64) {
	p.str(cidName(cid))
	p.char('(')
	p.b = appendUint(p.b, cid)
	p.char(')')
}

// vsockWords prints what is said, and the credit.
func (p *printer) vsockWords(h Vsock) {
	p.char(' ')
	p.vsockName(vsockTypeName(h.Type()), "type-", h.Type())
	p.char(' ')
	p.vsockName(vsockOpName(h.Op()), "op-", h.Op())
	p.vsockFlags(h)
	if h.Len() != 0 || h.Op() == VsockRW {
		p.str(" len=")
		p.num32(h.Len())
	}
	p.str(" buf_alloc=")
	p.num32(h.BufAlloc())
	p.str(" fwd_cnt=")
	p.num32(h.FwdCnt())
}

func (p *printer) vsockName(name, prefix string, n int) {
	if name != "" {
		p.str(name)
		return
	}
	p.str(prefix)
	p.num(n)
}

// vsockFlags prints the flags that the operation defines.
func (p *printer) vsockFlags(h Vsock) {
	sep := " ["
	for i, name := range vsockFlagNames(h.Op(), h.Type()) {
		if name != "" && h.Flags()&(1<<i) != 0 {
			p.str(sep)
			p.str(name)
			sep = ","
		}
	}
	if sep == "," {
		p.char(']')
	}
}

// vsockFaults reports what a packet has no business to hold.
func (p *printer) vsockFaults(h Vsock, off, end int) {
	p.vsockAddressFaults(h, off)
	have := end - off - VsockSize
	switch n := int(h.Len()); {
	case n > maxVsockPayload:
		p.compare("len", n, '>', maxVsockPayload, off+offVsockLen)
	case n > have:
		p.compare("len", n, '>', have, off+offVsockLen)
	case n < have:
		p.compare("len", n, '<', have, off+offVsockLen)
	}
	if t := h.Type(); t != VsockStream && t != VsockSeqPacket {
		p.compare("type-unknown", t, '!', 0, off+offVsockType)
	}
	if op := h.Op(); vsockOpName(op) == "" {
		p.compare("op-unknown", op, '!', 0, off+offVsockOp)
	} else if op != VsockRW && h.Len() != 0 {
		p.compare("control-with-payload", int(h.Len()), '!', 0, off+offVsockLen)
	}
	p.vsockFlagFaults(h, off)
	p.vsockPastFaults(h, off)
}

// vsockAddressFaults reports addresses that can't be, or not here.
func (p *printer) vsockAddressFaults(h Vsock, off int) {
	local := uint64(0)
	if p.decoder != nil {
		local = p.decoder.LocalCID
	}
	for _, a := range [...]struct {
		cid        uint64
		off        int
		high, ours string
		local      bool
	}{
		{h.SourceCID(), off + offVsockSource, "src_cid-high", "src_cid", p.f.Direction == Transmit},
		{h.DestinationCID(), off + offVsockDest, "dst_cid-high", "dst_cid", p.f.Direction == Receive},
	} {
		switch {
		case a.cid>>32 != 0: // reserved [virtio 5.10.4]
			p.fault(Fault{Name: a.high, Relation: '!', Got: int(a.cid >> 32), Hex: true}, a.off+4)
		case a.local && local != 0 && a.cid != local:
			p.compare(a.ours, int(a.cid), '=', int(local), a.off)
		}
	}
}

// vsockFlagFaults reports flags that the operation doesn't define, and a shutdown of nothing.
func (p *printer) vsockFlagFaults(h Vsock, off int) {
	allowed := uint32(0)
	for i, name := range vsockFlagNames(h.Op(), h.Type()) {
		if name != "" {
			allowed |= 1 << i
		}
	}
	if bad := h.Flags() &^ allowed; bad != 0 && vsockOpName(h.Op()) != "" {
		p.fault(Fault{Name: "flags", Relation: '!', Got: int(bad), Hex: true}, off+offVsockFlags)
	}
	if h.Op() == VsockShutdown && h.Flags()&allowed == 0 {
		p.wrong("shutdown-of-nothing", off+offVsockFlags)
	}
}

// vsockDetail prints every field of a header.
func (p *printer) vsockDetail(b []byte, l Layer) {
	h, f := ParseVsock(b)
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		return
	}
	p.vsockAddresses(h.SourceCID(), h.DestinationCID(), h.SourcePort(), h.DestinationPort())
	p.str(" len=")
	p.num32(h.Len())
	p.fieldName("type", h.Type(), vsockTypeName(h.Type()))
	p.fieldName("op", h.Op(), vsockOpName(h.Op()))
	p.str(" flags=")
	p.b = appendHex(p.b, uint64(h.Flags()), 1)
	p.vsockFlags(h)
	p.str(" buf_alloc=")
	p.num32(h.BufAlloc())
	p.str(" fwd_cnt=")
	p.num32(h.FwdCnt())
	p.vsockFaults(h, l.Off, p.wire)
}

// vsockEvent prints an event of the device: that all connections are gone [virtio 5.10.6.7].
func (p *printer) vsockEvent() {
	p.protocol("vsock")
	p.str(" event")
	b := p.slice(0, p.wire)
	p.pushData(0, p.wire)
	if len(b) < 4 {
		p.parseFault(short(len(b), 4), 0, p.wire)
		return
	}
	id := binary.LittleEndian.Uint32(b)
	if id == 0 {
		p.str(" TRANSPORT_RESET")
		p.wrong("transport-reset", 0)
		if p.decoder != nil && !p.inDetails {
			p.decoder.vsocks.forget()
		}
		return
	}
	p.str(" id=")
	p.num32(id)
	p.compare("event-unknown", int(id), '!', 0, 0)
}
