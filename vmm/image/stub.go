package image

import (
	"encoding/binary"
	"fmt"
)

// The boot page: PVH enters it in 32-bit protected mode without paging, with EBX pointing to the start info [PVH]. It
// checks the CPU, turns on long mode, and goes to the kernel's entry point.
//
//	0x000  code
//	0x800  GDT: null, 64-bit code, data
//	0x840  operand of LGDT
//	0x880  the note that names the entry point
//	0x900  what to say of a CPU that won't do
const (
	gdtOffset     = 0x800
	gdtrOffset    = 0x840
	noteOffset    = 0x880
	noteSize      = 24
	messageOffset = 0x900
)

const cpuMessage = "\r\nwick: this CPU won't do: the kernel needs 64-bit mode and no-execute pages (qemu: -cpu qemu64 or max)\r\n\x00"

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

// jump emits a short jump, whose displacement is filled in by link.
func (a *assembler) jump(opcode byte, label string) {
	a.op(opcode, 0)
	a.fixups[len(a.code)-1] = label
}

func (a *assembler) label(name string) { a.labels[name] = len(a.code) }

func (a *assembler) here() uint64 { return a.origin + uint64(len(a.code)) }

func (a *assembler) link() error {
	for at, label := range a.fixups {
		d := a.labels[label] - (at + 1)
		if d < -128 || d > 127 {
			return fmt.Errorf("boot stub: jump to %s too far: %d", label, d)
		}
		a.code[at] = byte(d)
	}
	return nil
}

// makeStub returns the boot page, which will be at physical address pa.
func makeStub(pa uint64, t *tables, entry uint64) ([]byte, error) {
	a := &assembler{origin: pa, fixups: map[int]string{}, labels: map[string]int{}}
	a.op(0xfa, 0xfc) // cli; cld
	a.op(0x89, 0xde) // mov esi, ebx
	a.op(0x0f, 0x31) // rdtsc
	a.op(0x89, 0xc7) // mov edi, eax
	a.op(0x89, 0xd5) // mov ebp, edx
	a.checkCPU()
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
	a.refuse(pa)
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
	copy(page[messageOffset:], cpuMessage)
	return page, nil
}

// checkCPU goes on only if CPUID 0x80000001 tells long mode and no-execute, else to "refuse".
func (a *assembler) checkCPU() {
	const needed = 1<<29 | 1<<20
	a.op32(0x80000000, 0xb8)   // mov eax, 0x80000000
	a.op(0x0f, 0xa2)           // cpuid
	a.op32(0x80000001, 0x3d)   // cmp eax, 0x80000001
	a.jump(0x72, "near")       // jb near
	a.op32(0x80000001, 0xb8)   // mov eax, 0x80000001
	a.op(0x0f, 0xa2)           // cpuid
	a.op32(needed, 0x81, 0xe2) // and edx, needed
	a.op32(needed, 0x81, 0xfa) // cmp edx, needed
	a.jump(0x74, "good")       // je good
	a.label("near")
	a.jump(0xeb, "refuse") // jmp refuse
	a.label("good")
}

// refuse prints the message on COM1, byte by byte when the transmitter is empty, and ends QEMU by its debug-exit port with
// the same value as ground's exitRefused.
func (a *assembler) refuse(pa uint64) {
	const exitRefused = 0x7d
	a.label("refuse")
	a.op32(pa+messageOffset, 0xbe) // mov esi, message
	a.label("next")
	a.op(0x66, 0xba, 0xfd, 0x03) // mov dx, 0x3fd
	a.label("wait")
	a.op(0xec)                   // in al, dx
	a.op(0xa8, 0x20)             // test al, 0x20
	a.jump(0x74, "wait")         // jz wait
	a.op(0xac)                   // lodsb
	a.op(0x84, 0xc0)             // test al, al
	a.jump(0x74, "end")          // jz end
	a.op(0x66, 0xba, 0xf8, 0x03) // mov dx, 0x3f8
	a.op(0xee)                   // out dx, al
	a.jump(0xeb, "next")         // jmp next
	a.label("end")
	a.op(0x66, 0xba, 0xf4, 0x00) // mov dx, 0xf4
	a.op(0xb0, exitRefused)      // mov al, exitRefused
	a.op(0xee)                   // out dx, al
	a.label("halt")
	a.op(0xf4)           // hlt
	a.jump(0xeb, "halt") // jmp halt
}
