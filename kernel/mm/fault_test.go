package mm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

func TestFaultOutcomes(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	file := m.NewFile(fileData()[:mm.PageSize+1], true)
	place := func(addr uint64, prot int, backing mm.Backing) {
		mustMap(t, s, mm.Mapping{Addr: addr, Length: 4 * mm.PageSize, Prot: prot, Flags: unix.MAP_PRIVATE | unix.MAP_FIXED, Backing: backing})
	}
	place(0x100000, unix.PROT_NONE, nil)
	place(0x200000, unix.PROT_READ, nil)
	place(0x300000, unix.PROT_WRITE, nil)
	place(0x400000, unix.PROT_EXEC, nil)
	place(0x500000, rw, file)
	tests := []struct {
		va            uint64
		read          mm.Outcome
		write, fetch  mm.Outcome
		readS, writeS unix.Signal
	}{
		{0x0ff000, mm.MapError, mm.MapError, mm.MapError, unix.SIGSEGV, unix.SIGSEGV},
		{0x100fff, mm.AccessError, mm.AccessError, mm.AccessError, unix.SIGSEGV, unix.SIGSEGV},
		{0x200123, mm.Handled, mm.AccessError, mm.AccessError, 0, unix.SIGSEGV},
		{0x300123, mm.Handled, mm.Handled, mm.AccessError, 0, 0},
		{0x400123, mm.Handled, mm.AccessError, mm.Handled, 0, unix.SIGSEGV},
		{0x404000, mm.MapError, mm.MapError, mm.MapError, unix.SIGSEGV, unix.SIGSEGV},
		{0x501fff, mm.Handled, mm.Handled, mm.AccessError, 0, 0},
		{0x502000, mm.BusError, mm.BusError, mm.AccessError, unix.SIGBUS, unix.SIGBUS},
		{mm.TaskEnd, mm.MapError, mm.MapError, mm.MapError, unix.SIGSEGV, unix.SIGSEGV},
		{0xffffffff80201000, mm.MapError, mm.MapError, mm.MapError, unix.SIGSEGV, unix.SIGSEGV},
	}
	for _, test := range tests {
		for _, access := range []struct {
			name         string
			write, fetch bool
			want         mm.Outcome
		}{{"read", false, false, test.read}, {"fetch", false, true, test.fetch}, {"write", true, false, test.write}} {
			if _, got := m.Touch(s, test.va, access.write, access.fetch); got != access.want {
				t.Errorf("%s %#x: %v, want %v", access.name, test.va, got, access.want)
			}
		}
		if sig, _ := test.read.Signal(); sig != test.readS {
			t.Errorf("%v: signal %v", test.read, sig)
		}
		if sig, _ := test.write.Signal(); sig != test.writeS {
			t.Errorf("%v: signal %v", test.write, sig)
		}
	}
}

func TestReadingUntouchedMemoryTakesOneFrameForAll(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: 32 * mm.PageSize, Prot: rw, Flags: anon})
	before := m.InUse()
	for i := range uint64(32) {
		m.Touch(s, addr+i*mm.PageSize, false, false)
	}
	if n := m.InUse() - before; n > 4 { // three tables and the zero frame
		t.Errorf("%d frames for 32 pages of zeros", n)
	}
	if n := s.Stats().ResidentPages; n != 0 {
		t.Errorf("%d pages resident", n)
	}
	p, _ := m.Touch(s, addr, true, false)
	p[0] = 1
	if p, _ := m.Touch(s, addr+mm.PageSize, false, false); p[0] != 0 {
		t.Error("a write to one page shows in another")
	}
	if n := s.Stats().ResidentPages; n != 1 {
		t.Errorf("%d pages resident", n)
	}
}

func TestPagesWrittenInOrderAreFilledAhead(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	const pages = 20
	addr := mustMap(t, s, mm.Mapping{Addr: 0x10000000, Length: pages * mm.PageSize, Prot: rw, Flags: anon})
	// A page that is there already, and the end of the area, end the filling.
	m.Touch(s, addr+6*mm.PageSize, true, false)
	if n := s.Stats().ResidentPages; n != 1 {
		t.Fatalf("%d pages resident after the first write", n)
	}
	faults := 0
	for i := range uint64(pages) {
		if _, ok := m.Access(s.Root(), addr+i*mm.PageSize, true, false); !ok {
			faults++
			if o := s.Fault(addr+i*mm.PageSize, true, false); o != mm.Handled {
				t.Fatal(o)
			}
		}
	}
	if faults != 4 || s.Stats().ResidentPages != pages {
		t.Errorf("%d faults, %+v", faults, s.Stats())
	}
	// What can't be filled ahead for lack of memory does no harm.
	addr = mustMap(t, s, mm.Mapping{Addr: 0x10000000, Length: pages * mm.PageSize, Prot: rw, Flags: anon | unix.MAP_FIXED})
	m.FailAfter(2)
	for i := range uint64(2) {
		if o := s.Fault(addr+i*mm.PageSize, true, false); o != mm.Handled {
			t.Error(o)
		}
	}
	if n := s.Stats().ResidentPages; n != 2 {
		t.Errorf("%d pages resident", n)
	}
}

func TestFilePagesAreMappedInPlaceAndCopiedOnWrite(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	file := m.NewFile(fileData(), true)
	addr := mustMap(t, s, mm.Mapping{Addr: 0x10000000, Length: filePages * mm.PageSize, Prot: rw, Flags: unix.MAP_PRIVATE | unix.MAP_FIXED, Backing: file})
	tables := m.InUse() + 3
	p, _ := m.Touch(s, addr, false, false)
	if inPlace, _ := file.Frame(0); p != m.Page(inPlace) {
		t.Error("the page isn't mapped in place")
	}
	for i := range uint64(filePages) {
		if _, ok := m.Access(s.Root(), addr+i*mm.PageSize, false, false); !ok {
			t.Errorf("page %d wasn't mapped together with the first", i)
		}
	}
	if n := m.InUse(); n != tables {
		t.Errorf("%d frames in use, want %d", n, tables)
	}
	// Both the CPU and the kernel make copies.
	p, _ = m.Touch(s, addr, true, false)
	p[5] = 'X'
	if err := s.CopyOut(addr+mm.PageSize+5, []byte{'Y'}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []byte{'X', 'Y'} {
		p, _ := m.Touch(s, addr+uint64(i)*mm.PageSize, false, false)
		inPlace, _ := file.Frame(int64(i) * mm.PageSize)
		if p[5] != want || p[6] != byte('a'+i) || m.Page(inPlace)[5] != byte('a'+i) {
			t.Errorf("page %d: copy has %c%c, the file %c", i, p[5], p[6], m.Page(inPlace)[5])
		}
	}
	if n := m.InUse(); n != tables+2 {
		t.Errorf("%d frames in use, want %d", n, tables+2)
	}
	// What was given back comes from the file again.
	if err := s.Madvise(addr, mm.PageSize, unix.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if p, _ := m.Touch(s, addr, false, false); p[5] != 'a' {
		t.Errorf("after MADV_DONTNEED: %c", p[5])
	}
}

func TestDontNeedFrees(t *testing.T) {
	m := mmtest.New(t, 2100)
	s := m.NewSpace(mm.Limits{})
	const pages = 2000 // more than one batch
	addr := mustMap(t, s, mm.Mapping{Length: pages * mm.PageSize, Prot: rw, Flags: anon | unix.MAP_POPULATE})
	m.FillTLB()
	used, flushes := m.InUse(), m.Flushes()
	if used < pages {
		t.Fatalf("%d frames after MAP_POPULATE", used)
	}
	if err := s.Madvise(addr, pages*mm.PageSize, unix.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if n := used - m.InUse(); n != pages {
		t.Errorf("%d frames freed", n)
	}
	if n := m.Flushes() - flushes; n > 2 {
		t.Errorf("%d flushes", n)
	}
	if p, _ := m.Touch(s, addr, false, false); *p != [mm.PageSize]byte{} {
		t.Error("the memory isn't zero afterwards")
	}
}

func TestHugeReservationsAreCheap(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{Commit: 1 << 30})
	const size = 64 << 40
	before := m.InUse()
	addr := mustMap(t, s, mm.Mapping{Length: size, Flags: anon | unix.MAP_NORESERVE})
	if m.InUse() != before {
		t.Error("a reservation takes frames")
	}
	mustMap(t, s, mm.Mapping{Addr: addr + size/2, Length: 4 * mm.PageSize, Prot: rw, Flags: anon | unix.MAP_FIXED})
	if _, o := m.Touch(s, addr+size/2, true, false); o != mm.Handled {
		t.Error(o)
	}
	m.FillTLB()
	for _, do := range []func() error{
		func() error { return s.Mprotect(addr, size, unix.PROT_READ) },
		func() error { return s.Madvise(addr, size, unix.MADV_DONTNEED) },
		func() error { return s.Munmap(addr, size) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.InUse(); n != before {
		t.Errorf("%d frames in use, %d before", n, before)
	}
	if _, err := s.Mmap(mm.Mapping{Length: size, Prot: rw, Flags: anon}); err != unix.ENOMEM {
		t.Errorf("writable memory that can never be there: %v", err)
	}
}

func TestTablesOfUnmappedMemoryAreFreed(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	before := m.InUse()
	// Neighbours in one page table: it goes with the last of them, in whatever order.
	for _, order := range [][3]uint64{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		for _, far := range []uint64{0, 1 << 21, 1 << 30, 1 << 39} {
			for i := range uint64(3) {
				addr := 0x10000000 + i*(mm.PageSize*2+far)
				mustMap(t, s, mm.Mapping{Addr: addr, Length: mm.PageSize, Prot: rw, Flags: anon | unix.MAP_FIXED})
				m.Touch(s, addr, true, false)
			}
			for _, i := range order {
				m.FillTLB()
				if err := s.Munmap(0x10000000+i*(mm.PageSize*2+far), mm.PageSize); err != nil {
					t.Fatal(err)
				}
			}
			if n := m.InUse(); n != before {
				t.Errorf("order %v, distance %#x: %d frames, %d before", order, far, n, before)
			}
		}
	}
}

func TestTablesOfMovedMemoryAreFreed(t *testing.T) {
	const from, to = 0x10000000, 0x7f0000000000
	for spare := range 5 {
		m := mmtest.New(t, 64)
		s := m.NewSpace(mm.Limits{})
		before := m.InUse()
		mustMap(t, s, mm.Mapping{Addr: from, Length: mm.PageSize, Prot: rw, Flags: anon | unix.MAP_FIXED | unix.MAP_POPULATE})
		used := m.InUse()
		m.FailAfter(spare)
		m.FillTLB()
		_, err := s.Mremap(from, mm.PageSize, mm.PageSize, unix.MREMAP_FIXED|unix.MREMAP_MAYMOVE, to)
		if want := map[bool]error{true: unix.ENOMEM}[spare < 3]; err != want {
			t.Errorf("with %d frames: %v, want %v", spare, err, want)
		}
		if n := m.InUse(); n != used {
			t.Errorf("with %d frames: %d in use after moving, %d before", spare, n, used)
		}
		for _, addr := range []uint64{from, to} {
			if err := s.Munmap(addr, mm.PageSize); err != nil {
				t.Error(err)
			}
		}
		if n := m.InUse(); n != before {
			t.Errorf("with %d frames: %d in use after unmapping, %d before", spare, n, before)
		}
	}
}

// TestMprotectReachesTheTLB changes from each kind of rights to each other and lets the CPU try everything.
func TestMprotectReachesTheTLB(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	file := m.NewFile(fileData(), true)
	for _, backing := range []mm.Backing{nil, file} {
		for from := range 8 {
			for to := range 8 {
				addr := mustMap(t, s, mm.Mapping{Length: mm.PageSize, Prot: from, Flags: unix.MAP_PRIVATE, Backing: backing})
				for access := range 3 {
					m.Touch(s, addr, access == 1, access == 2)
				}
				m.FillTLB()
				if err := s.Mprotect(addr, mm.PageSize, to); err != nil {
					t.Fatal(err)
				}
				for access, want := range []bool{to != 0, to&unix.PROT_WRITE != 0, to&unix.PROT_EXEC != 0} {
					if _, ok := m.Access(s.Root(), addr, access == 1, access == 2); ok && !want {
						t.Errorf("from %d to %d: access %d is possible", from, to, access)
					}
					if _, o := m.Touch(s, addr, access == 1, access == 2); (o == mm.Handled) != want {
						t.Errorf("from %d to %d: access %d: %v", from, to, access, o)
					}
					m.FillTLB()
				}
				if err := s.Munmap(addr, mm.PageSize); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestReleaseLeavesNothingMapped(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: 4 * mm.PageSize, Prot: rw, Flags: anon | unix.MAP_POPULATE})
	m.FillTLB()
	s.Release()
	s.Release()
	if n := m.InUse(); n != 0 {
		t.Errorf("%d frames in use", n)
	}
	if err := s.CopyOut(addr, []byte{1}); err != unix.EFAULT {
		t.Error(err)
	}
	if o := s.Fault(addr, false, false); o != mm.MapError {
		t.Error(o)
	}
	if _, err := s.Mmap(mm.Mapping{Length: 1, Flags: anon}); err != unix.ENOMEM {
		t.Error(err)
	}
	if brk := s.Brk(1 << 30); brk != 0 {
		t.Errorf("brk %#x", brk)
	}
	if err := s.MapStack(false); err != unix.ENOMEM {
		t.Error(err)
	}
}

// TestRunningOutOfMemory does everything with few frames, which must end in errors and not in leaks
// or worse.
func TestRunningOutOfMemory(t *testing.T) {
	for seed := range int64(100) {
		x := newSpaceSubject(t, seed%2 == 0)
		steps := randomSteps(seed, 100)
		for i := 0; len(steps) > 0; i++ {
			if i%10 == 0 {
				x.m.FailAfter(int(seed+int64(i)) % 7)
			}
			step(steps).do(x)
			steps = steps[len(step{}):]
		}
		x.m.FailAfter(0)
		if o := x.s.Fault(windowBase, true, false); o == mm.BusError {
			t.Error(o)
		}
		x.s.Release()
	}
	m := mmtest.New(t, 4)
	m.FailAfter(0)
	if _, err := mm.NewSpace(m, mm.Limits{}); err == nil {
		t.Error("a space without a frame")
	}
	m.FailAfter(-1)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: mm.PageSize, Prot: rw, Flags: anon})
	if o := s.Fault(addr, true, false); o != mm.OutOfMemory {
		t.Errorf("fault without memory: %v", o)
	}
	if err := s.CopyOut(addr, []byte{1}); err != unix.ENOMEM {
		t.Errorf("copy without memory: %v", err)
	}
}
