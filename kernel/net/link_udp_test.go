package net

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
	"wick/packet"
)

// udpOn makes a UDP socket on a port.
func udpOn(t *testing.T, w *ours, sa []byte) *oursFD {
	t.Helper()
	family, _ := sockaddrFamily(sa)
	fd := must[int](t)(w.socket(family, unix.SOCK_DGRAM, 0))
	check(t, w.bind(fd, sa))
	return w.fds[fd]
}

func sendTo(t *testing.T, s Socket, data string, to []byte) {
	t.Helper()
	src := vfs.Bytes(data)
	if _, err := s.Send(&src, &Message{Addr: to}); err != nil {
		t.Fatal(err)
	}
}

// recvFrom waits for a datagram.
func recvFrom(t *testing.T, s Socket) (data string, m Message) {
	t.Helper()
	buf := make([]byte, 1<<16)
	var n int64
	check(t, block(s, waiter.ReadableEvents, 0, func() (err error) {
		m = Message{WantAddr: true, Control: make([]byte, 0, 256)}
		dst := vfs.Bytes(buf)
		n, err = s.Recv(&dst, &m)
		return err
	}))
	return string(buf[:n]), m
}

// counter returns a counter of the stack.
func counter(s *Stack, name string) (v uint64) {
	s.Counters(func(n string, x uint64) {
		if n == name {
			v = x
		}
	})
	return v
}

func TestConnectedUDPHearsOnlyItsPeer(t *testing.T) {
	a, b, _, _ := testStacks(t, Options{})
	peer, stranger := udpOn(t, b, sa4("192.0.2.2", 1000)), udpOn(t, b, sa4("192.0.2.2", 1001))
	s := udpOn(t, a, sa4("192.0.2.1", 2000))
	check(t, s.Connect(sa4("192.0.2.2", 1000)))
	// Datagrams that wait for the answer to ARP don't keep their order: the engine sends them on another goroutine.
	sendTo(t, peer, "first", sa4("192.0.2.1", 2000))
	recvFrom(t, s)
	sendTo(t, stranger, "stranger", sa4("192.0.2.1", 2000))
	sendTo(t, peer, "peer", sa4("192.0.2.1", 2000))
	if data, _ := recvFrom(t, s); data != "peer" {
		t.Errorf("got %q", data)
	}
	// The stranger is told that there is nobody for it, and the answer went in order before the peer's datagram.
	if counter(a.s, "udp.dropped-no-port") != 1 {
		t.Error("the stranger's datagram isn't counted")
	}
}

func TestPortUnreachable(t *testing.T) {
	a, b, _, _ := testStacks(t, Options{})
	for _, sa := range [][]byte{sa4("192.0.2.2", 9), sa6("fe80::ff:fe00:2", 9)} {
		family, _ := sockaddrFamily(sa)
		if family == unix.AF_INET6 {
			sa[24] = 2
		}
		fd := must[int](t)(a.socket(family, unix.SOCK_DGRAM, 0))
		s := a.fds[fd]
		check(t, s.Connect(sa))
		sendTo(t, s, "x", nil)
		if a.poll(fd, unix.POLLIN, 20_000)&unix.POLLERR == 0 {
			t.Error("no error is announced")
		}
		src := vfs.Bytes("x")
		if _, err := s.Write(&src, 0); err != unix.ECONNREFUSED {
			t.Errorf("send after port unreachable: %v", err)
		}
	}
	_ = b
}

func TestUDPQueueIsBounded(t *testing.T) {
	a, _, la, _ := testStacks(t, Options{})
	for _, size := range []int{0, 1, 1000} {
		s := udpOn(t, a, sa4("192.0.2.1", 3000))
		f := appendUDPFrame(nil, [6]byte{2, 0, 0, 0, 0, 9}, la.mac, addr4(192, 0, 2, 9), addr4(192, 0, 2, 1), 1, 3000, make([]byte, size))
		before := counter(a.s, "udp.receive-queue-full")
		const many = 5000
		for range many {
			la.receive(f)
		}
		dropped := s.Socket.(Drops).Dropped()
		if dropped == 0 || counter(a.s, "udp.receive-queue-full")-before != dropped {
			t.Errorf("%d bytes: %d dropped, the stack counts %d", size, dropped, counter(a.s, "udp.receive-queue-full")-before)
		}
		kept := 0
		for s.Readiness(waiter.EventIn) != 0 {
			recvFrom(t, s)
			kept++
		}
		if uint64(kept)+dropped != many || kept > defaultDatagramBuffer/datagramSlotCost {
			t.Errorf("%d bytes: %d kept, %d dropped of %d", size, kept, dropped, many)
		}
		la.receive(f) // there is room again
		recvFrom(t, s)
		s.Close()
		a.fds = a.fds[:len(a.fds)-1]
	}
}

func TestBrokenDatagramsAreCounted(t *testing.T) {
	c := newCrafter(t, Options{}) // nothing is on the wire but what the test sends
	a, la := c.stack, c.link.peer
	settle(t, "the announcement of the stack's IPv6 address, which it hears itself", func() bool {
		return counter(a.s, "ip.dropped-destination") == 1
	})
	s := udpOn(t, a, sa4("192.0.2.1", 3000))
	frame := func() []byte {
		return appendUDPFrame(nil, [6]byte{2, 0, 0, 0, 0, 9}, la.mac, addr4(192, 0, 2, 9), addr4(192, 0, 2, 1), 1, 3000, []byte("data"))
	}
	for _, c := range []struct {
		counter string
		spoil   func(f []byte) []byte
	}{
		{"udp.dropped-checksum", func(f []byte) []byte { f[len(f)-1]++; return f }},
		{"udp.dropped-malformed", func(f []byte) []byte { f[14+20+4] = 0xff; return f }},
		{"eth0.rx-dropped-runt", func(f []byte) []byte { return f[:13] }},
		{"eth0.rx-dropped-other-host", func(f []byte) []byte { f[5]++; return f }},
		{"ip.dropped-malformed", func(f []byte) []byte { return f[:20] }},
		{"ip.dropped-destination", func(f []byte) []byte {
			return appendUDPFrame(nil, [6]byte{2, 0, 0, 0, 0, 9}, la.mac, addr4(192, 0, 2, 9), addr4(192, 0, 2, 77), 1, 3000, nil)
		}},
		{"udp.dropped-no-port", func(f []byte) []byte {
			return appendUDPFrame(nil, [6]byte{2, 0, 0, 0, 0, 9}, la.mac, addr4(192, 0, 2, 9), addr4(192, 0, 2, 1), 1, 3001, nil)
		}},
	} {
		before := counter(a.s, c.counter)
		la.receive(c.spoil(frame()))
		if got := counter(a.s, c.counter) - before; got != 1 {
			t.Errorf("%s: counted %d times", c.counter, got)
		}
	}
	if s.Readiness(waiter.EventIn) != 0 {
		t.Error("something broken was delivered")
	}
	padded := append(frame(), make([]byte, 14)...) // a short frame is padded to 60 bytes
	la.receive(padded)
	if data, _ := recvFrom(t, s); data != "data" {
		t.Errorf("padded frame: %q", data)
	}
}

// screeningLink is a Link that asks first.
type screeningLink struct {
	*testLink
	screen func([]byte) string
}

func (l *screeningLink) Screen(screen func([]byte) string) { l.screen = screen }

// TestLinksLearnWhyFramesAreDropped: what the stack drops by the link header or for want of memory.
func TestLinksLearnWhyFramesAreDropped(t *testing.T) {
	a, _ := newTestLinks(t)
	short, low := false, false
	l := &screeningLink{testLink: a}
	e := newLinkEndpoint(l, memory{short: func() bool { return short }, low: func() bool { return low }})
	frame := func(size int) []byte {
		return appendUDPFrame(nil, [6]byte{2, 0, 0, 0, 0, 9}, a.mac, addr4(192, 0, 2, 9), addr4(192, 0, 2, 1), 1, 3000, make([]byte, size))
	}
	other := frame(4)
	other[5]++
	for _, c := range []struct {
		frame      []byte
		short, low bool
		want       string
	}{
		{frame(4), false, false, ""}, {frame(4), true, false, ""}, {frame(4), true, true, "rx-no-memory"},
		{frame(1000), true, false, "rx-no-memory"}, {frame(1000), false, false, ""},
		{other, false, false, "rx-other-host"}, {other[:13], false, false, "rx-runt"},
		{append([]byte{1}, other[1:]...), false, false, ""}, // a group
	} {
		short, low = c.short, c.low
		if got := l.screen(c.frame); got != c.want {
			t.Errorf("%d bytes, short %v, low %v: %q, want %q", len(c.frame), c.short, c.low, got, c.want)
		}
	}
	if r, o, m := e.drops.runt.Load(), e.drops.otherHost.Load(), e.drops.memory.Load(); r != 1 || o != 1 || m != 2 {
		t.Errorf("counted %d runts, %d for others, %d without memory", r, o, m)
	}
	e.receive(other, packet.ChecksumUnknown) // it has been asked
	if n := e.drops.otherHost.Load(); n != 1 {
		t.Errorf("counted again: %d", n)
	}
}

func TestLargeDatagrams(t *testing.T) {
	a, b, _, _ := testStacks(t, Options{})
	s, d := udpOn(t, a, sa4("192.0.2.1", 1)), udpOn(t, b, sa4("192.0.2.2", 1))
	for _, n := range []int{1472, 1473, 8000, 65507} {
		data := string(make([]byte, n-1)) + "x"
		sendTo(t, s, data, sa4("192.0.2.2", 1))
		if got, _ := recvFrom(t, d); got != data {
			t.Errorf("%d bytes: got %d", n, len(got))
		}
	}
	check(t, s.SetOption(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, []byte{unix.IP_PMTUDISC_DO, 0, 0, 0}))
	src := vfs.Bytes(make([]byte, 1473))
	if _, err := s.Send(&src, &Message{Addr: sa4("192.0.2.2", 1)}); err != unix.EMSGSIZE {
		t.Errorf("too big for one packet: %v", err)
	}
}

func TestBroadcast(t *testing.T) {
	a, b, _, _ := testStacks(t, Options{})
	s, d := udpOn(t, a, sa4("192.0.2.1", 1)), udpOn(t, b, sa4("0.0.0.0", 1))
	for _, to := range []string{"192.0.2.255", "255.255.255.255"} {
		check(t, s.SetOption(unix.SOL_SOCKET, unix.SO_BROADCAST, []byte{0, 0, 0, 0}))
		src := vfs.Bytes("x")
		if _, err := s.Send(&src, &Message{Addr: sa4(to, 1)}); err != unix.EACCES {
			t.Errorf("%s without SO_BROADCAST: %v", to, err)
		}
		check(t, s.SetOption(unix.SOL_SOCKET, unix.SO_BROADCAST, []byte{1, 0, 0, 0}))
		sendTo(t, s, to, sa4(to, 1))
		if data, _ := recvFrom(t, d); data != to {
			t.Errorf("got %q", data)
		}
	}
}

func TestMulticast(t *testing.T) {
	a, b, _, _ := testStacks(t, Options{})
	t.Run("IPv4", func(t *testing.T) {
		s, d := udpOn(t, a, sa4("192.0.2.1", 5353)), udpOn(t, b, sa4("0.0.0.0", 5353))
		check(t, s.SetOption(unix.IPPROTO_IP, unix.IP_MULTICAST_IF, []byte{192, 0, 2, 1}))
		mreq := []byte{239, 1, 2, 3, 192, 0, 2, 2}
		check(t, d.SetOption(unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq))
		if err := d.SetOption(unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq); err != unix.EADDRINUSE {
			t.Errorf("joined twice: %v", err)
		}
		sendTo(t, s, "group", sa4("239.1.2.3", 5353))
		if data, _ := recvFrom(t, d); data != "group" {
			t.Errorf("got %q", data)
		}
		check(t, d.SetOption(unix.IPPROTO_IP, unix.IP_DROP_MEMBERSHIP, mreq))
		if err := d.SetOption(unix.IPPROTO_IP, unix.IP_DROP_MEMBERSHIP, mreq); err != unix.EADDRNOTAVAIL {
			t.Errorf("left twice: %v", err)
		}
	})
	t.Run("IPv6", func(t *testing.T) {
		s, d := udpOn(t, a, sa6("::", 5354)), udpOn(t, b, sa6("::", 5354))
		check(t, s.SetOption(unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, []byte{2, 0, 0, 0}))
		group := netip.MustParseAddr("ff02::fb").As16()
		mreq := append(group[:], 2, 0, 0, 0)
		check(t, d.SetOption(unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, mreq))
		sendTo(t, s, "group", sa6("ff02::fb", 5354))
		if data, _ := recvFrom(t, d); data != "group" {
			t.Errorf("got %q", data)
		}
		check(t, d.SetOption(unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, mreq))
	})
}

func TestPing(t *testing.T) {
	a, _, _, _ := testStacks(t, Options{})
	echo := func(kind byte) string { return string([]byte{kind, 0, 0, 0, 0, 0, 0, 1}) + "payload" }
	t.Run("ping socket", func(t *testing.T) {
		fd := must[int](t)(a.socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP))
		s := a.fds[fd]
		sendTo(t, s, echo(8), sa4("192.0.2.2", 0))
		data, m := recvFrom(t, s)
		if data[0] != 0 || data[6:] != echo(0)[6:] || portOf(m.Addr) != 0 {
			t.Errorf("got %q from %v", data, m.Addr)
		}
		src := vfs.Bytes(echo(3))
		if _, err := s.Send(&src, &Message{Addr: sa4("192.0.2.2", 0)}); err != unix.EINVAL {
			t.Errorf("not an echo request: %v", err)
		}
	})
	t.Run("ping socket over IPv6", func(t *testing.T) {
		fd := must[int](t)(a.socket(unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6))
		sa := sa6("fe80::ff:fe00:2", 0)
		sa[24] = 2
		sendTo(t, a.fds[fd], echo(128), sa)
		if data, _ := recvFrom(t, a.fds[fd]); data[0] != 129 || data[6:] != echo(0)[6:] {
			t.Errorf("got %q", data)
		}
	})
	t.Run("raw", func(t *testing.T) {
		fd := must[int](t)(a.socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP))
		s := a.fds[fd]
		check(t, s.SetOption(unix.SOL_RAW, icmpFilter, []byte{0xfe, 0xff, 0xff, 0xff})) // echo replies only
		req := []byte(echo(8))
		sum := foldSum(internetSum(0, req))
		req[2], req[3] = byte(sum>>8), byte(sum)
		sendTo(t, s, string(req), sa4("192.0.2.2", 0))
		data, m := recvFrom(t, s)
		if data[0] != 0x45 || data[9] != 1 || data[20] != 0 || data[28:] != "payload" || string(m.Addr[4:8]) != "\xc0\x00\x02\x02" {
			t.Errorf("got %q from %v", data, m.Addr)
		}
	})
	t.Run("raw over IPv6, with a filter", func(t *testing.T) {
		fd := must[int](t)(a.socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6))
		s := a.fds[fd]
		filter := bytes.Repeat([]byte{0xff}, 32)
		filter[129/8] &^= 1 << (129 % 8) // echo replies only: not the request, which comes back too
		check(t, s.SetOption(unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, filter))
		got := make([]byte, 40)
		if n, err := s.Option(unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, got); err != nil || !bytes.Equal(got[:n], filter) {
			t.Errorf("the filter is %x, %v; want %x", got[:n], err, filter)
		}
		sendTo(t, s, echo(128), sa6("::1", 0))
		if data, _ := recvFrom(t, s); data[0] != 129 || data[8:] != "payload" {
			t.Errorf("got %q", data)
		}
	})
}

func TestAnnouncements(t *testing.T) {
	la, lb := newTestLinks(t)
	la.watch()
	la.setUp(false)
	s, err := New(Options{})
	check(t, err)
	defer s.Close()
	check(t, s.AddLink(la, "eth0", LinkConfig{Address: netip.MustParsePrefix("192.0.2.1/24")}))
	announced := func() (arp, na int) {
		for _, f := range la.frames() {
			switch {
			case len(f) == 42 && f[12] == 8 && f[13] == 6 && string(f[28:32]) == string(f[38:42]):
				arp++
			case len(f) == 86 && f[12] == 0x86 && f[54] == 136:
				na++
			}
		}
		return arp, na
	}
	if arp, na := announced(); arp+na > 0 {
		t.Error("announced while the link was down")
	}
	la.setUp(true)
	settle(t, "announcements", func() bool { arp, na := announced(); return arp == 1 && na == 1 })
	// The other machine learns from it: its first packet needs no question.
	z, err := New(Options{})
	check(t, err)
	defer z.Close()
	check(t, z.AddLink(lb, "eth0", LinkConfig{Address: netip.MustParsePrefix("192.0.2.2/24")}))
	if z.Configured("eth0") == nil || z.Configured("eth1") != nil {
		t.Error("Configured")
	}
	select {
	case <-z.Configured("eth0"):
	case <-time.After(testPatience):
		t.Error("a static address is there at once")
	}
}

func TestSocketLimit(t *testing.T) {
	s, err := New(Options{MaxSockets: 3})
	check(t, err)
	defer s.Close()
	var open []Socket
	for range 3 {
		open = append(open, must[Socket](t)(s.NewSocket(unix.AF_INET, unix.SOCK_STREAM, 0)))
	}
	if _, err := s.NewSocket(unix.AF_INET, unix.SOCK_DGRAM, 0); err != unix.ENFILE {
		t.Errorf("one too many: %v", err)
	}
	for _, k := range open {
		k.Close()
	}
	if s.Sockets() != 0 {
		t.Errorf("%d sockets are left", s.Sockets())
	}
}
