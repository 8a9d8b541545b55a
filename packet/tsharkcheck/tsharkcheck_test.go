package tsharkcheck

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseLine(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"#12 0.004218 e0 < 74 52:55:0a:00:02:02>52:54:00:12:34:56 IPv4 10.0.2.2:40112>10.0.2.15:80 ttl=64 DF TCP [S] seq=928549246 win=65535 <mss 1460,sackOK,ts 1306300950/0,ws 7> len=0 ck=ok",
			"DF=set ck=ok dport=80 dst=10.0.2.15 eth.dst=52:54:00:12:34:56 eth.src=52:55:0a:00:02:02 flags=[S] len=0 mss=1460 net=IPv4 proto=TCP seq=928549246 sport=40112 src=10.0.2.2 ts=1306300950/0 ttl=64 win=65535 wire=74 ws=7"},
		{"program's text#13 0.004301 e0 > 42 52:54:00:12:34:56>ff:ff:ff:ff:ff:ff ARP who-has 10.0.2.2 tell 10.0.2.15",
			"arp.op=1 arp.sender=10.0.2.15 arp.target=10.0.2.2 eth.dst=ff:ff:ff:ff:ff:ff eth.src=52:54:00:12:34:56 net=ARP wire=42"},
		{"#14 0.000000 e0 < 1518 52:55:0a:00:02:02>52:54:00:12:34:56 vlan 200/p3 IPv4 10.0.2.2>10.0.2.15 ttl=255 id=0x1c2e frag 1480+40 last UDP (not first fragment)",
			"dst=10.0.2.15 eth.dst=52:54:00:12:34:56 eth.src=52:55:0a:00:02:02 frag=1480 id=0x1c2e net=IPv4 src=10.0.2.2 ttl=255 vlan=200 wire=1518"},
		{"#15 0.000000 e0 < 77 52:55:0a:00:02:02>52:54:00:12:34:56 IPv4 10.0.2.15>10.0.2.2 ttl=64 tos=0xc0 hdr-ck=!bad(want 0x1234) ICMP unreachable(3) port(3) <IPv4 10.0.2.2:50414>10.0.2.15:5 ttl=64 UDP len=7> ck=!bad(want 0x4321)",
			"ck=bad dst=10.0.2.2 eth.dst=52:54:00:12:34:56 eth.src=52:55:0a:00:02:02 hdr-ck=bad hdr-want=0x1234 icmp.code=3 icmp.type=3 net=IPv4 proto=ICMP src=10.0.2.15 ttl=64 want=0x4321 wire=77"},
		{"#16 0.000000 e0 < 86 52:55:0a:00:02:02>33:33:ff:00:00:15 IPv6 fe80::2>ff02::1:ff00:15 hop=255 ICMPv6 neighbor-solicit target=fec0::15 <src-ll 52:55:0a:00:02:02> ck=ok",
			"ck=ok dst=ff02::1:ff00:15 eth.dst=33:33:ff:00:00:15 eth.src=52:55:0a:00:02:02 icmp.code=0 icmp.type=135 net=IPv6 proto=ICMPv6 src=fe80::2 target=fec0::15 ttl=255 wire=86"},
		{"#17 0.000000 e0 < 86 52:55:0a:00:02:02>52:54:00:12:34:56 IPv6 [fe80::2]:53>[fec0::15]:10000 hop=64 UDP len=20 ck=unchecked(truncated) captured=60/86",
			"ck=unchecked cut=cut dport=10000 dst=fec0::15 eth.dst=52:54:00:12:34:56 eth.src=52:55:0a:00:02:02 len=20 net=IPv6 proto=UDP sport=53 src=fe80::2 ttl=64 wire=86"},
	} {
		l, ok := ParseLine(tt.line)
		if got := l.Facts.String(); !ok || got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.line, got, tt.want)
		}
	}
	for _, s := range []string{"", "hello #1", "  IPv4 14-34 ihl=20", "... 5 packets not shown"} {
		if _, ok := ParseLine(s); ok {
			t.Errorf("%q taken for a packet", s)
		}
	}
}

// entries returns one per word; "x!y" is a packet x with y in a field that does not make it another packet.
func entries(s string) []entry {
	var all []entry
	for i, w := range strings.Fields(s) {
		seq, ttl, _ := strings.Cut(w, "!")
		all = append(all, newEntry(i+1, Facts{"wire": "60", "seq": seq, "ttl": ttl}, false))
	}
	return all
}

func TestAlign(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{
		{"", "", ""},
		{"1 2 3", "1 2 3", ""},
		{"1 2 3", "1 3", "line 2"},
		{"1 3", "1 2 3", "packet 2"},
		{"", "1 2", "packet 1, packet 2"},
		{"1 2", "", "line 1, line 2"},
		{"1 2!64 3", "1 2!65 3", "2 is 2 but for ttl"},
		{"1 2 3", "1 9 3", "2 is 2 but for seq"},
		{"1 a a a 2", "1 a a 2", "line 4"},
		{"1 a a 2 a", "1 a a a 2 a", "packet 4"},
		{"1 a b a b 2", "1 b a b 2", "line 2"},
		{"1 2 3 4 5", "1 3 2 4 5", "line 2, packet 3"},
		{"a a!64 a", "a a!65 a", "2 is 2 but for ttl"},
	} {
		var got []string
		for _, d := range align(nil, entries(tt.a), entries(tt.b)) {
			switch {
			case d.Missing():
				got = append(got, fmt.Sprint("packet ", d.Packet))
			case d.Extra():
				got = append(got, fmt.Sprint("line ", d.Line))
			default:
				got = append(got, fmt.Sprintf("%d is %d but for %s", d.Line, d.Packet, d.Field))
			}
		}
		if got := strings.Join(got, ", "); got != tt.want {
			t.Errorf("%q against %q: %q, want %q", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestReadDump(t *testing.T) {
	lines, notShown, err := ReadDump(strings.NewReader("hello\n#1 0.000000 e0 < 60 x\n... 5 packets not shown\n#7 0.1 e0 < 60\n#8 0.000001 e0 > 60 y !dropped(ring-full)\n... 1 packet not shown\n"))
	if err != nil || notShown != 6 || len(lines) != 2 || lines[0].Number != 1 || lines[1].Number != 8 || !lines[1].Sent || !lines[1].Dropped {
		t.Errorf("%+v %d %v", lines, notShown, err)
	}
}
