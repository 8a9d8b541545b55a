package net

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDatagramOracle(t *testing.T) {
	compare(t, "fresh", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Name(fd)
		r.Peer(fd)
		r.Poll(fd, pollAll)
		r.Recv(fd, 10, unix.MSG_DONTWAIT)
		r.Send(fd, "x", nil, 0)
		r.Name(fd)
		r.Listen(fd, 1)
		r.Accept(fd)
		r.Shutdown(fd, unix.SHUT_RDWR)
		r.Shutdown(fd, 9)
		r.Poll(fd, pollAll)
		r.Recv(fd, 10, 0)
		r.Send(fd, "x", sa4("127.0.0.1", 9), 0)
	})
	compare(t, "send arguments", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Send(fd, "x", sa4("127.0.0.1", 0), 0)
		r.Send(fd, "x", sa4("127.0.0.1", 9)[:15], 0)
		r.Send(fd, "x", sa4("127.0.0.1", 9)[:1], 0)
		r.Send(fd, "x", sa6("::1", 9), 0)
		r.Send(fd, "x", make([]byte, 16), 0)
		old := sa4("127.0.0.1", 9)
		old[0] = unix.AF_UNSPEC
		r.Send(fd, "x", old, 0)
		r.Send(fd, strings.Repeat("x", 65508), sa4("127.0.0.1", 9), 0)
		r.Send(fd, strings.Repeat("x", 65507), sa4("127.0.0.1", 9), 0)
		r.Send(fd, "x", sa4("127.0.0.1", 9), unix.MSG_OOB)
		r.Name(fd)
		r.SetInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 0)
		r.Connect(fd, sa4("255.255.255.255", 9))
		r.Send(fd, "x", sa4("255.255.255.255", 9), 0)
		b, _ := r.boundUDP()
		r.Send(b, "x", sa4("255.255.255.255", 9), 0)
	})
	compare(t, "messages", func(r *trace) {
		a, asa := r.boundUDP()
		b, bsa := r.boundUDP()
		r.Send(a, "one", bsa, 0)
		r.Send(a, "", bsa, 0)
		r.Send(a, "three", bsa, 0)
		r.Await(b, unix.POLLIN)
		r.Poll(b, pollAll)
		r.Available(b)
		r.Recv(b, 100, unix.MSG_PEEK)
		r.Recv(b, 2, unix.MSG_PEEK)
		r.Recv(b, 2, unix.MSG_PEEK|unix.MSG_TRUNC)
		r.Recv(b, 2, unix.MSG_DONTWAIT)
		r.Available(b)
		r.Recv(b, 100, unix.MSG_DONTWAIT)
		r.Recv(b, 2, unix.MSG_TRUNC)
		r.Recv(b, 100, unix.MSG_DONTWAIT)
		r.Recv(b, 100, unix.MSG_DONTWAIT|unix.MSG_OOB)
		r.Recv(b, 100, unix.MSG_ERRQUEUE)
		r.Send(b, "to myself", bsa, 0)
		r.Await(b, unix.POLLIN)
		r.Recv(b, 100, unix.MSG_DONTWAIT)
		r.Send(b, "read", asa, 0)
		r.Await(a, unix.POLLIN)
		r.Read(a, 2)
		r.Send(b, "", asa, 0)
		r.Await(a, unix.POLLIN)
		r.Read(a, 0)
		r.Recv(a, 0, unix.MSG_DONTWAIT)
	})
	compare(t, "connected", func(r *trace) {
		a, asa := r.boundUDP()
		b, bsa := r.boundUDP()
		c, _ := r.boundUDP()
		r.Connect(a, bsa)
		r.Peer(a)
		r.Name(a)
		r.Send(c, "stranger", asa, 0)
		r.Send(b, "peer", asa, 0)
		r.Await(a, unix.POLLIN)
		r.Recv(a, 100, unix.MSG_DONTWAIT)
		r.Recv(a, 100, unix.MSG_DONTWAIT)
		r.Send(a, "to peer", nil, 0)
		r.Await(b, unix.POLLIN)
		r.Recv(b, 100, unix.MSG_DONTWAIT)
		r.Send(a, "to another", asa, 0)
		r.Connect(a, make([]byte, 16))
		r.Peer(a)
		r.Name(a)
		r.Send(a, "nobody", nil, 0)
	})
	compare(t, "connected without bind", func(r *trace) {
		_, bsa := r.boundUDP()
		a := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Connect(a, bsa)
		r.Name(a)
		r.Connect(a, make([]byte, 16))
		r.Name(a)
		r.Connect(a, sa4("0.0.0.0", 9))
		r.Peer(a)
		r.Connect(a, sa4("127.0.0.1", 0))
		r.Connect(a, bsa[:8])
	})
	compare(t, "refused", func(r *trace) {
		b, bsa := r.boundUDP()
		r.Close(b)
		a := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Connect(a, bsa)
		r.Send(a, "x", nil, 0)
		r.Await(a, unix.POLLERR)
		r.Poll(a, pollAll)
		r.Recv(a, 100, unix.MSG_DONTWAIT)
		r.Recv(a, 100, unix.MSG_DONTWAIT)
		r.Send(a, "x", nil, 0)
		r.Await(a, unix.POLLERR)
		r.Send(a, "x", nil, 0)
		r.Send(a, "x", nil, 0)
		r.Await(a, unix.POLLERR)
		r.GetInt(a, unix.SOL_SOCKET, unix.SO_ERROR)
		r.GetInt(a, unix.SOL_SOCKET, unix.SO_ERROR)
	})
	compare(t, "not refused without peer", func(r *trace) {
		b, bsa := r.boundUDP()
		r.Close(b)
		a := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Send(a, "x", bsa, 0)
		r.Send(a, "x", bsa, 0)
		r.Recv(a, 100, unix.MSG_DONTWAIT)
	})
	compare(t, "shut down", func(r *trace) {
		a, asa := r.boundUDP()
		b, bsa := r.boundUDP()
		r.Connect(a, bsa)
		r.Connect(b, asa)
		r.Shutdown(a, unix.SHUT_WR)
		r.Send(a, "x", nil, 0)
		r.Poll(a, pollAll)
		r.Send(b, "y", nil, 0)
		r.Await(a, unix.POLLIN)
		r.Recv(a, 10, unix.MSG_DONTWAIT)
		r.Shutdown(a, unix.SHUT_RD)
		r.Poll(a, pollAll)
		r.Recv(a, 10, 0)
	})
	compare(t, "bind conflicts", func(r *trace) {
		a, asa := r.boundUDP()
		b := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Bind(b, asa)
		r.SetInt(b, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		r.Bind(b, asa)
		r.Bind(b, sa4("192.0.2.1", 0))
		r.Close(a)
		r.Bind(b, asa)
		c := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.SetInt(c, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		r.Bind(c, asa)
		d := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Bind(d, sa4("0.0.0.0", portOf(asa)))
	})
	compare(t, "IPv6", func(r *trace) {
		a := r.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		r.Bind(a, sa6("::1", 0))
		asa := r.Name(a)
		b := r.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		r.Send(b, "six", asa, 0)
		r.Await(a, unix.POLLIN)
		r.Recv(a, 100, unix.MSG_DONTWAIT)
		r.Name(b)
		r.Send(b, "x", asa[:20], 0)
		r.Connect(b, asa)
		r.Name(b)
		r.Peer(b)
		r.Connect(b, sa4("127.0.0.1", 9))
	})
	for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		compare(t, "IPv6 only, said too late "+itoa(typ), func(r *trace) {
			fd := r.Socket(unix.AF_INET6, typ, 0)
			r.SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
			r.SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
			r.Bind(fd, sa6("::1", 0))
			r.SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
		})
	}
	compare(t, "dual stack", func(r *trace) {
		a := r.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		r.Bind(a, sa6("::", 0))
		port := portOf(r.Name(a))
		b := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Send(b, "four", sa4("127.0.0.1", port), 0)
		r.Await(a, unix.POLLIN)
		r.Recv(a, 100, unix.MSG_DONTWAIT)
		bsa, _ := r.name(b)
		r.Send(a, "mapped", sa6("::ffff:127.0.0.1", portOf(bsa)), 0)
		r.Await(b, unix.POLLIN)
		r.Recv(b, 100, unix.MSG_DONTWAIT)
		c := r.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		r.SetInt(c, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
		r.Send(c, "x", sa6("::ffff:127.0.0.1", port), 0)
		r.Connect(c, sa6("::ffff:127.0.0.1", port))
		r.Bind(c, sa6("::ffff:127.0.0.1", 0))
		r.Bind(c, sa6("fe80::1", 0))
		d := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Bind(d, sa4("127.0.0.1", port))
	})
	compare(t, "IPv6 stream", func(r *trace) {
		l := r.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
		r.Listen(l, 5)
		port := portOf(r.Name(l))
		for _, sa := range [][]byte{sa6("::1", port), sa6("::ffff:127.0.0.1", port)} {
			c := r.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
			r.Connect(c, sa)
			r.Await(l, unix.POLLIN)
			s := r.Accept(l)
			r.Name(s)
			r.Name(c)
			r.Peer(c)
		}
		c := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Connect(c, sa4("127.0.0.1", port))
		r.Await(l, unix.POLLIN)
		r.Peer(r.Accept(l))
		d := r.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
		r.SetInt(d, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
		r.Connect(d, sa6("::ffff:127.0.0.1", port))
		r.Connect(d, sa4("127.0.0.1", port))
		r.Connect(d, sa6("::1", port)[:20])
		r.Connect(d, sa6("::1", port)[:24])
	})
	compare(t, "any address means loopback", func(r *trace) {
		l := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Listen(l, 1)
		sa := r.Name(l)
		c := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Connect(c, sa)
		r.Peer(c)
		u, usa := r.boundUDP()
		v := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		r.Send(v, "x", sa4("0.0.0.0", portOf(usa)), 0)
		r.Await(u, unix.POLLIN)
		r.Recv(u, 10, unix.MSG_DONTWAIT)
	})
}

func TestOptionOracle(t *testing.T) {
	type opt struct{ level, name int }
	ints := []opt{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR}, {unix.SOL_SOCKET, unix.SO_REUSEPORT}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
		{unix.SOL_SOCKET, unix.SO_BROADCAST}, {unix.SOL_SOCKET, unix.SO_TYPE}, {unix.SOL_SOCKET, unix.SO_DOMAIN},
		{unix.SOL_SOCKET, unix.SO_PROTOCOL}, {unix.SOL_SOCKET, unix.SO_ACCEPTCONN}, {unix.SOL_SOCKET, unix.SO_ERROR},
		{unix.SOL_SOCKET, unix.SO_OOBINLINE}, {unix.SOL_SOCKET, unix.SO_DONTROUTE}, {unix.SOL_SOCKET, unix.SO_PRIORITY},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMP}, {unix.SOL_SOCKET, 9999},
		{unix.IPPROTO_IP, unix.IP_TTL}, {unix.IPPROTO_IP, unix.IP_TOS}, {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER},
		{unix.IPPROTO_IP, unix.IP_RECVERR}, {unix.IPPROTO_IP, 9999},
		{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY}, {unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS}, {unix.IPPROTO_IPV6, unix.IPV6_TCLASS},
		{unix.SOL_SOCKET, unix.SO_SNDLOWAT}, {unix.SOL_SOCKET, unix.SO_INCOMING_CPU},
		{unix.IPPROTO_IP, unix.IP_PKTINFO}, {unix.IPPROTO_IP, unix.IP_RECVTTL}, {unix.IPPROTO_IP, unix.IP_RECVTOS},
		{unix.IPPROTO_IP, unix.IP_RECVORIGDSTADDR}, {unix.IPPROTO_IP, unix.IP_MULTICAST_TTL},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP}, {unix.IPPROTO_IP, unix.IP_MTU}, {unix.IPPROTO_IP, unix.IP_HDRINCL},
		{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER}, {unix.IPPROTO_IPV6, unix.IPV6_RECVERR},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO}, {unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS}, {unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS},
		{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP},
		{77, 1},
	}
	tcp := []opt{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT}, {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}, {unix.IPPROTO_TCP, unix.TCP_SYNCNT},
		{unix.IPPROTO_TCP, unix.TCP_CORK}, {unix.IPPROTO_TCP, 9999},
	}
	udp := []opt{
		{unix.SOL_SOCKET, unix.SO_RCVLOWAT},
		{unix.SOL_SOCKET, unix.SO_RCVBUF}, {unix.SOL_SOCKET, unix.SO_SNDBUF},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY},
	}
	for _, c := range []struct {
		name        string
		family, typ int
		more        []opt
	}{
		{"TCP over IPv4", unix.AF_INET, unix.SOCK_STREAM, tcp}, {"TCP over IPv6", unix.AF_INET6, unix.SOCK_STREAM, tcp},
		{"UDP over IPv4", unix.AF_INET, unix.SOCK_DGRAM, udp}, {"UDP over IPv6", unix.AF_INET6, unix.SOCK_DGRAM, udp},
	} {
		for _, o := range append(append([]opt(nil), ints...), c.more...) {
			compare(t, c.name+" "+strings.Join([]string{itoa(o.level), itoa(o.name)}, ","), func(r *trace) {
				fd := r.Socket(c.family, c.typ, 0)
				r.GetInt(fd, o.level, o.name)
				for _, v := range []int{1, 0, 5, 100, -1, 300, 70000, 1 << 30} {
					r.SetInt(fd, o.level, o.name, v)
					r.GetInt(fd, o.level, o.name)
				}
				r.GetBytes(fd, o.level, o.name, 2)
				r.GetBytes(fd, o.level, o.name, 1)
				r.SetBytes(fd, o.level, o.name, []byte{1})
				r.SetBytes(fd, o.level, o.name, nil)
				r.GetInt(fd, o.level, o.name)
			})
		}
	}
	for name, typ := range map[string]int{"TCP": unix.SOCK_STREAM, "UDP": unix.SOCK_DGRAM} {
		compare(t, name+", the two versions' type of service", func(r *trace) {
			fd := r.Socket(unix.AF_INET6, typ, 0)
			r.SetInt(fd, unix.IPPROTO_IP, unix.IP_TOS, 0x10)
			r.GetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS)
			r.SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0x20)
			r.GetInt(fd, unix.IPPROTO_IP, unix.IP_TOS)
			r.GetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS)
		})
		compare(t, name+", MTU to the peer", func(r *trace) {
			l := r.Socket(unix.AF_INET6, typ, 0)
			r.Bind(l, sa6("::1", 0))
			sa := r.Name(l)
			if typ == unix.SOCK_STREAM {
				r.Listen(l, 1)
			}
			fd := r.Socket(unix.AF_INET6, typ, 0)
			r.Connect(fd, sa)
			r.GetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU)
		})
	}
	compare(t, "what can have one value only", func(r *trace) {
		a, _ := r.Pair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		u := r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		for _, fd := range []int{a, u} {
			r.GetInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF)
			r.SetInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, -1)
			r.GetInt(fd, unix.SOL_SOCKET, unix.SO_SNDLOWAT)
			r.SetInt(fd, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 0)
		}
		for _, name := range []int{unix.SO_REUSEPORT, unix.SO_ZEROCOPY} {
			r.SetInt(a, unix.SOL_SOCKET, name, 1)
			r.GetInt(a, unix.SOL_SOCKET, name)
		}
	})
	compare(t, "buffers of streams", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		for _, o := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
			for _, v := range []int{32768, 0, 1, -1, 1 << 30, 100000} {
				r.SetInt(fd, unix.SOL_SOCKET, o, v)
				r.GetInt(fd, unix.SOL_SOCKET, o)
			}
			r.SetBytes(fd, unix.SOL_SOCKET, o, []byte{1})
		}
	})
	compare(t, "linger", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.GetBytes(fd, unix.SOL_SOCKET, unix.SO_LINGER, 8)
		r.SetBytes(fd, unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0, 5, 0, 0, 0})
		r.GetBytes(fd, unix.SOL_SOCKET, unix.SO_LINGER, 8)
		r.SetBytes(fd, unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0})
	})
	compare(t, "congestion control", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.SetBytes(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("reno"))
		r.GetBytes(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, 16)
		r.SetBytes(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("nonesuch"))
		r.SetBytes(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, nil)
	})
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func TestUnixOracle(t *testing.T) {
	for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		compare(t, "pair "+itoa(typ), func(r *trace) {
			a, b := r.Pair(unix.AF_UNIX, typ, 0)
			r.Poll(a, pollAll)
			r.Name(a)
			r.Peer(a)
			r.Send(a, "one", nil, 0)
			r.Send(a, "two", nil, 0)
			r.Poll(b, pollAll)
			r.Available(b)
			r.Recv(b, 2, unix.MSG_PEEK)
			r.Recv(b, 2, unix.MSG_DONTWAIT)
			r.Recv(b, 100, unix.MSG_DONTWAIT)
			if typ != unix.SOCK_STREAM {
				r.Recv(b, 100, unix.MSG_DONTWAIT)
			}
			r.Recv(b, 100, unix.MSG_DONTWAIT)
			r.Shutdown(a, unix.SHUT_WR)
			r.Send(a, "x", nil, 0)
			r.Poll(b, pollIn|unix.POLLRDHUP)
			r.Close(b)
			r.Peer(a)
			r.Recv(a, 100, unix.MSG_DONTWAIT)
			r.Send(a, "x", nil, 0)
		})
		compare(t, "names "+itoa(typ), func(r *trace) {
			name := unixName(t, itoa(typ))
			l := r.Socket(unix.AF_UNIX, typ, 0)
			c := r.Socket(unix.AF_UNIX, typ, 0)
			r.Connect(c, name)
			r.Bind(l, name)
			r.Name(l)
			r.Bind(l, name)
			r.Bind(c, name)
			if typ != unix.SOCK_DGRAM {
				r.Connect(c, name)
			}
			r.Send(c, "x", nil, 0)
			r.Recv(c, 10, unix.MSG_DONTWAIT)
			r.Listen(l, 1)
			r.Connect(c, name)
			r.Peer(c)
			r.Name(c)
			if typ == unix.SOCK_DGRAM {
				r.Send(c, "to peer", nil, 0)
				r.Send(c, "to name", name, 0)
				r.Recv(l, 100, unix.MSG_DONTWAIT)
				r.Recv(l, 100, unix.MSG_DONTWAIT)
				return
			}
			r.Poll(l, pollAll)
			s := r.Accept(l)
			r.Peer(s)
			r.Name(s)
			r.Send(s, "hello", nil, 0)
			r.Recv(c, 100, unix.MSG_DONTWAIT)
			r.Send(c, "unread", nil, 0)
			r.Close(s)
			r.Peer(c)
			r.Poll(c, pollAll)
			r.Recv(c, 10, unix.MSG_DONTWAIT)
			r.Recv(c, 10, unix.MSG_DONTWAIT)
			r.Send(c, "x", nil, 0)
		})
	}
	compare(t, "errors", func(r *trace) {
		s := r.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		r.Bind(s, sa4("127.0.0.1", 1))
		r.Connect(s, sa4("127.0.0.1", 1))
		r.Bind(s, nil)
		r.Connect(s, append([]byte{1, 0}, "/nonexistent/wick\x00"...))
		r.Listen(s, 1)
		r.Accept(s)
		r.Peer(s)
		r.Shutdown(s, unix.SHUT_RDWR)
		r.GetInt(s, unix.SOL_SOCKET, unix.SO_TYPE)
		r.GetInt(s, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		r.Poll(s, pollAll)
		r.Pair(unix.AF_UNIX, unix.SOCK_STREAM, 7)
	})
}
