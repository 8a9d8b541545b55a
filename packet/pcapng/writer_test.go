package pcapng

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wick/packet/pcap"
	"wick/packet/tsharkcheck"
)

// writeSample writes a capture of Ethernet and vsock.
func writeSample(t *testing.T, b *bytes.Buffer) {
	t.Helper()
	w, err := NewWriter(b, &Section{Hardware: "amd64", OS: "wick", Application: "test", Comments: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	card, err := w.Interface(&Interface{Link: pcap.LinkEthernet, SnapLen: 20, Name: "e0", Description: "card", Filter: "tcp", OS: "wick",
		Hardware: "E1000", MAC: []byte("abcdef"), FCSLen: 4, Comments: []string{"c"}})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := w.Interface(&Interface{Link: pcap.LinkVsock, Name: "v0"})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1700000000, 0)
	for _, p := range []struct {
		id int
		Packet
	}{
		{card, Packet{Time: start.Add(1), WireLen: 60, Data: []byte(strings.Repeat("\x02", 60)), Flags: FlagInbound}},
		{card, Packet{Time: start.Add(2), WireLen: 60, Data: []byte("123456789012345"), Flags: FlagOutbound | FlagChecksumNotReady,
			Comments: []string{"dropped: ring-full", "x\xff\x00y"}, Lost: Known(3), ID: Known(42)}},
		{socket, Packet{Time: start.Add(3), WireLen: 32, Data: make([]byte, 32)}},
		{card, Packet{}},
	} {
		if err := w.Write(p.id, &p.Packet); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteStatistics(card, &Statistics{Time: start.Add(4), Start: start, Stop: start.Add(4), Received: Known(10), Dropped: Known(2),
		Accepted: Known(3), OSDropped: Known(0), Delivered: Known(5), Comments: []string{LateDrop(42, "why")}}); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	writeSample(t, &b)
	got, d, err := read(b.Bytes())
	want := []string{
		`0.0(e0) 1700000000.000000001 60 "` + strings.Repeat(`\x02`, 20) + `" 0x1`,
		`0.0(e0) 1700000000.000000002 60 "123456789012345" 0x202 lost=3 "dropped: ring-full" "x?"`,
		`0.1(v0) 1700000000.000000003 32 "` + strings.Repeat(`\x00`, 32) + `"`,
		`0.0(e0) 0.000000000 0 ""`,
	}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v\n got %s\nwant %s", err, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if s := d.Section(); s.Hardware != "amd64" || s.OS != "wick" || s.Application != "test" || !slices.Equal(s.Comments, []string{"a", "b"}) {
		t.Errorf("%+v", s)
	}
	i := d.Interfaces()[0]
	if i.Link != pcap.LinkEthernet || i.SnapLen != 20 || i.Description != "card" || i.Filter != "tcp" || string(i.MAC) != "abcdef" || i.FCSLen != 4 ||
		i.OS != "wick" || i.Hardware != "E1000" || !slices.Equal(i.Comments, []string{"c"}) {
		t.Errorf("%+v", i)
	}
	if s := i.Statistics; s.Received != Known(10) || s.Dropped != Known(2) || s.Accepted != Known(3) || s.OSDropped != Known(0) || s.Delivered != Known(5) ||
		s.Time.Sub(s.Start) != 4 || !s.Stop.Equal(s.Time) || !slices.Equal(s.Comments, []string{"packet 42 was dropped: why"}) {
		t.Errorf("%+v", s)
	}
}

// TestTsharkReads has tshark read what was written.
func TestTsharkReads(t *testing.T) {
	tsharkcheck.Need(t)
	var b bytes.Buffer
	writeSample(t, &b)
	path := filepath.Join(t.TempDir(), "sample.pcapng")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=|", "-e", "frame.interface_name", "-e", "frame.time_epoch",
		"-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.packet_flags_direction", "-e", "frame.comment", "-e", "frame.encap_type", "-e", "frame.packet_id").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "e0|1700000000.000000001|60|20|0x00000001||1|\n" +
		"e0|1700000000.000000002|60|15|0x00000002|dropped: ring-full,x?|1|42\n" +
		"v0|1700000000.000000003|32|32|||185|\n" +
		"e0|0.000000000|0|0|||1|\n"
	if string(out) != want {
		t.Errorf(" got %s\nwant %s", out, want)
	}
	if _, err := exec.LookPath("capinfos"); err != nil {
		return
	}
	out, err = exec.Command("capinfos", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"pcapng", "Number of packets:   4", "Capture hardware:    amd64", "Name = e0", "Description = card", "Number of stat entries = 1"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	w, err := NewWriter(new(bytes.Buffer), &Section{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []int{-1, 0, 5} {
		if err := w.Write(id, &Packet{}); err == nil {
			t.Errorf("a packet of interface %d was written", id)
		}
		if err := w.WriteStatistics(id, &Statistics{}); err == nil {
			t.Errorf("statistics of interface %d were written", id)
		}
	}
}

func TestWriteError(t *testing.T) {
	full := errors.New("disk full")
	if _, err := NewWriter(errorWriter{full}, &Section{}); !errors.Is(err, full) {
		t.Error(err)
	}
	w := &Writer{w: errorWriter{full}, interfaces: []int{0}}
	if _, err := w.Interface(&Interface{}); !errors.Is(err, full) {
		t.Error(err)
	}
	if err := w.Write(0, &Packet{}); !errors.Is(err, full) {
		t.Error(err)
	}
	if err := w.WriteStatistics(0, &Statistics{}); !errors.Is(err, full) {
		t.Error(err)
	}
}

type errorWriter struct{ err error }

func (w errorWriter) Write([]byte) (int, error) { return 0, w.err }

func TestLongTexts(t *testing.T) {
	long := strings.Repeat("é", 5000)
	var b bytes.Buffer
	w, err := NewWriter(&b, &Section{Application: long})
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.Interface(&Interface{Name: long, Filter: long})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(id, &Packet{Data: make([]byte, pcap.MaxPacket+1), Comments: []string{long}}); err != nil {
		t.Fatal(err)
	}
	d, err := NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Next()
	if err != nil || len(p.Data) != pcap.MaxPacket || p.Comments[0] != long[:maxText] || p.Interface.Name != long[:maxText] || p.Interface.Filter != long[:maxText] {
		t.Errorf("%v, %d bytes, %d of comment", err, len(p.Data), len(p.Comments[0]))
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 4096)
	p := Packet{Time: time.Unix(1, 2), WireLen: 60, Data: make([]byte, 60), Flags: FlagInbound, Comments: []string{"dropped: x"}, Lost: Known(1)}
	s := Statistics{Time: time.Unix(1, 2), Received: Known(1)}
	i := Interface{Name: "e0", MAC: make([]byte, 6)}
	if n := testing.AllocsPerRun(10, func() {
		AppendPacket(dst, 0, &p)
		AppendStatistics(dst, 0, &s)
		AppendInterface(dst, &i)
		AppendSection(dst, &Section{OS: "wick"})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLateDrop(t *testing.T) {
	if id, why, ok := ParseLateDrop(LateDrop(1<<63, "a was dropped: b")); !ok || id != 1<<63 || why != "a was dropped: b" {
		t.Errorf("%d %q %t", id, why, ok)
	}
	for _, other := range []string{"", "packet ", "packet x was dropped: y", "packet -1 was dropped: y", "7 was dropped: y", "dropped: y", "packet 7"} {
		if _, _, ok := ParseLateDrop(other); ok {
			t.Errorf("%q was taken", other)
		}
	}
}
