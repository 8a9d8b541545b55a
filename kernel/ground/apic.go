package ground

// The local APIC in its newer modes, where the CPU offers them, as KVM does: its registers are MSRs [SDM3 10.12], and its timer
// takes the time itself instead of a count [SDM3 10.5.4.1]. Under a hypervisor each access is then one exit of which the
// hypervisor needn't decode the instruction.
//
// In x2APIC mode the two halves of the interrupt command are one register, and an id has 32 bits. lapicRead and lapicWrite keep
// the upper half aside, and ids where they are in xAPIC mode: all ids have 8 bits, as in the tables that name them.

const (
	cpuidX2APIC   = 1 << 21 // leaf 1, ECX
	cpuidDeadline = 1 << 24 // leaf 1, ECX

	apicEnable = 1 << 11 // msrAPICBase
	apicX2     = 1 << 10 // msrAPICBase, together with apicEnable

	msrX2APIC      = 0x800 // and above: register at offset n is n>>4 behind it
	msrTSCDeadline = 0x6e0

	lvtDeadline = 2 << 17 // mode of the timer
)

var (
	x2APIC       uint64 // the APICs are in x2APIC mode
	timerMode    uint32 // of lapicTimer; lvtDeadline, or 0 for one shot
	icrUpperHalf [maxCPUs]uint32
)

// fence lets no later MSR be written before earlier stores can be seen: x2APIC registers and the deadline don't wait for them
// [SDM3 10.12.3].
func fence()

// enableLAPIC enables this CPU's APIC, in the newest mode. The way from xAPIC mode leads over both bits [SDM3 10.12.5].
func enableLAPIC() {
	base := rdmsr(msrAPICBase) | apicEnable
	wrmsr(msrAPICBase, base)
	if _, _, features, _ := cpuid(1, 0); features&cpuidX2APIC != 0 {
		wrmsr(msrAPICBase, base|apicX2)
		x2APIC = 1
	}
}

func x2Read(reg uint64) uint32 {
	switch reg {
	case lapicICRHigh:
		return icrUpperHalf[me().id%maxCPUs]
	case lapicICRLow:
		return 0 // never pending
	case lapicID:
		return uint32(rdmsr(msrX2APIC+reg>>4) << 24)
	}
	return uint32(rdmsr(msrX2APIC + reg>>4))
}

func x2Write(reg uint64, v uint32) {
	value := uint64(v)
	switch reg {
	case lapicICRHigh:
		icrUpperHalf[me().id%maxCPUs] = v
		return
	case lapicICRLow:
		value |= uint64(icrUpperHalf[me().id%maxCPUs]>>24) << 32
		fence()
	}
	wrmsr(msrX2APIC+reg>>4, value)
}

// hasDeadline tells whether the timer can take a time.
func hasDeadline() bool {
	_, _, features, _ := cpuid(1, 0)
	return features&cpuidDeadline != 0
}

// useDeadline has the timers take times: that of this CPU, and those of CPUs that are started later.
func useDeadline() {
	timerMode = lvtDeadline
	lapicWrite(lapicTimer, timerMode|vecTimer)
	fence() // else the first deadline could come before the mode
}

// setDeadline makes this CPU's timer fire in so many ticks of the TSC.
func setDeadline(ticks uint64) { wrmsr(msrTSCDeadline, rdtsc()+ticks) }
