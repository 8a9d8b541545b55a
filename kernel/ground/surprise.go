package ground

import "sync/atomic"

// What strikes between any two instructions of ring 0, also where GS is the program's: non-maskable interrupts, debug exceptions,
// machine checks, double faults. Each has a stack of its own, and finds out about GS by its value, which for
// a program is never in the upper half (see Enter). It must not touch what may fault, and takes no lock.

// maxReports bounds how many debug exceptions a CPU tells.
const maxReports = 10

const flagTF = 0x100

// dr6Initial and dr7Initial: no breakpoint has been hit, none is set [SDM3 17.2].
const (
	dr6Initial = 0xffff0ff0
	dr7Initial = 0x400
)

// Offsets in the frame on an interrupt stack, in bytes.
const (
	frameVec   = 0
	frameIP    = 16
	frameFlags = 32
	frameSP    = 40
)

// surprise handles a non-maskable interrupt, and tells of a debug exception of ring 0. What was interrupted goes on: nothing of
// a program's can cause them, but a debugger or an administrator may, to see where a CPU is.
func surprise(frame uint64) {
	c := me()
	if *p64(frame + frameVec) == vecDebug {
		writeDR6(dr6Initial)
		writeDR7(dr7Initial)
		*p64(frame + frameFlags) &^= flagTF
	}
	c.surprises++
	if *p64(frame + frameVec) == vecNMI {
		nonMaskable(c, frame)
		return
	}
	if c.surprises > maxReports {
		return
	}
	puts("\nwick: debug exception in the kernel: cpu ")
	putDec(c.id)
	puts(" thread ")
	putDec(threadAt(c.cur).tid)
	putHex(" ip ", *p64(frame + frameIP))
	putHex(" sp ", *p64(frame + frameSP))
	puts("\n")
}

// nonMaskable is a non-maskable interrupt: another CPU wants this one to stand still, the watchdog's clock has ticked,
// or somebody outside wants a report, which the first CPU makes.
func nonMaskable(c *cpu, frame uint64) {
	switch by := atomic.LoadUint64(&reporter); {
	case by == c.id+1:
	case by != 0:
		standStill(c, frame)
	case c.id != 0:
		look(c, frame)
	case clockTicked():
		watchOthers(c)
		look(c, frame)
	default:
		report(c, frame)
	}
}

// fatal reports a double fault, a machine check, or a page fault on the page-fault stack. It doesn't return.
func fatal() {
	switch me().brokenVec {
	case vecDoubleFault:
		die("double fault")
	case vecPageFault:
		die("page fault while resolving a page fault")
	}
	die("machine check")
}
