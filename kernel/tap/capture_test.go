package tap

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wick/packet"
	"wick/packet/packettest"
	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// readCapture reads a capture that a queue has written.
func readCapture(t *testing.T, b string) (packets []pcapng.Packet, d *pcapng.Reader) {
	t.Helper()
	d, err := pcapng.NewReader(strings.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := d.Next()
		if err == io.EOF {
			return packets, d
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Data = bytes.Clone(p.Data)
		packets = append(packets, p)
	}
}

func TestCapture(t *testing.T) {
	s := newSink()
	start := time.Now()
	q := New(Config{Interface: "e0", Description: "E1000", Format: Capture, Start: start, SnapLen: 100, Write: s.Write, Missed: func() uint64 { return 7 }})
	show(q, packet.Receive, 60, frame(1, 60), 0, "")
	show(q, packet.Transmit, 1514, frame(2, 1514), 0, "")
	show(q, packet.Receive, 60, frame(3, 60), 0x87, "rx-errors")
	show(q, packet.Receive, 60, frame(4, 60), 0, "rx-errors")
	tap(q, packet.Frame{Direction: packet.Transmit, WireLen: 60, Data: frame(5, 60), Checksum: packet.ChecksumOffload})
	tap(q, packet.Frame{Direction: packet.Receive, WireLen: 60, Data: frame(6, 60), Checksum: packet.ChecksumVerified})
	tap(q, packet.Frame{Direction: packet.Transmit, WireLen: 64_000, Data: frame(7, 64_000)[:200], Checksum: packet.ChecksumOffload, Segmented: true})
	tap(q, packet.Frame{Direction: packet.Receive, WireLen: 64_000, Data: frame(8, 64_000), Checksum: packet.ChecksumVerified, Segmented: true})
	if n := q.Close(patience); n != 0 {
		t.Errorf("Close: %d not shown", n)
	}
	packets, d := readCapture(t, s.String())
	if len(packets) != 8 {
		t.Fatalf("%d packets", len(packets))
	}
	for i, want := range []struct {
		flags   pcapng.Flags
		size    int
		wire    int
		comment string
	}{
		{pcapng.FlagInbound, 60, 60, ""},
		{pcapng.FlagOutbound, 100, 1514, ""},
		{pcapng.FlagInbound | pcapng.FlagErrorCRC | pcapng.FlagErrorSymbol | pcapng.FlagErrorDelimiter | pcapng.FlagErrorTooShort, 60, 60, "dropped: rx-errors"},
		{pcapng.FlagInbound, 60, 60, "dropped: rx-errors"},
		{pcapng.FlagOutbound | pcapng.FlagChecksumNotReady, 60, 60, ""},
		{pcapng.FlagInbound | pcapng.FlagChecksumValid, 60, 60, ""},
		{pcapng.FlagOutbound | pcapng.FlagChecksumNotReady | pcapng.FlagSegmentation, 100, 64_000, ""},
		{pcapng.FlagInbound | pcapng.FlagChecksumValid | pcapng.FlagSegmentation, 100, 64_000, ""},
	} {
		p := packets[i]
		if p.Flags != want.flags || p.WireLen != want.wire || !bytes.Equal(p.Data, frame(byte(i+1), want.wire)[:want.size]) || strings.Join(p.Comments, ";") != want.comment || p.Lost.Known {
			t.Errorf("packet %d: %+v", i+1, p)
		}
		if p.Time.Before(start.Truncate(0)) || p.Time.After(time.Now().Add(time.Second)) {
			t.Errorf("packet %d was seen at %v, the queue began at %v", i+1, p.Time, start)
		}
	}
	i := d.Interfaces()[0]
	if i.Name != "e0" || i.Description != "E1000" || i.Link != pcap.LinkEthernet || i.SnapLen != 100 || d.Section().OS != "wick" {
		t.Errorf("%+v %+v", i, d.Section())
	}
	if st := i.Statistics; st.Received != pcapng.Known(8) || st.OSDropped != pcapng.Known(0) || st.Dropped != pcapng.Known(7) || !st.Start.Equal(start.Truncate(0)) || st.Stop.Before(st.Start) {
		t.Errorf("%+v", st)
	}
}

// TestOffloadsAreShown: the dump says of the same frames what the capture does.
func TestOffloadsAreShown(t *testing.T) {
	s := newSink()
	q := New(Config{Interface: "e0", Write: s.Write})
	for _, ipv6 := range []bool{false, true} {
		f, _ := packettest.TCPSegment(30_000, 1400, ipv6)
		tap(q, packet.Frame{Direction: packet.Transmit, WireLen: len(f), Data: f[:2000], Checksum: packet.ChecksumOffload, Segmented: true})
		tap(q, packet.Frame{Direction: packet.Receive, WireLen: len(f), Data: f, Checksum: packet.ChecksumVerified, Segmented: true})
		tap(q, packet.Frame{Direction: packet.Receive, WireLen: len(f), Data: f, Checksum: packet.ChecksumOffload})
	}
	q.Close(patience)
	got := strings.Split(s.String(), "\n")
	for i, want := range []string{"ck=offload seg=offload captured=2000/", "ck=hw-ok seg=offload captured=2048/", "ck=offload captured=2048/"} {
		for _, line := range []string{got[i], got[i+3]} {
			if !strings.Contains(line, " len=30000 "+want) {
				t.Errorf("not %q: %s", want, line)
			}
		}
	}
}

// TestCaptureTellsWhatIsMissing: while the sink takes nothing frames get lost; the capture tells how many and where.
func TestCaptureTellsWhatIsMissing(t *testing.T) {
	s := newSink()
	s.shut = true
	q := New(Config{Interface: "e0", Format: Capture, Records: 4, Write: s.Write, Room: s.room})
	const frames = 200
	for i := range frames {
		show(q, packet.Receive, 60, frame(byte(i), 60), 0, "")
	}
	s.setShut(false)
	show(q, packet.Receive, 60, frame(0, 60), 0, "")
	if n := q.Close(patience); n != 0 {
		t.Errorf("Close: %d not shown", n)
	}
	packets, d := readCapture(t, s.String())
	missing := uint64(0)
	for _, p := range packets {
		missing += p.Lost.N
	}
	st := d.Interfaces()[0].Statistics
	if seen, lost := q.Counts(); seen != frames+1 || lost != st.OSDropped.N {
		t.Errorf("Counts: %d, %d, statistics %+v", seen, lost, st)
	}
	if st.Received != pcapng.Known(frames+1) || uint64(len(packets))+st.OSDropped.N != frames+1 || missing > st.OSDropped.N || st.OSDropped.N == 0 {
		t.Errorf("%d packets, %d missing between them, statistics %+v", len(packets), missing, st)
	}
}

// TestCaptureGivenUp: if the sink never takes anything, Close says how many are missing.
func TestCaptureGivenUp(t *testing.T) {
	s := newSink()
	s.shut = true
	q := New(Config{Interface: "e0", Format: Capture, Write: s.Write})
	for range 10 {
		show(q, packet.Receive, 60, frame(1, 60), 0, "")
	}
	if n := q.Close(time.Millisecond); n != 10 {
		t.Errorf("Close: %d not shown, want 10", n)
	}
	if s.String() != "" {
		t.Errorf("%q", s.String())
	}
}

func TestEmptyCapture(t *testing.T) {
	s := newSink()
	q := New(Config{Interface: "e0", Format: Capture, Write: s.Write})
	if n := q.Close(patience); n != 0 {
		t.Error(n)
	}
	if packets, d := readCapture(t, s.String()); len(packets) != 0 || d.Interfaces()[0].Statistics.Received != pcapng.Known(0) {
		t.Errorf("%v %+v", packets, d.Interfaces()[0])
	}
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	c := Config{Interface: "e0", Format: Capture}
	e := newEncoder(&c)
	dst, data := make([]byte, 0, 4096), frame(1, 60)
	r := record{wireLen: 60, drop: "rx-errors", lost: counts{1, 0}}
	e.frame(dst, r, data)
	if n := testing.AllocsPerRun(10, func() { e.frame(dst, r, data) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// TestStartIsToldInFront: a reader knows what times count from before the first packet, as the dump does.
func TestStartIsToldInFront(t *testing.T) {
	s := newSink()
	start := time.Unix(1700000000, 123456789)
	q := New(Config{Interface: "e0", Format: Capture, Start: start, Write: s.Write})
	show(q, packet.Receive, 60, frame(1, 60), 0, "")
	q.Close(patience)
	d, err := pcapng.NewReader(strings.NewReader(s.String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(); err != nil || !d.Interfaces()[0].Statistics.Start.Equal(start) {
		t.Errorf("%+v, %v", d.Interfaces()[0].Statistics, err)
	}
}

// TestSlowSinkIsWaitedFor: the patience of Close is with a sink that takes nothing, not with one that takes long.
func TestSlowSinkIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const frames, each = 100, 1000
		var text bytes.Buffer
		start := time.Now()
		last := start
		q := New(Config{Interface: "e0", Format: Capture, Bytes: 2 * frames * each, Write: func(b []byte) bool {
			if time.Since(last) < patience*3/4 {
				return false
			}
			last = time.Now()
			text.Write(b)
			return true
		}})
		for range frames {
			show(q, packet.Receive, each, frame(1, each), 0, "")
		}
		if n := q.Close(patience); n != 0 {
			t.Errorf("Close: %d not shown", n)
		}
		if packets, _ := readCapture(t, text.String()); len(packets) != frames || time.Since(start) < 3*patience {
			t.Errorf("%d packets after %v, want %d", len(packets), time.Since(start), frames)
		}
	})
}

func TestFit(t *testing.T) {
	for _, snap := range []int{0, 1, 96, 2048} {
		c := Config{SnapLen: snap}
		c.Fit(1 << 20)
		if total := c.Records*int(reflect.TypeFor[record]().Size()) + c.Bytes; total != 1<<20 || c.Records < 1000 || c.Bytes < 8<<10 {
			t.Errorf("snap length %d: %d records and %d bytes make %d", snap, c.Records, c.Bytes, total)
		}
	}
}
