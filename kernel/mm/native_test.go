package mm_test

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
)

// randomSteps returns the bytes of n random steps.
func randomSteps(seed int64, n int) []byte {
	b := make([]byte, n*len(step{}))
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

// native is the window in this very process: Linux tells how it should be.
type native struct {
	t    testing.TB
	fd   int    // the file, open for reading
	pipe [2]int // for copies
}

func newNative(t testing.TB) *native {
	const guard = guardPages * mm.PageSize
	x := &native{t: t}
	if _, err := x.call(unix.SYS_MMAP, windowBase-guard, windowEnd-windowBase+2*guard, 0,
		anon|unix.MAP_FIXED_NOREPLACE, ^uintptr(0), 0); err != nil {
		t.Skipf("the window can't be mapped here: %v", err)
	}
	x.munmap(windowBase, windowEnd-windowBase)
	t.Cleanup(func() { x.munmap(windowBase-guard, windowEnd-windowBase+2*guard) })
	if err := unix.Pipe2(x.pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(x.pipe[0])
		unix.Close(x.pipe[1])
	})
	fd, err := unix.MemfdCreate("wick-mm-test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Skipf("memfd_create: %v", err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, fileData()); err != nil {
		t.Fatal(err)
	}
	if x.fd, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(x.fd) })
	return x
}

// reset empties the window.
func (x *native) reset() { x.munmap(windowBase, windowEnd-windowBase) }

func (x *native) call(number uintptr, args ...uintptr) (uint64, error) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return 0, errno
	}
	return uint64(r), nil
}

func (x *native) mmap(addr, length uint64, prot, flags int, file bool, off uint64) (uint64, error) {
	fd := -1
	if file {
		fd = x.fd
	}
	return x.call(unix.SYS_MMAP, uintptr(addr), uintptr(length), uintptr(prot), uintptr(flags), uintptr(fd), uintptr(off))
}

func (x *native) munmap(addr, length uint64) error {
	_, err := x.call(unix.SYS_MUNMAP, uintptr(addr), uintptr(length))
	return err
}

func (x *native) mprotect(addr, length uint64, prot int) error {
	_, err := x.call(unix.SYS_MPROTECT, uintptr(addr), uintptr(length), uintptr(prot))
	return err
}

func (x *native) madvise(addr, length uint64, advice int) error {
	_, err := x.call(unix.SYS_MADVISE, uintptr(addr), uintptr(length), uintptr(advice))
	return err
}

func (x *native) mremap(addr, oldLength, newLength uint64, flags int, newAddr uint64) (uint64, error) {
	return x.call(unix.SYS_MREMAP, uintptr(addr), uintptr(oldLength), uintptr(newLength), uintptr(flags), uintptr(newAddr))
}

func (x *native) msync(addr, length uint64, flags int) error {
	_, err := x.call(unix.SYS_MSYNC, uintptr(addr), uintptr(length), uintptr(flags))
	return err
}

// write and read let the kernel copy, so that a forbidden access is an error and not a signal.
func (x *native) write(addr uint64, b byte) error {
	if _, err := unix.Write(x.pipe[1], []byte{b}); err != nil {
		x.t.Fatal(err)
	}
	_, err := x.call(unix.SYS_READ, uintptr(x.pipe[0]), uintptr(addr), 1)
	if err != nil { // the byte is still there
		if _, err := unix.Read(x.pipe[0], make([]byte, 1)); err != nil {
			x.t.Fatal(err)
		}
	}
	return err
}

func (x *native) read(addr uint64) (byte, error) {
	if _, err := x.call(unix.SYS_WRITE, uintptr(x.pipe[1]), uintptr(addr), 1); err != nil {
		return 0, err
	}
	var b [1]byte
	if _, err := unix.Read(x.pipe[0], b[:]); err != nil {
		x.t.Fatal(err)
	}
	return b[0], nil
}

// maps calls do for each line of /proc/self/maps that concerns the window.
func (x *native) maps(do func(start, end uint64, p pageState)) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		x.t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var start, end, off, inode uint64
		var perm, dev string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s %x %s %d", &start, &end, &perm, &off, &dev, &inode); err != nil {
			x.t.Fatalf("%s: %v", lines.Text(), err)
		}
		if end <= windowBase || start >= windowEnd {
			continue
		}
		p := pageState{mapped: true, shared: perm[3] == 's'}
		for i, bit := range [...]int{unix.PROT_READ, unix.PROT_WRITE, unix.PROT_EXEC} {
			if perm[i] != '-' {
				p.prot |= bit
			}
		}
		// Shared anonymous memory looks like a file too, /dev/zero.
		if p.file = inode != 0 && !strings.Contains(lines.Text(), "/dev/zero"); p.file {
			p.off = off
		}
		do(start, end, p)
	}
}

func (x *native) pages() (pages [windowPages]pageState) {
	x.maps(func(start, end uint64, p pageState) {
		for va := start; va < end; va += mm.PageSize {
			if va >= windowBase && va < windowEnd {
				pages[(va-windowBase)/mm.PageSize] = p
			}
			if p.file {
				p.off += mm.PageSize
			}
		}
	})
	return pages
}

func (x *native) single(addr, length uint64) bool {
	one := true
	x.maps(func(start, end uint64, p pageState) {
		if start <= addr && addr < end {
			one = length <= end-addr
		}
	})
	return one
}

func TestSpaceAgainstLinux(t *testing.T) {
	linux := newNative(t)
	for seed := range int64(60) {
		linux.reset()
		compare(t, randomSteps(1000+seed, 150), newSpaceSubject(t, seed%2 == 0), linux)
	}
}

func TestModelAgainstLinux(t *testing.T) {
	linux := newNative(t)
	for seed := range int64(40) {
		linux.reset()
		compare(t, randomSteps(2000+seed, 150), linux, new(model))
	}
}
