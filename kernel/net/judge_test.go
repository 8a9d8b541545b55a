package net

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/faketime"
)

// testJudge keeps what it is told. Frames are numbered from 1.
type testJudge struct {
	mu     sync.Mutex
	now    []string          // by number less 1
	later  map[uint64]string // told by Dropped
	change chan struct{}     // receives when something has been told, if somebody listens
}

func newTestJudge() *testJudge {
	return &testJudge{later: map[uint64]string{}, change: make(chan struct{}, 1)}
}

func (j *testJudge) Settle(drop string) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.now = append(j.now, drop)
	return uint64(len(j.now))
}

func (j *testJudge) Dropped(number uint64, drop string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.later[number] != "" {
		drop = "twice: " + drop
	}
	j.later[number] = drop
	select {
	case j.change <- struct{}{}:
	default:
	}
}

// verdicts returns what is known of each frame.
func (j *testJudge) verdicts() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := slices.Clone(j.now)
	for n, drop := range j.later {
		out[n-1] += "later " + drop
	}
	return out
}

// judged is a stack at 192.0.2.1 and fe80::1's link, whose frames a test makes.
type judged struct {
	*ours
	link  *testLink
	judge *testJudge
	clock *faketime.ManualClock
}

func newJudged(t *testing.T) *judged {
	clock := faketime.NewManualClock()
	s, err := New(Options{clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	link, _ := newTestLinks(t)
	w := &judged{&ours{t: t, s: s}, link, newTestJudge(), clock}
	t.Cleanup(func() {
		for fd := range w.fds {
			w.close(fd)
		}
		s.Close()
	})
	if err := s.AddLink(link, "eth0", LinkConfig{Address: netip.MustParsePrefix("192.0.2.1/24"), Judge: w.judge}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Second) // the link-local address is there
	return w
}

// get has the stack receive a frame and returns what becomes of it.
func (w *judged) get(frame []byte) string {
	w.link.deliver(slices.Clone(frame))
	v := w.judge.verdicts()
	return v[len(v)-1]
}

var (
	judgeUs, judgePeer   = net.IP{192, 0, 2, 1}, net.IP{192, 0, 2, 2}
	judgeUs6, judgePeer6 = net.ParseIP("fe80::ff:fe00:1"), net.ParseIP("fe80::2")
)

// wire puts a frame for the stack together, and changes it before the checksums of IP are made if change isn't nil.
func wire(t testing.TB, typ layers.EthernetType, parts ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, EthernetType: typ}
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		append([]gopacket.SerializableLayer{eth}, parts...)...); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(buf.Bytes())
}

func judgeIP4(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Id: 7, Protocol: protocol, SrcIP: judgePeer, DstIP: judgeUs}
}

func judgeIP6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: next, SrcIP: judgePeer6, DstIP: judgeUs6}
}

// udpTo and tcpTo are frames with a transport over IPv4 or IPv6.
func udpTo(t testing.TB, v6 bool, port layers.UDPPort, data string) []byte {
	u := &layers.UDP{SrcPort: 4000, DstPort: port}
	if v6 {
		ip := judgeIP6(layers.IPProtocolUDP)
		u.SetNetworkLayerForChecksum(ip)
		return wire(t, layers.EthernetTypeIPv6, ip, u, gopacket.Payload(data))
	}
	ip := judgeIP4(layers.IPProtocolUDP)
	u.SetNetworkLayerForChecksum(ip)
	return wire(t, layers.EthernetTypeIPv4, ip, u, gopacket.Payload(data))
}

func tcpTo(t testing.TB, v6 bool, h layers.TCP) []byte {
	h.SrcPort, h.Window = 4000, 1000
	if v6 {
		ip := judgeIP6(layers.IPProtocolTCP)
		h.SetNetworkLayerForChecksum(ip)
		return wire(t, layers.EthernetTypeIPv6, ip, &h)
	}
	ip := judgeIP4(layers.IPProtocolTCP)
	h.SetNetworkLayerForChecksum(ip)
	return wire(t, layers.EthernetTypeIPv4, ip, &h)
}

// with returns a frame with other bytes at an offset.
func with(frame []byte, at int, b ...byte) []byte {
	frame = slices.Clone(frame)
	copy(frame[at:], b)
	return frame
}

// resum makes the checksum of a frame's IPv4 header right.
func resum(frame []byte) []byte {
	h := frame[14:34]
	h[10], h[11] = 0, 0
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(h[i])<<8 | uint32(h[i+1])
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	h[10], h[11] = byte(^sum>>8), byte(^sum)
	return frame
}

// TestJudge: of each frame the watcher learns whether it was dropped, and why.
func TestJudge(t *testing.T) {
	w := newJudged(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fd, err := w.socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	must(err)
	must(w.bind(fd, sa6("::", 5000)))
	listener, err := w.socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	must(err)
	must(w.bind(listener, sa6("::", 80)))
	must(w.listen(listener, 5))

	const ip, ip6 = 14, 14
	udp, udp6, open := udpTo(t, false, 5000, "hello"), udpTo(t, true, 5000, "hello"), layers.TCP{DstPort: 80, SYN: true, Seq: 1}
	echo := wire(t, layers.EthernetTypeIPv4, judgeIP4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 1, Seq: 1}, gopacket.Payload("ping"))
	echo6 := func() []byte {
		ip := judgeIP6(layers.IPProtocolICMPv6)
		h := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}
		h.SetNetworkLayerForChecksum(ip)
		return wire(t, layers.EthernetTypeIPv6, ip, h, gopacket.Payload("\x00\x01\x00\x01ping"))
	}()
	arp := wire(t, layers.EthernetTypeARP, &layers.ARP{AddrType: 1, Protocol: 0x800, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
		SourceHwAddress: []byte{2, 0, 0, 0, 0, 2}, SourceProtAddress: judgePeer, DstHwAddress: make([]byte, 6), DstProtAddress: judgeUs})
	for _, c := range []struct {
		name, want string
		frame      []byte
	}{
		{"UDP", "", udp},
		{"UDP over IPv6", "", udp6},
		{"SYN", "", tcpTo(t, false, open)},
		{"SYN over IPv6", "", tcpTo(t, true, open)},
		{"ping", "", echo},
		{"ping over IPv6", "", echo6},
		{"ARP", "", arp},
		{"runt", "rx-runt", udp[:13]},
		{"other station", "rx-other-host", with(udp, 5, 9)},
		{"LLDP", dropUnknownType, with(udp, 12, 0x88, 0xcc)},
		{"ARP of another kind of address", dropARPMalformed, with(arp, 16, 0x12)},
		{"ARP, cut", dropARPMalformed, arp[:30]},
		{"no IP header", dropIPMalformed, udp[:20]},
		{"no IPv6 header", dropIPMalformed, udp6[:40]},
		{"version", dropIPMalformed, with(udp, ip, 0x65)},
		{"IP checksum", dropIPChecksum, with(udp, ip+10, 0xba, 0xad)},
		{"total length", dropIPMalformed, resum(with(udp, ip+2, 0xff, 0xff))},
		{"other address", dropIPDestination, resum(with(udp, ip+19, 77))},
		{"other address, IPv6", dropIPDestination, with(udp6, ip6+39, 77)},
		{"a group that we aren't in", dropIPGroup, with(resum(with(udp, ip+16, 224, 9, 9, 9)), 0, 1, 0, 0x5e, 9, 9, 9)},
		{"multicast source", dropIPSource, resum(with(udp, ip+12, 224, 0, 0, 1))},
		{"our own source", dropIPSource, resum(with(udp, ip+12, 192, 0, 2, 1))},
		{"loopback source", dropIPSource, resum(with(udp, ip+12, 127, 0, 0, 1))},
		{"protocol 200", dropIPProtocol, resum(with(udp, ip+9, 200))},
		{"protocol 200 over IPv6", dropIPProtocol, with(udp6, ip6+6, 200)},
		{"UDP checksum", dropUDPChecksum, with(udp, ip+26, 0xba, 0xad)},
		{"UDP checksum over IPv6", dropUDPChecksum, with(udp6, ip6+46, 0xba, 0xad)},
		{"UDP length", dropUDPMalformed, with(udp, ip+24, 0, 4)},
		{"closed UDP port", dropUDPPort, udpTo(t, false, 5001, "hello")},
		{"closed UDP port over IPv6", dropUDPPort, udpTo(t, true, 5001, "hello")},
		{"closed UDP port, bad checksum", dropUDPChecksum, with(udpTo(t, false, 5001, "hello"), ip+26, 0xba, 0xad)},
		{"closed TCP port", dropTCPPort, tcpTo(t, false, layers.TCP{DstPort: 81, SYN: true})},
		{"closed TCP port over IPv6", dropTCPPort, tcpTo(t, true, layers.TCP{DstPort: 81, SYN: true})},
		{"TCP checksum", dropTCPChecksum, with(tcpTo(t, false, open), ip+36, 0xba, 0xad)},
		{"TCP checksum, closed port", dropTCPChecksum, with(tcpTo(t, false, layers.TCP{DstPort: 81, SYN: true}), ip+36, 0xba, 0xad)},
		{"TCP data offset", dropTCPMalformed, with(tcpTo(t, false, open), ip+32, 0xf0)},
		{"TCP broadcast", dropTCPNotUnicast, with(tcpTo(t, false, open), 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
		{"ICMP checksum", dropICMPChecksum, with(echo, ip+22, 0xba, 0xad)},
		{"ICMP checksum over IPv6", dropICMPChecksum, with(echo6, ip6+42, 0xba, 0xad)},
		{"ICMP, cut", dropICMPMalformed, resum(with(echo, ip+2, 0, 24)[:ip+24])},
		{"one fragment too long", dropIPFragments, resum(with(udp, ip+6, 0x1f, 0xff))},
	} {
		if got := w.get(c.frame); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	must(w.setopt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, []byte{1, 0, 0, 0}))
	got := ""
	for range 100 {
		if got = w.get(udp); got != "" {
			break
		}
	}
	if got != dropSocketQueueFull {
		t.Errorf("full queue: %q", got)
	}
	_ = w.shutdown(fd, unix.SHUT_RD) // says ENOTCONN, and does it
	if got := w.get(udp); got != dropSocketShut {
		t.Errorf("shut socket: %q", got)
	}
}

// fragmentsOf cuts a frame with an IPv4 datagram at the given bytes of its payload, multiples of 8.
func fragmentsOf(frame []byte, cuts ...int) (out [][]byte) {
	body, from := frame[34:], 0
	for i := range len(cuts) + 1 {
		to, more := len(body), byte(0)
		if i < len(cuts) {
			to, more = cuts[i], 0x20
		}
		f := append(slices.Clone(frame[:34]), body[from:to]...)
		f[16], f[17] = byte((20+to-from)>>8), byte(20+to-from)
		f[20], f[21] = more|byte(from/8>>8), byte(from/8)
		out = append(out, resum(f))
		from = to
	}
	return out
}

// TestJudgeFragments: what has been kept is told of when it is thrown away, and never if it isn't.
func TestJudgeFragments(t *testing.T) {
	w := newJudged(t)
	fd, err := w.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.bind(fd, sa4("0.0.0.0", 5000)); err != nil {
		t.Fatal(err)
	}
	send := func(id byte, frame []byte, which ...int) {
		for _, i := range which {
			w.link.deliver(resum(with(fragmentsOf(frame, 16, 32)[i], 19, id)))
		}
	}
	const data = "a datagram that comes in three parts"
	good := udpTo(t, false, 5000, data)
	send(1, good, 0, 2, 1)                                           // whole
	send(2, udpTo(t, false, 5001, data), 0, 1, 2)                    // nobody's
	send(3, with(good, 40, 0xba, 0xad), 1, 0, 2)                     // damaged
	send(4, good, 0, 1)                                              // never whole
	w.link.deliver(resum(with(fragmentsOf(good, 16, 32)[0], 19, 5))) // 12, 13: the second overlaps
	w.link.deliver(resum(with(fragmentsOf(good, 8, 32)[1], 19, 5)))
	want := []string{
		"", "", "",
		"later " + dropUDPPort, "later " + dropUDPPort, dropUDPPort,
		"later " + dropUDPChecksum, "later " + dropUDPChecksum, dropUDPChecksum,
		"", "",
		"later " + dropIPFragments, dropIPFragments,
	}
	if got := w.judge.verdicts(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	w.clock.Advance(29 * time.Second)
	if got := w.judge.verdicts(); !slices.Equal(got, want) {
		t.Errorf("after 29 s: %q, want %q", got, want)
	}
	w.clock.Advance(2 * time.Second)
	want[9], want[10] = "later "+dropNotReassembled, "later "+dropNotReassembled
	if got := w.judge.verdicts(); !slices.Equal(got, want) {
		t.Errorf("after 31 s: %q, want %q", got, want)
	}
	// The engine has forgotten them as well: the last part alone makes nothing whole.
	send(4, good, 2)
	if _, err := w.recvmsg(fd, 100, 0, unix.MSG_DONTWAIT); err != nil {
		t.Errorf("the first: %v", err)
	}
	if _, err := w.recvmsg(fd, 100, 0, unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Errorf("another one: %v", err)
	}
}

// TestJudgeListenQueue: a request that finds the listener's queue full is told of when the engine has looked at it; others
// aren't.
func TestJudgeListenQueue(t *testing.T) {
	judge := newTestJudge()
	la, lb := newTestLinks(t)
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := &ours{t: t, s: s}
	t.Cleanup(func() {
		for fd := range a.fds {
			a.close(fd)
		}
		s.Close()
	})
	if err := s.AddLink(la, "eth0", LinkConfig{Address: netip.MustParsePrefix("192.0.2.1/24"), Judge: judge}); err != nil {
		t.Fatal(err)
	}
	b := testStack(t, Options{}, lb, "192.0.2.2/24")
	listener, err := a.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.bind(listener, sa4("192.0.2.1", 80)); err != nil {
		t.Fatal(err)
	}
	const backlog = 2
	if err := a.listen(listener, backlog); err != nil {
		t.Fatal(err)
	}
	// A request may come before the last acknowledgement has filled the queue: then it isn't dropped, but the next one is.
	deadline := time.After(time.Minute)
	for dropped := 0; dropped < 2; {
		fd, err := b.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.nonblock(fd)
		if err := b.connect(fd, sa4("192.0.2.1", 80)); err != unix.EINPROGRESS && err != nil {
			t.Fatal(err)
		}
		select {
		case <-judge.change:
		case <-time.After(settleInterval):
		case <-deadline:
			t.Fatalf("%q", judge.verdicts())
		}
		dropped = 0
		for _, v := range judge.verdicts() {
			switch v {
			case "later " + dropTCPListenFull:
				dropped++
			case "", dropIPGroup: // of what the other machine tells routers
			default:
				t.Fatalf("%q", judge.verdicts())
			}
		}
		if n := s.engine.(*netstack).stack.Stats().TCP.ListenOverflowSynDrop.Value(); uint64(dropped) > n {
			t.Fatalf("%d told of, %d counted: %q", dropped, n, judge.verdicts())
		}
	}
}

// FuzzParseHeaders takes frames that break off anywhere, and others.
func FuzzParseHeaders(f *testing.F) {
	for _, frame := range [][]byte{udpTo(f, false, 1, "x"), udpTo(f, true, 1, "x"), tcpTo(f, false, layers.TCP{SYN: true}), tcpTo(f, true, layers.TCP{})} {
		f.Add(frame)
		for _, next := range []byte{0, 43, 44, 60} {
			f.Add(with(frame, 20, next))
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		h := parseHeaders(frame)
		if h.body > h.end || h.body < 0 {
			t.Errorf("%+v", h)
		}
		for _, reason := range []string{dropIPMalformed, dropTCPMalformed, dropICMPMalformed} {
			if h.known {
				h.refine(reason, frame)
			}
		}
	})
}
