package mm_test

import (
	"math"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

func TestMmapErrors(t *testing.T) {
	m := mmtest.New(t, 64)
	file := m.NewFile(fileData(), true)
	const fixed = unix.MAP_FIXED
	const private, shared = unix.MAP_PRIVATE, unix.MAP_SHARED
	tests := []struct {
		name string
		m    mm.Mapping
		want error
	}{
		{"no length", mm.Mapping{Flags: anon}, unix.EINVAL},
		{"length wraps", mm.Mapping{Length: math.MaxUint64, Flags: anon}, unix.ENOMEM},
		{"length too long", mm.Mapping{Length: mm.TaskEnd, Flags: anon}, unix.ENOMEM},
		{"longest", mm.Mapping{Length: 0x7f0000000000, Flags: anon}, nil},
		{"offset unaligned", mm.Mapping{Length: 1, Flags: private, Backing: file, Offset: 1}, unix.EINVAL},
		{"offset too large", mm.Mapping{Length: 2 * mm.PageSize, Flags: private, Backing: file, Offset: math.MaxInt64 &^ 0xfff}, unix.EOVERFLOW},
		{"offset negative", mm.Mapping{Length: 1, Flags: private, Backing: file, Offset: 1 << 63}, unix.EOVERFLOW},
		{"no type", mm.Mapping{Length: 1}, unix.EINVAL},
		{"both types, anonymous", mm.Mapping{Length: 1, Flags: unix.MAP_SHARED_VALIDATE}, unix.EINVAL},
		{"both types, file", mm.Mapping{Length: 1, Flags: unix.MAP_SHARED_VALIDATE, Backing: file}, nil},
		{"sync", mm.Mapping{Length: 1, Flags: unix.MAP_SHARED_VALIDATE | unix.MAP_SYNC, Backing: file}, unix.EOPNOTSUPP},
		{"shared grows down", mm.Mapping{Length: 1, Flags: shared | unix.MAP_GROWSDOWN}, unix.EINVAL},
		{"grows down", mm.Mapping{Length: 1, Flags: private | unix.MAP_GROWSDOWN}, nil},
		{"fixed unaligned", mm.Mapping{Addr: 0x100001, Length: 1, Flags: anon | fixed}, unix.EINVAL},
		{"fixed too low", mm.Mapping{Addr: 0x1000, Length: 1, Flags: anon | fixed}, unix.EPERM},
		{"fixed at the end", mm.Mapping{Addr: mm.TaskEnd - 0x1000, Length: 0x1000, Flags: anon | fixed}, nil},
		{"fixed above the end", mm.Mapping{Addr: mm.TaskEnd - 0x1000, Length: 0x1001, Flags: anon | fixed}, unix.ENOMEM},
		{"fixed in the kernel", mm.Mapping{Addr: 0xffff800000000000, Length: 0x1000, Flags: anon | fixed}, unix.ENOMEM},
		{"shared file", mm.Mapping{Length: 1, Prot: unix.PROT_READ, Flags: shared, Backing: file}, nil},
		{"shared writable file", mm.Mapping{Length: 1, Prot: rw, Flags: shared, Backing: file}, unix.ENODEV},
		{"huge pages", mm.Mapping{Length: 1, Flags: anon | unix.MAP_HUGETLB}, unix.ENOMEM},
		{"low", mm.Mapping{Length: 1, Flags: anon | unix.MAP_32BIT}, nil},
		{"low, too long", mm.Mapping{Length: 0x40000001, Flags: anon | unix.MAP_32BIT}, unix.ENOMEM},
		{"unknown protection", mm.Mapping{Length: 1, Prot: 0x100, Flags: anon}, nil},
	}
	for _, test := range tests {
		s := m.NewSpace(mm.Limits{})
		addr, err := s.Mmap(test.m)
		if err != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if maps := s.Maps(); err == nil && (len(maps) != 1 || maps[0].Start != addr) || err != nil && len(maps) != 0 {
			t.Errorf("%s: areas %+v", test.name, maps)
		}
		s.Release()
	}
}

func TestPlacement(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	base := s.Layout().MmapBase
	if base != 0x7ffff7fff000 {
		t.Errorf("mappings begin below %#x", base)
	}
	const page = mm.PageSize
	steps := []struct {
		name         string
		hint, length uint64
		flags        int
		want         uint64
	}{
		{"first", 0, 2 * page, 0, base - 2*page},
		{"below", 0, page, 0, base - 3*page},
		{"hint", 0xc000000000, 64 << 20, 0, 0xc000000000},
		{"hint taken", 0xc000000000 + 32<<20, page, 0, base - 4*page},
		{"hint rounded down", 0xd000000fff, page, 0, 0xd000000000},
		{"hint too low", page, page, 0, mm.MinAddr},
		{"hint too high", mm.TaskEnd - page, 2 * page, 0, base - 6*page},
		{"hint above the base", base, page, 0, base},
		{"low", 0, page, unix.MAP_32BIT, 0x40000000},
		{"low again", 0, page, unix.MAP_32BIT, 0x40001000},
		{"fixed, over others", base - 2*page, page, unix.MAP_FIXED, base - 2*page},
		{"fixed, not over others", base - 20*page, page, unix.MAP_FIXED_NOREPLACE, base - 20*page},
		{"the gap above that is too small", 0, 16 * page, 0, base - 36*page},
		{"the gap is large enough", 0, 13 * page, 0, base - 19*page},
	}
	for _, step := range steps {
		got, err := s.Mmap(mm.Mapping{Addr: step.hint, Length: step.length, Prot: rw, Flags: anon | step.flags})
		if err != nil || got != step.want {
			t.Errorf("%s: %#x, %v, want %#x", step.name, got, err, step.want)
		}
	}
	// When everything below the base is taken, what is above it is used, but not what the stack needs.
	s = m.NewSpace(mm.Limits{})
	mustMap(t, s, mm.Mapping{Addr: mm.MinAddr, Length: base - mm.MinAddr, Flags: anon | unix.MAP_FIXED})
	if addr := mustMap(t, s, mm.Mapping{Length: page, Flags: anon}); addr != base {
		t.Errorf("mapped at %#x", addr)
	}
	if err := s.MapStack(false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Mmap(mm.Mapping{Length: 120 << 20, Flags: anon}); err != unix.ENOMEM {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	m := mmtest.New(t, 64)
	const page = mm.PageSize
	s := m.NewSpace(mm.Limits{Size: 10 * page})
	addr := mustMap(t, s, mm.Mapping{Addr: 0x100000, Length: 8 * page, Prot: rw, Flags: anon})
	if _, err := s.Mmap(mm.Mapping{Length: 3 * page, Flags: anon}); err != unix.ENOMEM {
		t.Errorf("over the limit on size: %v", err)
	}
	mustMap(t, s, mm.Mapping{Addr: addr, Length: 10 * page, Flags: anon | unix.MAP_FIXED}) // replaces
	if _, err := s.Mremap(addr, 10*page, 11*page, unix.MREMAP_MAYMOVE, 0); err != unix.ENOMEM {
		t.Errorf("mremap over the limit on size: %v", err)
	}
	s.SetBrk(0x900000)
	if brk := s.Brk(0x901000); brk != 0x900000 {
		t.Errorf("brk over the limit on size: %#x", brk)
	}

	const limit = 16
	s = m.NewSpace(mm.Limits{Areas: limit})
	addr = mustMap(t, s, mm.Mapping{Addr: 0x100000, Length: 100 * page, Prot: rw, Flags: anon})
	var err error
	for i := uint64(1); err == nil && i < 90; i += 2 {
		err = s.Mprotect(addr+i*page, page, unix.PROT_READ)
	}
	if n := s.Stats().Areas; err != unix.ENOMEM || n > limit {
		t.Errorf("mprotect: %d areas, %v", n, err)
	}
	err = nil
	for i := uint64(91); err == nil && i < 99; i += 2 {
		err = s.Munmap(addr+i*page, page)
	}
	if n := s.Stats().Areas; err != unix.ENOMEM || n > limit {
		t.Errorf("munmap: %d areas, %v", n, err)
	}
	if err := s.Munmap(addr, 100*page); err != nil {
		t.Errorf("munmap of all: %v", err)
	}
	if stats := s.Stats(); stats != (mm.Stats{}) {
		t.Errorf("%+v", stats)
	}
}

// Mappings may go one over the limit, as on Linux. All that are there can be given back.
func TestAreasCanBeUnmappedAtTheLimit(t *testing.T) {
	const limit, page = 16, mm.PageSize
	s := mmtest.New(t, 64).NewSpace(mm.Limits{Areas: limit})
	var addrs []uint64
	for n := uint64(0); ; n++ {
		addr, err := s.Mmap(mm.Mapping{Addr: 0x100000 + 2*n*page, Length: page, Prot: rw, Flags: anon})
		if err == unix.ENOMEM {
			break
		}
		if err != nil || n > limit {
			t.Fatalf("mapping %d: %v", n, err)
		}
		addrs = append(addrs, addr)
	}
	for _, addr := range addrs {
		if err := s.Munmap(addr, page); err != nil {
			t.Errorf("munmap of one of %d areas: %v", s.Stats().Areas, err)
		}
	}
}

func TestNeighboursBecomeOneArea(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	const page = mm.PageSize
	for range 20 {
		mustMap(t, s, mm.Mapping{Length: page, Prot: rw, Flags: anon})
	}
	if n := s.Stats().Areas; n != 1 {
		t.Errorf("%d areas", n)
	}
	file := m.NewFile(fileData(), true)
	addr := mustMap(t, s, mm.Mapping{Addr: 0x100000, Length: 6 * page, Prot: rw, Flags: unix.MAP_PRIVATE, Backing: file, Name: "/f"})
	for _, prot := range []int{unix.PROT_NONE, rw} {
		if err := s.Mprotect(addr+2*page, page, prot); err != nil {
			t.Fatal(err)
		}
	}
	want := mm.AreaInfo{Start: addr, End: addr + 6*page, Prot: rw, Name: "/f"}
	if got := s.Maps(); len(got) != 2 || got[0] != want {
		t.Errorf("%+v", got)
	}
}

func TestBrk(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{Commit: 1 << 40})
	const page = mm.PageSize
	const start = 0x600000
	s.SetBrk(start - 5)
	mustMap(t, s, mm.Mapping{Addr: start + 20*page, Length: page, Flags: anon})
	tests := []struct {
		name       string
		addr, want uint64
	}{
		{"ask", 0, start},
		{"below the start", start - 1, start},
		{"some bytes", start + 100, start + 100},
		{"within the page", start + 4000, start + 4000},
		{"pages", start + 10*page + 1, start + 10*page + 1},
		{"up to the next area", start + 20*page, start + 20*page},
		{"over it", start + 20*page + 1, start + 20*page},
		{"far", mm.TaskEnd + 1, start + 20*page},
		{"too much", 1 << 41, start + 20*page},
		{"back", start + page, start + page},
		{"all", start, start},
	}
	for _, test := range tests {
		if got := s.Brk(test.addr); got != test.want {
			t.Errorf("%s: brk(%#x) = %#x, want %#x", test.name, test.addr, got, test.want)
		}
	}
	s.Brk(start + 2*page)
	if err := s.CopyOut(start+page, []byte("x")); err != nil {
		t.Error(err)
	}
	if maps := s.Maps(); maps[0].Name != "[heap]" || maps[0].End != start+2*page {
		t.Errorf("%+v", maps)
	}
	s.Brk(start)
	s.Brk(start + 2*page)
	var b [1]byte
	if err := s.CopyIn(b[:], start+page); err != nil || b[0] != 0 {
		t.Errorf("heap after shrinking and growing: %d, %v", b[0], err)
	}
}

func TestMremapMovesPages(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	const page = mm.PageSize
	mustMap(t, s, mm.Mapping{Length: page, Flags: anon}) // in the way of growing
	addr := mustMap(t, s, mm.Mapping{Length: 8 * page, Prot: rw, Flags: anon})
	for i := range uint64(8) {
		if i != 3 {
			if err := s.PutUint64(addr+i*page, 1000+i); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.FillTLB()
	used := m.InUse()
	moved, err := s.Mremap(addr, 8*page, 600*page, unix.MREMAP_MAYMOVE, 0)
	if err != nil || moved == addr {
		t.Fatalf("%#x, %v", moved, err)
	}
	for i := range uint64(8) {
		want := 1000 + i
		if i == 3 {
			want = 0
		}
		if v, err := s.Uint64(moved + i*page); err != nil || v != want {
			t.Errorf("page %d: %d, %v", i, v, err)
		}
	}
	if n := m.InUse(); n > used+2 {
		t.Errorf("%d frames in use, %d before", n, used)
	}
	if o := s.Fault(addr, false, false); o != mm.MapError && addr < moved {
		t.Errorf("old address: %v", o)
	}
	if back, err := s.Mremap(moved, 600*page, page, 0, 0); err != nil || back != moved {
		t.Errorf("shrink: %#x, %v", back, err)
	}
	if n := s.Stats(); n.SizePages != 2 || n.ResidentPages != 1 {
		t.Errorf("%+v", n)
	}
}

func TestMincoreAndMlock(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	const page = mm.PageSize
	addr := mustMap(t, s, mm.Mapping{Addr: 0x100000, Length: 4 * page, Prot: rw, Flags: anon})
	vec := mustMap(t, s, mm.Mapping{Addr: 0x200000, Length: page, Prot: rw, Flags: anon})
	if err := s.PutUint32(addr+page, 1); err != nil {
		t.Fatal(err)
	}
	core := func() (b [4]byte) {
		if err := s.Mincore(addr, 4*page-5, vec); err != nil {
			t.Error(err)
		}
		if err := s.CopyIn(b[:], vec); err != nil {
			t.Error(err)
		}
		return b
	}
	if got := core(); got != [4]byte{0, 1, 0, 0} {
		t.Errorf("mincore: %v", got)
	}
	if err := s.Mlock(addr+5, 2*page, true); err != nil {
		t.Error(err)
	}
	if err := s.Mlock(addr+page+5, page, false); err != nil {
		t.Error(err)
	}
	if got := core(); got[0] != 0 || got[2] != 1 {
		t.Errorf("after mlock: %v", got)
	}
	if err := s.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE); err != nil {
		t.Error(err)
	}
	if got := core(); got != [4]byte{1, 1, 1, 1} {
		t.Errorf("after mlockall: %v", got)
	}
	mustMap(t, s, mm.Mapping{Addr: addr, Length: 4 * page, Prot: rw, Flags: anon | unix.MAP_FIXED})
	if got := core(); got != [4]byte{1, 1, 1, 1} {
		t.Errorf("new memory after mlockall: %v", got)
	}
	for _, test := range []struct {
		name      string
		got, want error
	}{
		{"mincore unaligned", s.Mincore(addr+1, page, vec), unix.EINVAL},
		{"mincore not mapped", s.Mincore(addr, 5*page, vec), unix.ENOMEM},
		{"mincore too long", s.Mincore(addr, mm.TaskEnd, vec), unix.ENOMEM},
		{"mincore bad vector", s.Mincore(addr, page, 0x300000), unix.EFAULT},
		{"mlock not mapped", s.Mlock(addr, 5*page, false), unix.ENOMEM},
		{"mlock wraps", s.Mlock(addr, math.MaxUint64-page, false), unix.EINVAL},
		{"mlock nothing", s.Mlock(addr, 0, false), nil},
		{"munlock", s.Munlock(addr+9, page), nil},
		{"munlock not mapped", s.Munlock(addr, 5*page), unix.ENOMEM},
		{"mlockall nothing", s.Mlockall(0), unix.EINVAL},
		{"mlockall on fault only", s.Mlockall(unix.MCL_ONFAULT), unix.EINVAL},
		{"mlockall unknown", s.Mlockall(8), unix.EINVAL},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v, want %v", test.name, test.got, test.want)
		}
	}
	s.Munlockall()
}
