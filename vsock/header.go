package vsock

import (
	"encoding/binary"
	"fmt"
	"math"

	"wick/packet"
)

// HeaderSize is the length of a packet without its data, in bytes.
const HeaderSize = packet.VsockSize

// MaxData is the most data that a packet may hold, in bytes: Linux takes no more [VIRTIO_VSOCK_MAX_PKT_BUF_SIZE].
const MaxData = 64 << 10

// Flags of SHUTDOWN [virtio 5.10.6.6].
const (
	ShutReceive uint32 = 1 << iota // the sender of the packet will not receive any more
	ShutSend                       // it will not send any more
	ShutBoth    = ShutReceive | ShutSend
)

// Header is the header of a packet. packet.Vsock has its layout.
type Header struct {
	From, To Addr
	Len      uint32 // of the data, in bytes
	Type, Op int    // packet.VsockStream, packet.VsockRW
	Flags    uint32
	BufAlloc uint32 // the sender's receive buffer, in bytes
	FwdCnt   uint32 // bytes that have left it
}

// ParseHeader reads the header at the start of b.
func ParseHeader(b []byte) (Header, error) {
	v, fault := packet.ParseVsock(b)
	if fault.Bad() {
		return Header{}, fmt.Errorf("%w: %d bytes, a header has %d", ErrMalformed, len(b), HeaderSize)
	}
	src, dst := v.SourceCID(), v.DestinationCID()
	if src > math.MaxUint32 || dst > math.MaxUint32 { // the upper halves are reserved [virtio 5.10.4]
		return Header{}, fmt.Errorf("%w: CIDs %#x and %#x", ErrMalformed, src, dst)
	}
	return Header{
		From: Addr{uint32(src), v.SourcePort()}, To: Addr{uint32(dst), v.DestinationPort()},
		Len: v.Len(), Type: v.Type(), Op: v.Op(), Flags: v.Flags(), BufAlloc: v.BufAlloc(), FwdCnt: v.FwdCnt(),
	}, nil
}

// Append appends the header's bytes to b.
func (h *Header) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(h.From.CID))
	b = le.AppendUint64(b, uint64(h.To.CID))
	b = le.AppendUint32(b, h.From.Port)
	b = le.AppendUint32(b, h.To.Port)
	b = le.AppendUint32(b, h.Len)
	b = le.AppendUint16(b, uint16(h.Type))
	b = le.AppendUint16(b, uint16(h.Op))
	b = le.AppendUint32(b, h.Flags)
	b = le.AppendUint32(b, h.BufAlloc)
	return le.AppendUint32(b, h.FwdCnt)
}
