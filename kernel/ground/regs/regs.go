// Package regs holds the register file of a user thread, as ground's assembly lays it out.
//
// It is plain data without assembly, so that packages above ground can read and write the
// registers of a thread, and be tested on Linux.
package regs

import "encoding/binary"

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
// aligned to 16 bytes because of FX; use New.
type User struct {
	AX, BX, CX, DX, SI, DI, BP, R8, R9, R10, R11, R12, R13, R14, R15 uint64

	IP, Flags, SP uint64

	Vec, Err, CR2 uint64 // why the thread left ring 3: vector, error code, faulting address

	FSBase, GSBase uint64 // thread-local storage bases; must be canonical and in the lower half

	Root uint64 // physical address of the page-table root (CR3) to run in

	// Kicked, OnCPU and FPMode belong to ground.
	Kicked uint64    // not 0: the present or the next Enter returns at once
	OnCPU  uint64    // the CPU that runs the thread in ring 3 now, plus one; 0: none
	FPMode uint64    // how FX is loaded: FPModeSSE or FPModeFull
	_      [5]uint64 // aligns FX to 16 bytes

	// FX is the FXSAVE image of the thread [SDM1 10.5.1], valid whenever the thread is not in ring 3.
	// Change it with SetFX only.
	FX [512]byte
}

// Values of User.FPMode.
const (
	FPModeSSE  = 0 // x87 is in its initial state; only SSE state is loaded
	FPModeFull = 1 // everything is loaded
)

// Initial values of the control words [SDM1 8.1.5, 10.2.3].
const (
	initialFCW   = 0x037f
	initialMXCSR = 0x1f80
	mxcsrMask    = 0xffff // bits that may be set on every amd64 CPU, DAZ among them
)

// New returns a register file with initial floating-point state and everything else zero. It is always on the heap:
// ground keeps its address as a number, and on a stack it would neither be aligned nor stay where it is.
//
//go:noinline
func New() *User {
	u := new(User)
	binary.LittleEndian.PutUint16(u.FX[0:], initialFCW)
	binary.LittleEndian.PutUint32(u.FX[24:], initialMXCSR)
	return u
}

// SetFX replaces the floating-point state, say by that of a signal frame that a program may have changed. Bits of MXCSR
// that no CPU has are cleared, so that loading it can't fault.
func (u *User) SetFX(image *[512]byte) {
	u.FX = *image
	mxcsr := binary.LittleEndian.Uint32(u.FX[24:])
	binary.LittleEndian.PutUint32(u.FX[24:], mxcsr&mxcsrMask)
	u.FPMode = FPModeFull
}
