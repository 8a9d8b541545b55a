package packet

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFullTexts compares the detailed form of a frame per protocol, and of some broken ones, with testdata/full.txt.
// WICK_UPDATE=1 writes it anew.
func TestFullTexts(t *testing.T) {
	const golden = "testdata/full.txt"
	groups := lineGroups()
	var text []byte
	for _, name := range []string{
		"Ethernet/tag with DEI", "Ethernet/802.3", "Ethernet/SNAP", "Ethernet/short", "Ethernet/truncated tag", "Ethernet/unknown type",
		"ARP/padded", "ARP/other sender", "ARP/hardware type", "ARP/short addresses",
		"IPv4/header checksum", "IPv4/ihl", "IPv4/reserved flag", "IPv4/6in4", "IPv4/total beyond the frame", "IPv4 options/record route", "IPv4 options/length 1",
		"fragments/first", "fragments/last",
		"IPv6/class and flow", "IPv6/hop-by-hop", "IPv6/segment routing", "IPv6/last fragment", "IPv6/authentication", "IPv6/nine extensions",
		"IPv6/payload beyond the frame", "IPv6/data behind the last header",
		"UDP/bad checksum", "UDP/length less than the datagram", "UDP/short",
		"TCP/data", "TCP/xmas", "TCP/data offset beyond the segment", "TCP options/SACK", "TCP options/outside SYN",
		"ICMP/port unreachable", "ICMP/code", "ICMP/short", "ICMPv6/too big", "ICMPv6/MLDv2 report", "NDP/router advertisement", "NDP/hop limit", "NDP/short",
		"DNS/response", "DNS/data too short", "DHCP/ack", "HTTP/request",
	} {
		group, test, _ := strings.Cut(name, "/")
		i := slices.IndexFunc(groups[group], func(tt lineTest) bool { return tt.name == test })
		if i < 0 {
			t.Fatalf("no test %q", name)
		}
		b := groups[group][i].frame
		f := Frame{Number: 12, Time: 4218 * time.Microsecond, Interface: "e0", WireLen: len(b), Data: b}
		text = Append(fmt.Appendf(text, "== %s\n", name), &f, Full)
	}
	frame := over4(ProtocolUDP, udp4(1, 2, fill(1000)))
	text = append(text, "== captured in part\n"...)
	text = Append(text, &Frame{Number: 12, Interface: "e0", WireLen: len(frame), Data: frame[:60], RxErrors: 1, Drop: "rx-errors"}, Full)
	if os.Getenv("WICK_UPDATE") == "1" {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	gotParts, wantParts := strings.Split(string(text), "== "), strings.Split(string(want), "== ")
	for i := range max(len(gotParts), len(wantParts)) {
		if i >= len(gotParts) || i >= len(wantParts) || gotParts[i] != wantParts[i] {
			t.Fatalf("differs from %s, which WICK_UPDATE=1 writes anew; got part %d:\n%s", golden, i, gotParts[min(i, len(gotParts)-1)])
		}
	}
}
