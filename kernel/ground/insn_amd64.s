// Single instructions that Go has no words for.

#include "go_asm.h"
#include "textflag.h"

// func in8(port uint64) uint8
TEXT ·in8(SB),NOSPLIT,$0-9
	MOVQ port+0(FP), DX
	XORL AX, AX
	INB
	MOVB AX, ret+8(FP)
	RET

// func in16(port uint64) uint16
TEXT ·in16(SB),NOSPLIT,$0-10
	MOVQ port+0(FP), DX
	XORL AX, AX
	INW
	MOVW AX, ret+8(FP)
	RET

// func in32(port uint64) uint32
TEXT ·in32(SB),NOSPLIT,$0-12
	MOVQ port+0(FP), DX
	INL
	MOVL AX, ret+8(FP)
	RET

// func out8(port uint64, v uint8)
TEXT ·out8(SB),NOSPLIT,$0-9
	MOVQ port+0(FP), DX
	MOVB v+8(FP), AX
	OUTB
	RET

// func out16(port uint64, v uint16)
TEXT ·out16(SB),NOSPLIT,$0-10
	MOVQ port+0(FP), DX
	MOVW v+8(FP), AX
	OUTW
	RET

// func out32(port uint64, v uint32)
TEXT ·out32(SB),NOSPLIT,$0-12
	MOVQ port+0(FP), DX
	MOVL v+8(FP), AX
	OUTL
	RET

// func outBytes(port, address, n uint64)
TEXT ·outBytes(SB),NOSPLIT,$0-24
	MOVQ port+0(FP), DX
	MOVQ address+8(FP), SI
	MOVQ n+16(FP), CX
	REP; OUTSB
	RET

// func rdmsr(reg uint64) uint64
TEXT ·rdmsr(SB),NOSPLIT,$0-16
	MOVQ reg+0(FP), CX
	RDMSR
	SHLQ $32, DX
	ORQ DX, AX
	MOVQ AX, ret+8(FP)
	RET

// func wrmsr(reg, v uint64)
TEXT ·wrmsr(SB),NOSPLIT,$0-16
	MOVQ reg+0(FP), CX
	MOVQ v+8(FP), AX
	MOVQ AX, DX
	SHRQ $32, DX
	WRMSR
	RET

// func rdtsc() uint64
TEXT ·rdtsc(SB),NOSPLIT,$0-8
	RDTSC
	SHLQ $32, DX
	ORQ DX, AX
	MOVQ AX, ret+0(FP)
	RET

// func barrier()
//
// MFENCE is nothing where QEMU emulates one CPU; there RDTSC takes a lock (cpu_get_ticks), which is a barrier of the host's.
TEXT ·barrier(SB),NOSPLIT,$0-0
	MFENCE
	RDTSC
	RET

// func rdrand() (v uint64, ok bool)
TEXT ·rdrand(SB),NOSPLIT,$0-9
	RDRANDQ AX
	SETCS ok+8(FP)
	MOVQ AX, v+0(FP)
	RET

// func cpuid(leaf, subleaf uint64) (a, b, c, d uint32)
TEXT ·cpuid(SB),NOSPLIT,$0-32
	MOVQ leaf+0(FP), AX
	MOVQ subleaf+8(FP), CX
	CPUID
	MOVL AX, a+16(FP)
	MOVL BX, b+20(FP)
	MOVL CX, c+24(FP)
	MOVL DX, d+28(FP)
	RET

// func readCR3() uint64
TEXT ·readCR3(SB),NOSPLIT,$0-8
	MOVQ CR3, AX
	MOVQ AX, ret+0(FP)
	RET

// func writeCR3(root uint64)
TEXT ·writeCR3(SB),NOSPLIT,$0-8
	MOVQ root+0(FP), AX
	MOVQ AX, CR3
	RET

// func readCR4() uint64
TEXT ·readCR4(SB),NOSPLIT,$0-8
	MOVQ CR4, AX
	MOVQ AX, ret+0(FP)
	RET

// func writeCR4(v uint64)
TEXT ·writeCR4(SB),NOSPLIT,$0-8
	MOVQ v+0(FP), AX
	MOVQ AX, CR4
	RET

// func writeDR6(v uint64)
TEXT ·writeDR6(SB),NOSPLIT,$0-8
	MOVQ v+0(FP), AX
	MOVQ AX, DR6
	RET

// func writeDR7(v uint64)
TEXT ·writeDR7(SB),NOSPLIT,$0-8
	MOVQ v+0(FP), AX
	MOVQ AX, DR7
	RET

// func invlpg(va uint64)
TEXT ·invlpg(SB),NOSPLIT,$0-8
	MOVQ va+0(FP), AX
	INVLPG (AX)
	RET

// func pause()
TEXT ·pause(SB),NOSPLIT,$0
	PAUSE
	RET

// func halt()
TEXT ·halt(SB),NOSPLIT,$0
	CLI
	HLT
	RET

// func clearPage(va uint64)
TEXT ·clearPage(SB),NOSPLIT,$0-8
	MOVQ va+0(FP), AX
	LEAQ 4096(AX), CX
	XORPS X15, X15
loop:
	MOVUPS X15, 0(AX)
	MOVUPS X15, 16(AX)
	MOVUPS X15, 32(AX)
	MOVUPS X15, 48(AX)
	ADDQ $64, AX
	CMPQ AX, CX
	JNE loop
	RET

// func loadTables(gdt, idt, c uint64)
TEXT ·loadTables(SB),NOSPLIT,$0-24
	MOVQ gdt+0(FP), AX
	LGDT (AX)
	MOVQ idt+8(FP), AX
	LIDT (AX)
	MOVW $const_selTSS, AX
	LTR AX
	XORL AX, AX
	MOVW AX, DS
	MOVW AX, ES
	MOVW AX, FS // zeroes the base
	MOVW AX, GS
	MOVL $const_selKernelData, AX
	MOVW AX, SS
	MOVQ c+16(FP), SI
	MOVQ SI, AX
	MOVQ AX, DX
	SHRQ $32, DX
	MOVL $const_msrGSBase, CX
	WRMSR
	MOVQ cpu_groundFS(SI), AX
	MOVQ AX, DX
	SHRQ $32, DX
	MOVL $const_msrFSBase, CX
	WRMSR
	RET

// func currentCPU() uint64
TEXT ·currentCPU(SB),NOSPLIT,$0-8
	MOVQ cpu_self(GS), AX
	MOVQ AX, ret+0(FP)
	RET

// func call(number, a, b, c uint64) uint64
TEXT ·call(SB),NOSPLIT,$0-40
	MOVQ number+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	SYSCALL
	MOVQ AX, ret+32(FP)
	RET

// func frameBase() uint64
TEXT ·frameBase(SB),NOSPLIT,$0-8
	MOVQ BP, ret+0(FP)
	RET

// func addrSyscallEntry() uint64
TEXT ·addrSyscallEntry(SB),NOSPLIT,$0-8
	MOVQ $·syscallEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func addrIdleLoop() uint64
TEXT ·addrIdleLoop(SB),NOSPLIT,$0-8
	MOVQ $·idleLoop(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func addrStartRuntime() uint64
TEXT ·addrStartRuntime(SB),NOSPLIT,$0-8
	MOVQ $·startRuntimeEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func addrAPEntry() uint64
TEXT ·addrAPEntry(SB),NOSPLIT,$0-8
	MOVQ $·apEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func addrVDSO() uint64
TEXT ·addrVDSO(SB),NOSPLIT,$0-8
	MOVQ $·vdso(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func addrVectors() uint64
TEXT ·addrVectors(SB),NOSPLIT,$0-8
	MOVQ $·vectors(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func mmioRead32(va uint64) uint32
TEXT ·mmioRead32(SB),NOSPLIT,$0-12
	MOVQ va+0(FP), AX
	MOVL (AX), AX
	MOVL AX, ret+8(FP)
	RET

// func mmioWrite32(va uint64, v uint32)
TEXT ·mmioWrite32(SB),NOSPLIT,$0-12
	MOVQ va+0(FP), AX
	MOVL v+8(FP), CX
	MOVL CX, (AX)
	RET
