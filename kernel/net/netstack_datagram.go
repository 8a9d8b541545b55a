package net

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/ports"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// ipDatagram is a UDP, ping or raw endpoint directly on the engine's IP layer. It holds no received data: that
// goes to the sink, whose queue is bounded by the memory that it really takes.
//
// Lock order: mu, then the engine's. HandlePacket and HandleError run with locks of the engine held
// and, over loopback, inside a send of the same endpoint: they take no lock of the endpoint.
type ipDatagram struct {
	n         *netstack
	kind      protocol
	transport tcpip.TransportProtocolNumber
	ipv6      bool
	rx        datagramSink
	hasPeer   atomic.Bool // connected, for those who may not take mu

	mu     sync.RWMutex
	closed bool // guarded by mu, as all below

	// What the stack knows the endpoint by, when registered: addresses and ports, networks, flags, device.
	registered bool
	id         stack.TransportEndpointID
	networks   []tcpip.NetworkProtocolNumber
	flags      ports.Flags
	device     tcpip.NICID
	reserved   ports.Reservation // of the local port, if its Port isn't 0

	keepPort  bool // bind chose the port, not the system
	bindAddr  tcpip.Address
	bindNIC   tcpip.NICID
	connected bool
	first     tcpip.NetworkProtocolNumber // of the first peer since it was connected, which Linux's source address keeps; 0: none
	route     *stack.Route                // to the peer
	peerNIC   tcpip.NICID

	opts   datagramOptions
	groups map[membership]struct{}

	cache routeCache
}

// datagramOptions are the options that the endpoint acts upon.
type datagramOptions struct {
	v6Only, reuseAddr, reusePort, broadcast, noMulticastLoop bool
	device                                                   uint32
	ttl, tos, tclass                                         uint8
	hopLimit                                                 int16 // -1: default
	multicastTTL                                             uint8
	multicastHops                                            int16 // -1: 1
	mtuDiscover, mtuDiscover6                                int   // IPV6_PMTUDISC_ have the values of IP_PMTUDISC_
	icmpFilter                                               uint32
	icmpv6Filter                                             [8]uint32
	segment                                                  uint16 // UDP_SEGMENT; 0: none
	multicastNIC                                             tcpip.NICID
	multicastAddr                                            tcpip.Address
}

// newDatagram implements engine.
func (n *netstack) newDatagram(p protocol, number uint8, ipv6 bool, rx datagramSink) (datagram, error) {
	d := &ipDatagram{n: n, kind: p, ipv6: ipv6, rx: rx}
	d.opts = datagramOptions{hopLimit: -1, multicastTTL: 1, multicastHops: -1, mtuDiscover: unix.IP_PMTUDISC_WANT, mtuDiscover6: unix.IPV6_PMTUDISC_WANT}
	switch {
	case p == protocolUDP:
		d.transport = header.UDPProtocolNumber
	case p == protocolPing && ipv6:
		d.transport = header.ICMPv6ProtocolNumber
	case p == protocolPing:
		d.transport = header.ICMPv4ProtocolNumber
	default:
		d.transport = tcpip.TransportProtocolNumber(number)
		if err := n.stack.RegisterRawTransportEndpoint(networkFamily(ipv6), d.transport, (*rawReceiver)(d)); err != nil {
			return nil, unix.EPROTONOSUPPORT
		}
		n.raws.Add(1)
	}
	return d, nil
}

// canonical translates an address to the form and network that it is spoken to in. Any address becomes the empty one.
func (d *ipDatagram) canonical(a netip.Addr) (tcpip.Address, tcpip.NetworkProtocolNumber) {
	network := networkFamily(d.ipv6)
	if a.Is4In6() {
		a = a.Unmap()
	}
	if a.Is4() {
		network = header.IPv4ProtocolNumber
	}
	if !a.IsValid() || a.IsUnspecified() {
		return tcpip.Address{}, network
	}
	return addressOf(a), network
}

// networksFor tells on which networks an endpoint with the local address hears: both, for the any-address of IPv6.
func (d *ipDatagram) networksFor(a tcpip.Address, network tcpip.NetworkProtocolNumber) []tcpip.NetworkProtocolNumber {
	if network == header.IPv6ProtocolNumber && a.BitLen() == 0 && !d.opts.v6Only {
		return []tcpip.NetworkProtocolNumber{header.IPv6ProtocolNumber, header.IPv4ProtocolNumber}
	}
	return []tcpip.NetworkProtocolNumber{network}
}

// isUnicast tells whether a is an address of one machine.
func (d *ipDatagram) isUnicast(a tcpip.Address, nic tcpip.NICID, network tcpip.NetworkProtocolNumber) bool {
	return a != header.IPv4Broadcast && !header.IsV4MulticastAddress(a) && !header.IsV6MulticastAddress(a) &&
		!d.n.stack.IsSubnetBroadcast(nic, network, a)
}

func (d *ipDatagram) bind(e endpoint) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.registered {
		return unix.EINVAL
	}
	if err := d.bindLocked(e); err != nil {
		return err
	}
	d.keepPort = e.port != 0
	return nil
}

func (d *ipDatagram) bindLocked(e endpoint) error {
	if e.addr.Is4In6() && d.opts.v6Only {
		return unix.EINVAL
	}
	addr, network := d.canonical(e.addr)
	nic := tcpip.NICID(e.scope)
	if addr.BitLen() != 0 && d.isUnicast(addr, nic, network) &&
		d.n.stack.CheckLocalAddress(nic, network, addr) == 0 {
		return unix.EADDRNOTAVAIL
	}
	if d.kind != protocolRaw {
		id := stack.TransportEndpointID{LocalPort: e.port, LocalAddress: addr}
		if err := d.registerLocked(d.networksFor(addr, network), id); err != nil {
			return err
		}
	}
	d.bindAddr, d.bindNIC = addr, nic
	return nil
}

// registerLocked tells the stack to deliver what is for id, choosing a port first if it has none. What was
// registered before is withdrawn after that has succeeded.
func (d *ipDatagram) registerLocked(networks []tcpip.NetworkProtocolNumber, id stack.TransportEndpointID) error {
	flags := ports.Flags{MostRecent: d.opts.reuseAddr, LoadBalanced: d.opts.reusePort}
	device := tcpip.NICID(d.opts.device)
	if d.registered && id == d.id && len(networks) == len(d.networks) && networks[0] == d.networks[0] {
		return nil
	}
	if d.kind == protocolPing {
		return d.registerPingLocked(networks, id, flags, device)
	}
	r := d.reserved
	if r.Port == 0 {
		r = ports.Reservation{Networks: networks, Transport: d.transport, Addr: id.LocalAddress,
			Port: id.LocalPort, Flags: flags, BindToDevice: device}
		port, err := d.reserve(r)
		if err != nil {
			return err
		}
		r.Port, id.LocalPort = port, port
	}
	if err := d.enroll(networks, id, flags, device); err != nil {
		if d.reserved.Port == 0 {
			d.n.stack.ReleasePort(r)
		}
		return errno(err)
	}
	d.unregisterLocked()
	d.registered, d.id, d.networks, d.flags, d.device, d.reserved = true, id, networks, flags, device, r
	return nil
}

// reserve reserves a port.
//
// DEVIATION: connect and send fail with EADDRINUSE, too, if no port is left, where Linux says EAGAIN, at once.
func (d *ipDatagram) reserve(r ports.Reservation) (port uint16, err error) {
	d.n.sharing.Lock()
	defer d.n.sharing.Unlock()
	err = d.n.ports.choose(unix.EADDRINUSE, func() (err tcpip.Error) {
		port, err = d.n.stack.ReservePort(d.n.stack.SecureRNG(), r, nil)
		return err
	})
	return port, err
}

// shareLocked has SO_REUSEADDR and SO_REUSEPORT, which have been set or cleared, count for those who bind to the same port from
// now on, as on Linux.
//
// DEVIATION: while the port is shared already, nothing changes; and a datagram that comes at this very moment finds nobody.
func (d *ipDatagram) shareLocked() {
	flags := ports.Flags{MostRecent: d.opts.reuseAddr, LoadBalanced: d.opts.reusePort}
	if !d.registered || d.reserved.Port == 0 || flags == d.flags {
		return
	}
	d.n.sharing.Lock() // nobody may reserve the port in between
	defer d.n.sharing.Unlock()
	before, after := d.reserved, d.reserved
	after.Flags = flags
	d.n.stack.ReleasePort(before)
	if _, err := d.n.stack.ReservePort(d.n.stack.SecureRNG(), after, nil); err != nil {
		after, flags = before, d.flags
		_, _ = d.n.stack.ReservePort(d.n.stack.SecureRNG(), before, nil) // it was possible before
	}
	d.reserved = after
	if flags == d.flags {
		return
	}
	d.unregisterLocked()
	if err := d.enroll(d.networks, d.id, flags, d.device); err != nil {
		flags = d.flags
		_ = d.enroll(d.networks, d.id, flags, d.device)
	}
	d.registered, d.flags = true, flags
}

// registerPingLocked is registerLocked for ping endpoints, whose "port" is the identifier of their echoes.
func (d *ipDatagram) registerPingLocked(networks []tcpip.NetworkProtocolNumber, id stack.TransportEndpointID, flags ports.Flags, device tcpip.NICID) error {
	networks = []tcpip.NetworkProtocolNumber{networkFamily(d.ipv6)}
	id.RemotePort = 0
	try := func(port uint16) (bool, tcpip.Error) {
		id.LocalPort = port
		err := d.enroll(networks, id, flags, device)
		if _, used := err.(*tcpip.ErrPortInUse); used {
			return false, nil
		}
		return err == nil, err
	}
	if id.LocalPort != 0 {
		if ok, err := try(id.LocalPort); err != nil {
			return errno(err)
		} else if !ok {
			return unix.EADDRINUSE
		}
	} else if err := d.n.ports.choose(unix.EADDRINUSE, func() tcpip.Error {
		_, err := d.n.stack.PickEphemeralPort(d.n.stack.SecureRNG(), try)
		return err
	}); err != nil {
		return err
	}
	d.unregisterLocked()
	d.registered, d.id, d.networks, d.flags, d.device = true, id, networks, flags, device
	return nil
}

// enroll tells the stack to deliver what is for id.
func (d *ipDatagram) enroll(networks []tcpip.NetworkProtocolNumber, id stack.TransportEndpointID, flags ports.Flags, device tcpip.NICID) tcpip.Error {
	defer d.n.enrolled.bump()
	return d.n.stack.RegisterTransportEndpoint(networks, d.transport, id, d, flags, device)
}

// unregisterLocked withdraws the registration; the port stays reserved.
func (d *ipDatagram) unregisterLocked() {
	if d.registered {
		d.n.stack.UnregisterTransportEndpoint(d.networks, d.transport, d.id, d, d.flags, d.device)
		d.n.enrolled.bump()
		d.registered = false
	}
}

// releaseLocked gives the local port back.
func (d *ipDatagram) releaseLocked() {
	if d.reserved.Port != 0 {
		d.n.stack.ReleasePort(d.reserved)
		d.reserved = ports.Reservation{}
	}
}

func (d *ipDatagram) connect(e endpoint) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return unix.EINVAL
	}
	r, nic, err := d.findRouteLocked(e, nil)
	if err != nil {
		return err
	}
	if r.IsOutboundBroadcast() && !d.opts.broadcast {
		r.Release()
		return unix.EACCES
	}
	if d.kind != protocolRaw {
		id := stack.TransportEndpointID{LocalPort: d.id.LocalPort, LocalAddress: d.bindAddr,
			RemotePort: e.port, RemoteAddress: r.RemoteAddress()}
		if d.bindAddr.BitLen() == 0 {
			id.LocalAddress = r.LocalAddress()
		}
		if err := d.registerLocked([]tcpip.NetworkProtocolNumber{r.NetProto()}, id); err != nil {
			r.Release()
			return err
		}
	} else {
		d.id.RemoteAddress = r.RemoteAddress()
	}
	if d.route != nil {
		d.route.Release()
	}
	d.route, d.connected, d.peerNIC = r, true, nic
	if d.first == 0 {
		d.first = r.NetProto()
	}
	d.hasPeer.Store(true)
	return nil
}

// disconnect dissolves the association [connect(2): AF_UNSPEC]. The address that bind gave stays, a port that was
// chosen by the system is given back.
func (d *ipDatagram) disconnect() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return unix.EINVAL
	}
	if !d.connected {
		return nil
	}
	if d.kind != protocolRaw && d.keepPort {
		_, network := d.canonical(netipOf(d.bindAddr))
		id := stack.TransportEndpointID{LocalPort: d.id.LocalPort, LocalAddress: d.bindAddr}
		if err := d.registerLocked(d.networksFor(d.bindAddr, network), id); err != nil {
			return err
		}
	} else {
		d.unregisterLocked()
		d.releaseLocked()
		d.id = stack.TransportEndpointID{}
	}
	d.route.Release()
	d.route, d.connected, d.first, d.peerNIC = nil, false, 0, 0
	d.hasPeer.Store(false)
	return nil
}

func (d *ipDatagram) local() endpoint {
	d.mu.RLock()
	defer d.mu.RUnlock()
	f := tcpip.FullAddress{Addr: d.bindAddr, Port: d.id.LocalPort, NIC: d.bindNIC}
	if d.connected {
		f.Addr = d.route.LocalAddress()
		if f.NIC == 0 {
			f.NIC = d.route.NICID()
		}
	}
	if d.kind == protocolRaw {
		f.Port = uint16(d.transport) // getsockname(2) of a raw socket tells the protocol
	}
	return endpointOf(f)
}

func (d *ipDatagram) peer() (endpoint, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.connected {
		return endpoint{}, unix.ENOTCONN
	}
	nic := d.peerNIC
	if nic == 0 {
		nic = d.route.NICID()
	}
	return endpointOf(tcpip.FullAddress{Addr: d.route.RemoteAddress(), Port: d.id.RemotePort, NIC: nic}), nil
}

func (d *ipDatagram) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.closed = true
	d.unregisterLocked()
	d.releaseLocked()
	if d.kind == protocolRaw {
		d.n.stack.UnregisterRawTransportEndpoint(networkFamily(d.ipv6), d.transport, (*rawReceiver)(d))
		d.n.raws.Add(-1)
	}
	for m := range d.groups {
		d.n.stack.LeaveGroup(m.network, m.nic, m.group)
	}
	d.groups = nil
	if d.route != nil {
		d.route.Release()
		d.route, d.connected = nil, false
	}
	d.cache.drop()
}

var _ datagram = (*ipDatagram)(nil)
