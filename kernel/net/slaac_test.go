package net

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// routerAdvertisement is the frame of a router that announces fec0::/64 and a name server [RFC 4861 4.2, RFC 8106 5.1].
func routerAdvertisement(lifetime uint16) []byte {
	src := netip.MustParseAddr("fe80::2").As16()
	dst := netip.MustParseAddr("ff02::1").As16()
	prefix := netip.MustParseAddr("fec0::").As16()
	dns := netip.MustParseAddr("fec0::3").As16()
	b := []byte{134, 0, 0, 0, 64, 0}
	b = binary.BigEndian.AppendUint16(b, lifetime)
	b = append(b, make([]byte, 8)...)
	b = append(b, 1, 1, 0x52, 0x56, 0, 0, 0, 2) // source link-layer address
	b = append(b, 3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0)
	b = append(b, prefix[:]...)
	b = append(b, 25, 3, 0, 0, 0, 0, 7, 8)
	b = append(b, dns[:]...)
	sum := internetSum(internetSum(uint32(len(b)+58), src[:]), dst[:])
	c := foldSum(internetSum(sum, b))
	b[2], b[3] = byte(c>>8), byte(c)
	f := []byte{0x33, 0x33, 0, 0, 0, 1, 0x52, 0x56, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(b)), 58, 255}
	f = append(f, src[:]...)
	f = append(f, dst[:]...)
	return append(f, b...)
}

func TestRouterAdvertisements(t *testing.T) {
	la, lb := newTestLinks(t)
	la.watch()
	s, err := New(Options{})
	check(t, err)
	defer s.Close()
	check(t, s.AddLink(la, "eth0", LinkConfig{}))
	solicited := func() bool {
		return slices.ContainsFunc(la.frames(), func(f []byte) bool { return len(f) > 54 && f[12] == 0x86 && f[54] == 133 })
	}
	settle(t, "router solicitation", solicited)
	lb.Transmit(routerAdvertisement(1800))
	want := netip.MustParsePrefix("fec0::ff:fe00:1/64") // EUI-64 of 02:00:00:00:00:01
	settle(t, "address", func() bool { return slices.Contains(s.Addresses("eth0"), want) })
	settle(t, "routes", func() bool {
		r := s.engine.routes()
		return slices.Contains(r, route{index: 2, dst: netip.MustParsePrefix("::/0"), gateway: netip.MustParseAddr("fe80::2")}) &&
			slices.Contains(r, route{index: 2, dst: netip.MustParsePrefix("fec0::/64")})
	})
	settle(t, "DNS", func() bool { return slices.Equal(s.DNS(), []netip.Addr{netip.MustParseAddr("fec0::3")}) })
	announced := func() bool {
		a := want.Addr().As16()
		return slices.ContainsFunc(la.frames(), func(f []byte) bool {
			return len(f) == 86 && f[54] == 136 && string(f[62:78]) == string(a[:])
		})
	}
	settle(t, "announcement", announced)
	// A socket finds its way out with that address.
	w := &ours{t: t, s: s}
	fd := must[int](t)(w.socket(unix.AF_INET6, unix.SOCK_DGRAM, 0))
	defer w.close(fd)
	check(t, w.connect(fd, sa6("2001:db8::1", 53)))
	if sa := must[[]byte](t)(w.name(fd)); string(sa[8:24]) != string(want.Addr().AsSlice()) {
		t.Errorf("source address %v", sa)
	}
	lb.Transmit(routerAdvertisement(0)) // the router resigns
	settle(t, "no route", func() bool {
		return !slices.ContainsFunc(s.engine.routes(), func(r route) bool { return r.gateway.IsValid() })
	})
}
