package ground

// Vectors. 0–31 are the CPU's, then the interrupt lines', the messages', then ground's own.
const (
	vecLine     = 32
	vecResched  = 112 // IPI: look at the run queue
	vecFlush    = 113 // IPI: answer a TLB shootdown
	vecTimer    = 114 // the local APIC's timer
	vecSpurious = 127 // low four bits set, as old APICs want
	vectorCount = 128
	vectorSize  = 16 // bytes between the entry points in vectors_amd64.s
)

const (
	vecDebug        = 1
	vecNMI          = 2
	vecBreakpoint   = 3
	vecOverflow     = 4
	vecDoubleFault  = 8
	vecPageFault    = 14
	vecMachineCheck = 18
)

// initIDT makes interrupt gates (interrupts off on entry) for all vectors [SDM3 6.14.1].
func initIDT() {
	for v := uint64(0); v < vectorCount; v++ {
		ist, dpl := uint64(stackTrap), uint64(0)
		switch v {
		case vecPageFault:
			ist = stackFault
		case vecNMI:
			ist = stackNMI
		case vecDebug:
			ist = stackDebug
		case vecMachineCheck:
			ist = stackMachineCheck
		case vecDoubleFault:
			ist = stackDoubleFault
		case vecBreakpoint, vecOverflow:
			dpl = 3 // INT3 and INTO are for programs too
		}
		entry := addrVectors() + v*vectorSize
		idt[v*2%(2*vectorCount)] = entry&0xffff | selKernelCode<<16 | ist<<32 | (0x8e|dpl<<5)<<40 | (entry>>16&0xffff)<<48
		idt[(v*2+1)%(2*vectorCount)] = entry >> 32
	}
}

// Local APIC registers, offsets [SDM3 10.4].
const (
	lapicID      = 0x020
	lapicEOI     = 0x0b0
	lapicSVR     = 0x0f0
	lapicICRLow  = 0x300
	lapicICRHigh = 0x310
	lapicTimer   = 0x320
	lapicLINT0   = 0x350
	lapicLINT1   = 0x360
	lapicInitial = 0x380
	lapicCurrent = 0x390
	lapicDivide  = 0x3e0

	lapicBase = direct + 0xfee00000

	lvtNMI       = 0x400
	lvtMasked    = 1 << 16
	svrEnable    = 1 << 8
	icrPending   = 1 << 12
	icrINIT      = 0x4500
	icrStartup   = 0x4600
	icrFixed     = 0x4000
	icrNMI       = 0x4400
	divideBy1    = 0b1011
	timerMaximum = 0xffffffff
	noAPIC       = 1 << 32 // nobody's id
)

func lapicRead(reg uint64) uint32 {
	if x2APIC != 0 {
		return x2Read(reg)
	}
	return mmioRead32(lapicBase + reg)
}

func lapicWrite(reg uint64, v uint32) {
	if x2APIC != 0 {
		x2Write(reg, v)
		return
	}
	mmioWrite32(lapicBase+reg, v)
}

// initLAPIC enables this CPU's local APIC.
func initLAPIC() {
	enableLAPIC()
	lapicWrite(lapicSVR, svrEnable|vecSpurious)
	lapicWrite(lapicDivide, divideBy1)
	lapicWrite(lapicTimer, timerMode|vecTimer)
	lapicWrite(lapicLINT0, lvtMasked)
	lapicWrite(lapicLINT1, lvtNMI) // where PCs have it
	c := me()
	c.lapicID = uint64(lapicRead(lapicID) >> 24)
	c.icrHigh = noAPIC
}

func sendICR(apic uint64, command uint32) {
	lapicWrite(lapicICRHigh, uint32(apic<<24))
	lapicWrite(lapicICRLow, command)
	for lapicRead(lapicICRLow)&icrPending != 0 {
		pause()
	}
}

// sendIPI interrupts another CPU. It doesn't wait until the interrupt is on its way, as hypervisors deliver at once and never
// say "pending", nor name the CPU again that it has named last: each access to the APIC is an exit from the virtual CPU.
func sendIPI(c *cpu, to *cpu, vector uint32) {
	if c.icrHigh != to.lapicID {
		c.icrHigh = to.lapicID
		lapicWrite(lapicICRHigh, uint32(to.lapicID<<24))
	}
	lapicWrite(lapicICRLow, icrFixed|vector)
}
