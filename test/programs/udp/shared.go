package main

import (
	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// unbound returns a socket that is closed with the case.
func unbound(t *check.T, family int) int {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	t.Must(err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// portSharedAfterBind: it counts for the next bind whether the sockets share their port then, not whether they did when they were
// bound.
func portSharedAfterBind(t *check.T) {
	for _, o := range []struct {
		name   string
		option int
	}{{"SO_REUSEADDR", unix.SO_REUSEADDR}, {"SO_REUSEPORT", unix.SO_REUSEPORT}} {
		set := func(fd, v int) { t.Must(unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.option, v)) }
		bound := func(shared bool) (int, unix.Sockaddr) {
			fd := unbound(t, unix.AF_INET)
			if shared {
				set(fd, 1)
			}
			t.Must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
			name, err := unix.Getsockname(fd)
			t.Must(err)
			return fd, name
		}
		bindTo := func(name unix.Sockaddr) (int, error) {
			fd := unbound(t, unix.AF_INET)
			set(fd, 1)
			return fd, unix.Bind(fd, name)
		}
		_, name := bound(false)
		_, err := bindTo(name)
		t.WantErr(o.name+" of the second only", err, unix.EADDRINUSE)

		first, name := bound(false)
		set(first, 1)
		second, err := bindTo(name)
		t.WantErr(o.name+" after bind", err, nil)
		t.WantErr("a third one without "+o.name, unix.Bind(unbound(t, unix.AF_INET), name), unix.EADDRINUSE)
		for range 20 {
			t.Must(unix.Sendto(unbound(t, unix.AF_INET), []byte("x"), 0, name))
		}
		got := 0
		for _, fd := range []int{first, second} {
			for {
				if _, err := unix.Read(fd, make([]byte, 1)); err != nil {
					t.WantErr("read", err, unix.EAGAIN)
					break
				}
				got++
			}
		}
		check.Equal(t, "datagrams", got, 20)

		first, name = bound(true)
		set(first, 0)
		_, err = bindTo(name)
		t.WantErr(o.name+" cleared after bind", err, unix.EADDRINUSE)
		t.Must(unix.Sendto(unbound(t, unix.AF_INET), []byte("x"), 0, name))
		_, err = unix.Read(first, make([]byte, 1))
		t.WantErr("read of the first", err, nil)
	}
}

// ipv6Reconnect connects an IPv6 socket to peers of IPv4 and IPv6 in turn: with a source address of one, the other is no way.
func ipv6Reconnect(t *check.T) {
	mapped := &unix.SockaddrInet6{Port: 5000, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
	loopback := &unix.SockaddrInet6{Port: 5000, Addr: [16]byte{15: 1}}
	fd := unbound(t, unix.AF_INET6)
	t.Must(unix.Connect(fd, mapped))
	t.WantErr("::1 after an IPv4 peer", unix.Connect(fd, loopback), unix.EAFNOSUPPORT)
	peer, err := unix.Getpeername(fd)
	t.Must(err)
	check.Equal(t, "the peer that stays", peer.(*unix.SockaddrInet6).Addr, mapped.Addr)
	t.WantErr("a datagram for ::1", unix.Sendto(fd, []byte("x"), 0, loopback), unix.EAFNOSUPPORT)
	t.Must(unix.Connect(fd, &unix.SockaddrInet6{Port: 5000})) // any address is the machine's of the same family
	peer, err = unix.Getpeername(fd)
	t.Must(err)
	check.Equal(t, "the peer for any address", peer.(*unix.SockaddrInet6).Addr, mapped.Addr)

	fd = unbound(t, unix.AF_INET6)
	t.Must(unix.Bind(fd, &unix.SockaddrInet6{Addr: mapped.Addr}))
	t.WantErr("::1 from an IPv4 address", unix.Connect(fd, loopback), unix.EAFNOSUPPORT)
	t.WantErr("a datagram for ::1 from an IPv4 address", unix.Sendto(fd, []byte("x"), 0, loopback), unix.EAFNOSUPPORT)
	t.Must(unix.Connect(fd, &unix.SockaddrInet6{Port: 5000}))

	fd = unbound(t, unix.AF_INET6)
	t.Must(unix.Bind(fd, &unix.SockaddrInet6{Addr: loopback.Addr}))
	t.WantErr("IPv4 from ::1", unix.Connect(fd, mapped), unix.ENETUNREACH)

	fd = unbound(t, unix.AF_INET6)
	t.Must(unix.Connect(fd, loopback))
	t.Must(unix.Sendto(fd, []byte("x"), 0, mapped))
	t.Must(unix.Connect(fd, mapped))
	t.Must(unix.Connect(fd, loopback))
}
