package vfs

import (
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// mapThread does random map changes and faults in its part of the window of a space, and changes the size of the file
// by whole pages. It stores nothing: the only writes are those of who owns a frame, so that the race detector finds
// every use of a frame that isn't the file's any more.
func mapThread(t *testing.T, rnd *rand.Rand, x *oursMapped, base uint64, steps int) {
	const pages = 8
	rw := unix.PROT_READ | unix.PROT_WRITE
	for range steps {
		page := rnd.Uint64N(pages)
		addr := base + page*pageSize
		length := (1 + rnd.Uint64N(pages-page)) * pageSize
		off := rnd.Int64N(mapFilePages) * pageSize
		var err error
		switch rnd.IntN(12) {
		case 0, 1:
			flags := [...]int{unix.MAP_SHARED, unix.MAP_PRIVATE}[rnd.IntN(2)]
			err = x.mmap(addr, length, rw, flags, off)
		case 2:
			err = x.s.Munmap(addr, length)
		case 3:
			err = x.o.Truncate(off)
		case 4:
			err = x.o.Truncate(mapFilePages * pageSize)
		case 5:
			err = x.o.File().(*RegularFile).Allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, 2*pageSize)
		case 6:
			x.s.Mremap(addr, pageSize, pageSize, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, base+rnd.Uint64N(pages)*pageSize)
		case 7:
			x.s.Madvise(addr, length, [...]int{unix.MADV_DONTNEED, unix.MADV_REMOVE, unix.MADV_POPULATE_WRITE}[rnd.IntN(3)])
		case 8:
			x.m.FillTLB()
		case 9:
			x.m.Touch(x.s, addr, true, false)
		case 10:
			b := make([]byte, 3*pageSize)
			if n, err := x.pread(b, off); err != nil || !fromFile(b[:n]) {
				t.Errorf("pread: %v, or wrong bytes", err)
			}
		case 11:
			b := make([]byte, 2*pageSize)
			if x.s.CopyIn(b, addr) == nil && !fromFile(b) {
				t.Error("a mapping has bytes that were never in the file")
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// fromFile tells whether b can be what mapThread finds in a file that began with letters.
func fromFile(b []byte) bool {
	for _, c := range b {
		if c != 0 && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// letters are bytes to begin a file with.
func letters(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + i/pageSize)
	}
	return b
}

// TestMappedFileRaces has threads of two spaces map a file, fault and read while others make it shorter and longer. The machine
// checks that no frame is freed that a table or a TLB knows.
func TestMappedFileRaces(t *testing.T) {
	for round := range 6 {
		x, check := newOursMapped(t, letters(mapFilePages*pageSize), round%2 == 0)
		y := *x
		y.s = x.m.NewSpace(mm.Limits{})
		var threads sync.WaitGroup
		for i := range uint64(4) {
			z := *[...]*oursMapped{x, &y}[i%2]
			threads.Go(func() {
				mapThread(t, rand.New(rand.NewPCG(uint64(round), i)), &z, mapWindow+i*64*pageSize, 400)
			})
		}
		threads.Wait()
		// The last ones to know the file go at the same time.
		threads.Go(y.s.Release)
		threads.Go(x.s.Release)
		threads.Go(x.o.Release)
		threads.Wait()
		check()
		if n := x.m.InUse(); n != 0 {
			t.Errorf("%d frames are in use", n)
		}
	}
}
