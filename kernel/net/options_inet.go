package net

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// putMTU is IP_MTU and IPV6_MTU: that of the interface that leads to the peer.
func (s *inet) putMTU(ep optioner, dst []byte) (int, error) {
	peer, err := ep.peer()
	if err != nil {
		return 0, unix.ENOTCONN
	}
	holds := func(l linkInfo, a netip.Addr) bool {
		return slices.ContainsFunc(l.addrs, func(p netip.Prefix) bool { return p.Addr() == a.Unmap() })
	}
	local := ep.local().addr
	links := s.stack.linkInfos()
	for _, l := range links[1:] {
		if holds(l, local) && !holds(l, peer.addr) {
			return putInt(dst, l.mtu)
		}
	}
	return putInt(dst, links[0].mtu) // what is for the machine itself goes by the loopback interface
}

// optioner is the endpoint of an inet socket, as far as options go.
type optioner interface {
	setOption(o option, v int) error
	option(o option) (int, error)
	local() endpoint
	peer() (endpoint, error)
}

// unknownLevel is what getsockopt(2) says of a level that the socket doesn't have; IPv4 and IPv6 differ.
func (s *inet) unknownLevel() error {
	if s.family == unix.AF_INET {
		return unix.EOPNOTSUPP
	}
	return unix.ENOPROTOOPT
}

// socketInt tells which options of the socket level are integers of the endpoint.
func socketInt(name int) (option, bool) {
	switch name {
	case unix.SO_REUSEADDR:
		return optReuseAddr, true
	case unix.SO_REUSEPORT:
		return optReusePort, true
	case unix.SO_BROADCAST:
		return optBroadcast, true
	case unix.SO_KEEPALIVE:
		return optKeepAlive, true
	}
	return 0, false
}

// setSocketLevel sets an option of SOL_SOCKET that IPv4 and IPv6 sockets have.
func (s *inet) setSocketLevel(ep optioner, name int, v []byte) error {
	if ok, err := s.setCommon(name, v); ok {
		return err
	}
	switch name {
	case unix.SO_BINDTODEVICE:
		return s.bindToDevice(ep, v)
	case unix.SO_ATTACH_FILTER, unix.SO_ATTACH_BPF, unix.SO_LOCK_FILTER:
		return unix.ENOPROTOOPT
	case unix.SO_DETACH_FILTER:
		return unix.ENOENT // there is none
	}
	o, ok := socketInt(name)
	if !ok {
		return unix.ENOPROTOOPT
	}
	i, err := intOption(v)
	if err != nil {
		return err
	}
	if err := ep.setOption(o, boolOption(i != 0)); err == unix.ENOPROTOOPT {
		return s.keep(unix.SOL_SOCKET, name, boolOption(i != 0))
	} else if err != nil {
		return err
	}
	return nil
}

// bindToDevice is SO_BINDTODEVICE: the name of an interface, or nothing.
func (s *inet) bindToDevice(ep optioner, v []byte) error {
	if len(v) > unix.IFNAMSIZ {
		v = v[:unix.IFNAMSIZ-1]
	}
	name := unix.ByteSliceToString(v)
	index := 0
	if name != "" {
		if index = int(s.stack.linkIndex(name)); index == 0 {
			return unix.ENODEV
		}
	}
	return ep.setOption(optBindToDevice, index)
}

// socketLevel reads an option of SOL_SOCKET that IPv4 and IPv6 sockets have.
func (s *inet) socketLevel(ep optioner, name int, dst []byte) (int, error) {
	if n, ok, err := s.common(name, dst); ok {
		return n, err
	}
	if name == unix.SO_BINDTODEVICE {
		i, err := ep.option(optBindToDevice)
		if err != nil || i == 0 {
			return 0, err
		}
		link := s.stack.linkName(uint32(i)) + "\x00"
		if len(dst) < len(link) {
			return 0, unix.EINVAL
		}
		return copy(dst, link), nil
	}
	o, ok := socketInt(name)
	if !ok {
		return 0, unix.ENOPROTOOPT
	}
	v, err := ep.option(o)
	if err == unix.ENOPROTOOPT {
		v, err = s.recall(unix.SOL_SOCKET, name), nil
	}
	if err != nil {
		return 0, err
	}
	return putInt(dst, v)
}

// Bounds of IP_TTL and the like.
const maxTTL = 255

// setIP sets an option of IPPROTO_IP that stream and datagram sockets have.
func (s *inet) setIP(ep optioner, name int, v []byte) error {
	i, err := byteOrInt(v)
	if err != nil {
		return err
	}
	switch name {
	case unix.IP_TTL:
		if i != -1 && (i < 1 || i > maxTTL) {
			return unix.EINVAL
		}
		return ep.setOption(optTTL, max(i, 0))
	case unix.IP_TOS:
		return ep.setOption(optTOS, i&0xff)
	case unix.IP_MTU_DISCOVER:
		if i < unix.IP_PMTUDISC_DONT || i > unix.IP_PMTUDISC_OMIT {
			return unix.EINVAL
		}
		s.keep(unix.IPPROTO_IP, name, i+1)
		return ep.setOption(optMTUDiscover, min(i, unix.IP_PMTUDISC_PROBE))
	case unix.IP_MINTTL: // DEVIATION: nothing is dropped for its TTL
		if i < 0 || i > maxTTL {
			return unix.EINVAL
		}
		if i != 0 {
			return unix.ENOPROTOOPT
		}
		return nil
	case unix.IP_RECVERR, unix.IP_FREEBIND, unix.IP_TRANSPARENT, unix.IP_BIND_ADDRESS_NO_PORT, unix.IP_MULTICAST_ALL,
		unix.IP_NODEFRAG:
		return s.keep(unix.IPPROTO_IP, name, boolOption(i != 0))
	case unix.IP_LOCAL_PORT_RANGE:
		return s.keep(unix.IPPROTO_IP, name, i)
	}
	return unix.ENOPROTOOPT
}

// defaultTTL is what IP_TTL and IPV6_UNICAST_HOPS tell while nothing was set.
const defaultTTL = 64

// ip reads an option of IPPROTO_IP that stream and datagram sockets have.
func (s *inet) ip(ep optioner, name int, dst []byte) (int, error) {
	switch name {
	case unix.IP_TTL:
		v, err := ep.option(optTTL)
		if err != nil {
			return 0, err
		}
		if v == 0 {
			v = defaultTTL
		}
		return putByteOrInt(dst, v)
	case unix.IP_TOS:
		v, err := ep.option(optTOS)
		if err != nil {
			return 0, err
		}
		return putByteOrInt(dst, v)
	case unix.IP_MTU_DISCOVER:
		v := s.recall(unix.IPPROTO_IP, name)
		if v == 0 {
			v = unix.IP_PMTUDISC_WANT + 1
		}
		return putByteOrInt(dst, v-1)
	case unix.IP_MTU:
		return s.putMTU(ep, dst)
	case unix.IP_HDRINCL:
		return putByteOrInt(dst, 0)
	case unix.IP_RECVERR, unix.IP_FREEBIND, unix.IP_TRANSPARENT, unix.IP_BIND_ADDRESS_NO_PORT, unix.IP_MULTICAST_ALL,
		unix.IP_NODEFRAG, unix.IP_MINTTL, unix.IP_LOCAL_PORT_RANGE:
		return putByteOrInt(dst, s.recall(unix.IPPROTO_IP, name))
	}
	return 0, unix.ENOPROTOOPT
}

// setIPv6 sets an option of IPPROTO_IPV6 that stream and datagram sockets have.
func (s *inet) setIPv6(ep optioner, name int, v []byte) error {
	if s.family != unix.AF_INET6 {
		return unix.ENOPROTOOPT
	}
	i, err := intOption(v)
	if err != nil {
		return err
	}
	switch name {
	case unix.IPV6_V6ONLY:
		if ep.local().port != 0 {
			return unix.EINVAL
		}
		return ep.setOption(optV6Only, boolOption(i != 0))
	case unix.IPV6_UNICAST_HOPS:
		if i < -1 || i > maxTTL {
			return unix.EINVAL
		}
		return ep.setOption(optHopLimit, i)
	case unix.IPV6_TCLASS:
		if i < -1 || i > 0xff {
			return unix.EINVAL
		}
		return ep.setOption(optTClass, max(i, 0))
	case unix.IPV6_MTU_DISCOVER:
		if i < unix.IPV6_PMTUDISC_DONT || i > unix.IPV6_PMTUDISC_OMIT {
			return unix.EINVAL
		}
		s.keep(unix.IPPROTO_IPV6, name, i+1)
		if err := ep.setOption(optMTUDiscover6, min(i, unix.IPV6_PMTUDISC_PROBE)); err != unix.ENOPROTOOPT {
			return err
		}
		return nil // TCP never sends what doesn't fit
	case unix.IPV6_RECVERR, unix.IPV6_FREEBIND, unix.IPV6_DONTFRAG, unix.IPV6_TRANSPARENT:
		return s.keep(unix.IPPROTO_IPV6, name, boolOption(i != 0))
	case unix.IPV6_AUTOFLOWLABEL, unix.IPV6_ADDR_PREFERENCES, unix.IPV6_MULTICAST_ALL:
		return s.keep(unix.IPPROTO_IPV6, name, i)
	}
	return unix.ENOPROTOOPT
}

// ipv6 reads an option of IPPROTO_IPV6 that stream and datagram sockets have.
func (s *inet) ipv6(ep optioner, name int, dst []byte) (int, error) {
	if s.family != unix.AF_INET6 {
		return 0, s.unknownLevel()
	}
	var o option
	switch name {
	case unix.IPV6_V6ONLY:
		o = optV6Only
	case unix.IPV6_UNICAST_HOPS:
		o = optHopLimit
	case unix.IPV6_TCLASS:
		o = optTClass
	case unix.IPV6_MTU:
		return s.putMTU(ep, dst)
	case unix.IPV6_MTU_DISCOVER:
		v := s.recall(unix.IPPROTO_IPV6, name)
		if v == 0 {
			v = unix.IPV6_PMTUDISC_WANT + 1
		}
		return putInt(dst, v-1)
	case unix.IPV6_RECVERR, unix.IPV6_FREEBIND, unix.IPV6_DONTFRAG, unix.IPV6_AUTOFLOWLABEL,
		unix.IPV6_ADDR_PREFERENCES, unix.IPV6_MULTICAST_ALL, unix.IPV6_TRANSPARENT:
		return putInt(dst, s.recall(unix.IPPROTO_IPV6, name))
	default:
		return 0, unix.ENOPROTOOPT
	}
	v, err := ep.option(o)
	if err != nil {
		return 0, err
	}
	if o == optHopLimit && v < 0 {
		v = defaultTTL
	}
	return putInt(dst, v)
}

// parseMembership reads a struct ip_mreq or ip_mreqn [ip(7)], or, if it is too short for those, only
// the local address (IP_MULTICAST_IF).
func parseMembership(v []byte) (group, local netip.Addr, index uint32, err error) {
	const (
		sizeofMreq  = 8
		sizeofMreqn = 12
	)
	if len(v) < sizeofMreq {
		return group, local, 0, unix.EINVAL
	}
	group, local = netip.AddrFrom4([4]byte(v)), netip.AddrFrom4([4]byte(v[4:]))
	if len(v) >= sizeofMreqn {
		index = binary.NativeEndian.Uint32(v[8:])
	}
	return group, local, index, nil
}

// parseMembership6 reads a struct ipv6_mreq [ipv6(7)].
func parseMembership6(v []byte) (group netip.Addr, index uint32, err error) {
	const sizeofMreq6 = 20
	if len(v) < sizeofMreq6 {
		return group, 0, unix.EINVAL
	}
	return netip.AddrFrom16([16]byte(v)), binary.NativeEndian.Uint32(v[16:]), nil
}

// parseGroupRequest reads a struct group_req: the interface, 4 bytes of padding, and a struct sockaddr_storage [RFC 3678 5.1.1].
func parseGroupRequest(v []byte) (group netip.Addr, index uint32, err error) {
	const at = 8
	if len(v) < at+MaxSockaddr {
		return group, 0, unix.EINVAL
	}
	var e endpoint
	switch family, _ := sockaddrFamily(v[at:]); family {
	case unix.AF_INET:
		e, err = parseSockaddrIn(v[at:])
	case unix.AF_INET6:
		e, err = parseSockaddrIn6(v[at:])
	}
	return e.addr, binary.NativeEndian.Uint32(v), err
}
