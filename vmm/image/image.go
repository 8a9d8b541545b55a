// Package image turns the kernel, an ordinary Go program linked into the upper half, into an ELF image that
// PVH boot loaders start (QEMU -kernel, Firecracker, Cloud Hypervisor).
//
// The image has a boot page (see stub.go) at 1 MiB, the kernel's text, read-only data and data from 2 MiB, and behind them a
// boot segment:
//
//	page tables    of the kernel, with 4 KiB pages, W^X; of the direct map, with 2 MiB pages but where the kernel can't be
//	               written; of the stub
//	ground's BSS   zero pages, in memory only
//
// The rest of the BSS has no memory: the kernel's ground gives it zero pages when they are touched.
package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// KernelBase is the virtual address at which physical address 0 of the kernel image appears.
const KernelBase = 0xffffffff80000000

// groundPackage is the prefix of the symbols whose BSS gets real memory.
const groundPackage = "wick/kernel/ground."

const pageSize = 4096

func pageUp(a uint64) uint64   { return (a + pageSize - 1) &^ (pageSize - 1) }
func pageDown(a uint64) uint64 { return a &^ (pageSize - 1) }

// runtimeSymbols are the variables of the runtime whose addresses ground is told, for reports, in the order of bootHeader. The
// linker lets nobody else refer to them.
var runtimeSymbols = [...]string{"runtime.firstmoduledata", "runtime.allglen", "runtime.allgptr", "runtime.waitReasonStrings"}

// segment is a PT_LOAD of the kernel.
type segment struct {
	va, memSize uint64
	data        []byte
	flags       elf.ProgFlag
}

// kernel is what is needed of the linked program.
type kernel struct {
	entry      uint64
	segments   []segment
	bss        [2]uint64       // start and end, of the part without file data
	groundBSS  map[uint64]bool // pages of the BSS that hold variables of ground
	bootHeader uint64          // address of ground's bootHeader
	runtime    [len(runtimeSymbols)]uint64
}

// Build reads the linked kernel and returns the image.
func Build(program io.ReaderAt) ([]byte, error) {
	file, err := elf.NewFile(program)
	if err != nil {
		return nil, err
	}
	k, err := readKernel(file)
	if err != nil {
		return nil, err
	}
	return k.layOut()
}

func readKernel(file *elf.File) (*kernel, error) {
	k := &kernel{entry: file.Entry, groundBSS: map[uint64]bool{}}
	for _, p := range file.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Vaddr < KernelBase || p.Filesz > p.Memsz {
			return nil, fmt.Errorf("segment at %#x: not linked for the upper half", p.Vaddr)
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil {
			return nil, fmt.Errorf("segment at %#x: %w", p.Vaddr, err)
		}
		k.segments = append(k.segments, segment{p.Vaddr, p.Memsz, data, p.Flags})
		if p.Memsz > p.Filesz {
			k.bss = [2]uint64{pageUp(p.Vaddr + p.Filesz), pageUp(p.Vaddr + p.Memsz)}
		}
	}
	symbols, err := file.Symbols()
	if err != nil {
		return nil, fmt.Errorf("symbols of the kernel: %w", err)
	}
	for _, s := range symbols {
		if s.Name == groundPackage+"bootHeader" {
			k.bootHeader = s.Value
		}
		if i := slices.Index(runtimeSymbols[:], s.Name); i >= 0 {
			k.runtime[i] = s.Value
		}
		if !strings.HasPrefix(s.Name, groundPackage) || s.Value+s.Size <= k.bss[0] || s.Value >= k.bss[1] {
			continue
		}
		for page := pageDown(s.Value); page < s.Value+s.Size; page += pageSize {
			if page >= k.bss[0] {
				k.groundBSS[page] = true
			}
		}
	}
	if k.bootHeader == 0 || len(k.groundBSS) == 0 {
		return nil, errors.New("no symbols of " + groundPackage + "*: not the kernel, or stripped")
	}
	for i, address := range k.runtime {
		if address == 0 {
			return nil, fmt.Errorf("the Go runtime has no %s", runtimeSymbols[i])
		}
	}
	return k, nil
}

// layOut places everything, makes the page tables, and writes the ELF image.
func (k *kernel) layOut() ([]byte, error) {
	var imageEnd uint64 // physical
	for _, s := range k.segments {
		imageEnd = max(imageEnd, pageUp(s.va+uint64(len(s.data)))-KernelBase)
	}
	t := newTables(imageEnd)
	for _, s := range k.segments {
		for page := pageDown(s.va); page < s.va+uint64(len(s.data)); page += pageSize {
			t.mapKernel(page, page-KernelBase, s.flags)
		}
	}
	t.mapDirect(k.fixed)
	t.mapStub(stubAddress)
	// The tables grow while pages are mapped, so ground's BSS is mapped once to make them, then to its place behind them.
	for range 2 {
		next := t.end()
		for page := k.bss[0]; page < k.bss[1]; page += pageSize {
			if k.groundBSS[page] {
				t.mapKernel(page, next, elf.PF_R|elf.PF_W)
				next += pageSize
			}
		}
	}
	bootMemory := t.end() + uint64(len(k.groundBSS))*pageSize - imageEnd
	stub, err := makeStub(t, k.segments[0].va-KernelBase, imageEnd+bootMemory, k.entry)
	if err != nil {
		return nil, err
	}
	if err := k.patchHeader(imageEnd+bootMemory, t.root); err != nil {
		return nil, err
	}
	return k.write(stub, imageEnd, t.bytes(), bootMemory), nil
}

// fixed tells whether the page at a physical address holds text or read-only data of the kernel.
func (k *kernel) fixed(pa uint64) bool {
	for _, s := range k.segments {
		if s.flags&elf.PF_W == 0 && pa+KernelBase >= pageDown(s.va) && pa+KernelBase < s.va+uint64(len(s.data)) {
			return true
		}
	}
	return false
}

// patchHeader fills in the words of ground's bootHeader, behind its magic: the demand-zero range, the end of the image, the
// page-table root, and the runtime's variables.
func (k *kernel) patchHeader(end, root uint64) error {
	const magic = 0x746f6f626b636977
	for _, s := range k.segments {
		off := k.bootHeader - s.va
		if k.bootHeader < s.va || off+8+8*uint64(4+len(k.runtime)) > uint64(len(s.data)) {
			continue
		}
		words := s.data[off:]
		if binary.LittleEndian.Uint64(words) != magic {
			break
		}
		for i, v := range append([]uint64{k.bss[0], k.bss[1], end, root}, k.runtime[:]...) {
			binary.LittleEndian.PutUint64(words[8+8*i:], v)
		}
		return nil
	}
	return errors.New("bootHeader of ground is not where its symbol says")
}

// write makes the ELF file: the boot page, the kernel's segments without BSS, the boot segment, the note that names the entry point.
func (k *kernel) write(stub []byte, bootAt uint64, boot []byte, bootMemory uint64) []byte {
	progs := make([]elf.Prog64, 0, len(k.segments)+3)
	offset := uint64(pageSize)
	var body bytes.Buffer
	add := func(va, pa uint64, data []byte, memory uint64, flags elf.ProgFlag) {
		// Offsets agree with addresses modulo the page size, as loaders that map want it.
		pad := (va - offset) % pageSize
		body.Write(make([]byte, pad))
		offset += pad
		progs = append(progs, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(flags), Off: offset, Vaddr: va, Paddr: pa,
			Filesz: uint64(len(data)), Memsz: memory, Align: pageSize})
		body.Write(data)
		offset += uint64(len(data))
	}
	add(stubAddress+KernelBase, stubAddress, stub, pageSize, elf.PF_R|elf.PF_W|elf.PF_X)
	load := progs[0]
	for _, s := range k.segments {
		// The rest of the last page is part of the BSS and must be zero.
		end := pageUp(s.va + uint64(len(s.data)))
		add(s.va, s.va-KernelBase, s.data, min(end-s.va, max(s.memSize, uint64(len(s.data)))), s.flags)
	}
	add(bootAt+KernelBase, bootAt, boot, bootMemory, elf.PF_R|elf.PF_W)
	progs = append(progs, elf.Prog64{Type: uint32(elf.PT_NOTE), Flags: uint32(elf.PF_R), Off: load.Off + noteOffset,
		Vaddr: load.Vaddr + noteOffset, Paddr: load.Paddr + noteOffset, Filesz: noteSize, Memsz: noteSize, Align: 4})

	var out bytes.Buffer
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Entry: load.Paddr, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(len(progs)),
	}
	// Writes to a bytes.Buffer don't fail.
	_ = binary.Write(&out, binary.LittleEndian, &header)
	_ = binary.Write(&out, binary.LittleEndian, progs)
	out.Write(make([]byte, pageSize-out.Len()))
	out.Write(body.Bytes())
	return out.Bytes()
}
