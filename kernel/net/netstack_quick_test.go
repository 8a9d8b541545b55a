package net

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"wick/packet"
)

// taken is a segment that came out of the quick path.
type taken struct {
	seq, ack uint32
	flags    header.TCPFlags
	data     string
}

// tcpStub stands in for the engine's TCP.
type tcpStub struct {
	t   *testing.T
	got []taken
}

func (s *tcpStub) QueuePacket(_ stack.TransportEndpoint, _ stack.TransportEndpointID, pkt *stack.PacketBuffer) {
	h := header.TCP(pkt.TransportHeader().Slice())
	ip := header.IPv4(pkt.NetworkHeader().Slice())
	if int(ip.TotalLength()) != len(ip)+len(h)+pkt.Data().Size() {
		s.t.Errorf("a packet with %d+%d+%d bytes says that it has %d", len(ip), len(h), pkt.Data().Size(), ip.TotalLength())
	}
	if !pkt.RXChecksumValidated {
		s.t.Error("the checksum would be looked at again")
	}
	s.got = append(s.got, taken{h.SequenceNumber(), h.AckNumber(), h.Flags(), string(pkt.Data().AsRange().ToSlice())})
}

// quickWorld is a machine with a listener on port 80, whose quick path ends in a stub.
func quickWorld(t *testing.T) (*quickPath, *tcpStub) {
	_, b, _, _ := testStacks(t, Options{})
	listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 80), 10)
	n := b.s.engine.(*netstack)
	stub := &tcpStub{t: t}
	return &quickPath{n: n, index: 2, tcp: stub, batches: true}, stub
}

// tcpFrame describes a frame; change, if not nil, changes it before its checksums are filled in, and damage after that.
type tcpFrame struct {
	seq, ack uint32
	flags    header.TCPFlags
	window   uint16
	options  string
	data     string
	port     uint16
	change   func(ip header.IPv4, tcp header.TCP)
	damage   func(frame []byte)
}

func (f tcpFrame) bytes() []byte {
	if f.flags == 0 {
		f.flags = header.TCPFlagAck
	}
	if f.port == 0 {
		f.port = 4000
	}
	headerSize := header.TCPMinimumSize + len(f.options)
	b := make([]byte, 14+20+headerSize+len(f.data))
	header.Ethernet(b).Encode(&header.EthernetFields{Type: header.IPv4ProtocolNumber,
		DstAddr: "\x02\x00\x00\x00\x00\x02", SrcAddr: "\x02\x00\x00\x00\x00\x01"})
	ip, tcp := header.IPv4(b[14:]), header.TCP(b[34:])
	src, dst := tcpip.AddrFrom4([4]byte{192, 0, 2, 1}), tcpip.AddrFrom4([4]byte{192, 0, 2, 2})
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip)), TTL: 64, Protocol: uint8(header.TCPProtocolNumber), SrcAddr: src, DstAddr: dst})
	tcp.Encode(&header.TCPFields{SrcPort: f.port, DstPort: 80, SeqNum: f.seq, AckNum: f.ack, DataOffset: uint8(headerSize), Flags: f.flags, WindowSize: f.window})
	copy(tcp[20:], f.options)
	copy(tcp[headerSize:], f.data)
	if f.change != nil {
		f.change(ip, tcp)
	}
	ip.SetChecksum(^ip.CalculateChecksum())
	tcp.SetChecksum(^checksum.Checksum(tcp, header.PseudoHeaderChecksum(header.TCPProtocolNumber,
		ip.SourceAddress(), ip.DestinationAddress(), uint16(len(tcp)))))
	if f.damage != nil {
		f.damage(b)
	}
	return b
}

const (
	ack  = header.TCPFlagAck
	push = header.TCPFlagAck | header.TCPFlagPsh
	fin  = header.TCPFlagAck | header.TCPFlagFin

	stamp      = "\x01\x01\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x02"
	laterStamp = "\x01\x01\x08\x0a\x00\x00\x00\x02\x00\x00\x00\x03"
	sackBlock  = "\x01\x01\x05\x0a\x00\x00\x00\x01\x00\x00\x00\x02"
)

func TestSegmentsArePutTogether(t *testing.T) {
	for _, c := range []struct {
		name   string
		frames []tcpFrame
		want   []taken
	}{
		{"data in order", []tcpFrame{{seq: 10, data: "abc"}, {seq: 13, data: "de"}, {seq: 15, data: "f", flags: push}},
			[]taken{{10, 0, push, "abcdef"}}},
		{"over the end of the numbers", []tcpFrame{{seq: 0xFFFFFFFE, data: "abc"}, {seq: 1, data: "de"}},
			[]taken{{0xFFFFFFFE, 0, ack, "abcde"}}},
		{"a gap", []tcpFrame{{seq: 10, data: "abc"}, {seq: 14, data: "de"}},
			[]taken{{10, 0, ack, "abc"}, {14, 0, ack, "de"}}},
		{"the same again", []tcpFrame{{seq: 10, data: "abc"}, {seq: 10, data: "abc"}},
			[]taken{{10, 0, ack, "abc"}, {10, 0, ack, "abc"}}},
		{"another acknowledgement", []tcpFrame{{seq: 10, data: "abc"}, {seq: 13, ack: 5, data: "de"}},
			[]taken{{10, 0, ack, "abc"}, {13, 5, ack, "de"}}},
		{"another window", []tcpFrame{{seq: 10, data: "abc"}, {seq: 13, window: 9, data: "de"}},
			[]taken{{10, 0, ack, "abc"}, {13, 0, ack, "de"}}},
		{"the end", []tcpFrame{{seq: 10, data: "abc"}, {seq: 13, flags: fin, data: "de"}},
			[]taken{{10, 0, ack, "abc"}, {13, 0, fin, "de"}}},
		{"behind the end", []tcpFrame{{seq: 10, flags: fin, data: "abc"}, {seq: 13, data: "de"}},
			[]taken{{10, 0, fin, "abc"}, {13, 0, ack, "de"}}},
		{"the same timestamps", []tcpFrame{{seq: 10, data: "abc", options: stamp}, {seq: 13, data: "de", options: stamp}},
			[]taken{{10, 0, ack, "abcde"}}},
		{"other timestamps", []tcpFrame{{seq: 10, data: "abc", options: stamp}, {seq: 13, data: "de", options: laterStamp}},
			[]taken{{10, 0, ack, "abc"}, {13, 0, ack, "de"}}},
		{"two connections", []tcpFrame{{seq: 10, data: "abc"}, {seq: 13, data: "xy", port: 4001}, {seq: 13, data: "de"}},
			[]taken{{10, 0, ack, "abc"}, {13, 0, ack, "xy"}, {13, 0, ack, "de"}}},
		{"other type of service", []tcpFrame{{seq: 10, data: "abc"}, {seq: 13, data: "de", change: func(ip header.IPv4, _ header.TCP) { ip.SetTOS(3, 0) }}},
			[]taken{{10, 0, ack, "abc"}, {13, 0, ack, "de"}}},

		{"acknowledgements", []tcpFrame{{seq: 10, ack: 5}, {seq: 10, ack: 7}, {seq: 10, ack: 9, window: 3}},
			[]taken{{10, 9, ack, ""}}},
		{"acknowledgements with timestamps", []tcpFrame{{seq: 10, ack: 5, options: stamp}, {seq: 10, ack: 7, options: laterStamp}},
			[]taken{{10, 7, ack, ""}}},
		{"duplicate acknowledgements tell of a loss", []tcpFrame{{seq: 10, ack: 5}, {seq: 10, ack: 5}, {seq: 10, ack: 5}},
			[]taken{{10, 5, ack, ""}, {10, 5, ack, ""}, {10, 5, ack, ""}}},
		{"and so do SACK blocks", []tcpFrame{{seq: 10, ack: 5, options: sackBlock}, {seq: 10, ack: 7, options: sackBlock}},
			[]taken{{10, 5, ack, ""}, {10, 7, ack, ""}}},
		{"an older acknowledgement", []tcpFrame{{seq: 10, ack: 7}, {seq: 10, ack: 5}},
			[]taken{{10, 7, ack, ""}, {10, 5, ack, ""}}},
		{"an acknowledgement of a keepalive's", []tcpFrame{{seq: 10, ack: 5}, {seq: 9, ack: 7}},
			[]taken{{10, 5, ack, ""}, {9, 7, ack, ""}}},
		{"data behind an acknowledgement", []tcpFrame{{seq: 10, ack: 5}, {seq: 10, ack: 7, data: "a"}},
			[]taken{{10, 5, ack, ""}, {10, 7, ack, "a"}}},
		{"an acknowledgement behind data", []tcpFrame{{seq: 10, ack: 5, data: "a"}, {seq: 11, ack: 7}},
			[]taken{{10, 5, ack, "a"}, {11, 7, ack, ""}}},
		{"a reset", []tcpFrame{{seq: 10, ack: 5}, {seq: 10, ack: 7, flags: header.TCPFlagRst | ack}},
			[]taken{{10, 5, ack, ""}, {10, 7, header.TCPFlagRst | ack, ""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, stub := quickWorld(t)
			for i, f := range c.frames {
				frame := f.bytes()
				if !q.take(frame, packet.ChecksumUnknown) {
					t.Fatalf("frame %d isn't taken", i)
				}
				clear(frame) // the memory is the driver's again
			}
			q.flush()
			if len(stub.got) != len(c.want) {
				t.Fatalf("got %v, want %v", stub.got, c.want)
			}
			for i, want := range c.want {
				if stub.got[i] != want {
					t.Errorf("segment %d: got %v, want %v", i, stub.got[i], want)
				}
			}
		})
	}
}

// What is put together stays within bounds.
func TestCoalescedSegmentsAreBounded(t *testing.T) {
	q, stub := quickWorld(t)
	data := string(make([]byte, 1460))
	const frames = 100
	for i := range frames {
		q.take(tcpFrame{seq: uint32(i * len(data)), data: data}.bytes(), packet.ChecksumUnknown)
	}
	q.flush()
	total := 0
	for _, s := range stub.got {
		if len(s.data) > mostHeld {
			t.Errorf("%d bytes in one segment", len(s.data))
		}
		total += len(s.data)
	}
	if total != frames*len(data) || len(stub.got) > 1+total/(mostHeld-len(data)) {
		t.Errorf("%d bytes in %d segments", total, len(stub.got))
	}
}

// What the quick path leaves to the engine, it leaves unchanged, and behind what came before.
func TestQuickPathLeavesToTheEngine(t *testing.T) {
	address := func(at int, a ...byte) func(header.IPv4, header.TCP) {
		return func(ip header.IPv4, _ header.TCP) { copy(ip[at:], a) }
	}
	for name, f := range map[string]tcpFrame{
		"wrong IP checksum":         {damage: func(b []byte) { b[14+10]++ }},
		"wrong TCP checksum":        {damage: func(b []byte) { b[len(b)-1]++ }},
		"IP options":                {change: func(ip header.IPv4, _ header.TCP) { ip[0] = 0x46 }},
		"IP version 5":              {change: func(ip header.IPv4, _ header.TCP) { ip[0] = 0x55 }},
		"first fragment":            {change: func(ip header.IPv4, _ header.TCP) { ip.SetFlagsFragmentOffset(header.IPv4FlagMoreFragments, 0) }},
		"last fragment":             {change: func(ip header.IPv4, _ header.TCP) { ip.SetFlagsFragmentOffset(0, 8) }},
		"cut off":                   {change: func(ip header.IPv4, _ header.TCP) { ip.SetTotalLength(1000) }},
		"shorter than its headers":  {change: func(ip header.IPv4, _ header.TCP) { ip.SetTotalLength(30) }},
		"data offset beyond":        {change: func(_ header.IPv4, tcp header.TCP) { tcp.SetDataOffset(60) }},
		"data offset too small":     {change: func(_ header.IPv4, tcp header.TCP) { tcp.SetDataOffset(16) }},
		"another protocol":          {change: func(ip header.IPv4, _ header.TCP) { ip[9] = 132 }},
		"not for us":                {change: address(16, 192, 0, 2, 77)},
		"from nobody":               {change: address(12, 0, 0, 0, 0)},
		"from the loopback":         {change: address(12, 127, 0, 0, 1)},
		"from a group":              {change: address(12, 224, 0, 0, 1)},
		"from all":                  {change: address(12, 192, 0, 2, 255)},
		"from ourselves":            {change: address(12, 192, 0, 2, 2)},
		"for a port without socket": {change: func(_ header.IPv4, tcp header.TCP) { tcp.SetDestinationPort(81) }},
	} {
		q, stub := quickWorld(t)
		f.data = "abc"
		frame := f.bytes()
		before := string(frame)
		q.take(tcpFrame{seq: 1, data: "before"}.bytes(), packet.ChecksumUnknown)
		if q.take(frame, packet.ChecksumUnknown) {
			t.Errorf("%s: taken", name)
		}
		if string(frame) != before {
			t.Errorf("%s: changed", name)
		}
		if len(stub.got) != 1 {
			t.Errorf("%s: %d segments went up before", name, len(stub.got))
		}
	}
}

// A checksum that the card knows about isn't looked at, another one is; that of the IP header always.
func TestQuickPathLooksAtChecksums(t *testing.T) {
	wrongTCP := tcpFrame{data: "abc", damage: func(b []byte) { b[len(b)-1]++ }}.bytes()
	wrongIP := tcpFrame{data: "abc", damage: func(b []byte) { b[14+10]++ }}.bytes()
	for _, c := range []struct {
		frame []byte
		state packet.Checksum
		taken bool
	}{
		{wrongTCP, packet.ChecksumUnknown, false}, {wrongTCP, packet.ChecksumVerified, true}, {wrongTCP, packet.ChecksumOffload, true},
		{wrongIP, packet.ChecksumUnknown, false}, {wrongIP, packet.ChecksumVerified, false}, {wrongIP, packet.ChecksumOffload, false},
	} {
		q, _ := quickWorld(t)
		if q.take(c.frame, c.state) != c.taken {
			t.Errorf("in state %d: taken is %v", c.state, !c.taken)
		}
	}
}

// TestQuickPathIsNoOther: a machine counts and delivers the same with the quick path and without.
func TestQuickPathIsNoOther(t *testing.T) {
	frames := make(map[string]func(mac [6]byte) []byte)
	add := func(name string, damage func(ip []byte)) {
		seed := byte(len(frames))
		frames[name] = func(mac [6]byte) []byte { return datagramFrames(mac, seed, false, damage)[0] }
	}
	again := func(ip []byte) { // the checksums, after a change
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], ^packet.Sum(ip[:20], 0))
	}
	from := func(a ...byte) func(ip []byte) {
		return func(ip []byte) {
			copy(ip[12:], a)
			binary.BigEndian.PutUint16(ip[26:], 0) // no checksum
			again(ip)
		}
	}
	add("good", nil)
	add("wrong IP checksum", func(ip []byte) { ip[10]++ })
	add("wrong UDP checksum", func(ip []byte) { ip[30]++ })
	add("longer than it is", func(ip []byte) { ip[3]++; again(ip) })
	add("UDP longer than it is", func(ip []byte) { ip[25]++; again(ip) })
	add("UDP shorter than it is", func(ip []byte) { ip[25], ip[26], ip[27] = 12, 0, 0; again(ip) })
	add("no socket", func(ip []byte) { ip[23], ip[26], ip[27] = 8, 0, 0; again(ip) })
	add("not for us", func(ip []byte) { ip[19]++; again(ip) })
	add("from all", from(255, 255, 255, 255))
	add("from all on the network", from(192, 0, 2, 127))
	add("from a group", from(224, 0, 0, 1))
	add("from the loopback", from(127, 0, 0, 1))
	add("from ourselves", from(192, 0, 2, 1))
	add("from another address of ours", from(198, 51, 100, 1))
	add("from elsewhere", from(203, 0, 113, 1))
	for name, frame := range frames {
		var seen [2]map[string]uint64
		for i := range seen {
			la, _ := newTestLinks(t)
			link := &stateLink{testLink: la}
			w := testStack(t, Options{}, link, "192.0.2.1/25")
			check(t, w.s.engine.addAddress(2, netip.MustParsePrefix("198.51.100.1/24")))
			fd := must[int](t)(w.socket(unix.AF_INET, unix.SOCK_DGRAM, 0))
			check(t, w.bind(fd, sa4("0.0.0.0", 7)))
			w.nonblock(fd)
			if i == 1 {
				must[int](t)(w.socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)) // closes the quick path
			}
			seen[i] = make(map[string]uint64)
			const times = 256 // more often than the machines receive of themselves, by IPv6's multicast
			for range times {
				link.receive(frame(link.mac), packet.ChecksumUnknown)
				if got, err := w.recvmsg(fd, 100, 0, 0); err == nil {
					seen[i]["bytes received"] += uint64(got.n)
				}
			}
			w.s.Counters(func(name string, n uint64) {
				if !strings.Contains(name, "tx-") && !strings.Contains(name, "sen") { // answers go when ARP has been answered
					seen[i][name] = n / times
				}
			})
		}
		if !maps.Equal(seen[0], seen[1]) {
			t.Errorf("%s: the quick path %v, the engine %v", name, seen[0], seen[1])
		}
	}
}

// TestDatagramsGoWhereTheSocketsAreNow: the socket that the datagram before went to gets the next one only if a lookup would
// still find it.
func TestDatagramsGoWhereTheSocketsAreNow(t *testing.T) {
	l, _ := newTestLinks(t)
	link := &stateLink{testLink: l}
	w := testStack(t, Options{}, link, "192.0.2.1/25")
	open := func() int {
		fd := must[int](t)(w.socket(unix.AF_INET, unix.SOCK_DGRAM, 0))
		check(t, w.setopt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, []byte{1, 0, 0, 0}))
		check(t, w.bind(fd, sa4("0.0.0.0", 7)))
		w.nonblock(fd)
		return fd
	}
	frame := datagramFrames(link.mac, 1, false, nil)[0]
	got := func(fd int) bool {
		link.receive(frame, packet.ChecksumUnknown)
		_, err := w.recvmsg(fd, 100, 0, 0)
		return err == nil
	}
	any := open()
	if !got(any) || !got(any) {
		t.Fatal("the socket gets nothing")
	}
	peers := open()
	check(t, w.connect(peers, sa4("192.0.2.2", 1000)))
	if !got(peers) {
		t.Error("the socket that was connected to the sender gets nothing")
	}
	check(t, w.connect(peers, sa4("192.0.2.2", 1001)))
	if !got(any) {
		t.Error("the first socket gets nothing once the other is connected to somebody else")
	}
	w.close(any)
	unheard := counter(w.s, "udp.dropped-no-port")
	link.receive(frame, packet.ChecksumUnknown)
	if now := counter(w.s, "udp.dropped-no-port"); now != unheard+1 {
		t.Errorf("%d datagrams for nobody, want 1", now-unheard)
	}
}

// Raw sockets see packets for other sockets, which only the engine does.
func TestQuickPathIsClosedForRawSockets(t *testing.T) {
	_, b, _, _ := testStacks(t, Options{})
	q := &quickPath{n: b.s.engine.(*netstack), index: 2, tcp: &tcpStub{t: t}}
	listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 80), 10)
	take := func() bool { return q.take(tcpFrame{data: "x"}.bytes(), packet.ChecksumUnknown) }
	if !take() {
		t.Fatal("not taken without a raw socket")
	}
	fd := must[int](t)(b.socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP))
	if take() {
		t.Error("taken in spite of a raw socket")
	}
	b.close(fd)
	if !take() {
		t.Error("not taken when the raw socket is closed")
	}
}

// An address that is taken away isn't ours any more.
func TestQuickPathForgetsAddresses(t *testing.T) {
	q, _ := quickWorld(t)
	frame := tcpFrame{data: "x"}.bytes()
	if !q.take(frame, packet.ChecksumUnknown) {
		t.Fatal("not taken")
	}
	check(t, q.n.removeAddress(2, addr4(192, 0, 2, 2)))
	if q.take(frame, packet.ChecksumUnknown) {
		t.Error("taken for an address that was removed")
	}
}

func FuzzQuickPath(f *testing.F) {
	f.Add(tcpFrame{seq: 5, data: "abc", options: stamp}.bytes(), tcpFrame{seq: 8, data: "de", options: stamp}.bytes())
	f.Add(tcpFrame{ack: 5}.bytes(), tcpFrame{ack: 6}.bytes())
	f.Fuzz(func(t *testing.T, one, two []byte) {
		for _, frame := range [][]byte{one, two} {
			if len(frame) < header.EthernetMinimumSize {
				continue // the link endpoint's business
			}
			p, ok := parseQuick(frame)
			if !ok {
				continue
			}
			if n := len(p.ip) + len(p.transport); n > len(frame)-14 || n != int(p.ip.TotalLength()) {
				t.Fatalf("%d bytes of packet in a frame of %d", n, len(frame))
			}
			tcp := header.TCP(p.transport)
			if p.ip.Protocol() == uint8(header.TCPProtocolNumber) && int(tcp.DataOffset()) >= 20 && int(tcp.DataOffset()) <= len(tcp) {
				h := tcp[:tcp.DataOffset()]
				(&heldSegment{ip: p.ip, tcp: h}).supersededBy(h, nil)
				(&heldSegment{ip: p.ip, tcp: h, size: 1}).continuedBy(h, []byte{0})
			}
		}
	})
}
