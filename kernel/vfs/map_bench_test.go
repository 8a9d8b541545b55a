package vfs

import (
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// frameStack is memory that costs as little as ground's: it checks nothing.
type frameStack struct {
	pages [][pageSize]byte
	free  []mm.PhysAddr
}

func newFrameStack(n int) *frameStack {
	m := &frameStack{pages: make([][pageSize]byte, n)}
	for i := range n {
		m.free = append(m.free, mm.PhysAddr(n-i)*pageSize)
	}
	return m
}

func (m *frameStack) AllocFrame() (mm.PhysAddr, bool) {
	if len(m.free) == 0 {
		return 0, false
	}
	pa := m.free[len(m.free)-1]
	m.free = m.free[:len(m.free)-1]
	clear(m.Page(pa)[:])
	return pa, true
}
func (m *frameStack) FreeFrames(pas []mm.PhysAddr)             { m.free = append(m.free, pas...) }
func (m *frameStack) Page(pa mm.PhysAddr) *[pageSize]byte      { return &m.pages[pa/pageSize-1] }
func (m *frameStack) NewRoot() (mm.PhysAddr, bool)             { return m.AllocFrame() }
func (m *frameStack) Flush(root mm.PhysAddr, va uint64, n int) {}

// BenchmarkMappedFile touches the pages of a file of 4 MiB that is in memory, with its share of the unmapping.
func BenchmarkMappedFile(b *testing.B) {
	const pages = 1024
	for name, flags := range map[string]int{"shared": unix.MAP_SHARED, "private": unix.MAP_PRIVATE} {
		b.Run(name, func(b *testing.B) {
			m := newFrameStack(pages * 2)
			fs := newTestFS(b, Options{Frames: m})
			file := fs.NewPaths().NewMemfd("x", true)
			src := Bytes(make([]byte, pages*pageSize))
			if _, err := file.Write(&src, 0); err != nil {
				b.Fatal(err)
			}
			s, err := mm.NewSpace(m, mm.Limits{})
			if err != nil {
				b.Fatal(err)
			}
			backing, _ := file.(*RegularFile).Mapping()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%pages == 0 {
					if _, err := s.Mmap(mm.Mapping{Addr: mapWindow, Length: pages * pageSize, Prot: unix.PROT_READ | unix.PROT_WRITE,
						Flags: flags | unix.MAP_FIXED, Backing: backing, MayWrite: true}); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := s.Uint64(mapWindow + uint64(i%pages)*pageSize); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
