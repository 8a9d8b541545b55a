package net

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestConnectionsInheritOptions checks that an accepted connection has the options that were set on its listener.
func TestConnectionsInheritOptions(t *testing.T) {
	for _, c := range []struct {
		name    string
		address []byte
		options [][3]int // level, name, value
	}{
		{"TCP", sa4("127.0.0.1", 0), [][3]int{
			{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.SOL_SOCKET, unix.SO_BROADCAST, 1},
			{unix.SOL_SOCKET, unix.SO_RCVBUF, 20000}, {unix.SOL_SOCKET, unix.SO_SNDBUF, 20000}, {unix.SOL_SOCKET, unix.SO_OOBINLINE, 1},
			{unix.SOL_SOCKET, unix.SO_PRIORITY, 3}, {unix.SOL_SOCKET, unix.SO_TIMESTAMP_OLD, 1}, {unix.SOL_SOCKET, unix.SO_ACCEPTCONN, 0},
			{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, {unix.IPPROTO_TCP, unix.TCP_CORK, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 77},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 33}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 5}, {unix.IPPROTO_TCP, unix.TCP_SYNCNT, 3},
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 4444}, {unix.IPPROTO_TCP, unix.TCP_LINGER2, 20},
			{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 5000},
			{unix.IPPROTO_IP, unix.IP_TTL, 33}, {unix.IPPROTO_IP, unix.IP_TOS, 16}, {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, 0},
			{unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
		}},
		{"TCP over IPv6", sa6("::1", 0), [][3]int{
			{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1}, {unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 44},
			{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 32}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
		}},
	} {
		compare(t, c.name, func(r *trace) {
			family, _ := sockaddrFamily(c.address)
			l := r.Socket(family, unix.SOCK_STREAM, 0)
			for _, o := range c.options {
				r.SetInt(l, o[0], o[1], o[2])
			}
			r.SetBytes(l, unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0, 7, 0, 0, 0})
			r.SetBytes(l, unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("reno"))
			r.Bind(l, c.address)
			r.Listen(l, 1)
			client := r.Socket(family, unix.SOCK_STREAM, 0)
			r.Connect(client, r.Name(l))
			r.Await(l, unix.POLLIN)
			s := r.Accept(l)
			for _, o := range c.options {
				r.GetInt(s, o[0], o[1])
			}
			r.GetBytes(s, unix.SOL_SOCKET, unix.SO_LINGER, 8)
			r.GetBytes(s, unix.IPPROTO_TCP, unix.TCP_CONGESTION, 16)
		})
	}
}
