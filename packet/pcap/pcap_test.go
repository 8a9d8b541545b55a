package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// file builds a capture of packets with the given contents, in any of the four forms.
func file(order binary.AppendByteOrder, magic uint32, packets ...string) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, 65535)
	b = order.AppendUint32(b, uint32(LinkEthernet))
	for i, p := range packets {
		b = order.AppendUint32(b, uint32(1700000000+i))
		b = order.AppendUint32(b, 123456)
		b = order.AppendUint32(b, uint32(len(p)))
		b = order.AppendUint32(b, uint32(len(p)+i))
		b = append(b, p...)
	}
	return b
}

// read reads a capture to its end and prints it.
func read(b []byte) (string, error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for {
		p, err := r.Next()
		if err == io.EOF {
			return text.String(), nil
		}
		if err != nil {
			return text.String(), err
		}
		fmt.Fprintf(&text, "%d.%09d %d %q;", p.Time.Unix(), p.Time.Nanosecond(), p.WireLen, p.Data)
	}
}

func TestReader(t *testing.T) {
	for _, tt := range []struct {
		name  string
		file  []byte
		nanos string
	}{
		{"little-endian µs", file(binary.LittleEndian, magicMicros, "abc", "", "defg"), "123456000"},
		{"big-endian µs", file(binary.BigEndian, magicMicros, "abc", "", "defg"), "123456000"},
		{"little-endian ns", file(binary.LittleEndian, magicNanos, "abc", "", "defg"), "000123456"},
		{"big-endian ns", file(binary.BigEndian, magicNanos, "abc", "", "defg"), "000123456"},
	} {
		want := strings.ReplaceAll(`1700000000.N 3 "abc";1700000001.N 1 "";1700000002.N 6 "defg";`, "N", tt.nanos)
		if got, err := read(tt.file); got != want || err != nil {
			t.Errorf("%s: %s, %v", tt.name, got, err)
		}
		r, err := NewReader(bytes.NewReader(tt.file))
		if err != nil || r.LinkType() != LinkEthernet || r.SnapLen() != 65535 || r.Nanos() != (tt.nanos[0] == '0') {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
	}
}

func TestDamage(t *testing.T) {
	good := file(binary.LittleEndian, magicMicros, "abc", "defg")
	long := bytes.Clone(good)
	binary.LittleEndian.PutUint32(long[24+16+3+8:], 1<<31)
	version := bytes.Clone(good)
	version[4] = 3
	for _, tt := range []struct {
		name string
		file []byte
		read string
		err  error
		want string
	}{
		{"empty", nil, "", ErrFormat, "not a pcap file: it is empty"},
		{"tiny", good[:3], "", ErrFormat, "not a pcap file: it has 3 bytes"},
		{"text", []byte("hello, world, how are you?"), "", ErrFormat, "not a pcap file: it starts with 68 65 6c 6c"},
		{"short text", []byte("hello"), "", ErrFormat, "not a pcap file: it starts with 68 65 6c 6c"},
		{"pcapng", []byte("\x0a\x0d\x0d\x0a0000"), "", ErrFormat, "not a pcap file: it is a pcapng file"},
		{"version", version, "", ErrFormat, "not a pcap file: version 3.4, want 2.4"},
		{"file header", good[:20], "", ErrDamaged, "damaged pcap file: file header has 20 of 24 bytes"},
		{"packet header", good[:43+5], "1", ErrDamaged, "damaged pcap file: packet 2 at byte 43: packet header has 5 of 16 bytes"},
		{"packet", good[:43+16+1], "1", ErrDamaged, "damaged pcap file: packet 2 at byte 43: packet has 1 of 4 captured bytes"},
		{"packet's first byte", good[:43+16], "1", ErrDamaged, "damaged pcap file: packet 2 at byte 43: packet has 0 of 4 captured bytes"},
		{"length", long, "1", ErrDamaged, "damaged pcap file: packet 2 at byte 43: captured length is 2147483648, more than 262144"},
	} {
		got, err := read(tt.file)
		if !errors.Is(err, tt.err) || err.Error() != tt.want || strings.Contains(got, "abc") != (tt.read == "1") {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

func TestFCSLen(t *testing.T) {
	for link, want := range map[uint32]int{1: 0, 1 | 2<<28: 0, 1 | 2<<28 | 1<<26: 4, 0xf << 28: 0} {
		b := file(binary.LittleEndian, magicMicros)
		binary.LittleEndian.PutUint32(b[20:], link)
		r, err := NewReader(bytes.NewReader(b))
		if err != nil || r.FCSLen() != want || r.LinkType() != LinkType(link&0xffff) {
			t.Errorf("link %#x: %+v, %v", link, r, err)
		}
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken disk")
	good := file(binary.LittleEndian, magicMicros, "abc", "defg")
	for _, n := range []int{0, 10, 24, 30, 43, 50, 60} {
		r, err := NewReader(io.MultiReader(bytes.NewReader(good[:n]), errorReader{broken}))
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, broken) {
			t.Errorf("error after %d bytes: %v", n, err)
		}
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, LinkRaw, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"abc", "", "defghi"} {
		if err := w.Write(time.Unix(1700000000, 123456789), len(s), []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := read(b.Bytes())
	if want := `1700000000.123456789 3 "abc";1700000000.123456789 0 "";1700000000.123456789 6 "defgh";`; got != want || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if r, err := NewReader(&b); err != nil || r.LinkType() != LinkRaw || r.SnapLen() != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWriteError(t *testing.T) {
	broken := errors.New("disk full")
	if _, err := NewWriter(errorWriter{broken}, LinkEthernet, 0); !errors.Is(err, broken) {
		t.Error(err)
	}
	w := &Writer{w: errorWriter{broken}, snapLen: 10}
	if err := w.Write(time.Time{}, 0, nil); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type errorWriter struct{ err error }

func (w errorWriter) Write([]byte) (int, error) { return 0, w.err }

func FuzzReader(f *testing.F) {
	f.Add(file(binary.LittleEndian, magicMicros, "abc", "", "defg"))
	f.Add(file(binary.BigEndian, magicNanos, "abc"))
	f.Add([]byte("\x0a\x0d\x0d\x0a0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := read(b)
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	packets := make([]string, 1000)
	for i := range packets {
		packets[i] = strings.Repeat("x", 500)
	}
	data := file(binary.LittleEndian, magicMicros, packets...)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(data))
		for err == nil {
			_, err = r.Next()
		}
	}
}
