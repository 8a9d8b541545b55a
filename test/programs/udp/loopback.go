package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// patience is a deadline for what should happen soon.
const patience = time.Minute

// local returns a socket at a free port of the loopback interface.
func local(t *check.T) *net.UDPConn { return listen(t, "127.0.0.1:0") }

func listen(t *check.T, address string) *net.UDPConn {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	t.Must(err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// dial returns a socket that is connected with another.
func dial(t *check.T, to *net.UDPConn) *net.UDPConn {
	c, err := net.DialUDP("udp", nil, to.LocalAddr().(*net.UDPAddr))
	t.Must(err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func send(t *check.T, from *net.UDPConn, to netip.AddrPort, text string) {
	n, err := from.WriteToUDPAddrPort([]byte(text), to)
	t.Must(err)
	check.Equal(t, "bytes sent", n, len(text))
}

// want receives one datagram and checks it and its sender.
func want(t *check.T, c *net.UDPConn, text string, from netip.AddrPort) {
	buf := make([]byte, 64<<10)
	n, addr, err := c.ReadFromUDPAddrPort(buf)
	t.Must(err)
	if got := string(buf[:n]); got != text || addr != from {
		t.Errorf("got %.20q from %v, want %.20q from %v", got, addr, text, from)
	}
}

// wantNothing checks that no datagram is there.
func wantNothing(t *check.T, c *net.UDPConn) {
	raw, err := c.SyscallConn()
	t.Must(err)
	t.Must(raw.Control(func(fd uintptr) {
		buf := make([]byte, 100)
		if n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT); err != unix.EAGAIN {
			t.Errorf("got %q, %v; want nothing", buf[:max(n, 0)], err)
		}
	}))
}

func loopback(t *check.T) {
	a, b := local(t), local(t)
	for _, size := range []int{0, 1, 100, 1472, 1473, 8192, 65507} {
		text := string(bytes.Repeat([]byte{byte(size), 'x'}, size)[:size])
		send(t, a, addrOf(b), text)
		want(t, b, text, addrOf(a))
	}
}

// boundaries: datagrams come as they were sent, none merged or cut.
func boundaries(t *check.T) {
	a, b := local(t), local(t)
	for i := range 50 {
		send(t, a, addrOf(b), fmt.Sprint("datagram ", i))
	}
	for i := range 50 {
		want(t, b, fmt.Sprint("datagram ", i), addrOf(a))
	}
	wantNothing(t, b)
}

func ipv6Loopback(t *check.T) {
	a, b := listen(t, "[::1]:0"), listen(t, "[::1]:0")
	send(t, a, addrOf(b), "hello")
	want(t, b, "hello", addrOf(a))

	// A socket for both families sees IPv4 senders as mapped addresses.
	both := listen(t, "[::]:0")
	c := local(t)
	send(t, c, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addrOf(both).Port()), "mapped")
	mapped := netip.AddrPortFrom(netip.AddrFrom16(addrOf(c).Addr().As16()), addrOf(c).Port())
	want(t, both, "mapped", mapped)
	send(t, both, mapped, "back")
	want(t, c, "back", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addrOf(both).Port()))
}

// peerFilter: a connected socket gets datagrams of its peer only [connect(2)].
func peerFilter(t *check.T) {
	friend, stranger := local(t), local(t)
	c := dial(t, friend)
	for i := range 10 {
		send(t, stranger, addrOf(c), "stranger")
		send(t, friend, addrOf(c), fmt.Sprint("friend ", i))
		want(t, c, fmt.Sprint("friend ", i), addrOf(friend))
	}
	wantNothing(t, c)

	// The same port at another address is another peer.
	twin := listen(t, fmt.Sprintf("127.0.0.3:%d", addrOf(friend).Port()))
	send(t, twin, addrOf(c), "twin")
	send(t, friend, addrOf(c), "friend")
	want(t, c, "friend", addrOf(friend))
	wantNothing(t, c)

	// What came before connect(2) stays [Linux; POSIX leaves it open].
	open := local(t)
	send(t, stranger, addrOf(open), "before")
	raw, err := open.SyscallConn()
	t.Must(err)
	t.Must(raw.Control(func(fd uintptr) {
		t.Must(unix.Connect(int(fd), &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(addrOf(friend).Port())}))
	}))
	send(t, stranger, addrOf(open), "after")
	want(t, open, "before", addrOf(stranger))
	wantNothing(t, open)
}

// queuesAreApart: a socket that isn't read doesn't stop others.
func queuesAreApart(t *check.T) {
	idle, busy, sender := local(t), local(t), local(t)
	for range 5000 {
		send(t, sender, addrOf(idle), "nobody reads this")
	}
	for i := range 100 {
		send(t, sender, addrOf(busy), fmt.Sprint(i))
		want(t, busy, fmt.Sprint(i), addrOf(sender))
	}
	want(t, idle, "nobody reads this", addrOf(sender))
}

// queueIsBounded sends far more than a queue holds: it keeps the first ones, drops the rest, and takes new
// ones when there is room again.
func queueIsBounded(t *check.T) {
	c, sender := local(t), local(t)
	t.Must(c.SetReadBuffer(64 << 10))
	filler := string(bytes.Repeat([]byte{'f'}, 1000))
	const sent = 20000
	for i := range sent {
		send(t, sender, addrOf(c), fmt.Sprintf("%05d%s", i, filler))
	}
	got := 0
	buf := make([]byte, 2000)
	raw, err := c.SyscallConn()
	t.Must(err)
	t.Must(raw.Control(func(fd uintptr) {
		for {
			n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			if err == unix.EAGAIN {
				return
			}
			t.Must(err)
			if want := fmt.Sprintf("%05d", got); n != 1005 || string(buf[:5]) != want {
				t.Errorf("datagram %s has %.5q and %d bytes", want, buf, n)
			}
			got++
		}
	}))
	if got < 10 || got > 2000 {
		t.Errorf("a queue of 64 KiB held %d datagrams of 1,005 bytes", got)
	}
	send(t, sender, addrOf(c), "room again")
	want(t, c, "room again", addrOf(sender))
}

func blockedReader(t *check.T) {
	c, sender := local(t), local(t)
	got := make(chan string)
	for range 3 {
		go func() {
			buf := make([]byte, 10)
			n, _, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Errorf("read: %v", err)
			}
			got <- string(buf[:n])
		}()
	}
	time.Sleep(5 * time.Millisecond)
	for range 3 {
		send(t, sender, addrOf(c), "woken")
		check.Equal(t, "datagram", <-got, "woken")
	}
}

func manySockets(t *check.T) {
	const many = 200
	echo := local(t)
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := echo.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			echo.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	var wg sync.WaitGroup
	for i := range many {
		c := dial(t, echo)
		wg.Go(func() { pingPong(t, c, fmt.Sprint("socket ", i), 5) })
	}
	wg.Wait()
}

// pingPong exchanges datagrams over a connected socket.
func pingPong(t *check.T, c *net.UDPConn, text string, rounds int) {
	buf := make([]byte, 64<<10)
	for i := range rounds {
		if _, err := c.Write([]byte(text)); err != nil {
			t.Errorf("%.20s, round %d: %v", text, i, err)
			return
		}
		n, err := c.Read(buf)
		if err != nil || string(buf[:n]) != text {
			t.Errorf("%.20s, round %d: got %d bytes %.20q, %v", text, i, n, buf[:n], err)
			return
		}
	}
}

// refused: nobody listens, ICMP says so, and the connected socket's next call tells [udp(7)].
func refused(t *check.T) {
	gone := local(t)
	c := dial(t, gone)
	t.Must(gone.Close())
	_, err := c.Write([]byte("x"))
	t.Must(err)
	_, err = c.Read(make([]byte, 1))
	t.WantErr("read", err, unix.ECONNREFUSED)
	c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	t.WantErr("the error is told once", err, os.ErrDeadlineExceeded)
}

func deadlines(t *check.T) {
	c := local(t)
	start := time.Now()
	t.Must(c.SetReadDeadline(start.Add(20 * time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	t.WantErr("read", err, os.ErrDeadlineExceeded)
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("20 ms took %v", took)
	}
}

func portInUse(t *check.T) {
	c := local(t)
	_, err := net.ListenUDP("udp", c.LocalAddr().(*net.UDPAddr))
	t.WantErr("listen twice", err, unix.EADDRINUSE)
	t.Must(c.Close())
	again, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrOf(c)))
	t.Must(err)
	again.Close()
}
