package net

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/driver/e1000"
	"wick/kernel/driver/e1000/e1000test"
	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtio/virtiotest"
	"wick/kernel/driver/virtionet"
	"wick/kernel/driver/virtionet/virtionettest"
	"wick/packet"
)

// virtioLinks makes two virtio cards on one cable.
func virtioLinks(t *testing.T, features [2]uint64) (links [2]*virtionet.Device) {
	t.Helper()
	var models [2]*virtionettest.Model
	for i := range links {
		m := virtionettest.New([6]byte{2, 0, 0, 0, 0, byte(i + 1)}, features[i], 256)
		transport, err := virtio.NewMMIO(m.MMIO(), virtiotest.MMIOSize, m)
		if err != nil {
			t.Fatal(err)
		}
		if links[i], err = virtionet.New(virtionet.Config{Transport: transport, Memory: m}); err != nil {
			t.Fatal(err)
		}
		models[i] = m
		t.Cleanup(func() {
			m.Close()
			links[i].Attach(nil)
			<-links[i].Done()
		})
	}
	virtionettest.Connect(models[0], models[1])
	return links
}

// TestVirtioTransfer sends streams between machines whose cards take all, some or no work off them.
func TestVirtioTransfer(t *testing.T) {
	const all, none = virtionettest.TAP, virtionettest.QEMU
	for name, c := range map[string]struct {
		features [2]uint64
		cut      [2]bool // whose card cuts segments
		merged   [2]bool // whose card gets segments made of several
	}{
		"neither":       {features: [2]uint64{none, none}},
		"both":          {[2]uint64{all, all}, [2]bool{true, true}, [2]bool{true, true}},
		"the client's":  {[2]uint64{all, none}, [2]bool{true, false}, [2]bool{}},
		"only checksum": {features: [2]uint64{all &^ (virtionettest.HostTSO4 | virtionettest.GuestTSO6), none}},
	} {
		t.Run(name, func(t *testing.T) {
			links := virtioLinks(t, c.features)
			a := testStack(t, Options{}, links[0], "192.0.2.1/24")
			b := testStack(t, Options{}, links[1], "192.0.2.2/24")
			l := listenOn(t, b, unix.AF_INET6, sa6("::", 80), 10)
			const most = 2 << 20
			for _, n := range []int{0, 1, 1 << 10, 100_000, most} {
				transfer(t, a, b, unix.AF_INET, sa4("192.0.2.2", 80), l, n)
			}
			var before [2][virtionet.NumCounters]uint64
			check := func(protocol string) {
				t.Helper()
				for i, d := range links {
					all := d.Counters()
					count := func(c virtionet.Counter) uint64 { return all[c] - before[i][c] }
					if n := count(virtionet.TxSegments); (n > 0) != c.cut[i] {
						t.Errorf("%s: card %d was given %d segments to cut", protocol, i, n)
					}
					if n := count(virtionet.RxSegments); (n > 0) != c.merged[i] {
						t.Errorf("%s: card %d has received %d segments made of several", protocol, i, n)
					}
					if n := count(virtionet.TxFrames); c.cut[i] && n > most/1448 {
						t.Errorf("%s: card %d was given %d frames in spite of its segmentation", protocol, i, n)
					}
					before[i] = all
				}
			}
			check("IPv4")
			sa := sa6("fe80::ff:fe00:2", 80) // EUI-64 of 02:00:00:00:00:02
			sa[24] = 2
			for _, n := range []int{0, 1, 1 << 10, 100_000, most} {
				transfer(t, a, b, unix.AF_INET6, sa, l, n)
			}
			check("IPv6")
			for _, w := range []*ours{a, b} {
				w.s.Counters(func(name string, n uint64) {
					if (name == "tcp.dropped-checksum" || name == "tcp.dropped-malformed") && n > 0 {
						t.Errorf("%s: %d", name, n)
					}
				})
			}
		})
	}
}

// seenLink is a card of which each frame with something that is left to it is looked at.
type seenLink struct {
	*virtionet.Device
	look func(o packet.Offload, frame []byte)
}

func (l *seenLink) TransmitOffload(o packet.Offload, pieces ...[]byte) error {
	l.look(o, slices.Concat(pieces...))
	return l.Device.TransmitOffload(o, pieces...)
}

// TestWhatIsLeftToTheCard: the engine says of each TCP segment, over either IP, where its headers and its checksum are, and how it is
// to be cut.
func TestWhatIsLeftToTheCard(t *testing.T) {
	for name, c := range map[string]struct {
		family int
		to     []byte
		ipv6   bool
	}{
		"IPv4":                   {unix.AF_INET, sa4("192.0.2.2", 80), false},
		"IPv4 of an IPv6 socket": {unix.AF_INET6, sa6("::ffff:192.0.2.2", 80), false},
		"IPv6":                   {unix.AF_INET6, sa6("fe80::ff:fe00:2", 80), true}, // EUI-64 of 02:00:00:00:00:02
	} {
		t.Run(name, func(t *testing.T) {
			if c.ipv6 {
				c.to[24] = 2
			}
			links := virtioLinks(t, [2]uint64{virtionettest.TAP, virtionettest.TAP})
			var whole, cut atomic.Int64
			link := &seenLink{links[0], func(o packet.Offload, frame []byte) {
				if o.SegmentSize > 0 {
					cut.Add(1)
				} else {
					whole.Add(1)
				}
				if why := wrongOffload(o, frame, c.ipv6); why != "" {
					t.Errorf("%s: %+v of a frame of %d bytes", why, o, len(frame))
				}
			}}
			a := testStack(t, Options{}, link, "192.0.2.1/24")
			b := testStack(t, Options{}, links[1], "192.0.2.2/24")
			transfer(t, a, b, c.family, c.to, listenOn(t, b, unix.AF_INET6, sa6("::", 80), 10), 1<<20)
			if whole.Load() == 0 || cut.Load() == 0 {
				t.Errorf("%d segments were left to the card as they are, and %d to be cut", whole.Load(), cut.Load())
			}
		})
	}
}

// wrongOffload says what of an offload isn't as the frame, a TCP segment, has it.
func wrongOffload(o packet.Offload, frame []byte, ipv6 bool) string {
	be := binary.BigEndian
	tcp, etherType, addresses := 14+20, uint16(packet.EtherTypeIPv4), frame[14+12:14+20]
	if ipv6 {
		tcp, etherType, addresses = 14+40, packet.EtherTypeIPv6, frame[14+8:14+40]
	}
	headers, length := tcp+int(frame[tcp+12]>>4)*4, len(frame)-tcp
	pseudo := packet.Sum([]byte{0, 6, byte(length >> 8), byte(length)}, packet.Sum(addresses, 0))
	mss := 1514 - headers
	switch {
	case be.Uint16(frame[12:]) != etherType:
		return "another protocol"
	case !o.Checksum || o.ChecksumStart != tcp || o.ChecksumOffset != 16:
		return "another checksum than TCP's"
	case be.Uint16(frame[tcp+16:]) != pseudo:
		return "not the sum of the pseudo header"
	case len(frame) > 1514 && o.SegmentSize == 0:
		return "too long not to be cut"
	case o.SegmentSize == 0 && (o.HeaderLen != 0 || o.IPv6):
		return "headers of a frame that isn't cut"
	case o.SegmentSize > 0 && (o.SegmentSize > mss || o.SegmentSize < mss-40 || o.HeaderLen != headers || o.IPv6 != ipv6):
		return "cut in another way"
	case o.SegmentSize > 0 && len(frame)-headers <= o.SegmentSize:
		return "cut though it is short enough"
	}
	return ""
}

// TestE1000Transfer sends streams between machines with E1000s, whose cards or drivers cut segments, over a cable that loses frames or
// doesn't.
func TestE1000Transfer(t *testing.T) {
	for name, c := range map[string]struct {
		whole bool
		lossy bool
	}{"the card cuts": {}, "the driver cuts": {whole: true}, "the card cuts, lossy": {lossy: true}, "the driver cuts, lossy": {true, true}} {
		t.Run(name, func(t *testing.T) {
			cards := [2]*e1000test.Model{e1000test.New([6]byte{2, 0, 0, 0, 0, 1}), e1000test.New([6]byte{2, 0, 0, 0, 0, 2})}
			var stacks [2]*ours
			for i, m := range cards {
				peer := cards[1-i]
				var sent atomic.Int64
				m.OnSend = func(frame []byte) {
					if len(frame) > 1514 {
						t.Errorf("a frame of %d bytes", len(frame))
					}
					if n := sent.Add(1); !c.lossy || n%40 != 39 {
						peer.Deliver(bytes.Clone(frame)) // a full ring loses it, too
					}
				}
				d, err := e1000.New(e1000.Config{Registers: m, Memory: m, Interrupt: m, WholeFrames: c.whole})
				check(t, err)
				t.Cleanup(func() {
					m.Close()
					d.Attach(nil)
					<-d.Done()
				})
				stacks[i] = testStack(t, Options{}, d, fmt.Sprintf("192.0.2.%d/24", i+1))
				t.Cleanup(func() {
					if n := d.Counters()[e1000.TxSegments]; c.whole != (n == 0) {
						t.Errorf("card %d was given %d segments to cut", i, n)
					}
				})
			}
			l := listenOn(t, stacks[1], unix.AF_INET6, sa6("::", 80), 10)
			sizes := []int{0, 1, 1 << 10, 100_000, 1 << 20}
			if c.lossy {
				sizes = sizes[3:4]
			}
			for _, n := range sizes {
				transfer(t, stacks[0], stacks[1], unix.AF_INET, sa4("192.0.2.2", 80), l, n)
			}
			sa := sa6("fe80::ff:fe00:2", 80) // EUI-64 of 02:00:00:00:00:02
			sa[24] = 2
			transfer(t, stacks[0], stacks[1], unix.AF_INET6, sa, l, 1<<17)
		})
	}
}

// stateLink is a card that knows something of the checksums of what it receives.
type stateLink struct {
	*testLink
	receive func(frame []byte, checksum packet.Checksum)
}

func (l *stateLink) TransmitOffload(packet.Offload, ...[]byte) error { panic("no TCP is sent") }

func (l *stateLink) AttachOffload(receive func([]byte, packet.Checksum), _ func()) {
	l.receive = receive
}

// stateSocket makes a machine with such a card, and a socket that doesn't block, bound to sa.
func stateSocket(t *testing.T, family int, sa []byte) (link *stateLink, w *ours, fd int) {
	t.Helper()
	la, _ := newTestLinks(t)
	link = &stateLink{testLink: la}
	w = testStack(t, Options{}, link, "192.0.2.1/24")
	fd = must[int](t)(w.socket(family, unix.SOCK_DGRAM, 0))
	check(t, w.bind(fd, sa))
	w.nonblock(fd)
	return link, w, fd
}

// TestChecksumStates: what the card has verified isn't looked at again, all else is, whatever came before.
func TestChecksumStates(t *testing.T) {
	link, w, fd := stateSocket(t, unix.AF_INET, sa4("0.0.0.0", 7))
	for i, c := range []struct {
		name     string
		state    packet.Checksum
		damage   func(ip []byte)
		arrives  bool
		fragment bool
	}{
		{name: "a right one", arrives: true},
		{name: "a wrong one", damage: func(ip []byte) { ip[26] ^= 1 }},
		{name: "verified by the card", state: packet.ChecksumVerified, damage: func(ip []byte) { ip[26] ^= 1 }, arrives: true},
		{name: "a wrong one behind a verified one", damage: func(ip []byte) { ip[26] ^= 1 }},
		{name: "left out by another machine", state: packet.ChecksumOffload, damage: func(ip []byte) { ip[26] ^= 1 }, arrives: true},
		{name: "verified, but the IP header is wrong", state: packet.ChecksumVerified, damage: func(ip []byte) { ip[10] ^= 1 }},
		{name: "verified, but only a part", state: packet.ChecksumVerified, damage: func(ip []byte) { ip[26] ^= 1 }, fragment: true},
		{name: "a right one again", arrives: true},
	} {
		for _, f := range datagramFrames(link.mac, byte(i), c.fragment, c.damage) {
			link.receive(f, c.state)
		}
		got, err := w.recvmsg(fd, 100, 0, 0)
		if c.arrives && (err != nil || got.n != 16 || got.data[0] != byte(i)) || !c.arrives && err != unix.EAGAIN {
			t.Errorf("%s: got %v, %v", c.name, got.data, err)
		}
	}
}

// TestChecksumStatesOfIPv6: extension headers, which have no checksum, don't hide that of UDP, fragments do.
func TestChecksumStatesOfIPv6(t *testing.T) {
	link, w, fd := stateSocket(t, unix.AF_INET6, sa6("::", 7))
	options := func(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} } // PadN [RFC 8200 4.2]
	const hopByHop, routing, fragment, destination, udp = 0, 43, 44, 60, 17
	for i, c := range []struct {
		name    string
		next    byte
		headers []byte
		state   packet.Checksum
		right   bool
		arrives bool
	}{
		{"a right one", udp, nil, packet.ChecksumUnknown, true, true},
		{"a wrong one", udp, nil, packet.ChecksumUnknown, false, false},
		{"left out", udp, nil, packet.ChecksumOffload, false, true},
		{"verified", udp, nil, packet.ChecksumVerified, false, true},
		{"left out behind options", destination, options(udp), packet.ChecksumOffload, false, true},
		{"left out behind more", hopByHop, slices.Concat(options(routing), []byte{destination, 0, 0, 0, 0, 0, 0, 0}, options(udp)), packet.ChecksumOffload, false, true},
		{"a wrong one behind options", destination, options(udp), packet.ChecksumUnknown, false, false},
		{"a right one behind options", destination, options(udp), packet.ChecksumUnknown, true, true},
		{"verified, but in parts", fragment, nil, packet.ChecksumVerified, false, false},
		{"in parts", fragment, nil, packet.ChecksumUnknown, true, true},
		{"a right one again", udp, nil, packet.ChecksumUnknown, true, true},
	} {
		datagram := datagram6(link.mac, byte(i), c.right)
		if c.next == fragment { // [RFC 8200 4.5]
			link.receive(frameTo6(link.mac, fragment, []byte{udp, 0, 0, 1, 0, 0, 0, byte(i)}, datagram[:16]), c.state)
			link.receive(frameTo6(link.mac, fragment, []byte{udp, 0, 0, 16, 0, 0, 0, byte(i)}, datagram[16:]), c.state)
		} else {
			link.receive(frameTo6(link.mac, c.next, c.headers, datagram), c.state)
		}
		got, err := w.recvmsg(fd, 100, 0, 0)
		if c.arrives && (err != nil || got.n != 16 || got.data[0] != byte(i)) || !c.arrives && err != unix.EAGAIN {
			t.Errorf("%s: got %v, %v", c.name, got.data, err)
		}
	}
}

// addresses6 are those of a packet from a link-local address to that of a card [RFC 4291 A].
func addresses6(mac [6]byte) []byte {
	return []byte{0xFE, 0x80, 15: 9, 16: 0xFE, 0x80, 24: mac[0] ^ 2, mac[1], mac[2], 0xFF, 0xFE, mac[3], mac[4], mac[5]}
}

// datagram6 returns a UDP datagram with 16 bytes over IPv6, to a card.
func datagram6(mac [6]byte, seed byte, right bool) []byte {
	be := binary.BigEndian
	udp := make([]byte, 24)
	be.PutUint16(udp, 1000)
	be.PutUint16(udp[2:], 7)
	be.PutUint16(udp[4:], 24)
	udp[8] = seed
	be.PutUint16(udp[6:], ^packet.Sum(udp, packet.Sum([]byte{0, 17, 0, 24}, packet.Sum(addresses6(mac), 0))))
	if !right {
		udp[6] ^= 0x55
	}
	return udp
}

// frameTo6 returns a frame with an IPv6 packet to a card.
func frameTo6(mac [6]byte, next byte, headers, body []byte) []byte {
	f := append(mac[:len(mac):len(mac)], 2, 0, 0, 0, 0, 9, 0x86, 0xDD, 0x60, 0, 0, 0, 0, byte(len(headers)+len(body)), next, 64)
	return slices.Concat(f, addresses6(mac), headers, body)
}

// datagramFrames returns the frames of a UDP datagram with 16 bytes, in two fragments or as a whole, of which damage has
// changed the IP packet.
func datagramFrames(mac [6]byte, seed byte, fragment bool, damage func(ip []byte)) (frames [][]byte) {
	be := binary.BigEndian
	udp := make([]byte, 24)
	be.PutUint16(udp, 1000)
	be.PutUint16(udp[2:], 7)
	be.PutUint16(udp[4:], 24)
	udp[8] = seed
	addresses := []byte{192, 0, 2, 2, 192, 0, 2, 1}
	be.PutUint16(udp[6:], ^packet.Sum(udp, packet.Sum([]byte{0, 17, 0, 24}, packet.Sum(addresses, 0))))
	packetOf := func(part []byte, flags uint16) {
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9] = 0x45, 64, 17
		be.PutUint16(ip[2:], uint16(20+len(part)))
		be.PutUint16(ip[4:], uint16(seed)+1)
		be.PutUint16(ip[6:], flags)
		copy(ip[12:], addresses)
		be.PutUint16(ip[10:], ^packet.Sum(ip, 0))
		ip = append(ip, part...)
		if damage != nil && flags&0x1FFF == 0 {
			damage(ip)
		}
		f := append(mac[:len(mac):len(mac)], 2, 0, 0, 0, 0, 2, 8, 0)
		frames = append(frames, append(f, ip...))
	}
	if fragment {
		packetOf(udp[:16], 0x2000)
		packetOf(udp[16:], 2)
	} else {
		packetOf(udp, 0)
	}
	return frames
}

// TestDHCPWithoutChecksum: a server on the same host may leave the checksums of its answers to the card.
func TestDHCPWithoutChecksum(t *testing.T) {
	answer := newFakeServer(t).reply(dhcpOffer, 1)
	const udpSum = etherLen + ipv4Len + 6
	answer[udpSum] ^= 0x55
	if _, ok := parseDHCP(answer, packet.ChecksumUnknown); ok {
		t.Error("a wrong checksum was taken")
	}
	for _, state := range []packet.Checksum{packet.ChecksumOffload, packet.ChecksumVerified} {
		if _, ok := parseDHCP(answer, state); !ok {
			t.Errorf("a checksum in state %d was looked at", state)
		}
	}
	answer[etherLen+10] ^= 0x55
	if _, ok := parseDHCP(answer, packet.ChecksumVerified); ok {
		t.Error("a wrong checksum of the IP header was taken")
	}
}
