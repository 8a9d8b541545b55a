package ground

// The stacks of a CPU lie in a region of their own, with unmapped pages between them: an overflow is a page fault, or,
// if it is of the page-fault stack, a double fault. Each interrupt stack [SDM3 6.14.5] but the page-fault stack is left
// with interrupts off before it can be used again. An exception that may strike anywhere, also where another
// has only just begun, has one for itself.
const (
	stackGround       = iota // what ground runs on
	stackTrap                // faults but page faults, interrupts
	stackFault               // page faults; of ring 0 they are resolved on it
	stackNMI                 // non-maskable interrupts
	stackDebug               // debug exceptions
	stackMachineCheck        // never left
	stackDoubleFault         // never left
	stackCount
)

// Each stack has stackSlot bytes of addresses, at whose end it is.
const (
	stackSlot   = 64 << 10
	stacksBase  = mmapTop
	stacksTop   = stacksBase + maxCPUs*stackCount*stackSlot
	stackGuard  = 1024 // below this, functions of Go don't begin: room for nosplit chains
	spill       = 64   // above the stack pointer, where a function of Go may store its arguments
	bootSize    = 32 << 10
	bootHandler = 4 << 10
)

// bootStacks are the stacks of the first CPU until there are frames for others. A fault meanwhile is the end.
var bootStacks struct {
	handler [bootHandler]byte
	ground  [bootSize]byte
}

func stackSize(kind uint64) uint64 {
	switch kind {
	case stackGround:
		return 32 << 10
	case stackFault:
		return 16 << 10
	case stackTrap:
		return 4 << 10
	}
	return 8 << 10
}

func stackTop(cpu, kind uint64) uint64 { return stacksBase + (cpu*stackCount+kind+1)*stackSlot }

// onStacks tells whether an address is in the region of the stacks, or in the first CPU's at boot.
func onStacks(va uint64) bool {
	boot := addressOf(&bootStacks)
	return va >= stacksBase && va < stacksTop || va >= boot && va < boot+bootHandler+bootSize
}

// mapStacks maps the stacks of a CPU.
func mapStacks(cpu uint64) {
	for kind := uint64(0); kind < stackCount; kind++ {
		top := stackTop(cpu, kind)
		for va := top - stackSize(kind); va < top; va += pageSize {
			*p64(entryOf(va, true)) = allocFrame() | pteP | pteW | pteA | pteD | pteNX
		}
	}
}

// useStacks makes a CPU use its stacks from its next entry to ground on.
func useStacks(c *cpu) {
	top := stackTop(c.id, stackGround)
	c.groundSP = top - spill
	c.groundG, c.groundFS = fakeG(&c.fakeGWords, &c.groundTLS, top-stackSize(stackGround))
	c.faultG, c.faultFS = fakeG(&c.faultGWords, &c.faultTLS, stackTop(c.id, stackFault)-stackSize(stackFault))
	c.idle.sp = c.groundSP // it pushes nothing
	for kind := uint64(stackTrap); kind < stackCount; kind++ {
		setIST(c, kind, stackTop(c.id, kind))
	}
}

// useBootStacks is useStacks before there are any.
func useBootStacks(c *cpu) {
	anyTLS[0] = addressOf(&anyG)
	anyFS = addressOf(&anyTLS) + 8
	handler := addressOf(&bootStacks)
	c.groundSP = handler + bootHandler + bootSize - spill
	c.groundG, c.groundFS = fakeG(&c.fakeGWords, &c.groundTLS, handler+bootHandler)
	c.faultG, c.faultFS = fakeG(&c.faultGWords, &c.faultTLS, handler)
	for kind := uint64(stackTrap); kind < stackCount; kind++ {
		setIST(c, kind, handler+bootHandler)
	}
}

// fakeG makes a g for Go code that runs on a stack of ground: stackguard0 and stackguard1 hold off the stack check
// of function prologues. It returns the addresses of the g and of the end of its TLS.
func fakeG(g *[64]uint64, tls *[2]uint64, stackLow uint64) (gAddr, fsBase uint64) {
	g[gStackLo] = stackLow
	g[gStackGuard0] = stackLow + stackGuard
	g[gStackGuard1] = stackLow + stackGuard
	tls[0] = addressOf(g)
	return addressOf(g), addressOf(tls) + 8
}

// Word indices in runtime.g. TestRuntimeOffsets checks them against the toolchain.
const (
	gStackLo     = 0
	gStackGuard0 = 2
	gStackGuard1 = 3
)

// anyG is the g of what may interrupt any other code: with its words 0 the check always succeeds.
var (
	anyG   [64]uint64
	anyTLS [2]uint64
	anyFS  uint64
)

func setIST(c *cpu, n, top uint64) {
	i := 7 + 2*n // IST1 is at byte 36 of the TSS [SDM3 7.7]
	c.tss[i%28], c.tss[(i+1)%28] = uint32(top), uint32(top>>32)
}
