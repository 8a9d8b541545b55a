package linux

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/kernel/ground/regs"
	"wick/kernel/mm"
	"wick/kernel/net"
	"wick/kernel/task"
	"wick/kernel/vdso"
	"wick/kernel/vfs"
)

var le = binary.LittleEndian

// Kernel is what all processes share.
type Kernel struct {
	// Log prints a line to the kernel log; Verbose includes unimplemented system calls.
	Log     func(format string, args ...any)
	Verbose bool

	FS  *vfs.FS
	Net *net.Stack

	Machine  mm.Machine
	CPU      task.CPU
	CPUs     int    // number of CPUs that programs see, at least 1
	Hostname string // uname's nodename

	Extent regs.Extent // of the floating-point state that the CPU keeps for a thread
	HWCap  uint64      // AT_HWCAP: EDX of CPUID leaf 1
	HWCap2 uint64      // AT_HWCAP2: bit 1 if programs may use RDFSBASE and its kin

	// VDSO is what programs read the clock with in ring 3; nil: nothing. Monotonic is CLOCK_MONOTONIC as they read it there,
	// and runs as the clock of package time does; nil: that clock, from the start of this program on.
	VDSO      *vdso.VDSO
	Monotonic func() time.Duration

	// CurrentCPU is the number of the CPU that runs the caller, which may be on another one when it looks at it; nil: always 0.
	CurrentCPU func() int

	// FixedAddresses has programs find everything at the same place each time, as under ADDR_NO_RANDOMIZE of
	// personality(2).
	FixedAddresses bool

	// Memory tells the bytes of memory that programs may use in all, and how many of them are free. May be nil.
	Memory func() (total, free uint64)

	// Short tells whether the kernel's own memory is short, so that nothing more should be kept for programs. May be nil.
	Short func() bool

	// Low is not 0, to be read atomically, when Relieve is to be called before a program may have the kernel do more. If Relieve returns
	// false a process should end for the memory that it has. Both may be nil.
	Low     *uint32
	Relieve func() bool

	// Gate keeps threads out of the kernel while memory is tight. May be nil.
	Gate *task.Gate

	// syscall is the function of that name. Start sets it: fork needs it, and can't name it, since the table names fork.
	syscall func(t *task.Thread)

	loading sync.Mutex // held while execve loads a program

	zeroOnce sync.Once // see monotonicZero
	zero     time.Time

	missing [tableSize/32 + 1]atomic.Uint32 // calls whose absence is logged, a bit each
}

// Process is a task.Process with the parts that only the ABI knows: descriptors, working directory, ids, umask.
type Process struct {
	*task.Process
	Kernel *Kernel
	FDs    *vfs.Table
	Paths  *vfs.Paths // working directory, ids, and what /proc/self is

	running      atomic.Pointer[running]
	executed     vfs.File     // the program's file; changes at execve
	endExecution func()       // says that it is executed no longer
	ends         waiter.Queue // those who wait for the end of the process on a pidfd

	umask      atomic.Uint32
	keepCaps   atomic.Bool // PR_SET_KEEPCAPS
	undumpable atomic.Bool // PR_SET_DUMPABLE to 0
	noNewPrivs atomic.Bool // PR_SET_NO_NEW_PRIVS
	nice       atomic.Int32
	barriers   atomic.Uint32 // what has been registered for membarrier
	signals    waiter.Queue  // those who wait for signals on a signalfd

	mu     sync.Mutex
	limits [numLimits]unix.Rlimit // guarded by mu; mu is also held to change the ids
}

// Call is one system call of a thread, while it is being done.
type Call struct {
	*Process
	Thread *task.Thread
	Number uint64
	Args   [6]uint64

	io   transferState // reused from call to call, see file.go
	sock socketState   // the same, see socket.go
}

// logf prints a line to the kernel log.
func (k *Kernel) logf(format string, args ...any) {
	if k.Log != nil {
		k.Log(format, args...)
	}
}
