package packet

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"wick/packet/pcap"
	"wick/packet/tsharkcheck"
)

// TestCraftedAgreesWithTshark compares the line of every frame of the line tests with what tshark says of it.
func TestCraftedAgreesWithTshark(t *testing.T) {
	tsharkcheck.Need(t)
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file, pcap.LinkEthernet, 0)
	if err != nil {
		t.Fatal(err)
	}
	type named struct {
		name string
		lineTest
	}
	var all []named
	groups := lineGroups()
	var names []string
	for name := range groups {
		if linkOf(name) == LinkEthernet {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, tt := range groups[name] {
			all = append(all, named{name + "/" + tt.name, tt})
			if err := w.Write(time.Unix(1, 0), len(tt.frame), tt.frame); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "crafted.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	packets, err := tsharkcheck.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(packets) != len(all) {
		t.Fatalf("tshark has %d packets of %d", len(packets), len(all))
	}
	for i, tt := range all {
		f := Frame{Number: uint64(i + 1), Interface: "e0", WireLen: len(tt.frame), Data: tt.frame}
		line := Append(nil, &f, Line)
		l, ok := tsharkcheck.ParseLine(string(line))
		if !ok {
			t.Fatalf("%s: not a line: %q", tt.name, line)
		}
		diffs := tsharkcheck.Diff(nil, i+1, l.Facts, i+1, packets[i])
		if why, ok := disagreements[tt.name]; ok {
			if len(diffs) == 0 {
				t.Errorf("%s agrees, although %s", tt.name, why)
			}
			continue
		}
		for _, d := range diffs {
			t.Errorf("%s: %v\n%s", tt.name, d, line)
		}
	}
}

// disagreements are the frames of which tshark says something else, with the reason.
var disagreements = map[string]string{
	"ARP/hardware type":                     "the line doesn't interpret the addresses",
	"ARP/hardware length":                   "the line doesn't interpret the addresses",
	"Ethernet/addresses only":               "tshark shows nothing of a short header",
	"ICMP/short":                            "tshark judges the checksum of a message without a whole header",
	"ICMP/timestamp":                        "tshark has other fields for these numbers",
	"ICMPv6/short":                          "tshark judges the checksum of a message without a whole header",
	"ICMP/code of a short message":          "tshark judges the checksum of a message without a whole header",
	"ICMPv6/code of a short message":        "tshark judges the checksum of a message without a whole header",
	"ICMPv6/short MLD":                      "tshark judges the checksum of a message without a whole header",
	"NDP/short":                             "tshark judges the checksum of a message without a whole header",
	"IPv4/short":                            "tshark shows what there is of a short header",
	"IPv4/ihl":                              "tshark shows nothing of a header with a bad length",
	"IPv4/ihl beyond the frame":             "tshark shows nothing of a header with a bad length",
	"IPv4/ihl beyond the total":             "tshark shows nothing of a header with a bad length",
	"IPv4/total less than a header":         "tshark shows nothing of a header with a bad length",
	"IPv4/total beyond the frame with TCP":  "tshark takes the segment for whole",
	"IPv4/total less than the UDP datagram": "tshark gives the length as it stands",
	"IPv4/deep tunnel":                      "the depth is bounded",
	"IPv4 options/router alert length":      "tshark gives up at the option",
	"IPv4 options/loose source route":       "tshark gives the last hop as the destination",
	"IPv6/version":                          "tshark calls it no IPv6",
	"IPv6/short":                            "tshark shows what there is of a short header",
	"IPv6/jumbo too short":                  "tshark gives up at the option",
	"TCP/short":                             "tshark shows what there is of a short header",
	"UDP/short":                             "tshark shows what there is of a short header",
	"UDP/nothing":                           "tshark doesn't name a protocol without any byte",
	"UDP/length 7":                          "tshark gives the length as it stands",
	"UDP/length 0":                          "tshark gives the length as it stands",
	"UDP/length beyond the datagram":        "tshark gives the length as it stands",
	"UDP/no checksum on IPv6":               "tshark gives no verdict",
}
