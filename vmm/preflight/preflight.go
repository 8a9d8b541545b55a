// Package preflight looks at a program before a virtual machine is started for it: whatever wick's
// kernel can't run is told in one line that says what to do.
package preflight

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Program is a program file that passed.
type Program struct {
	Path    string
	Mode    uint32 // permissions, without the type
	ModTime time.Time
	Data    []byte // the file, mapped read-only
}

// Error says why a program can't run and what to do about it.
type Error struct {
	Path    string
	Problem string
	Missing bool // there is no such file
}

func (e *Error) Error() string { return e.Path + ": " + e.Problem }

// Open maps and checks a program. Errors are *Error.
func Open(path string) (*Program, error) {
	// A FIFO would block an ordinary open.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, openError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, openError(path, err)
	}
	switch {
	case info.IsDir():
		return nil, &Error{Path: path, Problem: "is a directory, not a program"}
	case !info.Mode().IsRegular():
		return nil, &Error{Path: path, Problem: "is not a regular file"}
	case info.Size() == 0:
		return nil, &Error{Path: path, Problem: "is an empty file"}
	case info.Mode()&0o111 == 0:
		return nil, &Error{Path: path, Problem: "is not executable: chmod +x " + path}
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, openError(path, err)
	}
	if problem := Check(data); problem != "" {
		unix.Munmap(data)
		return nil, &Error{Path: path, Problem: problem}
	}
	return &Program{Path: path, Mode: uint32(info.Mode().Perm()), ModTime: info.ModTime(), Data: data}, nil
}

func openError(path string, err error) *Error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint := ""
		if !strings.Contains(path, "/") {
			hint = fmt.Sprintf(" (PROGRAM is a path: wick does not search PATH; perhaps $(command -v %s))", path)
		}
		return &Error{Path: path, Problem: "no such file" + hint, Missing: true}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Path: path, Problem: "can't be read: permission denied"}
	}
	var e *fs.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	return &Error{Path: path, Problem: "can't be read: " + err.Error()}
}

const howToLink = "build it statically: CGO_ENABLED=0 go build, or cc -static"

// Check says why the kernel can't run the program in the file, or "" if it can.
func Check(file []byte) string {
	if bytes.HasPrefix(file, []byte("#!")) {
		line, _, _ := bytes.Cut(file[2:min(len(file), 128)], []byte("\n"))
		return fmt.Sprintf("is a script for %q: wick runs one static ELF program, so build the interpreter statically and pass it the script", bytes.TrimSpace(line))
	}
	if !bytes.HasPrefix(file, []byte(elf.ELFMAG)) {
		return "is not an ELF program" + guess(file) + ": build it for Linux (GOOS=linux GOARCH=amd64 CGO_ENABLED=0 go build)"
	}
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		if len(file) > elf.EI_CLASS && elf.Class(file[elf.EI_CLASS]) == elf.ELFCLASS32 {
			return "is a 32-bit program: wick runs 64-bit ones (GOARCH=amd64, or cc -m64)"
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return "is cut off: it ends before its headers do"
		}
		return "is a damaged ELF file: " + err.Error()
	}
	return checkELF(f, uint64(len(file)))
}

// guess names the other common formats of programs.
func guess(file []byte) string {
	switch {
	case bytes.HasPrefix(file, []byte("MZ")):
		return " but one for Windows"
	case bytes.HasPrefix(file, []byte("\xcf\xfa\xed\xfe")), bytes.HasPrefix(file, []byte("\xca\xfe\xba\xbe")):
		return " but one for macOS"
	case bytes.HasPrefix(file, []byte("!<arch>")):
		return " but a library archive"
	}
	return ""
}

func checkELF(f *elf.File, size uint64) string {
	switch {
	case f.Class != elf.ELFCLASS64 && f.Machine != elf.EM_X86_64:
		return "is a 32-bit program (" + architecture(f.Machine) + "): wick runs 64-bit ones (GOARCH=amd64, or cc -m64)"
	case f.Class != elf.ELFCLASS64: // x32
		return "is a program for the x32 ABI: wick runs 64-bit ones (cc -m64)"
	case f.Machine != elf.EM_X86_64:
		return "is a program for " + architecture(f.Machine) + ": wick runs amd64 ones (GOARCH=amd64 go build)"
	case f.OSABI != elf.ELFOSABI_NONE && f.OSABI != elf.ELFOSABI_LINUX:
		return "is a program for " + strings.TrimPrefix(f.OSABI.String(), "ELFOSABI_") + ": wick runs Linux ones (GOOS=linux go build)"
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Sprintf("is dynamically linked (it wants the interpreter %q): %s", interpreter(p), howToLink)
		}
	}
	switch f.Type {
	case elf.ET_EXEC:
	case elf.ET_DYN:
		if f.Entry == 0 {
			return "is a shared library, not a program"
		}
	case elf.ET_REL:
		return "is an object file: link it"
	case elf.ET_CORE:
		return "is a core dump, not a program"
	default:
		return "is no program: ELF type " + f.Type.String()
	}
	return checkSegments(f, size)
}

func interpreter(p *elf.Prog) string {
	b := make([]byte, min(p.Filesz, 256))
	n, _ := p.ReadAt(b, 0)
	name, _, _ := bytes.Cut(b[:n], []byte{0})
	return filepath.Clean(string(name))
}

// checkSegments looks for what the kernel will load: segments within the file and the addresses of programs, code at the entry.
func checkSegments(f *elf.File, size uint64) string {
	entered := false
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Off > size || p.Filesz > size-p.Off {
			return "is cut off: it ends before its segments do"
		}
		if problem := checkSegment(&p.ProgHeader); problem != "" {
			return fmt.Sprintf("is a damaged ELF file: its segment at %#x %s", p.Vaddr, problem)
		}
		if p.Flags&elf.PF_X != 0 && f.Entry-p.Vaddr < p.Memsz {
			entered = true
		}
	}
	if !entered {
		return "is a damaged ELF file: its entry point is in no executable segment"
	}
	return ""
}

// Bounds of the kernel's loader.
const (
	pageSize  = 4096
	userEnd   = 1<<47 - pageSize // of the addresses of programs
	mostAlign = 1 << 30
)

// checkSegment says why the kernel's loader refuses a segment, or "" if it doesn't.
func checkSegment(p *elf.ProgHeader) string {
	switch {
	case p.Filesz > p.Memsz:
		return "is longer in the file than in memory"
	case p.Vaddr > userEnd || p.Memsz > userEnd-p.Vaddr:
		return "ends outside the user addresses"
	case p.Vaddr%pageSize != p.Off%pageSize && p.Filesz > 0:
		return "has an address and an offset in the file that don't agree on its place in a page"
	case p.Align > 1 && (p.Align&(p.Align-1) != 0 || p.Align > mostAlign):
		return fmt.Sprintf("has an alignment, %#x, that makes no sense", p.Align)
	}
	return ""
}

// architecture writes a machine in the words of Go, where Go has one.
func architecture(m elf.Machine) string {
	switch m {
	case elf.EM_AARCH64:
		return "arm64"
	case elf.EM_ARM:
		return "arm"
	case elf.EM_386:
		return "386"
	case elf.EM_RISCV:
		return "riscv64"
	case elf.EM_PPC64:
		return "ppc64"
	case elf.EM_S390:
		return "s390x"
	}
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}
