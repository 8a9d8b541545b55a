package main

import (
	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// rawSocket returns a UDP socket bound to the loopback interface, and its address.
func rawSocket(t *check.T) (int, *unix.SockaddrInet4) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	t.Must(err)
	t.Cleanup(func() { unix.Close(fd) })
	t.Must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	addr, err := unix.Getsockname(fd)
	t.Must(err)
	return fd, addr.(*unix.SockaddrInet4)
}

// truncation: what doesn't fit is lost, and the flags say so [recv(2)].
func truncation(t *check.T) {
	a, _ := rawSocket(t)
	b, to := rawSocket(t)
	buf := make([]byte, 4)
	for range 4 {
		t.Must(unix.Sendto(a, []byte("0123456789"), 0, to))
	}
	n, _, err := unix.Recvfrom(b, buf, 0)
	t.Must(err)
	check.Equal(t, "recvfrom", string(buf[:n]), "0123")
	n, _, err = unix.Recvfrom(b, buf, unix.MSG_TRUNC)
	t.Must(err)
	check.Equal(t, "recvfrom with MSG_TRUNC", n, 10)
	n, _, flags, _, err := unix.Recvmsg(b, buf, nil, 0)
	t.Must(err)
	check.Equal(t, "recvmsg", n, 4)
	check.Equal(t, "MSG_TRUNC of recvmsg", flags&unix.MSG_TRUNC, unix.MSG_TRUNC)
	n, _, err = unix.Recvfrom(b, buf, unix.MSG_PEEK)
	t.Must(err)
	check.Equal(t, "peek", n, 4)
	waiting, err := unix.IoctlGetInt(b, unix.TIOCINQ)
	t.Must(err)
	check.Equal(t, "FIONREAD", waiting, 10)
	n, _, err = unix.Recvfrom(b, make([]byte, 100), 0)
	t.Must(err)
	check.Equal(t, "after peeking", n, 10)
	_, _, err = unix.Recvfrom(b, buf, unix.MSG_DONTWAIT)
	t.WantErr("nothing left", err, unix.EAGAIN)
}

// reconnect connects a socket again and again, and to nobody [connect(2)].
func reconnect(t *check.T) {
	a, _ := rawSocket(t)
	b, toB := rawSocket(t)
	c, toC := rawSocket(t)
	buf := make([]byte, 10)
	for range 3 {
		for fd, to := range map[int]*unix.SockaddrInet4{b: toB, c: toC} {
			t.Must(unix.Connect(a, to))
			_, err := unix.Write(a, []byte("x"))
			t.Must(err)
			n, err := unix.Read(fd, buf)
			t.Must(err)
			check.Equal(t, "bytes", n, 1)
			peer, err := unix.Getpeername(a)
			t.Must(err)
			check.Equal(t, "peer's port", peer.(*unix.SockaddrInet4).Port, to.Port)
		}
	}
	// An address for one datagram wins over the peer.
	t.Must(unix.Connect(a, toB))
	t.Must(unix.Sendto(a, []byte("to c"), 0, toC))
	n, err := unix.Read(c, buf)
	t.Must(err)
	check.Equal(t, "datagram", string(buf[:n]), "to c")
	t.Must(disconnect(a))
	_, err = unix.Getpeername(a)
	t.WantErr("getpeername after AF_UNSPEC", err, unix.ENOTCONN)
	_, err = unix.Write(a, []byte("x"))
	t.WantErr("write after AF_UNSPEC", err, unix.EDESTADDRREQ)
}

func messages(t *check.T) {
	a, from := rawSocket(t)
	b, to := rawSocket(t)
	n, err := unix.SendmsgBuffers(a, [][]byte{[]byte("one"), nil, []byte("two")}, nil, to, 0)
	t.Must(err)
	check.Equal(t, "sendmsg", n, 6)
	first, second := make([]byte, 2), make([]byte, 10)
	n, _, _, addr, err := unix.RecvmsgBuffers(b, [][]byte{first, second}, nil, 0)
	t.Must(err)
	check.Equal(t, "recvmsg", string(first)+string(second[:n-2]), "onetwo")
	check.Equal(t, "sender's port", addr.(*unix.SockaddrInet4).Port, from.Port)
}

func errnos(t *check.T) {
	fd, to := rawSocket(t)
	second := func(_ int, err error) error { return err }
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"write without a peer", second(unix.Write(fd, []byte("x"))), unix.EDESTADDRREQ},
		{"more than a datagram holds", unix.Sendto(fd, make([]byte, 65508), 0, to), unix.EMSGSIZE},
		{"as much as a datagram holds", unix.Sendto(fd, make([]byte, 65507), 0, to), nil},
		{"to port 0", unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Addr: to.Addr}), unix.EINVAL},
		{"broadcast without SO_BROADCAST", unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Addr: [4]byte{255, 255, 255, 255}, Port: 9}), unix.EACCES},
		{"listen", unix.Listen(fd, 1), unix.EOPNOTSUPP},
		{"shutdown without a peer", unix.Shutdown(fd, unix.SHUT_RD), unix.ENOTCONN},
		{"out-of-band data", unix.Sendto(fd, []byte("x"), unix.MSG_OOB, to), unix.EOPNOTSUPP},
		{"bind twice", unix.Bind(fd, &unix.SockaddrInet4{}), unix.EINVAL},
		{"sendto with an address of another family", unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet6{Port: 9}), unix.EAFNOSUPPORT},
	} {
		if c.err != c.want {
			t.Errorf("%s: got error %v, want %v", c.what, c.err, c.want)
		}
	}
}
