package packet

import (
	"bytes"
	"testing"
)

// fuzzLayer fuzzes one layer: around puts sound headers before the bytes. The seeds are the frames of the line tests
// from the byte on at which the layer starts in most of them.
func fuzzLayer(f *testing.F, link Link, start int, around func(payload []byte) []byte, groups ...string) {
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
	d := NewDecoder(64)
	f.Fuzz(func(t *testing.T, payload []byte, cut uint16, checksum uint8) {
		b := around(payload)
		keep := bytes.Clone(b)
		n := min(int(cut), len(b))
		checkText(t, &Frame{WireLen: len(b), Data: b[:n:n], Link: link, Checksum: Checksum(checksum % 3)})
		checkText(t, &Frame{WireLen: n, Data: b[:n:n], Link: link, Checksum: Checksum(checksum % 3), RxErrors: checksum})
		d.Append(nil, &Frame{WireLen: n, Data: b[:n:n], Link: link}, Full)
		if !bytes.Equal(b, keep) {
			t.Error("the frame was written to")
		}
	})
}

func FuzzFrame(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 0, same, "Ethernet", "ARP", "IPv4", "IPv6", "UDP", "TCP")
}

func FuzzARP(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 14, func(b []byte) []byte { return ether(EtherTypeARP, b) }, "ARP")
}

func FuzzIPv4(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 14, func(b []byte) []byte { return ether(EtherTypeIPv4, b) }, "IPv4", "IPv4 options", "fragments")
}

func FuzzIPv6(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 14, func(b []byte) []byte { return ether(EtherTypeIPv6, b) }, "IPv6")
}

func FuzzExtensions(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 54, func(b []byte) []byte { return over6(extDestination, b) }, "IPv6")
}

func FuzzICMP(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 34, func(b []byte) []byte { return over4(ProtocolICMP, b) }, "ICMP")
}

func FuzzICMPv6(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 54, func(b []byte) []byte { return over6(ProtocolICMPv6, b) }, "ICMPv6", "NDP")
}

func FuzzUDP(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 34, func(b []byte) []byte { return over4(ProtocolUDP, b) }, "UDP")
}

func FuzzTCP(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 34, func(b []byte) []byte { return over4(ProtocolTCP, b) }, "TCP", "TCP options")
}

func FuzzDNS(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 42, func(b []byte) []byte { return over4(ProtocolUDP, udp4(53, 9, b)) }, "DNS")
}

func FuzzDHCP(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 42, func(b []byte) []byte { return over4(ProtocolUDP, udp4(67, 68, b)) }, "DHCP")
}

func FuzzHTTP(f *testing.F) {
	fuzzLayer(f, LinkEthernet, 54, func(b []byte) []byte { return over4(ProtocolTCP, tcp4(segment{flags: TCPACK}, b)) }, "HTTP")
}

func same(b []byte) []byte { return b }

func FuzzVsock(f *testing.F)      { fuzzLayer(f, LinkVsock, 0, same, "vsock") }
func FuzzVsockMon(f *testing.F)   { fuzzLayer(f, LinkVsockMon, 0, same, "vsock mon") }
func FuzzVsockEvent(f *testing.F) { fuzzLayer(f, LinkVsockEvent, 0, same, "vsock event") }
func FuzzRaw(f *testing.F)        { fuzzLayer(f, LinkRaw, 0, same, "raw") }
func FuzzCooked(f *testing.F)     { fuzzLayer(f, LinkCooked, 0, same, "cooked") }
func FuzzCooked2(f *testing.F)    { fuzzLayer(f, LinkCooked2, 0, same, "cooked 2") }
