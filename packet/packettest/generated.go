// Package packettest makes frames and captures for tests: with gopacket, so that somebody else's idea of the protocols is
// tested against ours.
package packettest

import (
	"fmt"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Frame is one frame with a name.
type Frame struct {
	Name string
	Data []byte
}

// Addresses of the frames.
var (
	macA, macB = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}, net.HardwareAddr{0x52, 0x55, 0x0a, 0, 2, 2}
	ip4A, ip4B = net.IP{10, 0, 2, 15}, net.IP{10, 0, 2, 2}
	ip6A, ip6B = net.ParseIP("fec0::15"), net.ParseIP("fe80::2")
)

// builder collects frames.
type builder struct {
	t      testing.TB
	frames []Frame
}

// add puts a frame together; lengths and checksums are gopacket's.
func (b *builder) add(name string, parts ...gopacket.SerializableLayer) {
	b.t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
		b.t.Fatalf("%s: %v", name, err)
	}
	b.frames = append(b.frames, Frame{name, append([]byte(nil), buf.Bytes()...)})
}

func ethernet(typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: macA, DstMAC: macB, EthernetType: typ}
}

func ipv4(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Id: 0x1234, Flags: layers.IPv4DontFragment, Protocol: protocol, SrcIP: ip4A, DstIP: ip4B}
}

func ipv6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: next, SrcIP: ip6A, DstIP: ip6B}
}

// transport gives a transport the addresses its checksum covers.
func tcp(ip gopacket.NetworkLayer, h layers.TCP) *layers.TCP {
	if h.SrcPort == 0 {
		h.SrcPort, h.DstPort = 40112, 80
	}
	h.SetNetworkLayerForChecksum(ip)
	return &h
}

func udp(ip gopacket.NetworkLayer, sport, dport layers.UDPPort) *layers.UDP {
	h := &layers.UDP{SrcPort: sport, DstPort: dport}
	h.SetNetworkLayerForChecksum(ip)
	return h
}

func icmp6(ip gopacket.NetworkLayer, typ, code uint8) *layers.ICMPv6 {
	h := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, code)}
	h.SetNetworkLayerForChecksum(ip)
	return h
}

func text(n int) gopacket.Payload {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}

// Generated returns sound frames of all protocols that are decoded, on Ethernet.
func Generated(t testing.TB) []Frame {
	b := &builder{t: t}
	b.link()
	b.tcp()
	b.udp()
	b.icmp()
	b.icmp6()
	b.ip()
	return b.frames
}

func (b *builder) link() {
	for _, op := range []uint16{1, 2, 3, 8} {
		b.add(fmt.Sprintf("ARP %d", op), ethernet(layers.EthernetTypeARP), &layers.ARP{AddrType: 1, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6,
			ProtAddressSize: 4, Operation: op, SourceHwAddress: macA, SourceProtAddress: ip4A, DstHwAddress: macB, DstProtAddress: ip4B})
	}
	ip := ipv4(layers.IPProtocolUDP)
	b.add("VLAN", ethernet(layers.EthernetTypeDot1Q), &layers.Dot1Q{Priority: 3, VLANIdentifier: 200, Type: layers.EthernetTypeIPv4}, ip, udp(ip, 1, 2), text(30))
	b.add("QinQ", ethernet(layers.EthernetTypeQinQ), &layers.Dot1Q{VLANIdentifier: 5, Type: layers.EthernetTypeDot1Q},
		&layers.Dot1Q{VLANIdentifier: 6, DropEligible: true, Type: layers.EthernetTypeIPv4}, ip, udp(ip, 1, 2), text(30))
	b.add("VLAN ARP", ethernet(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 200, Type: layers.EthernetTypeARP},
		&layers.ARP{AddrType: 1, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
			SourceHwAddress: macA, SourceProtAddress: ip4A, DstHwAddress: make([]byte, 6), DstProtAddress: ip4B})
	b.add("STP", &layers.Ethernet{SrcMAC: macA, DstMAC: net.HardwareAddr{1, 0x80, 0xc2, 0, 0, 0}, Length: 38},
		&layers.LLC{DSAP: 0x42, SSAP: 0x42, Control: 3}, gopacket.Payload(make([]byte, 43)))
	b.add("broadcast", &layers.Ethernet{SrcMAC: macA, DstMAC: layers.EthernetBroadcast, EthernetType: layers.EthernetTypeIPv4}, ip, udp(ip, 68, 67), text(3))
	b.add("LLDP type", ethernet(layers.EthernetTypeLinkLayerDiscovery), text(46))
	b.add("unknown type", ethernet(0x1234), text(46))
}

func (b *builder) tcp() {
	options := []layers.TCPOption{
		{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 0xb4}},
		{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2},
		{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: []byte{1, 2, 3, 4, 0, 0, 0, 0}},
		{OptionType: layers.TCPOptionKindNop},
		{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
	}
	sack := []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
		{OptionType: layers.TCPOptionKindSACK, OptionLength: 10, OptionData: []byte{0, 0, 0, 1, 0, 0, 0, 9}}}
	segments := []struct {
		name    string
		h       layers.TCP
		payload int
	}{
		{"SYN", layers.TCP{SYN: true, Seq: 0xfffffff0, Window: 65535, Options: options}, 0},
		{"SYN ACK", layers.TCP{SrcPort: 80, DstPort: 40112, SYN: true, ACK: true, Seq: 7, Ack: 0xfffffff1, Window: 29200, Options: options}, 0},
		{"data", layers.TCP{ACK: true, PSH: true, Seq: 0xfffffff1, Ack: 8, Window: 502}, 100},
		{"odd data", layers.TCP{ACK: true, Seq: 0x55, Ack: 8, Window: 502}, 101},
		{"SACK", layers.TCP{ACK: true, Seq: 0x55, Ack: 8, Window: 0, Options: sack}, 0},
		{"FIN", layers.TCP{FIN: true, ACK: true, Seq: 0x99, Ack: 9, Window: 502}, 0},
		{"RST", layers.TCP{RST: true, Seq: 0x99}, 0},
		{"urgent", layers.TCP{ACK: true, URG: true, Urgent: 3, Seq: 1, Ack: 2, Window: 1}, 5},
		{"ECN", layers.TCP{SYN: true, ECE: true, CWR: true, Seq: 1, Window: 1}, 0},
		{"AE", layers.TCP{SYN: true, NS: true, Seq: 1, Window: 1}, 0},
		{"full", layers.TCP{ACK: true, Seq: 1, Ack: 2, Window: 502}, 1460},
		{"SSH", layers.TCP{SrcPort: 22, DstPort: 50000, ACK: true, Seq: 1, Ack: 2, Window: 502}, 20},
	}
	for _, s := range segments {
		ip := ipv4(layers.IPProtocolTCP)
		b.add("TCP "+s.name, ethernet(layers.EthernetTypeIPv4), ip, tcp(ip, s.h), text(s.payload))
		ip6 := ipv6(layers.IPProtocolTCP)
		b.add("TCP6 "+s.name, ethernet(layers.EthernetTypeIPv6), ip6, tcp(ip6, s.h), text(min(s.payload, 1440)))
	}
	ip := ipv4(layers.IPProtocolTCP)
	b.add("HTTP", ethernet(layers.EthernetTypeIPv4), ip, tcp(ip, layers.TCP{ACK: true, Seq: 1, Ack: 2, Window: 9}), gopacket.Payload("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
}

func (b *builder) udp() {
	ip, ip6 := ipv4(layers.IPProtocolUDP), ipv6(layers.IPProtocolUDP)
	for _, n := range []int{0, 1, 2, 30, 1472} {
		b.add(fmt.Sprintf("UDP %d", n), ethernet(layers.EthernetTypeIPv4), ip, udp(ip, 40000, 9), text(n))
		b.add(fmt.Sprintf("UDP6 %d", n), ethernet(layers.EthernetTypeIPv6), ip6, udp(ip6, 40000, 9), text(min(n, 1452)))
	}
	dns := layers.DNS{ID: 0x4242, RD: true, QDCount: 1, Questions: []layers.DNSQuestion{{Name: []byte("example.com"), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
	b.add("DNS query", ethernet(layers.EthernetTypeIPv4), ip, udp(ip, 40000, 53), &dns)
	answer := dns
	answer.QR, answer.RA, answer.ANCount = true, true, 1
	answer.Answers = []layers.DNSResourceRecord{{Name: []byte("example.com"), Type: layers.DNSTypeA, Class: layers.DNSClassIN, TTL: 300, IP: net.IP{93, 184, 216, 34}}}
	b.add("DNS response", ethernet(layers.EthernetTypeIPv4), ip, udp(ip, 53, 40000), &answer)
	b.add("DNS6 response", ethernet(layers.EthernetTypeIPv6), ip6, udp(ip6, 53, 40000), &answer)
	b.add("DHCP", ethernet(layers.EthernetTypeIPv4), ip, udp(ip, 68, 67), &layers.DHCPv4{Operation: layers.DHCPOpRequest, HardwareType: 1, HardwareLen: 6,
		Xid: 0x12345678, ClientHWAddr: macA, Options: layers.DHCPOptions{layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{1}),
			layers.NewDHCPOption(layers.DHCPOptHostname, []byte("wick")), layers.NewDHCPOption(layers.DHCPOptEnd, nil)}})
	b.add("NTP", ethernet(layers.EthernetTypeIPv4), ip, udp(ip, 123, 123), text(48))
}

func (b *builder) icmp() {
	inner := gopacket.NewSerializeBuffer()
	quoted := ipv4(layers.IPProtocolUDP)
	if err := gopacket.SerializeLayers(inner, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, quoted, udp(quoted, 5, 6), text(12)); err != nil {
		b.t.Fatal(err)
	}
	for _, m := range []struct {
		name       string
		typ, code  uint8
		id, seq    uint16
		quotes     bool
		payloadLen int
	}{
		{"echo", 8, 0, 7, 1, false, 56}, {"echo reply", 0, 0, 7, 1, false, 56}, {"port unreachable", 3, 3, 0, 0, true, 0},
		{"frag needed", 3, 4, 0, 1400, true, 0}, {"redirect", 5, 1, 0x0a00, 0x0203, true, 0}, {"time exceeded", 11, 0, 0, 0, true, 0},
		{"parameter", 12, 0, 0x0500, 0, true, 0},
	} {
		payload := text(m.payloadLen)
		if m.quotes {
			payload = inner.Bytes()
		}
		b.add("ICMP "+m.name, ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolICMPv4),
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(m.typ, m.code), Id: m.id, Seq: m.seq}, payload)
	}
}

func (b *builder) icmp6() {
	ip := ipv6(layers.IPProtocolICMPv6)
	link := layers.ICMPv6Option{Type: layers.ICMPv6OptSourceAddress, Data: macA}
	for _, m := range []struct {
		name string
		typ  uint8
		body gopacket.SerializableLayer
	}{
		{"echo", 128, &layers.ICMPv6Echo{Identifier: 7, SeqNumber: 1}},
		{"echo reply", 129, &layers.ICMPv6Echo{Identifier: 7, SeqNumber: 1}},
		{"router solicit", 133, &layers.ICMPv6RouterSolicitation{Options: layers.ICMPv6Options{link}}},
		{"router advert", 134, &layers.ICMPv6RouterAdvertisement{HopLimit: 64, RouterLifetime: 1800, Options: layers.ICMPv6Options{link}}},
		{"neighbor solicit", 135, &layers.ICMPv6NeighborSolicitation{TargetAddress: ip6B, Options: layers.ICMPv6Options{link}}},
		{"neighbor advert", 136, &layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: ip6A,
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: macA}}}},
	} {
		b.add("ICMPv6 "+m.name, ethernet(layers.EthernetTypeIPv6), ip, icmp6(ip, m.typ, 0), m.body)
	}
}

func (b *builder) ip() {
	options := ipv4(layers.IPProtocolUDP)
	options.Options = []layers.IPv4Option{{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}}, {OptionType: 0}}
	b.add("IPv4 options", ethernet(layers.EthernetTypeIPv4), options, udp(options, 1, 2), text(10))
	first := ipv4(layers.IPProtocolUDP)
	first.Flags = layers.IPv4MoreFragments
	b.add("first fragment", ethernet(layers.EthernetTypeIPv4), first, udp(first, 1, 2), text(1472))
	last := ipv4(layers.IPProtocolUDP)
	last.Flags, last.FragOffset = 0, 185
	b.add("last fragment", ethernet(layers.EthernetTypeIPv4), last, text(40))
	for _, p := range []struct {
		name     string
		protocol layers.IPProtocol
	}{
		{"GRE", layers.IPProtocolGRE}, {"SCTP", layers.IPProtocolSCTP}, {"IGMP", layers.IPProtocolIGMP}, {"ESP", layers.IPProtocolESP},
		{"AH", layers.IPProtocolAH}, {"OSPF", layers.IPProtocolOSPF}, {"VRRP", layers.IPProtocolVRRP}, {"unknown", 200},
	} {
		b.add("IPv4 "+p.name, ethernet(layers.EthernetTypeIPv4), ipv4(p.protocol), text(40))
	}
	outer, inner := ipv4(layers.IPProtocolIPv4), ipv4(layers.IPProtocolUDP)
	b.add("IP in IP", ethernet(layers.EthernetTypeIPv4), outer, inner, udp(inner, 1, 2), text(5))
	six := ipv6(layers.IPProtocolUDP)
	b.add("6in4", ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolIPv6), six, udp(six, 1, 2), text(5))
	b.add("4in6", ethernet(layers.EthernetTypeIPv6), ipv6(layers.IPProtocolIPv4), inner, udp(inner, 1, 2), text(5))
	multicast := ipv4(layers.IPProtocolUDP)
	multicast.DstIP = net.IP{224, 0, 0, 251}
	b.add("multicast", &layers.Ethernet{SrcMAC: macA, DstMAC: net.HardwareAddr{1, 0, 0x5e, 0, 0, 0xfb}, EthernetType: layers.EthernetTypeIPv4},
		multicast, udp(multicast, 5353, 5353), text(5))
	b.extensions()
}

// extensions builds IPv6 extension headers from their bytes.
func (b *builder) extensions() {
	udpBytes := func(ip *layers.IPv6, n int) []byte {
		buf := gopacket.NewSerializeBuffer()
		plain := *ip
		plain.NextHeader = layers.IPProtocolUDP
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, udp(&plain, 1, 2), text(n)); err != nil {
			b.t.Fatal(err)
		}
		return buf.Bytes()
	}
	for _, e := range []struct {
		name   string
		next   layers.IPProtocol
		header []byte
	}{
		{"destination", layers.IPProtocolIPv6Destination, []byte{17, 0, 1, 4, 0, 0, 0, 0}},
		{"first fragment", layers.IPProtocolIPv6Fragment, []byte{17, 0, 0, 1, 0, 0, 0, 9}},
		{"last fragment", layers.IPProtocolIPv6Fragment, []byte{17, 0, 5, 0xa8, 0, 0, 0, 9}},
		{"hop-by-hop", layers.IPProtocolIPv6HopByHop, []byte{17, 0, 5, 2, 0, 0, 1, 0}},
		{"routing", layers.IPProtocolIPv6Routing, []byte{17, 0, 253, 0, 0, 0, 0, 0}},
	} {
		ip := ipv6(e.next)
		b.add("IPv6 "+e.name, ethernet(layers.EthernetTypeIPv6), ip, gopacket.Payload(append(e.header, udpBytes(ip, 32)...)))
	}
}
