package net

import (
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"wick/packet"
)

// netstack is the engine made of gVisor's TCP/IP stack: its IPv4, IPv6, ARP, NDP, ICMP and TCP. UDP, ping
// and raw endpoints over it are ours (netstack_datagram.go).
type netstack struct {
	stack *stack.Stack
	ndp   *ndpEvents

	memory   memory
	loopback *loopbackLink
	// change counts the changes of addresses and routes; routes that are kept are looked up anew after one.
	change generation
	// enrolled counts the changes of where datagrams are delivered.
	enrolled generation
	acks     ackDelay
	buffers  buffers

	raws             atomic.Int64 // raw endpoints: they see packets for others, too
	streams          atomic.Int64 // TCP endpoints that belong to sockets
	timeWaitOrdinary time.Duration
	timeWaitNow      atomic.Int64 // nanoseconds

	ports   *portRange
	sharing sync.Mutex // held while ports are reserved for datagram endpoints

	mu    sync.Mutex
	links map[uint32]*linkEndpoint // guarded by mu

	judged atomic.Bool // a link has a judge
}

// newNetstack makes an engine with a loopback interface of index loopbackIndex.
func newNetstack(o *Options, events routerEvents) (*netstack, error) {
	log.SetTarget(engineLog{o.Log})
	n := &netstack{links: make(map[uint32]*linkEndpoint), ndp: newNDPEvents(events), memory: memory{short: o.Short, crowded: o.Crowded, low: o.Low}, timeWaitOrdinary: o.TimeWait}
	n.buffers = buffers{tight: o.Tight, total: o.BufferMemory, most: o.MaxBuffer}
	n.timeWaitNow.Store(int64(o.TimeWait))
	ndp := ipv6.DefaultNDPConfigurations()
	ndp.MaxRtrSolicitationDelay = 0 // one machine alone on its link needn't spread its load
	ndp.AutoGenTempGlobalAddresses = false
	defer oneProcessor()()
	dad := stack.DADConfigurations{} // no probes: see Options.DetectDuplicates
	if o.DetectDuplicates {
		dad = stack.DefaultDADConfigurations()
	}
	clock := o.clock
	if clock == nil {
		clock = newQuickClock()
	}
	n.stack = stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			arp.NewProtocol,
			n.newIPv4Protocol,
			n.newIPv6Protocol(ipv6.Options{
				NDPConfigs:       ndp,
				AutoGenLinkLocal: true,
				NDPDisp:          n.ndp,
				DADConfigs:       dad,
			}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocolCUBIC,
			n.newUDPProtocol,
			n.newICMPv4Protocol,
			n.newICMPv6Protocol,
		},
		HandleLocal: true,
		IPTables:    new(stack.IPTables), // no tables: the usual ones accept everything, and making them takes time
		Clock:       clock,
	})
	if err := n.configureTCP(o); err != nil {
		return nil, err
	}
	rng := n.stack.SecureRNG()
	n.ports = newPortRange(rng.Uint32(), n.stack.SetPortRange)
	if err := n.addLoopback(); err != nil {
		return nil, err
	}
	return n, nil
}

// oneProcessor has a stack that is made before the function that it returns is called process all TCP segments on one
// goroutine. The engine starts one for each of GOMAXPROCS and chooses by addresses and ports; so segments for one listening
// socket go to several, and a goroutine that finds the socket locked by another one tries again until it isn't: on one CPU for
// the rest of its time slice.
func oneProcessor() (restore func()) {
	before := runtime.GOMAXPROCS(1)
	return func() { runtime.GOMAXPROCS(before) }
}

// withoutRACK has losses found by SACK alone [RFC 6675], and the retransmission timer run whenever something is
// unacknowledged [RFC 6298 5.1].
//
// DEVIATION: Linux uses RACK-TLP [RFC 8985]. The engine's stops that timer for the probe's, and starts it again after the
// probe only if it counts segments as outstanding; after a recovery it counts too few. Then nothing is sent again, ever,
// if the probe is lost, too (docs/socket-layer.md).
const withoutRACK tcpip.TCPRecovery = 0

// configureTCP sets what all TCP endpoints begin with.
func (n *netstack) configureTCP(o *Options) error {
	sack := tcpip.TCPSACKEnabled(true)
	nagle := tcpip.TCPDelayEnabled(true) // on until TCP_NODELAY, as on Linux [tcp(7)]
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: defaultBuffer, Max: o.MaxBuffer}
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: defaultBuffer, Max: o.MaxBuffer}
	wait := tcpip.TCPTimeWaitTimeoutOption(o.TimeWait)
	recovery := withoutRACK
	for _, opt := range []tcpip.SettableTransportProtocolOption{&sack, &nagle, &moderate, &rcv, &snd, &wait, &recovery} {
		if err := n.stack.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return errno(err)
		}
	}
	return nil
}

// addLoopback makes lo with 127.0.0.1/8 and ::1/128.
func (n *netstack) addLoopback() error {
	n.loopback = newLoopbackLink(n.memory)
	if err := n.stack.CreateNICWithOptions(loopbackIndex, n.loopback, stack.NICOptions{Name: "lo"}); err != nil {
		return errno(err)
	}
	for _, s := range []string{"127.0.0.1/8", "::1/128"} {
		p := netip.MustParsePrefix(s)
		if err := n.addAddress(loopbackIndex, p); err != nil {
			return err
		}
		n.addRoute(loopbackIndex, p.Masked(), netip.Addr{})
	}
	return nil
}

// addLink implements engine.
func (n *netstack) addLink(index uint32, name string, link Link, judge Judge) error {
	ep := newLinkEndpoint(link, n.memory)
	if judge != nil {
		ep.judge = newLinkJudge(judge, n.stack, tcpip.NICID(index))
		n.judged.Store(true)
	}
	ep.quick.init(n, index, ep.offload != nil)
	if err := n.stack.CreateNICWithOptions(tcpip.NICID(index), ep, stack.NICOptions{Name: name, QDisc: ep}); err != nil {
		return errno(err)
	}
	n.mu.Lock()
	n.links[index] = ep
	n.mu.Unlock()
	n.addRoute(index, netip.MustParsePrefix("fe80::/64"), netip.Addr{})
	n.addRoute(index, netip.MustParsePrefix("ff00::/8"), netip.Addr{})
	return nil
}

// setTap implements engine.
func (n *netstack) setTap(index uint32, tap func(frame []byte, checksum packet.Checksum) bool) {
	n.mu.Lock()
	ep := n.links[index]
	n.mu.Unlock()
	switch {
	case ep == nil:
	case tap == nil:
		ep.tap.Store(nil)
	default:
		ep.tap.Store(&tap)
	}
}

// linkStats implements engine.
func (n *netstack) linkStats(index uint32) linkStats {
	info, ok := n.stack.SingleNICInfo(tcpip.NICID(index))
	if !ok {
		return linkStats{}
	}
	s := linkStats{
		rxPackets: info.Stats.Rx.Packets.Value(), rxBytes: info.Stats.Rx.Bytes.Value(),
		txPackets: info.Stats.Tx.Packets.Value(), txBytes: info.Stats.Tx.Bytes.Value(),
	}
	n.mu.Lock()
	ep := n.links[index]
	n.mu.Unlock()
	if ep != nil {
		s.rxPackets += ep.quick.frames.Load()
		s.rxBytes += ep.quick.bytes.Load()
		s.rxDropped = ep.drops.runt.Load() + ep.drops.otherHost.Load() + ep.drops.memory.Load()
		s.txDropped = ep.drops.transmit.Load()
	}
	return s
}

// addAddress implements engine.
func (n *netstack) addAddress(index uint32, p netip.Prefix) error {
	a := tcpip.ProtocolAddress{Protocol: networkNumber(p.Addr()), AddressWithPrefix: tcpip.AddressWithPrefix{
		Address: addressOf(p.Addr()), PrefixLen: p.Bits()}}
	defer n.change.bump()
	return errno(n.stack.AddProtocolAddress(tcpip.NICID(index), a, stack.AddressProperties{}))
}

// removeAddress implements engine.
func (n *netstack) removeAddress(index uint32, a netip.Addr) error {
	defer n.change.bump()
	return errno(n.stack.RemoveAddress(tcpip.NICID(index), addressOf(a)))
}

// addresses implements engine.
func (n *netstack) addresses(index uint32) []netip.Prefix {
	var out []netip.Prefix
	info, ok := n.stack.SingleNICInfo(tcpip.NICID(index))
	if !ok {
		return nil
	}
	for _, a := range info.ProtocolAddresses {
		p := netip.PrefixFrom(netipOf(a.AddressWithPrefix.Address), a.AddressWithPrefix.PrefixLen)
		if n.ndp.settled(p) {
			out = append(out, p)
		}
	}
	return out
}

// addRoute implements engine.
func (n *netstack) addRoute(index uint32, dst netip.Prefix, gateway netip.Addr) {
	r := tcpip.Route{Destination: subnetOf(dst), NIC: tcpip.NICID(index)}
	if gateway.IsValid() {
		r.Gateway = addressOf(gateway)
	}
	n.stack.ReplaceRoute(r)
	n.change.bump()
}

// removeRoute implements engine.
func (n *netstack) removeRoute(index uint32, dst netip.Prefix, gateway netip.Addr) {
	var gw tcpip.Address
	if gateway.IsValid() {
		gw = addressOf(gateway)
	}
	d := subnetOf(dst)
	n.stack.RemoveRoutes(func(r tcpip.Route) bool {
		return r.NIC == tcpip.NICID(index) && r.Destination.Equal(d) && r.Gateway == gw
	})
	n.change.bump()
}

// routes implements engine.
func (n *netstack) routes() []route {
	var out []route
	for _, r := range n.stack.GetRouteTable() {
		g := route{index: uint32(r.NIC), dst: netip.PrefixFrom(netipOf(r.Destination.ID()), r.Destination.Prefix())}
		if r.Gateway.BitLen() != 0 {
			g.gateway = netipOf(r.Gateway)
		}
		out = append(out, g)
	}
	return out
}

// close implements engine.
// unfinished implements engine. An endpoint that has been closed stays established until its FIN, behind its data, is
// sent.
func (n *netstack) unfinished() int {
	closed := make(map[any]bool) // of all stacks
	for _, e := range tcpip.GetDanglingEndpoints() {
		closed[e] = true
	}
	count := 0
	for _, e := range n.stack.RegisteredEndpoints() {
		ep, ok := e.(*tcp.Endpoint)
		if !ok || !closed[ep] {
			continue
		}
		switch tcp.EndpointState(ep.State()) {
		case tcp.StateEstablished, tcp.StateCloseWait, tcp.StateFinWait1, tcp.StateClosing, tcp.StateLastAck:
			count++
		}
	}
	return count
}

func (n *netstack) close() {
	n.acks.stop()
	n.stack.Close()
	for _, p := range []tcpip.TransportProtocolNumber{tcp.ProtocolNumber} {
		n.stack.TransportProtocolInstance(p).Close()
	}
	n.stack.Wait()
	n.ndp.close()
}

// networkNumber is the network protocol of an address.
func networkNumber(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

// addressOf translates an address; the invalid one is the empty address.
func addressOf(a netip.Addr) tcpip.Address {
	switch {
	case !a.IsValid():
		return tcpip.Address{}
	case a.Is4():
		return tcpip.AddrFrom4(a.As4())
	}
	return tcpip.AddrFrom16(a.As16())
}

// netipOf translates an address back.
func netipOf(a tcpip.Address) netip.Addr {
	switch a.BitLen() {
	case header.IPv4AddressSizeBits:
		return netip.AddrFrom4(a.As4())
	case header.IPv6AddressSizeBits:
		return netip.AddrFrom16(a.As16())
	}
	return netip.Addr{}
}

// subnetOf translates a prefix.
func subnetOf(p netip.Prefix) tcpip.Subnet {
	return tcpip.AddressWithPrefix{Address: addressOf(p.Masked().Addr()), PrefixLen: p.Bits()}.Subnet()
}

// fullAddress translates an endpoint. Unspecified addresses become the engine's empty one, except v4-mapped ones,
// which choose IPv4.
func fullAddress(e endpoint) tcpip.FullAddress {
	f := tcpip.FullAddress{NIC: tcpip.NICID(e.scope), Port: e.port}
	if e.addr.IsValid() && !e.addr.IsUnspecified() {
		f.Addr = addressOf(e.addr)
	}
	return f
}

// endpointOf translates an address back.
func endpointOf(f tcpip.FullAddress) endpoint {
	e := endpoint{addr: netipOf(f.Addr), port: f.Port}
	if e.addr.IsLinkLocalUnicast() || e.addr.IsMulticast() {
		e.scope = uint32(f.NIC)
	}
	return e
}

// boolOption is an option's value as a boolean.
func boolOption(b bool) int {
	if b {
		return 1
	}
	return 0
}

// milliseconds is a duration as an option's value.
func milliseconds(d time.Duration) int { return int(d / time.Millisecond) }

var _ engine = (*netstack)(nil)

// errNoDevice is the answer for an interface that doesn't exist.
const errNoDevice = unix.ENODEV
