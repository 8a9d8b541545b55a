// Package vdso makes what programs read the clock with without a system call, vdso(7): the page [vvar] that the kernel keeps, and
// right behind it the page [vdso], a small ELF file with the code.
//
// The code is ground's; this package puts it in an ELF image that the run-time libraries of programs find their way through:
// Go's (runtime/vdso_linux.go), glibc's (elf/setup-vdso.h), musl's (src/internal/vdso.c). They look functions up by name and
// version, in the dynamic symbol table; debuggers and readers of ELF files want sections, too.
package vdso

import (
	"encoding/binary"
	"fmt"

	"wick/kernel/mm"
)

var le = binary.LittleEndian

// Functions are the functions of the code, in the order of their entry points. In the image each is called __vdso_NAME, and as
// Linux has it also, as a weak symbol, NAME.
var Functions = [...]string{"clock_gettime", "gettimeofday", "time", "getcpu", "clock_getres"}

const (
	soname  = "linux-vdso.so.1"
	version = "LINUX_2.6"
	prefix  = "__vdso_"
)

// ELF, in the terms of the gABI [gABI 4, 5] and, for versions, of the LSB [LSB 10.7]. Sizes are in bytes.
const (
	sizeofEhdr    = 64
	sizeofPhdr    = 56
	sizeofShdr    = 64
	sizeofSym     = 24
	sizeofDyn     = 16
	sizeofVerdef  = 20
	sizeofVerdaux = 8

	etDyn     = 3
	emX86_64  = 62
	evCurrent = 1

	ptLoad    = 1
	ptDynamic = 2
	pfX       = 1
	pfR       = 4

	shtProgbits  = 1
	shtStrtab    = 3
	shtHash      = 5
	shtDynamic   = 6
	shtDynsym    = 11
	shtVerdef    = 0x6ffffffd
	shtVersym    = 0x6fffffff
	shfAlloc     = 2
	shfExecinstr = 4

	dtNull      = 0
	dtHash      = 4
	dtStrtab    = 5
	dtSymtab    = 6
	dtStrsz     = 10
	dtSyment    = 11
	dtSoname    = 14
	dtVersym    = 0x6ffffff0
	dtVerdef    = 0x6ffffffc
	dtVerdefnum = 0x6ffffffd

	stbGlobal = 1
	stbWeak   = 2
	sttFunc   = 2

	verFlgBase   = 1
	verNdxGlobal = 1 // the base version, which is the file
	verNdxLinux  = 2 // version
)

// section is a part of the image, with what its section header tells.
type section struct {
	name    string
	kind    uint32
	flags   uint64
	link    string // the section that sh_link names
	info    uint32
	align   int
	entry   uint64 // size of an entry in bytes; 0: there are none of one size
	content []byte

	at int // offset in the image, which is also the address in it
}

// Image returns the ELF file with the code, of a page. Its functions begin every entrySize bytes.
func Image(code []byte, entrySize int) ([]byte, error) {
	if len(code) < entrySize*len(Functions) {
		return nil, fmt.Errorf("vdso: %d bytes of code have no room for %d entry points of %d", len(code), len(Functions), entrySize)
	}
	var names strings
	file, linux := names.add(soname), names.add(version)
	symbols := append([]symbol{{}}, symbolsOf(&names)...)
	sections := []*section{
		{name: ".hash", kind: shtHash, link: ".dynsym", align: 8, entry: 4, content: hashTable(symbols)},
		{name: ".dynsym", kind: shtDynsym, link: ".dynstr", info: 1, align: 8, entry: sizeofSym, content: make([]byte, sizeofSym*len(symbols))},
		{name: ".dynstr", kind: shtStrtab, align: 1, content: names.text},
		{name: ".gnu.version", kind: shtVersym, link: ".dynsym", align: 2, entry: 2, content: versionsOf(symbols)},
		{name: ".gnu.version_d", kind: shtVerdef, link: ".dynstr", info: 2, align: 8, content: definitions(file, linux)},
		{name: ".dynamic", kind: shtDynamic, link: ".dynstr", align: 8, entry: sizeofDyn, content: make([]byte, sizeofDyn*10)},
		{name: ".text", kind: shtProgbits, flags: shfExecinstr, align: 64, content: code},
	}
	at := sizeofEhdr + 2*sizeofPhdr
	place := func(s *section) {
		s.at = (at + s.align - 1) &^ (s.align - 1)
		at = s.at + len(s.content)
	}
	for _, s := range sections {
		s.flags |= shfAlloc
		place(s)
	}
	find := func(name string) *section {
		for _, s := range sections {
			if s.name == name {
				return s
			}
		}
		panic("vdso: no section " + name)
	}
	fillSymbols(find(".dynsym").content, symbols, uint64(find(".text").at), entrySize, uint16(indexOf(sections, ".text")))
	dynamic := find(".dynamic")
	fillDynamic(dynamic.content, file, find)

	// The headers of the sections are behind them, in no segment's way.
	all := append(sections, &section{name: ".shstrtab", kind: shtStrtab, align: 1})
	headers := sectionHeaders(all, place)
	shoff := (at + 7) &^ 7
	image := make([]byte, mm.PageSize)
	if end := shoff + len(headers); end > len(image) {
		return nil, fmt.Errorf("vdso: the image has %d bytes, and %d of code; it may have %d", end, len(code), len(image))
	}
	for _, s := range all {
		copy(image[s.at:], s.content)
	}
	copy(image[shoff:], headers)
	copy(image, fileHeader(shoff, len(all)+1))
	copy(image[sizeofEhdr:], programHeader(ptLoad, pfR|pfX, 0, mm.PageSize, mm.PageSize))
	copy(image[sizeofEhdr+sizeofPhdr:], programHeader(ptDynamic, pfR, dynamic.at, len(dynamic.content), 8))
	return image, nil
}

// fileHeader is the ELF header of a shared object with two program headers right behind it.
func fileHeader(shoff, sections int) []byte {
	b := append([]byte("\x7fELF"), 2, 1, evCurrent, 0, 0, 0, 0, 0, 0, 0, 0, 0) // 64 bits, little-endian
	b = le.AppendUint16(b, etDyn)
	b = le.AppendUint16(b, emX86_64)
	b = le.AppendUint32(b, evCurrent)
	b = le.AppendUint64(b, 0)          // e_entry
	b = le.AppendUint64(b, sizeofEhdr) // e_phoff
	b = le.AppendUint64(b, uint64(shoff))
	b = le.AppendUint32(b, 0) // e_flags
	for _, v := range []int{sizeofEhdr, sizeofPhdr, 2, sizeofShdr, sections, sections - 1} {
		b = le.AppendUint16(b, uint16(v))
	}
	return b
}

// programHeader describes n bytes at an offset, which is the address in the image, too.
func programHeader(kind, flags uint32, at, n, align int) []byte {
	b := le.AppendUint32(nil, kind)
	b = le.AppendUint32(b, flags)
	for _, v := range []int{at, at, at, n, n, align} { // p_offset p_vaddr p_paddr p_filesz p_memsz p_align
		b = le.AppendUint64(b, uint64(v))
	}
	return b
}

// sectionHeaders returns the headers of no section and of all, the last of which gets their names, and is placed.
func sectionHeaders(all []*section, place func(*section)) []byte {
	var names strings
	named := make([]uint32, len(all))
	for i, s := range all {
		named[i] = names.add(s.name)
	}
	last := all[len(all)-1]
	last.content = names.text
	place(last)
	b := make([]byte, sizeofShdr)
	for i, s := range all {
		b = le.AppendUint32(b, named[i])
		b = le.AppendUint32(b, s.kind)
		address := uint64(0)
		if s.flags&shfAlloc != 0 {
			address = uint64(s.at)
		}
		for _, v := range []uint64{s.flags, address, uint64(s.at), uint64(len(s.content))} {
			b = le.AppendUint64(b, v)
		}
		b = le.AppendUint32(b, uint32(indexOf(all, s.link)))
		b = le.AppendUint32(b, s.info)
		b = le.AppendUint64(b, uint64(s.align))
		b = le.AppendUint64(b, s.entry)
	}
	return b
}

// indexOf returns the index of a section's header; 0 if there is no such section.
func indexOf(sections []*section, name string) int {
	for i, s := range sections {
		if s.name == name {
			return i + 1
		}
	}
	return 0
}
