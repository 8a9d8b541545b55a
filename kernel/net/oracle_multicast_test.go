package net

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// groupRequest makes a struct group_req.
func groupRequest(index uint32, sa []byte) []byte {
	b := make([]byte, 8+MaxSockaddr)
	binary.NativeEndian.PutUint32(b, index)
	copy(b[8:], sa)
	return b
}

func TestMulticastOracle(t *testing.T) {
	for _, c := range []struct {
		name                  string
		family, level         int
		group, other, unicast []byte
	}{
		{"IPv4", unix.AF_INET, unix.IPPROTO_IP, sa4("224.1.2.3", 0), sa6("ff02::1234", 0), sa4("127.0.0.1", 0)},
		{"IPv6", unix.AF_INET6, unix.IPPROTO_IPV6, sa6("ff02::1234", 0), sa4("224.1.2.3", 0), sa6("::1", 0)},
	} {
		compare(t, c.name+", groups by struct group_req", func(r *trace) {
			fd := r.Socket(c.family, unix.SOCK_DGRAM, 0)
			for _, sa := range [][]byte{c.group, c.other} {
				request := groupRequest(loopbackIndex, sa)
				r.SetBytes(fd, c.level, unix.MCAST_LEAVE_GROUP, request)
				r.SetBytes(fd, c.level, unix.MCAST_JOIN_GROUP, request)
				r.SetBytes(fd, c.level, unix.MCAST_JOIN_GROUP, request)
				r.SetBytes(fd, c.level, unix.MCAST_LEAVE_GROUP, request)
			}
			r.SetBytes(fd, c.level, unix.MCAST_JOIN_GROUP, groupRequest(loopbackIndex, c.unicast))
			r.SetBytes(fd, c.level, unix.MCAST_JOIN_GROUP, groupRequest(9999, c.group))
			r.SetBytes(fd, c.level, unix.MCAST_JOIN_GROUP, groupRequest(loopbackIndex, c.group)[:100])
		})
	}
	compare(t, "IPv4, interface", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		get := func() {
			for _, room := range []int{3, 4, 12} {
				r.GetBytes(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, room)
			}
		}
		get()
		r.SetBytes(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, []byte{127, 0, 0, 1})
		get()
		r.SetBytes(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, []byte{0, 0, 0, 0, 0, 0, 0, 0, loopbackIndex, 0, 0, 0})
		get()
	})
	compare(t, "IPv6, interface", func(r *trace) {
		fd := r.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		r.GetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF)
		r.SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, loopbackIndex)
		r.GetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF)
	})
}
