package packet

import "testing"

// What the frames of other links carry, and its words.
var (
	rawUDP4  = ip4(header4{proto: ProtocolUDP}, udp4(1, 2, fill(3)))
	rawUDP6  = ip6(header6{next: ProtocolUDP}, udp6(1, 2, fill(3)))
	rawARP   = arpMessage(1, macGateway, ip4Gateway, make([]byte, 6), ip4Guest)
	rawLine4 = "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 UDP len=3 ck=ok"
	rawLine6 = "IPv6 [fe80::2]:1>[fec0::15]:2 hop=64 UDP len=3 ck=ok"
)

func rawLines() []lineTest {
	return []lineTest{
		{"IPv4", rawUDP4, rawLine4},
		{"IPv6", rawUDP6, rawLine6},
		{"trailer", join(rawUDP4, fill(3)), rawLine4 + " trailer=3"},
		{"nothing", nil, "IPv4 !truncated 0<20 byte 0"},
		{"short", fill(30), "IPv6 !truncated 30<40 byte 0"},
		{"version 5", set(rawUDP4, 0, 0x55), "IPv4 !version 5 want 4 byte 0"},
	}
}

func cookedLines() []lineTest {
	cooked := func(kind, size, proto int) []byte {
		return join(be(kind, 2), be(1, 2), be(size, 2), macGuest, []byte{0, 0}, be(proto, 2))
	}
	return []lineTest{
		{"IPv4", join(cooked(0, 6, 0x800), rawUDP4), "cooked(to-us) 52:54:00:12:34:56 " + rawLine4},
		{"no address", join(cooked(0, 0, 0x86dd), rawUDP6), "cooked(to-us) " + rawLine6},
		{"long address", join(cooked(9, 99, 0x800), rawUDP4), "cooked(9) 52:54:00:12:34:56:00:00 " + rawLine4},
		{"ARP", join(cooked(4, 6, 0x806), rawARP), "cooked(from-us) 52:54:00:12:34:56 ARP who-has 10.0.2.15 tell 10.0.2.2"},
		{"802.2", join(cooked(1, 6, 4), rawARP), "cooked(broadcast) 52:54:00:12:34:56 proto=0x0004"},
		{"tag", join(cooked(1, 6, 0x8100), vlanTag(5, 0x800), rawUDP4), "cooked(broadcast) 52:54:00:12:34:56 vlan 5/p0 " + rawLine4},
		{"unknown type", join(cooked(1, 6, 0x1234), rawARP), "cooked(broadcast) 52:54:00:12:34:56 !ethertype-unknown 0x1234 byte 14 len=28"},
		{"short", cooked(1, 6, 4)[:15], "cooked !truncated 15<16 byte 0"},
	}
}

func cooked2Lines() []lineTest {
	cooked := func(kind, size, proto int) []byte {
		return join(be(proto, 2), be(0, 2), be(7, 4), be(1, 2), []byte{byte(kind), byte(size)}, macGuest, []byte{0, 0})
	}
	return []lineTest{
		{"IPv4", join(cooked(4, 6, 0x800), rawUDP4), "cooked(from-us) 52:54:00:12:34:56 " + rawLine4},
		{"unknown type", join(cooked(4, 6, 0x1234), rawUDP4), "cooked(from-us) 52:54:00:12:34:56 !ethertype-unknown 0x1234 byte 0 len=31"},
		{"short", cooked(1, 6, 4)[:19], "cooked !truncated 19<20 byte 0"},
	}
}

func TestUnknownLink(t *testing.T) {
	runLines(t, LinkOther+99, []lineTest{{"unknown", fill(5), "!link-unknown 99 byte 0"}})
}
