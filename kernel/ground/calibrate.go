package ground

// How fast the TSC and the local APIC's timer run: KVM tells the former, else both are measured.

// fromKVM is what KVM has told of nsPerTick; 0: nothing.
var fromKVM uint64

// calibrate sets the scales of the clock and starts it.
func calibrate() {
	var ticks, timer uint64
	if able := kvmAbilities(); able&kvmClockSource != 0 {
		nsPerTick, tscTogether = kvmScale()
		tscTogether = tscTogether && able&kvmClockStable != 0
		fromKVM = nsPerTick
	}
	switch {
	case nsPerTick == 0:
		var pit uint64
		ticks, timer, pit = measurePIT()
		nsPerTick = scaleOf(ticks, pit)
	case hasDeadline():
		ticks, timer = 1, 1 // nothing to be measured
	default:
		ticks, timer = measureTimer()
	}
	if nsPerTick == 0 || timer == 0 {
		refuse("no usable clock: neither TSC nor APIC timer advances")
	}
	timerPer = timer << 32 / ticks
	if hasDeadline() {
		useDeadline()
	}
	tscStart = rdtsc()
}

// billion is the nanoseconds in a second.
const billion = 1000000000

// scaleOf returns nanoseconds a TSC tick, times 2^32, if so many ticks of the TSC take so many of the PIT.
func scaleOf(ticks, pit uint64) uint64 {
	hz := ticks * pitHz / pit
	if hz == 0 {
		return 0
	}
	return billion << 32 / hz
}

// 8254 timer [8254]: counts down at pitHz.
const (
	pitHz       = 1193182
	pitCounter0 = 0x40
	pitControl  = 0x43
)

func pitCount() uint64 {
	out8(pitControl, 0) // latch counter 0
	low := in8(pitCounter0)
	return uint64(low) | uint64(in8(pitCounter0))<<8
}

// measurePIT measures the TSC and the APIC's timer against the PIT, whose counter every machine lets us read. A window that
// the host interrupts looks longer than it was, so the shortest counts: of the first two if they agree, else of several.
func measurePIT() (bestTSC, bestTimer, bestPIT uint64) {
	const (
		windows     = 5
		windowTicks = 1194    // 1 ms
		patience    = 1 << 34 // ticks of the TSC, some seconds
	)
	out8(pitControl, 0x34) // counter 0, both bytes, mode 2
	out8(pitCounter0, 0xff)
	out8(pitCounter0, 0xff)
	bestTSC, bestPIT = noTimer, 1
	for i := 0; i < windows; i++ {
		// The TSC is read before and after the PIT, so that an interruption in between never makes the window look short.
		lapicWrite(lapicInitial, timerMaximum)
		t0 := rdtsc()
		a0 := lapicRead(lapicCurrent)
		c0 := pitCount()
		ticks := uint64(0)
		for ticks < windowTicks {
			ticks = (c0 - pitCount()) & 0xffff
			if rdtsc()-t0 > patience {
				refuse("no usable clock: there is no 8254 timer, and no KVM that tells how fast the TSC is")
			}
		}
		a := uint64(a0 - lapicRead(lapicCurrent))
		t := rdtsc() - t0
		enough := i > 0 && agree(t, ticks, bestTSC, bestPIT)
		if t/ticks < bestTSC/bestPIT {
			bestTSC, bestTimer, bestPIT = t, a, ticks
		}
		if enough {
			break
		}
	}
	lapicWrite(lapicInitial, 0)
	return bestTSC, bestTimer, bestPIT
}

// agree tells whether two windows have as many ticks of the TSC for one of the PIT, but for the one tick of the PIT by which
// either may be off.
func agree(tscA, pitA, tscB, pitB uint64) bool {
	a, b := tscA*pitB, tscB*pitA
	return max(a, b)-min(a, b) <= a/pitA+b/pitB
}

// measureTimer measures the APIC's timer against the TSC; what counts is the window with the fewest TSC ticks for a timer's.
func measureTimer() (bestTSC, bestTimer uint64) {
	const windows, windowTicks = 5, 1 << 19
	bestTSC = 1
	for i := 0; i < windows; i++ {
		lapicWrite(lapicInitial, timerMaximum)
		t0 := rdtsc()
		a0 := lapicRead(lapicCurrent)
		for rdtsc()-t0 < windowTicks {
			pause()
		}
		a := uint64(a0 - lapicRead(lapicCurrent))
		t := rdtsc() - t0
		if a*bestTSC > bestTimer*t {
			bestTSC, bestTimer = t, a
		}
	}
	lapicWrite(lapicInitial, 0)
	return bestTSC, bestTimer
}

// KVM's leaves of CPUID and its clock [linux/Documentation/virt/kvm/x86/cpuid.rst, msr.rst].
const (
	cpuidHypervisor = 1 << 31 // leaf 1, ECX
	hypervisorLeaf  = 0x40000000
	hypervisorLast  = 0x40000f00 // KVM's leaves are behind Hyper-V's, if it tells of both
	hypervisorStep  = 0x100

	kvmFeatures    = 1       // leaf behind the signature's
	kvmClockSource = 1 << 3  // EAX: the MSRs below
	kvmClockStable = 1 << 24 // EAX: the flag below means something
	msrKVMClock    = 0x4b564d01
	kvmClockEnable = 1 << 0
	kvmClockMul    = 24     // 32 bit
	kvmClockShift  = 28     // signed 8 bit
	kvmClockFlags  = 29     // 8 bit
	kvmTSCStable   = 1 << 0 // the TSCs of all CPUs go together
)

// kvmAbilities looks for KVM's leaves of CPUID, and returns the features that they tell; 0 without KVM. Under TCG the leaves
// have another signature, and those behind the last answer nonsense.
func kvmAbilities() uint32 {
	if _, _, c, _ := cpuid(1, 0); c&cpuidHypervisor == 0 {
		return 0
	}
	const kvm, vmkv, m = 0x4b4d564b, 0x564b4d56, 0x4d // "KVMKVMKVM"
	for base := uint64(hypervisorLeaf); base <= hypervisorLast; base += hypervisorStep {
		last, b, c, d := cpuid(base, 0)
		if b != kvm || c != vmkv || d != m {
			continue
		}
		// Old versions say 0 and mean the features' leaf.
		if last != 0 && uint64(last) < base+kvmFeatures {
			return 0
		}
		features, _, _, _ := cpuid(base+kvmFeatures, 0)
		return features
	}
	return 0
}

// kvmScale has KVM write its clock into a frame, once, and returns nanoseconds a TSC tick, times 2^32, and whether KVM vouches for
// the TSCs of all CPUs going together.
func kvmScale() (scale uint64, together bool) {
	f := allocFrame()
	wrmsr(msrKVMClock, f|kvmClockEnable)
	scale = clockScale(*p32(direct + f + kvmClockMul), int8(*p8(direct + f + kvmClockShift)))
	together = *p8(direct + f + kvmClockFlags)&kvmTSCStable != 0
	wrmsr(msrKVMClock, 0)
	returnFrame(f)
	return scale, together
}

// clockScale makes 2^32ths of nanoseconds a tick of KVM's two numbers: the time is ticks shifted left by shift, times mul,
// shifted right by 32.
func clockScale(mul uint32, shift int8) uint64 {
	if shift < 0 {
		return uint64(mul) >> uint(-shift&63)
	}
	return uint64(mul) << uint(shift&31)
}
