package ground

// Vectors. 0–31 are the CPU's, then the 8259's sixteen lines, then ground's own.
const (
	vecPIC      = 32
	vecResched  = 48 // IPI: look at the run queue
	vecFlush    = 49 // IPI: answer a TLB shootdown
	vecTimer    = 50 // the local APIC's timer
	vecSpurious = 63 // low four bits set, as old APICs want
	vectorCount = 64
	vectorSize  = 16 // bytes between the entry points in asm_amd64.s
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
		idt[v*2%128] = entry&0xffff | selKernelCode<<16 | ist<<32 | (0x8e|dpl<<5)<<40 | (entry>>16&0xffff)<<48
		idt[(v*2+1)%128] = entry >> 32
	}
}

// 8259 interrupt controllers [8259A].
const (
	picMaster = 0x20
	picSlave  = 0xa0
	picEOI    = 0x20
	picLines  = 16
	slaveLine = 2
)

func initPIC() {
	for _, base := range [2]uint64{picMaster, picSlave} {
		vector, wiring := uint8(vecPIC), uint8(1<<slaveLine)
		if base == picSlave {
			vector, wiring = vecPIC+8, slaveLine
		}
		out8(base, 0x11) // ICW1: edge, cascade, ICW4
		out8(base+1, vector)
		out8(base+1, wiring)
		out8(base+1, 1) // ICW4: 8086 mode
		out8(base+1, 0xff)
	}
	unmaskLine(slaveLine)
}

// picPort returns the mask register and the bit of a line.
func picPort(line uint64) (port uint64, bit uint8) {
	if line < 8 {
		return picMaster + 1, 1 << line
	}
	return picSlave + 1, 1 << (line - 8)
}

func unmaskLine(line uint64) {
	port, bit := picPort(line)
	out8(port, in8(port)&^bit)
}

func maskLine(line uint64) {
	port, bit := picPort(line)
	out8(port, in8(port)|bit)
}

func ackLine(line uint64) {
	if line >= 8 {
		out8(picSlave, picEOI)
	}
	out8(picMaster, picEOI)
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

	lvtExtINT    = 0x700
	lvtNMI       = 0x400
	lvtMasked    = 1 << 16
	svrEnable    = 1 << 8
	icrPending   = 1 << 12
	icrINIT      = 0x4500
	icrStartup   = 0x4600
	icrFixed     = 0x4000
	divideBy1    = 0b1011
	timerMaximum = 0xffffffff
)

func lapicRead(reg uint64) uint32 { return mmioRead32(lapicBase + reg) }

func lapicWrite(reg uint64, v uint32) { mmioWrite32(lapicBase+reg, v) }

// initLAPIC enables this CPU's local APIC; the first CPU gets the 8259's interrupts through LINT0.
func initLAPIC(first bool) {
	wrmsr(msrAPICBase, rdmsr(msrAPICBase)|1<<11)
	lapicWrite(lapicSVR, svrEnable|vecSpurious)
	lapicWrite(lapicDivide, divideBy1)
	lapicWrite(lapicTimer, vecTimer)
	if first {
		lapicWrite(lapicLINT0, lvtExtINT)
	} else {
		lapicWrite(lapicLINT0, lvtMasked)
	}
	lapicWrite(lapicLINT1, lvtNMI) // where PCs have it
	me().lapicID = uint64(lapicRead(lapicID) >> 24)
}

func sendICR(apic uint64, command uint32) {
	lapicWrite(lapicICRHigh, uint32(apic<<24))
	lapicWrite(lapicICRLow, command)
	for lapicRead(lapicICRLow)&icrPending != 0 {
		pause()
	}
}

func sendIPI(apic uint64, vector uint32) { sendICR(apic, icrFixed|vector) }
