package ground

import "sync/atomic"

var (
	tscHz      uint64
	tscStart   uint64 // the zero of the monotonic clock
	nsPerTick  uint64 // nanoseconds a TSC tick, times 2^32
	timerPer   uint64 // ticks of the local APIC's timer a TSC tick, times 2^32
	wallOffset int64  // nanoseconds from the monotonic to the wall clock

	// When the boot stub, ground and the runtime began.
	stubTSC, bootTSC, runtimeTSC uint64
)

// noTimer is a time that never comes.
const noTimer = 1<<64 - 1

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

// calibrate measures the TSC and the APIC's timer against the PIT. A window that the host interrupts looks longer than it
// was, so the shortest of several counts.
func calibrate() {
	const (
		windows     = 5
		windowTicks = 1194 // 1 ms
	)
	out8(pitControl, 0x34) // counter 0, both bytes, mode 2
	out8(pitCounter0, 0xff)
	out8(pitCounter0, 0xff)
	bestTSC, bestTimer, bestTicks := uint64(noTimer), uint64(0), uint64(1)
	for i := 0; i < windows; i++ {
		// The TSC is read before and after the PIT, so that an interruption in between never makes the window look short.
		lapicWrite(lapicInitial, timerMaximum)
		t0 := rdtsc()
		a0 := lapicRead(lapicCurrent)
		c0 := pitCount()
		ticks := uint64(0)
		for ticks < windowTicks {
			ticks = (c0 - pitCount()) & 0xffff
		}
		a := uint64(a0 - lapicRead(lapicCurrent))
		t := rdtsc() - t0
		if t/ticks < bestTSC/bestTicks {
			bestTSC, bestTimer, bestTicks = t, a, ticks
		}
	}
	lapicWrite(lapicInitial, 0)
	tscHz = bestTSC * pitHz / bestTicks
	if tscHz == 0 || bestTimer == 0 {
		refuse("no usable clock: neither TSC nor APIC timer advances")
	}
	nsPerTick = (1000000000 << 32) / tscHz
	timerPer = bestTimer << 32 / bestTSC
	tscStart = rdtsc()
}

// nowNS is the monotonic clock in nanoseconds.
func nowNS() uint64 { return ticksToNS(rdtsc() - tscStart) }

// ticksToNS multiplies by a 32.32 fixed-point number without losing the top.
func ticksToNS(ticks uint64) uint64 {
	return (ticks>>32)*nsPerTick + (ticks&0xffffffff)*nsPerTick>>32
}

func wallNS() uint64 { return nowNS() + uint64(atomic.LoadInt64(&wallOffset)) }

// armTimer makes this CPU's timer fire at the monotonic time ns, if it wouldn't fire earlier anyway.
func armTimer(c *cpu, ns uint64) {
	if ns >= c.armedNS {
		return
	}
	c.armedNS = ns
	now := nowNS()
	delta := uint64(1)
	if ns > now {
		delta = ns - now
	}
	const longest = 1000000000 // a second; the interrupt arms it anew
	if delta > longest {
		delta = longest
	}
	ticks := (delta << 32 / nsPerTick) * timerPer >> 32
	if ticks == 0 {
		ticks = 1
	} else if ticks > timerMaximum {
		ticks = timerMaximum
	}
	lapicWrite(lapicInitial, uint32(ticks))
}
