package packet_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wick/packet"
	"wick/packet/pcap"
	"wick/packet/tsharkcheck"
)

// cardMAC is the address of the card in testdata's capture.
const cardMAC = "\x52\x54\x00\x12\x34\x56"

// dumpFile prints the packets of a capture as the card with address cardMAC would have seen them.
func dumpFile(t *testing.T, path string) string {
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
	var text []byte
	var start time.Time
	decoder := packet.NewDecoder(64)
	for n := uint64(1); ; n++ {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return string(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			start = p.Time
		}
		f := packet.Frame{Number: n, Time: p.Time.Sub(start), Interface: "e0", WireLen: p.WireLen, Data: p.Data}
		if len(p.Data) >= 12 && string(p.Data[6:12]) == cardMAC {
			f.Direction = packet.Transmit
		}
		text = decoder.Append(text, &f, packet.Line)
	}
}

// captures returns the capture files of testdata.
func captures(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatal("no captures in testdata: ", err)
	}
	return files
}

func TestAgreesWithTshark(t *testing.T) {
	tsharkcheck.Need(t)
	for _, path := range captures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			dump := dumpFile(t, path)
			diffs, err := tsharkcheck.Compare(strings.NewReader(dump), path)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range diffs {
				t.Error(d)
			}
		})
	}
}

// TestCaptureTexts compares with the texts of testdata, which WICK_UPDATE=1 writes anew.
func TestCaptureTexts(t *testing.T) {
	for _, path := range captures(t) {
		golden := strings.TrimSuffix(path, ".pcap") + ".txt"
		got := dumpFile(t, path)
		if os.Getenv("WICK_UPDATE") == "1" {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal([]byte(got), want) {
			t.Errorf("%s is not as %s; WICK_UPDATE=1 writes it anew", path, golden)
		}
	}
}

// TestTsharkFindsDifferences falsifies a dump in many ways: the comparison would be worth nothing if it overlooked that.
func TestTsharkFindsDifferences(t *testing.T) {
	tsharkcheck.Need(t)
	const path = "testdata/linux-e1000.pcap"
	dump := dumpFile(t, path)
	packets, err := tsharkcheck.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(dump, "\n"), "\n")
	if len(lines) != len(packets) {
		t.Fatalf("%d lines, tshark has %d packets", len(lines), len(packets))
	}
	for _, tt := range []struct {
		line     int // from 1
		old, new string
		want     string // what the difference must name
	}{
		{8, "who-has 10.0.2.2 ", "who-has 10.0.2.3 ", "arp.target"},
		{8, "tell 10.0.2.15", "tell 10.0.2.16", "arp.sender"},
		{9, "10.0.2.2 is-at", "10.0.2.1 is-at", "arp.sender"},
		{9, " 64 52:", " 60 52:", "wire"},
		{15, "seq=0", "seq=1", "icmp.seq"},
		{15, "echo-request", "echo-reply", "icmp.type"},
		{17, "port(3)", "host(1)", "icmp.code"},
		{20, "target=fec0::5054", "target=fec0::5055", "target"},
		{25, "len=7", "len=8", "len"},
		{25, "ck=ok", "ck=!bad(want 0x0001)", "ck"},
		{25, "ck=ok", "ck=none", "ck"},
		{25, ":7 ", ":8 ", "dport"},
		{31, "[S]", "[S.]", "flags"},
		{31, "mss 1460", "mss 1461", "mss"},
		{33, "seq=2176002", "seq=2176003", "seq"},
		{33, "ack=2189426211", "ack=2189426212", "ack"},
		{33, "win=65535", "win=65534", "win"},
		{33, "ttl=64", "ttl=63", "ttl"},
		{32, " DF", "", "DF"},
		{33, "52:55:0a:00:02:02>", "52:55:0a:00:02:03>", "eth.src"},
		{40, lines[39], "", "packet 40 is not in the dump"},
		{40, lines[39], lines[39] + lines[39], "line #40 is not in the capture"},
	} {
		changed := strings.Replace(lines[tt.line-1], tt.old, tt.new, 1)
		if changed == lines[tt.line-1] {
			t.Fatalf("no %q in %q", tt.old, changed)
		}
		text := strings.Join(lines[:tt.line-1], "") + changed + strings.Join(lines[tt.line:], "")
		diffs, err := tsharkcheck.CompareFacts(strings.NewReader(text), packets)
		if err != nil {
			t.Fatal(err)
		}
		if len(diffs) != 1 || !strings.Contains(diffs[0].String(), tt.want) {
			t.Errorf("line %d with %q for %q: differences %v", tt.line, tt.new, tt.old, diffs)
		}
	}
}
