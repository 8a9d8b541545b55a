package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// build links the kernel and makes its image.
func build(t *testing.T) (program *elf.File, image *elf.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kernel.elf")
	cmd := exec.Command("go", "build", "-o", path, "-ldflags", "-T -0x7fdff000 -E wick/kernel/ground.entry", "wick/cmd/kernel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	b, err := Build(file)
	if err != nil {
		t.Fatal(err)
	}
	if program, err = elf.NewFile(file); err != nil {
		t.Fatal(err)
	}
	if image, err = elf.NewFile(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return program, image
}

// walker translates addresses by the page tables in an image.
type walker struct {
	memory []byte
	base   uint64
	root   uint64
}

func newWalker(t *testing.T, image *elf.File) *walker {
	t.Helper()
	boot := image.Progs[0]
	for _, p := range image.Progs {
		if p.Type == elf.PT_LOAD && p.Paddr > boot.Paddr {
			boot = p
		}
	}
	memory := make([]byte, boot.Filesz)
	if _, err := boot.ReadAt(memory, 0); err != nil {
		t.Fatal(err)
	}
	return &walker{memory, boot.Paddr, boot.Paddr}
}

// entry returns the entry that maps va, 0 if none does.
func (w *walker) entry(va uint64) uint64 {
	table := w.root
	for shift := uint(39); ; shift -= 9 {
		e := binary.LittleEndian.Uint64(w.memory[table-w.base+(va>>shift&511)*8:])
		if e&present == 0 || shift == 12 || e&large != 0 {
			return e
		}
		table = e & frame
	}
}

// TestImageProtection checks the pages that the image starts with: each page of the program is where its segment is
// loaded, none is writable and executable, the BSS is absent but for ground's, and the direct map is neither executable nor a
// way to write what is read-only.
func TestImageProtection(t *testing.T) {
	program, image := build(t)
	w := newWalker(t, image)
	for _, p := range program.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		for va := pageDown(p.Vaddr); va < p.Vaddr+p.Filesz; va += pageSize {
			e := w.entry(va)
			if e&present == 0 || e&frame != va-KernelBase {
				t.Fatalf("page %#x: entry %#x, want it at %#x", va, e, va-KernelBase)
			}
			if canWrite, canRun := e&writable != 0, e&noExec == 0; canWrite != (p.Flags&elf.PF_W != 0) || canRun != (p.Flags&elf.PF_X != 0) {
				t.Fatalf("page %#x of a segment with flags %v: entry %#x", va, p.Flags, e)
			}
			alias := va - KernelBase + directMap
			if e := w.entry(alias); e&present == 0 || e&noExec == 0 || (e&writable != 0) != (p.Flags&elf.PF_W != 0) {
				t.Fatalf("page %#x of a segment with flags %v in the direct map: entry %#x", va, p.Flags, e)
			}
		}
	}
	for _, pa := range []uint64{0x8000, 64 << 20, 0xfee00000} {
		if e := w.entry(directMap + pa); e&present == 0 || e&noExec == 0 || e&writable == 0 {
			t.Errorf("direct map of %#x: entry %#x", pa, e)
		}
	}
	if e := w.entry(image.Entry); e&frame != image.Entry || e&writable != 0 {
		t.Errorf("boot stub: entry %#x", e)
	}
	symbols, err := program.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	absent, groundPages := 0, 0
	for _, s := range symbols {
		if int(s.Section) >= len(program.Sections) || program.Sections[s.Section].Name != ".noptrbss" || s.Size < 2*pageSize {
			continue
		}
		e := w.entry(pageDown(s.Value) + pageSize)
		switch {
		case s.Name == groundPackage+"cpus" || s.Name == groundPackage+"bootStack" || s.Name == groundPackage+"threads":
			groundPages++
			if e&present == 0 || e&noExec == 0 {
				t.Errorf("%s: entry %#x, want it mapped", s.Name, e)
			}
		case e&present == 0:
			absent++
		}
	}
	if groundPages == 0 || absent == 0 {
		t.Errorf("found %d large variables of ground and %d absent ones of others, want some of both", groundPages, absent)
	}
}

// TestImageNote checks that the note which boot loaders look for names the entry point [PVH].
func TestImageNote(t *testing.T) {
	_, image := build(t)
	for _, p := range image.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		note := make([]byte, p.Filesz)
		if _, err := p.ReadAt(note, 0); err != nil {
			t.Fatal(err)
		}
		le := binary.LittleEndian
		if le.Uint32(note[8:]) != 18 || string(note[12:16]) != "Xen\x00" || le.Uint64(note[16:]) != image.Entry {
			t.Errorf("note % x, entry point %#x", note, image.Entry)
		}
		return
	}
	t.Error("no note")
}

// TestNotTheKernel checks that other programs are refused with a reason.
func TestNotTheKernel(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := Build(file); err == nil {
		t.Error("an ordinary program was made into an image")
	}
	if _, err := Build(bytes.NewReader([]byte("not an ELF file"))); err == nil {
		t.Error("text was made into an image")
	}
}
