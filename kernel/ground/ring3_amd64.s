// The way from ring 3 to Go and back. It is together, within a page, because QEMU goes on from one piece of code that it has
// translated to the next by itself only there.

#include "go_asm.h"
#include "textflag.h"
#include "macros_amd64.h"

// func syscallEntry: SYSCALL from ring 0, by the kernel's runtime, or from ring 3. RCX is the return address: programs run in
// the lower half, the kernel in the upper one.
TEXT ·syscallEntry(SB),NOSPLIT|NOFRAME,$0
	PCALIGN $2048 // all that follows in this file is shorter
	TESTQ CX, CX
	JNS user
	MOVQ CX, cpu_scratch(GS)
	MOVQ cpu_cur(GS), CX
	SAVE(CX)
	MOVQ SP, thread_sp(CX)
	MOVQ cpu_scratch(GS), AX
	MOVQ AX, thread_ip(CX)
	MOVQ $0, thread_full(CX)
	MOVQ cpu_groundSP(GS), SP
	SETFS(cpu_groundFS(GS))
	GOSTATE(cpu_groundG(GS))
	MOVQ cpu_cur(GS), AX
	CALLGO(·syscallFn(SB))
	JMP ·resume(SB)
user:
	SWAPGS
	MOVQ CX, cpu_scratch(GS)
	MOVQ cpu_cur(GS), CX
	MOVQ thread_user(CX), CX
	SAVE(CX)
	MOVQ SP, userRegs_SP(CX)
	MOVQ R11, userRegs_Flags(CX)
	MOVQ cpu_scratch(GS), AX
	MOVQ AX, userRegs_IP(CX)
	MOVQ AX, userRegs_CX(CX)
	MOVQ $const_vecSyscall, userRegs_Vec(CX)
	JMP ·saveState(SB)

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

// Returns from enterUser in the goroutine that called it; CX is its regs.User.
TEXT ·backToGo(SB),NOSPLIT|NOFRAME,$0
	MOVQ $0, userRegs_OnCPU(CX)
	// Sticky flags of exceptions are all the same to Go.
	MOVL imageMXCSR(CX), AX
	ANDL $~const_mxcsrFlags, AX
	CMPL AX, $const_mxcsrInitial
	JEQ rounded
	LDMXCSR ·mxcsr(SB)
rounded:
	MOVQ cpu_cur(GS), SI
	SETFS(thread_fsBase(SI))
	MOVQ thread_userSP(SI), SP
	POPQ BP
	MOVQ thread_userG(SI), R14
	MOVQ $0, thread_user(SI)
	XORPS X15, X15
	CLD
	POPQ CX // not RET: the assembler wants pushes and pops of a function to match
	STI
	JMP CX

// func enterUser(u uint64)
TEXT ·enterUser(SB),NOSPLIT|NOFRAME,$0-8
	MOVQ u+0(FP), DI
	PUSHQ BP
	CLI
	MOVQ cpu_cur(GS), SI
	MOVQ DI, thread_user(SI)
	MOVQ SP, thread_userSP(SI)
	MOVQ R14, thread_userG(SI)
	MOVQ DI, SI
	JMP ·loadUser(SB)

// Leaves for ring 3 with the registers at SI, a regs.User. A kick that comes before OnCPU is set is seen
// here, a later one sends an interrupt.
TEXT ·loadUser(SB),NOSPLIT|NOFRAME,$0
	MOVQ cpu_id(GS), AX
	INCQ AX
	XCHGQ AX, userRegs_OnCPU(SI)
	CMPQ userRegs_Kicked(SI), $0
	JNE kicked
	MOVQ userRegs_Root(SI), AX
	CMPQ AX, cpu_root(GS)
	JEQ rootLoaded
	MOVQ AX, cpu_root(GS) // see uses
	MOVQ AX, CR3
	MOVQ AX, cpu_loaded(GS)
rootLoaded:
	MOVQ userRegs_GSBase(SI), AX
	CMPQ AX, cpu_kernelGS(GS)
	JEQ gsLoaded
	MOVQ AX, cpu_kernelGS(GS)
	MOVQ AX, DX
	SHRQ $32, DX
	MOVL $const_msrKernelGSBase, CX
	WRMSR
gsLoaded:
	SETFS(userRegs_FSBase(SI))
	MOVQ cpu_xsave(GS), AX
	CMPQ AX, ·xsaveKind(SB)
	JNE xsaveOff
	CMPQ userRegs_StateMode(SI), $const_stateSSE
	JNE full
	CMPQ cpu_restDirty(GS), $0
	JNE dirty
	JMP ·loadSSE(SB)
xsaveOff:
	JMP ·turnOnXSAVE(SB)
full:
	JMP ·loadRest(SB)
dirty:
	JMP ·resetRest(SB)
kicked:
	MOVQ $0, userRegs_Kicked(SI)
	MOVQ $const_vecInterrupted, userRegs_Vec(SI)
	MOVQ SI, CX
	JMP ·backToGo(SB)

// Goes on with the registers at SI when the floating-point state has been loaded.
TEXT ·loadSSE(SB),NOSPLIT|NOFRAME,$0
	LDMXCSR imageMXCSR(SI)
	XMMLOAD(imageXMM, SI)
	// SYSRET returns to RCX with the flags in R11, so it serves only the way back from a system call.
	MOVQ userRegs_IP(SI), AX
	MOVQ AX, DX
	SHRQ $47, DX
	JNE notCanonical // SYSRET and IRET would fault in ring 0
	CMPQ userRegs_Vec(SI), $const_vecSyscall
	JNE iret
	CMPQ AX, userRegs_CX(SI)
	JNE iret
	MOVQ SI, CX
	LOAD(CX)
	MOVQ userRegs_Flags(CX), R11
	MOVQ userRegs_SP(CX), SP
	MOVQ userRegs_CX(CX), CX
	SWAPGS
	BYTE $0x48; BYTE $0x0f; BYTE $0x07 // SYSRETQ
iret:
	MOVQ cpu_groundSP(GS), SP
	PUSHQ $const_selUserData
	PUSHQ userRegs_SP(SI)
	PUSHQ userRegs_Flags(SI)
	PUSHQ $const_selUserCode
	PUSHQ AX
	MOVQ SI, CX
	LOAD(CX)
	MOVQ userRegs_CX(CX), CX
	SWAPGS
	IRETQ
notCanonical:
	MOVQ $const_vecProtection, userRegs_Vec(SI)
	MOVQ $0, userRegs_Err(SI)
	MOVQ SI, CX
	JMP ·backToGo(SB)
