// What the assembly of several files needs.

// Saves and loads the general registers at B, a thread or a regs.User, whose layouts agree. CX is the caller's matter.
#define SAVE(B) \
	MOVQ AX, thread_ax(B); MOVQ BX, thread_bx(B); MOVQ DX, thread_dx(B); \
	MOVQ SI, thread_si(B); MOVQ DI, thread_di(B); MOVQ BP, thread_bp(B); \
	MOVQ R8, thread_r8(B); MOVQ R9, thread_r9(B); MOVQ R10, thread_r10(B); MOVQ R11, thread_r11(B); \
	MOVQ R12, thread_r12(B); MOVQ R13, thread_r13(B); MOVQ R14, thread_r14(B); MOVQ R15, thread_r15(B)

#define LOAD(B) \
	MOVQ thread_bx(B), BX; MOVQ thread_dx(B), DX; \
	MOVQ thread_si(B), SI; MOVQ thread_di(B), DI; MOVQ thread_bp(B), BP; \
	MOVQ thread_r8(B), R8; MOVQ thread_r9(B), R9; MOVQ thread_r10(B), R10; MOVQ thread_r11(B), R11; \
	MOVQ thread_r12(B), R12; MOVQ thread_r13(B), R13; MOVQ thread_r14(B), R14; MOVQ thread_r15(B), R15; \
	MOVQ thread_ax(B), AX

#define XMMSAVE(off, B) \
	MOVUPS X0, (off+0)(B); MOVUPS X1, (off+16)(B); MOVUPS X2, (off+32)(B); MOVUPS X3, (off+48)(B); \
	MOVUPS X4, (off+64)(B); MOVUPS X5, (off+80)(B); MOVUPS X6, (off+96)(B); MOVUPS X7, (off+112)(B); \
	MOVUPS X8, (off+128)(B); MOVUPS X9, (off+144)(B); MOVUPS X10, (off+160)(B); MOVUPS X11, (off+176)(B); \
	MOVUPS X12, (off+192)(B); MOVUPS X13, (off+208)(B); MOVUPS X14, (off+224)(B); MOVUPS X15, (off+240)(B)

// In halves: QEMU takes four times as long for a load of 16 bytes, which it makes of two of 8 with one of 16 after them, for
// which the processor has to wait.
#define XMMLOAD(off, B) \
	MOVSD (off+0)(B), X0; MOVHPS (off+8)(B), X0; MOVSD (off+16)(B), X1; MOVHPS (off+24)(B), X1; \
	MOVSD (off+32)(B), X2; MOVHPS (off+40)(B), X2; MOVSD (off+48)(B), X3; MOVHPS (off+56)(B), X3; \
	MOVSD (off+64)(B), X4; MOVHPS (off+72)(B), X4; MOVSD (off+80)(B), X5; MOVHPS (off+88)(B), X5; \
	MOVSD (off+96)(B), X6; MOVHPS (off+104)(B), X6; MOVSD (off+112)(B), X7; MOVHPS (off+120)(B), X7; \
	MOVSD (off+128)(B), X8; MOVHPS (off+136)(B), X8; MOVSD (off+144)(B), X9; MOVHPS (off+152)(B), X9; \
	MOVSD (off+160)(B), X10; MOVHPS (off+168)(B), X10; MOVSD (off+176)(B), X11; MOVHPS (off+184)(B), X11; \
	MOVSD (off+192)(B), X12; MOVHPS (off+200)(B), X12; MOVSD (off+208)(B), X13; MOVHPS (off+216)(B), X13; \
	MOVSD (off+224)(B), X14; MOVHPS (off+232)(B), X14; MOVSD (off+240)(B), X15; MOVHPS (off+248)(B), X15

// Loads the FS base; clobbers AX, CX, DX.
#define SETFS(value) \
	MOVQ value, AX; MOVQ AX, DX; SHRQ $32, DX; MOVL $const_msrFSBase, CX; WRMSR

// Loads SS as it is after SYSCALL. An interrupt leaves it null [SDM3 6.14.4], which is all the same to 64-bit code; but QEMU
// translates code once for each kind of SS, and all that runs until the next SYSCALL would be translated twice. Clobbers AX.
#define LOADSS \
	MOVL $const_selKernelData, AX; MOVW AX, SS

// First words of Go code on a stack of ground.
#define GOSTATE(g) \
	MOVQ g, R14; XORL BP, BP; XORPS X15, X15; CLD

// Calls a Go function by its closure with ABIInternal.
#define CALLGO(fn) \
	MOVQ fn, DX; MOVQ (DX), SI; CALL SI

// Offsets in regs.User of parts of the FXSAVE image [SDM1 10.5.1].
#define imageMXCSR (userRegs_Image+24)
#define imageXMM (userRegs_Image+160)

// XGETBV, XSAVE and XRSTOR take the components in DX:AX. SSE state is never among them: it is saved and loaded register by
// register, as Go code uses it.
#define RESTMASK \
	MOVL ·restMask(SB), AX; XORL DX, DX
