// The floating-point state of user threads. See state.go.

#include "go_asm.h"
#include "textflag.h"
#include "macros_amd64.h"

// XGETBV, XSAVE and XRSTOR take the components in DX:AX. SSE state is never among them: it is saved and loaded register by
// register, as Go code uses it.
#define RESTMASK \
	MOVL ·restMask(SB), AX; XORL DX, DX

// Saves the state of the thread whose regs.User is at CX, after its general registers, and goes on by its vector.
TEXT ·saveState(SB),NOSPLIT|NOFRAME,$0
	STMXCSR imageMXCSR(CX)
	XMMSAVE(imageXMM, CX)
	MOVQ CX, DI
	CMPQ ·xsaveKind(SB), $const_xsaveTracked
	JEQ tracked
	// FNSTENV tells the initial state of x87 for a fraction of the cost of saving it. It masks the exceptions, so the
	// control word is taken from its image.
	FSTENV cpu_x87Env(GS)
	CMPW cpu_x87Env+0(GS), $0x037f
	JNE x87Used
	CMPW cpu_x87Env+4(GS), $0
	JNE x87Used
	CMPW cpu_x87Env+8(GS), $0xffff
	JNE x87Used
	CMPQ ·xsaveKind(SB), $const_xsaveNone
	JEQ initial
	// Any bit in an upper half? Y0 collects them. (The assembler forgets GS before a VEX prefix.)
	MOVQ cpu_self(GS), R8
	VEXTRACTF128 $1, Y0, cpu_upper(R8)
	VORPS Y1, Y0, Y0
	VORPS Y2, Y0, Y0
	VORPS Y3, Y0, Y0
	VORPS Y4, Y0, Y0
	VORPS Y5, Y0, Y0
	VORPS Y6, Y0, Y0
	VORPS Y7, Y0, Y0
	VORPS Y8, Y0, Y0
	VORPS Y9, Y0, Y0
	VORPS Y10, Y0, Y0
	VORPS Y11, Y0, Y0
	VORPS Y12, Y0, Y0
	VORPS Y13, Y0, Y0
	VORPS Y14, Y0, Y0
	VORPS Y15, Y0, Y0
	VEXTRACTF128 $1, Y0, X0
	VPTEST X0, X0
	JEQ initial
	VINSERTF128 $1, cpu_upper(R8), Y0, Y0
	RESTMASK
	XSAVE64 userRegs_Image(DI)
	JMP full
tracked:
	MOVL $1, CX
	XGETBV // XINUSE [SDM1 13.6]
	ANDL ·restMask(SB), AX
	JEQ initial
	RESTMASK
	CMPQ ·haveXSAVEOPT(SB), $0
	JEQ plain
	XSAVEOPT64 userRegs_Image(DI)
	JMP full
plain:
	XSAVE64 userRegs_Image(DI)
	JMP full
x87Used:
	CMPQ ·xsaveKind(SB), $const_xsaveNone
	JEQ fxsave
	RESTMASK
	XSAVE64 userRegs_Image(DI)
	JMP control
fxsave:
	FXSAVE64 userRegs_Image(DI)
control:
	MOVW cpu_x87Env+0(GS), AX
	MOVW AX, userRegs_Image(DI)
full:
	MOVQ $const_stateFull, userRegs_StateMode(DI)
	MOVQ $1, cpu_restDirty(GS)
	JMP saved
initial:
	MOVQ $const_stateSSE, userRegs_StateMode(DI)
	MOVQ $0, cpu_restDirty(GS)
saved:
	MOVQ DI, CX
	CMPQ userRegs_Vec(CX), $const_vecSyscall
	JEQ toGo
	CMPQ userRegs_Vec(CX), $const_vecLine
	JLT toGo
	JMP ·interrupted(SB)
toGo:
	JMP ·backToGo(SB)

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
