package ground

// maxCPUs bounds the CPUs that are started.
const maxCPUs = 8

// cpu is what a CPU keeps for itself; GS points at it in ring 0.
type cpu struct {
	self        uint64
	cur         uint64 // *thread that runs, or the CPU's idle thread
	scratch     uint64
	groundSP    uint64 // top of the ground stack
	groundG     uint64 // address of fakeG
	groundFS    uint64 // FS base in ground: its TLS word holds groundG
	faultG      uint64 // the same for the page-fault stack
	faultFS     uint64
	kernelGS    uint64 // value of the inactive GS base: that of the user thread
	root        uint64 // CR3, or what it is about to be; atomic for others
	loaded      uint64 // the same, but what CR3 was until it is another; atomic for others
	inFault     uint64 // it resolves a page fault of ring 0
	restDirty   uint64 // the state besides SSE is not the initial one
	xsave       uint64 // xsaveKind, from when XSAVE is on
	id          uint64 // index in cpus
	lapicID     uint64
	icrHigh     uint64 // APIC id in the upper half of the interrupt command register; noAPIC: not known
	flushAsked  uint64 // TLB flushes that others have asked for; atomic
	flushSeen   uint64 // how many it was asked for when it last did one; atomic for others
	armedNS     uint64 // monotonic time at which its timer fires; noTimer: not armed
	queue       uint64 // set of the runnable threads that wait for it, a bit for each; atomic
	offered     uint64 // those of them that an idle CPU has been told of
	computing   uint64 // those of them that compute (see displaced)
	offerNS     uint64 // when its patience is over with those that no idle CPU has been told of; 0: it hasn't begun
	patienceNS  uint64 // how long it has patience
	busyP       uint64 // the runtime's P with which it began, 0 if none, and its count of scheduling
	busyTick    uint64
	helps       uint64 // it was told of threads of another CPU, and has not idled since; atomic
	last        uint64 // the thread that it last took out of a queue
	first       uint64 // the thread that it runs next, before those in queues; 0: none
	sliceEndNS  uint64 // when what runs must make room for what waits in queue; 0: nothing waited yet
	online      uint64
	surprises   uint64    // non-maskable interrupts, and debug exceptions of ring 0
	x87Env      [4]uint64 // FNSTENV image [SDM1 8.1.10], 28 bytes
	upper       [2]uint64 // upper half of YMM0
	fakeGWords  [64]uint64
	faultGWords [64]uint64
	groundTLS   [2]uint64 // FS-8 is the word of g
	faultTLS    [2]uint64
	gdt         [9]uint64
	tss         [28]uint32
	tablePtrs   [4]uint64 // operands of LGDT and LIDT
	idle        thread

	brokenVec, brokenErr, brokenCR2, brokenIP, brokenSP uint64 // the exception that ends the machine, if one does

	stopped uint64 // while it stands still for a report: the frame of the interrupt that has stopped it
	watch   watch
}

// Segment selectors. SYSRET wants the order user data, user code [SDM2 SYSRET].
const (
	selKernelCode = 0x08
	selKernelData = 0x10
	selUserData   = 0x20 | 3
	selUserCode   = 0x28 | 3
	selTSS        = 0x30
	selCPU        = 0x40 | 3
)

// MSRs [SDM4 2.1].
const (
	msrAPICBase     = 0x1b
	msrEFER         = 0xc0000080
	msrSTAR         = 0xc0000081
	msrLSTAR        = 0xc0000082
	msrSFMASK       = 0xc0000084
	msrFSBase       = 0xc0000100
	msrGSBase       = 0xc0000101
	msrKernelGSBase = 0xc0000102
)

// sfmask: flags that SYSCALL clears: TF IF DF IOPL NT AC.
const sfmask = 0x47700

var (
	cpus     [maxCPUs]cpu
	cpuCount uint64 = 1
	idt      [2 * vectorCount]uint64
)

func me() *cpu { return cpuAt(currentCPU()) }

func cpuByID(i uint64) *cpu { return &cpus[i%maxCPUs] }

// initCPU fills in the struct of CPU id, loads its tables and makes it ready for system calls. It has its stacks already.
func initCPU(id uint64) {
	c := cpuByID(id)
	c.self = addressOf(c)
	c.id = id
	c.root = readCR3()
	c.loaded = c.root
	c.armedNS = noTimer
	c.restDirty = 1 // the state after a reset is not that of FNINIT

	c.gdt[1] = 0x00af9b000000ffff // ring 0 code, 64 bit
	c.gdt[2] = 0x00cf93000000ffff // ring 0 data
	c.gdt[3] = 0                  // where SYSRET would want ring 3 code of 32 bits: programs must not get there
	c.gdt[4] = 0x00cff3000000ffff // ring 3 data
	c.gdt[5] = 0x00affb000000ffff // ring 3 code, 64 bit
	tss := addressOf(&c.tss)
	c.gdt[6] = 103 | (tss&0xffffff)<<16 | 0x89<<40 | (tss>>24&0xff)<<56
	c.gdt[7] = tss >> 32
	c.gdt[8] = 0x0000f30000000000 | id // nothing but a limit, which programs can read
	c.tss[25] = 104 << 16              // I/O map base: beyond the limit

	// LGDT and LIDT take a 16-bit limit and a 64-bit base.
	ptr := addressOf(&c.tablePtrs)
	*p16(ptr), *p64(ptr + 2) = 9*8-1, addressOf(&c.gdt)
	*p16(ptr + 16), *p64(ptr + 18) = vectorCount*16-1, addressOf(&idt)
	loadTables(ptr, ptr+16, c.self)

	wrmsr(msrKernelGSBase, 0)
	wrmsr(msrSTAR, 0x18<<48|selKernelCode<<32)
	wrmsr(msrLSTAR, addrSyscallEntry())
	wrmsr(msrSFMASK, sfmask)
	protect()

	c.idle.ip, c.idle.flags = addrIdleLoop(), flagIF
	c.idle.full = 1
	c.cur = addressOf(&c.idle)
}
