package net

import (
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/vfs"
)

func TestStackLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		la, _ := newTestLinks(t)
		s, err := New(Options{})
		check(t, err)
		check(t, s.AddLink(la, "eth0", LinkConfig{DHCP: true}))
		k, err := s.NewSocket(unix.AF_INET, unix.SOCK_STREAM, 0)
		check(t, err)
		check(t, k.Listen(1))
		k.Close()
		s.Close()
	}
	settle(t, "goroutines", func() bool { return runtime.NumGoroutine() <= before+2*20 }) // those of the cables stay
}

// FuzzReceive gives the stack frames that nobody should send. Sockets of each kind listen.
func FuzzReceive(f *testing.F) {
	mac := [6]byte{2, 0, 0, 0, 0, 1}
	f.Add(appendARPAnnouncement(nil, mac, addr4(192, 0, 2, 9)))
	f.Add(appendNeighborAdvertisement(nil, mac, netip.MustParseAddr("fe80::9")))
	f.Add(routerAdvertisement(1800))
	f.Add(appendUDPFrame(nil, [6]byte{2, 0, 0, 0, 0, 9}, mac, addr4(192, 0, 2, 9), addr4(192, 0, 2, 1), 1, 7, []byte("data")))
	for _, proto := range []byte{1, 2, 6, 17, 58, 0, 44} { // ICMP, IGMP, TCP, UDP, ICMPv6, hop-by-hop, fragment
		v4 := appendUDPFrame(nil, [6]byte{2, 0, 0, 0, 0, 9}, mac, addr4(192, 0, 2, 9), addr4(192, 0, 2, 1), 1, 7, make([]byte, 40))
		v4[23], v4[24], v4[25] = proto, 0, 0
		sum := foldSum(internetSum(0, v4[14:34]))
		v4[24], v4[25] = byte(sum>>8), byte(sum)
		f.Add(v4)
		v6 := append(append([]byte(nil), mac[:]...), 2, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, proto, 64)
		src, dst := netip.MustParseAddr("fe80::9").As16(), netip.MustParseAddr("fe80::ff:fe00:1").As16()
		f.Add(append(append(append(v6, src[:]...), dst[:]...), make([]byte, 40)...))
	}
	link := &testLink{mac: mac, in: make(chan []byte)}
	link.peer = link // what is sent finds no room
	s, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	if err := s.AddLink(link, "eth0", LinkConfig{Address: netip.MustParsePrefix("192.0.2.1/24")}); err != nil {
		f.Fatal(err)
	}
	var open []Socket
	for _, k := range [][3]int{
		{unix.AF_INET6, unix.SOCK_DGRAM, 0}, {unix.AF_INET6, unix.SOCK_STREAM, 0}, {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
		{unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6}, {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP},
		{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}, {unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6},
	} {
		x, err := s.NewSocket(k[0], k[1], k[2])
		if err != nil {
			f.Fatal(k, err)
		}
		if k[0] == unix.AF_INET6 {
			x.Bind(sa6("::", 7))
		} else {
			x.Bind(sa4("0.0.0.0", 7))
		}
		x.Listen(5)
		open = append(open, x)
	}
	f.Cleanup(func() {
		for _, x := range open {
			x.Close()
		}
	})
	buf := make([]byte, 1<<16)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 1514 {
			return
		}
		link.receive(frame)
		for _, x := range open {
			dst := vfs.Bytes(buf)
			m := Message{WantAddr: true, Control: make([]byte, 0, 200)}
			x.Recv(&dst, &m)
			if c, _, err := x.Accept(nil); err == nil {
				c.Close()
			}
		}
	})
}
