// Entries to ground and exits from it. See doc.go for the picture.

#include "go_asm.h"
#include "textflag.h"
#include "macros_amd64.h"
#include "vdso_amd64.h"

// func entry: from the boot stub, in 64-bit mode with the kernel's page tables; BX is the start info's address, BP and DI are
// the halves of what the TSC was at first.
TEXT ·entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVL DI, R8
	MOVL BP, R9
	SHLQ $32, R9
	ORQ R9, R8
	MOVQ $·bootStacks(SB), AX
	LEAQ (const_bootHandler+const_bootSize-const_spill)(AX), SP
	MOVQ $·cpus(SB), DI
	LEAQ cpu_fakeGWords(DI), R14
	LEAQ (const_bootHandler+const_stackGuard)(AX), CX
	MOVQ CX, 16(R14)
	MOVQ CX, 24(R14)
	MOVQ R14, cpu_groundTLS(DI)
	LEAQ (cpu_groundTLS+8)(DI), DI
	SETFS(DI)
	PUSHQ $0
	POPQ BP // ends the chain of frame pointers
	XORPS X15, X15
	MOVQ BX, AX
	MOVQ R8, BX
	CALLGO(·bootFn(SB))
	JMP ·resume(SB)

// func apEntry: a started CPU, from the trampoline, on its page tables.
TEXT ·apEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ $(const_direct+const_trampoline+const_trampolineCPU), SI
	MOVQ 0(SI), DI // *cpu
	MOVQ 8(SI), AX // kernel root
	MOVQ AX, CR3
	MOVQ cpu_groundSP(DI), SP
	MOVQ cpu_groundG(DI), R14
	SETFS(cpu_groundFS(DI))
	PUSHQ $0
	POPQ BP
	XORPS X15, X15
	MOVQ DI, AX
	CALLGO(·apBootFn(SB))
	JMP ·resume(SB)

// All vectors but the fatal ones come here with, on an interrupt stack: vector, error code, RIP, CS, RFLAGS, RSP, SS.
TEXT ·trapEntry(SB),NOSPLIT|NOFRAME,$0
	TESTB $3, 24(SP)
	JNZ fromUser
	CMPQ 0(SP), $const_vecPageFault
	JEQ pageFault
	CMPQ 0(SP), $const_vecDebug
	JEQ debug
fromKernel:
	PUSHQ CX
	MOVQ cpu_cur(GS), CX
	SAVE(CX)
	LOADSS
	XMMSAVE(thread_xmm, CX)
	POPQ thread_cx(CX)
	POPQ thread_vec(CX)
	POPQ thread_err(CX)
	POPQ thread_ip(CX)
	ADDQ $8, SP
	POPQ thread_flags(CX)
	POPQ thread_sp(CX)
	MOVQ CR2, AX
	MOVQ AX, thread_cr2(CX)
	MOVQ $1, thread_full(CX)
	JMP ·toGround(SB)

fromUser:
	SWAPGS
	CMPQ ·haveSMAP(SB), $0
	JEQ noSMAP
	CLAC
noSMAP:
	PUSHQ CX
	MOVQ cpu_cur(GS), CX
	MOVQ thread_user(CX), CX
	SAVE(CX)
	LOADSS
	POPQ userRegs_CX(CX)
	POPQ userRegs_Vec(CX)
	POPQ userRegs_Err(CX)
	POPQ userRegs_IP(CX)
	ADDQ $8, SP
	POPQ userRegs_Flags(CX)
	POPQ userRegs_SP(CX)
	MOVQ CR2, AX
	MOVQ AX, userRegs_CR2(CX)
	JMP ·saveState(SB)

debug:
	JMP ·surpriseEntry(SB)

nested:
	JMP ·fatalEntry(SB)

pageFault:
	// A page fault of ring 0: resolved on this stack, returning in place; else an exception of the thread. One that comes
	// meanwhile has overwritten the frame of the first.
	CMPQ cpu_inFault(GS), $0
	JNE nested
	MOVQ $1, cpu_inFault(GS)
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
	LOADSS
	SUBQ $256, SP
	XMMSAVE(0, SP)
	MOVL $const_msrFSBase, CX
	RDMSR
	PUSHQ DX
	PUSHQ AX
	SETFS(cpu_faultFS(GS))
	GOSTATE(cpu_faultG(GS))
	MOVQ CR2, AX
	MOVQ (256+17*8+8)(SP), BX // error code
	MOVQ (256+17*8+16)(SP), CX // RIP
	MOVQ (256+17*8+40)(SP), DI // RSP
	SUBQ $const_spill, SP
	CALLGO(·faultFn(SB))
	ADDQ $const_spill, SP
	MOVQ $0, cpu_inFault(GS)
	MOVQ AX, cpu_scratch(GS)
	POPQ AX
	POPQ DX
	MOVL $const_msrFSBase, CX
	WRMSR
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
	CMPQ cpu_scratch(GS), $0
	JNE fromKernel
	ADDQ $16, SP
	IRETQ

// An interrupt in ring 3 is for ground: the thread, whose regs.User is at CX, is made to look as if enterUser had returned.
TEXT ·interrupted(SB),NOSPLIT|NOFRAME,$0
	MOVQ $0, userRegs_OnCPU(CX)
	MOVQ userRegs_Vec(CX), AX
	MOVQ $const_vecInterrupted, userRegs_Vec(CX)
	MOVQ CX, DX
	MOVQ cpu_cur(GS), CX
	MOVQ AX, thread_vec(CX)
	MOVQ DX, thread_resumeUser(CX)
	MOVQ $0, thread_user(CX)
	MOVQ $0, thread_full(CX)
	MOVQ thread_userSP(CX), AX
	MOVQ 0(AX), BX
	MOVQ BX, thread_bp(CX)
	MOVQ 8(AX), BX
	MOVQ BX, thread_ip(CX)
	ADDQ $16, AX
	MOVQ AX, thread_sp(CX)
	MOVQ thread_userG(CX), AX
	MOVQ AX, thread_r14(CX)
	LDMXCSR ·mxcsr(SB)
	JMP ·toGround(SB)

// Calls trap for the current thread, whose registers are saved.
TEXT ·toGround(SB),NOSPLIT|NOFRAME,$0
	MOVQ cpu_groundSP(GS), SP
	SETFS(cpu_groundFS(GS))
	GOSTATE(cpu_groundG(GS))
	MOVQ cpu_cur(GS), AX
	CALLGO(·trapFn(SB))
	JMP ·resume(SB)

// Resumes cpu.cur.
TEXT ·resume(SB),NOSPLIT|NOFRAME,$0
	MOVQ cpu_cur(GS), SI
	MOVQ thread_resumeUser(SI), DI
	TESTQ DI, DI
	JEQ kernel
	MOVQ $0, thread_resumeUser(SI)
	MOVQ DI, thread_user(SI)
	MOVQ DI, SI
	JMP ·loadUser(SB)
kernel:
	SETFS(thread_fsBase(SI))
	MOVQ SI, CX
	CMPQ thread_full(CX), $0
	JNE full
	LOAD(CX)
	MOVQ thread_sp(CX), SP
	MOVQ thread_ip(CX), CX
	XORPS X15, X15
	STI
	JMP CX
full:
	XMMLOAD(thread_xmm, CX)
	MOVQ cpu_groundSP(GS), SP
	PUSHQ $const_selKernelData
	PUSHQ thread_sp(CX)
	PUSHQ thread_flags(CX)
	PUSHQ $const_selKernelCode
	PUSHQ thread_ip(CX)
	LOAD(CX)
	MOVQ thread_cx(CX), CX
	IRETQ

TEXT ·idleLoop(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	STI
	HLT
	JMP -2(PC)

TEXT ·startRuntimeEntry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	JMP _rt0_amd64_linux(SB)

// vdsoClock is clock_gettime as the runtime calls it, in the C convention: DI is the clock, SI a struct timespec.
TEXT ·vdsoClock(SB),NOSPLIT|NOFRAME,$0
	MONOTONICNS(·tscStart(SB), ·nsPerTick(SB))
	CMPQ ·clocksDiffer(SB), $0
	JEQ told
	MOVQ AX, DX
	MOVQ ·latestNS(SB), AX
behind:
	CMPQ DX, AX
	JLS told // AX is later
	LOCK
	CMPXCHGQ DX, ·latestNS(SB) // if it isn't AX any more, AX becomes what it is
	JNE behind
	MOVQ DX, AX
told:
	TESTQ DI, DI
	JNE monotonic
	ADDQ ·wallOffset(SB), AX
monotonic:
	SECONDS
	MOVQ DX, 0(SI)
	MOVQ CX, 8(SI)
	XORL AX, AX
	RET

// func installVDSO()
TEXT ·installVDSO(SB),NOSPLIT,$0
	MOVQ $·vdsoClock(SB), AX
	MOVQ AX, runtime·vdsoClockgettimeSym(SB)
	RET

DATA ·mxcsr(SB)/4, $const_mxcsrInitial
GLOBL ·mxcsr(SB), RODATA|NOPTR, $4
