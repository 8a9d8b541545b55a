package packet

import (
	"strings"
	"testing"
)

// dnsMessage builds a message: flags, the four counts, and what follows.
func dnsMessage(flags int, counts [4]int, rest ...[]byte) []byte {
	return join(be(0x1c2e, 2), be(flags, 2), be(counts[0], 2), be(counts[1], 2), be(counts[2], 2), be(counts[3], 2), join(rest...))
}

// wireName builds a name in labels.
func wireName(s string) []byte {
	var b []byte
	for label := range strings.SplitSeq(s, ".") {
		b = append(b, byte(len(label)))
		b = append(b, label...)
	}
	return append(b, 0)
}

// dnsRR builds a record; name is on the wire already.
func dnsRR(name []byte, typ, class int, data ...[]byte) []byte {
	d := join(data...)
	return join(name, be(typ, 2), be(class, 2), be(60, 4), be(len(d), 2), d)
}

func dnsLines() []lineTest {
	question := join(wireName("example.com"), be(1, 2), be(1, 2))
	self := []byte{0xc0, 12}
	frame := func(b []byte) []byte { return over4(ProtocolUDP, udp4(53, 10000, b)) }
	head := func(n string) string { return "IPv4 10.0.2.2:53>10.0.2.15:10000 ttl=64 UDP len=" + n + " ck=ok DNS " }
	long := strings.Repeat(strings.Repeat("x", 60)+".", 3) + "y"
	tooLong := strings.Repeat(strings.Repeat("x", 60)+".", 4) + strings.Repeat("y", 20)
	return []lineTest{
		{"query", frame(dnsMessage(0x0100, [4]int{1}, question)), head("29") + "id=0x1c2e query [rd] A example.com"},
		{"query with EDNS", frame(dnsMessage(0x0120, [4]int{1, 0, 0, 1}, question, dnsRR([]byte{0}, 41, 1232))),
			head("40") + "id=0x1c2e query [rd,ad] A example.com add=1"},
		{"response", frame(dnsMessage(0x8580, [4]int{1, 2, 1, 0}, question, dnsRR(self, 5, 1, wireName("www"), nil), dnsRR(self, 1, 1, []byte{1, 2, 3, 4}))),
			head("62") + "id=0x1c2e response NOERROR [aa,rd,ra] A example.com <CNAME www,A 1.2.3.4> auth=1"},
		{"no such name", frame(dnsMessage(0x8183, [4]int{1}, question)), head("29") + "id=0x1c2e response NXDOMAIN [rd,ra] A example.com"},
		{"other records", frame(dnsMessage(0x8000, [4]int{1, 6}, question, dnsRR(self, 28, 1, ip6Guest), dnsRR(self, 15, 1, be(10, 2), self),
			dnsRR(self, 33, 1, be(1, 2), be(2, 2), be(80, 2), wireName("srv")), dnsRR(self, 16, 1, []byte("\x04a b\"")), dnsRR(self, 12, 1, self),
			dnsRR(self, 99, 1, fill(5)))),
			head("144") + `id=0x1c2e response NOERROR A example.com <AAAA fec0::15,MX 10 example.com,SRV 1 2 80 srv,TXT "a b\"",PTR example.com,type-99 len=5>`},
		{"root", frame(dnsMessage(0, [4]int{1}, []byte{0}, be(2, 2), be(1, 2))), head("17") + "id=0x1c2e query NS ."},
		{"many answers", frame(dnsMessage(0x8000, [4]int{1, 9}, question, dnsRR(self, 1, 1, ip4Guest), dnsRR(self, 1, 1, ip4Guest), dnsRR(self, 1, 1, ip4Guest),
			dnsRR(self, 1, 1, ip4Guest), dnsRR(self, 1, 1, ip4Guest), dnsRR(self, 1, 1, ip4Guest), dnsRR(self, 1, 1, ip4Guest), dnsRR(self, 1, 1, ip4Guest), dnsRR(self, 1, 1, ip4Guest))),
			head("173") + "id=0x1c2e response NOERROR A example.com <" + strings.Repeat("A 10.0.2.15,", 8) + "...>"},
		{"multicast DNS", over4(ProtocolUDP, udp4(5353, 5353, dnsMessage(0x8400, [4]int{0, 1}, dnsRR(wireName("a.local"), 1, 0x8001, ip4Guest)))),
			"IPv4 10.0.2.2:5353>10.0.2.15:5353 ttl=64 UDP len=35 ck=ok DNS id=0x1c2e response NOERROR [aa] <a.local A 10.0.2.15>"},
		{"odd bytes in a name", frame(dnsMessage(0, [4]int{1}, []byte("\x07a b.c\n!\x00"), be(1, 2), be(1, 2))), head("25") + `id=0x1c2e query A a\x20b\x2ec\n!`},
		{"long name", frame(dnsMessage(0, [4]int{1}, wireName(long), be(1, 2), be(1, 2))),
			head("202") + "id=0x1c2e query A " + long[:121] + "...."},
		{"opcodes", frame(dnsMessage(0x2800, [4]int{})), head("12") + "id=0x1c2e query update"},
		{"unknown opcode and code", frame(dnsMessage(0xf80f, [4]int{})), head("12") + "id=0x1c2e response rcode-15 opcode-15"},
		{"reserved bit", frame(dnsMessage(0x0040, [4]int{})), head("12") + "id=0x1c2e query !reserved-bit byte 45"},
		{"short", frame(fill(5)), head("5") + "!truncated 5<12 byte 42"},
		{"no question", frame(dnsMessage(0, [4]int{1})), head("12") + "id=0x1c2e query !truncated 12<13 byte 42"},
		{"name cut", frame(dnsMessage(0, [4]int{1}, []byte("\x05abc"))), head("16") + "id=0x1c2e query !truncated 16<18 byte 42"},
		{"type cut", frame(dnsMessage(0, [4]int{1}, question[:15])), head("27") + "id=0x1c2e query example.com !truncated 27<29 byte 42"},
		{"pointer to itself", frame(dnsMessage(0, [4]int{1}, self, be(1, 2), be(1, 2))), head("18") + "id=0x1c2e query !name-pointer 12>11 byte 54"},
		{"label type", frame(dnsMessage(0, [4]int{1}, []byte{0x80}, fill(20))), head("33") + "id=0x1c2e query !label-type 0x80 byte 54"},
		{"name too long", frame(dnsMessage(0, [4]int{1}, wireName(tooLong), be(1, 2), be(1, 2))),
			head("282") + "id=0x1c2e query " + tooLong[:121] + ".... !name-length 266>255 byte 298"},
		{"record cut", frame(dnsMessage(0x8000, [4]int{1, 1}, question, self, be(1, 2))), head("33") + "id=0x1c2e response NOERROR A example.com !truncated 33<41 byte 42"},
		{"data cut", frame(dnsMessage(0x8000, [4]int{1, 1}, question, dnsRR(self, 1, 1, ip4Guest)[:15])),
			head("44") + "id=0x1c2e response NOERROR A example.com !truncated 44<45 byte 42"},
		{"data too short", frame(dnsMessage(0x8000, [4]int{1, 1}, question, dnsRR(self, 1, 1, fill(3)))),
			head("44") + "id=0x1c2e response NOERROR A example.com <A> !rdata 3<4 byte 83"},
		{"TCP", over4(ProtocolTCP, tcp4(segment{sport: 53, dport: 9, flags: TCPACK}, be(29, 2), dnsMessage(0x0100, [4]int{1}, question))),
			"IPv4 10.0.2.2:53>10.0.2.15:9 ttl=64 TCP [.] seq=0 ack=0 win=0 len=31 ck=ok DNS id=0x1c2e query [rd] A example.com"},
		{"part of a message over TCP", over4(ProtocolTCP, tcp4(segment{sport: 53, dport: 9, flags: TCPACK}, be(99, 2), dnsMessage(0x0100, [4]int{1}, question))),
			"IPv4 10.0.2.2:53>10.0.2.15:9 ttl=64 TCP [.] seq=0 ack=0 win=0 len=31 ck=ok"},
	}
}

// dhcpMessage builds a message with the given options.
func dhcpMessage(op int, options []byte) []byte {
	b := make([]byte, DHCPSize)
	b[0], b[1], b[2] = byte(op), 1, 6
	copy(b[4:], unhex("c02aa43b"))
	copy(b[28:], macGuest)
	copy(b[236:], unhex("63825363"))
	return join(b, options)
}

func dhcpLines() []lineTest {
	frame := func(b []byte) []byte { return over4(ProtocolUDP, udp4(67, 68, b)) }
	head := "IPv4 10.0.2.2:67>10.0.2.15:68 ttl=64 UDP len="
	words := " xid=0xc02aa43b chaddr=52:54:00:12:34:56"
	return []lineTest{
		{"discover", frame(dhcpMessage(1, unhex("3501 01 ff"))), head + "244 ck=ok DHCP discover" + words},
		{"ack", frame(set(dhcpMessage(2, unhex("350105 3604 0a000202 3304 00015180 0304 0a000202 0608 0a000203 0a000204 0c03 612262 1a02 05dc 3401 03 ff")), 16, 10, 0, 2, 15)),
			head + `284 ck=ok DHCP ack` + words + ` yiaddr=10.0.2.15 <server 10.0.2.2,lease 86400,router 10.0.2.2,dns 10.0.2.3 10.0.2.4,host "a\"b",mtu 1500,overload 3>`},
		{"unknown type", frame(dhcpMessage(1, unhex("3501 63 ff"))), head + "244 ck=ok DHCP type-99" + words},
		{"BOOTP", frame(dhcpMessage(1, unhex("ff"))), head + "241 ck=ok DHCP bootp-request" + words},
		{"unknown option", frame(dhcpMessage(2, unhex("350102 e0021234 ff"))), head + "248 ck=ok DHCP offer" + words + " <opt-224 len=2>"},
		{"unknown op", frame(dhcpMessage(9, unhex("350101 ff"))), head + "244 ck=ok DHCP discover" + words + " !op-unknown 9 byte 42"},
		{"cookie", frame(set(dhcpMessage(2, nil), 236, 1, 2, 3, 4)), head + "240 ck=ok DHCP bootp-reply" + words + " !cookie 0x1020304 want 0x63825363 byte 278"},
		{"hardware length", frame(set(dhcpMessage(1, unhex("ff")), 2, 17)), head + "241 ck=ok DHCP !hlen 17>16 byte 44"},
		{"short", frame(dhcpMessage(1, nil)[:200]), head + "200 ck=ok DHCP !truncated 200<240 byte 42"},
		{"no end", frame(dhcpMessage(1, unhex("350101"))), head + "243 ck=ok DHCP discover" + words + " !no-end-option byte 285"},
		{"option overrun", frame(dhcpMessage(1, unhex("350101 0c09 61"))), head + "246 ck=ok DHCP discover" + words + " !option-length 11>3 byte 286"},
		{"option without length", frame(dhcpMessage(1, unhex("350101 0c"))), head + "244 ck=ok DHCP discover" + words + " !option-length 1<2 byte 285"},
		{"address of odd length", frame(dhcpMessage(1, unhex("350101 0303010203 ff"))), head + "249 ck=ok DHCP discover" + words + " <router len=3>"},
	}
}

func httpLines() []lineTest {
	frame := func(s string) []byte { return over4(ProtocolTCP, tcp4(segment{flags: TCPACK}, []byte(s))) }
	head := func(n string) string {
		return "IPv4 10.0.2.2:40112>10.0.2.15:80 ttl=64 TCP [.] seq=0 ack=0 win=0 len=" + n + " ck=ok"
	}
	long := "GET /" + strings.Repeat("x", 300)
	return []lineTest{
		{"request", frame("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), head("27") + ` HTTP "GET / HTTP/1.1"`},
		{"response", frame("HTTP/1.1 404 Not Found\r\n\r\n"), head("26") + ` HTTP "HTTP/1.1 404 Not Found"`},
		{"bare newline", frame("POST /a\"b\\\x1b HTTP/1.0\nx"), head("22") + ` HTTP "POST /a\"b\\\x1b HTTP/1.0"`},
		{"all methods", frame("OPTIONS * HTTP/1.1\r\n"), head("20") + ` HTTP "OPTIONS * HTTP/1.1"`},
		{"line without end", frame(long), head("305") + ` HTTP "` + long[:200] + `..."`},
		{"not HTTP", frame("GET me out of here\nHTTP/1.1"), head("27")},
		{"short", frame("GET /"), head("5")},
		{"first fragment", ether(EtherTypeIPv4, ip4(header4{proto: ProtocolTCP, frag: 0x2000}, tcp4(segment{flags: TCPACK}, []byte("GET / HTTP/1.1\r\n")), fill(4))),
			"IPv4 10.0.2.2:40112>10.0.2.15:80 ttl=64 id=0x0000 frag 0+40 more TCP [.] seq=0 ack=0 win=0 len=20 ck=unchecked(fragment)"},
	}
}

// TestNameEndsBeforeTheMessage walks every pointer a message can hold.
func TestNameEndsBeforeTheMessage(t *testing.T) {
	msg := dnsMessage(0, [4]int{1}, fill(20))
	for at := DNSSize; at < len(msg); at++ {
		for to := range 64 {
			b := set(msg, at, 0xc0, byte(to))
			n := newDNSName(b, at)
			for steps := 0; n.next(); steps++ {
				if steps > len(b) {
					t.Fatalf("pointer at %d to %d: no end", at, to)
				}
			}
		}
	}
}
