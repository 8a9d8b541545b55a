package vfs

import (
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

const protRW = unix.PROT_READ | unix.PROT_WRITE

func expectLoad(t *testing.T, x *oursMapped, addr uint64, want byte) {
	t.Helper()
	if b, err := x.load(addr); b != want || err != nil {
		t.Errorf("%#x holds %q, %v; want %q", addr, b, err, want)
	}
}

// TestInitialBytesAreMappedInPlace: what is only read, as a program is, costs no memory; a private copy costs its page; a
// write ends the sharing for all.
func TestInitialBytesAreMappedInPlace(t *testing.T) {
	x, check := newOursMapped(t, letters(4*pageSize), true)
	const other = mapWindow + 8*pageSize
	x.mmap(mapWindow, 4*pageSize, protRW, unix.MAP_PRIVATE, 0)
	backing, _ := x.o.File().(*RegularFile).Mapping()
	if _, err := x.s.Mmap(mm.Mapping{Addr: other, Length: 4 * pageSize, Prot: unix.PROT_READ,
		Flags: unix.MAP_SHARED | unix.MAP_FIXED, Backing: backing}); err != nil {
		t.Fatal(err)
	}
	expectLoad(t, x, mapWindow, 'a')
	before := x.m.InUse()
	for i := range uint64(4) {
		expectLoad(t, x, mapWindow+i*pageSize, 'a'+byte(i))
		expectLoad(t, x, other+i*pageSize, 'a'+byte(i))
	}
	if n := x.m.InUse() - before; n != 0 {
		t.Errorf("reading took %d frames", n)
	}
	x.store(mapWindow, 'P')
	if n := x.m.InUse() - before; n != 1 {
		t.Errorf("a private copy took %d frames", n)
	}
	expectLoad(t, x, other, 'a')
	if err := x.s.Mprotect(other, pageSize, protRW); err != unix.EACCES {
		t.Errorf("mprotect of a file that isn't open for writing: %v", err)
	}
	x.m.FillTLB()
	x.pwrite([]byte("WW"), pageSize-1)
	expectLoad(t, x, other+pageSize-1, 'W')
	expectLoad(t, x, other+pageSize, 'W')
	expectLoad(t, x, mapWindow+pageSize, 'W')
	expectLoad(t, x, mapWindow+pageSize-1, 'a') // has been copied
	expectLoad(t, x, mapWindow, 'P')
	x.o.Release()
	check()
}

// TestBeyondTheEnd faults beyond the end of a file, before and after it was made shorter.
func TestBeyondTheEnd(t *testing.T) {
	x, _ := newOursMapped(t, letters(2*pageSize+100), false)
	x.mmap(mapWindow, 4*pageSize, protRW, unix.MAP_SHARED, 0)
	x.mmap(mapWindow+4*pageSize, 4*pageSize, protRW, unix.MAP_PRIVATE, 0)
	for i, want := range []mm.Outcome{mm.Handled, mm.Handled, mm.Handled, mm.BusError} {
		for _, write := range []bool{false, true} {
			for _, base := range []uint64{mapWindow, mapWindow + 4*pageSize} {
				if _, o := x.m.Touch(x.s, base+uint64(i)*pageSize, write, false); o != want {
					t.Errorf("page %d, write %v: %v, want %v", i, write, o, want)
				}
			}
		}
	}
	if sig, code := mm.BusError.Signal(); sig != unix.SIGBUS || code != 2 {
		t.Errorf("signal %v, code %d", sig, code)
	}
	x.m.FillTLB()
	x.truncate(pageSize + 1)
	for _, base := range []uint64{mapWindow, mapWindow + 4*pageSize} {
		if _, o := x.m.Touch(x.s, base+2*pageSize, false, false); o != mm.BusError { // the private copy, too
			t.Errorf("after the file became shorter: %v", o)
		}
	}
	expectLoad(t, x, mapWindow+pageSize, 'b')
	expectLoad(t, x, mapWindow+pageSize+1, 0)
	x.store(mapWindow+pageSize+9, 'x') // beyond the end: not in the file
	x.truncate(3 * pageSize)
	expectLoad(t, x, mapWindow+pageSize+9, 0)
	expectLoad(t, x, mapWindow+2*pageSize, 0)
	x.o.Release()
}

// TestMappedFileWithoutMemory: no room in the file system is a bus error, no memory for programs ends the program.
func TestMappedFileWithoutMemory(t *testing.T) {
	m := mmtest.New(t, 64)
	fs := newTestFS(t, Options{Frames: m, MaxBytes: 2 * pageSize})
	x := &oursMapped{m: m, s: m.NewSpace(mm.Limits{}), o: NewOpenFile(fs.NewPaths().NewMemfd("x", true), unix.O_RDWR)}
	x.truncate(mapFilePages * pageSize)
	x.mmap(mapWindow, mapFilePages*pageSize, protRW, unix.MAP_SHARED, 0)
	x.store(mapWindow, 1)
	m.FailAfter(0)
	if o := x.s.Fault(mapWindow+pageSize, true, false); o != mm.OutOfMemory {
		t.Errorf("without a frame: %v", o)
	}
	m.FailAfter(-1)
	x.store(mapWindow+pageSize, 2)
	for _, write := range []bool{true, false} {
		if o := x.s.Fault(mapWindow+2*pageSize, write, false); o != mm.BusError {
			t.Errorf("beyond the limit: %v", o)
		}
	}
	x.o.Release()
	x.munmap(mapWindow, mapFilePages*pageSize)
	if n := fs.pages.used.Load(); n != 0 {
		t.Errorf("%d pages are counted", n)
	}
}

// TestSealsAndMappings tries what F_SEAL_WRITE and mappings forbid each other.
func TestSealsAndMappings(t *testing.T) {
	m := mmtest.New(t, 64)
	fs := newTestFS(t, Options{Frames: m})
	x := &oursMapped{m: m, s: m.NewSpace(mm.Limits{}), o: NewOpenFile(fs.NewPaths().NewMemfd("x", true), unix.O_RDWR)}
	r := x.o.File().(*RegularFile)
	x.pwrite([]byte("hello"), 0)
	x.mmap(mapWindow, pageSize, unix.PROT_READ, unix.MAP_SHARED, 0)
	if err := r.AddSeals(unix.F_SEAL_WRITE); err != unix.EBUSY {
		t.Errorf("sealing what may be written: %v", err)
	}
	x.munmap(mapWindow, pageSize)
	if err := r.AddSeals(unix.F_SEAL_WRITE); err != nil {
		t.Error(err)
	}
	if err := x.mmap(mapWindow, pageSize, protRW, unix.MAP_SHARED, 0); err != unix.EPERM {
		t.Errorf("mapping a sealed file writable: %v", err)
	}
	if err := x.mmap(mapWindow, pageSize, unix.PROT_READ, unix.MAP_SHARED, 0); err != nil {
		t.Error(err)
	}
	if err := x.mprotect(mapWindow, pageSize, protRW); err != unix.EACCES {
		t.Errorf("mprotect: %v", err)
	}
	if err := x.madvise(mapWindow, pageSize, unix.MADV_REMOVE); err != unix.EACCES {
		t.Errorf("MADV_REMOVE: %v", err)
	}
	expectLoad(t, x, mapWindow+1, 'e')
	x.o.Release()
}

// TestOrdersOfTheEnd ends a file's name, description, mapping and space in all orders: in none a frame is left, or freed too early.
func TestOrdersOfTheEnd(t *testing.T) {
	var orders func(left, done []int)
	orders = func(left, done []int) {
		if len(left) == 0 {
			endInOrder(t, done)
		}
		for i, l := range left {
			rest := append(append([]int{}, left[:i]...), left[i+1:]...)
			orders(rest, append(done[:len(done):len(done)], l))
		}
	}
	orders([]int{0, 1, 2, 3, 4}, nil)
}

func endInOrder(t *testing.T, order []int) {
	m := mmtest.New(t, 64)
	fs := newTestFS(t, Options{Frames: m})
	paths := fs.NewPaths()
	o := mustOpen(t, paths, "/tmp/f", unix.O_RDWR|unix.O_CREAT)
	x := &oursMapped{m: m, s: m.NewSpace(mm.Limits{}), o: o}
	y := &oursMapped{m: m, s: m.NewSpace(mm.Limits{}), o: o}
	x.pwrite(letters(3*pageSize), 0)
	x.mmap(mapWindow, 3*pageSize, protRW, unix.MAP_SHARED, 0)
	y.mmap(mapWindow, 3*pageSize, protRW, unix.MAP_PRIVATE, 0)
	for i := range uint64(3) {
		expectLoad(t, x, mapWindow+i*pageSize, 'a'+byte(i))
		expectLoad(t, y, mapWindow+i*pageSize, 'a'+byte(i))
	}
	y.store(mapWindow, 'P')
	named := true
	for _, end := range order {
		m.FillTLB()
		switch end {
		case 0:
			named = paths.Unlink(nil, "/tmp/f") != nil
		case 1:
			o.Release()
		case 2:
			x.munmap(mapWindow, 3*pageSize)
		case 3:
			y.s.Release()
		case 4:
			if n, err := paths.Lookup(nil, "/tmp/f", true); err == nil {
				n.(*Regular).Truncate(pageSize)
			}
		}
	}
	x.s.Release()
	if n := m.InUse(); n != 0 || named || fs.pages.used.Load() != 0 {
		t.Errorf("order %v: %d frames, %d pages are left", order, n, fs.pages.used.Load())
	}
}
