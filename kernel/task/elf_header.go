package task

import (
	"encoding/binary"
	"strconv"

	"golang.org/x/sys/unix"

	"wick/kernel/mm"
)

// The parts of the ELF format that matter here [gABI 4, psABI-x86-64; elf(5)]. debug/elf would
// bring DWARF and decompressors into the kernel.
const (
	sizeofEhdr = 64
	sizeofPhdr = 56
	maxPhdrs   = 65536 / sizeofPhdr // as Linux: the table must fit in 64 KiB

	elfClass64  = 2
	elfDataLSB  = 1
	elfVersion  = 1
	etRel       = 1
	etExec      = 2
	etDyn       = 3
	etCore      = 4
	emX86_64    = 62
	ptLoad      = 1
	ptInterp    = 3
	ptPhdr      = 6
	ptGNUStack  = 0x6474e551
	pfX         = 1
	pfW         = 2
	pfR         = 4
	maxInterp   = unix.PathMax
	maxAlign    = 1 << 30
	pageOffMask = mm.PageSize - 1
)

// machines are the names of e_machine values that people are likely to try.
var machines = [...]struct {
	number uint16
	name   string
}{
	{3, "32-bit x86"}, {8, "MIPS"}, {20, "PowerPC"}, {21, "64-bit PowerPC"}, {22, "S390"}, {40, "32-bit ARM"},
	{183, "ARM64"}, {243, "RISC-V"}, {258, "LoongArch"},
}

// segment is a PT_LOAD program header.
type segment struct {
	off, vaddr    uint64
	filesz, memsz uint64
	align         uint64
	prot          int
}

// program is what the headers say.
type program struct {
	path        string
	entry       uint64
	relocatable bool // ET_DYN
	loads       []segment
	execStack   bool
	phdr        uint64 // address of the program headers in memory; 0: they are not loaded
	phnum       uint64
}

// loadError makes a *LoadError.
func loadError(path, reason string, errno unix.Errno) error {
	return &LoadError{Path: path, Reason: reason, Errno: errno}
}

// broken is the error for a file that contradicts itself.
func (p *program) broken(reason string) error { return loadError(p.path, reason, unix.ENOEXEC) }

// parseELF reads and checks the headers of a program.
func parseELF(image Image) (*program, error) {
	p := &program{path: image.Path}
	var b [sizeofEhdr]byte
	ehdr := b[:readFull(&image, b[:], 0)]
	if err := p.checkIdent(ehdr); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch kind := le.Uint16(ehdr[16:]); kind {
	case etExec:
	case etDyn:
		p.relocatable = true
	case etRel:
		return nil, p.broken("is an object file: link it")
	case etCore:
		return nil, p.broken("is a core dump, not a program")
	default:
		return nil, p.broken("is an ELF file of an unknown type (" + strconv.Itoa(int(kind)) + ")")
	}
	p.entry = le.Uint64(ehdr[24:])
	phoff, phentsize, phnum := le.Uint64(ehdr[32:]), le.Uint16(ehdr[54:]), uint64(le.Uint16(ehdr[56:]))
	size := uint64(max(image.Size, 0))
	switch {
	case phnum == 0:
		return nil, p.broken("has no program headers: it is no executable program")
	case phentsize != sizeofPhdr || phnum > maxPhdrs:
		return nil, p.broken("has a broken program header table")
	case phoff > size || phnum*sizeofPhdr > size-phoff:
		return nil, p.broken("is cut off: its program headers are beyond the end of the file")
	}
	p.phnum = phnum
	table := make([]byte, phnum*sizeofPhdr)
	if readFull(&image, table, int64(phoff)) < len(table) {
		return nil, loadError(image.Path, "can't be read", unix.EIO)
	}
	for ; len(table) > 0; table = table[sizeofPhdr:] {
		if err := p.header(&image, table[:sizeofPhdr]); err != nil {
			return nil, err
		}
	}
	return p, p.finish(phoff)
}

// checkIdent checks that the file is a 64-bit little-endian x86-64 ELF file.
func (p *program) checkIdent(ehdr []byte) error {
	switch {
	case len(ehdr) == 0:
		return p.broken("is empty")
	case len(ehdr) >= 2 && ehdr[0] == '#' && ehdr[1] == '!':
		return p.broken("is a script, not an ELF program")
	case len(ehdr) < 4 || string(ehdr[:4]) != "\x7fELF":
		return p.broken("is not an ELF program")
	case len(ehdr) >= 5 && ehdr[4] != elfClass64:
		return p.broken("is a 32-bit program: build it for x86-64")
	case len(ehdr) < sizeofEhdr:
		return p.broken("is cut off: its ELF header is incomplete")
	case ehdr[5] != elfDataLSB:
		return p.broken("is a big-endian program: build it for x86-64")
	case ehdr[6] != elfVersion:
		return p.broken("has an unknown ELF version")
	}
	machine := binary.LittleEndian.Uint16(ehdr[18:])
	if machine == emX86_64 {
		return nil
	}
	for _, m := range machines {
		if m.number == machine {
			return p.broken("is built for " + m.name + ": build it for x86-64")
		}
	}
	return p.broken("is built for another processor (ELF machine " + strconv.Itoa(int(machine)) + "): build it for x86-64")
}

// header takes note of one program header.
func (p *program) header(image *Image, ph []byte) error {
	le := binary.LittleEndian
	flags := le.Uint32(ph[4:])
	seg := segment{
		off: le.Uint64(ph[8:]), vaddr: le.Uint64(ph[16:]),
		filesz: le.Uint64(ph[32:]), memsz: le.Uint64(ph[40:]), align: le.Uint64(ph[48:]),
	}
	switch le.Uint32(ph) {
	case ptInterp:
		return p.dynamic(image, seg)
	case ptPhdr:
		p.phdr = seg.vaddr
	case ptGNUStack:
		p.execStack = flags&pfX != 0
	case ptLoad:
		if flags&pfR != 0 {
			seg.prot |= unix.PROT_READ
		}
		if flags&pfW != 0 {
			seg.prot |= unix.PROT_WRITE
		}
		if flags&pfX != 0 {
			seg.prot |= unix.PROT_EXEC
		}
		return p.load(image, seg)
	}
	return nil
}

// load checks a PT_LOAD segment and adds it.
func (p *program) load(image *Image, seg segment) error {
	size := uint64(max(image.Size, 0))
	where := "has a broken segment at " + hex(seg.vaddr) + ": "
	switch {
	case seg.filesz > seg.memsz:
		return p.broken(where + "it is longer in the file than in memory")
	case seg.off > size || seg.filesz > size-seg.off:
		return p.broken(where + "the file is cut off before its end")
	case seg.vaddr > mm.TaskEnd || seg.memsz > mm.TaskEnd-seg.vaddr:
		return p.broken(where + "it ends outside the user addresses")
	case seg.vaddr&pageOffMask != seg.off&pageOffMask && seg.filesz > 0:
		return p.broken(where + "address and offset in the file don't agree on their place in a page")
	case seg.align > 1 && (!isPowerOfTwo(seg.align) || seg.align > maxAlign):
		return p.broken(where + "its alignment " + hex(seg.align) + " makes no sense")
	}
	if seg.memsz > 0 {
		p.loads = append(p.loads, seg)
	}
	return nil
}

// dynamic returns the error for a program that wants an interpreter.
func (p *program) dynamic(image *Image, seg segment) error {
	name := make([]byte, min(seg.filesz, maxInterp))
	if seg.off <= uint64(max(image.Size, 0)) {
		name = name[:readFull(image, name, int64(seg.off))]
	} else {
		name = nil
	}
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	// What a file says of itself goes to a terminal: quote what isn't plain.
	text := strconv.Quote(string(name))
	if text == `"`+string(name)+`"` {
		text = string(name)
	}
	return p.broken("is dynamically linked (interpreter " + text + "): link it statically")
}

// finish checks what concerns all segments, and finds the program headers in memory.
func (p *program) finish(phoff uint64) error {
	if len(p.loads) == 0 {
		return p.broken("has nothing to load: it is no executable program")
	}
	inside := false
	for _, seg := range p.loads {
		if p.entry >= seg.vaddr && p.entry-seg.vaddr < seg.memsz {
			inside = true
		}
		if p.phdr == 0 && phoff >= seg.off && phoff-seg.off < seg.filesz {
			p.phdr = phoff - seg.off + seg.vaddr
		}
	}
	if !inside {
		return p.broken("has its entry point " + hex(p.entry) + " outside its segments")
	}
	return nil
}

// readFull reads at off into b, and returns how much there was.
func readFull(image *Image, b []byte, off int64) int {
	n := 0
	for n < len(b) {
		m, err := image.File.ReadAt(b[n:], off+int64(n))
		n += max(m, 0)
		if err != nil || m <= 0 {
			break
		}
	}
	return n
}
