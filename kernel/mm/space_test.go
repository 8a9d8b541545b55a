package mm_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

const (
	rw   = unix.PROT_READ | unix.PROT_WRITE
	anon = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
)

// mustMap maps memory or fails the test.
func mustMap(t testing.TB, s *mm.Space, m mm.Mapping) uint64 {
	t.Helper()
	addr, err := s.Mmap(m)
	if err != nil {
		t.Fatalf("Mmap(%+v): %v", m, err)
	}
	return addr
}

func TestAnonymousMemoryIsZeroAndKeepsWhatIsWritten(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: 3 * mm.PageSize, Prot: rw, Flags: anon})
	if want := s.Layout().MmapBase - 3*mm.PageSize; addr != want {
		t.Errorf("mapped at %#x, want %#x", addr, want)
	}
	p, o := m.Touch(s, addr+mm.PageSize, false, false)
	if o != mm.Handled || *p != [mm.PageSize]byte{} {
		t.Fatalf("reading new memory: %v", o)
	}
	data := bytes.Repeat([]byte("wick"), 1500) // more than a page
	if err := s.CopyOut(addr+100, data); err != nil {
		t.Fatal(err)
	}
	m.FillTLB()
	got := make([]byte, len(data))
	if err := s.CopyIn(got, addr+100); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("CopyIn: %v, equal %v", err, bytes.Equal(got, data))
	}
	if p, _ := m.Touch(s, addr+mm.PageSize, false, false); !bytes.HasPrefix(p[:], data[mm.PageSize-100:]) {
		t.Error("the CPU does not see what was copied out")
	}
	if err := s.Munmap(addr, 3*mm.PageSize); err != nil {
		t.Fatal(err)
	}
	if o := s.Fault(addr, false, false); o != mm.MapError {
		t.Errorf("fault after munmap: %v", o)
	}
}

// Whatever is picked, everything has its place: stack above mappings above programs, with the gaps that Linux leaves.
func TestRandomLayoutKeepsThingsApart(t *testing.T) {
	least := func(uint64) uint64 { return 0 }
	most := func(n uint64) uint64 { return n - 1 }
	for _, pick := range []func(uint64) uint64{nil, least, most} {
		for _, stack := range []uint64{0, 64 << 10, 1 << 30, 1 << 60} {
			m := mmtest.New(t, 100)
			l := m.NewSpace(mm.Limits{Stack: stack, Pick: pick}).Layout()
			for _, a := range []uint64{l.StackTop, l.StackSize, l.MmapBase, l.PIEBase, l.BrkGap} {
				if a%mm.PageSize != 0 {
					t.Errorf("%+v: %#x is not a multiple of the page size", l, a)
				}
			}
			if l.StackGap%16 != 0 || l.StackGap >= 8<<10 || l.BrkGap >= 32<<20 {
				t.Errorf("%+v", l)
			}
			if l.StackTop > mm.TaskEnd || l.StackTop < mm.TaskEnd-16<<30 {
				t.Errorf("%+v: the stack is moved by more than 16 GiB", l)
			}
			if l.MmapBase > l.StackTop-l.StackSize-1<<20 || l.PIEBase > l.MmapBase-1<<40 {
				t.Errorf("%+v: no room between stack, mappings and program", l)
			}
		}
	}
}
