package mm_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

// Random sequences of operations are done to a Space, to a model that is as simple as can be, and to
// Linux itself, in the same small window of addresses. All must say and do the same.

const (
	windowBase  = 0x200000000 + 500*mm.PageSize // so that the window crosses a page table's border
	windowPages = 24
	windowEnd   = windowBase + windowPages*mm.PageSize
	guardPages  = 16 // PROT_NONE on both sides of the window

	filePages = 6 // of the file that is mapped; the last page is only half there
	fileSize  = filePages*mm.PageSize - mm.PageSize/2
	markAt    = 7 // the byte of each page that is written and read
)

// fileData is the file: page i has the byte 'a'+i everywhere.
func fileData() []byte {
	b := make([]byte, fileSize)
	for i := range b {
		b[i] = byte('a' + i/mm.PageSize)
	}
	return b
}

// subject is something that the operations are done to.
type subject interface {
	mmap(addr, length uint64, prot, flags int, file bool, off uint64) (uint64, error)
	munmap(addr, length uint64) error
	mprotect(addr, length uint64, prot int) error
	madvise(addr, length uint64, advice int) error
	mremap(addr, oldLength, newLength uint64, flags int, newAddr uint64) (uint64, error)
	msync(addr, length uint64, flags int) error
	write(addr uint64, b byte) error
	read(addr uint64) (byte, error)
	pages() [windowPages]pageState
	// single tells whether [addr, addr+length) lies in one area, or addr in none.
	single(addr, length uint64) bool
}

// pageState is what is visible of a page.
type pageState struct {
	mapped, shared, file bool
	prot                 int
	off                  uint64 // of a file
}

// step is one operation: six bytes from the fuzzer.
type step [6]byte

// address and length pick a page of the window, and now and then something odd.
func (s step) address(i int) uint64 {
	b := s[i]
	addr := windowBase + uint64(b%windowPages)*mm.PageSize
	if b >= 240 {
		return addr + uint64(b)
	}
	return addr
}

func (s step) length(i int, addr uint64) uint64 {
	b := s[i]
	switch {
	case b == 255:
		return 0
	case b == 254: // nothing that is merely huge: it would reach what the test process needs
		return ^uint64(0) - 100
	}
	n := 1 + uint64(b%8)
	if addr < windowEnd {
		n = min(n, max(1, (windowEnd-addr)/mm.PageSize))
	}
	n *= mm.PageSize
	if b >= 200 {
		n -= 1000 // rounded up
	}
	return n
}

// prot picks access rights, but not PROT_EXEC alone: with protection keys Linux makes that unreadable.
func (s step) prot() int {
	if prot := int(s[3] % 8); prot != unix.PROT_EXEC {
		return prot
	}
	return unix.PROT_NONE
}

var advices = [...]int{
	unix.MADV_DONTNEED, unix.MADV_NORMAL, unix.MADV_WILLNEED, unix.MADV_REMOVE, unix.MADV_DONTFORK, unix.MADV_DOFORK,
	unix.MADV_DONTDUMP, unix.MADV_DODUMP, unix.MADV_COLD, unix.MADV_PAGEOUT, unix.MADV_POPULATE_READ, unix.MADV_POPULATE_WRITE,
	unix.MADV_WIPEONFORK, unix.MADV_KEEPONFORK, 77, -1,
}

// do does one step and tells its outcome.
func (s step) do(t subject) string {
	addr := s.address(1)
	length := s.length(2, addr)
	switch s[0] % 8 {
	case 0:
		return s.doMmap(t, addr, length)
	case 1:
		return fmt.Sprintf("munmap(%#x, %#x) = %v", addr, length, t.munmap(addr, length))
	case 2:
		prot := s.prot()
		if s[3] >= 230 {
			prot = 0x40
		}
		return fmt.Sprintf("mprotect(%#x, %#x, %d) = %v", addr, length, prot, t.mprotect(addr, length, prot))
	case 3:
		advice := advices[s[3]%uint8(len(advices))]
		return fmt.Sprintf("madvise(%#x, %#x, %d) = %v", addr, length, advice, t.madvise(addr, length, advice))
	case 4:
		return s.doMremap(t, addr, length)
	case 5:
		flags := int(s[3] % 9)
		return fmt.Sprintf("msync(%#x, %#x, %d) = %v", addr, length, flags, t.msync(addr, length, flags))
	}
	at := addr&^(mm.PageSize-1) + markAt
	if s[0]%8 == 6 {
		return fmt.Sprintf("write(%#x) = %v", at, t.write(at, s[3]))
	}
	b, err := t.read(at)
	return fmt.Sprintf("read(%#x) = %d, %v", at, b, err)
}

func (s step) doMmap(t subject, addr, length uint64) string {
	prot := s.prot()
	flags := [...]int{unix.MAP_FIXED, unix.MAP_FIXED, unix.MAP_FIXED_NOREPLACE, 0}[s[4]%4]
	kinds := [...]int{unix.MAP_PRIVATE, unix.MAP_PRIVATE, unix.MAP_SHARED, 0}
	flags |= kinds[s[4]/4%4]
	if s[4]/16%4 == 1 {
		flags |= unix.MAP_POPULATE
	}
	file := s[5]%3 == 0
	var off uint64
	if file {
		off = uint64(s[5]/3%9) * mm.PageSize
		if flags&unix.MAP_SHARED != 0 {
			prot &^= unix.PROT_WRITE // a departure from Linux that is known
		}
	} else {
		flags |= unix.MAP_ANONYMOUS
	}
	got, err := t.mmap(addr, length, prot, flags, file, off)
	where := fmt.Sprintf("%#x", got)
	if err == nil && (got < windowBase || got >= windowEnd) {
		where = "elsewhere"
		if err := t.munmap(got, length); err != nil {
			where = err.Error()
		}
	}
	return fmt.Sprintf("mmap(%#x, %#x, %d, %#x, %v, %#x) = %s, %v", addr, length, prot, flags, file, off, where, err)
}

func (s step) doMremap(t subject, addr, length uint64) string {
	to := s.address(3)
	newLength := s.length(4, addr)
	flags := [...]int{
		0, unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED, unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED, unix.MREMAP_FIXED, 8,
		unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED | unix.MREMAP_DONTUNMAP,
	}[s[5]%6]
	if flags&unix.MREMAP_FIXED != 0 {
		newLength = s.length(4, to)
	}
	if flags&unix.MREMAP_DONTUNMAP != 0 && s[5] >= 64 {
		newLength = length
	}
	got, err := t.mremap(addr, length, newLength, flags, to)
	return fmt.Sprintf("mremap(%#x, %#x, %#x, %d, %#x) = %#x, %v", addr, length, newLength, flags, to, got, err)
}

// canCompareMremap tells whether both subjects must do the same. What can be one area, and moved as one,
// differs between versions of Linux. The model doesn't know that shared anonymous memory has an end, and can be mapped twice.
func (s step) canCompareMremap(a, b subject) bool {
	addr := s.address(1)
	length := s.length(2, addr)
	if addr < windowEnd {
		_, simple := a.(*model)
		if _, ok := b.(*model); ok {
			simple = true
		}
		if p := a.pages()[(addr-windowBase)/mm.PageSize]; simple && p.shared && !p.file {
			return false
		}
	}
	return a.single(addr, length) && b.single(addr, length)
}

// compare does the steps to both subjects and fails the test where they differ.
func compare(t *testing.T, data []byte, a, b subject) {
	t.Helper()
	var log []string
	for ; len(data) >= len(step{}); data = data[len(step{}):] {
		s := step(data)
		if s[0]%8 == 4 && !s.canCompareMremap(a, b) {
			continue
		}
		x, y := s.do(a), s.do(b)
		log = append(log, x)
		if x != y {
			t.Fatalf("%s\n%T: %s\n%T: %s\n%s", lastOf(log), a, x, b, y, states(a, b))
		}
	}
	x, y := a.pages(), b.pages()
	for i := range x {
		addr := windowBase + uint64(i)*mm.PageSize
		if x[i] != y[i] {
			t.Fatalf("%s\npage %#x\n%T: %+v\n%T: %+v", lastOf(log), addr, a, x[i], b, y[i])
		}
		p, errP := a.read(addr + markAt)
		q, errQ := b.read(addr + markAt)
		if p != q || errP != errQ {
			t.Fatalf("%s\npage %#x holds\n%T: %d, %v\n%T: %d, %v", lastOf(log), addr, a, p, errP, b, q, errQ)
		}
	}
}

// states shows the pages of both subjects.
func states(a, b subject) (text string) {
	x, y := a.pages(), b.pages()
	for i := range x {
		text += fmt.Sprintf("%#x %+v\t%+v\n", windowBase+i*mm.PageSize, x[i], y[i])
	}
	return text
}

// lastOf returns the end of a log, in lines.
func lastOf(log []string) (text string) {
	for _, line := range log[max(0, len(log)-40):] {
		text += line + "\n"
	}
	return text
}

// spaceSubject is a Space on a fake machine, whose CPU has looked at everything before each change.
type spaceSubject struct {
	m    *mmtest.Machine
	s    *mm.Space
	file *mmtest.File
}

func newSpaceSubject(t testing.TB, inPlace bool) *spaceSubject {
	m := mmtest.New(t, 256)
	s := m.NewSpace(mm.Limits{})
	for _, addr := range [...]uint64{windowBase - guardPages*mm.PageSize, windowEnd} {
		mustMap(t, s, mm.Mapping{Addr: addr, Length: guardPages * mm.PageSize, Flags: anon | unix.MAP_FIXED})
	}
	return &spaceSubject{m, s, m.NewFile(fileData(), inPlace)}
}

func (x *spaceSubject) mmap(addr, length uint64, prot, flags int, file bool, off uint64) (uint64, error) {
	x.m.FillTLB()
	m := mm.Mapping{Addr: addr, Length: length, Prot: prot, Flags: flags, Offset: off}
	if file {
		m.Backing, m.Name = x.file, "file"
	}
	return x.s.Mmap(m)
}

func (x *spaceSubject) munmap(addr, length uint64) error {
	x.m.FillTLB()
	return x.s.Munmap(addr, length)
}

func (x *spaceSubject) mprotect(addr, length uint64, prot int) error {
	x.m.FillTLB()
	return x.s.Mprotect(addr, length, prot)
}

func (x *spaceSubject) madvise(addr, length uint64, advice int) error {
	x.m.FillTLB()
	return x.s.Madvise(addr, length, advice)
}

func (x *spaceSubject) mremap(addr, oldLength, newLength uint64, flags int, newAddr uint64) (uint64, error) {
	x.m.FillTLB()
	return x.s.Mremap(addr, oldLength, newLength, flags, newAddr)
}

func (x *spaceSubject) msync(addr, length uint64, flags int) error {
	return x.s.Msync(addr, length, flags)
}

// write and read go through the CPU and its TLB, or through the copies of the kernel, in turns.
func (x *spaceSubject) write(addr uint64, b byte) error {
	if b&1 == 0 {
		return x.s.CopyOut(addr, []byte{b})
	}
	p, outcome := x.m.Touch(x.s, addr, true, false)
	if outcome != mm.Handled {
		return unix.EFAULT
	}
	p[addr%mm.PageSize] = b
	return nil
}

func (x *spaceSubject) read(addr uint64) (byte, error) {
	var b [1]byte
	err := x.s.CopyIn(b[:], addr)
	p, outcome := x.m.Touch(x.s, addr, false, false)
	if (err == nil) != (outcome == mm.Handled) {
		return 0, fmt.Errorf("copy: %v, fault: %v", err, outcome)
	}
	if err == nil && p[addr%mm.PageSize] != b[0] {
		return 0, fmt.Errorf("CPU reads %d, kernel %d", p[addr%mm.PageSize], b[0])
	}
	return b[0], err
}

func (x *spaceSubject) pages() (pages [windowPages]pageState) {
	for _, a := range x.s.Maps() {
		for va := max(a.Start, windowBase); va < min(a.End, windowEnd); va += mm.PageSize {
			p := &pages[(va-windowBase)/mm.PageSize]
			*p = pageState{mapped: true, shared: a.Shared, file: a.Name != "", prot: a.Prot}
			if p.file {
				p.off = uint64(a.Offset) + va - a.Start
			}
		}
	}
	return pages
}

func (x *spaceSubject) single(addr, length uint64) bool {
	for _, a := range x.s.Maps() {
		if a.Start <= addr && addr < a.End {
			return length <= a.End-addr
		}
	}
	return true
}
