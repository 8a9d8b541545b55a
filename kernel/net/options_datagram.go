package net

import (
	"encoding/binary"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"
)

// SetOption implements Socket.
func (s *datagramSocket) SetOption(level, name int, v []byte) error {
	switch level {
	case unix.SOL_SOCKET:
		return s.setSocket(name, v)
	case unix.IPPROTO_IP:
		return s.setIPv4(name, v)
	case unix.IPPROTO_IPV6:
		return s.setIPv6Datagram(name, v)
	case unix.IPPROTO_UDP:
		if s.protocol == unix.IPPROTO_UDP {
			return s.setUDP(name, v)
		}
	case unix.SOL_RAW:
		if s.typ == unix.SOCK_RAW && name == icmpFilter {
			return s.setICMPFilter(v)
		}
	case unix.IPPROTO_ICMPV6:
		if s.hasICMPv6Filter(name) {
			return s.setICMPv6Filter(v)
		}
	}
	return unix.ENOPROTOOPT
}

// setUDP sets an option of IPPROTO_UDP [udp(7)].
func (s *datagramSocket) setUDP(name int, v []byte) error {
	i, err := intOption(v)
	if err != nil {
		return err
	}
	switch name {
	case unix.UDP_SEGMENT:
		if i < 0 || i > math.MaxUint16 {
			return unix.EINVAL
		}
		return s.ep.setOption(optSegment, i)
	case unix.UDP_GRO: // datagrams may be delivered as one, which is never done
		return s.keep(unix.IPPROTO_UDP, name, boolOption(i != 0))
	case unix.UDP_CORK: // DEVIATION: there is no corking
		return onlyValue(v, 0, unix.ENOPROTOOPT)
	}
	return unix.ENOPROTOOPT
}

// udp reads an option of IPPROTO_UDP.
func (s *datagramSocket) udp(name int, dst []byte) (int, error) {
	switch {
	case s.protocol != unix.IPPROTO_UDP:
	case name == unix.UDP_SEGMENT:
		return s.endpointInt(optSegment, dst)
	case name == unix.UDP_GRO, name == unix.UDP_CORK:
		return putInt(dst, s.recall(unix.IPPROTO_UDP, name))
	}
	return 0, unix.ENOPROTOOPT
}

// icmpFilter is ICMP_FILTER of raw(7).
const icmpFilter = 1

// setICMPFilter stores the types that a raw ICMP socket doesn't want.
func (s *datagramSocket) setICMPFilter(v []byte) error {
	i, err := intOption(v)
	if err != nil {
		return err
	}
	return s.ep.setOption(optICMPFilter, int(uint32(i)))
}

// hasICMPv6Filter tells whether an option of IPPROTO_ICMPV6 is ICMPV6_FILTER, and the socket has that.
func (s *datagramSocket) hasICMPv6Filter(name int) bool {
	return s.typ == unix.SOCK_RAW && s.family == unix.AF_INET6 && s.protocol == unix.IPPROTO_ICMPV6 && name == unix.ICMPV6_FILTER
}

// setICMPv6Filter stores the types that a raw ICMPv6 socket doesn't want, a struct icmp6_filter, or the first words of it.
func (s *datagramSocket) setICMPv6Filter(v []byte) error {
	blocked := s.ep.icmpv6Filter()
	for i := 0; i < len(blocked) && len(v) >= 4; i, v = i+1, v[4:] {
		blocked[i] = binary.NativeEndian.Uint32(v)
	}
	s.ep.setICMPv6Filter(blocked)
	return nil
}

func (s *datagramSocket) setSocket(name int, v []byte) error {
	switch name {
	case unix.SO_RCVBUF, unix.SO_RCVBUFFORCE:
		i, err := intOption(v)
		if err != nil {
			return err
		}
		s.queue.setLimit(bufferSize(i, s.stack.options.MaxBuffer, minRecvBuffer, name == unix.SO_RCVBUFFORCE))
		return nil
	case unix.SO_SNDBUF, unix.SO_SNDBUFFORCE:
		i, err := intOption(v)
		if err != nil {
			return err
		}
		return s.keep(unix.SOL_SOCKET, unix.SO_SNDBUF, bufferSize(i, s.stack.options.MaxBuffer, minSendBuffer, name == unix.SO_SNDBUFFORCE))
	case unix.SO_TIMESTAMP_OLD, unix.SO_TIMESTAMPNS_OLD:
		i, err := intOption(v)
		if err != nil {
			return err
		}
		if i == 0 {
			name = 0
		}
		s.timestamp.Store(int32(name))
		s.queue.stamp.Store(name != 0)
		return nil
	case unix.SO_LINGER:
		return s.keepLinger(v)
	}
	return s.setSocketLevel(s.ep, name, v)
}

func (s *datagramSocket) setIPv4(name int, v []byte) error {
	switch name {
	case unix.IP_PKTINFO, unix.IP_RECVTTL, unix.IP_RECVTOS, unix.IP_RECVORIGDSTADDR:
		i, err := byteOrInt(v)
		if err != nil {
			return err
		}
		s.ctl.set(controlIPv4(name), i != 0)
		return nil
	case unix.IP_RECVERR:
		i, err := byteOrInt(v)
		if err != nil {
			return err
		}
		s.queue.setWantErrors(false, i != 0)
		return nil
	case unix.IP_HDRINCL:
		if s.typ != unix.SOCK_RAW {
			return unix.ENOPROTOOPT
		}
		if i, err := byteOrInt(v); err != nil || i != 0 {
			return unix.ENOPROTOOPT // DEVIATION: programs can't write IP headers
		}
		return nil
	case unix.IP_MULTICAST_TTL:
		i, err := byteOrInt(v)
		if err != nil || len(v) == 0 {
			return unix.EINVAL
		}
		if i < -1 || i > maxTTL {
			return unix.EINVAL
		}
		if i == -1 {
			i = 1
		}
		return s.ep.setOption(optMulticastTTL, i)
	case unix.IP_MULTICAST_LOOP:
		i, err := byteOrInt(v)
		if err != nil || len(v) == 0 {
			return unix.EINVAL
		}
		return s.ep.setOption(optMulticastLoop, boolOption(i != 0))
	case unix.IP_MULTICAST_IF:
		return s.setMulticastIf(v)
	case unix.IP_ADD_MEMBERSHIP, unix.IP_DROP_MEMBERSHIP:
		group, local, index, err := parseMembership(v)
		if err != nil {
			return err
		}
		if name == unix.IP_ADD_MEMBERSHIP {
			return s.ep.joinGroup(index, local, group)
		}
		return s.ep.leaveGroup(index, local, group)
	case unix.MCAST_JOIN_GROUP, unix.MCAST_LEAVE_GROUP:
		return s.setGroup(name, v, unix.AF_INET, unix.EINVAL)
	}
	return s.setIP(s.ep, name, v)
}

// setGroup is MCAST_JOIN_GROUP and MCAST_LEAVE_GROUP [RFC 3678 5.1.1], with an address of the level's family.
func (s *datagramSocket) setGroup(name int, v []byte, family int, otherFamily error) error {
	group, index, err := parseGroupRequest(v)
	switch {
	case err != nil:
		return err
	case int(addrFamily(group)) != family:
		return otherFamily
	case name == unix.MCAST_JOIN_GROUP:
		return s.ep.joinGroup(index, netip.Addr{}, group)
	}
	return s.ep.leaveGroup(index, netip.Addr{}, group)
}

// setMulticastIf is IP_MULTICAST_IF: a struct in_addr, ip_mreq or ip_mreqn.
func (s *datagramSocket) setMulticastIf(v []byte) error {
	if len(v) < 4 {
		return unix.EINVAL
	}
	if len(v) < 8 {
		return s.ep.setMulticastInterface(0, netip.AddrFrom4([4]byte(v)))
	}
	_, local, index, err := parseMembership(v)
	if err != nil {
		return err
	}
	return s.ep.setMulticastInterface(index, local)
}

func (s *datagramSocket) setIPv6Datagram(name int, v []byte) error {
	if s.family != unix.AF_INET6 {
		return unix.ENOPROTOOPT
	}
	switch name {
	case unix.IPV6_JOIN_GROUP, unix.IPV6_LEAVE_GROUP:
		group, index, err := parseMembership6(v)
		if err != nil {
			return err
		}
		if name == unix.IPV6_JOIN_GROUP {
			return s.ep.joinGroup(index, netip.Addr{}, group)
		}
		return s.ep.leaveGroup(index, netip.Addr{}, group)
	case unix.MCAST_JOIN_GROUP, unix.MCAST_LEAVE_GROUP:
		return s.setGroup(name, v, unix.AF_INET6, unix.EADDRNOTAVAIL)
	}
	i, err := intOption(v)
	if err != nil {
		return err
	}
	switch name {
	case unix.IPV6_RECVPKTINFO, unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS:
		s.ctl.set(controlIPv6(name), i != 0)
		return nil
	case unix.IPV6_RECVERR:
		s.queue.setWantErrors(true, i != 0)
		return nil
	case unix.IPV6_MULTICAST_HOPS:
		if i < -1 || i > maxTTL {
			return unix.EINVAL
		}
		return s.ep.setOption(optMulticastHops, i)
	case unix.IPV6_MULTICAST_LOOP:
		if i != 0 && i != 1 {
			return unix.EINVAL
		}
		return s.ep.setOption(optMulticastLoop, i)
	case unix.IPV6_MULTICAST_IF:
		if i < 0 {
			return unix.ENODEV
		}
		return s.ep.setMulticastInterface(uint32(i), netip.Addr{})
	case unix.IPV6_CHECKSUM:
		if s.typ != unix.SOCK_RAW {
			return unix.ENOPROTOOPT
		}
		return s.keep(unix.IPPROTO_IPV6, name, i)
	}
	return s.setIPv6(s.ep, name, v)
}

// Option implements Socket.
func (s *datagramSocket) Option(level, name int, dst []byte) (int, error) {
	switch level {
	case unix.SOL_SOCKET:
		return s.getSocket(name, dst)
	case unix.IPPROTO_IP:
		switch name {
		case unix.IP_PKTINFO, unix.IP_RECVTTL, unix.IP_RECVTOS, unix.IP_RECVORIGDSTADDR:
			return putByteOrInt(dst, boolOption(s.ctl.has(controlIPv4(name))))
		case unix.IP_RECVERR:
			return putByteOrInt(dst, boolOption(s.queue.wantsErrors(false)))
		case unix.IP_MULTICAST_TTL:
			return s.endpointInt(optMulticastTTL, dst)
		case unix.IP_MULTICAST_LOOP:
			return s.endpointInt(optMulticastLoop, dst)
		case unix.IP_MULTICAST_IF:
			_, local := s.ep.multicastInterface()
			return copy(dst, local[:]), nil
		}
		return s.ip(s.ep, name, dst)
	case unix.IPPROTO_IPV6:
		return s.getIPv6Datagram(name, dst)
	case unix.IPPROTO_UDP:
		return s.udp(name, dst)
	case unix.SOL_RAW:
		return 0, unix.ENOPROTOOPT
	case unix.IPPROTO_ICMPV6:
		if s.hasICMPv6Filter(name) {
			var b []byte
			for _, word := range s.ep.icmpv6Filter() {
				b = binary.NativeEndian.AppendUint32(b, word)
			}
			return copy(dst, b), nil
		}
	}
	return 0, s.unknownLevel()
}

func (s *datagramSocket) endpointInt(o option, dst []byte) (int, error) {
	v, err := s.ep.option(o)
	if err != nil {
		return 0, err
	}
	return putByteOrInt(dst, v)
}

func (s *datagramSocket) getIPv6Datagram(name int, dst []byte) (int, error) {
	if s.family != unix.AF_INET6 {
		return 0, s.unknownLevel()
	}
	switch name {
	case unix.IPV6_RECVPKTINFO, unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS:
		return putInt(dst, boolOption(s.ctl.has(controlIPv6(name))))
	case unix.IPV6_RECVERR:
		return putInt(dst, boolOption(s.queue.wantsErrors(true)))
	case unix.IPV6_MULTICAST_HOPS:
		v, err := s.ep.option(optMulticastHops)
		if err != nil {
			return 0, err
		}
		if v < 0 {
			v = 1
		}
		return putInt(dst, v)
	case unix.IPV6_MULTICAST_LOOP:
		v, err := s.ep.option(optMulticastLoop)
		if err != nil {
			return 0, err
		}
		return putInt(dst, v)
	case unix.IPV6_MULTICAST_IF:
		index, _ := s.ep.multicastInterface()
		return putInt(dst, int(index))
	}
	return s.ipv6(s.ep, name, dst)
}

func (s *datagramSocket) getSocket(name int, dst []byte) (int, error) {
	switch name {
	case unix.SO_ERROR:
		return putErrno(dst, s.queue.takeError())
	case unix.SO_ACCEPTCONN:
		return putInt(dst, 0)
	case unix.SO_RCVBUF:
		return putInt(dst, s.queue.getLimit())
	case unix.SO_SNDBUF:
		v := s.recall(unix.SOL_SOCKET, unix.SO_SNDBUF)
		if v == 0 {
			v = defaultDatagramBuffer
		}
		return putInt(dst, v)
	case unix.SO_TIMESTAMP_OLD, unix.SO_TIMESTAMPNS_OLD:
		return putInt(dst, boolOption(s.timestamp.Load() == int32(name)))
	case unix.SO_LINGER:
		return s.putLinger(dst)
	}
	return s.socketLevel(s.ep, name, dst)
}
