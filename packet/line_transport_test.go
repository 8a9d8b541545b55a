package packet

import (
	"testing"
	"time"
)

func udpLines() []lineTest {
	head := "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 UDP "
	plain := udp4(1, 2, fill(30))
	long := sum(set(plain, 4, 0, 50), 6, ProtocolUDP, ip4Gateway, ip4Guest)
	less := set(plain, 4, 0, 20)
	copy(less, sum(less[:20], 6, ProtocolUDP, ip4Gateway, ip4Guest))
	return []lineTest{
		{"plain", over4(ProtocolUDP, plain), head + "len=30 ck=ok"},
		{"odd", over4(ProtocolUDP, udp4(1, 2, fill(31))), head + "len=31 ck=ok"},
		{"bad checksum", over4(ProtocolUDP, set(plain, 6, 0x12, 0x34)), head + "len=30 ck=!bad(want 0x942c)"},
		{"no checksum", over4(ProtocolUDP, set(plain, 6, 0, 0)), head + "len=30 ck=none"},
		{"short", over4(ProtocolUDP, plain[:7]), head + "!truncated 7<8 byte 34"},
		{"nothing", over4(ProtocolUDP), "IPv4 10.0.2.2>10.0.2.15 ttl=64 UDP !truncated 0<8 byte 34"},
		{"length 7", over4(ProtocolUDP, set(plain, 4, 0, 7)), head + "!length 7<8 byte 38 len=30 ck=unchecked(truncated)"},
		{"length 0", over4(ProtocolUDP, set(plain, 4, 0, 0)), head + "!length 0<8 byte 38 len=30 ck=unchecked(truncated)"},
		{"length beyond the datagram", over4(ProtocolUDP, long), head + "!length 50>38 byte 38 len=30 ck=unchecked(truncated)"},
		{"length less than the datagram", over4(ProtocolUDP, less), head + "!length 20<38 byte 38 len=12 ck=ok"},
		{"source port 0", over4(ProtocolUDP, udp4(0, 2)), "IPv4 10.0.2.2:0>10.0.2.15:2 ttl=64 UDP len=0 ck=ok !src-port-zero byte 34"},
		{"destination port 0", over4(ProtocolUDP, udp4(1, 0)), "IPv4 10.0.2.2:1>10.0.2.15:0 ttl=64 UDP len=0 ck=ok !dst-port-zero byte 36"},
		{"no checksum on IPv6", over6(ProtocolUDP, set(udp6(1, 2), 6, 0, 0)),
			"IPv6 [fe80::2]:1>[fec0::15]:2 hop=64 UDP len=0 ck=none !zero-checksum byte 60"},
	}
}

func tcpLines() []lineTest {
	head := "IPv4 10.0.2.2:40112>10.0.2.15:80 ttl=64 TCP "
	frame := func(s segment, n int) []byte { return over4(ProtocolTCP, tcp4(s, fill(n))) }
	flags := func(f TCPFlags) []byte { return frame(segment{flags: f, seq: 1}, 0) }
	return []lineTest{
		{"data", frame(segment{flags: TCPPSH | TCPACK, seq: 4294967295, ack: 4294967294, win: 502}, 5), head + "[P.] seq=4294967295 ack=4294967294 win=502 len=5 ck=ok"},
		{"all flags", flags(0x1ff), head + "[FSRP.UEWe] seq=1 ack=0 win=0 urg=0 len=0 ck=ok !SYN+FIN byte 47 !SYN+RST byte 47"},
		{"ECN setup", flags(TCPSYN | TCPECE | TCPCWR), head + "[SEW] seq=1 win=0 len=0 ck=ok"},
		{"urgent", frame(segment{flags: TCPACK | TCPURG, urg: 1}, 1), head + "[.U] seq=0 ack=0 win=0 urg=1 len=1 ck=ok"},
		{"the other zero as checksum", over4(ProtocolTCP, set(tcp4(segment{flags: TCPACK}), 14, 0xfa, 0xc3, 0xff, 0xff)), head + "[.] seq=0 ack=0 win=64195 len=0 ck=ok"},
		{"bad checksum", over4(ProtocolTCP, set(tcp4(segment{flags: TCPACK}), 16, 0xde, 0xad)), head + "[.] seq=0 ack=0 win=0 len=0 ck=!bad(want 0xfac3)"},
		{"short", over4(ProtocolTCP, tcp4(segment{})[:19]), head + "!truncated 19<20 byte 34"},
		{"data offset beyond the segment", frame(segment{flags: TCPACK, doff: 15}, 10), head + "!data-offset 60>30 byte 46 [.] seq=0 ack=0 win=0 ck=ok"},
		{"reserved bits", flags(TCPACK | 0xe00), head + "[.] seq=1 ack=0 win=0 len=0 ck=ok !reserved 0x07 byte 46"},
		{"SYN+FIN", flags(TCPSYN | TCPFIN), head + "[FS] seq=1 win=0 len=0 ck=ok !SYN+FIN byte 47"},
		{"SYN+RST", flags(TCPSYN | TCPRST), head + "[SR] seq=1 win=0 len=0 ck=ok !SYN+RST byte 47"},
		{"null", flags(0), head + "[none] seq=1 win=0 len=0 ck=ok !null byte 47"},
		{"null with ECN", flags(TCPECE), head + "[E] seq=1 win=0 len=0 ck=ok !null byte 47"},
		{"xmas", flags(TCPFIN | TCPPSH | TCPURG), head + "[FPU] seq=1 win=0 urg=0 len=0 ck=ok !xmas byte 47"},
		{"ack without ACK", frame(segment{flags: TCPSYN, ack: 5}, 0), head + "[S] seq=0 win=0 len=0 ck=ok !ack 5 without ACK byte 42"},
		{"urg without URG", frame(segment{flags: TCPACK, urg: 5}, 0), head + "[.] seq=0 ack=0 win=0 len=0 ck=ok !urg 5 without URG byte 52"},
		{"port 0", over4(ProtocolTCP, tcp4(segment{sport: 5, dport: 0, flags: TCPACK})),
			"IPv4 10.0.2.2:5>10.0.2.15:0 ttl=64 TCP [.] seq=0 ack=0 win=0 len=0 ck=ok !dst-port-zero byte 36"},
		{"IPv6", over6(ProtocolTCP, tcp6(segment{flags: TCPACK}, fill(3))), "IPv6 [fe80::2]:40112>[fec0::15]:80 hop=64 TCP [.] seq=0 ack=0 win=0 len=3 ck=ok"},
	}
}

func tcpOptionLines() []lineTest {
	frame := func(f TCPFlags, options string) []byte {
		return over4(ProtocolTCP, tcp4(segment{flags: f, options: unhex(options)}))
	}
	head := "IPv4 10.0.2.2:40112>10.0.2.15:80 ttl=64 TCP "
	syn, ack, end := head+"[S] seq=0 win=0 ", head+"[.] seq=0 ack=0 win=0 ", "len=0 ck=ok"
	return []lineTest{
		{"fillers", frame(TCPACK, "01010100"), ack + end},
		{"timestamps", frame(TCPACK, "0101080a 00000001 ffffffff"), ack + "<ts 1/4294967295> " + end},
		{"SACK", frame(TCPACK, "01010512 00000001 00000002 00000003 00000004"), ack + "<sack 1-2 3-4> " + end},
		{"user timeout", frame(TCPSYN, "1c048005"), syn + "<user-timeout 5m> " + end},
		{"fast open", frame(TCPSYN, "2206aabbccdd0101"), syn + "<tfo aabbccdd> " + end},
		{"fast open request", frame(TCPSYN, "22020101"), syn + "<tfo request> " + end},
		{"multipath", frame(TCPSYN, "1e040001"), syn + "<mptcp capable> " + end},
		{"MD5", frame(TCPSYN, "1312 00000000 00000000 00000000 00000000 0101"), syn + "<md5 len=18> " + end},
		{"unknown", frame(TCPSYN, "4d04aabb"), syn + "<opt-77 len=4> " + end},
		{"length 1", frame(TCPSYN, "02010000"), syn + end + " !option-length 1<2 byte 55"},
		{"length beyond the header", frame(TCPSYN, "010204b4"), syn + end + " !option-length 4>3 byte 56"},
		{"no length", frame(TCPSYN, "01010102"), syn + end + " !option-length 1<2 byte 57"},
		{"MSS length", frame(TCPSYN, "02030500"), syn + "<mss len=3> " + end + " !mss-length 3 want 4 byte 55"},
		{"timestamps length", frame(TCPSYN, "08040000"), syn + "<ts len=4> " + end + " !ts-length 4 want 10 byte 55"},
		{"SACK length", frame(TCPACK, "05060000 00000101"), ack + "<sack> " + end + " !sack-length 6 byte 55"},
		{"window scale length", frame(TCPSYN, "03040701"), syn + "<ws len=4> " + end + " !ws-length 4 want 3 byte 55"},
		{"SACK permitted length", frame(TCPSYN, "04030001"), syn + "<sackOK len=3> " + end + " !sackOK-length 3 want 2 byte 55"},
		{"window scale", frame(TCPSYN, "0303 0f01"), syn + "<ws 15> " + end + " !ws 15>14 byte 56"},
		{"outside SYN", frame(TCPACK, "020405b4 01030307 04020101"),
			ack + "<mss 1460,ws 7,sackOK> " + end + " !mss-outside-SYN byte 54 !ws-outside-SYN byte 59 !sackOK-outside-SYN byte 62"},
	}
}

func icmpLines() []lineTest {
	frame := func(b []byte) []byte { return over4(ProtocolICMP, b) }
	head := "IPv4 10.0.2.2>10.0.2.15 ttl=64 ICMP "
	zero := make([]byte, 4)
	udp := ip4(header4{proto: ProtocolUDP, src: ip4Guest, dst: ip4Gateway}, udpSegment(40836, 9, fill(2)))
	tcp := ip4(header4{proto: ProtocolTCP, src: ip4Guest, dst: ip4Gateway}, segment{seq: 77}.bytes(nil)[:8])
	quotes := " <IPv4 10.0.2.15:40836>10.0.2.2:9 ttl=64 UDP len=2> ck=ok"
	return []lineTest{
		{"reply", frame(icmp4(0, 0, be(7, 2), be(1, 2), fill(3))), head + "echo-reply id=7 seq=1 len=3 ck=ok"},
		{"bad checksum", frame(set(icmp4(0, 0, be(7, 2), be(1, 2)), 2, 0x12, 0x34)), head + "echo-reply id=7 seq=1 len=0 ck=!bad(want 0xfff7)"},
		{"code", frame(icmp4(8, 1, be(7, 2), be(1, 2))), head + "echo-request id=7 seq=1 len=0 ck=ok !code 1 want 0 byte 35"},
		{"short", frame(icmp4(8, 0, be(7, 2))), head + "echo-request !truncated 6<8 byte 34"},
		{"port unreachable", frame(icmp4(3, 3, zero, udp)), head + "unreachable(3) port(3)" + quotes},
		{"fragmentation needed", frame(icmp4(3, 4, be(1400, 4), tcp)),
			head + "unreachable(3) frag-needed(4) mtu=1400 <IPv4 10.0.2.15:40112>10.0.2.2:80 ttl=64 TCP seq=77> ck=ok"},
		{"unknown code", frame(icmp4(3, 99, zero, udp)), head + "unreachable(3) code-99" + quotes},
		{"redirect", frame(icmp4(5, 1, []byte{1, 2, 3, 4}, udp)), head + "redirect(5) host(1) gateway=1.2.3.4" + quotes},
		{"time exceeded", frame(icmp4(11, 0, zero, udp)), head + "time-exceeded(11) ttl(0)" + quotes},
		{"parameter problem", frame(icmp4(12, 0, []byte{20, 0, 0, 0}, udp)), head + "parameter-problem(12) pointer(0) pointer=20" + quotes},
		{"quoted echo", frame(icmp4(3, 1, zero, ip4(header4{proto: ProtocolICMP}, icmp4(8, 0, be(7, 2), be(1, 2))))),
			head + "unreachable(3) host(1) <IPv4 10.0.2.2>10.0.2.15 ttl=64 ICMP echo-request id=7 seq=1> ck=ok"},
		{"quoted fragment", frame(icmp4(3, 1, zero, ip4(header4{proto: ProtocolUDP, frag: 5}, fill(8)))),
			head + "unreachable(3) host(1) <IPv4 10.0.2.2>10.0.2.15 ttl=64 UDP (not first fragment)> ck=ok"},
		{"quoted header cut", frame(icmp4(3, 1, zero, udp[:12])), head + "unreachable(3) host(1) <IPv4 ...> ck=ok"},
		{"quoted header broken", frame(icmp4(3, 1, zero, set(udp, 0, 0x43))), head + "unreachable(3) host(1) <IPv4 !ihl 3<5 byte 42> ck=ok"},
		{"no quote", frame(icmp4(3, 1, zero)), head + "unreachable(3) host(1) ck=ok"},
		{"timestamp", frame(icmp4(13, 0, be(7, 2), be(1, 2), make([]byte, 12))), head + "timestamp-request id=7 seq=1 ck=ok"},
		{"code of a short message", frame(icmp4(0, 5)), head + "echo-reply !code 5 want 0 byte 35 !truncated 4<8 byte 34"},
		{"unknown type", frame(icmp4(77, 5, zero)), head + "type-77 code-5 len=0 ck=ok"},
	}
}

func icmpv6Lines() []lineTest {
	head := "IPv6 fe80::2>fec0::15 hop=64 ICMPv6 "
	frame := func(b []byte) []byte { return over6(ProtocolICMPv6, b) }
	zero := make([]byte, 4)
	udp := ip6(header6{next: ProtocolUDP}, udp6(1, 2, fill(2)))
	quotes := " <IPv6 [fe80::2]:1>[fec0::15]:2 hop=64 UDP len=2> ck=ok"
	return []lineTest{
		{"echo", frame(icmp6(128, 0, be(7, 2), be(1, 2), fill(3))), head + "echo-request id=7 seq=1 len=3 ck=ok"},
		{"bad checksum", frame(set(icmp6(129, 0, be(7, 2), be(1, 2)), 2, 0x12, 0x34)), head + "echo-reply id=7 seq=1 len=0 ck=!bad(want 0x815c)"},
		{"code", frame(icmp6(128, 1, be(7, 2), be(1, 2))), head + "echo-request id=7 seq=1 len=0 ck=ok !code 1 want 0 byte 55"},
		{"short", frame(icmp6(128, 0)), head + "echo-request !truncated 4<8 byte 54"},
		{"code of a short message", frame(icmp6(128, 5)), head + "echo-request !code 5 want 0 byte 55 !truncated 4<8 byte 54"},
		{"unreachable", frame(icmp6(1, 4, zero, udp)), head + "unreachable(1) port(4)" + quotes},
		{"too big", frame(icmp6(2, 0, be(1280, 4), udp)), head + "packet-too-big mtu=1280" + quotes},
		{"time exceeded", frame(icmp6(3, 1, zero, udp)), head + "time-exceeded(3) reassembly(1)" + quotes},
		{"parameter problem", frame(icmp6(4, 1, be(40, 4), udp)), head + "parameter-problem(4) next-header(1) pointer=40" + quotes},
		{"unknown", frame(icmp6(200, 5, zero, fill(2))), head + "type-200 code-5 len=2 ck=ok"},
		{"MLD query", frame(icmp6(130, 0, be(1000, 2), be(0, 2), ip6Guest)), head + "mld-query group=fec0::15 max-delay=1000 ck=ok"},
		{"MLDv2 query", frame(icmp6(130, 0, be(1000, 2), be(0, 2), ip6Guest, be(2, 2), be(1, 2), ip6Gateway)),
			head + "mld-query group=fec0::15 max-delay=1000 sources=1 ck=ok"},
		{"MLD done", frame(icmp6(132, 0, zero, ip6Guest)), head + "mld-done group=fec0::15 ck=ok"},
		{"short MLD", frame(icmp6(131, 0, zero, ip6Guest[:8])), head + "mld-report !truncated 16<24 byte 54"},
		{"MLDv2 report", frame(icmp6(143, 0, be(0, 2), be(2, 2), unhex("04000000"), ip6Guest, unhex("05000001"), ip6Gateway, ip6Guest)),
			head + "mld2-report records=2 <to-ex fec0::15,allow fe80::2 sources=1> ck=ok"},
	}
}

func ndpLines() []lineTest {
	head := "IPv6 fe80::2>fec0::15 hop=255 ICMPv6 "
	zero := make([]byte, 4)
	frame := func(typ int, rest ...[]byte) []byte { return ndp6(icmp6(typ, 0, rest...)) }
	ll := join([]byte{1, 1}, macGateway)
	prefix := join([]byte{3, 4, 64, 0xc0}, be(86400, 4), be(14400, 4), zero, unhex("fec00000000000000000000000000000"))
	return []lineTest{
		{"router solicitation", frame(133, zero, ll), head + "router-solicit <src-ll 52:55:0a:00:02:02> ck=ok"},
		{"router advertisement", frame(134, []byte{64, 0xc8}, be(1800, 2), be(1, 4), be(2, 4), ll, prefix, unhex("0501 0000 000005dc")),
			head + "router-advert hop-limit=64 [MO] pref=high lifetime=1800 reachable=1 retrans=2" +
				" <src-ll 52:55:0a:00:02:02,prefix fec0::/64 [LA] valid=86400 preferred=14400,mtu 1500> ck=ok"},
		{"name servers", frame(134, make([]byte, 12), []byte{25, 3, 0, 0}, be(60, 4), ip6Guest, []byte{24, 2, 64, 0}, be(9, 4), ip6Guest[:8]),
			head + "router-advert hop-limit=0 [] pref=medium lifetime=0 reachable=0 retrans=0 <rdnss fec0::15 lifetime=60,route fec0::/64 lifetime=9> ck=ok"},
		{"advertisement", frame(136, []byte{0xe0, 0, 0, 0}, ip6Guest, set(ll, 0, 2)),
			head + "neighbor-advert target=fec0::15 [RSO] <tgt-ll 52:55:0a:00:02:02> ck=ok"},
		{"redirect", frame(137, zero, ip6Gateway, ip6Guest), head + "redirect target=fe80::2 dst=fec0::15 ck=ok"},
		{"unknown option", frame(135, zero, ip6Guest, []byte{99, 1, 0, 0, 0, 0, 0, 0}), head + "neighbor-solicit target=fec0::15 <opt-99 len=8> ck=ok"},
		{"option length 0", frame(135, zero, ip6Guest, []byte{1, 0, 0, 0, 0, 0, 0, 0}),
			head + "neighbor-solicit target=fec0::15 ck=ok !option-length-zero byte 79"},
		{"option overrun", frame(135, zero, ip6Guest, []byte{1, 2, 0, 0, 0, 0, 0, 0}),
			head + "neighbor-solicit target=fec0::15 ck=ok !option-length 16>8 byte 79"},
		{"option cut", frame(135, zero, ip6Guest, []byte{1}), head + "neighbor-solicit target=fec0::15 ck=ok !option-length 1<8 byte 78"},
		{"short prefix", frame(134, make([]byte, 12), []byte{3, 1, 0, 0, 0, 0, 0, 0}),
			head + "router-advert hop-limit=0 [] pref=medium lifetime=0 reachable=0 retrans=0 <prefix> ck=ok !option-length 8<32 byte 71"},
		{"hop limit", over6(ProtocolICMPv6, icmp6(135, 0, zero, ip6Guest)),
			"IPv6 fe80::2>fec0::15 hop=64 ICMPv6 neighbor-solicit target=fec0::15 ck=ok !hop-limit 64 want 255 byte 21"},
		{"multicast target", frame(135, zero, unhex("ff020000000000000000000000000001")),
			head + "neighbor-solicit target=ff02::1 ck=ok !target-multicast byte 62"},
		{"short", frame(135, zero, ip6Guest[:8]), head + "neighbor-solicit !truncated 16<24 byte 54"},
	}
}

// TestSegmentationOffload: what the card is to cut up has lengths that don't fit, and is no anomaly.
func TestSegmentationOffload(t *testing.T) {
	b := over4(ProtocolTCP, segment{flags: TCPACK}.bytes(fill(3000)))
	b = set(b, 16, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0) // total length, id, fragment, TTL, protocol, checksum
	f := Frame{Number: 12, Time: 4218 * time.Microsecond, Interface: "e0", WireLen: len(b), Data: b, Checksum: ChecksumOffload, Segmented: true}
	checkLine(t, &f, "IPv4 10.0.2.2:40112>10.0.2.15:80 ttl=64 hdr-ck=offload TCP [.] seq=0 ack=0 win=0 len=3000 ck=offload seg=offload")

	b = over6(ProtocolTCP, segment{flags: TCPACK}.bytes(fill(70_000))) // as long as its length can't say
	b = set(b, 18, 0, 0)
	f.WireLen, f.Data = len(b), b
	checkLine(t, &f, "IPv6 [fe80::2]:40112>[fec0::15]:80 hop=64 TCP [.] seq=0 ack=0 win=0 len=70000 ck=offload seg=offload")
	f.Data = b[:2036]
	checkLine(t, &f, "IPv6 [fe80::2]:40112>[fec0::15]:80 hop=64 TCP [.] seq=0 ack=0 win=0 len=70000 ck=offload seg=offload captured=2036/70074")
}
