package image

import (
	"encoding/binary"
	"fmt"
)

// The boot page: PVH enters it in 32-bit protected mode without paging, with EBX pointing to the start info [PVH]. It
// checks the CPU and that the image has been loaded whole, turns on long mode, and goes to the kernel's entry point. It lies
// below the image, where there is memory in every machine.
//
//	0x000  code
//	0x800  GDT: null, 64-bit code, data
//	0x840  operand of LGDT
//	0x880  the note that names the entry point
//	0x8f0  what CPUID tells: EDX of leaves 1 and 0x80000001
//	0x900  what to say of a machine that won't do
//	0x1000 top of the stack
const (
	stubAddress   = 1 << 20
	gdtOffset     = 0x800
	gdtrOffset    = 0x840
	noteOffset    = 0x880
	noteSize      = 24
	cpuidOffset   = 0x8f0
	messageOffset = 0x900
)

// What is said of a machine that won't do; ground says the same.
const (
	memoryMessage = "\r\nwick: not enough memory: give the machine more (wick run -m 32M)\r\n"
	cpuMessage    = "\r\nwick: this CPU won't do (qemu: -cpu qemu64 or max), for it lacks"
)

// cpuFeature is a bit of what CPUID tells.
type cpuFeature struct {
	bit  uint8 // of EDX: 0 to 31 of leaf 1, 32 to 63 of leaf 0x80000001
	name string
}

// neededFeatures are used by the kernel without asking, or by every program that is compiled for x86-64 [psABI 3.1.1]. SYSCALL
// is missing: Intel's CPUs tell of it in 64-bit mode only, so ground looks for it.
var neededFeatures = []cpuFeature{
	{0, "FPU"}, {4, "TSC"}, {5, "MSR"}, {6, "PAE"}, {8, "CMPXCHG8B"}, {9, "APIC"}, {13, "PGE"}, {15, "CMOV"}, {23, "MMX"},
	{24, "FXSR"}, {25, "SSE"}, {26, "SSE2"}, {32 + 20, "NX"}, {32 + 29, "LM (64-bit mode)"},
}

// neededBits are those of the features that are in EDX of leaf 1, for i = 0, or 0x80000001.
func neededBits(i uint8) (bits uint64) {
	for _, f := range neededFeatures {
		if f.bit/32 == i {
			bits |= 1 << (f.bit % 32)
		}
	}
	return bits
}

// Control registers at the start; ground starts other CPUs with the same.
const (
	bootCR0  = 0x80010033 // PG WP NE ET MP PE
	bootCR4  = 0x6a0      // PAE PGE OSFXSR OSXMMEXCPT
	bootEFER = 0x901      // SCE LME NXE
)

// assembler collects 32-bit machine code; each call is one instruction, with its name beside it.
type assembler struct {
	code   []byte
	origin uint64
	fixups map[int]string // displacement bytes that wait for a label
	labels map[string]int
}

func (a *assembler) op(b ...byte) { a.code = append(a.code, b...) }

func (a *assembler) op32(v uint64, b ...byte) {
	a.code = binary.LittleEndian.AppendUint32(append(a.code, b...), uint32(v))
}

// The jumps, and the call, that are used; jump makes near ones of them.
const (
	jb   = 0x0f82
	jae  = 0x0f83
	je   = 0x0f84
	jne  = 0x0f85
	jbe  = 0x0f86
	ja   = 0x0f87
	call = 0xe8
	jmp  = 0xe9
)

// jump emits a jump, whose displacement is filled in by link.
func (a *assembler) jump(opcode uint16, label string) {
	if opcode > 0xff {
		a.op(uint8(opcode >> 8))
	}
	a.fixups[len(a.code)+1] = label
	a.op(uint8(opcode), 0, 0, 0, 0)
}

func (a *assembler) label(name string) { a.labels[name] = len(a.code) }

func (a *assembler) here() uint64 { return a.origin + uint64(len(a.code)) }

func (a *assembler) link() error {
	for at, label := range a.fixups {
		to, ok := a.labels[label]
		if !ok {
			return fmt.Errorf("boot stub: no label %s", label)
		}
		binary.LittleEndian.PutUint32(a.code[at:], uint32(to-(at+4)))
	}
	return nil
}

// makeStub returns the boot page, for an image with page tables t from imageStart up to imageEnd.
func makeStub(t *tables, imageStart, imageEnd, entry uint64) ([]byte, error) {
	const pa = stubAddress
	a := &assembler{origin: pa, fixups: map[int]string{}, labels: map[string]int{}}
	a.op(0xfa, 0xfc) // cli; cld
	a.op(0x89, 0xde) // mov esi, ebx
	a.op(0x0f, 0x31) // rdtsc
	a.op(0x89, 0xc7) // mov edi, eax
	a.op(0x89, 0xd5) // mov ebp, edx
	a.checkCPU()
	a.checkMemory(imageStart, imageEnd)
	a.op32(t.root, 0xb8)                    // mov eax, root
	a.op(0x0f, 0x22, 0xd8)                  // mov cr3, eax
	a.op32(bootCR4, 0xb8)                   // mov eax, bootCR4
	a.op(0x0f, 0x22, 0xe0)                  // mov cr4, eax
	a.op32(0xc0000080, 0xb9)                // mov ecx, EFER
	a.op(0x0f, 0x32)                        // rdmsr
	a.op32(bootEFER, 0x0d)                  // or eax, bootEFER
	a.op(0x0f, 0x30)                        // wrmsr
	a.op32(bootCR0, 0xb8)                   // mov eax, bootCR0
	a.op(0x0f, 0x22, 0xc0)                  // mov cr0, eax
	a.op32(pa+gdtrOffset, 0x0f, 0x01, 0x15) // lgdt [gdtr]
	a.op32(a.here()+7, 0xea)                // jmp 8:next
	a.op(0x08, 0x00)
	a.op(0x89, 0xf3) // next: mov ebx, esi
	a.op(0x48, 0xb8) // mov rax, entry
	a.code = binary.LittleEndian.AppendUint64(a.code, entry)
	a.op(0xff, 0xe0) // jmp rax
	texts := a.refuse()
	if err := a.link(); err != nil {
		return nil, err
	}

	page := make([]byte, pageSize)
	copy(page[:gdtOffset], a.code)
	le := binary.LittleEndian
	le.PutUint64(page[gdtOffset+8:], 0x00af9b000000ffff)  // code, 64 bit
	le.PutUint64(page[gdtOffset+16:], 0x00cf93000000ffff) // data
	le.PutUint16(page[gdtrOffset:], 3*8-1)
	le.PutUint32(page[gdtrOffset+2:], uint32(pa+gdtOffset))
	note := page[noteOffset:]
	le.PutUint32(note, 4)      // size of the name
	le.PutUint32(note[4:], 8)  // size of the value
	le.PutUint32(note[8:], 18) // XEN_ELFNOTE_PHYS32_ENTRY
	copy(note[12:], "Xen\x00")
	le.PutUint64(note[16:], pa)
	copy(page[messageOffset:], texts)
	return page, nil
}

// checkCPU goes on only if the CPU has the needed features, else to "refuse CPU". It keeps what CPUID tells.
func (a *assembler) checkCPU() {
	const leaf1, leaf80000001 = stubAddress + cpuidOffset, stubAddress + cpuidOffset + 4
	a.op32(1, 0xb8)           // mov eax, 1
	a.op(0x0f, 0xa2)          // cpuid
	a.op32(leaf1, 0x89, 0x15) // mov [leaf1], edx
	a.op32(0x80000000, 0xb8)  // mov eax, 0x80000000
	a.op(0x0f, 0xa2)          // cpuid
	a.op32(0, 0xba)           // mov edx, 0
	a.op32(0x80000001, 0x3d)  // cmp eax, 0x80000001
	a.jump(jb, "no such leaf")
	a.op32(0x80000001, 0xb8) // mov eax, 0x80000001
	a.op(0x0f, 0xa2)         // cpuid
	a.label("no such leaf")
	a.op32(leaf80000001, 0x89, 0x15)  // mov [leaf80000001], edx
	a.op32(neededBits(1), 0x81, 0xe2) // and edx, needed
	a.op32(neededBits(1), 0x81, 0xfa) // cmp edx, needed
	a.jump(jne, "refuse CPU")
	a.op32(leaf1, 0x8b, 0x15)         // mov edx, [leaf1]
	a.op32(neededBits(0), 0x81, 0xe2) // and edx, needed
	a.op32(neededBits(0), 0x81, 0xfa) // cmp edx, needed
	a.jump(jne, "refuse CPU")
}

// checkMemory goes on only if one range of RAM of the memory map has all of the image, and the initial RAM disk lies elsewhere,
// else to "refuse memory". Loaders write both to where there may be no memory, or one over the other. What isn't start info, ground
// refuses.
func (a *assembler) checkMemory(imageStart, imageEnd uint64) {
	const startMagic, ram, entrySize = 0x336ec578, 1, 24
	a.op32(startMagic, 0x81, 0x3e) // cmp dword [esi], startMagic
	a.jump(jne, "loaded")
	a.op(0x8b, 0x4e, 48) // mov ecx, [esi + memmap_entries]
	a.op(0x8b, 0x5e, 40) // mov ebx, [esi + memmap_paddr]
	a.label("entry")
	a.op(0x83, 0xe9, 1) // sub ecx, 1
	a.jump(jb, "refuse memory")
	a.op(0x83, 0x7b, 16, ram) // cmp dword [ebx + type], ram
	a.jump(jne, "next entry")
	a.op(0x83, 0x7b, 4, 0) // cmp dword [ebx + addr + 4], 0
	a.jump(jne, "next entry")
	a.op32(imageStart, 0x81, 0x3b) // cmp dword [ebx + addr], imageStart
	a.jump(ja, "next entry")
	a.op(0x8b, 0x03)         // mov eax, [ebx + addr]
	a.op(0x8b, 0x53, 12)     // mov edx, [ebx + size + 4]
	a.op(0x03, 0x43, 8)      // add eax, [ebx + size]
	a.op(0x83, 0xd2, 0)      // adc edx, 0
	a.jump(jne, "in memory") // it ends above 4 GiB
	a.op32(imageEnd, 0x3d)   // cmp eax, imageEnd
	a.jump(jae, "in memory")
	a.label("next entry")
	a.op(0x83, 0xc3, entrySize) // add ebx, entrySize
	a.jump(jmp, "entry")
	a.label("in memory")
	a.op(0x83, 0x7e, 12, 0) // cmp dword [esi + nr_modules], 0
	a.jump(je, "loaded")
	a.op(0x8b, 0x5e, 16)   // mov ebx, [esi + modlist_paddr]
	a.op(0x83, 0x7b, 4, 0) // cmp dword [ebx + paddr + 4], 0
	a.jump(jne, "loaded")
	a.op(0x8b, 0x03)       // mov eax, [ebx + paddr]
	a.op32(imageEnd, 0x3d) // cmp eax, imageEnd
	a.jump(jae, "loaded")
	a.op(0x03, 0x43, 8) // add eax, [ebx + size]
	a.jump(jb, "refuse memory")
	a.op32(imageStart, 0x3d) // cmp eax, imageStart
	a.jump(ja, "refuse memory")
	a.label("loaded")
}

// refuse says on COM1 what won't do, and ends QEMU by its debug-exit port with the same value as ground's exitRefused, or a machine
// without that port by the reset line. It returns the texts for messageOffset.
func (a *assembler) refuse() (texts []byte) {
	const exitRefused, end = 0x7d, 0xff
	text := func(s string) uint64 {
		texts = append(append(texts, s...), 0)
		return stubAddress + messageOffset + uint64(len(texts)-len(s)-1)
	}
	memory, cpu, newline := text(memoryMessage), text(cpuMessage), text("\r\n")
	names := stubAddress + messageOffset + uint64(len(texts)) // each a bit's number and the name, then end
	for _, f := range neededFeatures {
		texts = append(texts, f.bit)
		text(" " + f.name)
	}
	texts = append(texts, end)

	a.label("refuse memory")
	a.op32(stubAddress+pageSize, 0xbc) // mov esp, top
	a.op32(memory, 0xbe)               // mov esi, memory
	a.jump(jmp, "say and end")

	a.label("refuse CPU")
	a.op32(stubAddress+pageSize, 0xbc) // mov esp, top
	a.op32(cpu, 0xbe)                  // mov esi, cpu
	a.jump(call, "say")
	a.op32(names, 0xbe) // mov esi, names
	a.label("feature")
	a.op(0x31, 0xc0) // xor eax, eax
	a.op(0xac)       // lodsb
	a.op(0x3c, end)  // cmp al, end
	a.jump(je, "no more")
	a.op32(stubAddress+cpuidOffset, 0x0f, 0xa3, 0x05) // bt [leaf1], eax
	a.jump(jb, "skip")
	a.jump(call, "say")
	a.jump(jmp, "feature")
	a.label("skip")
	a.op(0xac)       // lodsb
	a.op(0x84, 0xc0) // test al, al
	a.jump(jne, "skip")
	a.jump(jmp, "feature")
	a.label("no more")
	a.op32(newline, 0xbe) // mov esi, newline
	a.label("say and end")
	a.jump(call, "say")
	a.op(0x66, 0xba, 0xf4, 0x00) // mov dx, 0xf4
	a.op(0xb0, exitRefused)      // mov al, exitRefused
	a.op(0xee)                   // out dx, al
	a.op(0xb0, 0xfe)             // mov al, 0xfe
	a.op(0xe6, 0x64)             // out 0x64, al
	a.label("halt")
	a.op(0xf4) // hlt
	a.jump(jmp, "halt")
	a.say()
	return texts
}

// say is a subroutine that writes the text at ESI, byte by byte when the transmitter is empty; ESI is behind its NUL then.
func (a *assembler) say() {
	a.label("say")
	a.op(0x66, 0xba, 0xfd, 0x03) // mov dx, 0x3fd
	a.label("wait")
	a.op(0xec)       // in al, dx
	a.op(0xa8, 0x20) // test al, 0x20
	a.jump(je, "wait")
	a.op(0xac)       // lodsb
	a.op(0x84, 0xc0) // test al, al
	a.jump(je, "said")
	a.op(0x66, 0xba, 0xf8, 0x03) // mov dx, 0x3f8
	a.op(0xee)                   // out dx, al
	a.jump(jmp, "say")
	a.label("said")
	a.op(0xc3) // ret
}
