package vfs

import (
	"math"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// countedFrames is a machine with few frames, which are cleared when they are freed.
type countedFrames struct {
	mu    sync.Mutex
	limit int
	next  mm.PhysAddr
	used  map[mm.PhysAddr]*[pageSize]byte
	freed chan struct{} // gets a token for each call of FreeFrames that freed something
}

func newCountedFrames(limit int) *countedFrames {
	return &countedFrames{limit: limit, used: map[mm.PhysAddr]*[pageSize]byte{}, freed: make(chan struct{}, 1000)}
}

func (f *countedFrames) AllocFrame() (mm.PhysAddr, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.used) >= f.limit {
		return 0, false
	}
	f.next += pageSize
	f.used[f.next] = new([pageSize]byte)
	return f.next, true
}

func (f *countedFrames) FreeFrames(pas []mm.PhysAddr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pa := range pas {
		if f.used[pa] == nil {
			panic("a frame was freed that isn't in use")
		}
		clear(f.used[pa][:])
		delete(f.used, pa)
	}
	if len(pas) > 0 {
		f.freed <- struct{}{}
	}
}

func (f *countedFrames) Page(pa mm.PhysAddr) *[pageSize]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used[pa]
}

func (f *countedFrames) expect(t *testing.T, want int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.used) != want {
		t.Errorf("%d frames are in use, want %d", len(f.used), want)
	}
}

func TestFilePagesAreFrames(t *testing.T) {
	frames := newCountedFrames(10)
	fs := newTestFS(t, Options{Frames: frames})
	paths := fs.NewPaths()
	o := mustOpen(t, paths, "/tmp/f", unix.O_RDWR|unix.O_CREAT)
	b := Bytes(make([]byte, 12*pageSize))
	if n, err := o.Write(&b); n != 10*pageSize || err != nil {
		t.Errorf("write = %d, %v; want all that there is room for", n, err)
	}
	b = Bytes("x")
	if _, err := o.Write(&b); err != unix.ENOSPC {
		t.Errorf("write = %v, want ENOSPC", err)
	}
	frames.expect(t, 10)
	o.Truncate(5*pageSize + 1)
	frames.expect(t, 6)
	if err := o.File().(*RegularFile).Allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, pageSize, pageSize); err != nil {
		t.Error(err)
	}
	frames.expect(t, 5)
	paths.Unlink(nil, "/tmp/f")
	frames.expect(t, 5)
	o.Release()
	frames.expect(t, 0)
	if fs.pages.used.Load() != 0 {
		t.Errorf("%d pages are counted", fs.pages.used.Load())
	}
}

// TestHolesCostNothing: to zero a part of a file takes as long as there are pages in it, however long it is. A walk over all the pages
// that there could be would not end.
func TestHolesCostNothing(t *testing.T) {
	frames := newCountedFrames(10)
	o := mustOpen(t, newTestFS(t, Options{Frames: frames}).NewPaths(), "/tmp/f", unix.O_RDWR|unix.O_CREAT)
	const size = 1 << 62
	if err := o.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{100, 1<<40 + 5, size - 10} {
		b := Bytes("xyz")
		if n, err := o.WriteAt(&b, off); n != 3 || err != nil {
			t.Fatalf("write at %d: %d, %v", off, n, err)
		}
	}
	frames.expect(t, 3)
	mode := uint32(unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE)
	if err := o.File().(*RegularFile).Allocate(mode, 101, size-101-9); err != nil {
		t.Fatal(err)
	}
	frames.expect(t, 2)
	for off, want := range map[int64]string{100: "x\x00\x00", 1<<40 + 5: "\x00\x00\x00", size - 10: "\x00yz"} {
		b := Bytes(make([]byte, 3))
		got := b
		if n, err := o.ReadAt(&b, off); n != 3 || err != nil || string(got) != want {
			t.Errorf("read at %d: %q, %v; want %q", off, got, err, want)
		}
	}
	o.Release()
}

// TestLongestFile: files go up to byte 2^63-2, and what is near that end is not taken for something else.
func TestLongestFile(t *testing.T) {
	frames := newCountedFrames(10)
	fs := newTestFS(t, Options{Frames: frames, MaxBytes: 10 * pageSize})
	o := mustOpen(t, fs.NewPaths(), "/tmp/f", unix.O_RDWR|unix.O_CREAT)
	defer o.Release()
	f := o.File().(*RegularFile)
	write(t, o, "hello")
	for _, size := range []int64{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 - pageSize} {
		if err := o.Truncate(size); err != nil {
			t.Fatal(err)
		}
	}
	b := Bytes(make([]byte, 5))
	got := b
	if n, err := o.ReadAt(&b, 0); n != 5 || err != nil || string(got) != "hello" {
		t.Errorf("read after the end was cut off: %q, %v", got, err)
	}
	if err := f.Allocate(0, 0, math.MaxInt64); err != unix.ENOSPC {
		t.Errorf("fallocate of everything: %v, want ENOSPC", err)
	}
	frames.expect(t, 1)
	for range 2 { // the second time there is nothing to do
		if err := f.Allocate(0, math.MaxInt64-6*pageSize, 6*pageSize); err != nil {
			t.Errorf("fallocate of the last pages: %v", err)
		}
	}
	frames.expect(t, 8)
}

// TestReopenedFileIsGivenBack: a file without a name that was closed while another thread opened it once more, by /proc/self/fd, is given
// back again.
func TestReopenedFileIsGivenBack(t *testing.T) {
	frames := newCountedFrames(10)
	paths := newTestFS(t, Options{Frames: frames}).NewPaths()
	o := mustOpen(t, paths, "/tmp/f", unix.O_RDWR|unix.O_CREAT)
	f := o.File().(*RegularFile).node
	if err := paths.Unlink(nil, "/tmp/f"); err != nil {
		t.Fatal(err)
	}
	o.Release()
	for range 2 {
		o = NewOpenFile(f.open(nil, "f"), unix.O_RDWR)
		write(t, o, "hello")
		frames.expect(t, 1)
		o.Release()
		frames.expect(t, 0)
	}
}

// TestMappedFileKeepsItsFrames: what a space has mapped is there until the last mapping goes.
func TestMappedFileKeepsItsFrames(t *testing.T) {
	ours, _ := newOursMapped(t, []byte("hello"), false)
	const va = mapWindow
	if err := ours.mmap(va, 2*pageSize, unix.PROT_READ, unix.MAP_PRIVATE, 0); err != nil {
		t.Fatal(err)
	}
	before := ours.m.InUse() // the root and the page
	ours.o.Release()
	buf := make([]byte, 5)
	if err := ours.s.CopyIn(buf, va); string(buf) != "hello" || err != nil {
		t.Errorf("read %q, %v", buf, err)
	}
	if err := ours.munmap(va+pageSize, pageSize); err != nil {
		t.Error(err)
	}
	if err := ours.s.CopyIn(buf, va); string(buf) != "hello" || err != nil {
		t.Errorf("read %q, %v after a part was unmapped", buf, err)
	}
	if err := ours.munmap(va, pageSize); err != nil {
		t.Error(err)
	}
	if n := ours.m.InUse(); n != before-1 {
		t.Errorf("%d frames are in use, %d before", n, before)
	}
}

func TestPipePagesAreFrames(t *testing.T) {
	frames := newCountedFrames(3)
	fs := newTestFS(t, Options{Frames: frames})
	r, w := fs.NewPipe()
	rd := NewOpenFile(r, unix.O_RDONLY)
	for range 100 { // a pipe that is read at once needs one page
		b := Bytes(make([]byte, 100))
		w.Write(&b, 0)
		b = Bytes(make([]byte, 100))
		rd.Read(&b)
	}
	frames.expect(t, 1)
	b := Bytes(make([]byte, 5*pageSize))
	if n, err := w.Write(&b, 0); n != 3*pageSize || err != nil {
		t.Errorf("write = %d, %v; want 3 pages", n, err)
	}
	b = Bytes("x")
	if _, err := w.Write(&b, 0); err != unix.ENOMEM {
		t.Errorf("write = %v, want ENOMEM", err)
	}
	if _, err := w.SetCapacity(MaxPipeSize); err != unix.ENOMEM {
		t.Errorf("SetCapacity = %v, want ENOMEM", err)
	}
	frames.expect(t, 3)
	// An atomic write across the border to a page that can't be had takes nothing.
	b = Bytes(make([]byte, 2*pageSize+10))
	rd.Read(&b)
	b = Bytes(make([]byte, PipeBuf))
	if n, err := w.Write(&b, 0); n != 0 || err != unix.ENOMEM {
		t.Errorf("write = %d, %v; want ENOMEM", n, err)
	}
	w.Close()
	if got := readAll(t, rd); len(got) != pageSize-10 {
		t.Errorf("%d bytes are left", len(got))
	}
	rd.Release()
	frames.expect(t, 0)
}

// TestKernelMemoryIsBounded: a program can't make a small machine keep more than it has.
func TestKernelMemoryIsBounded(t *testing.T) {
	fs := newTestFS(t, Options{Memory: func() (total, free uint64) { return 24 << 20, 20 << 20 }})
	paths, table := fs.NewPaths(), fs.NewTable()
	if n := table.MaxLimit(); n != 24<<20/objectShare {
		t.Errorf("descriptors: %d", n)
	}
	if n := fs.pages.limit; n != 12<<20/pageSize {
		t.Errorf("pages: %d", n)
	}
	until := func(what string, want error, do func(i int) error) {
		t.Helper()
		for i := range 10000 {
			if err := do(i); err != nil {
				if err != want {
					t.Errorf("%s, number %d: %v, want %v", what, i, err, want)
				}
				return
			}
		}
		t.Errorf("%s: no end", what)
	}
	e, event := fs.NewEpoll(), NewOpenFile(NewEventFD(0, false), unix.O_RDWR)
	until("epoll entries", unix.ENOSPC, func(i int) error { return e.Add(event, i, EpollEvent{}) })
	event.Release()
	if n := fs.memory.watches.used.Load(); n != 0 {
		t.Errorf("%d epoll entries are counted", n)
	}
	var open []*OpenFile
	paths.SetProcess(&ProcessInfo{PID: 1, Env: []string{strings.Repeat("x", 10000)}})
	until("texts", unix.ENOMEM, func(int) error {
		o, err := paths.Open(nil, "/proc/self/environ", unix.O_RDONLY, 0)
		open = append(open, o)
		return err
	})
	for _, o := range open[:len(open)-1] {
		o.Release()
	}
	if n := fs.memory.text.used.Load(); n != 0 {
		t.Errorf("%d bytes of texts are counted", n)
	}
	before := fs.names.used.Load()
	name := func(i int) string { return "/tmp/" + string(rune('A'+i/100)) + string(rune('A'+i%100)) }
	made := 0
	until("long links", unix.ENOSPC, func(i int) error {
		err := paths.Symlink(strings.Repeat("x", 4000), nil, name(i))
		if err == nil {
			made++
		}
		return err
	})
	if want := int(fs.names.limit-before) / 8; made != want {
		t.Errorf("%d long links, want %d", made, want)
	}
	for i := range made {
		paths.Unlink(nil, name(i))
	}
	if n := fs.names.used.Load(); n != before {
		t.Errorf("%d names are counted, want %d", n, before)
	}
	paths.MakeFile(nil, "/f", 0o600)
	n, _ := paths.Lookup(nil, "/f", true)
	until("names of a file", unix.ENOSPC, func(i int) error { return paths.Link(n, nil, name(i)) })
}

func TestProcPathsOfOpenFiles(t *testing.T) {
	paths, table := newProcessPaths(t)
	for _, path := range []string{"/dev/null", "/proc/version", "/proc/self/maps", "/etc/hosts", "/dev/shm", "/dev"} {
		o := mustOpen(t, paths, path, unix.O_RDONLY)
		fd, _ := table.Install(o, 3, false)
		want := strings.Replace(path, "self", "17", 1)
		link := "/proc/self/fd/" + string(rune('0'+fd))
		if got, err := paths.Readlink(nil, link); got != want || err != nil {
			t.Errorf("%s -> %q, %v; want %q", link, got, err, want)
		}
		// Opened again by its link it is still the same file.
		again := mustOpen(t, paths, link, unix.O_RDONLY)
		if got := again.File().(PathHolder).Path(); got != want {
			t.Errorf("%s opened: %q; want %q", link, got, want)
		}
		again.Release()
		if n, err := paths.Lookup(nil, link, false); err != nil || n.Stat().Mode != unix.S_IFLNK|0o500 {
			t.Errorf("%s: mode %o, %v", link, n.Stat().Mode, err)
		}
		table.Close(fd)
	}
}
