package ground

// The watchdog finds a CPU that hangs in ring 0, with interrupts off or without scheduling. Once a second the real-time clock
// sends a non-maskable interrupt to the first CPU, which looks at what it has interrupted, and makes the other CPUs that
// are not idle do the same.
//
// What counts is not time but looks: each is proof that the CPU itself was run by the host, and between two of them lies at least
// half a second of its own clock. A machine that is stopped, in a debugger or by a signal, or gets next to no time from a busy
// host, sees few of them; of interrupts that have queued up meanwhile only the first counts.

// stuckInGround is after how many looks in a row a CPU is stuck that was always in the same entry to ground. An entry takes
// microseconds, to give back a lot of memory some milliseconds.
const stuckInGround = 10

// stuckInGo is the same for a goroutine that always had the CPU, in ring 0, with interrupts on. The runtime preempts one
// after 10 ms, but it may take longer until it can: up to a second for the garbage collector.
var stuckInGo uint64 = 60

// watch is what a CPU remembers of the looks at it.
type watch struct {
	entries uint64 // to ground, and signs of life within one

	looked   uint64 // time of the last look that counted, in ns
	entered  uint64 // entries at that time
	p        uint64 // the runtime's P that the CPU had then, and its count of scheduling
	schedule uint64
	ground   uint64 // looks in a row that found the same entry
	running  uint64 // looks in a row that found the same goroutine
}

var (
	watching uint64 // the clock sends its interrupts
	second   uint64 // that the clock showed when it last ticked
	stray    uint64 // an interrupt may still come of a tick that has been seen
)

// Registers of the real-time clock [MC146818].
const (
	rtcIndex       = 0x70
	rtcData        = 0x71
	rtcSeconds     = 0x00 // two decimal digits
	rtcB           = 0x0b
	rtcC           = 0x0c
	rtcUpdateEnded = 0x10 // in B: interrupts when the second ends; in C: it has. Reading C clears it

	rtcLine = 8
)

// startWatchdog makes the real-time clock interrupt, if there is one.
func startWatchdog() {
	out8(rtcIndex, rtcB)
	b := in8(rtcData)
	if b == 0xff || !openNMI(rtcLine) {
		return
	}
	second = rtcSecond()
	watching = 1
	out8(rtcIndex, rtcB)
	out8(rtcData, b|rtcUpdateEnded)
	out8(rtcIndex, rtcC)
	in8(rtcData)
}

func rtcSecond() uint64 {
	out8(rtcIndex, rtcSeconds)
	v := uint64(in8(rtcData))
	return v>>4*10 + v&0xf
}

// clockTicked tells whether a non-maskable interrupt is the clock's. Where the host has not run this CPU for a second, the clock has
// ticked twice: the register told of both ticks at once, but each may have its interrupt.
func clockTicked() bool {
	if watching == 0 {
		return false
	}
	out8(rtcIndex, rtcC)
	if in8(rtcData)&rtcUpdateEnded == 0 {
		expected := stray != 0
		stray = 0
		return expected
	}
	now := rtcSecond()
	if stray = 0; missedTick(second, now) {
		stray = 1
	}
	second = now
	return true
}

// missedTick tells whether more than a second lies between what the clock showed before and shows now.
func missedTick(before, now uint64) bool { return (now+60-before)%60 > 1 }

// watchOthers has the other CPUs looked at that run something, or are in ground.
func watchOthers(c *cpu) {
	high := lapicRead(lapicICRHigh)
	for i := uint64(0); i < cpuCount; i++ {
		if o := cpuByID(i); o != c && !isIdle(i) {
			sendICR(o.lapicID, icrNMI)
		}
	}
	lapicWrite(lapicICRHigh, high) // the interrupt may have come between this and the rest of a command
}

// look looks at what this CPU was doing, given the frame of the interrupt.
func look(c *cpu, frame uint64) {
	w := &c.watch
	now := nowNS()
	if now-w.looked < billion/2 {
		return
	}
	w.looked = now
	ground, p, schedule := false, uint64(0), uint64(0)
	if *p64(frame + frameIP) >= 1<<63 {
		ground = *p64(frame + frameFlags)&flagIF == 0
		if !ground && c.cur != addressOf(&c.idle) {
			p, schedule = currentP(threadAt(c.cur))
		}
	}
	if !ground || w.entries != w.entered {
		w.ground = 0
	}
	if p == 0 || p != w.p || schedule != w.schedule {
		w.running = 0
	}
	w.entered, w.p, w.schedule = w.entries, p, schedule
	if ground {
		if w.ground++; w.ground > stuckInGround {
			dieStopped(c, frame, "a CPU is stuck in ground, or with interrupts off")
		}
	}
	if p != 0 {
		if w.running++; w.running > stuckInGo {
			dieStopped(c, frame, "a CPU is stuck in a goroutine that lets no other run")
		}
	}
}

// currentP returns the address of the runtime's P that a thread has, and how often it has scheduled; 0 if it has none.
func currentP(t *thread) (p, schedule uint64) {
	g := currentGoroutine(t)
	if g == 0 {
		return 0, 0
	}
	m := *p64(g + gM)
	if !mapped(m) || !mapped(m+mP) {
		return 0, 0
	}
	if p = *p64(m + mP); p == 0 || !mapped(p) || !mapped(p+pSchedTick) {
		return 0, 0
	}
	return p, uint64(*p32(p + pSchedTick))
}
