package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func fullConfig() *Config {
	return &Config{
		Args: []string{"server", "", "-x", "ü"}, Env: []string{"A=1", "B="},
		Path: "/bin/server", Cwd: "/tmp",
		Terminal: [3]bool{true, false, true}, Rows: 24, Columns: 80,
		Address: "10.0.2.15/24", Gateway: "10.0.2.2", DNS: "10.0.2.3", Host: "wick",
		Dump: "line", Capture: true, SnapLen: 96, Verbose: true, Timing: true,
		Seed: bytes.Repeat([]byte{7}, 32), Now: time.Unix(1700000000, 123456789),
	}
}

func someFiles() []File {
	then := time.Unix(1600000000, 5)
	return []File{
		{Path: "/etc/hosts", Mode: ModeRegular | 0o644, ModTime: then, Data: []byte("127.0.0.1 localhost\n")},
		{Path: "/bin/server", Mode: ModeRegular | 0o755, ModTime: then, Data: bytes.Repeat([]byte("0123456789"), 1000)},
		{Path: "/bin-old", Mode: ModeSymlink | 0o777, ModTime: then, Link: "bin"},
		{Path: "/etc/empty", Mode: ModeRegular | 0o600, ModTime: then},
		{Path: "/page", Mode: ModeRegular | 0o600, ModTime: then, Data: make([]byte, PageSize)},
		{Path: "/tmp", Mode: ModeDir | 0o1777, ModTime: then},
	}
}

func build(t testing.TB, cfg *Config, files []File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Build(&b, cfg, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	b := build(t, fullConfig(), someFiles())
	got, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&got.Config, fullConfig()) {
		t.Errorf("config: got %+v, want %+v", got.Config, *fullConfig())
	}
	var paths []string
	for _, f := range got.Files {
		paths = append(paths, f.Path)
	}
	const want = "/bin /bin-old /bin/server /etc /etc/empty /etc/hosts /page /tmp"
	if s := strings.Join(paths, " "); s != want {
		t.Errorf("paths: got %s, want %s", s, want)
	}
	for _, in := range someFiles() {
		i := indexOf(got.Files, in.Path)
		f := got.Files[i]
		if f.Mode != in.Mode || f.Link != in.Link || !f.ModTime.Equal(in.ModTime) || !bytes.Equal(f.Data, in.Data) {
			t.Errorf("%s: got %+v", in.Path, f)
		}
	}
}

func indexOf(files []File, path string) int {
	for i := range files {
		if files[i].Path == path {
			return i
		}
	}
	return -1
}

func TestZeroConfigRoundTrip(t *testing.T) {
	got, err := Parse(build(t, &Config{}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Config, Config{}) || len(got.Files) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestDataIsPageAlignedInPlaceAndZeroPadded(t *testing.T) {
	b := build(t, fullConfig(), someFiles())
	if len(b)%PageSize != 0 {
		t.Errorf("length %d is not a multiple of a page", len(b))
	}
	got, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got.Files {
		if len(f.Data) == 0 {
			continue
		}
		if f.Offset%PageSize != 0 || &b[f.Offset] != &f.Data[0] {
			t.Errorf("%s: offset %#x is not where its data is", f.Path, f.Offset)
		}
		if cap(f.Data) != int(pageUp(uint64(len(f.Data)))) {
			t.Errorf("%s: capacity %d for %d bytes", f.Path, cap(f.Data), len(f.Data))
		}
		for _, c := range f.Data[len(f.Data):cap(f.Data)] {
			if c != 0 {
				t.Fatalf("%s: the rest of its last page is not zero", f.Path)
			}
		}
	}
}

func TestTrailingBytesAreIgnored(t *testing.T) {
	b := append(build(t, fullConfig(), someFiles()), make([]byte, 100)...)
	if _, err := Parse(b); err != nil {
		t.Fatal(err)
	}
}

func TestBuildRefuses(t *testing.T) {
	reg := uint32(ModeRegular | 0o644)
	tests := []struct {
		name  string
		files []File
	}{
		{"relative path", []File{{Path: "a", Mode: reg}}},
		{"empty path", []File{{Mode: reg}}},
		{"root", []File{{Path: "/", Mode: ModeDir}}},
		{"dot dot", []File{{Path: "/a/../b", Mode: reg}}},
		{"double slash", []File{{Path: "/a//b", Mode: reg}}},
		{"trailing slash", []File{{Path: "/a/", Mode: reg}}},
		{"NUL", []File{{Path: "/a\x00", Mode: reg}}},
		{"long name", []File{{Path: "/" + strings.Repeat("a", 256), Mode: reg}}},
		{"long path", []File{{Path: strings.Repeat("/a", 2048), Mode: reg}}},
		{"twice", []File{{Path: "/a", Mode: reg}, {Path: "/a", Mode: reg}}},
		{"below a file", []File{{Path: "/a", Mode: reg}, {Path: "/a/b", Mode: reg}}},
		{"below a link", []File{{Path: "/a", Mode: ModeSymlink, Link: "x"}, {Path: "/a/b", Mode: reg}}},
		{"no type", []File{{Path: "/a", Mode: 0o644}}},
		{"device", []File{{Path: "/a", Mode: 0o020644}}},
		{"unknown bits", []File{{Path: "/a", Mode: 1<<20 | reg}}},
		{"empty target", []File{{Path: "/a", Mode: ModeSymlink}}},
		{"target with NUL", []File{{Path: "/a", Mode: ModeSymlink, Link: "\x00"}}},
		{"data in a directory", []File{{Path: "/a", Mode: ModeDir, Data: []byte("x")}}},
		{"target of a file", []File{{Path: "/a", Mode: reg, Link: "x"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e *Error
			if err := Build(io.Discard, &Config{}, tt.files); !errors.As(err, &e) {
				t.Errorf("got %v, want an *Error", err)
			}
		})
	}
}

// reseal corrects the checksum of a bundle that a test has changed.
func reseal(b []byte) []byte {
	le := binary.LittleEndian
	end := headerSize + int(le.Uint32(b[24:])) + int(le.Uint32(b[28:]))
	if end <= len(b) {
		le.PutUint32(b[crcOffset:], checksum(b[:end]))
	}
	return b
}

// raw makes a bundle of a config and a table that Build would not write.
func raw(config, table []byte, files uint32, dataPages int) []byte {
	le := binary.LittleEndian
	meta := make([]byte, headerSize)
	copy(meta, magic)
	meta = append(append(meta, config...), table...)
	b := make([]byte, int(pageUp(uint64(len(meta))))+dataPages*PageSize)
	copy(b, meta)
	le.PutUint32(b[8:], version)
	le.PutUint64(b[16:], uint64(len(b)))
	le.PutUint32(b[24:], uint32(len(config)))
	le.PutUint32(b[28:], uint32(len(table)))
	le.PutUint32(b[32:], files)
	return reseal(b)
}

// entry makes an entry of the file table of a regular file.
func entry(path string, mode uint32, offset, size uint64) []byte {
	b := appendTable(nil, []File{{Path: path, Mode: mode}}, 0)
	b = b[:len(b)-16]
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, offset), size)
}

func TestParseRefusesDamagedHeaders(t *testing.T) {
	le := binary.LittleEndian
	tests := []struct {
		name   string
		damage func(b []byte) []byte
	}{
		{"nothing", func(b []byte) []byte { return nil }},
		{"short", func(b []byte) []byte { return b[:headerSize-1] }},
		{"magic", func(b []byte) []byte { b[0]++; return reseal(b) }},
		{"version", func(b []byte) []byte { b[8]++; return reseal(b) }},
		{"cut off", func(b []byte) []byte { return b[:len(b)-1] }},
		{"huge", func(b []byte) []byte { le.PutUint64(b[16:], 1<<63); return reseal(b) }},
		{"odd length", func(b []byte) []byte { le.PutUint64(b[16:], uint64(len(b)-1)); return reseal(b) }},
		{"length 0", func(b []byte) []byte { le.PutUint64(b[16:], 0); return reseal(b) }},
		{"config length", func(b []byte) []byte { le.PutUint32(b[24:], 1<<32-1); return reseal(b) }},
		{"table length", func(b []byte) []byte { le.PutUint32(b[28:], MaxMeta); return reseal(b) }},
		{"file count", func(b []byte) []byte { le.PutUint32(b[32:], MaxFiles); return reseal(b) }},
		{"more files than the limit", func(b []byte) []byte { le.PutUint32(b[32:], MaxFiles+1); return reseal(b) }},
		{"fewer files", func(b []byte) []byte { le.PutUint32(b[32:], 1); return reseal(b) }},
		{"checksum", func(b []byte) []byte { b[crcOffset]++; return b }},
		{"config byte", func(b []byte) []byte { b[headerSize+5] ^= 1; return b }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.damage(build(t, fullConfig(), someFiles()))
			var e *Error
			if _, err := Parse(b); !errors.As(err, &e) {
				t.Errorf("got %v, want an *Error", err)
			}
		})
	}
}

func TestParseRefusesHostileTables(t *testing.T) {
	reg := uint32(ModeRegular | 0o644)
	two := func(a, b []byte) []byte { return append(a, b...) }
	link := appendTable(nil, []File{{Path: "/l", Mode: ModeSymlink, Link: "x"}}, 0)
	tests := []struct {
		name  string
		table []byte
		files uint32
	}{
		{"data behind the end", entry("/a", reg, PageSize, 3*PageSize), 1},
		{"offset behind the end", entry("/a", reg, 16*PageSize, 1), 1},
		{"offset and size overflow", entry("/a", reg, PageSize, 1<<64-PageSize), 1},
		{"huge offset", entry("/a", reg, 1<<64-PageSize, PageSize), 1},
		{"data in the header", entry("/a", reg, 0, 10), 1},
		{"unaligned", entry("/a", reg, PageSize+1, 10), 1},
		{"empty with an offset", entry("/a", reg, PageSize, 0), 1},
		{"overlap", two(entry("/a", reg, PageSize, 10), entry("/b", reg, PageSize, 10)), 2},
		{"descending data", two(entry("/a", reg, 2*PageSize, 10), entry("/b", reg, PageSize, 10)), 2},
		{"descending paths", two(entry("/b", reg, 0, 0), entry("/a", reg, 0, 0)), 2},
		{"twice", two(entry("/a", reg, 0, 0), entry("/a", reg, 0, 0)), 2},
		{"no parent", entry("/a/b", reg, 0, 0), 1},
		{"parent is a file", two(entry("/a", reg, 0, 0), entry("/a/b", reg, 0, 0)), 2},
		{"parent is a link", two(link, entry("/l/b", reg, 0, 0)), 2},
		{"path", entry("/..", reg, 0, 0), 1},
		{"mode", entry("/a", 0o020000, 0, 0), 1},
		{"cut off", entry("/a", reg, 0, 0)[:20], 1},
		{"cut off in a target", link[:len(link)-1], 1},
		{"empty target", append(link[:len(link)-2], 0), 1},
		{"endless varint", bytes.Repeat([]byte{0xff}, 40), 1},
		{"bytes behind", append(entry("/a", reg, 0, 0), 0), 1},
		{"path length", append([]byte{0xff, 0xff, 0x7f}, make([]byte, 40)...), 1},
		{"nanoseconds", append([]byte("\x02/a\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"), make([]byte, 16)...), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e *Error
			if b, err := Parse(raw(nil, tt.table, tt.files, 2)); !errors.As(err, &e) {
				t.Errorf("got %+v, %v, want an *Error", b, err)
			}
		})
	}
	good := two(entry("/a", reg, PageSize, 10), entry("/b", reg, 2*PageSize, PageSize))
	if _, err := Parse(raw(nil, good, 2, 2)); err != nil {
		t.Errorf("a well-formed table: %v", err)
	}
}

func TestParseRefusesHostileConfigs(t *testing.T) {
	tests := []struct{ name, config string }{
		{"unknown tag", "\x63\x00"},
		{"tag 0", "\x00\x00"},
		{"cut off", "\x01\x05ab"},
		{"no length", "\x01"},
		{"descending", "\x03\x01a\x01\x01b"},
		{"path twice", "\x03\x01a\x03\x01b"},
		{"terminal bits", "\x05\x01\x08"},
		{"terminal empty", "\x05\x00"},
		{"terminal long", "\x05\x02\x01\x01"},
		{"window short", "\x06\x03abc"},
		{"window long", "\x06\x05abcde"},
		{"verbose with a value", "\x0c\x01a"},
		{"time short", "\x0e\x04abcd"},
		{"nanoseconds", "\x0e\x0c\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e *Error
			if b, err := Parse(raw([]byte(tt.config), nil, 0, 0)); !errors.As(err, &e) {
				t.Errorf("got %+v, %v, want an *Error", b, err)
			}
		})
	}
}

// TestABuiltImageHoldsNoSeed looks for the bytes themselves.
func TestABuiltImageHoldsNoSeed(t *testing.T) {
	cfg := fullConfig()
	if b := build(t, cfg, someFiles()); !bytes.Contains(b, cfg.Seed) {
		t.Fatal("the seed is not where the test looks for it")
	}
	seed := cfg.Seed
	cfg.Seed, cfg.Now = nil, time.Time{}
	b := build(t, cfg, someFiles())
	got, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, seed) || got.Config.Seed != nil || !got.Config.Now.IsZero() {
		t.Error("seed or clock in the image")
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{What: "x", Path: "/a b", Got: 1, Want: 2}
	if s := e.Error(); s != `bundle: x ("/a b"): got 1, want 2` {
		t.Error(s)
	}
}

// FuzzParse checks that nothing panics and that what is accepted survives a round trip.
func FuzzParse(f *testing.F) {
	f.Add(build(f, fullConfig(), someFiles()))
	f.Add(build(f, &Config{}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= headerSize {
			reseal(b)
		}
		first, err := Parse(b)
		if err != nil {
			return
		}
		second, err := Parse(build(t, &first.Config, first.Files))
		if err != nil {
			t.Fatalf("what was parsed can't be built: %v", err)
		}
		if !sameConfig(&first.Config, &second.Config) || len(first.Files) != len(second.Files) {
			t.Fatalf("round trip: got %+v, want %+v", second, first)
		}
		for i := range first.Files {
			x, y := &first.Files[i], &second.Files[i]
			if x.Path != y.Path || x.Mode != y.Mode || x.Link != y.Link || !bytes.Equal(x.Data, y.Data) {
				t.Fatalf("file %d: got %+v, want %+v", i, y, x)
			}
		}
	})
}

// sameConfig compares what the format tells apart: an empty seed is no seed.
func sameConfig(a, b *Config) bool {
	x, y := *a, *b
	if len(x.Seed) == 0 && len(y.Seed) == 0 {
		x.Seed, y.Seed = nil, nil
	}
	if !x.Now.Equal(y.Now) {
		return false
	}
	x.Now, y.Now = time.Time{}, time.Time{}
	return reflect.DeepEqual(x, y)
}

// FuzzConfig fuzzes the config records without the bundle around them.
func FuzzConfig(f *testing.F) {
	f.Add(appendConfig(nil, fullConfig()))
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second Config
		if decodeConfig(b, &first) != nil {
			return
		}
		if err := decodeConfig(appendConfig(nil, &first), &second); err != nil {
			t.Fatal(err)
		}
		if !sameConfig(&first, &second) {
			t.Fatalf("got %+v, want %+v", second, first)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	in := build(b, fullConfig(), someFiles())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(in); err != nil {
			b.Fatal(err)
		}
	}
}
