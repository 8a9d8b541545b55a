package ground

import (
	"math/bits"
	"sync/atomic"
)

var (
	tscStart   uint64 // the zero of the monotonic clock
	nsPerTick  uint64 // nanoseconds a TSC tick, times 2^32
	timerPer   uint64 // ticks of the local APIC's timer a TSC tick, times 2^32, unless that takes TSC ticks itself
	wallOffset int64  // nanoseconds from the monotonic to the wall clock

	// clocksDiffer is not 0 if the TSC of one CPU may be behind that of another. The monotonic clock stands still then until it has
	// caught up with latestNS, which any CPU has told already; atomic.
	clocksDiffer uint64
	latestNS     uint64

	// When the boot stub, ground and the runtime began.
	stubTSC, bootTSC, runtimeTSC uint64
)

// noTimer is a time that never comes.
const noTimer = 1<<64 - 1

// nowNS is the monotonic clock in nanoseconds.
func nowNS() uint64 {
	ns := ticksToNS(rdtsc() - tscStart)
	if clocksDiffer != 0 {
		return notBefore(ns)
	}
	return ns
}

// notBefore returns ns, or the latest time that any CPU has told, if that is later; see vdsoClock, which does the same.
func notBefore(ns uint64) uint64 {
	for {
		latest := atomic.LoadUint64(&latestNS)
		if ns <= latest {
			return latest
		}
		if atomic.CompareAndSwapUint64(&latestNS, latest, ns) {
			return ns
		}
	}
}

// ticksToNS multiplies by a 32.32 fixed-point number without losing the top.
func ticksToNS(ticks uint64) uint64 {
	high, low := bits.Mul64(ticks, nsPerTick)
	return high<<32 | low>>32
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
	ticks := delta << 32 / nsPerTick // of the TSC
	if timerMode == lvtDeadline {
		setDeadline(ticks + 1)
		return
	}
	ticks = ticks * timerPer >> 32
	if ticks == 0 {
		ticks = 1
	} else if ticks > timerMaximum {
		ticks = timerMaximum
	}
	lapicWrite(lapicInitial, uint32(ticks))
}
