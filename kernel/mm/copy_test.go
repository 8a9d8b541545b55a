package mm_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
	"wick/kernel/vfs"
)

var (
	_ vfs.Dst    = (*mm.Buffer)(nil)
	_ vfs.Src    = (*mm.Buffer)(nil)
	_ vfs.Memory = (*mm.Space)(nil)
)

// island maps four pages: readable and writable, two read-only, nothing after.
func island(t testing.TB) (*mmtest.Machine, *mm.Space, uint64) {
	m := mmtest.New(t, 64)
	s := m.NewSpace(mm.Limits{})
	const addr = 0x100000
	mustMap(t, s, mm.Mapping{Addr: addr, Length: 4 * mm.PageSize, Prot: rw, Flags: anon | unix.MAP_FIXED})
	if err := s.Mprotect(addr+2*mm.PageSize, 2*mm.PageSize, unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	return m, s, addr
}

func TestCopiesStopWhereMemoryEnds(t *testing.T) {
	_, s, addr := island(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), mm.PageSize/4) // four pages
	if err := s.CopyOut(addr, data); err != unix.EFAULT {
		t.Errorf("over read-only memory: %v", err)
	}
	got := make([]byte, 2*mm.PageSize)
	if err := s.CopyIn(got, addr); err != nil || !bytes.Equal(got, data[:len(got)]) {
		t.Errorf("what comes before must be stored: %v", err)
	}
	if err := s.CopyIn(make([]byte, 4*mm.PageSize+1), addr); err != unix.EFAULT {
		t.Errorf("over the end: %v", err)
	}
	for _, va := range []uint64{0, mm.TaskEnd - 1, mm.TaskEnd, 1 << 47, 0xffff800000000000, math.MaxUint64} {
		if err := s.CopyIn(make([]byte, 2), va); err != unix.EFAULT {
			t.Errorf("CopyIn from %#x: %v", va, err)
		}
		if err := s.CopyOut(va, make([]byte, 2)); err != unix.EFAULT {
			t.Errorf("CopyOut to %#x: %v", va, err)
		}
	}
	if err := s.CopyIn(nil, 0); err != nil {
		t.Errorf("nothing from nowhere: %v", err)
	}
	if err := s.Zero(addr+5, mm.PageSize); err != nil {
		t.Error(err)
	}
	if v, err := s.Uint64(addr + 3); err != nil || v != uint64(data[3])|uint64(data[4])<<8 {
		t.Errorf("after Zero: %#x, %v", v, err)
	}
	if err := s.Zero(addr+mm.PageSize, 2*mm.PageSize); err != unix.EFAULT {
		t.Error(err)
	}
}

func TestCopyInString(t *testing.T) {
	_, s, addr := island(t)
	long := strings.Repeat("x", mm.PageSize+500)
	if err := s.CopyOut(addr+100, append([]byte(long), 0)); err != nil {
		t.Fatal(err)
	}
	end := addr + 4*mm.PageSize
	tests := []struct {
		va   uint64
		max  int
		want string
		err  error
	}{
		{addr + 100, 1 << 20, long, nil},
		{addr + 100, len(long) + 1, long, nil},
		{addr + 100, len(long), "", unix.ENAMETOOLONG},
		{addr + 100 + mm.PageSize, 4096, long[mm.PageSize:], nil},
		{addr, 10, "", nil},
		{end - 1, 10, "", nil},
		{end, 10, "", unix.EFAULT},
		{0, 10, "", unix.EFAULT},
	}
	for _, test := range tests {
		if got, err := s.CopyInString(test.va, test.max); got != test.want || err != test.err {
			t.Errorf("CopyInString(%#x, %d) = %.10q, %v", test.va, test.max, got, err)
		}
	}
	// A string that runs into memory that isn't there.
	if err := s.CopyOut(addr, bytes.Repeat([]byte("y"), 2*mm.PageSize)); err != nil {
		t.Fatal(err)
	}
	if err := s.Munmap(addr+2*mm.PageSize, mm.PageSize); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CopyInString(addr, 1<<20); err != unix.EFAULT {
		t.Error(err)
	}
}

func TestWords(t *testing.T) {
	_, s, addr := island(t)
	check := func(name string, err, want error) {
		t.Helper()
		if err != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	check("store", s.StoreUint32(addr+4, 7), nil)
	v, err := s.LoadUint32(addr + 4)
	if check("load", err, nil); v != 7 {
		t.Errorf("load: %d", v)
	}
	swapped, err := s.CompareAndSwapUint32(addr+4, 7, 0xfffffffe)
	if check("swap", err, nil); !swapped {
		t.Error("not swapped")
	}
	swapped, err = s.CompareAndSwapUint32(addr+4, 7, 9)
	if check("swap", err, nil); swapped {
		t.Error("swapped though different")
	}
	check("unaligned across pages", s.PutUint64(addr+mm.PageSize-3, 0x1122334455667788), nil)
	w, err := s.Uint64(addr + mm.PageSize - 3)
	if check("read", err, nil); w != 0x1122334455667788 {
		t.Errorf("%#x", w)
	}
	check("put", s.PutUint32(addr+1, 0xaabbccdd), nil)
	v, err = s.Uint32(addr + 1)
	if check("read", err, nil); v != 0xaabbccdd {
		t.Errorf("%#x", v)
	}
	readOnly := addr + 2*mm.PageSize
	_, err = s.LoadUint32(readOnly)
	check("load read-only", err, nil)
	check("store read-only", s.StoreUint32(readOnly, 1), unix.EFAULT)
	_, err = s.CompareAndSwapUint32(readOnly, 0, 1)
	check("swap read-only", err, unix.EFAULT)
	_, err = s.LoadUint32(addr + 2)
	check("load unaligned", err, unix.EINVAL)
	check("store unaligned", s.StoreUint32(addr+1, 1), unix.EINVAL)
	_, err = s.CompareAndSwapUint32(addr+3, 0, 1)
	check("swap unaligned", err, unix.EINVAL)
	_, err = s.Uint32(0)
	check("read at 0", err, unix.EFAULT)
}

func TestBuffer(t *testing.T) {
	_, s, addr := island(t)
	ranges := []mm.Range{{Addr: 0, Len: 0}, {Addr: addr, Len: 3}, {Addr: 1, Len: 0}, {Addr: addr + mm.PageSize - 2, Len: 5}, {Addr: addr + 100, Len: 2}}
	var b mm.Buffer
	b.ResetRanges(s, ranges)
	if b.Len() != 10 {
		t.Errorf("Len %d", b.Len())
	}
	for _, part := range []string{"ab", "cdefg", "hi"} {
		if n, err := b.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
	}
	if n, err := b.Write([]byte("jk")); n != 1 || err != unix.EFAULT {
		t.Errorf("Write at the end: %d, %v", n, err)
	}
	b.ResetRanges(s, ranges)
	got, err := io.ReadAll(&b)
	if string(got) != "abcdefghij" || err != nil || b.Len() != 0 {
		t.Errorf("read %q, %v, left %d", got, err, b.Len())
	}

	b.Reset(s, addr+2*mm.PageSize-4, 8)
	if n, err := b.Write([]byte("12345678")); n != 4 || err != unix.EFAULT || b.Len() != 4 {
		t.Errorf("Write into read-only memory: %d, %v, left %d", n, err, b.Len())
	}
	b.Reset(s, addr+4*mm.PageSize-4, 8)
	if n, err := b.Read(make([]byte, 8)); n != 4 || err != unix.EFAULT {
		t.Errorf("Read over the end: %d, %v", n, err)
	}
	b.Reset(s, addr, math.MaxInt)
	if b.Len() != 0x7ffff000 {
		t.Errorf("longest: %#x", b.Len())
	}
	b.ResetRanges(s, []mm.Range{{addr, math.MaxInt64}, {addr, math.MaxUint64}})
	if b.Len() != 0x7ffff000 {
		t.Errorf("longest: %#x", b.Len())
	}
	if n, err := b.Read(make([]byte, 9)); n != 9 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := mm.NewBuffer(s, 0, 0).Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read of nothing: %d, %v", n, err)
	}
	if n, err := mm.NewBuffer(s, addr, -5).Write(nil); n != 0 || err != nil {
		t.Errorf("Write of nothing: %d, %v", n, err)
	}
}

func TestCopiesAllocateNothing(t *testing.T) {
	_, s, addr := island(t)
	data := make([]byte, 5000)
	var b mm.Buffer
	var dst io.Writer = &b
	var src io.Reader = &b
	allocs := testing.AllocsPerRun(100, func() {
		b.Reset(s, addr, len(data))
		_, err1 := dst.Write(data)
		b.Reset(s, addr, len(data))
		_, err2 := src.Read(data)
		err3 := s.CopyOut(addr, data)
		err4 := s.CopyIn(data, addr)
		err5 := s.PutUint64(addr, 1)
		_, err6 := s.Uint64(addr)
		if o := s.Fault(addr, true, false); o != mm.Handled || err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil || err6 != nil {
			t.Error("a copy failed")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestCopyInRanges(t *testing.T) {
	_, s, addr := island(t)
	put := func(ranges ...mm.Range) {
		for i, r := range ranges {
			b := binary.LittleEndian.AppendUint64(nil, r.Addr)
			b = binary.LittleEndian.AppendUint64(b, r.Len)
			if err := s.CopyOut(addr+uint64(i)*16, b); err != nil {
				t.Fatal(err)
			}
		}
	}
	many := make([]mm.Range, 20)
	for i := range many {
		many[i] = mm.Range{Addr: addr, Len: uint64(i)}
	}
	put(many...)
	if got, err := s.CopyInRanges(nil, addr, 20); err != nil || len(got) != 20 || got[19] != many[19] {
		t.Errorf("%v, %v", got, err)
	}
	for _, test := range []struct {
		name string
		n    int
		r    mm.Range
		want error
	}{
		{"none", 0, mm.Range{}, nil},
		{"negative", -1, mm.Range{}, unix.EINVAL},
		{"most", 1024, mm.Range{}, nil},
		{"too many", 1025, mm.Range{}, unix.EINVAL},
		{"length negative", 1, mm.Range{Addr: addr, Len: 1 << 63}, unix.EINVAL},
		{"in the kernel", 1, mm.Range{Addr: 0xffff800000000000, Len: 1}, unix.EFAULT},
		{"into the kernel", 1, mm.Range{Addr: mm.TaskEnd - 1, Len: 2}, unix.EFAULT},
	} {
		put(test.r)
		if _, err := s.CopyInRanges(nil, addr, test.n); err != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := s.CopyInRanges(nil, addr+4*mm.PageSize-16, 2); err != unix.EFAULT {
		t.Error(err)
	}
}

// TestCopiesFindTablesThatHaveComeAndGone copies to memory far apart whose page tables go away in between, and come back elsewhere.
func TestCopiesFindTablesThatHaveComeAndGone(t *testing.T) {
	m := mmtest.New(t, 256)
	s := m.NewSpace(mm.Limits{})
	const span = 2 << 20 // of a page table
	places := []uint64{span, 2 * span, 5 * span, 6 * span, 1 << 39, 1<<46 + span, mm.TaskEnd - mm.PageSize}
	for round := range uint64(3) {
		for _, va := range places {
			mustMap(t, s, mm.Mapping{Addr: va, Length: mm.PageSize, Prot: rw, Flags: anon | unix.MAP_FIXED})
			if got, err := s.Uint64(va); err != nil || got != 0 {
				t.Errorf("round %d: %#x is %d at first, %v", round, va, got, err)
			}
			if err := s.PutUint64(va, va+round); err != nil {
				t.Errorf("round %d: %#x: %v", round, va, err)
			}
		}
		for i := range places {
			va := places[(i*3+int(round))%len(places)]
			if got, err := s.Uint64(va); err != nil || got != va+round {
				t.Errorf("round %d: %#x is %d, %v", round, va, got, err)
			}
			if err := s.Munmap(va, mm.PageSize); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Uint64(va); err != unix.EFAULT {
				t.Errorf("round %d: %#x after munmap: %v", round, va, err)
			}
		}
	}
	s.Release()
}
