package net

import (
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// setOption implements datagram.
func (d *ipDatagram) setOption(o option, v int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch o {
	case optV6Only:
		d.opts.v6Only = v != 0
	case optReuseAddr:
		d.opts.reuseAddr = v != 0
		d.shareLocked()
	case optReusePort:
		d.opts.reusePort = v != 0
		d.shareLocked()
	case optBroadcast:
		d.opts.broadcast = v != 0
	case optBindToDevice:
		d.opts.device = uint32(v)
	case optTTL:
		d.opts.ttl = uint8(v)
	case optHopLimit:
		d.opts.hopLimit = int16(v)
	case optTOS:
		d.opts.tos = uint8(v)
	case optTClass:
		d.opts.tclass = uint8(v)
	case optMulticastTTL:
		d.opts.multicastTTL = uint8(v)
	case optMulticastHops:
		d.opts.multicastHops = int16(v)
	case optMulticastLoop:
		d.opts.noMulticastLoop = v == 0
	case optMTUDiscover:
		d.opts.mtuDiscover = v
	case optMTUDiscover6:
		d.opts.mtuDiscover6 = v
	case optICMPFilter:
		d.opts.icmpFilter = uint32(v)
	case optSegment:
		d.opts.segment = uint16(v)
	default:
		return unix.ENOPROTOOPT
	}
	d.cache.drop()
	return nil
}

// option implements datagram.
func (d *ipDatagram) option(o option) (int, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch o {
	case optV6Only:
		return boolOption(d.opts.v6Only), nil
	case optReuseAddr:
		return boolOption(d.opts.reuseAddr), nil
	case optReusePort:
		return boolOption(d.opts.reusePort), nil
	case optBroadcast:
		return boolOption(d.opts.broadcast), nil
	case optBindToDevice:
		return int(d.opts.device), nil
	case optTTL:
		return int(d.opts.ttl), nil
	case optHopLimit:
		return int(d.opts.hopLimit), nil
	case optTOS:
		return int(d.opts.tos), nil
	case optTClass:
		return int(d.opts.tclass), nil
	case optMulticastTTL:
		return int(d.opts.multicastTTL), nil
	case optMulticastHops:
		return int(d.opts.multicastHops), nil
	case optMulticastLoop:
		return boolOption(!d.opts.noMulticastLoop), nil
	case optMTUDiscover:
		return d.opts.mtuDiscover, nil
	case optSegment:
		return int(d.opts.segment), nil
	}
	return 0, unix.ENOPROTOOPT
}

// membership is a multicast group that an endpoint has joined.
type membership struct {
	network tcpip.NetworkProtocolNumber
	nic     tcpip.NICID
	group   tcpip.Address
}

// maxGroups is Linux's default net.ipv4.igmp_max_memberships.
const maxGroups = 20

// membershipLocked finds the interface of a group: by index, by local address, or by the routing table.
func (d *ipDatagram) membershipLocked(index uint32, local, group netip.Addr) (membership, error) {
	m := membership{nic: tcpip.NICID(index)}
	m.group, m.network = d.canonical(group)
	if !group.IsMulticast() {
		return m, unix.EINVAL
	}
	switch {
	case m.nic != 0:
		if !d.n.stack.HasNIC(m.nic) {
			return m, errNoDevice
		}
	case local.IsValid() && !local.IsUnspecified():
		a, _ := d.canonical(local)
		m.nic = d.n.stack.CheckLocalAddress(0, m.network, a)
	default:
		if r, err := d.n.stack.FindRoute(0, tcpip.Address{}, m.group, m.network, false); err == nil {
			m.nic = r.NICID()
			r.Release()
		}
	}
	if m.nic == 0 {
		return m, errNoDevice
	}
	return m, nil
}

// joinGroup implements datagram.
func (d *ipDatagram) joinGroup(index uint32, local, group netip.Addr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.membershipLocked(index, local, group)
	if err != nil {
		return err
	}
	if _, ok := d.groups[m]; ok {
		return unix.EADDRINUSE
	}
	if d.closed || len(d.groups) >= maxGroups {
		return unix.ENOBUFS
	}
	if err := d.n.stack.JoinGroup(m.network, m.nic, m.group); err != nil {
		return errno(err)
	}
	if d.groups == nil {
		d.groups = make(map[membership]struct{})
	}
	d.groups[m] = struct{}{}
	return nil
}

// leaveGroup implements datagram.
func (d *ipDatagram) leaveGroup(index uint32, local, group netip.Addr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.membershipLocked(index, local, group)
	if err != nil {
		return err
	}
	if _, ok := d.groups[m]; !ok {
		return unix.EADDRNOTAVAIL
	}
	delete(d.groups, m)
	return errno(d.n.stack.LeaveGroup(m.network, m.nic, m.group))
}

// setMulticastInterface implements datagram.
func (d *ipDatagram) setMulticastInterface(index uint32, local netip.Addr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	nic := tcpip.NICID(index)
	addr, _ := d.canonical(local)
	if nic != 0 && !d.n.stack.HasNIC(nic) {
		return errNoDevice
	}
	if nic == 0 && addr.BitLen() != 0 {
		if nic = d.n.stack.CheckLocalAddress(0, header.IPv4ProtocolNumber, addr); nic == 0 {
			return unix.EADDRNOTAVAIL
		}
	}
	d.opts.multicastNIC, d.opts.multicastAddr = nic, addr
	d.cache.drop()
	return nil
}

// setICMPv6Filter implements datagram.
func (d *ipDatagram) setICMPv6Filter(blocked [8]uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts.icmpv6Filter = blocked
}

// icmpv6Filter implements datagram.
func (d *ipDatagram) icmpv6Filter() (blocked [8]uint32) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.opts.icmpv6Filter
}

// multicastInterface implements datagram.
func (d *ipDatagram) multicastInterface() (index uint32, local [4]byte) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.opts.multicastAddr.BitLen() == 8*len(local) {
		local = d.opts.multicastAddr.As4()
	}
	return uint32(d.opts.multicastNIC), local
}
