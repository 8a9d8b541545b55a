package vdso

import (
	"bytes"
	"debug/elf"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
)

// testEntry is the distance of entry points in the tests.
const testEntry = 16

func testCode() []byte {
	code := make([]byte, 512)
	for i := range code {
		code[i] = byte(i / testEntry)
	}
	return code
}

func testImage(t *testing.T) []byte {
	t.Helper()
	image, err := Image(testCode(), testEntry)
	if err != nil {
		t.Fatal(err)
	}
	if len(image) != mm.PageSize {
		t.Fatalf("%d bytes", len(image))
	}
	return image
}

// TestImageAsELF has another reader of ELF files say what is in the image.
func TestImageAsELF(t *testing.T) {
	image := testImage(t)
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_DYN || f.Machine != elf.EM_X86_64 || f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB {
		t.Errorf("%+v", f.FileHeader)
	}
	if names, err := f.DynString(elf.DT_SONAME); err != nil || len(names) != 1 || names[0] != soname {
		t.Errorf("soname %q, %v", names, err)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	text := f.Section(".text")
	got := map[string]elf.Symbol{}
	for _, s := range symbols {
		got[s.Name] = s
		if s.Version != version || s.VersionIndex.IsHidden() || elf.ST_TYPE(s.Info) != elf.STT_FUNC || f.Sections[s.Section] != text {
			t.Errorf("symbol %+v", s)
		}
	}
	if len(got) != 2*len(Functions) || len(symbols) != len(got) {
		t.Errorf("%d symbols, want %d: %+v", len(symbols), 2*len(Functions), symbols)
	}
	for i, name := range Functions {
		strong, weak := got["__vdso_"+name], got[name]
		if strong.Value != text.Addr+uint64(i*testEntry) || weak.Value != strong.Value {
			t.Errorf("%s is at %#x and %#x; the code is at %#x", name, strong.Value, weak.Value, text.Addr)
		}
		if elf.ST_BIND(strong.Info) != elf.STB_GLOBAL || elf.ST_BIND(weak.Info) != elf.STB_WEAK {
			t.Errorf("%s: bindings of %+v, %+v", name, strong, weak)
		}
	}
	if code, err := text.Data(); err != nil || !bytes.Equal(code, testCode()) {
		t.Errorf("the code is not in .text: %v", err)
	}
	if versions, err := f.DynamicVersions(); err != nil || len(versions) != 2 || versions[1].Name != version {
		t.Errorf("versions %+v, %v", versions, err)
	}
	if len(f.Progs) != 2 || f.Progs[0].Type != elf.PT_LOAD || f.Progs[0].Flags != elf.PF_R|elf.PF_X || f.Progs[0].Memsz != mm.PageSize {
		t.Errorf("segments %+v", f.Progs)
	}
}

// loader finds functions in a loaded image as run-time libraries of programs do, which look at segments, never at sections: by
// the dynamic table, its hash table, and the versions.
type loader struct {
	image                                        []byte
	symtab, strtab, hash, versym, verdef, loaded uint64
}

func newLoader(t *testing.T, image []byte) *loader {
	l := &loader{image: image}
	var dynamic uint64
	for i := uint64(0); i < uint64(le.Uint16(image[56:])); i++ {
		ph := image[le.Uint64(image[32:])+i*uint64(le.Uint16(image[54:])):]
		switch le.Uint32(ph) {
		case ptLoad:
			l.loaded = le.Uint64(ph[8:]) - le.Uint64(ph[16:])
		case ptDynamic:
			dynamic = le.Uint64(ph[8:])
		}
	}
	if dynamic == 0 {
		t.Fatal("no PT_DYNAMIC")
	}
	for ; le.Uint64(image[dynamic:]) != dtNull; dynamic += sizeofDyn {
		value := le.Uint64(image[dynamic+8:]) + l.loaded
		switch le.Uint64(image[dynamic:]) {
		case dtSymtab:
			l.symtab = value
		case dtStrtab:
			l.strtab = value
		case dtHash:
			l.hash = value
		case dtVersym:
			l.versym = value
		case dtVerdef:
			l.verdef = value
		}
	}
	return l
}

func (l *loader) text(at uint32) string {
	s, _, _ := bytes.Cut(l.image[l.strtab+uint64(at):], []byte{0})
	return string(s)
}

// version returns the index of the version of a name, by its hash, or 0.
func (l *loader) version(name string) uint16 {
	for at := l.verdef; ; {
		def := l.image[at:]
		aux := def[le.Uint32(def[12:]):]
		if le.Uint16(def[2:])&verFlgBase == 0 && le.Uint32(def[8:]) == hash(name) && l.text(le.Uint32(aux)) == name {
			return le.Uint16(def[4:])
		}
		if le.Uint32(def[16:]) == 0 {
			return 0
		}
		at += uint64(le.Uint32(def[16:]))
	}
}

// find returns the address of a function, or 0.
func (l *loader) find(name string, version uint16) uint64 {
	word := func(i uint32) uint32 { return le.Uint32(l.image[l.hash+4*uint64(i):]) }
	buckets := word(0)
	for i := word(2 + hash(name)%buckets); i != 0; i = word(2 + buckets + i) {
		sym := l.image[l.symtab+uint64(i)*sizeofSym:]
		if l.text(le.Uint32(sym)) == name && le.Uint16(l.image[l.versym+2*uint64(i):])&0x7fff == version && le.Uint16(sym[6:]) != 0 {
			return le.Uint64(sym[8:])
		}
	}
	return 0
}

func TestImageAsLoaded(t *testing.T) {
	image := testImage(t)
	l := newLoader(t, image)
	v := l.version(version)
	if v == 0 {
		t.Fatal("no version " + version)
	}
	if l.version("LINUX_2.5") != 0 || l.version(soname) != 0 {
		t.Error("a version that is none")
	}
	for i, name := range Functions {
		for _, name := range []string{name, "__vdso_" + name} {
			at := l.find(name, v)
			if at == 0 {
				t.Errorf("%s isn't found", name)
			} else if image[at] != byte(i) || image[at+testEntry-1] != byte(i) {
				t.Errorf("%s is at %#x, where function %d begins", name, at, image[at])
			}
			if l.find(name, v+1) != 0 {
				t.Errorf("%s is found in another version", name)
			}
		}
	}
	if l.find("__vdso_nothing", v) != 0 {
		t.Error("a function is found that is none")
	}
}

// TestHashIsThatOfTheRuntime compares with what Go's runtime has precomputed for its look-up (runtime/vdso_linux_amd64.go).
func TestHashIsThatOfTheRuntime(t *testing.T) {
	for name, want := range map[string]uint32{"LINUX_2.6": 0x3ae75f6, "__vdso_gettimeofday": 0x315ca59, "__vdso_clock_gettime": 0xd35ec75} {
		if got := hash(name); got != want {
			t.Errorf("%s: %#x, want %#x", name, got, want)
		}
	}
}

func TestImageRefusesWhatDoesNotFit(t *testing.T) {
	for _, size := range []int{0, testEntry*len(Functions) - 1, mm.PageSize - 1000, mm.PageSize, 1 << 20} {
		if _, err := Image(make([]byte, size), testEntry); err == nil {
			t.Errorf("%d bytes of code are taken", size)
		}
	}
}

func TestMap(t *testing.T) {
	machine := mmtest.New(t, 64)
	data, ok := machine.AllocFrame()
	if !ok {
		t.Fatal("no frame")
	}
	machine.Page(data)[8] = 42
	v, err := New(machine, testCode(), testEntry, data)
	if err != nil {
		t.Fatal(err)
	}
	space, err := mm.NewSpace(machine, mm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	at, err := v.Map(space)
	if err != nil {
		t.Fatal(err)
	}
	maps := space.Maps()
	want := []mm.AreaInfo{
		{Start: at - mm.PageSize, End: at, Prot: unix.PROT_READ, Name: "[vvar]"},
		{Start: at, End: at + mm.PageSize, Prot: unix.PROT_READ | unix.PROT_EXEC, Name: "[vdso]"},
	}
	if len(maps) != len(want) || maps[0] != want[0] || maps[1] != want[1] {
		t.Errorf("areas %+v, want %+v", maps, want)
	}
	child, err := space.Fork()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*mm.Space{"space": space, "fork": child} {
		got := make([]byte, mm.PageSize)
		if err := s.CopyIn(got, at); err != nil || !bytes.Equal(got, testImage(t)) {
			t.Errorf("%s: the image isn't there: %v", name, err)
		}
		machine.Page(data)[8]++ // the page itself is mapped, not a copy
		if err := s.CopyIn(got[:16], at-mm.PageSize); err != nil || got[8] != machine.Page(data)[8] {
			t.Errorf("%s: the data are %v, %v", name, got[:16], err)
		}
		if err := s.PutUint64(at-mm.PageSize, 1); err != unix.EFAULT {
			t.Errorf("%s: writing the data: %v", name, err)
		}
		if err := s.PutUint64(at, 1); err != unix.EFAULT {
			t.Errorf("%s: writing the code: %v", name, err)
		}
	}
	child.Release()
	space.Release()
	machine.FreeFrames([]mm.PhysAddr{data, v.code.frame})
}

// TestMapKeepsWrites checks that a program that has made its pages writable, as debuggers do, writes to copies of its own.
func TestMapKeepsWrites(t *testing.T) {
	machine := mmtest.New(t, 64)
	data, _ := machine.AllocFrame()
	v, err := New(machine, testCode(), testEntry, data)
	if err != nil {
		t.Fatal(err)
	}
	space, err := mm.NewSpace(machine, mm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	at, err := v.Map(space)
	if err != nil {
		t.Fatal(err)
	}
	if err := space.Mprotect(at-mm.PageSize, 2*mm.PageSize, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	for _, va := range []uint64{at, at - mm.PageSize} {
		if err := space.PutUint64(va, 0x1234); err != nil {
			t.Fatal(err)
		}
		if got, err := space.Uint64(va); err != nil || got != 0x1234 {
			t.Errorf("%#x: %#x, %v", va, got, err)
		}
	}
	if le.Uint64(machine.Page(data)[:]) != 0 || !bytes.Equal(machine.Page(v.code.frame)[:], testImage(t)) {
		t.Error("the pages of all programs have changed")
	}
	space.Release()
	machine.FreeFrames([]mm.PhysAddr{data, v.code.frame})
}
