package ground

import (
	"runtime"
	"sync/atomic"

	"wick/kernel/ground/regs"
)

// AllocFrames stores the physical addresses of frames for programs, with unknown contents, in pas. It returns how many there
// are: fewer when only the kernel's reserve is left.
func AllocFrames[T ~uint64](pas []T) int {
	n := call(callAllocFrames, sliceAddress(pas), uint64(len(pas)), 0)
	runtime.KeepAlive(pas)
	return int(n)
}

// FreeFrames gives frames back. No translation to them may be left (see Flush).
func FreeFrames[T ~uint64](pas []T) {
	if len(pas) > 0 {
		call(callFreeFrames, sliceAddress(pas), uint64(len(pas)), 0)
		runtime.KeepAlive(pas)
	}
}

// NewRoot returns a page-table root that has the kernel in its upper half and nothing in its lower half.
func NewRoot() (root uint64, ok bool) {
	root = call(callNewRoot, 0, 0, 0)
	return root, root != 0
}

// Flush drops the translations of n pages of root from va on, on all CPUs, before it returns. n == 0 stands for the whole
// lower half; afterwards no CPU has the root loaded.
func Flush(root, va uint64, n int) { call(callFlush, root, va, uint64(n)) }

// AllocDMA returns n pages of zeroed memory in a row below 4 GiB, and their physical address. They are never
// freed.
func AllocDMA(pages int) (pa uint64, memory []byte, ok bool) {
	pa = call(callAllocContiguous, uint64(pages), 0, 0)
	if pa == 0 {
		return 0, nil, false
	}
	return pa, physical(pa, uint64(pages)*pageSize), true
}

// Barrier is a full barrier between the CPU and devices: what was stored before it can be seen when anything is loaded after it.
func Barrier() { barrier() }

// userFlags are the flags that a program may have set [SDM1 3.4.3]: CF PF AF ZF SF TF DF OF AC ID.
const userFlags = 0x240dd5

// userTop is the end of the lower half. An address that isn't canonical would fault in ring 0 when it is loaded as a base; for
// IP the assembly looks, because an interrupted thread can have jumped anywhere.
const userTop = 1 << 47

// Ring3 runs the threads of programs. It is a type, with methods on its pointer, so that an interface calls them without a hop in
// between: Enter is on the way of every system call.
type Ring3 struct{}

// Enter runs the user thread in ring 3 until it makes a system call, faults, or is interrupted; u.Vec tells which. The
// goroutine keeps its P, and comes back when the scheduler or a signal wants it.
func (*Ring3) Enter(u *regs.User) {
	if u.FSBase >= userTop || u.GSBase >= userTop {
		u.Vec, u.Err = regs.GeneralProtection, 0
		return
	}
	u.Flags = u.Flags&userFlags | flagIF | 2
	enterUser(userAddress(u))
}

// Kick makes the present or next Enter of u return soon.
func (*Ring3) Kick(u *regs.User) {
	atomic.StoreUint64(&u.Kicked, 1)
	if atomic.LoadUint64(&u.OnCPU) != 0 {
		call(callKick, userAddress(u), 0, 0)
	}
}

// SetWallClock sets what CLOCK_REALTIME reads now, in nanoseconds since 1970. It is for before the first program runs: what that
// reads in ring 3 would follow at another time than what the kernel reads.
func SetWallClock(ns int64) {
	offset := ns - int64(nowNS())
	atomic.StoreInt64(&wallOffset, offset)
	vdsoDataAt(direct + vdsoFrame).wallOffset = offset
}

// Monotonic returns the time of the clock that the runtime and programs have, in nanoseconds since ground began.
func Monotonic() uint64 { return nowNS() }

// VDSO is the code by which programs read the clock in ring 3: a copy of it is to be on a page, right behind the page at the
// physical address data, which they may only read. The functions begin every entrySize bytes, in this order: clock_gettime,
// gettimeofday, time, getcpu, clock_getres. There is none if the CPUs' clocks may disagree.
func VDSO() (code []byte, entrySize int, data uint64, ok bool) {
	if !clocksAgree() {
		return nil, 0, 0, false
	}
	return bytesAt(addrVDSO(), vdsoSize), vdsoEntry, vdsoFrame, true
}

// Uptime returns the nanoseconds since the TSC was zero, which it is when QEMU or Firecracker starts a machine.
func Uptime() uint64 { return ticksToNS(rdtsc()) }

// BootTimes returns what Uptime was when the boot stub, ground, and the kernel's runtime began.
func BootTimes() (stub, ground, runtime uint64) {
	return ticksToNS(stubTSC), ticksToNS(bootTSC), ticksToNS(runtimeTSC)
}

// Initrd returns the initial RAM disk and its physical address; nil if there is none.
func Initrd() (pa uint64, data []byte) {
	if initrdSize == 0 {
		return 0, nil
	}
	return initrdStart, physical(initrdStart, initrdSize)
}

// CommandLine returns the kernel command line.
func CommandLine() string {
	if commandLine == 0 {
		return ""
	}
	text := physical(commandLine, 2048)
	for i, c := range text {
		if c == 0 {
			return string(text[:i])
		}
	}
	return string(text)
}

// DSDT returns the table of ACPI that describes the machine's devices; nil if there is none.
func DSDT() []byte {
	table := findDSDT(direct, findRSDP(direct, rsdp))
	if table == 0 {
		return nil
	}
	return physical(table-direct, tableLength(table))
}

// CPUs returns the number of CPUs that run.
func CPUs() int { return int(cpuCount) }

// CPU returns the number of the CPU that runs the caller, which may be on another one when it looks at it.
func CPU() int { return int(me().id) }

// Memory returns how many bytes programs can have in all, and how many of them are free.
func Memory() (total, free uint64) {
	kept, unused := reserve(), atomic.LoadUint64(&freeFrames)
	return (allFrames - kernelShare) * pageSize, (unused - min(unused, kept)) * pageSize
}

// KernelMemory returns the bytes that the kernel's own memory takes, and how many it should take at most: programs may make
// it keep more for them only below that. It is cheap.
func KernelMemory() (used, limit uint64) {
	return atomic.LoadUint64(&kernelFrames) * pageSize, kernelLimit * pageSize
}

// MemoryLow returns what is not 0, to be read atomically, when the kernel has met so little free memory that what programs have it do
// should wait for a collection of garbage. LookForMemory says whether it is still so.
func MemoryLow() *uint32 { return &memoryLow }

// LookForMemory sets what MemoryLow returns anew, and tells whether memory is low.
func LookForMemory() (low bool) {
	atomic.StoreUint32(&memoryLow, 0)
	if low = atomic.LoadUint64(&freeFrames) < kernelLow; low {
		atomic.StoreUint32(&memoryLow, 1)
	}
	return low
}

// MemoryOut tells whether hardly any memory is left for the kernel.
func MemoryOut() bool { return atomic.LoadUint64(&freeFrames) < kernelLow/2 }

// MemoryTight returns what is not 0, to be read atomically, while there is less free memory than the kernel might need if all that it does
// for programs took as much again.
func MemoryTight() *uint32 { return &memoryTight }

// MemoryUse is where the machine's memory has gone, in bytes.
type MemoryUse struct {
	Image   uint64 // the kernel's program and page tables
	Initrd  uint64 // the initial RAM disk, with the program's file
	Kernel  uint64 // heap, stacks and structures of the kernel's runtime, and page tables of it
	Devices uint64 // rings and buffers
	Program uint64 // what programs have
	Free    uint64
}

// Use returns where the memory is now, besides what firmware keeps for itself.
func Use() MemoryUse {
	kernel, devices, free := atomic.LoadUint64(&kernelFrames), atomic.LoadUint64(&deviceFrames), atomic.LoadUint64(&freeFrames)
	return MemoryUse{
		Image: bootHeader[bootImageEnd] - imageStart, Initrd: initrdSize, Kernel: kernel * pageSize, Devices: devices * pageSize,
		Program: (allFrames - min(kernel+devices+free, allFrames)) * pageSize, Free: free * pageSize,
	}
}

// Extent returns what state the CPU keeps for a user thread.
func Extent() regs.Extent { return regs.Extent{Features: xcr0, Size: int(imageSize)} }

// HWCAP returns what AT_HWCAP tells a program: CPUID leaf 1, EDX.
func HWCAP() uint32 {
	_, _, _, d := cpuid(1, 0)
	return d
}

// Message returns what a device has to write, and where, to raise the interrupt of message file n [SDM3 10.11].
func Message(n uint8) (address uint64, data uint32) {
	return lapicBase - direct | cpuByID(0).lapicID<<12, vecLine + maxLines + uint32(n)
}

// AddEntropy adds bytes to what the random numbers are made of. They needn't be secret.
func AddEntropy(bytes []byte) {
	if len(bytes) > 0 {
		call(callAddEntropy, sliceAddress(bytes), uint64(len(bytes)), 0)
		runtime.KeepAlive(bytes)
	}
}

// StartWatchdog starts what ends the machine with a report if a CPU hangs in ring 0. The real-time clock is its from
// then on.
func StartWatchdog() { call(callStartWatchdog, 0, 0, 0) }

// PowerOff ends the machine. QEMU's isa-debug-exit makes status<<1 | 1 of it.
func PowerOff(status uint8) { call(callPowerOff, uint64(status), 0, 0) }

// Null asks nothing of ground, to measure what asking costs.
func Null() { call(callNull, 0, 0, 0) }

// In8 reads an I/O port.
func In8(port uint16) uint8 { return in8(uint64(port)) }

// In16 reads an I/O port.
func In16(port uint16) uint16 { return in16(uint64(port)) }

// In32 reads an I/O port.
func In32(port uint16) uint32 { return in32(uint64(port)) }

// Out8 writes an I/O port.
func Out8(port uint16, v uint8) { out8(uint64(port), v) }

// Out16 writes an I/O port.
func Out16(port uint16, v uint16) { out16(uint64(port), v) }

// OutBytes writes bytes one after the other to an I/O port, with one instruction.
func OutBytes(port uint16, bytes []byte) {
	if len(bytes) > 0 {
		outBytes(uint64(port), sliceAddress(bytes), uint64(len(bytes)))
		runtime.KeepAlive(bytes)
	}
}

// Out32 writes an I/O port.
func Out32(port uint16, v uint32) { out32(uint64(port), v) }
