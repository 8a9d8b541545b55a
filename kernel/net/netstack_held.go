package net

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// heldSegment is a TCP segment that waits for those that continue it, if pkt isn't nil, so that the engine handles one instead of
// many. An acknowledgement waits for one that says more: QEMU's network acknowledges each frame of a long segment, and the engine would
// send what fits the window after each.
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

// follows tells whether a segment of the same connection has the next sequence number, and the same headers as what is held but for
// numbers, lengths, PSH, window and options, and no flag but ACK and PSH.
func (h *heldSegment) follows(ip header.IPv4, tcp header.TCP) bool {
	const push = header.TCPFlagPsh
	return seqnum.Value(tcp.SequenceNumber()) == h.next &&
		tcp.Flags()|push == header.TCPFlagAck|push && h.tcp.Flags()|push == header.TCPFlagAck|push &&
		ip[1] == h.ip[1] && ip.TTL() == h.ip.TTL() // type of service and ECN
}

// continuedBy tells whether a segment that follows has data behind those that are held, and says nothing else that is new.
func (h *heldSegment) continuedBy(tcp header.TCP, data []byte) bool {
	return h.size > 0 && len(data) > 0 && h.size+len(data) <= mostHeld &&
		tcp.AckNumber() == h.tcp.AckNumber() && tcp.WindowSize() == h.tcp.WindowSize() &&
		string(tcp[header.TCPMinimumSize:]) == string(h.tcp[header.TCPMinimumSize:])
}

// supersededBy tells whether a segment that follows is an acknowledgement as the held one is, and acknowledges more. One that
// acknowledges the same is news of a loss, and so are SACK blocks; both are kept [RFC 5681 3.2].
func (h *heldSegment) supersededBy(tcp header.TCP, data []byte) bool {
	return h.size == 0 && len(data) == 0 && plainOptions(h.tcp) && plainOptions(tcp) &&
		seqnum.Value(h.tcp.AckNumber()).LessThan(seqnum.Value(tcp.AckNumber()))
}

// plainOptions tells whether a segment has no options but timestamps.
func plainOptions(tcp header.TCP) bool {
	options := tcp[header.TCPMinimumSize:]
	return len(options) == 0 || len(tcp) == plainTCPHeader && string(options[:4]) == "\x01\x01\x08\x0a" // [RFC 7323 appendix A]
}

// append adds data to what is held.
func (h *heldSegment) append(tcp header.TCP, data []byte) {
	h.pkt.Data().AppendView(buffer.NewViewWithData(data))
	h.size += len(data)
	h.next.UpdateForward(seqnum.Size(len(data)))
	h.tcp.SetFlags(uint8(h.tcp.Flags() | tcp.Flags()))
	h.ip.SetTotalLength(h.ip.TotalLength() + uint16(len(data)))
}

// drop forgets what is held.
func (h *heldSegment) drop() {
	h.pkt.DecRef()
	*h = heldSegment{}
}
