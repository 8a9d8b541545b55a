package filter

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wick/packet"
	"wick/packet/packettest"
	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// expressions that tcpdump understands as we do. It forgets to ask for the protocol in arithmetic that begins with a
// constant, such as 2 * ip[8].
var expressions = []string{
	"ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "pim", "ah", "esp", "vrrp", "igrp", "stp", "atalk", "decnet",
	"not ip", "! ip", "not (ip or arp)", "ip or arp", "ip and tcp", "tcp && port 80", "tcp || udp", "not tcp and not udp", "not not tcp",
	"tcp or udp and port 80", "udp or tcp and port 80", "arp or (ip and udp)", "not arp or ip",
	"host 10.0.2.2", "src host 10.0.2.2", "dst host 10.0.2.2", "src 10.0.2.2", "dst 10.0.2.15", "src and dst host 10.0.2.2",
	"src or dst host 10.0.2.15", "dst or src host 10.0.2.15", "ip host 10.0.2.2", "arp host 10.0.2.2", "ip src 10.0.2.15", "arp src host 10.0.2.15",
	"rarp host 10.0.2.2", "host 224.0.0.251", "host 10.0.2.2 and 10.0.2.15", "host 10.0.2.2 or 224.0.0.251", "not host 10.0.2.2",
	"host 10.0.2.2 and not 224.0.0.251", "host (10.0.2.2 or 224.0.0.251)", "src host (10.0.2.2 and not 10.0.2.15)",
	"host fe80::2", "src host fec0::15", "dst fe80::2", "ip6 host fe80::2", "ip6 src fe80::2", "host fe80::3",
	"net 10", "net 10.0", "net 10.0.2", "net 10.0.2.0/24", "net 10.0.2.0 mask 255.255.255.0", "net 192.168", "src net 10.0.0.0/9", "dst net 224.0.0.0/4",
	"ip net 10.0.2.0/28", "arp net 10.0.0.0/8", "net 0.0.0.0/0", "net fe80::/10", "src net fec0::/16", "net fec0::15/128", "net fe80::/9", "net ::/0",
	"net 10.0.2.15/32", "net 10.0.2.14/31", "net 10.0.2.0/24 or 224.0.0.0/4", "ip6 net fe80::/64",
	"port 80", "src port 80", "dst port 80", "src and dst port 123", "src or dst port 53", "tcp port 80", "udp port 53", "tcp src port 80", "udp dst port 9",
	"port http", "port domain", "udp port ntp", "port 80 or 53", "port 80 or 53 or 9", "port (53 or 9)", "tcp port 80 or 22", "not port 80",
	"tcp dst port http or ssh", "portrange 1-100", "src portrange 50-60", "tcp portrange 20-30", "udp portrange 100-0", "portrange 80", "sctp port 24930",
	"port 22 and host 10.0.2.2", "port 0x50", "port 0120", "dst port 0",
	"proto 17", "ip proto 17", "ip6 proto 17", "proto \\tcp", "ip proto \\udp", "ip6 proto \\udp", "ip proto 200", "ip proto 47", "proto 6",
	"ether proto 0x0806", "ether proto \\arp", "ether proto \\ip", "ether proto 0x42", "ether proto 0x88cc",
	"ether host 52:54:00:12:34:56", "ether src 52:55:0a:00:02:02", "ether dst 52:55:a:0:2:2", "ether src host 52:54:00:12:34:56", "ether host 1:2:3:4:5:6",
	"ether broadcast", "broadcast", "ether multicast", "multicast", "ip multicast", "ip6 multicast", "not broadcast and not multicast",
	"less 100", "greater 100", "less 60", "greater 60", "len > 100", "len <= 60", "len = 1514", "len != 60", "len + 10 > 100",
	"vlan", "vlan 200", "vlan 6", "vlan and ip", "vlan 200 and arp", "vlan 5 and vlan 6", "vlan and vlan", "vlan and vlan and udp port 2", "ip or vlan",
	"vlan and host 10.0.2.2", "not vlan", "vlan or ip", "(vlan and udp) or arp", "vlan 200 and ip[9] = 17",
	"ip[0] = 0x45", "ip[0] & 0xf != 5", "ip[2:2] > 100", "ip[8] < 65", "ip[12:4] = 0x0a00020f", "ip[6:2] & 0x1fff != 0", "ip[6] & 0x40 != 0",
	"tcp[13] = 2", "tcp[tcpflags] & tcp-syn != 0", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[tcpflags] == tcp-syn|tcp-ack",
	"tcp[tcpflags] & tcp-rst != 0 or udp", "tcp[12] >> 4 > 5", "tcp[(tcp[12] >> 4) * 4:4] = 0x47455420", "tcp[0:2] = 80", "tcp[2:2] & 0xff = 80",
	"udp[4:2] > 100", "udp[0:2] = udp[2:2]", "icmp[icmptype] = icmp-echo", "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply",
	"icmp[icmpcode] = 3", "icmp6[icmp6type] = icmp6-neighborsolicit", "icmp6[0] = 128", "ip6[6] = 17", "ip6[4:2] > 50", "arp[6:2] = 1", "arp[7] = 2",
	"ether[0] & 1 = 1", "ether[12:2] = 0x800", "link[12:2] = 0x806", "ether[0:4] = 0x52550a00", "igmp[0] = 0x61", "sctp[0:2] = 24930",
	"ip[8] + 1 = 65", "ip[8] - 1 < 64", "ip[8] * 2 = 128", "ip[8] / 2 = 32", "ip[8] % 10 = 4", "ip[8] ^ 64 = 0", "ip[8] | 1 = 65", "ip[8] << 1 = 128",
	"(ip[8] + 2) * 2 = 132", "ip[8] * 2 + 1 = 129", "1 + 2 * 3 = 7", "7 - 2 - 1 = 4", "1 = 1", "1 = 2", "-1 = 0xffffffff", "10 > 9 and ip", "0 - 1 > 5",
	"ip[9] = 17 and (udp[0:2] = 53 or udp[2:2] = 53)", "ip and (tcp or udp) and not (port 80 or port 53)", "((ip))", "(len) > 70", "(ip[8]) = 64",
	"tcp and (port 80 or 22) and host 10.0.2.2", "ip host 10.0.2.15 and tcp[13] & 2 != 0", "src host 10.0.2.15 and dst port 80",
}

// read reads the packets of a classic capture.
func read(t *testing.T, path string) (frames []packet.Frame) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := pcap.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	links := map[pcap.LinkType]packet.Link{pcap.LinkEthernet: packet.LinkEthernet, pcap.LinkRaw: packet.LinkRaw, pcap.LinkSLL: packet.LinkCooked, pcap.LinkSLL2: packet.LinkCooked2}
	for n := uint64(1); ; n++ {
		p, err := r.Next()
		if err == io.EOF {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, packet.Frame{Number: n, Link: links[r.LinkType()], WireLen: p.WireLen, Data: bytes.Clone(p.Data)})
	}
}

// tcpdumpSelects returns which packets of a capture tcpdump selects: it writes them to another, which are found again by
// their times.
func tcpdumpSelects(t *testing.T, path, expression string) (selected []int) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "selected.pcap")
	cmd := exec.Command("tcpdump", "-nn", "-Z", "root", "--time-stamp-precision=nano", "-r", path, "-w", out, "--", expression)
	if message, err := cmd.CombinedOutput(); bytes.Contains(message, []byte("expression rejects all packets")) {
		return nil
	} else if err != nil {
		t.Errorf("tcpdump %q: %v: %s", expression, err, message)
		return nil
	}
	times := map[int64]int{}
	for i, at := range timesOf(t, path) {
		times[at] = i
	}
	for _, at := range timesOf(t, out) {
		selected = append(selected, times[at])
	}
	return selected
}

func timesOf(t *testing.T, path string) (times []int64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := pcap.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			return times
		}
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, p.Time.UnixNano())
	}
}

// needTcpdump skips the test if there is no tcpdump. With WICK_REQUIRE_TSHARK=1 in the environment it fails instead.
func needTcpdump(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tcpdump"); err == nil {
		return
	}
	if os.Getenv("WICK_REQUIRE_TSHARK") == "1" {
		t.Fatal("tcpdump is not installed: apt-get install tcpdump")
	}
	t.Skip("tcpdump is not installed: apt-get install tcpdump")
}

// crafted returns the frames of a link of packet's test corpus.
func crafted(t *testing.T, link pcap.LinkType) (frames []packettest.Frame) {
	t.Helper()
	file, err := os.Open("../testdata/crafted.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := pcapng.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Interface.Link == link {
			frames = append(frames, packettest.Frame{Name: p.Comments[0], Data: bytes.Clone(p.Data)})
		}
	}
}

// TestAgreesWithTcpdump compares what is selected. Packets for which a test found bytes missing are left out: those
// tcpdump never selects.
func TestAgreesWithTcpdump(t *testing.T) {
	needTcpdump(t)
	generated := packettest.Generated(t)
	for name, path := range map[string]string{
		"Ethernet": packettest.WriteCapture(t, pcap.LinkEthernet, slices.Concat(generated, crafted(t, pcap.LinkEthernet), packettest.Damaged(generated, 3))),
		"raw":      packettest.WriteCapture(t, pcap.LinkRaw, crafted(t, pcap.LinkRaw)),
		"cooked":   packettest.WriteCapture(t, pcap.LinkSLL, crafted(t, pcap.LinkSLL)),
		"cooked 2": packettest.WriteCapture(t, pcap.LinkSLL2, crafted(t, pcap.LinkSLL2)),
	} {
		t.Run(name, func(t *testing.T) {
			frames := read(t, path)
			hits := 0
			for _, e := range expressions {
				if name != "Ethernet" && (strings.Contains(e, "ether") || strings.Contains(e, "link[") || strings.Contains(e, "cast") || strings.Contains(e, "vlan") || strings.Contains(e, "stp") || strings.Contains(e, "atalk")) {
					continue // tcpdump refuses some, and takes others for something of the link
				}
				f, err := Parse(e)
				if err != nil {
					t.Error(err)
					continue
				}
				want := tcpdumpSelects(t, path, e)
				hits += len(want)
				for i := range frames {
					v := view{frame: &frames[i], data: frames[i].Data}
					if got := f.match(&v); got != slices.Contains(want, i) && !v.missing {
						t.Errorf("%s: packet %d: %v, tcpdump says %v: % .60x", e, i+1, got, !got, frames[i].Data)
					}
				}
			}
			if hits < 10 {
				t.Errorf("%d packets selected of %d in all", hits, len(frames))
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ text, at, want string }{
		{"tcp prot 80", "prot", `"prot" where and, or, or the end should stand`},
		{"foo", "foo", `unknown word "foo"`},
		{"tcp and foo", "foo", `unknown word "foo"`},
		{"host", "", "it ends where an address should follow"},
		{"host example.com", "example.com", `names are not looked up: give an address instead of "example.com"`},
		{"host 10.0.2", "10.0.2", "an address has four numbers; of a network: net 10.0.2"},
		{"host 10.0.2.256", "10.0.2.256", "an address has four numbers; of a network: net 10.0.2.256"},
		{"host fe80::1%eth0", "%", `"%" where and, or, or the end should stand`},
		{"host 52:54:00:12:34:56", "52:54:00:12:34:56", "an Ethernet address goes with ether: ether host 52:54:00:12:34:56"},
		{"ether host 10.0.0.1", "10.0.0.1", "an Ethernet address should stand here"},
		{"ip host fe80::1", "fe80::1", "an IPv4 address should stand here"},
		{"ip6 host 10.0.0.1", "10.0.0.1", "an IPv6 address should stand here"},
		{"tcp host 10.0.0.1", "tcp", "tcp has no addresses"},
		{"udp net fe80::/10", "udp", "udp has no addresses"},
		{"net 10.0.0.1/8", "10.0.0.1", "10.0.0.1 has bits that its mask hasn't"},
		{"net 10.0.0.0 mask 0.255.0.0", "10.0.0.0", "10.0.0.0 has bits that its mask hasn't"},
		{"net 10.0.0.0 mask", "", "it ends where a mask should follow"},
		{"net 10/33", "33", "33 is more than 32 bits"},
		{"net fe80::1/10", "fe80::1", "fe80::1 has bits behind the first 10"},
		{"net fe80::/129", "129", "129 is more than 128 bits"},
		{"net 10/x", "x", `"x" where a number should stand`},
		{"net example", "example", "a network should stand here, such as 10.0.0.0/8"},
		{"port", "", "it ends where a port should follow"},
		{"port nosuch", "nosuch", `unknown port "nosuch"`},
		{"port 65536", "65536", "port 65536 is greater than 65535"},
		{"port 80 or foo", "foo", `unknown port "foo"`},
		{"icmp port 80", "icmp", "icmp has no ports"},
		{"portrange 1-x", "1-x", `unknown port "x"`},
		{"portrange 1-70000", "1-70000", "port 70000 is greater than 65535"},
		{"port (80 or", "", "it ends where a port should follow"},
		{"port (80 81)", "81", `"81" where and, or, or ")" should stand`},
		{"proto nosuch", "nosuch", `unknown protocol "nosuch"`},
		{"proto 256", "256", "protocol 256 is too great"},
		{"ether proto 65536", "65536", "protocol 65536 is too great"},
		{"tcp proto 6", "tcp", "proto goes with ether, ip and ip6, not with tcp"},
		{"src proto 6", "src", "proto has no direction"},
		{"ether", "", "host, proto, broadcast, multicast, src or dst should follow ether"},
		{"vlan 4096", "4096", "VLAN 4096 is greater than 4095"},
		{"less", "", "it ends where a number should follow"},
		{"greater x", "x", `"x" where a number should stand`},
		{"ifname", "", "it ends where the name of an interface should follow"},
		{"ip broadcast", "broadcast", "ip broadcast is not supported: a capture doesn't tell the netmask"},
		{"tcp multicast", "multicast", `"multicast" doesn't go with tcp`},
		{"gateway x", "gateway", `"gateway" is not supported`},
		{"mpls 5", "mpls", `"mpls" is not supported`},
		{"and", "and", `"and" where a test should stand`},
		{"tcp and", "", "it ends where a test should follow"},
		{"tcp or or udp", "or", `"or" where a test should stand`},
		{"not", "", "it ends where a test should follow"},
		{"(tcp", "", `it ends where ")" should follow`},
		{"tcp)", ")", `")" where and, or, or the end should stand`},
		{"()", ")", `")" where a test should stand`},
		{"tcp udp", "udp", `"udp" where and, or, or the end should stand`},
		{"len", "len", "a number is no test: compare it with something"},
		{"80", "80", "a number is no test: compare it with something"},
		{"tcp and ip[0]", "ip", "a number is no test: compare it with something"},
		{"len >", "", "it ends where a test should follow"},
		{"len > tcp", "tcp", "a number should stand here"},
		{"len + tcp > 1", "tcp", "a number should stand here"},
		{"len / 0 = 1", "0", "division by zero"},
		{"- tcp", "-", "a minus belongs before a number"},
		{"tcp[", "", "it ends where a test should follow"},
		{"tcp[0", "", `it ends where ":" or "]" should follow`},
		{"tcp[0:3] = 1", "3", `"3" where 1, 2 or 4 should stand`},
		{"tcp[udp] = 1", "udp", "an offset should stand here"},
		{"stp[0] = 1", "stp", `bytes of "stp" can't be accessed`},
		{"tcp port 80 # comment", "#", `"#" where and, or, or the end should stand`},
		{"tcp é", "é", `"é" where and, or, or the end should stand`},
		{"vsock host x", "x", "a context id, a number, should stand here"},
		{strings.Repeat("(", 300), "(", "more than 200 levels deep"},
		{strings.Repeat("not ", 300), "not", "more than 200 levels deep"},
		{strings.Repeat("ip[", 300), "ip", "more than 200 levels deep"},
		{"port " + strings.Repeat("(", 300), "(", "more than 200 levels deep"},
		{strings.Repeat("-", 300) + "1 = 1", "-", "more than 200 levels deep"},
	} {
		_, err := Parse(tt.text)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%.40q: %v", tt.text, err)
			continue
		}
		if at := tt.text[e.Offset : e.Offset+e.Length]; at != tt.at || e.Message != tt.want || e.Length == 0 && e.Offset != len(tt.text) {
			t.Errorf("%.40q: %q at byte %d, %q: want %q at %q", tt.text, e.Message, e.Offset, at, tt.want, tt.at)
		}
	}
}

func TestErrorPoints(t *testing.T) {
	_, err := Parse("é\x1b and\tfoo")
	if err == nil || err.Error() != "filter: \"é\" where a test should stand\n  é  and foo\n  ^" {
		t.Errorf("%v", err)
	}
	_, err = Parse("tcp and foo or udp")
	if err == nil || err.Error() != "filter: unknown word \"foo\"\n  tcp and foo or udp\n          ^^^" {
		t.Errorf("%v", err)
	}
	_, err = Parse("tcp and")
	if err == nil || err.Error() != "filter: it ends where a test should follow\n  tcp and\n         ^" {
		t.Errorf("%v", err)
	}
}

func TestOurOwn(t *testing.T) {
	in := packet.Frame{Interface: "e0", Direction: packet.Receive, WireLen: 60, Data: make([]byte, 60)}
	out := packet.Frame{Interface: "v0", Direction: packet.Transmit, Link: packet.LinkVsock, WireLen: 44, Data: make([]byte, 44)}
	out.Data[0], out.Data[8] = 3, 2
	out.Data[16], out.Data[18], out.Data[20] = 1, 1, 5
	for text, want := range map[string][2]bool{
		"": {true, true}, "  ": {true, true},
		"inbound": {true, false}, "outbound": {false, true}, "not inbound": {false, true},
		"ifname e0": {true, false}, "on v0": {false, true}, "ifname e1": {false, false},
		"vsock": {false, true}, "not vsock": {true, false}, "vsock port 65537": {false, true}, "vsock dst port 5": {false, true},
		"vsock src port 5": {false, false}, "vsock host 3": {false, true}, "vsock src host 2": {false, false}, "vsock dst host 2": {false, true},
		"vsock port 1 or 5": {false, true}, "vsock[0] = 3": {false, true}, "ip": {false, false}, "vlan": {false, false},
		"10.0.0.1": {false, false}, "fe80::1": {false, false}, "src 10.0.0.0/8": {false, false}, "tcp[1000] = 0": {false, false},
		"not tcp[1000] = 0": {true, true}, "ip[0xffffffff] = 0": {false, false}, "1 / (ip[0] - ip[0]) = 0": {false, false},
		"proto tcp": {false, false}, "port not 80": {true, true},
	} {
		f, err := Parse(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := [2]bool{f.Match(&in), f.Match(&out)}; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	f, err := Parse("ip and tcp port 80 or udp[0:2] = 53 and not net 10.0.0.0/8 or host fe80::1")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range packettest.Generated(t) {
		frame := packet.Frame{WireLen: len(g.Data), Data: g.Data}
		if n := testing.AllocsPerRun(2, func() { f.Match(&frame) }); n > 0 {
			t.Fatalf("%s: %v allocations", g.Name, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, e := range expressions {
		f.Add(e, []byte(nil))
	}
	for _, g := range packettest.Generated(f) {
		f.Add("ip and tcp port 80 or udp[0:2] = 53", g.Data)
	}
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		filter, err := Parse(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset+e.Length > len(text) || !strings.HasPrefix(e.Error(), "filter: ") || strings.Count(e.Error(), "\n") != 2 {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		for link := range packet.Link(8) {
			filter.Match(&packet.Frame{Link: link, WireLen: len(data), Data: data})
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	f, err := Parse("tcp port 80 and host 10.0.2.2")
	if err != nil {
		b.Fatal(err)
	}
	frame := packet.Frame{Data: packettest.Generated(b)[20].Data}
	for b.Loop() {
		f.Match(&frame)
	}
}
