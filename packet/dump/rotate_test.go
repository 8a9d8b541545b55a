package dump

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// began is when that of numbered did.
var began = time.Unix(1700000000, 1)

// numbered builds a capture of n packets of 100 bytes, each of a wire length of its own.
func numbered(n int) []byte {
	b := pcapng.AppendSection(nil, &pcapng.Section{OS: "wick"})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkEthernet, Name: "e0"})
	b = pcapng.AppendStatistics(b, 0, &pcapng.Statistics{Start: began})
	for i := range n {
		b = pcapng.AppendPacket(b, 0, &pcapng.Packet{WireLen: 1000 + i, Data: make([]byte, 100)})
	}
	return pcapng.AppendStatistics(b, 0, &pcapng.Statistics{Received: pcapng.Known(uint64(n)), OSDropped: pcapng.Known(0)})
}

// wireLengths returns those of a capture's packets.
func wireLengths(t *testing.T, path string) (all []int) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d, err := pcapng.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := d.Next()
		if err != nil {
			return all
		}
		if p.Interface.Name != "e0" || d.Section().OS != "wick" {
			t.Errorf("%+v %+v", p.Interface, d.Section())
		}
		all = append(all, p.WireLen)
		if !p.Interface.Statistics.Start.Equal(began) {
			t.Errorf("%s: began at %v", path, p.Interface.Statistics.Start)
		}
	}
}

func TestRotator(t *testing.T) {
	capture := numbered(20)
	for _, tt := range []struct {
		size  int64
		count int
		files string
		first int // of the packets that are kept
	}{
		{0, 0, "out.pcapng", 1000},
		{1128, 0, "out-00001.pcapng out-00002.pcapng out-00003.pcapng out-00004.pcapng", 1000},
		{1128, 2, "out-00003.pcapng out-00004.pcapng", 1010},
		{1128, 1, "out-00004.pcapng", 1015},
		{1 << 20, 2, "out-00001.pcapng", 1000},
		{1, 3, "out-00018.pcapng out-00019.pcapng out-00020.pcapng", 1017},
		{1, 1, "out-00020.pcapng", 1019},
	} {
		dir := t.TempDir()
		r := newRotator(t, filepath.Join(dir, "out.pcapng"), tt.size, tt.count)
		for i := 0; i < len(capture); i += 7 {
			if _, err := r.Write(capture[i:min(i+7, len(capture))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		var got []int
		for _, e := range entries {
			names = append(names, e.Name())
			got = append(got, wireLengths(t, filepath.Join(dir, e.Name()))...)
			if info, err := e.Info(); err != nil || tt.size >= 1000 && info.Size() > tt.size {
				t.Errorf("%s has %d bytes, %v", e.Name(), info.Size(), err)
			}
		}
		if strings.Join(names, " ") != tt.files {
			t.Errorf("size %d, count %d: files %q, want %s", tt.size, tt.count, names, tt.files)
		}
		var want []int
		for n := tt.first; n < 1020; n++ {
			want = append(want, n)
		}
		if !slices.Equal(got, want) {
			t.Errorf("size %d, count %d: packets %v, want those from %d on", tt.size, tt.count, got, tt.first)
		}
	}
}

func newRotator(t *testing.T, path string, size int64, count int) *Rotator {
	t.Helper()
	r, err := NewRotator(path, size, count)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRotatorErrors(t *testing.T) {
	capture := numbered(2)
	r := newRotator(t, filepath.Join(t.TempDir(), "out"), 0, 0)
	if _, err := r.Write(capture[:len(capture)-3]); err != nil {
		t.Error(err)
	}
	if err := r.Close(); !errors.Is(err, pcapng.ErrDamaged) {
		t.Errorf("cut: %v", err)
	}
	if _, err := NewRotator(filepath.Join(t.TempDir(), "no", "out"), 0, 0); !os.IsNotExist(err) {
		t.Errorf("no folder: %v", err)
	}
	r = newRotator(t, filepath.Join(t.TempDir(), "out"), 0, 0)
	if _, err := r.Write([]byte("hello, world, this is no capture")); !errors.Is(err, pcapng.ErrDamaged) {
		t.Errorf("text: %v", err)
	}
	if _, again := r.Write(nil); again == nil {
		t.Error("no error the second time")
	}
	r = newRotator(t, filepath.Join(t.TempDir(), "out"), 0, 0)
	one := pcapng.AppendInterface(nil, &pcapng.Interface{Name: "e0"})
	for range headMost/len(one) + 2 {
		r.Write(one)
	}
	if err := r.Close(); !errors.Is(err, pcapng.ErrDamaged) {
		t.Errorf("interfaces without end: %v", err)
	}
}

// TestRotatorLeavesWholeBlocks: a file that can't grow any more is cut back to the blocks that are complete.
// Two captures in one file would be none.
func TestRotatorsShareNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.pcapng")
	r, err := NewRotator(path, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write(numbered(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRotator(path, 0, 0); err == nil || !strings.HasSuffix(err.Error(), "is being written by somebody else") {
		t.Errorf("the second: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if got := wireLengths(t, path); len(got) != 2 {
		t.Errorf("%d packets", len(got))
	}
	r, err = NewRotator(path, 0, 0) // it takes the place of the old one
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestRotatorLeavesWholeBlocks(t *testing.T) {
	if os.Getenv(envLimited) == "" {
		limited(t)
		return
	}
	capture := numbered(100)
	path := filepath.Join(t.TempDir(), "out")
	r := newRotator(t, path, 0, 0)
	_, err := r.Write(capture)
	if !errors.Is(err, unix.EFBIG) {
		t.Fatalf("got %v, want that the file is too big", err)
	}
	if err := r.Close(); !errors.Is(err, unix.EFBIG) {
		t.Errorf("Close: %v", err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d, err := pcapng.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		if _, err = d.Next(); err != nil {
			break
		}
		n++
	}
	if err != io.EOF || n == 0 || n == 100 {
		t.Errorf("%d packets, then %v", n, err)
	}
}

// envLimited tells a child process of limited that it is one.
const envLimited = "WICK_TEST_LIMITED"

// limited runs the test again in a process whose files can't be larger than 5000 bytes.
func limited(t *testing.T) {
	cmd := exec.Command("sh", "-c", `ulimit -f 10 && exec "$0" "$@"`, os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), envLimited+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// FuzzRotator: whatever a kernel sends, files hold whole blocks, and what isn't written is an error.
func FuzzRotator(f *testing.F) {
	f.Add(numbered(5), uint16(300), uint8(2), uint8(7))
	f.Add(numbered(1), uint16(0), uint8(0), uint8(255))
	f.Add([]byte("no capture"), uint16(1), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, size uint16, count, piece uint8) {
		dir := t.TempDir()
		r := newRotator(t, filepath.Join(dir, "out"), int64(size), int(count))
		var err error
		for p := range slices.Chunk(b, int(piece)+1) {
			if _, err = r.Write(p); err != nil {
				break
			}
		}
		if closing := r.Close(); err != nil && closing == nil {
			t.Errorf("Close forgets %v", err)
		} else if err == nil {
			err = closing
		}
		entries, readErr := os.ReadDir(dir)
		if readErr != nil || len(entries) == 0 || size > 0 && count > 0 && len(entries) > int(count) {
			t.Fatalf("%d files, at most %d are wanted: %v", len(entries), count, readErr)
		}
		total := 0
		for _, e := range entries {
			data, readErr := os.ReadFile(filepath.Join(dir, e.Name()))
			if readErr != nil || wholeBlocks(data) != int64(len(data)) {
				t.Errorf("%s has %d bytes, %d of them in whole blocks: %v", e.Name(), len(data), wholeBlocks(data), readErr)
			}
			total += len(data)
		}
		if size == 0 && err == nil && total != len(b) {
			t.Errorf("%d bytes of %d are written, and no error", total, len(b))
		}
	})
}

// TestRotatedInterfaces: a later file describes all interfaces, and packets of each are still its own.
func TestRotatedInterfaces(t *testing.T) {
	b := pcapng.AppendSection(nil, &pcapng.Section{OS: "wick"})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkEthernet, Name: "e0"})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkVsock, Name: "v0"})
	for i := range 20 {
		b = pcapng.AppendPacket(b, i%2, &pcapng.Packet{WireLen: 1000 + i, Data: make([]byte, 100)})
	}
	for id := range 2 {
		b = pcapng.AppendStatistics(b, id, &pcapng.Statistics{Received: pcapng.Known(10), Comments: []string{pcapng.LateDrop(1, "x")}})
	}
	dir := t.TempDir()
	r := newRotator(t, filepath.Join(dir, "out.pcapng"), 1000, 0)
	if _, err := r.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for n := 1; seen < 20; n++ {
		file, err := os.Open(r.name(n))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		d, err := pcapng.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		for {
			p, err := d.Next()
			if err == io.EOF {
				break
			}
			if want := []string{"e0", "v0"}[seen%2]; err != nil || p.Interface.Name != want || p.WireLen != 1000+seen {
				t.Fatalf("file %d: %+v, %v", n, p, err)
			}
			seen++
		}
		if i := d.Interfaces(); len(i) != 2 || i[1].Link != pcap.LinkVsock || (i[1].Statistics.Received.Known) != (seen == 20) {
			t.Errorf("file %d: %+v", n, i)
		}
	}
}
