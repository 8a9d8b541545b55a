package mm_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

// parallel runs n goroutines and waits for them.
func parallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// TestThreadsFaultOnTheSamePages has threads increment words that no page is there for yet: no
// increment may be lost, whoever brings the page.
func TestThreadsFaultOnTheSamePages(t *testing.T) {
	const threads, pages, rounds = 8, 40, 4
	for _, inPlace := range []bool{true, false} {
		m := mmtest.New(t, 512)
		s := m.NewSpace(mm.Limits{})
		file := m.NewFile(make([]byte, pages*mm.PageSize), inPlace)
		for round := range rounds {
			mapping := mm.Mapping{Length: pages * mm.PageSize, Prot: rw, Flags: anon}
			if round%2 == 1 {
				mapping.Backing = file
			}
			addr := mustMap(t, s, mapping)
			parallel(threads, func(int) {
				for i := range uint64(pages) {
					va := addr + i*mm.PageSize + 8
					if i%3 == 0 {
						s.Fault(va, false, false) // read first, then copied on write
					}
					for {
						old, err := s.LoadUint32(va)
						if err != nil {
							t.Error(err)
							return
						}
						swapped, err := s.CompareAndSwapUint32(va, old, old+1)
						if err != nil {
							t.Error(err)
							return
						}
						if swapped {
							break
						}
					}
				}
			})
			for i := range uint64(pages) {
				if v, err := s.LoadUint32(addr + i*mm.PageSize + 8); v != threads || err != nil {
					t.Fatalf("in place %v, round %d, page %d: %d, %v", inPlace, round, i, v, err)
				}
			}
			if n := s.Stats().ResidentPages; n != pages {
				t.Errorf("%d pages resident", n)
			}
			if err := s.Munmap(addr, pages*mm.PageSize); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.Stats().ResidentPages; n != 0 {
			t.Errorf("%d pages resident in the end", n)
		}
	}
}

// TestMapChangesDuringFaultsAndCopies lets threads copy and fault in memory that others unmap, protect, move
// and map again. The machine checks that no frame is used after it was freed.
func TestMapChangesDuringFaultsAndCopies(t *testing.T) {
	const pages, rounds = 16, 60
	const base = 0x40000000 - 8*mm.PageSize
	m := mmtest.New(t, 512)
	s := m.NewSpace(mm.Limits{})
	file := m.NewFile(fileData(), true)
	var stop atomic.Bool
	var copies sync.WaitGroup
	for i := range 3 {
		copies.Go(func() {
			buf := make([]byte, 3*mm.PageSize)
			own := base + uint64(i)*4096*mm.PageSize // the same words of the same pages would be a race of the program's
			for n := uint64(0); !stop.Load(); n++ {
				va := own + n%pages*mm.PageSize + 100
				switch err := s.CopyOut(va, buf[:2*mm.PageSize]); err {
				case nil, unix.EFAULT:
				default:
					t.Error(err)
				}
				if err := s.CopyIn(buf, va); err != nil && err != unix.EFAULT {
					t.Error(err)
				}
				m.Touch(s, va, n%2 == 0, false)
				s.LoadUint32(va &^ 3)
			}
		})
	}
	parallel(3, func(i int) {
		own := base + uint64(i)*4096*mm.PageSize
		for n := range rounds {
			mapping := mm.Mapping{Addr: own, Length: pages * mm.PageSize, Prot: rw, Flags: anon | unix.MAP_FIXED}
			if n%2 == 1 {
				mapping.Backing = file
			}
			if _, err := s.Mmap(mapping); err != nil {
				t.Error(err)
			}
			m.FillTLB()
			if err := s.Mprotect(own+mm.PageSize, 3*mm.PageSize, n%8); err != nil {
				t.Error(err)
			}
			if err := s.Madvise(own, pages*mm.PageSize, unix.MADV_DONTNEED); err != nil {
				t.Error(err)
			}
			if _, err := s.Mremap(own+8*mm.PageSize, 4*mm.PageSize, 4*mm.PageSize, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, own+1024*mm.PageSize); err != nil {
				t.Error(err)
			}
			if err := s.Munmap(own, pages*mm.PageSize); err != nil {
				t.Error(err)
			}
			s.Maps()
		}
	})
	stop.Store(true)
	copies.Wait()
}

// TestCopyOnWriteFlushesBeforeAnyoneCanWrite checks the order that copy-on-write must keep: as long as a TLB may
// have the old page, no thread can write to the new one. Else a third thread could learn of the write and
// still read what was before it.
func TestCopyOnWriteFlushesBeforeAnyoneCanWrite(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	file := m.NewFile(fileData(), true)
	for _, backing := range []mm.Backing{nil, file} {
		addr := mustMap(t, s, mm.Mapping{Length: mm.PageSize, Prot: rw, Flags: unix.MAP_PRIVATE, Backing: backing})
		m.Touch(s, addr, false, false) // the zero frame or the file's, now in the TLB
		flushed := false
		m.OnFlush(func() {
			flushed = true
			if _, ok := m.Access(s.Root(), addr, true, false); ok {
				t.Error("a write goes to the new page before the flush")
			}
		})
		if err := s.StoreUint32(addr, 1); err != nil || !flushed {
			t.Errorf("store: %v, flushed %v", err, flushed)
		}
		m.OnFlush(nil)
		if p, ok := m.Access(s.Root(), addr, false, false); ok && mmtest.LoadUint32(p, 0) != 1 {
			t.Error("a CPU reads the old page after a write to the new one")
		}
		if err := s.Munmap(addr, mm.PageSize); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCopyOnWriteHappensOnce lets a second thread write while the first is copying the page.
func TestCopyOnWriteHappensOnce(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: mm.PageSize, Prot: rw, Flags: anon})
	m.Touch(s, addr, false, false)
	var second sync.WaitGroup
	var flushes atomic.Int32
	m.OnFlush(func() {
		if flushes.Add(1) > 1 {
			return
		}
		second.Go(func() {
			if err := s.StoreUint32(addr+4, 2); err != nil {
				t.Error(err)
			}
		})
		for range 1000 {
			runtime.Gosched() // let it come as far as it can
		}
	})
	if err := s.StoreUint32(addr, 1); err != nil {
		t.Error(err)
	}
	second.Wait()
	m.OnFlush(nil)
	if n := flushes.Load(); n != 1 {
		t.Errorf("the page was copied %d times", n)
	}
	if v, err := s.Uint64(addr); v != 2<<32|1 || err != nil {
		t.Errorf("%#x, %v", v, err)
	}
}

// TestLostRacesLeakNothing has another thread be quicker at every frame that a fault allocates.
func TestLostRacesLeakNothing(t *testing.T) {
	for _, write := range []bool{true, false} {
		for n := range 4 { // three tables and the page
			m := mmtest.New(t, 64)
			s := m.NewSpace(mm.Limits{})
			file := m.NewFile(fileData(), false)
			for i, backing := range []mm.Backing{nil, file} {
				addr := mustMap(t, s, mm.Mapping{Addr: uint64(i+1) << 40, Length: mm.PageSize, Prot: rw, Flags: unix.MAP_PRIVATE, Backing: backing})
				before, calls := m.InUse(), 0
				m.OnAlloc(func() {
					if calls++; calls == n+1 {
						if o := s.Fault(addr, true, false); o != mm.Handled {
							t.Error(o)
						}
					}
				})
				if o := s.Fault(addr, write, false); o != mm.Handled {
					t.Error(o)
				}
				m.OnAlloc(nil)
				if used := m.InUse() - before; used > 4 && (write || backing != nil || used > 5) { // five with the zero frame
					t.Errorf("write %v, race %d: %d frames", write, n, used)
				}
				if n := s.Stats().ResidentPages; n != uint64(i+1) {
					t.Errorf("%d pages resident", n)
				}
			}
		}
	}
}

// TestReleaseDuringCopies releases a space that others still copy from.
func TestReleaseDuringCopies(t *testing.T) {
	for range 50 {
		m := mmtest.New(t, 64)
		s := m.NewSpace(mm.Limits{})
		addr := mustMap(t, s, mm.Mapping{Length: 8 * mm.PageSize, Prot: rw, Flags: anon})
		parallel(3, func(i int) {
			if i == 0 {
				s.Release()
				return
			}
			b := make([]byte, 100)
			for n := range uint64(8) {
				if err := s.CopyIn(b, addr+n*mm.PageSize); err != nil && err != unix.EFAULT {
					t.Error(err)
				}
				s.Fault(addr+n*mm.PageSize, true, false)
			}
		})
	}
}
