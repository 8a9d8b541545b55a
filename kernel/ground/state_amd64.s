// The floating-point state of user threads. See state.go.

#include "go_asm.h"
#include "textflag.h"
#include "macros_amd64.h"

// Makes all but SSE state initial.
TEXT ·resetRest(SB),NOSPLIT|NOFRAME,$0
	MOVQ $0, cpu_restDirty(GS)
	CMPQ ·xsaveKind(SB), $const_xsaveNone
	JEQ x87
	RESTMASK
	MOVQ ·initialImage(SB), DI
	XRSTOR64 (DI)
	JMP ·loadSSE(SB)
x87:
	FINIT
	JMP ·loadSSE(SB)

// Loads all but SSE state of the thread whose regs.User is at SI.
TEXT ·loadRest(SB),NOSPLIT|NOFRAME,$0
	MOVQ $1, cpu_restDirty(GS)
	CMPQ ·xsaveKind(SB), $const_xsaveNone
	JEQ fxrstor
	RESTMASK
	XRSTOR64 userRegs_Image(SI)
	JMP ·loadSSE(SB)
fxrstor:
	FXRSTOR64 userRegs_Image(SI)
	JMP ·loadSSE(SB)

// Turns XSAVE on when a CPU first enters ring 3; SI is the regs.User that it enters with.
TEXT ·turnOnXSAVE(SB),NOSPLIT|NOFRAME,$0
	MOVQ CR4, AX
	ORQ $const_cr4OSXSAVE, AX
	MOVQ AX, CR4
	XORL CX, CX
	MOVL ·xcr0(SB), AX
	XORL DX, DX
	XSETBV
	MOVQ ·xsaveKind(SB), AX
	MOVQ AX, cpu_xsave(GS)
	MOVQ $·loadUser(SB), AX // the linker takes a direct jump back for a recursion
	JMP AX

// func tracksUse(features uint64) bool: tells whether XGETBV knows that AVX state is initial, with XSAVE on for the moment.
TEXT ·tracksUse(SB),NOSPLIT,$0-9
	MOVQ CR4, AX
	MOVQ AX, DI
	ORQ $const_cr4OSXSAVE, AX
	MOVQ AX, CR4
	XORL CX, CX
	MOVQ features+0(FP), AX
	XORL DX, DX
	XSETBV
	MOVQ features+0(FP), AX
	ANDL $~2, AX
	MOVQ ·initialImage(SB), R8
	XRSTOR64 (R8)
	MOVL $1, CX
	XGETBV
	ANDL $4, AX
	SETEQ ret+8(FP)
	MOVQ DI, CR4
	RET
