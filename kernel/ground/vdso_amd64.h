// The arithmetic of the clock, for the kernel's runtime and for programs.

// AX = (TSC - start) * scale >> 32, the time in nanoseconds; clobbers DX. The fence has the TSC read after all that was done
// before [SDM2 RDTSC], so that no CPU tells an earlier time than one that it has seen.
#define MONOTONICNS(start, scale) \
	LFENCE; \
	RDTSC; \
	SHLQ $32, DX; \
	ORQ DX, AX; \
	SUBQ start, AX; \
	MULQ scale; \
	SHRQ $32, DX, AX

// DX = AX / 10^9, CX = AX % 10^9; clobbers AX. 10^9 is 2^9 times 1953125, and to divide by that is to
// multiply by 2^75/1953125.
#define SECONDS \
	MOVQ AX, CX; \
	SHRQ $9, AX; \
	MOVQ $0x44b82fa09b5a53, DX; \
	MULQ DX; \
	SHRQ $11, DX; \
	IMUL3Q $1000000000, DX, AX; \
	SUBQ AX, CX
