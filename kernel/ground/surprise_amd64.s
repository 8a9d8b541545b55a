// Entries that find the CPU in any state. See surprise.go.

#include "go_asm.h"
#include "textflag.h"
#include "macros_amd64.h"

// A non-maskable interrupt, or a debug exception of ring 0, with, on a stack of its own: vector, error code, RIP, CS, RFLAGS,
// RSP, SS. It leaves everything as it was.
TEXT ·surpriseEntry(SB),NOSPLIT|NOFRAME,$0
	PUSHQ AX
	PUSHQ BX
	PUSHQ CX
	PUSHQ DX
	PUSHQ SI
	PUSHQ DI
	PUSHQ BP
	PUSHQ R8
	PUSHQ R9
	PUSHQ R10
	PUSHQ R11
	PUSHQ R12
	PUSHQ R13
	PUSHQ R14
	PUSHQ R15
	SUBQ $256, SP
	XMMSAVE(0, SP)
	XORL BX, BX
	MOVL $const_msrGSBase, CX
	RDMSR
	TESTL DX, DX
	JS kernelGS
	SWAPGS
	INCL BX
kernelGS:
	PUSHQ BX
	MOVL $const_msrFSBase, CX
	RDMSR
	PUSHQ DX
	PUSHQ AX
	SETFS(·anyFS(SB))
	LEAQ ·anyG(SB), CX
	GOSTATE(CX)
	LEAQ (256+18*8)(SP), AX // vector
	SUBQ $const_spill, SP
	CALLGO(·surpriseFn(SB))
	ADDQ $const_spill, SP
	POPQ AX
	POPQ DX
	MOVL $const_msrFSBase, CX
	WRMSR
	POPQ BX
	TESTL BX, BX
	JEQ sameGS
	SWAPGS
sameGS:
	XMMLOAD(0, SP)
	ADDQ $256, SP
	POPQ R15
	POPQ R14
	POPQ R13
	POPQ R12
	POPQ R11
	POPQ R10
	POPQ R9
	POPQ R8
	POPQ BP
	POPQ DI
	POPQ SI
	POPQ DX
	POPQ CX
	POPQ BX
	POPQ AX
	ADDQ $16, SP
	IRETQ

// What is the end of the machine, with the same on a stack that is never left.
TEXT ·fatalEntry(SB),NOSPLIT|NOFRAME,$0
	MOVL $const_msrGSBase, CX
	RDMSR
	TESTL DX, DX
	JS kernelGS
	SWAPGS
kernelGS:
	POPQ cpu_brokenVec(GS)
	POPQ cpu_brokenErr(GS)
	POPQ cpu_brokenIP(GS)
	ADDQ $16, SP
	POPQ cpu_brokenSP(GS)
	MOVQ CR2, AX
	MOVQ AX, cpu_brokenCR2(GS)
	SUBQ $const_spill, SP
	SETFS(·anyFS(SB))
	LEAQ ·anyG(SB), CX
	GOSTATE(CX)
	CALLGO(·fatalFn(SB))
	INT $3
