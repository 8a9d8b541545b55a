// Package regs holds the register file of a user thread, as ground's assembly lays it out.
//
// It is plain data without assembly, so that packages above ground can read and write the
// registers of a thread, and be tested on Linux.
package regs

// Vectors that User.Vec holds after a thread has left ring 3 [SDM3 6.15].
const (
	DivideError       = 0
	Debug             = 1
	Breakpoint        = 3
	Overflow          = 4
	BoundRange        = 5
	InvalidOpcode     = 6
	DeviceNotAvail    = 7
	SegmentNotPresent = 11
	StackFault        = 12
	GeneralProtection = 13
	PageFault         = 14
	X87Error          = 16
	AlignmentCheck    = 17
	SIMDError         = 19

	// Interrupted: an interrupt or a Kick brought the thread back; nothing is wanted of the caller
	// but to look for signals and to let others run.
	Interrupted = 32
	// Syscall: the thread executed SYSCALL. AX is the number, DI SI DX R10 R8 R9 are the arguments.
	Syscall = 256
)

// Page-fault error code bits in User.Err [SDM3 4.7].
const (
	FaultPresent  = 1 << 0 // the page was present: a protection violation
	FaultWrite    = 1 << 1 // a write
	FaultUser     = 1 << 2 // from ring 3
	FaultReserved = 1 << 3 // a reserved bit was set in a paging entry
	FaultFetch    = 1 << 4 // an instruction fetch
)

// User is the register file of one user thread while it is not in ring 3.
//
// The assembly of ground knows the offset of each field (asserted by its tests). The value must be
// aligned to 64 bytes because of Image; use New.
type User struct {
	AX, BX, CX, DX, SI, DI, BP, R8, R9, R10, R11, R12, R13, R14, R15 uint64

	IP, Flags, SP uint64

	Vec, Err, CR2 uint64 // why the thread left ring 3: vector, error code, faulting address

	FSBase, GSBase uint64 // thread-local storage bases; must be canonical and in the lower half

	Root uint64 // physical address of the page-table root (CR3) to run in

	// Kicked, OnCPU and StateMode belong to ground.
	Kicked    uint64    // not 0: the present or the next Enter returns at once
	OnCPU     uint64    // the CPU that runs the thread in ring 3 now, plus one; 0: none
	StateMode uint64    // what of Image is valid: StateSSE or StateFull
	_         [5]uint64 // aligns Image to 64 bytes

	// Image is the XSAVE image, in the standard format, of x87, SSE, AVX and AVX-512 state, on a CPU without XSAVE
	// the FXSAVE image [SDM1 10.5.1, 13.4]. Read and write it with the methods of state.go.
	Image [ImageSize]byte
}

// Begin makes the registers those of a program that is about to begin: from New, with IP, SP, Flags and Root set. What is
// ground's stays, and so does why the thread left ring 3.
func (u *User) Begin(from *User) {
	u.AX, u.BX, u.CX, u.DX, u.SI, u.DI, u.BP = 0, 0, 0, 0, 0, 0, 0
	u.R8, u.R9, u.R10, u.R11, u.R12, u.R13, u.R14, u.R15 = 0, 0, 0, 0, 0, 0, 0, 0
	u.IP, u.Flags, u.SP, u.Root = from.IP, from.Flags, from.SP, from.Root
	u.FSBase, u.GSBase = 0, 0
	u.CopyState(from)
}
