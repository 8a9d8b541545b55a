package packet

import (
	"bytes"
	"testing"
)

// fuzzLayer fuzzes one layer: around puts sound headers before the bytes. The seeds are the frames of the line tests
// from the byte on at which the layer starts in most of them.
func fuzzLayer(f *testing.F, start int, around func(payload []byte) []byte, groups ...string) {
	all := lineGroups()
	for _, group := range groups {
		tests, ok := all[group]
		if !ok {
			f.Fatalf("no group %q", group)
		}
		for _, tt := range tests {
			if len(tt.frame) >= start && len(tt.frame) < 2000 {
				f.Add(tt.frame[start:], uint16(len(tt.frame)), uint8(0))
				f.Add(tt.frame[start:], uint16(start+10), uint8(1))
			}
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, cut uint16, checksum uint8) {
		b := around(payload)
		keep := bytes.Clone(b)
		n := min(int(cut), len(b))
		checkText(t, &Frame{WireLen: len(b), Data: b[:n:n], Checksum: Checksum(checksum % 3)})
		checkText(t, &Frame{WireLen: n, Data: b[:n:n], Checksum: Checksum(checksum % 3), RxErrors: checksum})
		if !bytes.Equal(b, keep) {
			t.Error("the frame was written to")
		}
	})
}

func FuzzFrame(f *testing.F) {
	fuzzLayer(f, 0, func(b []byte) []byte { return b }, "Ethernet", "ARP", "IPv4", "IPv6", "UDP", "TCP")
}

func FuzzARP(f *testing.F) {
	fuzzLayer(f, 14, func(b []byte) []byte { return ether(EtherTypeARP, b) }, "ARP")
}

func FuzzIPv4(f *testing.F) {
	fuzzLayer(f, 14, func(b []byte) []byte { return ether(EtherTypeIPv4, b) }, "IPv4", "IPv4 options", "fragments")
}

func FuzzIPv6(f *testing.F) {
	fuzzLayer(f, 14, func(b []byte) []byte { return ether(EtherTypeIPv6, b) }, "IPv6")
}

func FuzzExtensions(f *testing.F) {
	fuzzLayer(f, 54, func(b []byte) []byte { return over6(extDestination, b) }, "IPv6")
}

func FuzzICMP(f *testing.F) {
	fuzzLayer(f, 34, func(b []byte) []byte { return over4(ProtocolICMP, b) }, "ICMP")
}

func FuzzICMPv6(f *testing.F) {
	fuzzLayer(f, 54, func(b []byte) []byte { return over6(ProtocolICMPv6, b) }, "ICMPv6", "NDP")
}

func FuzzUDP(f *testing.F) {
	fuzzLayer(f, 34, func(b []byte) []byte { return over4(ProtocolUDP, b) }, "UDP")
}

func FuzzTCP(f *testing.F) {
	fuzzLayer(f, 34, func(b []byte) []byte { return over4(ProtocolTCP, b) }, "TCP", "TCP options")
}

func FuzzDNS(f *testing.F) {
	fuzzLayer(f, 42, func(b []byte) []byte { return over4(ProtocolUDP, udp4(53, 9, b)) }, "DNS")
}

func FuzzDHCP(f *testing.F) {
	fuzzLayer(f, 42, func(b []byte) []byte { return over4(ProtocolUDP, udp4(67, 68, b)) }, "DHCP")
}

func FuzzHTTP(f *testing.F) {
	fuzzLayer(f, 54, func(b []byte) []byte { return over4(ProtocolTCP, tcp4(segment{flags: TCPACK}, b)) }, "HTTP")
}
