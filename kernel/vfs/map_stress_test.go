//go:build !race

package vfs

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// TestMappedFileStores has threads store to a file through mappings, write it from mappings of itself and read it into
// them, while its size changes. What is left to chance is only which of the letters are where; so the race detector, to which the
// programs' races are ours, can't be used.
func TestMappedFileStores(t *testing.T) {
	for round := range 6 {
		x, check := newOursMapped(t, letters(mapFilePages*pageSize), round%2 == 0)
		y := *x
		y.s = x.m.NewSpace(mm.Limits{})
		var threads sync.WaitGroup
		for i := range uint64(4) {
			z := *[...]*oursMapped{x, &y}[i%2]
			base := mapWindow + i*64*pageSize
			rnd := rand.New(rand.NewPCG(uint64(round), i))
			threads.Go(func() {
				for range 40 {
					mapThread(t, rnd, &z, base, 10)
					addr, off := base+rnd.Uint64N(6*pageSize), rnd.Int64N(mapFilePages*pageSize)
					n := int(min(rnd.Int64N(3*pageSize), mapFilePages*pageSize-off))
					switch rnd.IntN(5) {
					case 0:
						z.s.CopyOut(addr, bytes.Repeat([]byte{'s'}, n))
					case 1:
						z.pwriteFrom(addr, n, off)
					case 2:
						z.preadTo(addr, n, off)
					case 3:
						z.pwrite(bytes.Repeat([]byte{'w'}, n), off)
					case 4:
						z.o.Truncate(off)
					}
				}
			})
		}
		threads.Wait()
		x.s.Release()
		x.o.Release()
		y.s.Release()
		check()
		if n := x.m.InUse(); n != 0 {
			t.Errorf("%d frames are in use", n)
		}
	}
}

// TestWriteFromAMappingOfTheFile writes a file from a mapping of it that has no page yet, at the end and over itself.
func TestWriteFromAMappingOfTheFile(t *testing.T) {
	for _, inPlace := range []bool{true, false} {
		x, check := newOursMapped(t, letters(4*pageSize), inPlace)
		if err := x.mmap(mapWindow, 8*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, 0); err != nil {
			t.Fatal(err)
		}
		if n, err := x.pwriteFrom(mapWindow, 4*pageSize, 4*pageSize); n != 4*pageSize || err != nil {
			t.Errorf("copy to the end: %d, %v", n, err)
		}
		if n, err := x.pwriteFrom(mapWindow, 2*pageSize, 0); n != 2*pageSize || err != nil {
			t.Errorf("copy over itself: %d, %v", n, err)
		}
		if n, err := x.preadTo(mapWindow+2*pageSize, 2*pageSize, 0); n != 2*pageSize || err != nil {
			t.Errorf("read into a mapping: %d, %v", n, err)
		}
		want := append(letters(2*pageSize), letters(2*pageSize)...)
		want = append(want, letters(4*pageSize)...)
		got := make([]byte, len(want))
		if err := x.s.CopyIn(got, mapWindow); err != nil || !bytes.Equal(got, want) {
			t.Errorf("wrong bytes in memory, %v", err)
		}
		if n, err := x.pread(got, 0); n != len(want) || err != nil || !bytes.Equal(got, want) {
			t.Errorf("wrong bytes in the file, %v", err)
		}
		x.o.Release()
		check()
	}
}
