package packet

import (
	"strings"
	"testing"
	"time"
)

// conversation prints frames with one decoder and returns what stands behind "TCP ", or "IPv4 " if there is no TCP.
func conversation(d *Decoder, frames ...[]byte) []string {
	var lines []string
	for i, b := range frames {
		f := Frame{Number: uint64(i + 1), Time: time.Duration(i) * time.Second, WireLen: len(b), Data: b}
		line := strings.TrimSuffix(string(d.Append(nil, &f, Line)), "\n")
		_, rest, ok := strings.Cut(line, " TCP ")
		if !ok {
			_, rest, _ = strings.Cut(line, " ttl=64 ")
		}
		lines = append(lines, rest)
	}
	return lines
}

func checkConversation(t *testing.T, got []string, want ...string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
			return
		}
	}
}

// toGuest and fromGuest build segments between ports 40112 of the gateway and 80 of the guest.
func toGuest(s segment) []byte { return over4(ProtocolTCP, tcp4(s)) }

func fromGuest(s segment) []byte {
	s.sport, s.dport = 80, 40112
	b := sum(s.bytes(nil), 16, ProtocolTCP, ip4Guest, ip4Gateway)
	return ether(EtherTypeIPv4, ip4(header4{proto: ProtocolTCP, src: ip4Guest, dst: ip4Gateway}, b))
}

var ws7, ws3, noWS = unhex("01030307"), unhex("01030303"), unhex("020405b4")

func TestWindowScale(t *testing.T) {
	got := conversation(NewDecoder(16),
		fromGuest(segment{flags: TCPACK, seq: 1, win: 502}), // before the SYNs nothing is known
		toGuest(segment{flags: TCPSYN, seq: 100, win: 65535, options: ws7}),
		fromGuest(segment{flags: TCPSYN | TCPACK, seq: 500, ack: 101, win: 65535, options: ws3}),
		toGuest(segment{flags: TCPACK, seq: 101, ack: 501, win: 502}),
		fromGuest(segment{flags: TCPACK, seq: 501, ack: 101, win: 502}),
		fromGuest(segment{flags: TCPACK, seq: 501, ack: 101, win: 0}),
		toGuest(segment{flags: TCPSYN, seq: 100, win: 65535, options: ws7}), // again
		toGuest(segment{flags: TCPACK, seq: 101, ack: 501, win: 502}),
		toGuest(segment{flags: TCPSYN, seq: 900, win: 65535, options: noWS}), // a new connection on the same ports
		toGuest(segment{flags: TCPACK, seq: 901, ack: 501, win: 502}),
		fromGuest(segment{flags: TCPSYN | TCPACK, seq: 700, ack: 901, win: 65535, options: ws3}),
		fromGuest(segment{flags: TCPACK, seq: 701, ack: 901, win: 502}),
	)
	checkConversation(t, got,
		"[.] seq=1 ack=0 win=502 len=0 ck=ok",
		"[S] seq=100 win=65535 <ws 7> len=0 ck=ok",
		"[S.] seq=500 ack=101 win=65535 <ws 3> len=0 ck=ok",
		"[.] seq=101 ack=501 win=502(64256) len=0 ck=ok",
		"[.] seq=501 ack=101 win=502(4016) len=0 ck=ok",
		"[.] seq=501 ack=101 win=0 len=0 ck=ok",
		"[S] seq=100 win=65535 <ws 7> len=0 ck=ok",
		"[.] seq=101 ack=501 win=502(64256) len=0 ck=ok",
		"[S] seq=900 win=65535 <mss 1460> len=0 ck=ok",
		"[.] seq=901 ack=501 win=502 len=0 ck=ok",
		"[S.] seq=700 ack=901 win=65535 <ws 3> len=0 ck=ok",
		"[.] seq=701 ack=901 win=502 len=0 ck=ok",
	)
}

func TestRelative(t *testing.T) {
	d := NewDecoder(16)
	d.Relative = true
	got := conversation(d,
		toGuest(segment{flags: TCPSYN, seq: 4294967295}),
		fromGuest(segment{flags: TCPSYN | TCPACK, seq: 500, ack: 0}),
		toGuest(segment{flags: TCPACK, seq: 0, ack: 501}),
		fromGuest(segment{flags: TCPACK, seq: 511, ack: 5}),
	)
	checkConversation(t, got,
		"[S] seq=0 win=0 len=0 ck=ok",
		"[S.] seq=0 ack=1 win=0 len=0 ck=ok",
		"[.] seq=1 ack=1 win=0 len=0 ck=ok",
		"[.] seq=11 ack=6 win=0 len=0 ck=ok",
	)
	got = conversation(&Decoder{Relative: true}, toGuest(segment{flags: TCPACK, seq: 5, ack: 6})) // which remembers nothing
	checkConversation(t, got, "[.] seq=5 ack=6 win=0 len=0 ck=ok")
	d = NewDecoder(16)
	d.Relative = true
	got = conversation(d, toGuest(segment{flags: TCPACK, seq: 1000, ack: 2000}), fromGuest(segment{flags: TCPACK, seq: 2000, ack: 1010}))
	checkConversation(t, got, "[.] seq=0 ack=0 win=0 len=0 ck=ok", "[.] seq=0 ack=10 win=0 len=0 ck=ok")
}

// TestForgetting overflows the table: connections are forgotten, none is mistaken for another.
func TestForgetting(t *testing.T) {
	d := NewDecoder(8)
	d.Relative = true
	for i := range 1000 {
		port := 1000 + i
		got := conversation(d,
			over4(ProtocolTCP, tcp4(segment{sport: port, dport: 80, flags: TCPSYN, seq: i})),
			over4(ProtocolTCP, tcp4(segment{sport: port, dport: 80, flags: TCPACK, seq: i + 7})))
		checkConversation(t, got, "[S] seq=0 win=0 len=0 ck=ok", "[.] seq=7 ack=0 win=0 len=0 ck=ok")
	}
}

func TestFragmentOverlap(t *testing.T) {
	frag := func(id, frag, size int) []byte {
		return ether(EtherTypeIPv4, ip4(header4{id: id, frag: frag, proto: 99}, fill(size)))
	}
	got := conversation(NewDecoder(16),
		frag(1, 0x2000, 16),
		frag(1, 0x2000, 16), // doubled by the network
		frag(1, 0x2001, 16),
		frag(2, 0x2001, 16), // of another datagram
		frag(1, 0x2002, 8),
		frag(1, 5, 8),
	)
	checkConversation(t, got,
		"id=0x0001 frag 0+16 more proto=99 len=16",
		"id=0x0001 frag 0+16 more proto=99 len=16",
		"id=0x0001 frag 8+16 more !fragment-overlap 8 byte 20 proto=99 (not first fragment)",
		"id=0x0002 frag 8+16 more proto=99 (not first fragment)",
		"id=0x0001 frag 16+8 more !fragment-overlap 8 byte 20 proto=99 (not first fragment)",
		"id=0x0001 frag 40+8 last proto=99 (not first fragment)",
	)
	d := NewDecoder(16)
	b := frag(1, 0x2000, 16)
	c := frag(1, 0x2001, 16)
	d.Append(nil, &Frame{WireLen: len(b), Data: b}, Line)
	if line := string(d.Append(nil, &Frame{Time: 61 * time.Second, WireLen: len(c), Data: c}, Full)); strings.Contains(line, "overlap") {
		t.Errorf("an old fragment is held against a new datagram: %s", line)
	}
	for id := range 500 { // more datagrams than are remembered
		b := frag(id, 0x2000, 16)
		if line := string(d.Append(nil, &Frame{Time: 3 * time.Minute, WireLen: len(b), Data: b}, Line)); strings.Contains(line, "overlap") {
			t.Fatalf("datagram %d: %s", id, line)
		}
	}
}

func TestFragmentOverlap6(t *testing.T) {
	frag := func(field, size int) []byte {
		return over6(44, []byte{99, 0}, be(field, 2), be(7, 4), fill(size))
	}
	d := NewDecoder(16)
	var text []byte
	for i, b := range [][]byte{frag(1, 16), frag(9, 16)} {
		text = d.Append(text, &Frame{Number: uint64(i + 1), WireLen: len(b), Data: b}, Full)
	}
	if n := strings.Count(string(text), "frag 8+16 more !fragment-overlap 8 byte 56"); n != 2 { // on the line and on the layer's
		t.Errorf("%s", text)
	}
}

func TestDecoderDoesNotAllocate(t *testing.T) {
	d := NewDecoder(64)
	dst := make([]byte, 0, 1<<20)
	for name, tests := range lineGroups() {
		for _, tt := range tests {
			f := Frame{Interface: "e0", WireLen: len(tt.frame), Data: tt.frame, Link: linkOf(name)}
			d.Append(dst, &f, Full) // the first packet of a vsock connection allocates their table
			if n := testing.AllocsPerRun(3, func() { d.Append(dst, &f, Full) }); n != 0 {
				t.Errorf("%s/%s: %v allocations", name, tt.name, n)
			}
		}
	}
}

func BenchmarkDecoder(b *testing.B) {
	f := benchFrame()
	d := NewDecoder(256)
	dst := make([]byte, 0, 64<<10)
	for b.Loop() {
		dst = d.Append(dst[:0], &f, Line)
	}
}
