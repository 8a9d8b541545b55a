// What programs call to read the clock without a system call, as the functions of Linux's vDSO [vdso(7)]. The code is copied to
// a page of its own, which programs have right behind the page with vdsoData: it must refer to nothing but what it finds from its
// own address on. It is called in the C convention [psABI-x86-64 3.2].

#include "go_asm.h"
#include "textflag.h"
#include "vdso_amd64.h"

// Clocks as sets: those that are read here, those of them that tell the time of day, and the coarse ones [linux/time.h].
#define CLOCKS $0x8f3 // REALTIME MONOTONIC MONOTONIC_RAW REALTIME_COARSE MONOTONIC_COARSE BOOTTIME TAI
#define WALL $0x821 // REALTIME REALTIME_COARSE TAI
#define COARSE $0x060 // REALTIME_COARSE MONOTONIC_COARSE
#define COARSENS $4000000 // the resolution that clock_getres of kernel/linux tells of them

// R8 = the page before that of the code.
#define DATA \
	BYTE $0x4c; BYTE $0x8d; BYTE $0x05; LONG $-const_pageSize; \ // LEAQ -4096(RIP), R8
	ANDQ $~const_pageMask, R8

// Jumps if clock DI isn't one of those above; clobbers AX.
#define KNOWN(otherwise) \
	CMPL DI, $31; \
	JHI otherwise; \
	MOVL CLOCKS, AX; \
	BTL DI, AX; \
	JCC otherwise

// AX = the time of day in nanoseconds.
#define WALLNS \
	DATA; \
	MONOTONICNS(vdsoData_tscStart(R8), vdsoData_nsPerTick(R8)); \
	ADDQ vdsoData_wallOffset(R8), AX

TEXT ·vdso(SB),NOSPLIT|NOFRAME,$0
	// The entry points, vdsoEntry (16) bytes each, in the order that VDSO tells.
	JMP clockGettime
	PCALIGN $16
	JMP gettimeofday
	PCALIGN $16
	JMP time
	PCALIGN $16
	JMP getcpu
	PCALIGN $16
	JMP clockGetres
	PCALIGN $16

clockGettime: // DI the clock, SI a struct timespec
	KNOWN(callGettime)
	DATA
	MONOTONICNS(vdsoData_tscStart(R8), vdsoData_nsPerTick(R8))
	MOVL WALL, CX
	BTL DI, CX
	JCC monotonic
	ADDQ vdsoData_wallOffset(R8), AX
monotonic:
	SECONDS
	MOVQ DX, 0(SI)
	MOVQ CX, 8(SI)
	XORL AX, AX
	RET
callGettime: // CPU time, or no clock at all
	MOVL $const_sysClockGettime, AX
	SYSCALL
	RET

gettimeofday: // DI a struct timeval or 0, SI a struct timezone or 0
	TESTQ DI, DI
	JEQ zone
	WALLNS
	SECONDS
	MOVQ DX, 0(DI)
	IMULQ $274877907, CX // nanoseconds to microseconds: division by 1000 as multiplication by 2^38/1000
	SHRQ $38, CX
	MOVQ CX, 8(DI)
zone:
	TESTQ SI, SI
	JEQ gotTime
	MOVQ $0, 0(SI) // UTC
gotTime:
	XORL AX, AX
	RET

time: // DI a time_t or 0
	WALLNS
	SECONDS
	MOVQ DX, AX
	TESTQ DI, DI
	JEQ toldTime
	MOVQ AX, 0(DI)
toldTime:
	RET

getcpu: // DI and SI an int each, or 0: CPU and node
	MOVL $const_selCPU, CX
	BYTE $0x0f; BYTE $0x03; BYTE $0xc1 // LSL CX, AX: the limit of the segment is the CPU's number
	TESTQ DI, DI
	JEQ node
	MOVL AX, 0(DI)
node:
	TESTQ SI, SI
	JEQ gotCPU
	MOVL $0, 0(SI)
gotCPU:
	XORL AX, AX
	RET

clockGetres: // DI the clock, SI a struct timespec or 0
	KNOWN(callGetres)
	TESTQ SI, SI
	JEQ gotRes
	MOVL COARSE, AX
	BTL DI, AX
	MOVL $1, CX
	JCC fine
	MOVL COARSENS, CX
fine:
	MOVQ $0, 0(SI)
	MOVQ CX, 8(SI)
gotRes:
	XORL AX, AX
	RET
callGetres:
	MOVL $const_sysClockGetres, AX
	SYSCALL
	RET

	// What is copied ends at vdsoSize, which is here; the test looks for these bytes.
	PCALIGN $512
	BYTE $'v'; BYTE $'d'; BYTE $'s'; BYTE $'o'
