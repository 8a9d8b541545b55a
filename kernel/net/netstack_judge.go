package net

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Why received frames are dropped, besides what linkEndpoint.screen and datagramQueue.deliver say.
const (
	dropUnknownType    = "eth-unknown-type" // neither IP nor ARP
	dropARPMalformed   = "arp-malformed"
	dropIPMalformed    = "ip-malformed" // also IPv6
	dropIPChecksum     = "ip-checksum"
	dropIPSource       = "ip-bad-source" // an address that nobody may send from
	dropIPDestination  = "ip-not-ours"   // no address of ours
	dropIPGroup        = "ip-not-member" // of a group that nobody here has joined
	dropIPDisabled     = "ip-disabled"
	dropIPFragments    = "ip-bad-fragments"    // they overlap, or make too much
	dropNotReassembled = "ip-not-reassembled"  // the others did not come in time, or there was no room to wait for them
	dropIPProtocol     = "ip-unknown-protocol" // of the transport
	dropICMPMalformed  = "icmp-malformed"      // also ICMPv6
	dropICMPChecksum   = "icmp-checksum"
	dropICMPRouter     = "icmp-for-routers"
	dropIGMPMalformed  = "igmp-malformed"
	dropUDPMalformed   = "udp-malformed"
	dropUDPChecksum    = "udp-checksum"
	dropUDPPort        = "udp-no-port" // no socket has the port
	dropTCPMalformed   = "tcp-malformed"
	dropTCPChecksum    = "tcp-checksum"
	dropTCPPort        = "tcp-no-port"     // no connection and no listener
	dropTCPNotUnicast  = "tcp-not-unicast" // broadcast or multicast
	dropTCPQueueFull   = "tcp-queue-full"  // of segments that the connection has yet to look at
	dropTCPListenFull  = "tcp-listen-queue-full"
)

// linkJudge finds out what becomes of the frames of a link, and tells the Judge. What our code drops it says itself (dropped);
// what the engine drops, it counts: for each interface, and for each TCP endpoint. Frames are delivered one at a time, so
// that a counter which has moved meanwhile tells of this one.
//
// What is on its way from the machine to itself, by the address of the interface, moves the interface's counters, too. It would
// have to be malformed, and to come just then, to be mistaken for the frame.
type linkJudge struct {
	judge Judge
	stack *stack.Stack
	nic   tcpip.NICID

	counters  []dropCounter         // nil until the interface is known
	delivered [2]*tcpip.StatCounter // IPv4, IPv6: datagrams that were whole

	// Of the frame that is being delivered; only the receiving goroutine uses it.
	headers frameHeaders
	before  uint64        // delivered
	reason  string        // that our code has given
	taken   bool          // by a raw socket
	tcp     *tcp.Endpoint // whose segment it is, nil if there is none
	tcpWas  tcpCounts     // of it
	request *request      // for a connection, which waits to be looked at

	fragments fragmentJudge
	requests  requestJudge
}

// dropCounter is a counter of what was dropped for a reason.
type dropCounter struct {
	counter *tcpip.StatCounter
	reason  string
	was     uint64 // before the frame
}

// newLinkJudge makes the judge of an interface that is about to be made.
func newLinkJudge(judge Judge, s *stack.Stack, nic tcpip.NICID) *linkJudge {
	j := &linkJudge{judge: judge, stack: s, nic: nic}
	j.fragments.init(judge, s.Clock())
	j.requests.init(judge, s.Clock())
	return j
}

// findCounters finds the counters of the interface, if it has been made.
func (j *linkJudge) findCounters() {
	info, ok := j.stack.SingleNICInfo(j.nic)
	if !ok {
		return
	}
	count := func(c *tcpip.StatCounter, reason string) {
		j.counters = append(j.counters, dropCounter{counter: c, reason: reason})
	}
	ip := func(s *tcpip.IPStats) { // the more exact one first
		count(s.MalformedFragmentsReceived, dropIPFragments)
		count(s.MalformedPacketsReceived, dropIPMalformed)
		count(s.InvalidSourceAddressesReceived, dropIPSource)
		count(s.InvalidDestinationAddressesReceived, dropIPDestination)
		count(s.DisabledPacketsReceived, dropIPDisabled)
	}
	for _, stats := range info.NetworkStats {
		switch s := stats.(type) {
		case *arp.Stats:
			count(s.ARP.MalformedPacketsReceived, dropARPMalformed)
			count(s.ARP.DisabledPacketsReceived, dropIPDisabled)
		case *ipv4.Stats:
			count(s.ICMP.PacketsReceived.Invalid, dropICMPMalformed)
			count(s.IGMP.PacketsReceived.Invalid, dropIGMPMalformed)
			count(s.IGMP.PacketsReceived.ChecksumErrors, dropIGMPMalformed)
			ip(&s.IP)
			j.delivered[0] = s.IP.PacketsDelivered
		case *ipv6.Stats:
			count(s.ICMP.PacketsReceived.Invalid, dropICMPMalformed)
			count(s.ICMP.PacketsReceived.RouterOnlyPacketsDroppedByHost, dropICMPRouter)
			ip(&s.IP)
			j.delivered[1] = s.IP.PacketsDelivered
		}
	}
	count(info.Stats.MalformedL4RcvdPackets, dropTCPMalformed) // UDP's are ours
}

// begin is called before a frame is delivered.
func (j *linkJudge) begin(frame []byte) {
	j.headers = parseHeaders(frame)
	j.reason, j.taken, j.tcp, j.request = "", false, nil, nil
	if j.counters == nil {
		j.findCounters()
	}
	for i := range j.counters {
		j.counters[i].was = j.counters[i].counter.Value()
	}
	j.before = j.wholes()
	if !j.headers.isTCP() {
		return
	}
	id := j.headers.transportID()
	if e := j.stack.FindTransportEndpoint(j.headers.network(), header.TCPProtocolNumber, id, j.nic); e != nil {
		j.tcp, _ = e.(*tcp.Endpoint)
	}
	if j.tcp == nil {
		return
	}
	j.tcpWas = tcpCountsOf(j.tcp)
	if j.headers.requests() && tcp.EndpointState(j.tcp.State()) == tcp.StateListen {
		// Not later: it may be answered before the delivery has returned.
		j.request = j.requests.add(j.tcp, j.tcpWas.listenFull, id)
	}
}

// stop forgets what waits.
func (j *linkJudge) stop() {
	j.fragments.stop()
	j.requests.stop()
}

// wholes is how many datagrams were whole.
func (j *linkJudge) wholes() uint64 {
	n := uint64(0)
	for _, c := range j.delivered {
		if c != nil {
			n += c.Value()
		}
	}
	return n
}

// end is called when the frame has been delivered, or dropped for a reason that is known.
func (j *linkJudge) end(frame []byte, drop string) {
	whole := j.wholes() != j.before
	if drop == "" {
		drop = j.why(frame, whole)
	}
	number := j.judge.Settle(drop)
	if j.headers.isFragment() {
		j.fragments.fragment(&j.headers, number, drop, whole)
	}
	if j.request != nil {
		j.requests.settle(j.request, number, drop)
	}
}

// why returns why the frame was dropped, "" if it wasn't.
func (j *linkJudge) why(frame []byte, whole bool) string {
	h := &j.headers
	if j.reason != "" {
		return j.reason
	}
	if !h.known {
		return dropUnknownType
	}
	for i := range j.counters {
		if c := &j.counters[i]; c.counter.Value() != c.was {
			return h.refine(c.reason, frame)
		}
	}
	switch {
	case whole && h.isTCP() && frame[0]&1 != 0:
		return dropTCPNotUnicast
	case h.isTCP() && j.tcp != nil:
		return tcpCountsOf(j.tcp).since(j.tcpWas)
	case !whole:
		return ""
	case h.isTCP():
		return dropTCPPort
	case h.transport != 0 && !j.taken && j.stack.TransportProtocolInstance(tcpip.TransportProtocolNumber(h.transport)) == nil &&
		h.transport != uint8(header.IGMPProtocolNumber) && h.transport != uint8(header.IPv6NoNextHeaderIdentifier):
		return dropIPProtocol
	}
	return ""
}

// refine tells whether what has been counted as malformed has a wrong checksum.
func (h *frameHeaders) refine(reason string, frame []byte) string {
	ip := frame[header.EthernetMinimumSize:]
	body := frame[min(h.body, len(frame)):min(h.end, len(frame))]
	switch {
	case reason == dropIPMalformed && !h.v6 && len(ip) >= header.IPv4MinimumSize && header.IPv4(ip).IsValid(len(ip)) && !header.IPv4(ip).IsChecksumValid():
		return dropIPChecksum
	case reason == dropIPDestination && netipOf(h.destination).IsMulticast():
		return dropIPGroup
	case reason == dropTCPMalformed && h.transport == uint8(header.TCPProtocolNumber) && len(body) >= header.TCPMinimumSize && !h.sumOK(body):
		return dropTCPChecksum
	case reason == dropICMPMalformed && len(body) >= header.ICMPv4MinimumSize && !h.sumOK(body):
		return dropICMPChecksum
	}
	return reason
}

// sumOK tells whether the checksum of a transport's packet is right.
func (h *frameHeaders) sumOK(body []byte) bool {
	sum := uint16(0)
	if h.v6 || h.transport == uint8(header.TCPProtocolNumber) {
		sum = header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(h.transport), h.source, h.destination, uint16(len(body)))
	}
	return checksum.Checksum(body, sum) == 0xffff
}

// tcpCounts are the counts of an endpoint of segments that it has dropped.
type tcpCounts struct{ malformed, sum, queueFull, listenFull uint64 }

func tcpCountsOf(e *tcp.Endpoint) (c tcpCounts) {
	if s, ok := e.Stats().(*tcp.Stats); ok {
		r := &s.ReceiveErrors
		c = tcpCounts{r.MalformedPacketsReceived.Value(), r.ChecksumErrors.Value(), r.SegmentQueueDropped.Value(), r.ListenOverflowSynDrop.Value()}
	}
	return c
}

// since tells what has moved at once; listenFull moves later.
func (c tcpCounts) since(was tcpCounts) string {
	switch {
	case c.sum != was.sum:
		return dropTCPChecksum
	case c.malformed != was.malformed:
		return dropTCPMalformed
	case c.queueFull != was.queueFull:
		return dropTCPQueueFull
	}
	return ""
}

// judgeOf returns who judges the link that a packet has come from; nil if nobody does. What the machine sends to itself has no
// link header.
func (n *netstack) judgeOf(pkt *stack.PacketBuffer) *linkJudge {
	if !n.judged.Load() || len(pkt.LinkHeader().Slice()) == 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.links[uint32(pkt.NICID)]; e != nil {
		return e.judge
	}
	return nil
}

// dropped says why a packet that is being received is dropped; "" if it isn't.
func (n *netstack) dropped(pkt *stack.PacketBuffer, reason string) {
	if reason == "" {
		return
	}
	if j := n.judgeOf(pkt); j != nil {
		j.reason = reason
	}
}

// taken says that a raw socket has taken a packet.
func (n *netstack) taken(pkt *stack.PacketBuffer) {
	if j := n.judgeOf(pkt); j != nil {
		j.taken = true
	}
}
