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
