package net

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"wick/packet"
)

// linkEndpoint stands between the engine and a Link. A received frame is copied once, into a pooled buffer, and
// runs up the stack, or past most of it (see quickPath), on the driver's goroutine; a packet to send goes straight to
// Link.Transmit on the sender's.
type linkEndpoint struct {
	link    Link
	offload OffloadLink // link, if it takes work off the stack; or nil
	memory  memory
	mac     tcpip.LinkAddress
	mtu     uint32
	drops   linkDrops
	quick   quickPath

	screened bool       // the link has called screen for what it hands on
	judge    *linkJudge // or nil; set before the first frame

	dispatcher atomic.Pointer[stack.NetworkDispatcher]
	// tap, if not nil, sees each received frame first and tells whether it has taken it (DHCP).
	tap atomic.Pointer[func(frame []byte, checksum packet.Checksum) bool]
	// verified is whether the checksum of the packet that is being delivered needs no look: see Capabilities.
	verified atomic.Bool
}

// linkDrops counts the frames that an interface has dropped, by reason.
type linkDrops struct {
	runt      atomic.Uint64 // shorter than an Ethernet header
	otherHost atomic.Uint64 // unicast to another hardware address
	memory    atomic.Uint64 // there is no memory to keep it
	transmit  atomic.Uint64 // the card had no room
}

func newLinkEndpoint(l Link, m memory) *linkEndpoint {
	mac := l.HardwareAddr()
	e := &linkEndpoint{link: l, memory: m, mac: tcpip.LinkAddress(mac[:]), mtu: uint32(l.MTU())}
	e.offload, _ = l.(OffloadLink)
	if s, ok := l.(Screener); ok {
		s.Screen(e.screen)
		e.screened = true
	}
	return e
}

// screen returns why a frame is dropped, and counts it; "" if it isn't.
func (e *linkEndpoint) screen(frame []byte) (drop string) {
	switch {
	case len(frame) < header.EthernetMinimumSize:
		e.drops.runt.Add(1)
		return "rx-runt"
	case frame[0]&1 == 0 && string(frame[:header.EthernetAddressSize]) != string(e.mac):
		e.drops.otherHost.Add(1)
		return "rx-other-host"
	case e.memory.refuses(frame):
		e.drops.memory.Add(1)
		return "rx-no-memory"
	}
	return ""
}

// receive takes a frame from the driver, one at a time.
func (e *linkEndpoint) receive(frame []byte, checksum packet.Checksum) {
	if e.judge == nil {
		e.accept(frame, checksum)
		return
	}
	e.judge.begin(frame)
	e.judge.end(frame, e.accept(frame, checksum))
}

// accept takes a frame. It returns why the frame was dropped if that is known at once; the engine's reasons aren't.
func (e *linkEndpoint) accept(frame []byte, checksum packet.Checksum) (drop string) {
	if !e.screened {
		if drop := e.screen(frame); drop != "" {
			return drop
		}
	}
	if tap := e.tap.Load(); tap != nil && (*tap)(frame, checksum) {
		return ""
	}
	d := e.dispatcher.Load()
	if d == nil {
		return "rx-no-receiver"
	}
	eth := header.Ethernet(frame)
	var kind tcpip.PacketType
	switch {
	case frame[0]&1 == 0:
		// The judge reads the engine's counters, so with one all frames go through all layers.
		if e.judge == nil && e.quick.take(frame, checksum) {
			return ""
		}
		kind = tcpip.PacketHost
	case isBroadcast(frame):
		kind = tcpip.PacketBroadcast
	default:
		kind = tcpip.PacketMulticast
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(buffer.NewViewWithData(frame))})
	pkt.PktType = kind
	if _, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize); ok {
		e.verified.Store(checksum != packet.ChecksumUnknown && checksummed(frame))
		(*d).DeliverNetworkPacket(eth.Type(), pkt)
	}
	pkt.DecRef()
	return ""
}

// isBroadcast tells whether the frame is for all stations.
func isBroadcast(frame []byte) bool {
	return string(frame[:6]) == "\xff\xff\xff\xff\xff\xff"
}

// pieces is the memory for the parts of one frame on its way to the driver.
type pieces struct{ p [][]byte }

var piecesPool = sync.Pool{New: func() any { return &pieces{p: make([][]byte, 0, 16)} }}

// WritePacket implements stack.QueueingDiscipline: it hands a packet from the stack to the card without a stop.
func (e *linkEndpoint) WritePacket(pkt *stack.PacketBuffer) tcpip.Error {
	if e.judge != nil && pkt.TransportProtocolNumber == header.TCPProtocolNumber {
		e.judge.requests.sent(pkt)
	}
	ps := piecesPool.Get().(*pieces)
	ps.p = appendPieces(ps.p[:0], pkt)
	var err error
	if pkt.GSOOptions.NeedsCsum && e.offload != nil {
		err = e.offload.TransmitOffload(offloadOf(pkt), ps.p...)
	} else {
		err = e.link.Transmit(ps.p...)
	}
	clear(ps.p)
	piecesPool.Put(ps)
	if err != nil {
		e.drops.transmit.Add(1)
		return &tcpip.ErrNoBufferSpace{}
	}
	return nil
}

// WritePackets implements stack.LinkWriter. Packets come by WritePacket instead.
func (e *linkEndpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for i, pkt := range pkts.AsSlice() {
		if err := e.WritePacket(pkt); err != nil {
			return i, err
		}
	}
	return pkts.Len(), nil
}

// appendPieces appends the parts of pkt, link header first, to p.
func appendPieces(p [][]byte, pkt *stack.PacketBuffer) [][]byte {
	views, skip := pkt.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		p = append(p, b[skip:])
		skip = 0
	}
	return p
}

// Attach implements stack.NetworkLinkEndpoint.
func (e *linkEndpoint) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		e.dispatcher.Store(nil)
		e.link.Attach(nil)
		return
	}
	e.dispatcher.Store(&d)
	if e.offload != nil {
		e.offload.AttachOffload(e.receive, e.quick.flush)
		return
	}
	e.link.Attach(func(frame []byte) { e.receive(frame, packet.ChecksumUnknown) })
}

// IsAttached implements stack.NetworkLinkEndpoint.
func (e *linkEndpoint) IsAttached() bool { return e.dispatcher.Load() != nil }

// AddHeader implements stack.NetworkLinkEndpoint.
func (e *linkEndpoint) AddHeader(pkt *stack.PacketBuffer) {
	eth := header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize))
	eth.Encode(&header.EthernetFields{
		SrcAddr: e.mac,
		DstAddr: pkt.EgressRoute.RemoteLinkAddress,
		Type:    pkt.NetworkProtocolNumber,
	})
}

// ParseHeader implements stack.NetworkLinkEndpoint.
func (e *linkEndpoint) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

// MTU implements stack.NetworkLinkEndpoint.
func (e *linkEndpoint) MTU() uint32 { return e.mtu }

// SetMTU implements stack.NetworkLinkEndpoint; the MTU is the card's.
func (e *linkEndpoint) SetMTU(uint32) {}

// MaxHeaderLength implements stack.NetworkLinkEndpoint.
func (e *linkEndpoint) MaxHeaderLength() uint16 { return header.EthernetMinimumSize }

// LinkAddress implements stack.NetworkLinkEndpoint.
func (e *linkEndpoint) LinkAddress() tcpip.LinkAddress { return e.mac }

// SetLinkAddress implements stack.NetworkLinkEndpoint; the address is the card's.
func (e *linkEndpoint) SetLinkAddress(tcpip.LinkAddress) {}

// ARPHardwareType implements stack.NetworkLinkEndpoint.
func (e *linkEndpoint) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// Wait implements stack.NetworkLinkEndpoint; there is no goroutine to wait for.
func (e *linkEndpoint) Wait() {}

// Close implements stack.NetworkLinkEndpoint and stack.QueueingDiscipline.
func (e *linkEndpoint) Close() {
	if e.judge != nil {
		e.judge.stop()
	}
}

// SetOnCloseAction implements stack.NetworkLinkEndpoint; nothing but the stack closes the endpoint.
func (e *linkEndpoint) SetOnCloseAction(func()) {}
