package mm_test

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

const sharedAt = 0x10000000 - 3*mm.PageSize // across a page table's border

func newSharedFile(t *testing.T, pages int64) (*mmtest.Machine, *mm.Space, *mmtest.SharedFile) {
	m := mmtest.New(t, 128)
	f := m.NewSharedFile(pages * mm.PageSize)
	t.Cleanup(func() { f.Truncate(0) })
	return m, m.NewSpace(mm.Limits{}), f
}

func mapShared(t *testing.T, s *mm.Space, f mm.Backing, at uint64, pages int, prot int) {
	t.Helper()
	mustMap(t, s, mm.Mapping{Addr: at, Length: uint64(pages) * mm.PageSize, Prot: prot,
		Flags: unix.MAP_SHARED | unix.MAP_FIXED, Backing: f, MayWrite: true})
}

func expectWord(t *testing.T, s *mm.Space, va uint64, want uint32) {
	t.Helper()
	if v, err := s.LoadUint32(va); v != want || err != nil {
		t.Errorf("%#x holds %d, %v; want %d", va, v, err, want)
	}
}

// TestFileKnowsItsMappings: a file is told of a mapping before it asks for pages, and that it has gone when the last
// piece of it has, wherever that was moved and however it was cut.
func TestFileKnowsItsMappings(t *testing.T) {
	_, s, f := newSharedFile(t, 8)
	expect := func(what string, want ...mm.Access) {
		t.Helper()
		got := f.Views()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: views %v, want %v", what, got, want)
		}
	}
	const page = mm.PageSize
	mapShared(t, s, f, sharedAt, 6, rw)
	mustMap(t, s, mm.Mapping{Addr: sharedAt + 8*page, Length: page, Prot: rw, Flags: unix.MAP_PRIVATE | unix.MAP_FIXED, Backing: f})
	expect("mapped", mm.Private, mm.SharedWrite)
	s.Munmap(sharedAt+2*page, page)
	s.Mprotect(sharedAt+4*page, page, unix.PROT_READ)
	s.Mremap(sharedAt+page, page, 2*page, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, sharedAt+20*page)
	s.Mremap(sharedAt+20*page, 0, page, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, sharedAt+30*page) // one more of the same
	s.Mremap(sharedAt+8*page, page, page, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED|unix.MREMAP_DONTUNMAP, sharedAt+9*page)
	expect("cut and moved", mm.Private, mm.SharedWrite)
	s.Munmap(sharedAt, 8*page)
	s.Munmap(sharedAt+8*page, page)
	s.Munmap(sharedAt+20*page, 2*page)
	expect("a piece of each", mm.Private, mm.SharedWrite)
	mustMap(t, s, mm.Mapping{Addr: sharedAt + 30*page, Length: page, Flags: anon | unix.MAP_FIXED})
	expect("the shared one mapped over", mm.Private)
	s.Release()
	expect("released")

	// What isn't mapped in the end isn't known either.
	for _, bad := range []mm.Mapping{
		{Addr: page, Flags: unix.MAP_SHARED | unix.MAP_FIXED},
		{Addr: sharedAt, Flags: unix.MAP_SHARED | unix.MAP_FIXED}, // the space has been released
		{Flags: 0},
		{Flags: unix.MAP_SHARED, Offset: 1},
	} {
		bad.Length, bad.Prot, bad.Backing, bad.MayWrite = page, rw, f, true
		if _, err := s.Mmap(bad); err == nil {
			t.Errorf("%+v was mapped", bad)
		}
	}
	f.Refuse(unix.EPERM)
	if _, err := s.Mmap(mm.Mapping{Length: page, Prot: rw, Flags: unix.MAP_SHARED, Backing: f, MayWrite: true}); err != unix.EPERM {
		t.Errorf("a file that refuses: %v", err)
	}
	expect("errors")
}

// TestSharedMappingsHaveTheSameBytes stores through one mapping and loads through others, of two spaces.
func TestSharedMappingsHaveTheSameBytes(t *testing.T) {
	m, s, f := newSharedFile(t, 4)
	other := m.NewSpace(mm.Limits{})
	mapShared(t, s, f, sharedAt, 4, rw)
	mapShared(t, other, f, sharedAt, 4, unix.PROT_READ)
	mustMap(t, other, mm.Mapping{Addr: sharedAt + 4*mm.PageSize, Length: 4 * mm.PageSize, Prot: rw,
		Flags: unix.MAP_PRIVATE | unix.MAP_FIXED, Backing: f})
	for i := range uint32(4) {
		va := sharedAt + uint64(i)*mm.PageSize
		expectWord(t, other, va, 0)
		expectWord(t, other, va+4*mm.PageSize, 0)
		if err := s.StoreUint32(va, i+1); err != nil {
			t.Error(err)
		}
		expectWord(t, other, va, i+1)
		expectWord(t, other, va+4*mm.PageSize, i+1)
	}
	if err := other.StoreUint32(sharedAt, 9); err != unix.EFAULT {
		t.Errorf("a store to memory that is only read: %v", err)
	}
	other.StoreUint32(sharedAt+4*mm.PageSize, 9)
	expectWord(t, s, sharedAt, 1)
	if err := other.Mprotect(sharedAt, mm.PageSize, rw); err != nil { // the file is open for writing
		t.Error(err)
	}
	m.FillTLB()
	other.StoreUint32(sharedAt, 7)
	expectWord(t, s, sharedAt, 7)
	expectWord(t, other, sharedAt+4*mm.PageSize, 9)

	// Only the mapping is dropped; a private copy is lost.
	for _, space := range []*mm.Space{s, other} {
		if err := space.Madvise(sharedAt, 4*mm.PageSize, unix.MADV_DONTNEED); err != nil {
			t.Error(err)
		}
	}
	other.Madvise(sharedAt+4*mm.PageSize, mm.PageSize, unix.MADV_DONTNEED)
	expectWord(t, other, sharedAt+4*mm.PageSize, 7)
	if n := s.Stats().ResidentPages; n != 0 {
		t.Errorf("%d pages are resident", n)
	}
	expectWord(t, s, sharedAt+mm.PageSize, 2)

	m.FillTLB()
	if err := s.Madvise(sharedAt, 2*mm.PageSize, unix.MADV_REMOVE); err != nil {
		t.Error(err)
	}
	expectWord(t, other, sharedAt, 0)
	expectWord(t, other, sharedAt+mm.PageSize, 0)
	expectWord(t, other, sharedAt+2*mm.PageSize, 3)
}

// TestDropWaitsForFaults has a file become shorter between a fault's question for a frame and its mapping: the
// frame is free only when nothing maps it.
func TestDropWaitsForFaults(t *testing.T) {
	m, s, f := newSharedFile(t, 20)
	mapShared(t, s, f, sharedAt, 20, rw)
	for range 50 {
		f.Truncate(20 * mm.PageSize)
		parallel(3, func(i int) {
			if i == 0 {
				f.Truncate(mm.PageSize)
				return
			}
			for p := range uint64(20) {
				if _, o := m.Touch(s, sharedAt+p*mm.PageSize, i == 1, false); o != mm.Handled && (o != mm.BusError || p == 0) {
					t.Errorf("page %d: %v", p, o)
				}
			}
		})
		if n := s.Stats().ResidentPages; n > 1 {
			t.Errorf("%d pages are resident", n)
		}
	}
}
