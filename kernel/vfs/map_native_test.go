package vfs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"wick/bundle"
	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

// The same random operations on a file and on mappings of it are done to a file of ours with a mm.Space, and to a memfd of
// Linux's mapped into this very process. All results and all bytes must be the same.

const (
	mapWindow    = 0x300000000 // where the mappings are
	mapPages     = 20          // of the window
	mapFilePages = 8           // the file is no longer than that
)

// mapSubject is a file and memory that the operations are done to. Lengths and offsets are bytes.
type mapSubject interface {
	mmap(addr, length uint64, prot, flags int, off int64) error
	munmap(addr, length uint64) error
	mprotect(addr, length uint64, prot int) error
	madvise(addr, length uint64, advice int) error
	mremap(addr, oldLength, newLength, to uint64) error
	pwrite(p []byte, off int64) (int, error)
	pread(p []byte, off int64) (int, error)
	pwriteFrom(addr uint64, n int, off int64) (int, error)
	preadTo(addr uint64, n int, off int64) (int, error)
	truncate(size int64) error
	allocate(mode uint32, off, n int64) error
	store(addr uint64, b byte) error
	load(addr uint64) (byte, error)
	size() int64
}

// oursMapped is a file of ours, opened twice, and a Space.
type oursMapped struct {
	m    *mmtest.Machine
	s    *mm.Space
	o    *OpenFile
	step int
	n    int // see transfer
}

// transfer returns how many bytes, n or none, can be copied between addr and off with the same result wherever they are cut
// into pieces: not where the memory is the very part of the file, and not where the copy makes it longer. Nor is anything
// stored in the last page after the end of the file: Linux's tmpfs forgets to clear that when the file becomes longer.
func (x *oursMapped) transfer(addr uint64, n int, off int64, store bool) {
	x.n = n
	for _, a := range x.s.Maps() {
		lo, hi := max(addr, a.Start), min(addr+uint64(n), a.End)
		if lo >= hi {
			continue
		}
		from := a.Offset + int64(lo-a.Start)
		to := from + int64(hi-lo)
		if from < off+int64(n) && off < to || to > x.size() && (off+int64(n) > x.size() || store && from < (x.size()+pageSize-1)&^(pageSize-1)) {
			x.n = 0
		}
	}
}

func (x *oursMapped) fill() {
	if x.step++; x.step%3 == 0 {
		x.m.FillTLB()
	}
}

func (x *oursMapped) mmap(addr, length uint64, prot, flags int, off int64) error {
	x.fill()
	backing, err := x.o.File().(*RegularFile).Mapping()
	if err != nil {
		return err
	}
	_, err = x.s.Mmap(mm.Mapping{Addr: addr, Length: length, Prot: prot, Flags: flags | unix.MAP_FIXED,
		Backing: backing, Offset: uint64(off), Name: "f", MayWrite: true})
	return err
}

func (x *oursMapped) munmap(addr, length uint64) error {
	x.fill()
	return x.s.Munmap(addr, length)
}

func (x *oursMapped) mprotect(addr, length uint64, prot int) error {
	x.fill()
	return x.s.Mprotect(addr, length, prot)
}

func (x *oursMapped) madvise(addr, length uint64, advice int) error {
	x.fill()
	return x.s.Madvise(addr, length, advice)
}

func (x *oursMapped) mremap(addr, oldLength, newLength, to uint64) error {
	x.fill()
	_, err := x.s.Mremap(addr, oldLength, newLength, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, to)
	return err
}

func (x *oursMapped) pwrite(p []byte, off int64) (int, error) {
	x.fill()
	b := Bytes(p)
	n, err := x.o.WriteAt(&b, off)
	return int(n), err
}

func (x *oursMapped) pread(p []byte, off int64) (int, error) {
	b := Bytes(p)
	n, err := x.o.ReadAt(&b, off)
	return int(n), err
}

func (x *oursMapped) pwriteFrom(addr uint64, n int, off int64) (int, error) {
	x.fill()
	got, err := x.o.WriteAt(mm.NewBuffer(x.s, addr, n), off)
	return int(got), err
}

func (x *oursMapped) preadTo(addr uint64, n int, off int64) (int, error) {
	x.fill()
	got, err := x.o.ReadAt(mm.NewBuffer(x.s, addr, n), off)
	return int(got), err
}

func (x *oursMapped) truncate(size int64) error {
	x.fill()
	return x.o.Truncate(size)
}

func (x *oursMapped) allocate(mode uint32, off, n int64) error {
	x.fill()
	return x.o.File().(*RegularFile).Allocate(mode, off, n)
}

func (x *oursMapped) size() int64 {
	n, _ := x.o.File().(Sizer).Size()
	return n
}

// store and load go through the CPU and its TLB, or through the copies of the kernel, in turns.
func (x *oursMapped) store(addr uint64, b byte) error {
	if b&1 == 0 {
		return x.s.CopyOut(addr, []byte{b})
	}
	p, outcome := x.m.Touch(x.s, addr, true, false)
	if outcome != mm.Handled {
		return unix.EFAULT
	}
	p[addr%pageSize] = b
	return nil
}

func (x *oursMapped) load(addr uint64) (byte, error) {
	var b [1]byte
	err := x.s.CopyIn(b[:], addr)
	p, outcome := x.m.Touch(x.s, addr, false, false)
	if (err == nil) != (outcome == mm.Handled) {
		return 0, fmt.Errorf("copy: %v, fault: %v", err, outcome)
	}
	if err == nil && p[addr%pageSize] != b[0] {
		return 0, fmt.Errorf("CPU reads %d, kernel %d", p[addr%pageSize], b[0])
	}
	return b[0], err
}

// nativeMapped is a memfd in this process.
type nativeMapped struct {
	t    testing.TB
	fd   int
	pipe [2]int
}

func newNativeMapped(t testing.TB) *nativeMapped {
	x := &nativeMapped{t: t}
	_, _, errno := unix.Syscall6(unix.SYS_MMAP, mapWindow, mapPages*pageSize, 0,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, ^uintptr(0), 0)
	if errno != 0 {
		t.Skipf("the window can't be mapped here: %v", errno)
	}
	t.Cleanup(x.reset)
	if err := unix.Pipe2(x.pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(x.pipe[0])
		unix.Close(x.pipe[1])
	})
	return x
}

// reset empties the window.
func (x *nativeMapped) reset() { x.munmap(mapWindow, mapPages*pageSize) }

// open makes a new file the present one.
func (x *nativeMapped) open(data []byte) {
	x.reset()
	fd, err := unix.MemfdCreate("wick-map-test", unix.MFD_CLOEXEC)
	if err != nil {
		x.t.Skipf("memfd_create: %v", err)
	}
	x.fd = fd
	if _, err := unix.Pwrite(fd, data, 0); err != nil {
		x.t.Fatal(err)
	}
}

func (x *nativeMapped) call(number uintptr, args ...uintptr) (int, error) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

func (x *nativeMapped) mmap(addr, length uint64, prot, flags int, off int64) error {
	_, err := x.call(unix.SYS_MMAP, uintptr(addr), uintptr(length), uintptr(prot), uintptr(flags|unix.MAP_FIXED), uintptr(x.fd), uintptr(off))
	return err
}

func (x *nativeMapped) munmap(addr, length uint64) error {
	_, err := x.call(unix.SYS_MUNMAP, uintptr(addr), uintptr(length))
	return err
}

func (x *nativeMapped) mprotect(addr, length uint64, prot int) error {
	_, err := x.call(unix.SYS_MPROTECT, uintptr(addr), uintptr(length), uintptr(prot))
	return err
}

func (x *nativeMapped) madvise(addr, length uint64, advice int) error {
	_, err := x.call(unix.SYS_MADVISE, uintptr(addr), uintptr(length), uintptr(advice))
	return err
}

func (x *nativeMapped) mremap(addr, oldLength, newLength, to uint64) error {
	_, err := x.call(unix.SYS_MREMAP, uintptr(addr), uintptr(oldLength), uintptr(newLength),
		unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, uintptr(to))
	return err
}

func (x *nativeMapped) pwrite(p []byte, off int64) (int, error) { return unix.Pwrite(x.fd, p, off) }
func (x *nativeMapped) pread(p []byte, off int64) (int, error)  { return unix.Pread(x.fd, p, off) }
func (x *nativeMapped) pwriteFrom(addr uint64, n int, off int64) (int, error) {
	return x.call(unix.SYS_PWRITE64, uintptr(x.fd), uintptr(addr), uintptr(n), uintptr(off))
}
func (x *nativeMapped) preadTo(addr uint64, n int, off int64) (int, error) {
	return x.call(unix.SYS_PREAD64, uintptr(x.fd), uintptr(addr), uintptr(n), uintptr(off))
}
func (x *nativeMapped) truncate(size int64) error { return unix.Ftruncate(x.fd, size) }
func (x *nativeMapped) allocate(mode uint32, off, n int64) error {
	return unix.Fallocate(x.fd, mode, off, n)
}

func (x *nativeMapped) size() int64 {
	var st unix.Stat_t
	if err := unix.Fstat(x.fd, &st); err != nil {
		x.t.Fatal(err)
	}
	return st.Size
}

// store and load let the kernel copy, so that a forbidden access is an error and not a signal.
func (x *nativeMapped) store(addr uint64, b byte) error {
	if _, err := unix.Write(x.pipe[1], []byte{b}); err != nil {
		x.t.Fatal(err)
	}
	_, err := x.call(unix.SYS_READ, uintptr(x.pipe[0]), uintptr(addr), 1)
	if err != nil {
		if _, err := unix.Read(x.pipe[0], make([]byte, 1)); err != nil {
			x.t.Fatal(err)
		}
	}
	return err
}

func (x *nativeMapped) load(addr uint64) (byte, error) {
	if _, err := x.call(unix.SYS_WRITE, uintptr(x.pipe[1]), uintptr(addr), 1); err != nil {
		return 0, err
	}
	var b [1]byte
	if _, err := unix.Read(x.pipe[0], b[:]); err != nil {
		x.t.Fatal(err)
	}
	return b[0], nil
}

// mapStep does a random operation to x, to ours first, and tells its outcome; the same rnd means the same operation.
func mapStep(rnd *rand.Rand, x mapSubject, ours *oursMapped) string {
	page := rnd.Uint64N(mapPages)
	addr := mapWindow + page*pageSize
	length := (1 + rnd.Uint64N(min(5, mapPages-page))) * pageSize
	off, n := rnd.Int64N(mapFilePages*pageSize), 1+rnd.IntN(2*pageSize)
	if rnd.IntN(3) == 0 {
		off &^= pageSize - 1
	}
	n = min(n, int(mapFilePages*pageSize-off))
	in := rnd.Uint64N(pageSize)
	prots := [...]int{unix.PROT_READ, unix.PROT_READ | unix.PROT_WRITE, unix.PROT_READ | unix.PROT_WRITE, unix.PROT_NONE}
	prot := prots[rnd.IntN(len(prots))]
	switch op := rnd.IntN(22); op {
	case 0, 1, 2, 3:
		flags := [...]int{unix.MAP_SHARED, unix.MAP_SHARED, unix.MAP_SHARED_VALIDATE, unix.MAP_PRIVATE, unix.MAP_PRIVATE}[rnd.IntN(5)]
		if rnd.IntN(4) == 0 {
			flags |= unix.MAP_POPULATE
		}
		off := rnd.Int64N(mapFilePages) * pageSize
		return fmt.Sprintf("mmap(%#x, %#x, %d, %#x, %#x) = %v", addr, length, prot, flags, off, x.mmap(addr, length, prot, flags, off))
	case 4:
		return fmt.Sprintf("munmap(%#x, %#x) = %v", addr, length, x.munmap(addr, length))
	case 5:
		return fmt.Sprintf("mprotect(%#x, %#x, %d) = %v", addr, length, prot, x.mprotect(addr, length, prot))
	case 6:
		advice := [...]int{unix.MADV_DONTNEED, unix.MADV_REMOVE, unix.MADV_POPULATE_READ, unix.MADV_POPULATE_WRITE}[rnd.IntN(4)]
		return fmt.Sprintf("madvise(%#x, %#x, %d) = %v", addr, length, advice, x.madvise(addr, length, advice))
	case 7:
		to := mapWindow + rnd.Uint64N(mapPages-length/pageSize+1)*pageSize
		return fmt.Sprintf("mremap(%#x, %#x, %#x) = %v", addr, uint64(pageSize), to, x.mremap(addr, pageSize, pageSize, to))
	case 8, 9:
		p := bytes.Repeat([]byte{byte(rnd.Uint32())}, n)
		got, err := x.pwrite(p, off)
		return fmt.Sprintf("pwrite(%d, %#x) = %d, %v", n, off, got, err)
	case 10:
		p := make([]byte, n)
		got, err := x.pread(p, off)
		return fmt.Sprintf("pread(%d, %#x) = %d, %v: %x", n, off, got, err, p)
	case 11, 12:
		if _, err := x.load(addr + in); err != nil {
			off %= x.size() + 1 // Linux's tmpfs makes a file longer before it finds that there is nothing to write
		}
		if x == mapSubject(ours) {
			ours.transfer(addr+in, n, off, false)
		}
		got, err := x.pwriteFrom(addr+in, ours.n, off)
		return fmt.Sprintf("pwrite from memory(%#x, %d, %#x) = %d, %v", addr+in, n, off, got, err)
	case 13:
		if x == mapSubject(ours) {
			ours.transfer(addr+in, n, off, true)
		}
		got, err := x.preadTo(addr+in, ours.n, off)
		return fmt.Sprintf("pread to memory(%#x, %d, %#x) = %d, %v", addr+in, n, off, got, err)
	case 14, 15:
		return fmt.Sprintf("ftruncate(%#x) = %v", off, x.truncate(off))
	case 16:
		mode := uint32(unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE)
		if rnd.IntN(3) == 0 {
			mode = 0
		}
		return fmt.Sprintf("fallocate(%d, %#x, %d) = %v", mode, off, n, x.allocate(mode, off, int64(n)))
	case 17, 18, 19:
		if x == mapSubject(ours) {
			ours.transfer(addr+in, 1, -1, true)
		}
		if ours.n == 0 {
			return ""
		}
		b := byte(rnd.Uint32())
		return fmt.Sprintf("store(%#x, %d) = %v", addr+in, b, x.store(addr+in, b))
	}
	b, err := x.load(addr + in)
	return fmt.Sprintf("load(%#x) = %d, %v", addr+in, b, err)
}

// mapState tells the file and some bytes of each page of the window.
func mapState(x mapSubject) string {
	var s strings.Builder
	p := make([]byte, mapFilePages*pageSize)
	n, err := x.pread(p, 0)
	fmt.Fprintf(&s, "file of %d bytes: %d, %v\n", x.size(), n, err)
	for i := 0; i < n; i += pageSize / 8 {
		fmt.Fprintf(&s, " %02x", p[i])
	}
	for va := uint64(mapWindow); va < mapWindow+mapPages*pageSize; va += pageSize {
		fmt.Fprintf(&s, "\n%#x:", va)
		for in := uint64(0); in < pageSize; in += pageSize / 8 {
			b, err := x.load(va + in)
			fmt.Fprintf(&s, " %02x %v", b, err)
		}
	}
	return s.String()
}

// newOursMapped makes a file of ours with the contents, in place in an initial RAM disk or as pages of the file system. check
// looks for what is wrong at the end of a test.
func newOursMapped(t *testing.T, data []byte, inPlace bool) (x *oursMapped, check func()) {
	m := mmtest.New(t, 256)
	check = func() {}
	var files []bundle.File
	var base mm.PhysAddr
	if inPlace && len(data) > 0 {
		disk := m.NewFile(data, true)
		base, _ = disk.Frame(0)
		files = []bundle.File{{Path: "/f", Mode: bundle.ModeRegular | 0o644, Data: bytes.Clone(data)}}
		check = func() {
			for off := 0; off < len(data); off += pageSize {
				pa, _ := disk.Frame(int64(off))
				want := make([]byte, pageSize)
				copy(want, data[off:])
				if !bytes.Equal(m.Page(pa)[:], want) {
					t.Errorf("the initial bytes of page %d have been changed", off/pageSize)
				}
			}
		}
	}
	fs, err := NewFS(files, base, Options{Frames: m})
	if err != nil {
		t.Fatal(err)
	}
	paths := fs.NewPaths()
	o := mustOpen(t, paths, "/f", unix.O_RDWR|unix.O_CREAT)
	if len(files) == 0 {
		b := Bytes(bytes.Clone(data))
		o.WriteAt(&b, 0)
	}
	if err := paths.Unlink(nil, "/f"); err != nil {
		t.Fatal(err)
	}
	return &oursMapped{m: m, s: m.NewSpace(mm.Limits{}), o: o}, check
}

func TestMappedFileAgainstLinux(t *testing.T) {
	linux := newNativeMapped(t)
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, rnd.IntN(mapFilePages*pageSize))
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			ours, check := newOursMapped(t, data, seed%2 == 0)
			linux.open(data)
			defer unix.Close(linux.fd)
			compareMapped(t, seed, ours, linux)
			if seed%3 == 0 { // the mappings live longer than the file, or the other way round
				ours.s.Release()
			}
			ours.o.Release()
			check()
		})
		if t.Failed() {
			break
		}
	}
}

func compareMapped(t *testing.T, seed uint64, ours *oursMapped, linux *nativeMapped) {
	var log []string
	for step := range uint64(200) {
		a := mapStep(rand.New(rand.NewPCG(seed, step)), ours, ours)
		b := mapStep(rand.New(rand.NewPCG(seed, step)), linux, ours)
		log = append(log, a[:min(len(a), 120)])
		if a == b && step%4 == 3 {
			a, b = mapState(ours), mapState(linux)
		}
		if a != b {
			t.Fatalf("step %d:\n%s\n%s", step, strings.Join(log[max(0, len(log)-40):], "\n"), differences(a, b))
		}
	}
}

// differences shows the lines of a and b that differ.
func differences(ours, linux string) (text string) {
	a, b := strings.Split(ours, "\n"), strings.Split(linux, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			text += "ours:  " + a[i] + "\nLinux: " + b[i] + "\n"
		}
	}
	return text
}
