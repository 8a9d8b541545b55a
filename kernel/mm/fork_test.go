package mm_test

import (
	"bytes"
	"math/rand"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

// mustFork forks a space; the copy is released at the end of the test.
func mustFork(t testing.TB, s *mm.Space) *mm.Space {
	t.Helper()
	child, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Release)
	return child
}

// forkSteps makes random steps that mean the same to a model that is copied by its value: no shared memory, and no advice
// about forks.
func forkSteps(r *rand.Rand, n int) []byte {
	b := make([]byte, n*len(step{}))
	r.Read(b)
	for s := b; len(s) > 0; s = s[len(step{}):] {
		switch {
		case s[0]%8 == 0:
			s[4] &^= 8 // neither MAP_SHARED nor no type at all
		case s[0]%8 == 3:
			switch advices[s[3]%uint8(len(advices))] {
			case unix.MADV_DONTFORK, unix.MADV_DOFORK, unix.MADV_WIPEONFORK, unix.MADV_KEEPONFORK:
				s[3] = 0
			}
		}
	}
	return b
}

// TestForkedSpacesAgainstModel has a family of spaces do random steps, fork and end: each must always be what its model is,
// which is copied in full.
func TestForkedSpacesAgainstModel(t *testing.T) {
	for seed := range int64(40) {
		r := rand.New(rand.NewSource(seed))
		type pair struct {
			space *spaceSubject
			model *model
		}
		list := []pair{{newSpaceSubject(t, seed%2 == 0), new(model)}}
		for range 40 {
			i := r.Intn(len(list))
			p := list[i]
			compare(t, forkSteps(r, 8), p.space, p.model)
			switch {
			case r.Intn(3) == 0 && len(list) < 5:
				p.space.m.FillTLB()
				copied := *p.space
				copied.s = mustFork(t, p.space.s)
				model := *p.model
				list = append(list, pair{&copied, &model})
			case r.Intn(6) == 0 && len(list) > 1:
				p.space.m.FillTLB()
				p.space.s.Release()
				list = append(list[:i], list[i+1:]...)
			}
		}
		for _, p := range list {
			compare(t, nil, p.space, p.model)
			p.space.s.Release()
		}
	}
}

// TestForkSharesPagesUntilTheyAreWritten counts frames: a fork costs page tables only, a write one frame, and the last that has
// a page writes to it in place.
func TestForkSharesPagesUntilTheyAreWritten(t *testing.T) {
	const pages = 10
	m := mmtest.New(t, 128)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: pages * mm.PageSize, Prot: rw, Flags: anon | unix.MAP_POPULATE})
	before := m.InUse()
	child := mustFork(t, s)
	tables := m.InUse() - before
	if tables > 4 {
		t.Errorf("a fork took %d frames, want the root and three tables", tables)
	}
	if n := child.Stats().ResidentPages; n != pages {
		t.Errorf("%d pages resident, want %d", n, pages)
	}
	for i, space := range []*mm.Space{child, s} { // the second in place
		if err := space.PutUint64(addr, uint64(i)+7); err != nil {
			t.Fatal(err)
		}
		if n := m.InUse() - before - tables; n != 1 {
			t.Errorf("after write %d: %d frames more, want 1", i, n)
		}
	}
	grandchild := mustFork(t, child)
	child.Release()
	if v, err := grandchild.Uint64(addr); v != 7 || err != nil {
		t.Errorf("the grandchild reads %d, %v", v, err)
	}
	s.Release()
	if err := grandchild.PutUint64(addr+mm.PageSize, 1); err != nil {
		t.Fatal(err)
	}
	if n := m.InUse(); n != pages+tables {
		t.Errorf("%d frames in use in the end, want %d and %d", n, pages, tables)
	}
}

// TestSharedMemoryStaysSharedAfterFork: a file's and memory without a file, whenever a page is touched for the first time.
func TestSharedMemoryStaysSharedAfterFork(t *testing.T) {
	const page = mm.PageSize
	_, s, f := newSharedFile(t, 4)
	mapShared(t, s, f, sharedAt, 4, rw)
	memory := mustMap(t, s, mm.Mapping{Length: 4 * page, Prot: rw, Flags: unix.MAP_SHARED | unix.MAP_ANONYMOUS})
	s.StoreUint32(sharedAt, 1)
	s.StoreUint32(memory, 2)
	child := mustFork(t, s)
	if n := len(f.Views()); n != 2 {
		t.Errorf("the file knows of %d mappings, want 2", n)
	}
	expectWord(t, child, sharedAt, 1)
	expectWord(t, child, memory, 2)
	child.StoreUint32(sharedAt+page, 3)
	child.StoreUint32(memory+3*page, 4)
	expectWord(t, s, sharedAt+page, 3)
	expectWord(t, s, memory+3*page, 4)
	child.Mprotect(memory, page, unix.PROT_READ) // of the child alone
	s.StoreUint32(memory, 5)
	expectWord(t, child, memory, 5)
	if err := child.StoreUint32(memory, 6); err != unix.EFAULT {
		t.Errorf("a write to what was made read-only: %v", err)
	}
	if err := s.Madvise(memory, page, unix.MADV_REMOVE); err != nil {
		t.Error(err)
	}
	expectWord(t, child, memory, 0)
	s.Munmap(memory, 4*page)
	expectWord(t, child, memory+3*page, 4)
	f.Truncate(0)
	if _, err := child.LoadUint32(sharedAt); err != unix.EFAULT {
		t.Errorf("what was cut off the file is read: %v", err)
	}
	s.Release()
	child.Release()
	if n := len(f.Views()); n != 0 {
		t.Errorf("the file knows of %d mappings in the end", n)
	}
}

// TestMappedTwiceIsTheSameMemory: an old length of 0 maps shared memory once more, mremap(2); it ends where it ended at first.
func TestMappedTwiceIsTheSameMemory(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	memory := mustMap(t, s, mm.Mapping{Length: 2 * mm.PageSize, Prot: rw, Flags: unix.MAP_SHARED | unix.MAP_ANONYMOUS})
	again, err := s.Mremap(memory, 0, 3*mm.PageSize, unix.MREMAP_MAYMOVE, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.StoreUint32(again+mm.PageSize, 9)
	s.Munmap(again, mm.PageSize)
	expectWord(t, s, memory+mm.PageSize, 9)
	if o := s.Fault(again+2*mm.PageSize, true, false); o != mm.BusError {
		t.Errorf("beyond the end: %v", o)
	}
}

// TestAdviceAboutForks: MADV_DONTFORK and MADV_WIPEONFORK of madvise(2), also for a part of an area.
func TestAdviceAboutForks(t *testing.T) {
	const page = mm.PageSize
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: 5 * page, Prot: rw, Flags: anon})
	for i := range uint64(5) {
		s.StoreUint32(addr+i*page, 10)
	}
	advise := func(i uint64, advice int) {
		if err := s.Madvise(addr+i*page, page, advice); err != nil {
			t.Errorf("advice %d: %v", advice, err)
		}
	}
	advise(1, unix.MADV_DONTFORK)
	advise(2, unix.MADV_WIPEONFORK)
	advise(3, unix.MADV_DONTFORK)
	advise(3, unix.MADV_DOFORK)
	advise(4, unix.MADV_WIPEONFORK)
	advise(4, unix.MADV_KEEPONFORK)
	child := mustFork(t, s)
	if _, err := child.LoadUint32(addr + page); err != unix.EFAULT {
		t.Errorf("a page with MADV_DONTFORK: %v", err)
	}
	for i, want := range map[uint64]uint32{0: 10, 2: 0, 3: 10, 4: 10} {
		expectWord(t, child, addr+i*page, want)
		expectWord(t, s, addr+i*page, 10)
	}
	if n := s.Stats().Areas; n != 4 {
		t.Errorf("%d areas, want 4", n)
	}
}

// TestForkWithoutMemoryChangesNothing lets a fork fail at each of its allocations.
func TestForkWithoutMemoryChangesNothing(t *testing.T) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	for _, addr := range [...]uint64{1 << 20, 1 << 30, 1 << 40} {
		mustMap(t, s, mm.Mapping{Addr: addr, Length: 3 * mm.PageSize, Prot: rw, Flags: anon | unix.MAP_FIXED | unix.MAP_POPULATE})
		s.StoreUint32(addr, 5)
	}
	before := m.InUse()
	for n := 0; ; n++ {
		m.FillTLB()
		m.FailAfter(n)
		child, err := s.Fork()
		m.FailAfter(-1)
		if err == nil {
			child.Release()
			break
		}
		if err != unix.ENOMEM || m.InUse() != before {
			t.Fatalf("fork with %d frames: %v, %d frames in use, %d before", n, err, m.InUse(), before)
		}
		expectWord(t, s, 1<<30, 5)
		if err := s.StoreUint32(1<<40, uint32(n)); err != nil || m.InUse() != before {
			t.Fatalf("a write after a fork that failed: %v", err)
		}
		s.StoreUint32(1<<30, 5)
	}
}

// TestReleaseByTheLastProcess: a space that several processes have (CLONE_VM) lives as long as one of them.
func TestReleaseByTheLastProcess(t *testing.T) {
	m := mmtest.New(t, 16)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: mm.PageSize, Prot: rw, Flags: anon})
	s.Retain()
	s.Release()
	if err := s.StoreUint32(addr, 1); err != nil {
		t.Error(err)
	}
}

// TestForksOfASpaceInUse forks while threads write, read and map: no increment gets lost, a copy is what the space was at one
// moment, and a frame that is read is not freed.
func TestForksOfASpaceInUse(t *testing.T) {
	const threads, pages, rounds, forks = 4, 6, 300, 40
	m := mmtest.New(t, 2048)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: pages * mm.PageSize, Prot: rw, Flags: anon})
	steady := bytes.Repeat([]byte{0xa5}, 512)
	for i := range uint64(pages) {
		s.CopyOut(addr+i*mm.PageSize+2048, steady)
	}
	parallel(threads+2, func(i int) {
		switch i {
		case threads:
			for range forks {
				child, err := s.Fork()
				if err != nil {
					t.Error(err)
					return
				}
				va := addr + mm.PageSize
				first, _ := child.LoadUint32(va)
				child.StoreUint32(va+8, 1)
				if again, err := child.LoadUint32(va); again != first || err != nil {
					t.Errorf("a copy changed from %d to %d, %v", first, again, err)
				}
				child.Release()
			}
		case threads + 1:
			got := make([]byte, len(steady))
			for n := range uint64(rounds) {
				if err := s.CopyIn(got, addr+n%pages*mm.PageSize+2048); err != nil || !bytes.Equal(got, steady) {
					t.Errorf("memory that nobody writes has changed, %v", err)
				}
			}
		default:
			for n := range uint64(rounds) {
				for va := addr + n%pages*mm.PageSize; ; {
					old, err := s.LoadUint32(va)
					if err != nil {
						t.Error(err)
						return
					}
					if swapped, err := s.CompareAndSwapUint32(va, old, old+1); swapped || err != nil {
						break
					}
				}
			}
		}
	})
	for i := range uint64(pages) {
		expectWord(t, s, addr+i*mm.PageSize, threads*rounds/pages)
	}
}

func TestPrivateIsWhatTheEndOfASpaceFrees(t *testing.T) {
	m := mmtest.New(t, 256)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: 16 * mm.PageSize, Prot: rw, Flags: anon})
	touch := func(s *mm.Space, from, to int) {
		t.Helper()
		for i := to - 1; i >= from; i-- { // from top to bottom: nothing is filled ahead
			if err := s.PutUint64(addr+uint64(i)*mm.PageSize, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func(what string, s *mm.Space, want uint64) {
		t.Helper()
		if got := s.Private(); got != want {
			t.Errorf("%s: %d pages, want %d", what, got, want)
		}
	}
	expect("untouched", s, 0)
	s.Fault(addr+15*mm.PageSize, false, false)
	expect("only read", s, 1) // the page table
	touch(s, 0, 5)
	expect("written", s, 6)
	child, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	expect("shared since a fork", s, 1)
	expect("shared since a fork", child, 1)
	touch(child, 3, 8)
	expect("two copied by the other", s, 3)
	expect("two copied, three new", child, 6)
	child.Release()
	expect("with the other gone", s, 6)
	expect("gone itself", child, 0)
}

func TestPrivateCountsSharedMemoryThatNobodyElseHas(t *testing.T) {
	m := mmtest.New(t, 256)
	s := m.NewSpace(mm.Limits{})
	addr := mustMap(t, s, mm.Mapping{Length: 8 * mm.PageSize, Prot: rw, Flags: unix.MAP_SHARED | unix.MAP_ANONYMOUS})
	for i := range uint64(5) {
		if err := s.PutUint64(addr+i*mm.PageSize, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Munmap(addr+6*mm.PageSize, mm.PageSize); err != nil { // two areas of it
		t.Fatal(err)
	}
	const table = 1
	if got := s.Private(); got != 5+table {
		t.Errorf("%d pages", got)
	}
	child, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := s.Private(), child.Private(); a != table || b > table {
		t.Errorf("shared since a fork: %d and %d pages", a, b)
	}
	child.Release()
	if got := s.Private(); got != 5+table {
		t.Errorf("with the other gone: %d pages", got)
	}
}
