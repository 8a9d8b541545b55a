package net

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSocketArguments(t *testing.T) {
	compare(t, "arguments", func(r *trace) {
		for _, a := range [][3]int{
			{unix.AF_INET, unix.SOCK_STREAM, 0}, {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP},
			{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_UDP}, {unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_TCP},
			{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP}, {unix.AF_INET6, unix.SOCK_STREAM, 0},
			{unix.AF_INET6, unix.SOCK_DGRAM, 0}, {unix.AF_INET, unix.SOCK_SEQPACKET, 0}, {unix.AF_INET, 0, 0},
			{unix.AF_INET, 11, 0}, {unix.AF_INET, -1, 0}, {unix.AF_INET, unix.SOCK_STREAM, 300},
			{unix.AF_INET, unix.SOCK_STREAM, -1}, {unix.AF_INET, unix.SOCK_RDM, 0}, {unix.AF_INET, unix.SOCK_RAW, 0},
			{99, unix.SOCK_STREAM, 0}, {-1, unix.SOCK_STREAM, 0}, {unix.AF_UNSPEC, unix.SOCK_STREAM, 0},
			{unix.AF_UNIX, unix.SOCK_STREAM, 0}, {unix.AF_UNIX, unix.SOCK_DGRAM, 0}, {unix.AF_UNIX, unix.SOCK_SEQPACKET, 0},
			{unix.AF_UNIX, unix.SOCK_RDM, 0}, {unix.AF_UNIX, unix.SOCK_STREAM, 1}, {unix.AF_UNIX, unix.SOCK_STREAM, 5},
			{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, {unix.AF_NETLINK, unix.SOCK_DGRAM, 0},
			{unix.AF_NETLINK, unix.SOCK_STREAM, 0}, {unix.AF_NETLINK, unix.SOCK_RAW, 31}, {unix.AF_NETLINK, unix.SOCK_RAW, 99},
		} {
			r.Socket(a[0], a[1], a[2])
		}
		r.Pair(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Pair(unix.AF_INET, unix.SOCK_STREAM, 99)
		r.Pair(99, unix.SOCK_STREAM, 0)
	})
}

func TestStreamOracle(t *testing.T) {
	compare(t, "fresh", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Name(fd)
		r.Peer(fd)
		r.Poll(fd, pollAll)
		r.Read(fd, 10)
		r.Recv(fd, 10, 0)
		r.Send(fd, "x", nil, 0)
		r.Send(fd, "x", sa4("127.0.0.1", 1), 0)
		r.Shutdown(fd, unix.SHUT_RDWR)
		r.Shutdown(fd, 3)
		r.Shutdown(fd, -1)
		r.Accept(fd)
		r.Available(fd)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	})
	compare(t, "bind", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Bind(fd, sa4("127.0.0.1", 0)[:15])
		r.Bind(fd, sa4("127.0.0.1", 0)[:1])
		r.Bind(fd, nil)
		r.Bind(fd, sa6("::1", 0))
		r.Bind(fd, sa4("192.0.2.1", 0))
		r.Bind(fd, sa4("127.0.0.1", 0))
		sa := r.Name(fd)
		r.Bind(fd, sa4("127.0.0.1", 0))
		r.Poll(fd, pollAll)
		other := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Bind(other, sa)
		r.Listen(fd, 1)
		r.Bind(other, sa)
		r.SetInt(other, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		r.Bind(other, sa)
	})
	compare(t, "bind unspecified family", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		sa := sa4("127.0.0.1", 0)
		sa[0] = unix.AF_UNSPEC
		r.Bind(fd, sa)
		sa = sa4("0.0.0.0", 0)
		sa[0] = unix.AF_UNSPEC
		r.Bind(fd, sa)
		r.Name(fd)
	})
	compare(t, "bind mapped on IPv6 only", func(r *trace) {
		fd := r.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
		r.SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
		r.Bind(fd, sa6("::ffff:127.0.0.1", 0))
		r.Bind(fd, sa6("::1", 0))
	})
	compare(t, "connected AF_UNIX stream to one that doesn't listen", func(r *trace) {
		name := func(n string) []byte { return unixName(t, n) }
		l := r.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		r.Bind(l, name("l"))
		r.Listen(l, 5)
		idle := r.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		r.Bind(idle, name("idle"))
		c := r.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		r.Connect(c, name("l"))
		r.Connect(c, name("idle"))
		r.Connect(c, name("nobody"))
		r.Connect(c, name("l"))
		r.Connect(l, name("idle"))
		r.Connect(l, name("l"))
	})
	compare(t, "bind loopback subnet", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Bind(fd, sa4("127.1.2.3", 0))
		r.Listen(fd, 1)
		sa := r.Name(fd)
		c := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Connect(c, sa)
		r.Peer(c)
	})
	compare(t, "listen", func(r *trace) {
		fd, _ := r.listener(3)
		r.Poll(fd, pollAll)
		r.Listen(fd, 10)
		r.Listen(fd, -1)
		r.Peer(fd)
		r.Read(fd, 10)
		r.Send(fd, "x", nil, 0)
		r.Available(fd)
		r.Connect(fd, sa4("127.0.0.1", 1))
		r.nonblock(fd)
		r.Accept(fd)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		r.Shutdown(fd, unix.SHUT_WR)
		r.Poll(fd, pollAll)
		r.Shutdown(fd, unix.SHUT_RD)
		r.Poll(fd, pollAll)
		r.Accept(fd)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	})
	compare(t, "listen unbound", func(r *trace) {
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Listen(fd, 1)
		r.Name(fd)
	})
	compare(t, "refused", func(r *trace) {
		l, sa := r.listener(1)
		r.Close(l)
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Connect(fd, sa)
		r.Poll(fd, pollAll)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		r.Send(fd, "x", nil, 0)
		r.Read(fd, 1)
		r.Connect(fd, sa)
		r.Peer(fd)
	})
	compare(t, "refused without waiting", func(r *trace) {
		l, sa := r.listener(1)
		r.Close(l)
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.nonblock(fd)
		r.Connect(fd, sa)
		r.Await(fd, unix.POLLOUT)
		r.Poll(fd, pollAll)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		r.Poll(fd, pollAll)
	})
	compare(t, "refused, asked by connect", func(r *trace) {
		l, sa := r.listener(1)
		r.Close(l)
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.nonblock(fd)
		r.Connect(fd, sa)
		r.Await(fd, unix.POLLOUT)
		r.Connect(fd, sa)
	})
	compare(t, "connect without waiting", func(r *trace) {
		_, sa := r.listener(1)
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.nonblock(fd)
		r.Connect(fd, sa)
		r.Await(fd, unix.POLLOUT)
		r.Poll(fd, pollAll)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		r.Connect(fd, sa)
		r.Connect(fd, sa)
		r.Peer(fd)
		r.Read(fd, 10)
	})
	compare(t, "connect arguments", func(r *trace) {
		_, sa := r.listener(1)
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Connect(fd, nil)
		r.Connect(fd, sa[:1])
		r.Connect(fd, sa[:8])
		r.Connect(fd, sa6("::1", 1))
		r.Connect(fd, sa4("255.255.255.255", 1))
		r.Connect(fd, sa4("224.0.0.1", 1))
		r.Connect(fd, sa)
		r.Connect(fd, sa)
		r.Bind(fd, sa4("127.0.0.1", 0))
		r.Listen(fd, 1)
	})
}

func TestConnectionOracle(t *testing.T) {
	compare(t, "echo", func(r *trace) {
		c, s := r.connection()
		r.Poll(c, pollAll)
		r.Send(c, "hello", nil, 0)
		r.Await(s, unix.POLLIN)
		r.Poll(s, pollAll)
		r.Available(s)
		r.Recv(s, 2, unix.MSG_PEEK)
		r.Recv(s, 2, 0)
		r.Recv(s, 100, unix.MSG_DONTWAIT)
		r.Recv(s, 100, unix.MSG_DONTWAIT)
		r.Send(s, "world", sa4("127.0.0.1", 9), 0)
		r.Await(c, unix.POLLIN)
		r.Recv(c, 100, unix.MSG_TRUNC)
		r.Recv(c, 100, unix.MSG_DONTWAIT)
		r.Recv(c, 100, unix.MSG_OOB)
		r.Recv(c, 0, unix.MSG_DONTWAIT)
		r.Send(c, "", nil, 0)
	})
	compare(t, "half close", func(r *trace) {
		c, s := r.connection()
		r.Send(c, "request", nil, 0)
		r.Shutdown(c, unix.SHUT_WR)
		r.Send(c, "more", nil, 0)
		r.Await(s, unix.POLLRDHUP)
		r.Poll(s, pollAll)
		r.Read(s, 100)
		r.Read(s, 100)
		r.Read(s, 100)
		r.Poll(s, pollAll)
		r.Send(s, "answer", nil, 0)
		r.Await(c, unix.POLLIN)
		r.Poll(c, pollAll)
		r.Read(c, 100)
		r.Shutdown(s, unix.SHUT_WR)
		r.Await(c, unix.POLLHUP)
		r.Read(c, 100)
		r.Poll(c, pollAll)
		r.Shutdown(c, unix.SHUT_RDWR)
		r.Peer(c)
	})
	compare(t, "closed by peer", func(r *trace) {
		c, s := r.connection()
		r.Close(s)
		r.Await(c, unix.POLLRDHUP)
		r.Poll(c, pollAll)
		r.Read(c, 10)
		r.Peer(c)
		r.Send(c, "into the void", nil, 0)
		r.Await(c, unix.POLLHUP)
		r.Poll(c, pollAll)
		r.Send(c, "again", nil, 0)
		r.Send(c, "again", nil, 0)
		r.Read(c, 10)
	})
	compare(t, "reset", func(r *trace) {
		c, s := r.connection()
		r.SetBytes(s, unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		r.Close(s)
		r.Await(c, unix.POLLERR)
		r.Poll(c, pollAll)
		r.Read(c, 10)
		r.Poll(c, pollAll)
		r.Read(c, 10)
		r.Send(c, "x", nil, 0)
		r.Peer(c)
		r.Shutdown(c, unix.SHUT_RDWR)
	})
	compare(t, "reset told to the writer", func(r *trace) {
		c, s := r.connection()
		r.SetBytes(s, unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		r.Close(s)
		r.Await(c, unix.POLLERR)
		r.Send(c, "x", nil, 0)
		r.Send(c, "x", nil, 0)
		r.Read(c, 10)
	})
	compare(t, "reset told by SO_ERROR", func(r *trace) {
		c, s := r.connection()
		r.SetBytes(s, unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		r.Close(s)
		r.Await(c, unix.POLLERR)
		r.GetInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
		r.GetInt(c, unix.SOL_SOCKET, unix.SO_ERROR)
		r.Read(c, 10)
		r.Send(c, "x", nil, 0)
	})
	compare(t, "closed with unread data", func(r *trace) {
		c, s := r.connection()
		r.Send(c, "unread", nil, 0)
		r.Await(s, unix.POLLIN)
		r.Close(s)
		r.Await(c, unix.POLLERR)
		r.Poll(c, pollAll)
		r.Read(c, 10)
		r.Read(c, 10)
	})
	compare(t, "shut for reading", func(r *trace) {
		c, s := r.connection()
		r.Shutdown(c, unix.SHUT_RD)
		r.Poll(c, pollAll)
		r.Read(c, 10)
		r.Send(c, "still writes", nil, 0)
		r.Await(s, unix.POLLIN)
		r.Read(s, 100)
		r.Shutdown(c, unix.SHUT_RD)
		r.Poll(c, pollAll)
	})
	compare(t, "shut for both", func(r *trace) {
		c, s := r.connection()
		r.Shutdown(c, unix.SHUT_RDWR)
		r.Poll(c, pollAll)
		r.Read(c, 10)
		r.Send(c, "x", nil, 0)
		r.Await(s, unix.POLLRDHUP)
		r.Read(s, 10)
		r.Poll(s, pollAll)
	})
	compare(t, "shut for both with unread data, then closed", func(r *trace) {
		c, s := r.connection()
		r.Send(c, "unread", nil, 0)
		r.Await(s, unix.POLLIN)
		r.Shutdown(s, unix.SHUT_RDWR)
		r.Poll(s, pollAll)
		r.Await(c, unix.POLLRDHUP)
		r.Poll(c, pollAll)
		r.Close(s)
		r.Await(c, unix.POLLERR)
		r.Send(c, "x", nil, 0)
		r.Read(c, 10)
	})
	compare(t, "data after the end of reading", func(r *trace) {
		c, s := r.connection()
		r.Shutdown(s, unix.SHUT_RD)
		r.Send(c, "late", nil, 0)
		r.awaitAvailable(s, 4)
		r.Read(s, 100)
		r.Read(s, 100)
		r.Shutdown(s, unix.SHUT_WR)
		r.Await(c, unix.POLLRDHUP)
		r.Send(c, "too late", nil, 0)
		r.Await(c, unix.POLLERR)
		r.Send(c, "x", nil, 0)
	})
	compare(t, "disconnect", func(r *trace) {
		c, s := r.connection()
		r.Connect(c, make([]byte, 16))
		r.Peer(c)
		r.Await(s, unix.POLLERR)
		r.Read(s, 10)
	})
	compare(t, "full send buffer", func(r *trace) {
		c, s := r.connection()
		r.nonblock(c)
		big := strings.Repeat("x", 1<<20)
		total := 0
		var err error
		// It is full when it stays so: what is sent moves on to the receiver a little later.
		for full := 0; full < 1000 && total < 100<<20; {
			var n int
			if n, err = r.sendmsg(c, []byte(big), nil, nil, 0); n > 0 {
				full = 0
			} else {
				full++
				time.Sleep(time.Millisecond)
			}
			total += n
		}
		r.log("send = %s", errName(err))
		r.Poll(c, pollOut)
		for total > 0 {
			b, err := r.read(s, 1<<16)
			if err != nil || len(b) == 0 {
				r.log("read = %d %s, %d left", len(b), errName(err), total)
				break
			}
			total -= len(b)
		}
		r.Await(c, unix.POLLOUT)
		r.Poll(c, pollOut)
	})
	compare(t, "accept queue", func(r *trace) {
		l, sa := r.listener(5)
		a := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		b := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Connect(a, sa)
		r.Name(a)
		r.Await(l, unix.POLLIN) // the order of the queue is that of the last packets of the handshakes
		r.Connect(b, sa)
		r.Name(b)
		r.Send(b, "early", nil, 0)
		r.Close(b)
		r.Poll(l, pollAll)
		x := r.Accept(l)
		r.Await(l, unix.POLLIN)
		y := r.Accept(l)
		r.Name(x)
		r.Await(y, unix.POLLRDHUP)
		r.Read(y, 100)
		r.Read(y, 100)
		r.nonblock(l)
		r.Accept(l)
	})
	compare(t, "timeouts", func(r *trace) {
		c, s := r.connection()
		r.SetBytes(c, unix.SOL_SOCKET, unix.SO_RCVTIMEO, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x9c, 0, 0, 0, 0, 0, 0})
		r.GetBytes(c, unix.SOL_SOCKET, unix.SO_RCVTIMEO, 16)
		r.Read(c, 10)
		r.SetBytes(c, unix.SOL_SOCKET, unix.SO_RCVTIMEO, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x42, 0x0f, 0, 0, 0, 0, 0})
		r.SetBytes(c, unix.SOL_SOCKET, unix.SO_RCVTIMEO, []byte{0, 0, 0, 0})
		r.Close(s)
	})
}
