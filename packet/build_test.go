package packet

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Addresses of the frames that the tests build: the card's and the gateway's.
var (
	macGuest   = unhex("52:54:00:12:34:56")
	macGateway = unhex("52:55:0a:00:02:02")
	macAll     = unhex("ff:ff:ff:ff:ff:ff")
	ip4Guest   = []byte{10, 0, 2, 15}
	ip4Gateway = []byte{10, 0, 2, 2}
	ip6Guest   = unhex("fec0 0000 0000 0000 0000 0000 0000 0015")
	ip6Gateway = unhex("fe80 0000 0000 0000 0000 0000 0000 0002")
)

// unhex reads hexadecimal digits with anything between them that isn't one.
func unhex(s string) []byte {
	s = strings.NewReplacer(" ", "", ":", "", "\n", "", "\t", "").Replace(s)
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func be(n, size int) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return b[8-size:]
}

// fill returns n bytes that are not all alike.
func fill(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}

// set returns b with the bytes at off replaced.
func set(b []byte, off int, with ...byte) []byte {
	b = append([]byte(nil), b...)
	copy(b[off:], with)
	return b
}

// ether builds a frame from the gateway to the guest.
func ether(typ int, payload ...[]byte) []byte {
	return join(macGuest, macGateway, be(typ, 2), join(payload...))
}

// vlanTag builds a tag: the type that announces it belongs to the header before.
func vlanTag(tci, typ int) []byte { return join(be(tci, 2), be(typ, 2)) }

// header4 are the fields of an IPv4 header that tests vary.
type header4 struct {
	tos, total, id, frag, ttl, proto int
	src, dst                         []byte
	options                          []byte
}

// ip4 builds a datagram with right lengths and checksum, unless h says otherwise.
func ip4(h header4, payload ...[]byte) []byte {
	body := join(payload...)
	size := 20 + len(h.options)
	if h.total == 0 {
		h.total = size + len(body)
	}
	if h.ttl == 0 {
		h.ttl = 64
	}
	if h.src == nil {
		h.src = ip4Gateway
	}
	if h.dst == nil {
		h.dst = ip4Guest
	}
	b := join([]byte{0x40 | byte(size/4), byte(h.tos)}, be(h.total, 2), be(h.id, 2), be(h.frag, 2),
		[]byte{byte(h.ttl), byte(h.proto), 0, 0}, h.src, h.dst, h.options)
	sum4(b)
	return join(b, body)
}

// sum4 puts the right checksum into an IPv4 header.
func sum4(h []byte) {
	size := 4 * int(h[0]&0xf)
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], ^Sum(h[:size], 0))
}

// header6 are the fields of an IPv6 header that tests vary.
type header6 struct {
	tc, flow, payload, next, hop int
	src, dst                     []byte
}

func ip6(h header6, payload ...[]byte) []byte {
	body := join(payload...)
	if h.payload == 0 {
		h.payload = len(body)
	}
	if h.hop == 0 {
		h.hop = 64
	}
	if h.src == nil {
		h.src = ip6Gateway
	}
	if h.dst == nil {
		h.dst = ip6Guest
	}
	return join(be(6<<28|h.tc<<20|h.flow, 4), be(h.payload, 2), []byte{byte(h.next), byte(h.hop)}, h.src, h.dst, body)
}

// sum returns segment with the checksum at off right for the pseudo-header of the addresses.
func sum(segment []byte, off, proto int, src, dst []byte) []byte {
	b := append([]byte(nil), segment...)
	b[off], b[off+1] = 0, 0
	pseudo := join(src, dst, be(len(b), 4), be(proto, 4))
	if src == nil {
		pseudo = nil
	}
	s := ^Sum(join(pseudo, b), 0)
	if proto == ProtocolUDP && s == 0 {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(b[off:], s)
	return b
}

// udp4 and udp6 build datagrams from the gateway to the guest.
func udpSegment(sport, dport int, payload []byte) []byte {
	return join(be(sport, 2), be(dport, 2), be(8+len(payload), 2), be(0, 2), payload)
}

func udp4(sport, dport int, payload ...[]byte) []byte {
	return sum(udpSegment(sport, dport, join(payload...)), 6, ProtocolUDP, ip4Gateway, ip4Guest)
}

func udp6(sport, dport int, payload ...[]byte) []byte {
	return sum(udpSegment(sport, dport, join(payload...)), 6, ProtocolUDP, ip6Gateway, ip6Guest)
}

// segment are the fields of a TCP header that tests vary.
type segment struct {
	sport, dport int
	seq, ack     int
	doff         int // in words; right if 0
	flags        TCPFlags
	win, urg     int
	options      []byte
}

func (s segment) bytes(payload []byte) []byte {
	if s.sport == 0 {
		s.sport, s.dport = 40112, 80
	}
	if s.doff == 0 {
		s.doff = (20 + len(s.options)) / 4
	}
	return join(be(s.sport, 2), be(s.dport, 2), be(s.seq, 4), be(s.ack, 4), be(s.doff<<12|int(s.flags), 2), be(s.win, 2),
		be(0, 2), be(s.urg, 2), s.options, payload)
}

func tcp4(s segment, payload ...[]byte) []byte {
	return sum(s.bytes(join(payload...)), 16, ProtocolTCP, ip4Gateway, ip4Guest)
}

func tcp6(s segment, payload ...[]byte) []byte {
	return sum(s.bytes(join(payload...)), 16, ProtocolTCP, ip6Gateway, ip6Guest)
}

// icmp4 and icmp6 build messages with the right checksum.
func icmp4(typ, code int, rest ...[]byte) []byte {
	return sum(join([]byte{byte(typ), byte(code), 0, 0}, join(rest...)), 2, ProtocolICMP, nil, nil)
}

func icmp6(typ, code int, rest ...[]byte) []byte {
	return sum(join([]byte{byte(typ), byte(code), 0, 0}, join(rest...)), 2, ProtocolICMPv6, ip6Gateway, ip6Guest)
}

// over4, over6 and so on put a whole frame around a payload.
func over4(proto int, payload ...[]byte) []byte {
	return ether(EtherTypeIPv4, ip4(header4{proto: proto}, payload...))
}

func over6(next int, payload ...[]byte) []byte {
	return ether(EtherTypeIPv6, ip6(header6{next: next}, payload...))
}

func ndp6(payload ...[]byte) []byte {
	return ether(EtherTypeIPv6, ip6(header6{next: ProtocolICMPv6, hop: 255}, payload...))
}

// arpMessage builds a message for IPv4 on Ethernet.
func arpMessage(op int, sha, spa, tha, tpa []byte) []byte {
	return join(be(1, 2), be(EtherTypeIPv4, 2), []byte{6, 4}, be(op, 2), sha, spa, tha, tpa)
}
