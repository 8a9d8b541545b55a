package preflight

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// program describes an ELF file for a test; its zero value is a static program that passes.
type program struct {
	class   elf.Class
	machine elf.Machine
	abi     elf.OSABI
	kind    elf.Type
	interp  string
	entry   uint64
	size    uint64 // claimed size of the code segment in the file
	flags   elf.ProgFlag
	vaddr   uint64 // of the code segment
	memsz   uint64
	align   uint64
}

// file writes the ELF file.
func (p program) file() []byte {
	set := func(field *uint64, value uint64) {
		if *field == 0 {
			*field = value
		}
	}
	const codeAt = 64 + 2*56
	set(&p.vaddr, 0x401000+codeAt)
	set(&p.entry, p.vaddr)
	set(&p.size, 16)
	set(&p.memsz, p.size)
	if p.class == 0 {
		p.class = elf.ELFCLASS64
	}
	if p.machine == 0 {
		p.machine = elf.EM_X86_64
	}
	if p.kind == 0 {
		p.kind = elf.ET_EXEC
	}
	if p.flags == 0 {
		p.flags = elf.PF_R | elf.PF_X
	}
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(p.class), byte(elf.ELFDATA2LSB), 1, byte(p.abi)}
	var b bytes.Buffer
	if p.class == elf.ELFCLASS32 {
		binary.Write(&b, binary.LittleEndian, elf.Header32{
			Ident: ident, Type: uint16(p.kind), Machine: uint16(p.machine), Version: 1,
			Entry: uint32(p.entry), Ehsize: 52, Phentsize: 32, Shentsize: 40,
		})
		return b.Bytes()
	}
	phnum := uint16(1)
	if p.interp != "" {
		phnum = 2
	}
	binary.Write(&b, binary.LittleEndian, elf.Header64{
		Ident: ident, Type: uint16(p.kind), Machine: uint16(p.machine), Version: 1,
		Entry: p.entry, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: phnum, Shentsize: 64,
	})
	binary.Write(&b, binary.LittleEndian, elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(p.flags), Off: codeAt, Vaddr: p.vaddr, Filesz: p.size, Memsz: p.memsz, Align: p.align,
	})
	binary.Write(&b, binary.LittleEndian, elf.Prog64{
		Type: uint32(elf.PT_INTERP), Off: codeAt + 16, Filesz: uint64(len(p.interp)) + 1,
	})
	b.Write(make([]byte, 16))
	b.WriteString(p.interp + "\x00")
	return b.Bytes()
}

func TestCheck(t *testing.T) {
	cutOff := program{}.file()
	tests := []struct {
		name string
		file []byte
		want []string // parts of the message; none: it passes
	}{
		{"static", program{}.file(), nil},
		{"static-PIE", program{kind: elf.ET_DYN}.file(), nil},
		{"Linux ABI", program{abi: elf.ELFOSABI_LINUX}.file(), nil},
		{"dynamic", program{interp: "/lib64/ld-linux-x86-64.so.2"}.file(), []string{"dynamically linked", "/lib64/ld-linux-x86-64.so.2", "CGO_ENABLED=0", "-static"}},
		{"dynamic PIE", program{kind: elf.ET_DYN, interp: "/lib/ld-musl-x86_64.so.1"}.file(), []string{"ld-musl", "-static"}},
		{"32-bit", program{class: elf.ELFCLASS32, machine: elf.EM_386}.file(), []string{"32-bit", "386", "GOARCH=amd64"}},
		{"x32", program{class: elf.ELFCLASS32}.file(), []string{"x32", "-m64"}},
		{"arm64", program{machine: elf.EM_AARCH64}.file(), []string{"for arm64", "GOARCH=amd64"}},
		{"riscv64", program{machine: elf.EM_RISCV}.file(), []string{"for riscv64"}},
		{"FreeBSD", program{abi: elf.ELFOSABI_FREEBSD}.file(), []string{"for FREEBSD", "GOOS=linux"}},
		{"shared library", func() []byte {
			b := program{kind: elf.ET_DYN}.file()
			binary.LittleEndian.PutUint64(b[24:], 0)
			return b
		}(), []string{"shared library"}},
		{"object file", program{kind: elf.ET_REL}.file(), []string{"object file"}},
		{"core dump", program{kind: elf.ET_CORE}.file(), []string{"core dump"}},
		{"strange type", program{kind: 99}.file(), []string{"ELF type"}},
		{"entry outside", program{entry: 0x500000}.file(), []string{"entry point"}},
		{"entry not executable", program{flags: elf.PF_R}.file(), []string{"entry point"}},
		{"longer in the file", program{memsz: 8}.file(), []string{"damaged", "0x4010b0", "longer in the file"}},
		{"outside the user addresses", program{vaddr: 1<<63 + 0xb0}.file(), []string{"damaged", "0x80000000000000b0", "user addresses"}},
		{"beyond the user addresses", program{memsz: 1 << 47}.file(), []string{"damaged", "user addresses"}},
		{"place in a page", program{kind: elf.ET_DYN, vaddr: 0x401000}.file(), []string{"damaged", "0x401000", "place in a page"}},
		{"alignment", program{align: 3}.file(), []string{"damaged", "alignment, 0x3"}},
		{"large alignment", program{align: 1 << 31}.file(), []string{"damaged", "alignment, 0x80000000"}},
		{"cut off in a segment", program{size: 1 << 40}.file(), []string{"cut off"}},
		{"cut off in the header", cutOff[:30], []string{"cut off", "headers"}},
		{"cut off in the program headers", cutOff[:70], []string{"cut off", "headers"}},
		{"only magic", []byte(elf.ELFMAG), []string{"cut off"}},
		{"script", []byte("#! /usr/bin/env python3\nprint()\n"), []string{`script for "/usr/bin/env python3"`}},
		{"script without newline", []byte("#!/bin/sh"), []string{`script for "/bin/sh"`}},
		{"Windows", []byte("MZ\x90\x00"), []string{"not an ELF", "Windows", "GOOS=linux"}},
		{"macOS", []byte("\xcf\xfa\xed\xfe...."), []string{"not an ELF", "macOS"}},
		{"archive", []byte("!<arch>\n"), []string{"archive"}},
		{"text", []byte("hello"), []string{"not an ELF"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Check(tt.file)
			if tt.want == nil && got != "" {
				t.Errorf("got %q, want it to pass", got)
			}
			if tt.want != nil && got == "" {
				t.Error("it passes")
			}
			if strings.Contains(got, "\n") {
				t.Errorf("more than one line: %q", got)
			}
			for _, part := range tt.want {
				if !strings.Contains(got, part) {
					t.Errorf("got %q, which lacks %q", got, part)
				}
			}
		})
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	make := func(name string, data []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := make("secret", program{}.file(), 0)
	tests := []struct {
		name, path, want string
		missing          bool
	}{
		{"missing", filepath.Join(dir, "nosuch"), "no such file", true},
		{"missing, no path", "nosuch-program", "PROGRAM is a path", true},
		{"below a file", filepath.Join(secret, "x"), "not a directory", false},
		{"directory", dir, "is a directory", false},
		{"FIFO", fifo, "not a regular file", false},
		{"device", "/dev/null", "not a regular file", false},
		{"empty", make("empty", nil, 0o755), "empty", false},
		{"not executable", make("data", program{}.file(), 0o644), "chmod +x", false},
		{"text", make("text", []byte("hello"), 0o755), "not an ELF", false},
	}
	if os.Getuid() != 0 {
		tests = append(tests, struct {
			name, path, want string
			missing          bool
		}{"unreadable", secret, "permission denied", false})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(tt.path)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if !strings.Contains(e.Error(), tt.want) || !strings.HasPrefix(e.Error(), tt.path+": ") || e.Missing != tt.missing {
				t.Errorf("got %q (missing: %v), want %q", e, e.Missing, tt.want)
			}
		})
	}
	path := make("good", program{}.file(), 0o755)
	p, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Data, program{}.file()) || p.Mode != 0o755 || p.ModTime.IsZero() {
		t.Errorf("got %+v", p)
	}
}

// FuzzCheck checks that no file makes Check panic and that it says one line.
func FuzzCheck(f *testing.F) {
	f.Add(program{}.file())
	f.Add(program{interp: "/lib/ld.so"}.file())
	f.Add(program{class: elf.ELFCLASS32}.file())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		Check(b)
	})
}
