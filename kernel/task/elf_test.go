package task

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

// elfFile is an ELF file to be made for a test.
type elfFile struct {
	kind    uint16
	machine uint16
	entry   uint64
	headers []elfHeader
	size    int // length of the file; the rest of it is a pattern
}

type elfHeader struct {
	kind, flags         uint32
	off, vaddr          uint64
	filesz, memsz, size uint64 // size is the alignment
}

// bytes puts the file together.
func (f elfFile) bytes() []byte {
	le := binary.LittleEndian
	b := make([]byte, f.size)
	for i := range b {
		b[i] = byte(i/mm.PageSize + i)
	}
	copy(b, "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	le.PutUint16(b[16:], f.kind)
	le.PutUint16(b[18:], f.machine)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], f.entry)
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], uint16(len(f.headers)))
	for i, h := range f.headers {
		p := b[64+56*i:]
		le.PutUint32(p, h.kind)
		le.PutUint32(p[4:], h.flags)
		for j, v := range []uint64{h.off, h.vaddr, h.vaddr, h.filesz, h.memsz, h.size} {
			le.PutUint64(p[8+8*j:], v)
		}
	}
	return b
}

// goodELF is a program as linkers make them: text, and data with zero-initialised memory after it.
func goodELF() elfFile {
	return elfFile{
		kind: etExec, machine: emX86_64, entry: 0x400100, size: 0x3000,
		headers: []elfHeader{
			{ptLoad, pfR | pfX, 0, 0x400000, 0x1800, 0x1800, 0x1000},
			{ptLoad, pfR | pfW, 0x1800, 0x402800, 0x1000, 0x4000, 0x1000},
			{ptGNUStack, pfR | pfW, 0, 0, 0, 0, 16},
		},
	}
}

// load loads a file into a new space.
func load(t testing.TB, m *mmtest.Machine, data []byte, inPlace bool, argv, envp []string) (s *mm.Space, entry, sp uint64, err error) {
	s = m.NewSpace(mm.Limits{Commit: 1 << 40})
	file := m.NewFile(data, inPlace)
	entry, sp, err = Load(s, Image{Path: "/bin/prog", File: file, Size: file.Size()}, argv, envp, AuxInfo{UID: 7, HWCap: 0x1234})
	return s, entry, sp, err
}

func TestLoadMapsSegments(t *testing.T) {
	for _, inPlace := range []bool{true, false} {
		m := mmtest.New(t, 256)
		f := goodELF()
		data := f.bytes()
		s, entry, _, err := load(t, m, data, inPlace, []string{"prog"}, nil)
		if err != nil || entry != 0x400100 {
			t.Fatalf("Load: entry %#x, %v", entry, err)
		}
		var got []mm.AreaInfo
		for _, a := range s.Maps() {
			got = append(got, a)
		}
		want := []mm.AreaInfo{
			{Start: 0x400000, End: 0x402000, Prot: unix.PROT_READ | unix.PROT_EXEC, Name: "/bin/prog"},
			{Start: 0x402000, End: 0x404000, Prot: unix.PROT_READ | unix.PROT_WRITE, Offset: 0x1000, Name: "/bin/prog"},
			{Start: 0x404000, End: 0x407000, Prot: unix.PROT_READ | unix.PROT_WRITE},
			{Start: mm.TaskEnd - 8<<20, End: mm.TaskEnd, Prot: unix.PROT_READ | unix.PROT_WRITE, Name: "[stack]"},
		}
		if len(got) != len(want) {
			t.Fatalf("areas %+v", got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("area %d: %+v, want %+v", i, got[i], want[i])
			}
		}
		memory := make([]byte, 0x4000)
		if err := s.CopyIn(memory, 0x402800); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(memory[:0x1000], data[0x1800:0x2800]) || len(bytes.Trim(memory[0x1000:], "\x00")) != 0 {
			t.Error("the data segment isn't what the file says")
		}
		text := make([]byte, 0x1800)
		if err := s.CopyIn(text, 0x400000); err != nil || !bytes.Equal(text, data[:0x1800]) {
			t.Errorf("the text segment isn't what the file says: %v", err)
		}
		if brk := s.Brk(0); brk != 0x407000 {
			t.Errorf("break at %#x", brk)
		}
		if o := s.Fault(0x402800, false, true); o != mm.AccessError {
			t.Errorf("fetch from data: %v", o)
		}
		if o := s.Fault(mm.TaskEnd-8, false, true); o != mm.AccessError {
			t.Errorf("fetch from the stack: %v", o)
		}
	}
}

func TestLoadZeroesTheTailOfAReadOnlySegment(t *testing.T) {
	m := mmtest.New(t, 256)
	f := goodELF()
	f.headers[1].flags = pfR
	s, _, _, err := load(t, m, f.bytes(), true, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var tail [16]byte
	if err := s.CopyIn(tail[:], 0x403800); err != nil || tail != [16]byte{} {
		t.Errorf("tail % x, %v", tail, err)
	}
	if o := s.Fault(0x403800, true, false); o != mm.AccessError {
		t.Errorf("write: %v", o)
	}
}

func TestLoadPIE(t *testing.T) {
	m := mmtest.New(t, 256)
	f := goodELF()
	f.kind, f.entry = etDyn, 0x100
	f.headers[0].vaddr, f.headers[1].vaddr = 0, 0x2800
	f.headers[1].size = 0x200000
	f.headers = append(f.headers, elfHeader{kind: ptPhdr, vaddr: 64})
	s, entry, sp, err := load(t, m, f.bytes(), true, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	const base = 0x555555600000 // PIEBase at the alignment
	if entry != base+0x100 {
		t.Errorf("entry %#x", entry)
	}
	if v := readStack(t, s, sp); v.aux[atPhdr] != base+64 || v.aux[atEntry] != entry || v.aux[atPhnum] != 4 {
		t.Errorf("aux %#x", v.aux)
	}
	if brk := s.Brk(0); brk != base+0x7000 {
		t.Errorf("break %#x", brk)
	}
}

func TestLoadMovesThingsAtRandom(t *testing.T) {
	f := goodELF()
	f.kind, f.entry = etDyn, 0x100
	f.headers[0].vaddr, f.headers[1].vaddr = 0, 0x2800
	data := f.bytes()
	place := func(pick func(uint64) uint64) (entry, sp, brk uint64) {
		m := mmtest.New(t, 1000)
		s := m.NewSpace(mm.Limits{Pick: pick})
		file := m.NewFile(data, true)
		entry, sp, err := Load(s, Image{Path: "/bin/prog", File: file, Size: file.Size()}, []string{"a"}, nil, AuxInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if v := readStack(t, s, sp); len(v.argv) != 1 || v.argv[0] != "a" || sp%16 != 0 {
			t.Errorf("SP %#x, arguments %q", sp, v.argv)
		}
		return entry, sp, s.Brk(0)
	}
	entry, sp, brk := place(nil)
	movedEntry, movedSP, movedBrk := place(func(n uint64) uint64 { return 1 })
	if movedEntry != entry+mm.PageSize || movedBrk != brk+2*mm.PageSize || movedSP != sp-mm.PageSize-16 {
		t.Errorf("entry %#x, SP %#x, break %#x; without %#x, %#x, %#x", movedEntry, movedSP, movedBrk, entry, sp, brk)
	}
}

func TestLoadErrors(t *testing.T) {
	tests := []struct {
		name   string
		change func(f *elfFile)
		patch  func(b []byte) []byte
		want   string
	}{
		{"empty", nil, func([]byte) []byte { return nil }, "is empty"},
		{"text", nil, func([]byte) []byte { return []byte("hello") }, "is not an ELF program"},
		{"script", nil, func([]byte) []byte { return []byte("#!/bin/sh\n") }, "is a script, not an ELF program"},
		{"short", nil, func(b []byte) []byte { return b[:40] }, "is cut off: its ELF header is incomplete"},
		{"32 bit", nil, func(b []byte) []byte { b[4] = 1; return b }, "is a 32-bit program: build it for x86-64"},
		{"big endian", nil, func(b []byte) []byte { b[5] = 2; return b }, "is a big-endian program: build it for x86-64"},
		{"arm", func(f *elfFile) { f.machine = 183 }, nil, "is built for ARM64: build it for x86-64"},
		{"alpha", func(f *elfFile) { f.machine = 0x9026 }, nil, "is built for another processor (ELF machine 36902): build it for x86-64"},
		{"object", func(f *elfFile) { f.kind = etRel }, nil, "is an object file: link it"},
		{"core", func(f *elfFile) { f.kind = etCore }, nil, "is a core dump, not a program"},
		{"type", func(f *elfFile) { f.kind = 9 }, nil, "is an ELF file of an unknown type (9)"},
		{"no headers", func(f *elfFile) { f.headers = nil }, nil, "has no program headers: it is no executable program"},
		{"header size", nil, func(b []byte) []byte { b[54] = 55; return b }, "has a broken program header table"},
		{"header place", nil, func(b []byte) []byte { b[39] = 0xff; return b }, "is cut off: its program headers are beyond the end of the file"},
		{"dynamic", func(f *elfFile) {
			f.headers = append(f.headers, elfHeader{kind: ptInterp, off: 0x1000, filesz: 28})
		}, func(b []byte) []byte { copy(b[0x1000:], "/lib64/ld-linux-x86-64.so.2\x00"); return b },
			"is dynamically linked (interpreter /lib64/ld-linux-x86-64.so.2): link it statically"},
		{"odd interpreter", func(f *elfFile) {
			f.headers = append(f.headers, elfHeader{kind: ptInterp, off: 0x1000, filesz: 5})
		}, func(b []byte) []byte { copy(b[0x1000:], "\x1b[31m"); return b },
			`is dynamically linked (interpreter "\x1b[31m"): link it statically`},
		{"interpreter outside", func(f *elfFile) {
			f.headers = append(f.headers, elfHeader{kind: ptInterp, off: 1 << 63, filesz: 1 << 63})
		}, nil, `is dynamically linked (interpreter ): link it statically`},
		{"nothing to load", func(f *elfFile) { f.headers = f.headers[2:] }, nil, "has nothing to load: it is no executable program"},
		{"file longer", func(f *elfFile) { f.headers[1].memsz = 1 }, nil, "has a broken segment at 0x402800: it is longer in the file than in memory"},
		{"cut off", nil, func(b []byte) []byte { return b[:0x2000] }, "has a broken segment at 0x402800: the file is cut off before its end"},
		{"huge", func(f *elfFile) { f.headers[1].memsz = 1 << 63 }, nil, "has a broken segment at 0x402800: it ends outside the user addresses"},
		{"misplaced", func(f *elfFile) { f.headers[1].vaddr++ }, nil, "has a broken segment at 0x402801: address and offset in the file don't agree on their place in a page"},
		{"alignment", func(f *elfFile) { f.headers[1].size = 0x3000 }, nil, "has a broken segment at 0x402800: its alignment 0x3000 makes no sense"},
		{"entry", func(f *elfFile) { f.entry = 0x100 }, nil, "has its entry point 0x100 outside its segments"},
		{"low", func(f *elfFile) { f.headers[0].vaddr, f.entry = 0x1000, 0x1100 }, nil, "has a segment outside the user addresses: 0x1000 to 0x406800"},
		{"over the stack", func(f *elfFile) { f.headers[1].vaddr = mm.TaskEnd - 0x4800 }, nil, "has a segment outside the user addresses: 0x400000 to 0x7fffffffe800"},
		{"too big", func(f *elfFile) { f.headers[1].memsz = 1 << 41 }, nil, "needs more memory than there is"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := goodELF()
			if test.change != nil {
				test.change(&f)
			}
			data := f.bytes()
			if test.patch != nil {
				data = test.patch(data)
			}
			_, _, _, err := load(t, mmtest.New(t, 256), data, true, []string{"prog"}, nil)
			if err == nil || err.Error() != "/bin/prog "+test.want {
				t.Errorf("got  %v\nwant /bin/prog %s", err, test.want)
			}
			if !errors.Is(err, unix.ENOEXEC) && !errors.Is(err, unix.ENOMEM) {
				t.Errorf("errno of %v", err)
			}
		})
	}
}

// stackVectors is the initial stack as a program finds it.
type stackVectors struct {
	argv, envp []string
	aux        map[uint64]uint64
}

func readStack(t testing.TB, s *mm.Space, sp uint64) (v stackVectors) {
	t.Helper()
	if sp%16 != 0 {
		t.Errorf("the stack pointer %#x is not aligned", sp)
	}
	next := func() uint64 {
		w, err := s.Uint64(sp)
		if err != nil {
			t.Fatal(err)
		}
		sp += 8
		return w
	}
	list := func() (texts []string) {
		for {
			p := next()
			if p == 0 {
				return texts
			}
			text, err := s.CopyInString(p, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text)
		}
	}
	argc := next()
	v.argv, v.envp = list(), list()
	if argc != uint64(len(v.argv)) {
		t.Errorf("argc %d, argv %q", argc, v.argv)
	}
	v.aux = make(map[uint64]uint64)
	for {
		kind, value := next(), next()
		if kind == atNull {
			return v
		}
		v.aux[kind] = value
	}
}

func TestInitialStack(t *testing.T) {
	for n := range 4 { // the alignment of SP must not depend on the number of words
		m := mmtest.New(t, 256)
		argv := []string{"prog", "", "two words"}[:min(n, 3)]
		envp := []string{"A=1", "LONG=" + strings.Repeat("x", 5000), "C="}[:n/2]
		s, entry, sp, err := load(t, m, goodELF().bytes(), true, argv, envp)
		if err != nil {
			t.Fatal(err)
		}
		v := readStack(t, s, sp)
		if strings.Join(v.argv, "|") != strings.Join(argv, "|") || strings.Join(v.envp, "|") != strings.Join(envp, "|") {
			t.Errorf("argv %q, envp %.20q", v.argv, v.envp)
		}
		want := map[uint64]uint64{
			atPhdr: 0x400040, atPhent: 56, atPhnum: 3, atPagesz: 4096, atBase: 0, atFlags: 0, atEntry: entry,
			atUID: 7, atEUID: 0, atGID: 0, atEGID: 0, atSecure: 0, atHWCap: 0x1234, atHWCap2: 0, atClkTck: 100,
		}
		for kind, value := range want {
			if got, ok := v.aux[kind]; !ok || got != value {
				t.Errorf("aux entry %d: %#x, present %v, want %#x", kind, got, ok, value)
			}
		}
		if p, _ := s.CopyInString(v.aux[atPlatform], 100); p != "x86_64" {
			t.Errorf("platform %q", p)
		}
		if p, _ := s.CopyInString(v.aux[atExecFn], 100); p != "/bin/prog" {
			t.Errorf("execfn %q", p)
		}
		if v.aux[atRandom]%16 != 0 && v.aux[atRandom] == 0 {
			t.Errorf("random at %#x", v.aux[atRandom])
		}
	}
}

func TestArgumentLimits(t *testing.T) {
	tests := []struct {
		name string
		argv []string
		want unix.Errno
	}{
		{"longest", []string{strings.Repeat("a", 128<<10-1)}, 0},
		{"too long", []string{strings.Repeat("a", 128<<10)}, unix.E2BIG},
		{"too many", make([]string, 2<<20/9+1), unix.E2BIG},
		{"zero byte", []string{"a\x00b"}, unix.EINVAL},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, _, err := load(t, mmtest.New(t, 1024), goodELF().bytes(), true, test.argv, nil)
			if test.want == 0 && err != nil || test.want != 0 && !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestLoadWithoutMemory(t *testing.T) {
	data := goodELF().bytes()
	for n := range 12 {
		m := mmtest.New(t, 256)
		s := m.NewSpace(mm.Limits{})
		file := m.NewFile(data, true)
		m.FailAfter(n)
		_, _, err := Load(s, Image{Path: "/bin/prog", File: file, Size: file.Size()}, []string{"prog"}, nil, AuxInfo{})
		if err != nil && !errors.Is(err, unix.ENOMEM) {
			t.Errorf("with %d frames: %v", n, err)
		}
		if n == 0 && err == nil {
			t.Error("loading without a frame works")
		}
	}
}

// TestLoadCompiledPrograms loads what a C compiler makes.
func TestLoadCompiledPrograms(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "a.c")
	if err := os.WriteFile(source, []byte("static char b[100000]; int x = 7; int main(void) { return b[x]; }\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"-static", "-static-pie", "-no-pie"} {
		t.Run(mode, func(t *testing.T) {
			out := filepath.Join(dir, "a"+mode)
			if text, err := exec.Command(gcc, mode, "-o", out, source).CombinedOutput(); err != nil {
				t.Skipf("gcc: %s", text)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			m := mmtest.New(t, len(data)/mm.PageSize+256)
			s, entry, sp, err := load(t, m, data, true, []string{"a"}, nil)
			if mode == "-no-pie" {
				if err == nil || !strings.Contains(err.Error(), "is dynamically linked (interpreter /lib64/ld-linux-x86-64.so.2)") {
					t.Errorf("a dynamic program: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if o := s.Fault(entry, false, true); o != mm.Handled {
				t.Errorf("entry %#x: %v", entry, o)
			}
			v := readStack(t, s, sp)
			kind, err := s.Uint32(v.aux[atPhdr])
			if err != nil || kind == 0 || kind > 7 && kind < 0x60000000 {
				t.Errorf("AT_PHDR %#x: type %#x, %v", v.aux[atPhdr], kind, err)
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(goodELF().bytes())
	pie := goodELF()
	pie.kind = etDyn
	f.Add(pie.bytes())
	interp := goodELF()
	interp.headers = append(interp.headers, elfHeader{kind: ptInterp, off: 0x1000, filesz: 20})
	f.Add(interp.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		m := mmtest.New(t, 64)
		_, entry, sp, err := load(t, m, data, len(data)%2 == 0, []string{"prog"}, []string{"A=1"})
		if err != nil {
			var l *LoadError
			if !errors.As(err, &l) || strings.Contains(l.Error(), "\n") {
				t.Errorf("%v", err)
			}
			return
		}
		if entry < mm.MinAddr || entry >= mm.TaskEnd || sp%16 != 0 {
			t.Errorf("entry %#x, stack %#x", entry, sp)
		}
	})
}
