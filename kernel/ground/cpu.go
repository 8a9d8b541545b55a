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
	root        uint64 // CR3
	locked      uint64 // this CPU holds the ground lock
	restDirty   uint64 // the state besides SSE is not the initial one
	xsave       uint64 // xsaveKind, from when XSAVE is on
	id          uint64 // index in cpus
	lapicID     uint64
	flushSeen   uint64 // last TLB shootdown that this CPU answered
	armedNS     uint64 // monotonic time at which its timer fires; noTimer: not armed
	woken       uint64 // an idle CPU has been interrupted to look at the run queue
	switchNow   uint64 // a device's thread wants this CPU
	online      uint64
	x87Env      [4]uint64 // FNSTENV image [SDM1 8.1.10], 28 bytes
	upper       [2]uint64 // upper half of YMM0
	fakeGWords  [64]uint64
	faultGWords [64]uint64
	groundTLS   [2]uint64 // FS-8 is the word of g
	faultTLS    [2]uint64
	gdt         [8]uint64
	tss         [28]uint32
	tablePtrs   [4]uint64 // operands of LGDT and LIDT
	idle        thread
}

// Sizes of the stacks of a CPU, in bytes.
const (
	groundStackSize = 32 << 10
	trapStackSize   = 4 << 10
	faultStackSize  = 16 << 10
	fatalStackSize  = 8 << 10
	idleStackSize   = 1 << 10
)

// stacks are the stacks of one CPU. Each interrupt stack [SDM3 6.14.5] is left with interrupts off before
// it can be used again, except fatal, which is never left.
type stacks struct {
	ground [groundStackSize]byte
	fault  [faultStackSize]byte // page faults
	trap   [trapStackSize]byte  // other faults and interrupts
	fatal  [fatalStackSize]byte // NMI, double fault, machine check
	idle   [idleStackSize]byte
}

// Segment selectors. SYSRET wants the order user data, user code [SDM2 SYSRET].
const (
	selKernelCode = 0x08
	selKernelData = 0x10
	selUserData   = 0x20 | 3
	selUserCode   = 0x28 | 3
	selTSS        = 0x30
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
	cpus      [maxCPUs]cpu
	cpuCount  uint64 = 1
	bootStack stacks // of the first CPU; the others' are made of frames
	idt       [128]uint64
)

func me() *cpu { return cpuAt(currentCPU()) }

func cpuByID(i uint64) *cpu { return &cpus[i%maxCPUs] }

// initCPU fills in the struct of CPU id, loads its tables and makes it ready for system calls.
func initCPU(id uint64, s *stacks) {
	c := cpuByID(id)
	c.self = addressOf(c)
	c.id = id
	c.root = readCR3()
	c.armedNS = noTimer
	c.restDirty = 1 // the state after a reset is not that of FNINIT
	c.groundSP = addressOf(&s.ground) + groundStackSize
	c.groundG, c.groundFS = fakeG(&c.fakeGWords, &c.groundTLS, addressOf(&s.ground))
	c.faultG, c.faultFS = fakeG(&c.faultGWords, &c.faultTLS, addressOf(&s.fault))

	c.gdt[1] = 0x00af9b000000ffff // ring 0 code, 64 bit
	c.gdt[2] = 0x00cf93000000ffff // ring 0 data
	c.gdt[3] = 0                  // where SYSRET would want ring 3 code of 32 bits: programs must not get there
	c.gdt[4] = 0x00cff3000000ffff // ring 3 data
	c.gdt[5] = 0x00affb000000ffff // ring 3 code, 64 bit
	tss := addressOf(&c.tss)
	c.gdt[6] = 103 | (tss&0xffffff)<<16 | 0x89<<40 | (tss>>24&0xff)<<56
	c.gdt[7] = tss >> 32
	setIST(c, istTrap, addressOf(&s.trap)+trapStackSize)
	setIST(c, istFault, addressOf(&s.fault)+faultStackSize)
	setIST(c, istFatal, addressOf(&s.fatal)+fatalStackSize)
	c.tss[25] = 104 << 16 // I/O map base: beyond the limit

	// LGDT and LIDT take a 16-bit limit and a 64-bit base.
	ptr := addressOf(&c.tablePtrs)
	*p16(ptr), *p64(ptr + 2) = 8*8-1, addressOf(&c.gdt)
	*p16(ptr + 16), *p64(ptr + 18) = 64*16-1, addressOf(&idt)
	loadTables(ptr, ptr+16, c.self)

	wrmsr(msrKernelGSBase, 0)
	wrmsr(msrSTAR, 0x18<<48|selKernelCode<<32)
	wrmsr(msrLSTAR, addrSyscallEntry())
	wrmsr(msrSFMASK, sfmask)

	c.idle.ip, c.idle.flags = addrIdleLoop(), flagIF
	c.idle.sp = addressOf(&s.idle) + idleStackSize
	c.idle.full = 1
	c.cur = addressOf(&c.idle)
}

// fakeG makes a g for Go code that runs on a stack of ground: stackguard0 and stackguard1 hold off the stack check
// of function prologues. It returns the addresses of the g and of the end of its TLS.
func fakeG(g *[64]uint64, tls *[2]uint64, stackLow uint64) (gAddr, fsBase uint64) {
	const room = 1024 // for nosplit chains
	g[gStackLo] = stackLow
	g[gStackGuard0] = stackLow + room
	g[gStackGuard1] = stackLow + room
	tls[0] = addressOf(g)
	return addressOf(g), addressOf(tls) + 8
}

// Word indices in runtime.g. TestRuntimeOffsets checks them against the toolchain.
const (
	gStackLo     = 0
	gStackGuard0 = 2
	gStackGuard1 = 3
)

func setIST(c *cpu, n, top uint64) {
	i := 7 + 2*n // IST1 is at byte 36 of the TSS [SDM3 7.7]
	c.tss[i%28], c.tss[(i+1)%28] = uint32(top), uint32(top>>32)
}
