package vfs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"wick/bundle"
	"wick/kernel/mm"
)

// initial is a file of the initial file system with n bytes, at offset in the bundle.
func initial(path string, n int, offset uint64) bundle.File {
	data := make([]byte, n, (n+pageSize-1)&^(pageSize-1))
	for i := range data {
		data[i] = byte(i*7 + i>>8)
	}
	return bundle.File{Path: path, Mode: bundle.ModeRegular | 0o755, Data: data, Offset: offset}
}

// TestRegularAgainstLinux does the same random operations on an initial file of ours and on a file of Linux's with
// the same contents.
func TestRegularAgainstLinux(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		file := initial("/f", rnd.IntN(5*pageSize), 0)
		paths := newTestFS(t, Options{}, file).NewPaths()
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		flags := unix.O_RDWR
		if rnd.IntN(4) == 0 {
			flags |= unix.O_APPEND
		}
		theirs, err := os.OpenFile(name, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours := mustOpen(t, paths, "/f", uint32(flags))
		compareFiles(t, rnd, ours, theirs)
		theirs.Close()
		ours.Release()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// userBytes is memory that files must treat as a program's.
type userBytes struct{ *Bytes }

func compareFiles(t *testing.T, rnd *rand.Rand, ours *OpenFile, theirs *os.File) {
	fd := int(theirs.Fd())
	for step := range 150 {
		n, off := rnd.IntN(3*pageSize), int64(rnd.IntN(8*pageSize))
		a, b := make([]byte, n), make([]byte, n)
		fillRandom(rnd, a)
		src := Bytes(a)
		var got int64
		var want int
		var err, werr error
		op := rnd.IntN(9)
		switch op {
		case 0:
			got, err = ours.Write(&src)
			want, werr = unix.Write(fd, a)
		case 1:
			got, err = ours.WriteAt(&src, off)
			want, werr = unix.Pwrite(fd, a, off)
		case 2:
			got, err = ours.Read(&userBytes{&src})
			want, werr = unix.Read(fd, b)
		case 3:
			got, err = ours.Read(&src)
			want, werr = unix.Read(fd, b)
		case 4:
			got, err = ours.ReadAt(&userBytes{&src}, off)
			want, werr = unix.Pread(fd, b, off)
		case 5:
			got, err = ours.ReadAt(&src, off)
			want, werr = unix.Pread(fd, b, off)
		case 6:
			err = ours.Truncate(off)
			werr = unix.Ftruncate(fd, off)
		case 7:
			whence := rnd.IntN(3)
			off -= 2 * pageSize
			var p int64
			got, err = ours.Seek(off, whence)
			p, werr = unix.Seek(fd, off, whence)
			want = int(p)
		case 8:
			mode := uint32(0)
			if rnd.IntN(2) == 0 {
				mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
			}
			err = ours.File().(*RegularFile).Allocate(mode, off, int64(n)+1)
			werr = unix.Fallocate(fd, mode, off, int64(n)+1)
		}
		if e, ok := werr.(unix.Errno); ok && e == 0 {
			werr = nil
		}
		if err != werr || err == nil && got != int64(want) {
			t.Errorf("step %d: operation %d, %d bytes at %d: %d, %v; Linux: %d, %v", step, op, n, off, got, err, want, werr)
			return
		}
		if op >= 2 && op <= 5 && !bytes.Equal(a[:got], b[:got]) {
			t.Errorf("step %d: different bytes", step)
			return
		}
		st, _ := ours.File().Stat()
		var lst unix.Stat_t
		unix.Fstat(fd, &lst)
		if st.Size != lst.Size {
			t.Errorf("step %d: operation %d: size %d; Linux: %d", step, op, st.Size, lst.Size)
			return
		}
	}
}

func TestRegularFrames(t *testing.T) {
	const base = 0x10000000
	file := initial("/f", 2*pageSize+100, 0x5000)
	fs, err := NewFS([]bundle.File{file}, base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := mustOpen(t, fs.NewPaths(), "/f", unix.O_RDWR)
	backing, err := o.File().(*RegularFile).Mapping()
	if err != nil {
		t.Fatal(err)
	}
	expect := func(off int64, want mm.PhysAddr) {
		t.Helper()
		pa, ok := backing.Frame(off)
		if pa != want || ok != (want != 0) {
			t.Errorf("Frame(%#x) = %#x, %v; want %#x", off, pa, ok, want)
		}
	}
	expect(0, base+0x5000)
	expect(2*pageSize, base+0x7000) // the last one, zeros behind its end
	expect(3*pageSize, 0)
	b := Bytes("x")
	o.WriteAt(&b, pageSize+5)
	expect(pageSize, 0) // has been written
	expect(0, base+0x5000)
	if err := o.Truncate(3 * pageSize); err != nil {
		t.Fatal(err)
	}
	expect(3*pageSize, 0)
	expect(2*pageSize, 0) // not zeros behind its end any more, for all that is known
	if err := o.Truncate(100); err != nil {
		t.Fatal(err)
	}
	expect(0, 0)
	page := make([]byte, pageSize)
	if n, _ := backing.ReadAt(page, 0); n != 100 || !bytes.Equal(page[:100], file.Data[:100]) {
		t.Errorf("ReadAt: %d bytes", n)
	}
}

func TestRegularInitialDataStays(t *testing.T) {
	file := initial("/f", 3*pageSize, 0)
	before := bytes.Clone(file.Data)
	paths := newTestFS(t, Options{}, file).NewPaths()
	o := mustOpen(t, paths, "/f", unix.O_RDWR)
	write(t, o, "hello")
	o.Truncate(10)
	o.Truncate(4 * pageSize)
	b := Bytes(make([]byte, 2*pageSize))
	o.WriteAt(&b, 100)
	if !bytes.Equal(file.Data, before) {
		t.Error("the initial bytes were changed in place")
	}
	got := contents(t, paths, "/f")
	want := make([]byte, 4*pageSize)
	copy(want, before[:10])
	copy(want, "hello")
	if got != string(want) {
		t.Error("wrong contents")
	}
}

func TestSpaceIsBounded(t *testing.T) {
	fs := newTestFS(t, Options{MaxBytes: 10 * pageSize, MaxNames: 40})
	paths := fs.NewPaths()
	before := fs.pages.used.Load()
	o := mustOpen(t, paths, "/tmp/f", unix.O_RDWR|unix.O_CREAT)
	if err := o.Truncate(1 << 40); err != nil { // sparse: costs nothing
		t.Fatal(err)
	}
	o.Truncate(0)
	b := Bytes(make([]byte, 20*pageSize))
	if n, err := o.Write(&b); n != 10*pageSize || err != nil {
		t.Errorf("write = %d, %v; want a part", n, err)
	}
	if n, err := o.Write(&b); n != 0 || err != unix.ENOSPC {
		t.Errorf("write = %d, %v; want ENOSPC", n, err)
	}
	if err := o.File().(*RegularFile).Allocate(0, 0, 1<<40); err != unix.ENOSPC {
		t.Errorf("fallocate = %v, want ENOSPC", err)
	}
	if err := paths.Unlink(nil, "/tmp/f"); err != nil {
		t.Fatal(err)
	}
	if free := fs.pages.left(); free != 0 {
		t.Errorf("%d pages are free while the file is open", free)
	}
	o.Release()
	if got := fs.pages.used.Load(); got != before {
		t.Errorf("%d pages in use, want %d", got, before)
	}
	err := error(nil)
	for n := 0; err == nil && n < 100; n++ {
		err = paths.Mkdir(nil, "/tmp/"+string(rune('A'+n)), 0o755)
	}
	if err != unix.ENOSPC {
		t.Errorf("many directories: %v, want ENOSPC", err)
	}
}

func TestUnlinkedFileLives(t *testing.T) {
	fs := newTestFS(t, Options{})
	paths := fs.NewPaths()
	o := mustOpen(t, paths, "/tmp/f", unix.O_RDWR|unix.O_CREAT)
	write(t, o, "hello")
	if got := o.File().(PathHolder).Path(); got != "/tmp/f" {
		t.Errorf("path %q", got)
	}
	if err := paths.Unlink(nil, "/tmp/f"); err != nil {
		t.Fatal(err)
	}
	if got := o.File().(PathHolder).Path(); got != "/tmp/f (deleted)" {
		t.Errorf("path %q", got)
	}
	o.Seek(0, io.SeekStart)
	if got := readAll(t, o); got != "hello" {
		t.Errorf("read %q", got)
	}
	if st, _ := o.File().Stat(); st.Nlink != 0 {
		t.Errorf("link count %d", st.Nlink)
	}
	if err := paths.Link(o.File().(NodeHolder).Node(), nil, "/tmp/g"); err != unix.ENOENT {
		t.Errorf("link of an unlinked file = %v, want ENOENT", err)
	}
	o.Release()
	checkTree(t, emptyFS(t))
}

func TestTemporaryFile(t *testing.T) {
	fs := emptyFS(t)
	paths := fs.NewPaths()
	for _, flags := range []uint32{unix.O_RDONLY | unix.O_TMPFILE, unix.O_RDWR | unix.O_TMPFILE&^unix.O_DIRECTORY} {
		if _, err := paths.Open(nil, "/", flags, 0o600); err != unix.EINVAL {
			t.Errorf("flags %#x: %v, want EINVAL", flags, err)
		}
	}
	o, err := paths.Open(nil, "/", unix.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	write(t, o, "hello")
	if err := paths.Link(NodeOf(o.File()), nil, "/f"); err != nil {
		t.Errorf("link: %v", err)
	}
	o.Release()
	if got := contents(t, paths, "/f"); got != "hello" {
		t.Errorf("read %q", got)
	}
	o, err = paths.Open(nil, "/", unix.O_RDWR|unix.O_TMPFILE|unix.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := paths.Link(NodeOf(o.File()), nil, "/g"); err != unix.ENOENT {
		t.Errorf("link with O_EXCL: %v, want ENOENT", err)
	}
	o.Release()
	checkTree(t, fs)
}

func TestMemfdSeals(t *testing.T) {
	paths := emptyFS(t).NewPaths()
	f := paths.NewMemfd("x", true)
	o := NewOpenFile(f, unix.O_RDWR)
	r := f.(*RegularFile)
	if r.Path() != "/memfd:x (deleted)" {
		t.Errorf("path %q", r.Path())
	}
	write(t, o, "hello")
	if err := r.AddSeals(unix.F_SEAL_GROW | unix.F_SEAL_SHRINK); err != nil {
		t.Fatal(err)
	}
	if err := o.Truncate(3); err != unix.EPERM {
		t.Errorf("shrinking = %v", err)
	}
	if err := o.Truncate(30); err != unix.EPERM {
		t.Errorf("growing = %v", err)
	}
	b := Bytes("xx")
	if _, err := o.WriteAt(&b, 4); err != unix.EPERM {
		t.Errorf("writing beyond the end = %v", err)
	}
	b = Bytes("x")
	if _, err := o.WriteAt(&b, 4); err != nil {
		t.Errorf("writing = %v", err)
	}
	r.AddSeals(unix.F_SEAL_SEAL | unix.F_SEAL_WRITE)
	b = Bytes("x")
	if _, err := o.WriteAt(&b, 4); err != unix.EPERM {
		t.Errorf("writing = %v", err)
	}
	if err := r.AddSeals(unix.F_SEAL_GROW); err != unix.EPERM {
		t.Errorf("sealing = %v", err)
	}
}

// TestAppendIsOneStep has writers append records larger than what is copied at a time: they must not mix.
func TestAppendIsOneStep(t *testing.T) {
	paths := emptyFS(t).NewPaths()
	const record, writers, each = 3*bounceSize + 17, 4, 10
	var wg sync.WaitGroup
	for w := range writers {
		o := mustOpen(t, paths, "/f", unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND)
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer o.Release()
			for range each {
				b := Bytes(bytes.Repeat([]byte{byte('a' + w)}, record))
				if n, err := o.Write(&b); n != record || err != nil {
					t.Errorf("write = %d, %v", n, err)
				}
			}
		}()
	}
	wg.Wait()
	got := contents(t, paths, "/f")
	if len(got) != record*writers*each {
		t.Fatalf("%d bytes", len(got))
	}
	for i := 0; i < len(got); i += record {
		if got[i:i+record] != string(bytes.Repeat([]byte{got[i]}, record)) {
			t.Fatalf("the record at %d is mixed", i)
		}
	}
}

// TestReadWriteRaces reads, writes, truncates and maps a file at the same time, for the race detector.
func TestReadWriteRaces(t *testing.T) {
	file := initial("/f", 4*pageSize, 0)
	paths := newTestFS(t, Options{}, file).NewPaths()
	var wg sync.WaitGroup
	for w := range 4 {
		o := mustOpen(t, paths, "/f", unix.O_RDWR)
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer o.Release()
			rnd := rand.New(rand.NewPCG(uint64(w), 0))
			backing, _ := o.File().(*RegularFile).Mapping()
			buf := make([]byte, 2*pageSize)
			for range 500 {
				b := Bytes(buf)
				off := rnd.Int64N(5 * pageSize)
				switch rnd.IntN(5) {
				case 0:
					o.WriteAt(&b, off)
				case 1:
					o.Truncate(off)
				case 2:
					backing.ReadAt(buf, off&^(pageSize-1))
					backing.Frame(off &^ (pageSize - 1))
				default:
					o.ReadAt(&b, off)
				}
			}
		}()
	}
	wg.Wait()
}
