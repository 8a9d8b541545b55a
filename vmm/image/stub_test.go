package image

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// TestStubDisassembles checks the hand-assembled boot stub against what a disassembler reads in it: 32-bit code up to the
// far jump, then 64-bit code, then 32-bit code that refuses a machine.
func TestStubDisassembles(t *testing.T) {
	const start, end, entry = 0x200000, 0x456000, 0xffffffff80212340
	tab := newTables(0x400000)
	page, err := makeStub(tab, start, end, entry)
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
mov eax, 0x1
cpuid
mov dword ptr [0x1008f0], edx
mov eax, 0x80000000
cpuid
mov edx, 0x0
cmp eax, 0x80000001
jb .+0x7
mov eax, 0x80000001
cpuid
mov dword ptr [0x1008f4], edx
and edx, 0x20100000
cmp edx, 0x20100000
jnz .+0x100
mov edx, dword ptr [0x1008f0]
and edx, 0x780a371
cmp edx, 0x780a371
jnz .+0xe8
cmp dword ptr [esi], 0x336ec578
jnz .+0x8b
mov ecx, dword ptr [esi+0x30]
mov ebx, dword ptr [esi+0x28]
sub ecx, 0x1
jb .+0xbe
cmp dword ptr [ebx+0x10], 0x1
jnz .+0x32
cmp dword ptr [ebx+0x4], 0x0
jnz .+0x28
cmp dword ptr [ebx], 0x200000
jnbe .+0x1c
mov eax, dword ptr [ebx]
mov edx, dword ptr [ebx+0xc]
add eax, dword ptr [ebx+0x8]
adc edx, 0x0
jnz .+0x13
cmp eax, 0x456000
jnb .+0x8
add ebx, 0x18
jmp .-0x4d
cmp dword ptr [esi+0xc], 0x0
jz .+0x2e
mov ebx, dword ptr [esi+0x10]
cmp dword ptr [ebx+0x4], 0x0
jnz .+0x21
mov eax, dword ptr [ebx]
cmp eax, 0x456000
jnb .+0x14
add eax, dword ptr [ebx+0x8]
jb .+0x4d
cmp eax, 0x200000
jnbe .+0x42
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
lgdt ptr [0x100840]
jmp far 0x8, 0x100130
mov ebx, esi
mov rax, -0x7fdedcc0
jmp rax
mov esp, 0x101000
mov esi, 0x100900
jmp .+0x49
mov esp, 0x101000
mov esi, 0x100945
call .+0x50
mov esi, 0x10098b
xor eax, eax
lodsb byte ptr [esi]
cmp al, 0xff
jz .+0x25
bt dword ptr [0x1008f0], eax
jb .+0xa
call .+0x2e
jmp .-0x22
lodsb byte ptr [esi]
test al, al
jnz .-0x9
jmp .-0x30
mov esi, 0x100988
call .+0x11
mov dx, 0xf4
mov al, 0x7d
out dx, al
mov al, 0xfe
out 0x64, al
hlt
jmp .-0x6
mov dx, 0x3fd
in al, dx
test al, 0x20
jz .-0x9
lodsb byte ptr [esi]
test al, al
jz .+0xa
mov dx, 0x3f8
out dx, al
jmp .-0x20
ret
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
