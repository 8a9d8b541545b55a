package ground

// The start info that the boot loader passes in EBX [PVH, xen/interface/hvm/start_info.h].
const (
	startMagic      = 0x336ec578
	startModules    = 12 // number of modules, 32 bit
	startModuleList = 16
	startCmdline    = 24
	startRSDP       = 32
	startMemMap     = 40 // version 1
	startMemMapLen  = 48

	modulePaddr = 0
	moduleSize  = 8

	memMapEntrySize = 24
	memMapRAM       = 1
)

// bootPage is filled in by vmm/image: the header of the boot page, at the start of the segment behind the kernel.
const (
	bootPageMagic = 0x746f6f626b636977 // "wickboot"
)

// bootHeader is what vmm/image tells ground about the image; the image builder finds it by its symbol and patches the
// words after the magic.
var bootHeader = [9]uint64{bootPageMagic, 1, 1, 1, 1, 1, 1, 1, 1}

// Indices in bootHeader.
const (
	bootBSSStart = 1 // demand-zero part of the image
	bootBSSEnd   = 2
	bootImageEnd = 3 // first physical address behind the image
	bootRoot     = 4 // physical address of the page-table root
	bootModule   = 5 // addresses of variables of the runtime: firstmoduledata, allglen, allgptr, waitReasonStrings
	bootAllGLen  = 6
	bootAllGPtr  = 7
	bootReasons  = 8
)

// minimumMemory is the least usable memory, in bytes, with which the kernel's runtime and a small program run.
const minimumMemory = 8 << 20

// The kernel's share of memory, in bytes. At rest it has about 3 MiB.
const (
	leastShare = 11 << 19 // 5.5 MiB
	mostShare  = 64 << 20

	// leastMargin is, of the share, what is left for what the kernel does with what it has kept for programs and their packets.
	leastMargin = 1 << 20

	// moreForCPU is added to both for each CPU but two: the runtime keeps a span of each kind of object for each, and its collector has a
	// goroutine and buffers on it.
	moreForCPU = 256 << 10

	// untouched is what the runtime counts as its memory, for GOMEMLIMIT, beyond the pages that it has touched: 3.2 to 3.4 MiB; with less
	// here it collects earlier.
	untouched = 3 << 20
)

var (
	initrdStart, initrdSize uint64 // physical
	commandLine             uint64 // physical, 0 if none
	rsdp                    uint64 // physical, 0 if unknown
	fourGiB                 uint64 = 4 << 30
)

const flagIF = 0x200

// cpuidSYSCALL, of leaf 0x80000001, EDX, is all that the boot stub can't look for: Intel's CPUs tell of it in 64-bit mode only.
const cpuidSYSCALL = 1 << 11

// boot runs first, on the first CPU's ground stack; start is the physical address of the start info, stub what the TSC was
// at the first instruction of the image.
func boot(start, stub uint64) {
	stubTSC, bootTSC = stub, rdtsc()
	initConsole()
	if _, _, _, features := cpuid(0x80000001, 0); features&cpuidSYSCALL == 0 {
		refuse("this CPU won't do (qemu: -cpu qemu64 or max), for it lacks SYSCALL")
	}
	kernelRoot = bootHeader[bootRoot]
	bssStart, bssEnd = bootHeader[bootBSSStart], bootHeader[bootBSSEnd]
	initIDT()
	useBootStacks(cpuByID(0))
	initCPU(0)
	initState()
	me().online = 1

	info := direct + start
	if *p32(info) != startMagic {
		refuse("not started by a PVH boot loader")
	}
	commandLine, rsdp = *p64(info + startCmdline), *p64(info + startRSDP)
	if *p32(info + startModules) > 0 {
		m := direct + *p64(info + startModuleList)
		initrdStart, initrdSize = *p64(m + modulePaddr), *p64(m + moduleSize)
	}
	initMemory(info)
	*p64(direct + kernelRoot) = 0 // the identity map of the boot stub; the lower half is for programs
	writeCR3(kernelRoot)
	mapStacks(0)
	useStacks(me())

	readTables()
	initIOAPICs()
	initLAPIC()
	calibrate()
	installVDSO()
	initVDSO()
	initEntropy(direct+initrdStart, min(initrdSize, pageSize))

	startCPUs()
	shareMemory()
	if !clocksAgree() {
		clocksDiffer = 1
	}
	startRuntime()
}

// What of the first 2 MiB is taken into use where it is RAM: most of conventional memory, behind the trampoline of other CPUs
// and what boot loaders put there, and all up to the image. Firmware keeps its data and tables in between and at the ends.
const (
	lowStart, lowEnd = 0x30000, 0x90000
	extended         = 1 << 20
	imageStart       = 2 << 20
)

// initMemory takes the RAM of the memory map, which the start info leads to, into use, without the image and the initial RAM disk.
func initMemory(info uint64) {
	list, n := *p64(info + startMemMap), uint64(*p32(info + startMemMapLen))
	useLow := true // nothing of the boot loader's is there
	for _, a := range [...]uint64{info - direct, list, commandLine, rsdp, *p64(info + startModuleList), initrdStart} {
		if a >= lowStart && a < lowEnd || a >= extended && a < imageStart {
			useLow = false
		}
	}
	for i := uint64(0); i < n; i++ {
		e := direct + list + i*memMapEntrySize
		if *p32(e + 16) != memMapRAM {
			continue
		}
		start, end := *p64(e), *p64(e)+*p64(e + 8)
		if useLow {
			addRange(max(start, lowStart), min(end, lowEnd))
			addRange(max(start, extended), min(end, imageStart))
		}
		addFree(max(start, bootHeader[bootImageEnd]), min(end, fourGiB))
		addFree(max(start, fourGiB), end)
	}
	if allFrames*pageSize < minimumMemory {
		refuse("not enough memory: give the machine more (wick run -m 32M)")
	}
	for i := uint64(0); i < rangeCount; i++ {
		r := &ranges[i%maxRanges]
		mapDirect(r.next, r.end-r.next)
	}
	// One table under the top entry of the runtime's memory, shared by all roots.
	*p64(direct + kernelRoot + (mmapBase>>39&511)*8) = allocFrame() | pteP | pteW
}

// shareMemory sets how much of the memory is the kernel's.
func shareMemory() {
	more := (max(cpuCount, 2) - 2) * moreForCPU
	kernelShare = min(max(allFrames/6, (leastShare+more)/pageSize), mostShare/pageSize)
	margin := max(kernelShare/8, (leastMargin+more)/pageSize)
	kernelLimit = kernelShare - margin
	kernelLow = margin / 2
}

// addFree takes [start, end) into use, without the initial RAM disk.
func addFree(start, end uint64) {
	if initrdSize > 0 && initrdStart >= start && initrdStart < end {
		addRange(start, initrdStart)
		start = initrdStart + initrdSize
	}
	addRange(start, end)
}

// startRuntime makes the first thread: the entry point of the Go program, with the stack that Linux would give it.
func startRuntime() {
	const (
		stackSize = 256 << 10
		atNull    = 0
		atPagesz  = 6
		atRandom  = 25
	)
	stack := mmapNext
	mmapNext += stackSize
	sp := stack + stackSize - pageSize
	text := sp + 512 // strings

	word := sp
	put := func(v uint64) {
		*p64(word) = v
		word += 8
	}
	putString := func(s string) {
		put(text)
		for i := 0; i < len(s); i++ {
			*p8(text) = s[i]
			text++
		}
		*p8(text) = 0
		text++
	}
	put(1) // argc
	putString("wick-kernel")
	put(0)
	putString("GOTRACEBACK=system")
	putString("TZ=UTC")
	put(text)
	text = formatLimit(text, kernelLimit*pageSize+untouched)
	put(0)
	text = (text + 15) &^ 15
	random(text, 16)
	put(atRandom)
	put(text)
	put(atPagesz)
	put(pageSize)
	put(atNull)
	put(0)

	t := thread_(1)
	t.tid, topThread = 1, 1
	t.ip, t.sp, t.flags, t.full = addrStartRuntime(), sp, flagIF, 1
	switchTo(me(), t)
	runtimeTSC = rdtsc()
}

// formatLimit writes "GOMEMLIMIT=<bytes>" at a and returns the address behind its NUL.
func formatLimit(a, limit uint64) uint64 {
	const name = "GOMEMLIMIT="
	for i := 0; i < len(name); i++ {
		*p8(a) = name[i]
		a++
	}
	div := uint64(1)
	for limit/div >= 10 {
		div *= 10
	}
	for ; div > 0; div /= 10 {
		*p8(a) = '0' + uint8(limit/div%10)
		a++
	}
	*p8(a) = 0
	return a + 1
}
