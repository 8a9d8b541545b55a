package packet

import "testing"

func ipv4Lines() []lineTest {
	udp := udp4(1, 2, fill(30))
	plain := ip4(header4{proto: ProtocolUDP}, udp)
	head := "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64"
	words := head + " UDP len=30 ck=ok"
	resum := func(b []byte) []byte { sum4(b); return b }
	with := func(h header4) []byte { h.proto = ProtocolUDP; return ether(EtherTypeIPv4, ip4(h, udp)) }
	return []lineTest{
		{"plain", ether(EtherTypeIPv4, plain), words},
		{"tos", with(header4{tos: 0xb8}), head + " tos=0xb8 UDP len=30 ck=ok"},
		{"version", ether(EtherTypeIPv4, set(plain, 0, 0x65)), "IPv4 !version 6 want 4 byte 14"},
		{"short", ether(EtherTypeIPv4, plain[:12]), "IPv4 !truncated 12<20 byte 14"},
		{"ihl", ether(EtherTypeIPv4, set(plain, 0, 0x44)), "IPv4 10.0.2.2>10.0.2.15 !ihl 4<5 byte 14"},
		{"ihl beyond the frame", ether(EtherTypeIPv4, set(plain[:30], 0, 0x4f)), "IPv4 10.0.2.2>10.0.2.15 !ihl 60>58 byte 14"},
		{"ihl beyond the frame and not the total", ether(EtherTypeIPv4, set(set(plain[:30], 0, 0x4f), 3, 60)), "IPv4 10.0.2.2>10.0.2.15 ttl=64 !truncated 30<60 byte 14"},
		{"ihl beyond the total", ether(EtherTypeIPv4, ip4(header4{proto: 99, total: 22, options: make([]byte, 4)}, fill(20))),
			"IPv4 10.0.2.2>10.0.2.15 ttl=64 !ihl 24>22 byte 14 proto=99 len=0 pad=20"},
		{"total beyond the frame", with(header4{total: 100}), head + " !total 100>58 byte 16 UDP len=30 ck=ok"},
		{"total beyond the frame with TCP", ether(EtherTypeIPv4, ip4(header4{proto: ProtocolTCP, total: 100}, tcp4(segment{flags: TCPACK}))),
			"IPv4 10.0.2.2:40112>10.0.2.15:80 ttl=64 !total 100>40 byte 16 TCP [.] seq=0 ack=0 win=0 len=0 ck=unchecked(truncated)"},
		{"total less than the UDP datagram", ether(EtherTypeIPv4, ip4(header4{proto: ProtocolUDP, total: 50}, udp)),
			head + " UDP !length 38>30 byte 38 len=22 ck=unchecked(truncated) trailer=8"},
		{"total less than a header", ether(EtherTypeIPv4, resum(set(plain, 2, 0, 19))),
			"IPv4 10.0.2.2>10.0.2.15 ttl=64 !total 19<20 byte 16 UDP !truncated 0<8 byte 34 trailer=38"},
		{"total 0", ether(EtherTypeIPv4, resum(set(plain, 2, 0, 0))), head + " !total 0<20 byte 16 UDP len=30 ck=ok"},
		{"reserved flag", with(header4{frag: 0x8000}), head + " !reserved-flag byte 20 UDP len=30 ck=ok"},
		{"TTL 0", ether(EtherTypeIPv4, resum(set(plain, 8, 0))), "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=0 !ttl-zero byte 22 UDP len=30 ck=ok"},
		{"header checksum", ether(EtherTypeIPv4, set(plain, 10, 0x12, 0x34)), head + " hdr-ck=!bad(want 0x62a3) UDP len=30 ck=ok"},
		{"no header checksum", ether(EtherTypeIPv4, set(plain, 10, 0, 0)), head + " hdr-ck=none UDP len=30 ck=ok"},
		{"multicast source", ether(EtherTypeIPv4, ip4(header4{src: []byte{224, 0, 0, 1}, proto: 89})),
			"IPv4 224.0.0.1>10.0.2.15 ttl=64 !src-multicast byte 26 OSPF len=0"},
		{"broadcast source", ether(EtherTypeIPv4, ip4(header4{src: []byte{255, 255, 255, 255}, proto: 89})),
			"IPv4 255.255.255.255>10.0.2.15 ttl=64 !src-broadcast byte 26 OSPF len=0"},
		{"reserved source", ether(EtherTypeIPv4, ip4(header4{src: []byte{240, 0, 0, 1}, proto: 89})),
			"IPv4 240.0.0.1>10.0.2.15 ttl=64 !src-reserved byte 26 OSPF len=0"},
		{"loopback source", ether(EtherTypeIPv4, ip4(header4{src: []byte{127, 0, 0, 1}, proto: 89})),
			"IPv4 127.0.0.1>10.0.2.15 ttl=64 !src-loopback byte 26 OSPF len=0"},
		{"loopback", ether(EtherTypeIPv4, ip4(header4{src: []byte{127, 0, 0, 1}, dst: []byte{127, 0, 0, 1}, proto: 89})),
			"IPv4 127.0.0.1>127.0.0.1 ttl=64 OSPF len=0"},
		{"unspecified source", ether(EtherTypeIPv4, ip4(header4{src: make([]byte, 4), proto: 89})),
			"IPv4 0.0.0.0>10.0.2.15 ttl=64 !src-unspecified byte 26 OSPF len=0"},
		{"host without address", ether(EtherTypeIPv4, ip4(header4{src: make([]byte, 4), dst: []byte{255, 255, 255, 255}, proto: 89})),
			"IPv4 0.0.0.0>255.255.255.255 ttl=64 OSPF len=0"},
		{"unknown protocol", over4(200, fill(30)), "IPv4 10.0.2.2>10.0.2.15 ttl=64 proto=200 len=30"},
		{"IP in IP", over4(ProtocolIPv4, plain), "IPv4 10.0.2.2>10.0.2.15 ttl=64 " + words},
		{"6in4", over4(ProtocolIPv6, ip6(header6{next: ProtocolUDP}, udp6(1, 2, fill(3)))),
			"IPv4 10.0.2.2>10.0.2.15 ttl=64 IPv6 [fe80::2]:1>[fec0::15]:2 hop=64 UDP len=3 ck=ok"},
		{"deep tunnel", over4(4, ip4(header4{proto: 4}, ip4(header4{proto: 4}, ip4(header4{proto: 4}, ip4(header4{proto: 4}, plain))))),
			"IPv4 10.0.2.2>10.0.2.15 ttl=64 IPv4 10.0.2.2>10.0.2.15 ttl=64 IPv4 10.0.2.2>10.0.2.15 ttl=64 IPv4 10.0.2.2>10.0.2.15 ttl=64 IPv4 len=78"},
	}
}

func ipv4OptionLines() []lineTest {
	head := "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64"
	frame := func(options string) []byte {
		o := unhex(options)
		return ether(EtherTypeIPv4, ip4(header4{proto: ProtocolUDP, options: o}, udp4(1, 2, fill(3))))
	}
	return []lineTest{
		{"router alert", frame("94040000"), head + " <router-alert 0> UDP len=3 ck=ok"},
		{"record route", frame("01 07 0b 08 01020304 00000000"), head + " <rr 1.2.3.4 ^0.0.0.0> UDP len=3 ck=ok"},
		{"fillers only", frame("01010100"), head + " UDP len=3 ck=ok"},
		{"unknown option", frame("5e04aabb"), head + " <opt-94 len=4> UDP len=3 ck=ok"},
		{"security", frame("8204aabb"), head + " <sec len=4> UDP len=3 ck=ok"},
		{"length 1", frame("07010000"), head + " !option-length 1<2 byte 35 UDP len=3 ck=ok"},
		{"length beyond the header", frame("01070c00"), head + " !option-length 12>3 byte 36 UDP len=3 ck=ok"},
		{"no length", frame("01010107"), head + " !option-length 1<2 byte 37 UDP len=3 ck=ok"},
		{"route length", frame("07050401 00000000"), head + " <rr> !route-length 5 byte 35 UDP len=3 ck=ok"},
		{"route pointer", frame("07070301 02030400"), head + " <rr 1.2.3.4> !route-pointer 3<4 byte 36 UDP len=3 ck=ok"},
		{"router alert length", frame("94030000"), head + " <router-alert> !router-alert-length 3 want 4 byte 35 UDP len=3 ck=ok"},
		// The pseudo-header has the last hop of a route that isn't used up.
		{"loose source route", ether(EtherTypeIPv4, ip4(header4{proto: ProtocolUDP, dst: []byte{9, 9, 9, 9}, options: join(unhex("01 83 07 04"), ip4Guest)},
			udp4(1, 2, fill(3)))), "IPv4 10.0.2.2:1>9.9.9.9:2 ttl=64 <lsrr ^10.0.2.15> UDP len=3 ck=ok"},
		{"source route used up", ether(EtherTypeIPv4, ip4(header4{proto: ProtocolUDP, options: unhex("01 89 07 08 01020304")},
			udp4(1, 2, fill(3)))), "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 <ssrr 1.2.3.4> UDP len=3 ck=ok"},
	}
}

func fragmentLines() []lineTest {
	udp := udp4(1, 2, fill(56))
	frame := func(frag, proto int, payload []byte) []byte {
		return ether(EtherTypeIPv4, ip4(header4{id: 7, frag: frag, proto: proto}, payload))
	}
	head := "IPv4 10.0.2.2>10.0.2.15 ttl=64 "
	return []lineTest{
		{"first", frame(0x2000, ProtocolUDP, udp[:40]), "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 id=0x0007 frag 0+40 more UDP len=32 ck=unchecked(fragment)"},
		{"middle", frame(0x2005, ProtocolUDP, udp[40:48]), head + "id=0x0007 frag 40+8 more UDP (not first fragment)"},
		{"last", frame(6, ProtocolUDP, udp[48:51]), head + "id=0x0007 frag 48+3 last UDP (not first fragment)"},
		{"unknown protocol", frame(6, 200, udp[48:]), head + "id=0x0007 frag 48+16 last proto=200 (not first fragment)"},
		{"DF", frame(0x4006, ProtocolUDP, udp[48:]), head + "DF id=0x0007 frag 48+16 last !DF-on-fragment byte 20 UDP (not first fragment)"},
		{"not x8", frame(0x2005, ProtocolUDP, udp[40:47]), head + "id=0x0007 frag 40+7 more !fragment-not-x8 7 byte 16 UDP (not first fragment)"},
		{"beyond 65535", frame(0x1ffe, ProtocolUDP, udp[:32]),
			head + "id=0x0007 frag 65520+32 last !fragment-end 65552>65535 byte 20 UDP (not first fragment)"},
		{"tiny first", frame(0x2000, ProtocolTCP, tcp4(segment{flags: TCPSYN})[:8]),
			"IPv4 10.0.2.2:40112>10.0.2.15:80 ttl=64 id=0x0007 frag 0+8 more !tiny-fragment 8<20 byte 16 TCP !truncated 8<20 byte 34"},
		{"tunnel", frame(0x2000, ProtocolIPv4, ip4(header4{proto: 89})[:16]), head + "id=0x0007 frag 0+16 more IPv4 len=16"},
	}
}

func ipv6Lines() []lineTest {
	udp := udp6(1, 2, fill(30))
	plain := ip6(header6{next: ProtocolUDP}, udp)
	head := "IPv6 [fe80::2]:1>[fec0::15]:2 hop=64"
	words := " UDP len=30 ck=ok"
	bare := "IPv6 fe80::2>fec0::15 hop=64"
	home := unhex("2001 0db8 0000 0000 0000 0000 0000 0007")
	opts := func(next int, o string) []byte { return join([]byte{byte(next), 0}, unhex(o)) }
	frag := func(field int) []byte { return join([]byte{ProtocolUDP, 0}, be(field, 2), be(7, 4)) }
	route := func(typ, left int) []byte {
		return join([]byte{ProtocolUDP, 2, byte(typ), byte(left), 0, 0, 0, 0}, ip6Guest)
	}
	return []lineTest{
		{"plain", ether(EtherTypeIPv6, plain), head + words},
		{"class and flow", ether(EtherTypeIPv6, ip6(header6{next: ProtocolUDP, tc: 0xb8, flow: 5}, udp)), head + " tc=0xb8" + words},
		{"version", ether(EtherTypeIPv6, set(plain, 0, 0x45)), "IPv6 !version 4 want 6 byte 14"},
		{"short", ether(EtherTypeIPv6, plain[:39]), "IPv6 !truncated 39<40 byte 14"},
		{"nothing", ether(EtherTypeIPv6), "IPv6 !truncated 0<40 byte 14"},
		{"payload beyond the frame", ether(EtherTypeIPv6, ip6(header6{next: ProtocolUDP, payload: 100}, udp)),
			head + " !payload 100>38 byte 18 UDP len=30 ck=ok"},
		{"payload less than the frame", ether(EtherTypeIPv6, plain, make([]byte, 6)), head + words + " pad=6"},
		{"hop 0", ether(EtherTypeIPv6, set(plain, 7, 0)), "IPv6 [fe80::2]:1>[fec0::15]:2 hop=0 !hop-zero byte 21" + words},
		{"multicast source", ether(EtherTypeIPv6, ip6(header6{next: 89, src: unhex("ff02 0000 0000 0000 0000 0000 0000 0001")})),
			"IPv6 ff02::1>fec0::15 hop=64 !src-multicast byte 22 OSPF len=0"},
		{"loopback source", ether(EtherTypeIPv6, ip6(header6{next: 89, src: unhex("0000 0000 0000 0000 0000 0000 0000 0001")})),
			"IPv6 ::1>fec0::15 hop=64 !src-loopback byte 22 OSPF len=0"},
		{"no next header", over6(59), bare + " no-next-header"},
		{"data behind the last header", over6(59, fill(8)), bare + " no-next-header !no-next-header-data 8 byte 54"},
		{"hop-by-hop", over6(0, opts(17, "0502 0000 0100"), udp), head + " hop-by-hop <router-alert 0>" + words},
		{"destination options", over6(60, opts(17, "0104 00000000"), udp), head + " dst-opts" + words},
		{"unknown option", over6(60, opts(17, "1e02 aabb 0000"), udp), head + " dst-opts <opt-30 len=4>" + words},
		{"option overrun", over6(60, opts(17, "1e05 aabb 0000"), udp), head + " dst-opts !option-length 7>6 byte 57" + words},
		{"option without length", over6(60, opts(17, "0102 0000 001e"), udp), head + " dst-opts !option-length 1<2 byte 61" + words},
		{"home address", over6(60, []byte{ProtocolUDP, 2}, unhex("0102 0000 c910"), home, sum(udpSegment(1, 2, fill(30)), 6, ProtocolUDP, home, ip6Guest)),
			head + " dst-opts <home-address 2001:db8::7>" + words},
		{"router alert of 3 bytes", over6(0, opts(17, "0503 0000 0000"), udp), head + " hop-by-hop <router-alert len=5> !option-length 3 want 2 byte 57" + words},
		{"jumbo of 3 bytes", over6(0, opts(17, "c203 0000 0000"), udp), head + " hop-by-hop <jumbo len=5> !option-length 3 want 4 byte 57" + words},
		{"tunnel limit of 2 bytes", over6(60, opts(17, "0402 0000 0100"), udp), head + " dst-opts <tunnel-limit len=4> !option-length 2 want 1 byte 57" + words},
		{"short CALIPSO and a broken option", over6(60, opts(17, "0702 0000 1e09"), udp),
			head + " dst-opts <calipso len=4> !option-length 2 want 8 byte 57 !option-length 11>2 byte 61" + words},
		{"hop-by-hop not first", over6(60, opts(0, "0104 00000000"), opts(17, "0104 00000000"), udp),
			head + " dst-opts hop-by-hop !hop-by-hop-not-first byte 62" + words},
		{"extension beyond the payload", over6(60, []byte{17, 5}, make([]byte, 6)), bare + " dst-opts !ext-length 48>8 byte 55"},
		{"short extension", over6(60, []byte{17, 0}), bare + " dst-opts !truncated 2<8 byte 54"},
		{"nine extensions", over6(60, opts(60, "0104 00000000"), opts(60, "0104 00000000"), opts(60, "0104 00000000"), opts(60, "0104 00000000"),
			opts(60, "0104 00000000"), opts(60, "0104 00000000"), opts(60, "0104 00000000"), opts(60, "0104 00000000"), opts(17, "0104 00000000")),
			bare + " dst-opts dst-opts dst-opts dst-opts dst-opts dst-opts dst-opts dst-opts dst-opts !ext-depth 9>8 byte 118"},
		{"first fragment", over6(44, frag(1), udp[:16]), head + " id=0x00000007 frag 0+16 more UDP len=8 ck=unchecked(fragment)"},
		{"last fragment", over6(44, frag(16), udp[16:]), bare + " id=0x00000007 frag 16+22 last UDP (not first fragment)"},
		{"atomic fragment", over6(44, frag(0), udp), head + " id=0x00000007 frag 0+38 last !atomic-fragment byte 54" + words},
		{"fragment not x8", over6(44, frag(17), udp[16:23]), bare + " id=0x00000007 frag 16+7 more !fragment-not-x8 7 byte 54 UDP (not first fragment)"},
		{"fragment beyond 65535", over6(44, frag(0xfff8), udp[:16]),
			bare + " id=0x00000007 frag 65528+16 last !fragment-end 65544>65535 byte 56 UDP (not first fragment)"},
		{"routing to the end", ether(EtherTypeIPv6, ip6(header6{next: 43, dst: ip6Gateway}, route(2, 1), udp)),
			"IPv6 [fe80::2]:1>[fe80::2]:2 hop=64 routing type=2 left=1 <fec0::15>" + words},
		{"segment routing", ether(EtherTypeIPv6, ip6(header6{next: 43, dst: ip6Gateway}, route(4, 1), udp)),
			"IPv6 [fe80::2]:1>[fe80::2]:2 hop=64 routing type=4 left=1 <fec0::15>" + words},
		{"routing used up", over6(43, route(2, 0), udp), head + " routing type=2 left=0 <fec0::15>" + words},
		{"segments left", over6(43, route(2, 9), udp), head + " routing type=2 left=9 <fec0::15> !segments-left 9>1 byte 57" + words},
		{"routing type 0", over6(43, route(0, 0), udp), head + " routing type=0 left=0 <fec0::15> !routing-type-0 byte 56" + words},
		{"authentication", over6(51, []byte{17, 1, 0, 0}, be(0x100, 4), be(5, 4), udp), head + " AH spi=0x00000100 seq=5" + words},
		{"mobility", over6(135, []byte{59, 0}, make([]byte, 6)), bare + " mobility len=8 no-next-header"},
		{"jumbo with payload", over6(0, opts(17, "c204 00011170"), udp), head + " !jumbo-with-payload 46 want 0 byte 18 hop-by-hop <jumbo 70000>" + words},
		{"jumbo too long", ether(EtherTypeIPv6, set(ip6(header6{}, opts(17, "c204 00011170"), udp), 4, 0, 0)),
			head + " jumbo=70000 !jumbo 70000>46 byte 54 hop-by-hop <jumbo 70000> UDP len=30 ck=ok"},
		{"jumbo too short", ether(EtherTypeIPv6, set(ip6(header6{}, opts(17, "c204 0000002e"), udp), 4, 0, 0)),
			head + " jumbo=46 !jumbo 46<65536 byte 54 hop-by-hop <jumbo 46>" + words},
		{"4in6", over6(ProtocolIPv4, ip4(header4{proto: ProtocolUDP}, udp4(1, 2))), bare + " IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 UDP len=0 ck=ok"},
	}
}

// TestJumbogram takes a datagram longer than 65,535 bytes.
func TestJumbogram(t *testing.T) {
	udp := udpSegment(1, 2, fill(70000))
	udp[4], udp[5] = 0, 0 // the length can't say it [RFC 2675 4]
	udp = sum(udp, 6, ProtocolUDP, ip6Gateway, ip6Guest)
	b := ip6(header6{}, []byte{17, 0, 0xc2, 4}, be(8+len(udp), 4), udp)
	b[4], b[5] = 0, 0
	runLines(t, LinkEthernet, []lineTest{{"jumbogram", ether(EtherTypeIPv6, b),
		"IPv6 [fe80::2]:1>[fec0::15]:2 hop=64 jumbo=70016 hop-by-hop <jumbo 70016> UDP len=70000 ck=ok"}})
}
