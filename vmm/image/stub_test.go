package image

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// TestStubDisassembles checks the hand-assembled boot stub against what a disassembler reads in it: 32-bit code up to the
// far jump, then 64-bit code, then 32-bit code that refuses a CPU.
func TestStubDisassembles(t *testing.T) {
	const pa, entry = 0x400000, 0xffffffff80212340
	tab := newTables(pa + pageSize)
	page, err := makeStub(pa, tab, entry)
	if err != nil {
		t.Fatal(err)
	}
	got := disassemble(t, page[:gdtOffset])
	want := strings.Split(strings.TrimSpace(fmt.Sprintf(`
cli
cld
mov esi, ebx
rdtsc
mov edi, eax
mov ebp, edx
mov eax, 0x80000000
cpuid
cmp eax, 0x80000001
jb .+0x15
mov eax, 0x80000001
cpuid
and edx, 0x20100000
cmp edx, 0x20100000
jz .+0x2
jmp .+0x42
mov eax, %#x
mov cr3, eax
mov eax, 0x6a0
mov cr4, eax
mov ecx, 0xc0000080
rdmsr
or eax, 0x901
wrmsr
mov eax, 0x80010033
mov cr0, eax
lgdt ptr [0x400840]
jmp far 0x8, 0x400063
mov ebx, esi
mov rax, -0x7fdedcc0
jmp rax
mov esi, 0x400900
mov dx, 0x3fd
in al, dx
test al, 0x20
jz .-0x5
lodsb byte ptr [esi]
test al, al
jz .+0x7
mov dx, 0x3f8
out dx, al
jmp .-0x15
mov dx, 0xf4
mov al, 0x7d
out dx, al
hlt
jmp .-0x3
`, tab.root)), "\n")
	for i := range max(len(got), len(want)) {
		g, w := "(end)", "(end)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("instruction %d: got %q, want %q", i, g, w)
		}
	}
}

// disassemble reads instructions until the zero bytes behind the code.
func disassemble(t *testing.T, code []byte) []string {
	t.Helper()
	var lines []string
	mode := 32
	for len(code) > 0 && !(code[0] == 0 && code[1] == 0) {
		in, err := x86asm.Decode(code, mode)
		if err != nil {
			t.Fatalf("after %q: %v", lines, err)
		}
		text := strings.ToLower(x86asm.IntelSyntax(in, 0, nil))
		switch {
		case in.Op == x86asm.LJMP:
			text = fmt.Sprintf("jmp far %#x, %#x", code[5], uint32(code[1])|uint32(code[2])<<8|uint32(code[3])<<16)
			mode = 64
		case in.Op == x86asm.JMP && mode == 64:
			mode = 32
		}
		lines = append(lines, text)
		code = code[in.Len:]
	}
	return lines
}
