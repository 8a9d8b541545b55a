package pcapng

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wick/packet/pcap"
)

// order builds blocks in one of the byte orders.
type order struct{ binary.AppendByteOrder }

var (
	little = order{binary.LittleEndian}
	big    = order{binary.BigEndian}
)

// block builds a block with a body that need not be padded.
func (o order) block(kind uint32, body ...[]byte) []byte {
	b := slices.Concat(body...)
	length := uint32(frameSize + padded(len(b)))
	out := o.AppendUint32(o.AppendUint32(nil, kind), length)
	out = append(out, b...)
	return o.AppendUint32(pad(out, len(b)), length)
}

func (o order) u16(n int) []byte    { return o.AppendUint16(nil, uint16(n)) }
func (o order) u32(n int) []byte    { return o.AppendUint32(nil, uint32(n)) }
func (o order) u64(n uint64) []byte { return o.AppendUint64(nil, n) }

// option builds one option, padded.
func (o order) option(code int, value []byte) []byte {
	return pad(slices.Concat(o.u16(code), o.u16(len(value)), value), len(value))
}

func (o order) text(code int, value string) []byte { return o.option(code, []byte(value)) }

func (o order) section(options ...[]byte) []byte {
	return o.block(blockSection, o.u32(byteOrderMagic), o.u16(1), o.u16(0), o.u64(math.MaxUint64), slices.Concat(options...))
}

func (o order) iface(link, snap int, options ...[]byte) []byte {
	return o.block(blockInterface, o.u16(link), o.u16(0), o.u32(snap), slices.Concat(options...))
}

// time builds a time: the upper half first.
func (o order) time(units uint64) []byte {
	return slices.Concat(o.u32(int(units>>32)), o.u32(int(uint32(units))))
}

func (o order) packet(id int, units uint64, wire int, data string, options ...[]byte) []byte {
	return o.block(blockEnhanced, o.u32(id), o.time(units), o.u32(len(data)), o.u32(wire), pad([]byte(data), len(data)), slices.Concat(options...))
}

// text prints a packet.
func text(p *Packet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d.%d", p.Interface.Section, p.Interface.ID)
	if p.Interface.Name != "" {
		fmt.Fprintf(&b, "(%s)", p.Interface.Name)
	}
	if !p.Time.IsZero() {
		fmt.Fprintf(&b, " %d.%09d", p.Time.Unix(), p.Time.Nanosecond())
	}
	fmt.Fprintf(&b, " %d %q", p.WireLen, p.Data)
	if p.Flags != 0 {
		fmt.Fprintf(&b, " %#x", uint32(p.Flags))
	}
	if p.Lost.Known {
		fmt.Fprintf(&b, " lost=%d", p.Lost.N)
	}
	for _, c := range p.Comments {
		fmt.Fprintf(&b, " %q", c)
	}
	return b.String()
}

// read reads a capture to its end and prints its packets.
func read(b []byte) (packets []string, d *Reader, err error) {
	if d, err = NewReader(bytes.NewReader(b)); err != nil {
		return nil, nil, err
	}
	for {
		p, err := d.Next()
		if err == io.EOF {
			return packets, d, nil
		}
		if err != nil {
			return packets, d, err
		}
		packets = append(packets, text(&p))
	}
}

// sample is a capture with a bit of everything.
func sample(o, second order) []byte {
	return slices.Concat(
		o.section(o.text(optSectionHardware, "amd64"), o.text(optSectionOS, "wick"), o.text(optSectionApplication, "test\x00junk"),
			o.text(optComment, "first"), o.option(optEnd, nil)),
		o.iface(1, 0, o.text(optName, "e0"), o.text(optDescription, "card"), o.option(optResolution, []byte{9}), o.text(optFilter, "\x00tcp"),
			o.option(optMAC, []byte("abcdef")), o.option(optFCS, []byte{32}), o.text(optOS, "Linux"), o.text(optHardware, "E1000"),
			o.text(optComment, "hello"), o.option(optEnd, nil)),
		o.packet(0, 1700000000_123456789, 5, "abc"),
		o.iface(271, 100, o.text(optName, "v0")), // without an end mark; microseconds
		o.block(0x00000004, []byte("names of hosts")),
		o.packet(1, 1700000001_000002, 4, "abcd", o.option(optFlags, o.u32(2)), o.option(optDropCount, o.u64(7)),
			o.text(optComment, "dropped: ring-full"), o.text(optComment, "twice"), o.option(2988, []byte("....x")), o.option(optEnd, nil)),
		o.block(blockPacket, o.u16(0), o.u16(3), o.time(5), o.u32(2), o.u32(9), []byte("xy\x00\x00"), o.option(2, o.u32(1))),
		o.block(blockPacket, o.u16(1), o.u16(0xffff), o.time(5), o.u32(0), o.u32(0)),
		o.block(blockSimple, o.u32(3), []byte("123")),
		o.block(blockStatistics, o.u32(0), o.time(6), o.option(optReceived, o.u64(10)), o.option(optDropped, o.u64(2)), o.option(optStart, o.time(1)),
			o.option(optStop, o.time(2)), o.option(optAccepted, o.u64(3)), o.option(optOSDropped, o.u64(4)), o.option(optDelivered, o.u64(5))),
		o.block(0x80000001, []byte("somebody's own")),
		second.section(),
		second.iface(101, 2),
		second.packet(0, 1, 3, ""),
		second.block(blockSimple, second.u32(3), []byte("12")),
	)
}

func TestReader(t *testing.T) {
	for name, o := range map[string][2]order{"little": {little, little}, "big": {big, big}, "both": {little, big}, "both, reversed": {big, little}} {
		got, d, err := read(sample(o[0], o[1]))
		want := []string{
			`0.0(e0) 1700000000.123456789 5 "abc"`,
			`0.1(v0) 1700000001.000002000 4 "abcd" 0x2 lost=7 "dropped: ring-full" "twice"`,
			`0.0(e0) 0.000000005 9 "xy" 0x1 lost=3`,
			`0.1(v0) 0.000005000 0 ""`,
			`0.0(e0) 3 "123"`,
			`1.0 0.000001000 3 ""`,
			`1.0 3 "12"`,
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		if d.Section().OS != "" {
			t.Errorf("%s: the second section is %+v", name, d.Section())
		}
		all := d.Interfaces()
		if len(all) != 3 || all[1].Link != pcap.LinkVsock || all[1].SnapLen != 100 || all[2].Section != 1 || all[2].Link != pcap.LinkRaw {
			t.Fatalf("%s: interfaces %+v", name, all)
		}
		i := all[0]
		if i.Description != "card" || i.Filter != "tcp" || string(i.MAC) != "abcdef" || i.FCSLen != 4 || i.OS != "Linux" || i.Hardware != "E1000" || !slices.Equal(i.Comments, []string{"hello"}) {
			t.Errorf("%s: %+v", name, i)
		}
		if s := i.Statistics; s.Received != Known(10) || s.Dropped != Known(2) || s.Accepted != Known(3) || s.OSDropped != Known(4) || s.Delivered != Known(5) ||
			s.Time.UnixNano() != 6 || s.Start.UnixNano() != 1 || s.Stop.UnixNano() != 2 {
			t.Errorf("%s: %+v", name, s)
		}
		if !reflect.DeepEqual(all[1].Statistics, Statistics{}) {
			t.Errorf("%s: %+v", name, all[1].Statistics)
		}
	}
}

func TestSection(t *testing.T) {
	d, err := NewReader(bytes.NewReader(sample(big, little)))
	if s := d.Section(); err != nil || s.Hardware != "amd64" || s.OS != "wick" || s.Application != "test" || !slices.Equal(s.Comments, []string{"first"}) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTimes(t *testing.T) {
	for _, tt := range []struct {
		resolution byte
		offset     int64
		units      uint64
		want       string
	}{
		{6, 0, 1700000000_000001, "1700000000.000001000"},
		{9, 0, 1700000000_000000001, "1700000000.000000001"},
		{9, 0, math.MaxUint64, "18446744073.709551615"},
		{0, 0, 1700000000, "1700000000.000000000"},
		{3, 0, 1700000000_001, "1700000000.001000000"},
		{12, 0, 1700000_123456789012, "1700000.123456789"},
		{19, 0, 12345678901234567890, "1.234567890"},
		{20, 0, 12345678901234567890, "0.123456789"},
		{28, 0, math.MaxUint64, "0.000000001"},
		{29, 0, math.MaxUint64, "0.000000000"},
		{127, 0, math.MaxUint64, "0.000000000"},
		{0x80, 0, 1700000000, "1700000000.000000000"},
		{0x8a, 0, 1700000000<<10 | 512, "1700000000.500000000"},
		{0x80 | 30, 0, 5<<30 | 1, "5.000000000"},
		{0x80 | 30, 0, 5<<30 | 2, "5.000000001"},
		{0x80 | 32, 0, 5<<32 | 0xffffffff, "5.999999999"},
		{0x80 | 63, 0, math.MaxUint64, "1.999999999"},
		{0x80 | 64, 0, math.MaxUint64, "0.999999999"},
		{0x80 | 65, 0, math.MaxUint64, "0.499999999"},
		{0xff, 0, math.MaxUint64, "0.000000000"},
		{6, 1600000000, 5_000000, "1600000005.000000000"},
		{6, -10, 5_000000, "-5.000000000"},
		{0, 0, math.MaxUint64, ""},
		{0, math.MaxInt64, 1, ""},
		{0, math.MinInt64, 1, ""},
	} {
		file := slices.Concat(little.section(), little.iface(1, 0, little.option(optResolution, []byte{tt.resolution}), little.option(optOffset, little.u64(uint64(tt.offset)))),
			little.packet(0, tt.units, 0, ""))
		want := "0.0 " + tt.want + ` 0 ""`
		if tt.want == "" {
			want = `0.0 0 ""`
		}
		if got, _, err := read(file); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("resolution %#x, offset %d, %d units: %q, %v, want %s", tt.resolution, tt.offset, tt.units, got, err, want)
		}
	}
}

func TestDamage(t *testing.T) {
	o := little
	start := slices.Concat(o.section(), o.iface(1, 0), o.packet(0, 1, 3, "abc"))
	next := int64(len(start))
	after := func(b ...[]byte) []byte { return slices.Concat(append([][]byte{start}, b...)...) }
	end := o.packet(0, 2, 4, "last")
	wrongTail := bytes.Clone(o.packet(0, 2, 3, "bad"))
	wrongTail[len(wrongTail)-4]++
	at := fmt.Sprintf("damaged pcapng file: after packet 1, block at byte %d: ", next)
	for _, tt := range []struct {
		name    string
		file    []byte
		packets int
		err     error
		want    string
	}{
		{"empty", nil, 0, ErrFormat, "not a pcapng file: it is empty"},
		{"tiny", start[:3], 0, ErrFormat, "not a pcapng file: it has 3 bytes"},
		{"text", []byte("hello, world, how are you?"), 0, ErrFormat, "not a pcapng file: it starts with 68 65 6c 6c"},
		{"short section", start[:11], 0, ErrDamaged, "damaged pcapng file: section header has 11 bytes"},
		{"no magic", slices.Concat(start[:8], []byte("abcd")), 0, ErrFormat, "not a pcapng file: byte-order magic is 61 62 63 64"},
		{"section cut", start[:20], 0, ErrDamaged, "damaged pcapng file: after packet 0, block at byte 0: block has 20 of 24 bytes"},
		{"section without fields", o.block(blockSection, o.u32(byteOrderMagic)), 0, ErrDamaged, "damaged pcapng file: after packet 0, block at byte 0: section header has 4 of 16 bytes"},
		{"version", o.block(blockSection, o.u32(byteOrderMagic), o.u16(2), o.u16(1), o.u64(0)), 0, ErrFormat, "not a pcapng file: version 2.1, want 1.0"},
		{"later version", after(o.block(blockSection, o.u32(byteOrderMagic), o.u16(2), o.u16(1), o.u64(0)), end), 1, ErrDamaged, at + "version is 2.1, want 1.0"},
		{"later magic", after(o.block(blockSection, o.u32(1)), end), 1, ErrDamaged, at + "byte-order magic is 01 00 00 00"},
		{"later section cut", after(o.section()[:9]), 1, ErrDamaged, at + "section header has 9 of 12 bytes"},
		{"header cut", after(end[:5]), 1, ErrDamaged, at + "block header has 5 of 8 bytes"},
		{"body cut", after(end[:20]), 1, ErrDamaged, at + "block has 20 of 32 bytes"},
		{"body cut to nothing", after(end[:8]), 1, ErrDamaged, at + "block has 8 of 32 bytes"},
		{"tail cut", after(end[:len(end)-1]), 1, ErrDamaged, at + "block has 35 of 36 bytes"},
		{"unknown block cut", after(o.block(77, make([]byte, 100))[:50]), 1, ErrDamaged, at + "block has 50 of 112 bytes"},
		{"length 0", after(o.u32(6), o.u32(0), end), 1, ErrDamaged, at + "block length is 0"},
		{"odd length", after(o.u32(6), o.u32(33), end), 1, ErrDamaged, at + "block length is 33"},
		{"huge length", after(o.u32(6), o.u32(0x7ffffffc), end), 1, ErrDamaged, at + "block length is 2147483644, more than 1310752"},
		{"tail differs", after(wrongTail, end), 1, ErrDamaged, at + "block length is 36 in front and 37 behind"},

		{"short packet", after(o.block(blockEnhanced, o.u32(0)), end), 2, ErrDamaged, at + "packet has 4 of 20 bytes"},
		{"short obsolete packet", after(o.block(blockPacket, o.u32(0)), end), 2, ErrDamaged, at + "packet has 4 of 20 bytes"},
		{"short simple packet", after(o.block(blockSimple), end), 2, ErrDamaged, at + "packet has 0 of 4 bytes"},
		{"short statistics", after(o.block(blockStatistics, o.u32(0)), end), 2, ErrDamaged, at + "interface statistics have 4 of 12 bytes"},
		{"short interface", after(o.block(blockInterface, o.u32(0)), end), 2, ErrDamaged, at + "interface description has 4 of 8 bytes"},
		{"statistics of nothing", after(o.block(blockStatistics, o.u32(7), o.time(1)), end), 2, ErrDamaged, at + "interface 7 is not described"},
		{"packet of nothing", after(o.packet(1, 1, 1, "x"), end), 2, ErrDamaged, at + "interface 1 is not described"},
		{"obsolete packet of nothing", after(o.block(blockPacket, o.u16(9), o.u16(0), o.time(0), o.u32(0), o.u32(0)), end), 2, ErrDamaged, at + "interface 9 is not described"},
		{"simple packet of nothing", slices.Concat(o.section(), o.block(blockSimple, o.u32(0))), 0, ErrDamaged, "damaged pcapng file: after packet 0, block at byte 28: interface 0 is not described"},
		{"captured length", after(o.block(blockEnhanced, o.u32(0), o.time(1), o.u32(9), o.u32(9), []byte("1234")), end), 3, ErrDamaged, at + "packet has 4 of 9 captured bytes"},
		{"huge captured length", after(o.block(blockEnhanced, o.u32(0), o.time(1), o.u32(1<<30), o.u32(9), []byte("1234")), end), 2, ErrDamaged, at + "captured length is 1073741824, more than 262144"},
		{"simple captured length", after(o.block(blockSimple, o.u32(9), []byte("1234")), end), 3, ErrDamaged, at + "packet has 4 of 9 captured bytes"},
		{"option length", after(o.packet(0, 1, 1, "x", o.u16(1), o.u16(5), []byte("abcd")), end), 3, ErrDamaged, at + "option 1 has 4 of 5 bytes"},
		{"option size", after(o.packet(0, 1, 1, "x", o.option(optFlags, []byte("abc"))), end), 3, ErrDamaged, at + "option 2 has 3 bytes, want 4"},
		{"count size", after(o.packet(0, 1, 1, "x", o.option(optDropCount, []byte("abc"))), end), 3, ErrDamaged, at + "option 4 has 3 bytes, want 8"},
		{"two faults", after(o.packet(1, 1, 1, "x"), o.packet(2, 1, 1, "x"), end), 2, ErrDamaged, at + "interface 1 is not described (and another fault)"},
		{"three faults", after(o.packet(1, 1, 1, "x"), o.packet(2, 1, 1, "x"), o.packet(2, 1, 1, "x")), 1, ErrDamaged, at + "interface 1 is not described (and 2 more faults)"},
	} {
		packets, d, err := read(tt.file)
		if !errors.Is(err, tt.err) || err.Error() != tt.want || len(packets) != tt.packets {
			t.Errorf("%s: %q, %v, want %s", tt.name, packets, err, tt.want)
		}
		if d == nil {
			continue
		}
		if _, again := d.Next(); again == nil || again.Error() != err.Error() {
			t.Errorf("%s: then %v", tt.name, again)
		}
	}
}

// TestEveryCut ends a file at every byte: the packets before are read, and only a cut between two blocks goes unnoticed.
func TestEveryCut(t *testing.T) {
	for _, o := range []order{little, big} {
		file := sample(o, o)
		all, _, err := read(file)
		if err != nil {
			t.Fatal(err)
		}
		bounds := map[int]bool{}
		for at := 0; at < len(file); {
			at += int(o.AppendByteOrder.(binary.ByteOrder).Uint32(file[at+4:]))
			bounds[at] = true
		}
		before := 0
		for n := range file {
			got, _, err := read(file[:n])
			if (err == nil) != bounds[n] || err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
				t.Errorf("cut at %d: %v", n, err)
			}
			if !slices.Equal(got, all[:len(got)]) || len(got) < before {
				t.Errorf("cut at %d: %q", n, got)
			}
			before = len(got)
		}
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken disk")
	file := sample(little, big)
	for n := range file {
		d, err := NewReader(io.MultiReader(bytes.NewReader(file[:n]), errorReader{broken}))
		for err == nil {
			_, err = d.Next()
		}
		if !errors.Is(err, broken) {
			t.Errorf("error after %d bytes: %v", n, err)
		}
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestFlags(t *testing.T) {
	if f := Flags(1 | 4<<5); !f.Inbound() || f.Outbound() || f.FCSLen() != 4 {
		t.Errorf("%#x: %v %v %d", uint32(f), f.Inbound(), f.Outbound(), f.FCSLen())
	}
	if f := FlagOutbound | FlagErrorSymbol; f.Inbound() || !f.Outbound() || f.FCSLen() != 0 {
		t.Errorf("%#x: %v %v %d", uint32(f), f.Inbound(), f.Outbound(), f.FCSLen())
	}
	if f := FlagOutbound | 4<<5; f.WithoutFCS() != FlagOutbound {
		t.Errorf("%#x", uint32(f.WithoutFCS()))
	}
	// Their places are the format's: other programs read them.
	for f, bit := range map[Flags]int{
		FlagInbound: 0, FlagOutbound: 1, FlagChecksumNotReady: 9, FlagChecksumValid: 10, FlagSegmentation: 11,
		FlagErrorCRC: 24, FlagErrorTooLong: 25, FlagErrorTooShort: 26, FlagErrorGap: 27, FlagErrorAlignment: 28, FlagErrorDelimiter: 29,
		FlagErrorPreamble: 30, FlagErrorSymbol: 31,
	} {
		if f != 1<<bit {
			t.Errorf("%#x is not bit %d", uint32(f), bit)
		}
	}
	for n, want := range map[byte]int{0: 0, 4: 4, 16: 2, 32: 4} {
		if got := fcsBytes(n); got != want {
			t.Errorf("frame check sequence %d: %d bytes, want %d", n, got, want)
		}
	}
}

// steady reads packets over and over.
type steady struct {
	head, packets []byte
	rest          []byte
}

func (s *steady) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		s.rest = s.packets
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func newSteady() *steady {
	data := strings.Repeat("x", 500)
	s := &steady{packets: little.packet(0, 1, 500, data, little.option(optFlags, little.u32(1)), little.option(optEnd, nil))}
	s.rest = slices.Concat(little.section(), little.iface(1, 0))
	return s
}

func TestNextDoesNotAllocate(t *testing.T) {
	d, err := NewReader(newSteady())
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := d.Next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func BenchmarkReader(b *testing.B) {
	d, err := NewReader(newSteady())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(sample(little, little))
	f.Add(sample(big, little))
	f.Add(little.packet(0, 1, 2, "x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		packets, d, err := read(b)
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
		if len(packets)*16 > len(b) {
			t.Errorf("%d packets of %d bytes", len(packets), len(b))
		}
		if d != nil && len(d.Interfaces())*12 > len(b) {
			t.Errorf("%d interfaces of %d bytes", len(d.Interfaces()), len(b))
		}
	})
}

// TestEndlessInterfaces: a file that describes ever more interfaces takes a bounded amount of memory.
func TestEndlessInterfaces(t *testing.T) {
	one := AppendInterface(nil, &Interface{Name: "e0"})
	b := AppendSection(nil, &Section{})
	b = append(b, bytes.Repeat(one, maxInterfaces+1)...)
	if _, d, err := read(b); !errors.Is(err, ErrDamaged) || !strings.HasSuffix(err.Error(), "more than 65536 interfaces") || len(d.Interfaces()) != maxInterfaces {
		t.Errorf("%v, %d interfaces", err, len(d.Interfaces()))
	}
}
