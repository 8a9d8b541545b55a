package packet

import "encoding/binary"

// VsockMon is the header that Linux's vsockmon puts before a packet, all little-endian
// [include/uapi/linux/vsockmon.h]. The transport's own header and the payload follow.
//
//	 0               8               16      20      24  26  28  30  32
//	+---------------+---------------+-------+-------+---+---+---+---+----
//	|    src_cid    |    dst_cid    | src_  | dst_  | op|tra|len| 0 | transport's header
//	|               |               | port  | port  |   |nsp|   |   |
//	+---------------+---------------+-------+-------+---+---+---+---+----
type VsockMon []byte

// VsockMonSize is the length of a vsockmon header in bytes.
const VsockMonSize = 32

// Offsets of fields of the header.
const (
	offVsockMonOp        = 24
	offVsockMonTransport = 26
	offVsockMonLen       = 28
)

// vsockMonVirtio is the transport whose header is a Vsock.
const vsockMonVirtio = 2

// ParseVsockMon validates the header at the start of b.
func ParseVsockMon(b []byte) (VsockMon, Fault) {
	if len(b) < VsockMonSize {
		return nil, short(len(b), VsockMonSize)
	}
	return VsockMon(b[:VsockMonSize]), Fault{}
}

// SourceCID returns the sender's address.
func (h VsockMon) SourceCID() uint64 { return binary.LittleEndian.Uint64(h) }

// DestinationCID returns the receiver's address.
func (h VsockMon) DestinationCID() uint64 { return binary.LittleEndian.Uint64(h[8:]) }

// SourcePort returns the sender's port.
func (h VsockMon) SourcePort() uint32 { return binary.LittleEndian.Uint32(h[16:]) }

// DestinationPort returns the receiver's port.
func (h VsockMon) DestinationPort() uint32 { return binary.LittleEndian.Uint32(h[20:]) }

// Op returns what kind of packet it is, whatever the transport.
func (h VsockMon) Op() int { return int(binary.LittleEndian.Uint16(h[offVsockMonOp:])) }

// Transport returns whose header follows.
func (h VsockMon) Transport() int { return int(binary.LittleEndian.Uint16(h[offVsockMonTransport:])) }

// Virtio tells whether what follows is a packet of virtio-vsock.
func (h VsockMon) Virtio() bool { return h.Transport() == vsockMonVirtio }

// HeaderLen returns the length of the transport's header in bytes.
func (h VsockMon) HeaderLen() int { return int(binary.LittleEndian.Uint16(h[offVsockMonLen:])) }

// What Linux's vsockmon calls the operations of all transports.
const (
	vsockMonUnknown = iota
	vsockMonConnect
	vsockMonDisconnect
	vsockMonControl
	vsockMonPayload
)

// AppendVsockMon appends the header that a packet of virtio-vsock has in captures. b is the packet, or what there is of it.
func AppendVsockMon(dst, b []byte) []byte {
	var h [VsockMonSize]byte
	size := min(len(b), VsockSize)
	op := vsockMonUnknown
	if v, f := ParseVsock(b); !f.Bad() {
		copy(h[:], v[:offVsockLen]) // the addresses and ports are the same in both
		switch v.Op() {
		case VsockRequest, VsockResponse:
			op = vsockMonConnect
		case VsockReset, VsockShutdown:
			op = vsockMonDisconnect
		case VsockCreditUpdate, VsockCreditRequest:
			op = vsockMonControl
		case VsockRW:
			op = vsockMonPayload
		}
	}
	binary.LittleEndian.PutUint16(h[24:], uint16(op))
	binary.LittleEndian.PutUint16(h[26:], vsockMonVirtio)
	binary.LittleEndian.PutUint16(h[28:], uint16(size))
	return append(dst, h[:]...)
}

func vsockMonOpName(op int) string {
	return pick(op, "", "connect", "disconnect", "control", "payload")
}

// vsockMon prints a packet that vsockmon has captured.
func (p *printer) vsockMon() {
	h, f := ParseVsockMon(p.slice(0, p.wire))
	if f.Bad() {
		p.protocol("vsock")
		p.push(LayerVsockMon, 0, p.wire)
		p.parseFault(f, 0, p.wire)
		return
	}
	p.push(LayerVsockMon, 0, VsockMonSize)
	if h.Virtio() {
		p.vsock(VsockMonSize, p.wire)
		return
	}
	p.protocol("vsock")
	p.char(' ')
	p.vsockEnd(h.SourceCID(), h.SourcePort())
	p.char('>')
	p.vsockEnd(h.DestinationCID(), h.DestinationPort())
	p.char(' ')
	p.vsockName(vsockMonOpName(h.Op()), "op-", h.Op())
	room := p.wire - VsockMonSize
	p.field("len", max(room-h.HeaderLen(), 0))
	p.pushData(VsockMonSize, p.wire)
	if h.Op() > vsockMonPayload {
		p.compare("op-unknown", h.Op(), '!', 0, offVsockMonOp)
	}
	if h.Transport() > vsockMonVirtio {
		p.compare("transport-unknown", h.Transport(), '!', 0, offVsockMonTransport)
	}
	if h.HeaderLen() > room {
		p.compare("length", h.HeaderLen(), '>', room, offVsockMonLen)
	}
}

// vsockMonDetail prints every field of vsockmon's header.
func (p *printer) vsockMonDetail(b []byte, l Layer) {
	h, f := ParseVsockMon(b)
	if f.Bad() {
		p.parseFault(f, l.Off, l.End)
		return
	}
	p.vsockAddresses(h.SourceCID(), h.DestinationCID(), h.SourcePort(), h.DestinationPort())
	p.fieldName("op", h.Op(), vsockMonOpName(h.Op()))
	p.fieldName("transport", h.Transport(), pick(h.Transport(), "", "none", "virtio"))
	p.field("len", h.HeaderLen())
}

// vsockAddresses prints the four numbers of a connection as fields.
func (p *printer) vsockAddresses(srcCID, dstCID uint64, srcPort, dstPort uint32) {
	p.str(" src_cid=")
	p.b = appendUint(p.b, srcCID)
	p.word(cidName(srcCID))
	p.str(" dst_cid=")
	p.b = appendUint(p.b, dstCID)
	p.word(cidName(dstCID))
	p.str(" src_port=")
	p.num32(srcPort)
	p.str(" dst_port=")
	p.num32(dstPort)
}
