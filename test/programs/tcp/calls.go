package main

import (
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// rawPair returns both ends of a TCP connection as blocking descriptors.
func rawPair(t *check.T) (a, b int) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	t.Must(err)
	defer unix.Close(l)
	t.Must(unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	t.Must(unix.Listen(l, 1))
	addr, err := unix.Getsockname(l)
	t.Must(err)
	a, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	t.Must(err)
	t.Must(unix.Connect(a, addr))
	b, _, err = unix.Accept4(l, unix.SOCK_CLOEXEC)
	t.Must(err)
	t.Cleanup(func() { unix.Close(a); unix.Close(b) })
	return a, b
}

// recv receives with flags; a signal of the runtime's doesn't count.
func recv(fd int, buf []byte, flags int) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, buf, flags)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// messages checks the flags of recv(2), and the vectors of sendmsg(2) and recvmsg(2).
func messages(t *check.T) {
	a, b := rawPair(t)
	buf := make([]byte, 100)
	_, err := recv(a, buf, unix.MSG_DONTWAIT)
	t.WantErr("MSG_DONTWAIT with nothing there", err, unix.EAGAIN)
	n, err := unix.SendmsgBuffers(b, [][]byte{[]byte("one"), nil, []byte("two"), []byte("three")}, nil, nil, 0)
	t.Must(err)
	check.Equal(t, "sendmsg", n, 11)
	n, err = recv(a, buf[:4], unix.MSG_PEEK|unix.MSG_WAITALL)
	t.Must(err)
	check.Equal(t, "MSG_PEEK", string(buf[:n]), "onet")
	first, second := make([]byte, 5), make([]byte, 6)
	n, _, _, from, err := unix.RecvmsgBuffers(a, [][]byte{first, second}, nil, unix.MSG_WAITALL)
	t.Must(err)
	check.Equal(t, "recvmsg", string(first)+string(second), "onetwothree")
	check.Equal(t, "recvmsg", n, 11)
	if from != nil {
		t.Errorf("recvmsg on a stream tells the address %v", from)
	}

	go func() {
		for _, piece := range []string{"ab", "cd", "ef"} {
			time.Sleep(5 * time.Millisecond)
			unix.Write(b, []byte(piece))
		}
	}()
	t.Undisturbed(func() { n, err = recv(a, buf[:6], unix.MSG_WAITALL) })
	t.Must(err)
	check.Equal(t, "MSG_WAITALL", string(buf[:n]), "abcdef")

	t.Must(unix.Shutdown(b, unix.SHUT_WR))
	n, err = recv(a, buf, 0)
	t.Must(err)
	check.Equal(t, "bytes at the end", n, 0)
	err = unix.Sendto(b, []byte("x"), unix.MSG_NOSIGNAL, nil)
	t.WantErr("send after shutdown", err, unix.EPIPE)
}

// blockingCalls makes plain blocking calls, as C programs do, and bounds them by SO_RCVTIMEO.
func blockingCalls(t *check.T) {
	a, b := rawPair(t)
	got := make(chan string)
	go func() {
		buf := make([]byte, 10)
		n, err := recv(a, buf, 0)
		if err != nil {
			t.Errorf("recv: %v", err)
		}
		got <- string(buf[:n])
	}()
	time.Sleep(5 * time.Millisecond)
	_, err := unix.Write(b, []byte("woken"))
	t.Must(err)
	check.Equal(t, "recv", <-got, "woken")

	t.Must(unix.SetsockoptTimeval(a, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20000}))
	start := time.Now()
	t.Undisturbed(func() { _, err = unix.Read(a, make([]byte, 1)) })
	t.WantErr("read with SO_RCVTIMEO", err, unix.EAGAIN)
	if took := time.Since(start); took < 15*time.Millisecond {
		t.Errorf("a time-out of 20 ms took %v", took)
	}
	t.Must(unix.SetsockoptTimeval(a, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{}))
	go func() {
		time.Sleep(5 * time.Millisecond)
		unix.Shutdown(a, unix.SHUT_RD)
	}()
	n, err := recv(a, make([]byte, 1), 0)
	t.Must(err)
	check.Equal(t, "bytes after SHUT_RD by another thread", n, 0)
}

func errnos(t *check.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	t.Must(err)
	defer unix.Close(fd)
	second := func(_ int, err error) error { return err }
	getpeername := func(fd int) error { _, err := unix.Getpeername(fd); return err }
	accept := func(fd int) error { _, _, err := unix.Accept4(fd, 0); return err }
	local := [4]byte{127, 0, 0, 1}
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"an unknown family", second(unix.Socket(255, unix.SOCK_STREAM, 0)), unix.EAFNOSUPPORT},
		{"an unknown type", second(unix.Socket(unix.AF_INET, 14, 0)), unix.EINVAL},
		{"a protocol that doesn't fit", second(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_UDP)), unix.EPROTONOSUPPORT},
		{"getpeername without a peer", getpeername(fd), unix.ENOTCONN},
		{"write without a peer", second(unix.Write(fd, []byte("x"))), unix.EPIPE},
		{"read without a peer", second(unix.Read(fd, make([]byte, 1))), unix.ENOTCONN},
		{"shutdown without a peer", unix.Shutdown(fd, unix.SHUT_WR), unix.ENOTCONN},
		{"accept without listen", accept(fd), unix.EINVAL},
		{"bind to a foreign address", unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}}), unix.EADDRNOTAVAIL},
		{"bind to IPv6", unix.Bind(fd, &unix.SockaddrInet6{}), unix.EAFNOSUPPORT},
		{"bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: local}), nil},
		{"bind twice", unix.Bind(fd, &unix.SockaddrInet4{Addr: local}), unix.EINVAL},
		{"listen", unix.Listen(fd, 5), nil},
		{"listen again", unix.Listen(fd, 10), nil},
		{"accept of nobody", accept(fd), unix.EAGAIN},
		{"connect of a listener", unix.Connect(fd, &unix.SockaddrInet4{Addr: local, Port: 1}), unix.EISCONN},
		{"lseek", seek(fd), unix.ESPIPE},
		{"pread", second(unix.Pread(fd, make([]byte, 1), 0)), unix.ESPIPE},
		{"shutdown with a bad direction", unix.Shutdown(fd, 7), unix.EINVAL},
	} {
		if c.err != c.want {
			t.Errorf("%s: got error %v, want %v", c.what, c.err, c.want)
		}
	}
	a, b := rawPair(t)
	addr, err := unix.Getpeername(a)
	t.Must(err)
	t.WantErr("connect twice", unix.Connect(a, addr), unix.EISCONN)
	t.WantErr("listen when connected", unix.Listen(b, 1), unix.EINVAL)
}

func seek(fd int) error {
	_, err := unix.Seek(fd, 0, 1)
	return err
}
