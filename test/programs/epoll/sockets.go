package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// socket returns a non-blocking socket that goes with the case.
func socket(t *check.T, kind int) int {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	t.Must(err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// bound binds a socket to a free port of the loopback interface and returns its address.
func bound(t *check.T, fd int) unix.Sockaddr {
	t.Must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	addr, err := unix.Getsockname(fd)
	t.Must(err)
	return addr
}

// connected returns both ends of a TCP connection.
func connected(t *check.T) (a, b int) {
	l, a := socket(t, unix.SOCK_STREAM), socket(t, unix.SOCK_STREAM)
	addr := bound(t, l)
	t.Must(unix.Listen(l, 1))
	if err := unix.Connect(a, addr); err != unix.EINPROGRESS {
		t.Must(err)
	}
	ep := newWatch(t)
	ep.add(l, unix.EPOLLIN)
	ep.await("the listener", in(l))
	b, _, err := unix.Accept4(l, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	t.Must(err)
	t.Cleanup(func() { unix.Close(b) })
	ep.del(l)
	ep.add(a, unix.EPOLLOUT)
	ep.await("the connection", out(a))
	soerr, err := unix.GetsockoptInt(a, unix.SOL_SOCKET, unix.SO_ERROR)
	t.Must(err)
	check.Equal(t, "SO_ERROR", soerr, 0)
	return a, b
}

const all = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP

func sockets(t *check.T) {
	a, b := connected(t)
	ep := newWatch(t)
	ep.add(b, all|unix.EPOLLET)
	ep.await("a new connection", out(b))
	ep.want("the second time")
	write(t, a, "hello")
	ep.await("data", inOut(b))
	ep.want("the second time")
	write(t, a, "!")
	ep.await("more data", inOut(b))
	check.Equal(t, "data", read(t, b, 100), "hello!")
	ep.want("after reading")

	t.Must(unix.Shutdown(a, unix.SHUT_WR))
	ep.gather("half closed", b, fmt.Sprintf("%d:in|out|rdhup", b))
	check.Equal(t, "end", read(t, b, 100), "")
	write(t, b, "still")
	other := newWatch(t)
	other.add(a, unix.EPOLLIN)
	other.await("the other direction", in(a))
	check.Equal(t, "data", read(t, a, 100), "still")
	t.Must(unix.Shutdown(b, unix.SHUT_WR))
	other.settle("closed both ways", fmt.Sprintf("%d:in|hup", a))

	// A reset shows as an error and as the end.
	a, b = connected(t)
	ep = newWatch(t)
	ep.add(b, unix.EPOLLIN|unix.EPOLLRDHUP)
	t.Must(unix.SetsockoptLinger(a, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	t.Must(unix.Close(a))
	ep.settle("reset", fmt.Sprintf("%d:in|rdhup|err|hup", b))
	_, err := unix.Read(b, make([]byte, 1))
	t.WantErr("read after a reset", err, unix.ECONNRESET)

	// Nobody listens: the connection fails with an event.
	fd, free := socket(t, unix.SOCK_STREAM), socket(t, unix.SOCK_STREAM)
	addr := bound(t, free)
	ep = newWatch(t)
	ep.add(fd, unix.EPOLLOUT|unix.EPOLLET)
	ep.want("a new socket", fmt.Sprintf("%d:out|hup", fd))
	if err := unix.Connect(fd, addr); err == unix.EINPROGRESS {
		ep.gather("refused", fd, fmt.Sprintf("%d:out|err|hup", fd))
		soerr, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		t.Must(err)
		check.Equal(t, "SO_ERROR", unix.Errno(soerr), unix.ECONNREFUSED)
	} else {
		t.WantErr("connect", err, unix.ECONNREFUSED)
	}
}

// endOnly checks that who waits for nothing but the end of the peer's half hears of that, and not of data.
func endOnly(t *check.T) {
	for _, mode := range []uint32{0, unix.EPOLLET, unix.EPOLLONESHOT} {
		a, b := connected(t)
		ep := newWatch(t)
		ep.add(b, unix.EPOLLRDHUP|mode)
		write(t, a, "data")
		in := newWatch(t)
		in.add(b, unix.EPOLLIN)
		in.await("data", fmt.Sprintf("%d:in", b))
		ep.want("data has come")
		t.Must(unix.Shutdown(a, unix.SHUT_WR))
		events := ep.wait(1, 10000)
		check.Equal(t, "half closed", render(events), fmt.Sprintf("%d:rdhup", b))
		t.Must(unix.Close(a))
		t.Must(unix.Close(b))
	}
}

func listener(t *check.T) {
	l := socket(t, unix.SOCK_STREAM)
	addr := bound(t, l)
	t.Must(unix.Listen(l, 10))
	ep := newWatch(t)
	ep.add(l, unix.EPOLLIN|unix.EPOLLET)
	ep.want("nobody")
	for range 3 {
		c := socket(t, unix.SOCK_STREAM)
		if err := unix.Connect(c, addr); err != unix.EINPROGRESS {
			t.Must(err)
		}
		ep.await("a connection", in(l))
		fd, from, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
		t.Must(err)
		local, err := unix.Getsockname(c)
		t.Must(err)
		check.Equal(t, "peer", fmt.Sprint(from.(*unix.SockaddrInet4).Port), fmt.Sprint(local.(*unix.SockaddrInet4).Port))
		_, _, err = unix.Accept4(l, 0)
		t.WantErr("accept of nobody", err, unix.EAGAIN)
		t.Must(unix.Close(fd))
	}
}

func udp(t *check.T) {
	a, b := socket(t, unix.SOCK_DGRAM), socket(t, unix.SOCK_DGRAM)
	bound(t, a)
	addr := bound(t, b)
	ep := newWatch(t)
	ep.add(b, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET)
	ep.want("a new socket", out(b))
	for range 3 {
		t.Must(unix.Sendto(a, []byte("x"), 0, addr))
		ep.await("a datagram", inOut(b))
		ep.want("the second time")
	}
	for range 3 {
		check.Equal(t, "datagram", read(t, b, 10), "x")
	}
	_, err := unix.Read(b, make([]byte, 1))
	t.WantErr("read of nothing", err, unix.EAGAIN)
	ep.mod(b, unix.EPOLLIN)
	ep.want("empty")
}
