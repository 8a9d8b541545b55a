package mm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
)

// plain is a Machine that costs as little as ground's: it checks nothing.
type plain struct {
	pages [][mm.PageSize]byte
	free  []mm.PhysAddr
}

func newPlain(n int) *plain {
	m := &plain{pages: make([][mm.PageSize]byte, n), free: make([]mm.PhysAddr, 0, n)}
	for i := range n {
		m.free = append(m.free, mm.PhysAddr(n-i)*mm.PageSize)
	}
	return m
}

func (m *plain) AllocFrame() (mm.PhysAddr, bool) {
	if len(m.free) == 0 {
		return 0, false
	}
	pa := m.free[len(m.free)-1]
	m.free = m.free[:len(m.free)-1]
	clear(m.Page(pa)[:])
	return pa, true
}
func (m *plain) FreeFrames(pas []mm.PhysAddr)             { m.free = append(m.free, pas...) }
func (m *plain) Page(pa mm.PhysAddr) *[mm.PageSize]byte   { return &m.pages[pa/mm.PageSize-1] }
func (m *plain) NewRoot() (mm.PhysAddr, bool)             { return m.AllocFrame() }
func (m *plain) Flush(root mm.PhysAddr, va uint64, n int) {}

func newPlainSpace(b *testing.B) *mm.Space {
	s, err := mm.NewSpace(newPlain(2048), mm.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	for i := range uint64(50) { // as many areas as a Go program has
		mustMap(b, s, mm.Mapping{Addr: 0x400000 + i*2*mm.PageSize, Length: mm.PageSize, Flags: anon | unix.MAP_FIXED})
	}
	return s
}

// BenchmarkFault is a first write to anonymous memory, with its share of the unmapping.
func BenchmarkFault(b *testing.B) {
	s := newPlainSpace(b)
	const pages = 1024
	addr := mustMap(b, s, mm.Mapping{Length: pages * mm.PageSize, Prot: rw, Flags: anon})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%pages == 0 {
			if err := s.Madvise(addr, pages*mm.PageSize, unix.MADV_DONTNEED); err != nil {
				b.Fatal(err)
			}
		}
		if o := s.Fault(addr+uint64(i%pages)*mm.PageSize, true, false); o != mm.Handled {
			b.Fatal(o)
		}
	}
}

// BenchmarkMmapTouchMunmap is what a program does that maps a page for a moment.
func BenchmarkMmapTouchMunmap(b *testing.B) {
	s := newPlainSpace(b)
	b.ReportAllocs()
	for b.Loop() {
		addr, err := s.Mmap(mm.Mapping{Length: mm.PageSize, Prot: rw, Flags: anon})
		if err != nil {
			b.Fatal(err)
		}
		s.Fault(addr, true, false)
		if err := s.Munmap(addr, mm.PageSize); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCopy(b *testing.B) {
	for _, size := range []int{8, 1460, 65536} {
		data := make([]byte, size)
		s := newPlainSpace(b)
		addr := mustMap(b, s, mm.Mapping{Length: 20 * mm.PageSize, Prot: rw, Flags: anon | unix.MAP_POPULATE})
		b.Run(map[int]string{8: "8", 1460: "1460", 65536: "64K"}[size], func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.CopyOut(addr+100, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
