package net

import (
	"io"
	"math"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"wick/kernel/vfs"
)

// routeCache keeps the route of the last send, for the next one to the same address. A server
// that answers one peer after the other, or one peer all the time, doesn't look it up each time.
type routeCache struct {
	mu     sync.Mutex
	to     endpoint // guarded by mu, as all below
	change uint64
	route  *stack.Route
	nic    tcpip.NICID
}

// get returns a reference to the route to e, if it is the one that was kept.
func (c *routeCache) get(e endpoint, change uint64) (*stack.Route, tcpip.NICID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.port = 0
	if c.route == nil || c.to != e || c.change != change {
		return nil, 0
	}
	c.route.Acquire()
	return c.route, c.nic
}

// put keeps a route.
func (c *routeCache) put(e endpoint, change uint64, r *stack.Route, nic tcpip.NICID) {
	r.Acquire()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.route != nil {
		c.route.Release()
	}
	e.port = 0
	c.to, c.change, c.route, c.nic = e, change, r, nic
}

// drop forgets the route.
func (c *routeCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.route != nil {
		c.route.Release()
		c.route = nil
	}
}

// findRouteLocked finds the way to e, from where the endpoint is bound or c says.
func (d *ipDatagram) findRouteLocked(e endpoint, c *sendControl) (*stack.Route, tcpip.NICID, error) {
	if e.addr.Is4In6() && d.opts.v6Only {
		return nil, 0, unix.ENETUNREACH
	}
	dst, network := d.canonical(e.addr)
	if dst == header.IPv4Broadcast && !d.opts.broadcast {
		return nil, 0, unix.EACCES // even if there is no way there
	}
	if dst.BitLen() == 0 { // any is this machine [RFC 1122 3.2.1.3]
		switch {
		case d.bindAddr.BitLen() != 0:
			dst = d.bindAddr
		case network == header.IPv4ProtocolNumber, d.first == header.IPv4ProtocolNumber:
			dst = header.IPv4Loopback
		default:
			dst = header.IPv6Loopback
		}
		network = networkFamily(dst.BitLen() != 8*header.IPv4AddressSize)
	}
	nic := tcpip.NICID(e.scope)
	if d.bindNIC != 0 {
		if nic != 0 && nic != d.bindNIC {
			return nil, 0, unix.EINVAL
		}
		nic = d.bindNIC
	}
	if nic == 0 {
		nic = tcpip.NICID(d.opts.device)
	}
	src := d.bindAddr
	if src.BitLen() != 0 && !d.isUnicast(src, nic, network) {
		src = tcpip.Address{}
	}
	if c != nil {
		if c.index != 0 {
			nic = tcpip.NICID(c.index)
		}
		if c.local.IsValid() && !c.local.IsUnspecified() {
			src, _ = d.canonical(c.local)
			if d.n.stack.CheckLocalAddress(nic, network, src) == 0 {
				return nil, 0, unix.EINVAL
			}
		}
	}
	switch from4 := src.BitLen() == 8*header.IPv4AddressSize || src.BitLen() == 0 && d.first == header.IPv4ProtocolNumber; {
	case from4 && network == header.IPv6ProtocolNumber:
		return nil, 0, unix.EAFNOSUPPORT // Linux has an IPv4 source address then [ip6_dst_lookup_tail]
	case src.BitLen() != 0 && src.BitLen() != dst.BitLen():
		return nil, 0, unix.ENETUNREACH
	}
	if header.IsV4MulticastAddress(dst) || header.IsV6MulticastAddress(dst) {
		if nic == 0 {
			nic = d.opts.multicastNIC
		}
		if nic == 0 && src.BitLen() == 0 && network == header.IPv4ProtocolNumber {
			src = d.opts.multicastAddr
		}
	}
	r, err := d.n.stack.FindRoute(nic, src, dst, network, !d.opts.noMulticastLoop)
	return r, nic, errno(err)
}

// routeLocked returns the route for one datagram; it belongs to the caller.
func (d *ipDatagram) routeLocked(to endpoint, c *sendControl) (*stack.Route, error) {
	plain := c == nil || !c.local.IsValid() && c.index == 0
	if !to.addr.IsValid() {
		if !d.connected {
			return nil, unix.EDESTADDRREQ
		}
		if plain {
			d.route.Acquire()
			return d.route, nil
		}
		to = endpointOf(tcpip.FullAddress{Addr: d.route.RemoteAddress(), NIC: d.peerNIC})
	}
	if !plain {
		r, _, err := d.findRouteLocked(to, c)
		return r, err
	}
	change := d.n.change.load()
	if r, _ := d.cache.get(to, change); r != nil {
		return r, nil
	}
	r, nic, err := d.findRouteLocked(to, nil)
	if err == nil {
		d.cache.put(to, change, r, nic)
	}
	return r, err
}

// send implements datagram.
func (d *ipDatagram) send(src source, to endpoint, c *sendControl) (int, error) {
	d.mu.RLock()
	if d.closed {
		d.mu.RUnlock()
		return 0, unix.EBADF
	}
	if !d.registered && d.kind != protocolRaw {
		if err := d.bindForSend(); err != nil {
			d.mu.RUnlock()
			return 0, err
		}
	}
	r, err := d.routeLocked(to, c)
	if err != nil {
		d.mu.RUnlock()
		return 0, err
	}
	id, opts := d.id, d.opts
	if to.addr.IsValid() {
		id.RemotePort = to.port
	}
	d.mu.RUnlock()
	// No lock is held while the packet goes down: over loopback it comes up again on the same goroutine.
	if c != nil && c.hasSegment {
		opts.segment = c.segment
	}
	var n int
	if opts.segment != 0 {
		n, err = d.transmitSegments(src, r, id, &opts, c)
	} else {
		n, err = d.transmit(src, r, id, &opts, c)
	}
	r.Release()
	return n, err
}

// maxSegments is how many datagrams one send may become (UDP_MAX_SEGMENTS).
const maxSegments = 64

// transmitSegments sends what src has as datagrams of the size that UDP_SEGMENT says; the last may be shorter [udp(7)].
func (d *ipDatagram) transmitSegments(src source, r *stack.Route, id stack.TransportEndpointID, o *datagramOptions, c *sendControl) (int, error) {
	size, segment := src.Len(), int(o.segment)
	whole := *o
	whole.mtuDiscover, whole.mtuDiscover6 = unix.IP_PMTUDISC_DONT, unix.IPV6_PMTUDISC_DONT
	if err := d.checkSize(size+header.UDPMinimumSize, r, &whole); err != nil {
		return 0, err
	}
	switch {
	case min(size, segment)+header.UDPMinimumSize > int(r.MTU()):
		return 0, unix.EMSGSIZE
	case size > segment*maxSegments:
		return 0, unix.EINVAL
	}
	b := make(vfs.Bytes, size)
	if _, err := io.ReadFull(src, b); err != nil {
		return 0, unix.EFAULT
	}
	for {
		piece := b[:min(segment, len(b))]
		b = b[len(piece):]
		if _, err := d.transmit(&piece, r, id, o, c); err != nil {
			return 0, err
		}
		if len(b) == 0 {
			return size, nil
		}
	}
}

// bindForSend binds an endpoint that was never bound to a free port. It is called with mu held for reading,
// and gives it up for a while.
func (d *ipDatagram) bindForSend() error {
	d.mu.RUnlock()
	d.mu.Lock()
	var err error
	switch {
	case d.closed:
		err = unix.EBADF
	case !d.registered:
		err = d.bindLocked(endpoint{})
	}
	d.mu.Unlock()
	d.mu.RLock()
	return err
}

// transmit makes the packet and sends it.
func (d *ipDatagram) transmit(src source, r *stack.Route, id stack.TransportEndpointID, o *datagramOptions, c *sendControl) (int, error) {
	if !o.broadcast && r.IsOutboundBroadcast() {
		return 0, unix.EACCES
	}
	size, head := src.Len(), 0
	if d.kind == protocolUDP {
		if id.RemotePort == 0 {
			return 0, unix.EINVAL
		}
		head = header.UDPMinimumSize
	}
	if err := d.checkSize(size+head, r, o); err != nil {
		return 0, err
	}
	view := buffer.NewViewSize(size)
	if _, err := io.ReadFull(src, view.AsSlice()); err != nil {
		view.Release()
		return 0, unix.EFAULT
	}
	if d.kind == protocolPing {
		if err := d.completeEcho(view.AsSlice(), id, r); err != nil {
			view.Release()
			return 0, err
		}
	} else if d.kind == protocolRaw && d.transport == header.ICMPv6ProtocolNumber && size >= header.ICMPv6MinimumSize {
		setICMPv6Checksum(view.AsSlice(), r) // always the kernel's task [RFC 3542 3.1]
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: head + int(r.MaxHeaderLength()),
		Payload:            buffer.MakeWithView(view),
	})
	defer pkt.DecRef()
	if d.kind == protocolUDP {
		putUDPHeader(pkt, r, id)
	}
	pkt.TransportProtocolNumber = d.transport
	params := stack.NetworkHeaderParams{
		Protocol: d.transport,
		TTL:      ttlFor(r, o, c),
		TOS:      tosFor(r, o, c),
		DF:       o.mtuDiscover != unix.IP_PMTUDISC_DONT && head+size <= int(r.MTU()),
	}
	switch err := r.WritePacket(params, pkt); err.(type) {
	case nil:
	case *tcpip.ErrNoBufferSpace:
		// A full card loses the datagram; that is counted there and not told [udp(7), ENOBUFS only with IP_RECVERR].
	default:
		return 0, errno(err)
	}
	return size, nil
}

// checkSize refuses what no IP packet, or no unfragmented one if that is asked for, can hold.
func (d *ipDatagram) checkSize(size int, r *stack.Route, o *datagramOptions) error {
	most, discover := math.MaxUint16-header.IPv4MinimumSize, o.mtuDiscover
	if r.NetProto() == header.IPv6ProtocolNumber {
		most, discover = math.MaxUint16, o.mtuDiscover6
	}
	strict := discover == unix.IP_PMTUDISC_DO || discover == unix.IP_PMTUDISC_PROBE
	if size > most || strict && size > int(r.MTU()) { // the route's MTU is without the IP header
		return unix.EMSGSIZE
	}
	return nil
}

// putUDPHeader puts the UDP header before the data [RFC 768].
func putUDPHeader(pkt *stack.PacketBuffer, r *stack.Route, id stack.TransportEndpointID) {
	udp := header.UDP(pkt.TransportHeader().Push(header.UDPMinimumSize))
	length := uint16(pkt.Size())
	udp.Encode(&header.UDPFields{SrcPort: id.LocalPort, DstPort: id.RemotePort, Length: length})
	if !r.RequiresTXTransportChecksum() {
		return
	}
	sum := udp.CalculateChecksum(checksum.Combine(
		r.PseudoHeaderChecksum(header.UDPProtocolNumber, length), pkt.Data().Checksum()))
	if sum != math.MaxUint16 { // a sum of zero goes out as all ones: zero means no checksum
		sum = ^sum
	}
	udp.SetChecksum(sum)
}

// completeEcho checks an echo request of a ping endpoint and puts identifier and checksum into it.
func (d *ipDatagram) completeEcho(b []byte, id stack.TransportEndpointID, r *stack.Route) error {
	if d.ipv6 {
		if len(b) < header.ICMPv6MinimumSize {
			return unix.EINVAL
		}
		h := header.ICMPv6(b)
		if h.Type() != header.ICMPv6EchoRequest || h.Code() != 0 {
			return unix.EINVAL
		}
		h.SetIdent(id.LocalPort)
		setICMPv6Checksum(b, r)
		return nil
	}
	if len(b) < header.ICMPv4MinimumSize {
		return unix.EINVAL
	}
	h := header.ICMPv4(b)
	if h.Type() != header.ICMPv4Echo || h.Code() != 0 {
		return unix.EINVAL
	}
	h.SetIdent(id.LocalPort)
	h.SetChecksum(0)
	h.SetChecksum(^checksum.Checksum(b, 0))
	return nil
}

func setICMPv6Checksum(b []byte, r *stack.Route) {
	h := header.ICMPv6(b)
	h.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header: h[:header.ICMPv6MinimumSize], Src: r.LocalAddress(), Dst: r.RemoteAddress(),
		PayloadCsum: checksum.Checksum(b[header.ICMPv6MinimumSize:], 0), PayloadLen: len(b) - header.ICMPv6MinimumSize,
	}))
}

// ttlFor is the TTL or hop limit of a datagram.
func ttlFor(r *stack.Route, o *datagramOptions, c *sendControl) uint8 {
	if c != nil && c.hasTTL {
		return c.ttl
	}
	remote := r.RemoteAddress()
	switch {
	case header.IsV4MulticastAddress(remote):
		return o.multicastTTL
	case header.IsV6MulticastAddress(remote):
		if o.multicastHops < 0 {
			return 1
		}
		return uint8(o.multicastHops)
	case r.NetProto() == header.IPv4ProtocolNumber && o.ttl != 0:
		return o.ttl
	case r.NetProto() == header.IPv6ProtocolNumber && o.hopLimit >= 0:
		return uint8(o.hopLimit)
	}
	return r.DefaultTTL()
}

// tosFor is the TOS or traffic class of a datagram.
func tosFor(r *stack.Route, o *datagramOptions, c *sendControl) uint8 {
	switch {
	case c != nil && c.hasTOS:
		return c.tos
	case r.NetProto() == header.IPv6ProtocolNumber:
		return o.tclass
	}
	return o.tos
}
