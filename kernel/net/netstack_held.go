package net

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// heldSegment is a TCP segment that waits for those that continue it, if pkt isn't nil, so that the engine handles one instead of
// many.
type heldSegment struct {
	pkt  *stack.PacketBuffer
	ep   stack.TransportEndpoint
	id   stack.TransportEndpointID
	ip   header.IPv4  // in pkt, as the following
	tcp  header.TCP   // with options
	size int          // bytes of data
	next seqnum.Value // number of the byte behind them
}

// mostHeld bounds what is put together, in bytes of data.
const mostHeld = 32 << 10

func newHeldSegment(pkt *stack.PacketBuffer, ep stack.TransportEndpoint, id stack.TransportEndpointID, size int) heldSegment {
	h := heldSegment{pkt: pkt, ep: ep, id: id, ip: pkt.NetworkHeader().Slice(), tcp: pkt.TransportHeader().Slice(), size: size}
	h.next = seqnum.Value(h.tcp.SequenceNumber()).Add(seqnum.Size(size))
	return h
}

// continuedBy tells whether a segment of the same connection has the data behind what is held, and says nothing else that is new: both
// have the same headers but for lengths, sequence numbers and PSH, and no flag but ACK and PSH.
func (h *heldSegment) continuedBy(ip header.IPv4, tcp header.TCP, data []byte) bool {
	const push = header.TCPFlagPsh
	return h.size > 0 && len(data) > 0 && h.size+len(data) <= mostHeld &&
		tcp.Flags()|push == header.TCPFlagAck|push && h.tcp.Flags()|push == header.TCPFlagAck|push &&
		seqnum.Value(tcp.SequenceNumber()) == h.next &&
		tcp.AckNumber() == h.tcp.AckNumber() && tcp.WindowSize() == h.tcp.WindowSize() &&
		string(tcp[header.TCPMinimumSize:]) == string(h.tcp[header.TCPMinimumSize:]) &&
		ip[1] == h.ip[1] && ip.TTL() == h.ip.TTL() // type of service and ECN
}

// append adds data to what is held.
func (h *heldSegment) append(tcp header.TCP, data []byte) {
	h.pkt.Data().AppendView(buffer.NewViewWithData(data))
	h.size += len(data)
	h.next.UpdateForward(seqnum.Size(len(data)))
	h.tcp.SetFlags(uint8(h.tcp.Flags() | tcp.Flags()))
	h.ip.SetTotalLength(h.ip.TotalLength() + uint16(len(data)))
}
