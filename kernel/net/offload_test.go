package net

import (
	"bytes"
	"encoding/binary"
	"fmt"
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
			sa := sa6("fe80::ff:fe00:2", 80) // EUI-64 of 02:00:00:00:00:02
			sa[24] = 2
			transfer(t, a, b, unix.AF_INET6, sa, l, 1<<18)
			for i, d := range links {
				n := d.Counters()
				if cut := n[virtionet.TxSegments] > 0; cut != c.cut[i] {
					t.Errorf("card %d was given %d segments to cut", i, n[virtionet.TxSegments])
				}
				if merged := n[virtionet.RxSegments] > 0; merged != c.merged[i] {
					t.Errorf("card %d has received %d segments made of several", i, n[virtionet.RxSegments])
				}
				if frames := n[virtionet.TxFrames]; c.cut[i] && frames > most/1448 {
					t.Errorf("card %d was given %d frames in spite of its segmentation", i, frames)
				}
			}
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

// TestChecksumStates: what the card has verified isn't looked at again, all else is, whatever came before.
func TestChecksumStates(t *testing.T) {
	la, _ := newTestLinks(t)
	link := &stateLink{testLink: la}
	w := testStack(t, Options{}, link, "192.0.2.1/24")
	fd := must[int](t)(w.socket(unix.AF_INET, unix.SOCK_DGRAM, 0))
	check(t, w.bind(fd, sa4("0.0.0.0", 7)))
	w.nonblock(fd)
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
