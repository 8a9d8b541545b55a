package ground

import "sync/atomic"

// Reports: what each CPU, thread and goroutine of the kernel and each thread of the program does, and the last system calls
// and packets, on the console. One is made when the kernel panics, and when a non-maskable interrupt asks for one.
//
// The other CPUs are stopped meanwhile, by a non-maskable interrupt, as they may hang with interrupts off. A report takes no
// lock and touches nothing that could fault.

// reporter is the CPU that makes a report, plus one; 0: none does.
var reporter uint64

// reportEnd is the last line of a report, by which vmm knows that it is complete.
const reportEnd = "wick: end of the report\n"

// die ends the machine after a fault of ground or of the kernel that can't be handled, with a report. It doesn't return.
func die(why string) {
	base := frameBase()
	c := me()
	if !becomeReporter(c) {
		puts("\nwick: kernel panic while making a report: ")
		puts(why)
		putFault(c.brokenVec, c.brokenErr, c.brokenCR2, c.brokenIP, c.brokenSP)
		powerOff(exitPanic)
	}
	puts("\nwick: kernel panic: ")
	puts(why)
	puts("\n")
	stopOthers(c)
	t := threadAt(c.cur)
	puts("cpu ")
	putDec(c.id)
	putWhatRuns(c)
	puts("  in ground:\n")
	if c.brokenIP != 0 {
		putFault(c.brokenVec, c.brokenErr, c.brokenCR2, c.brokenIP, c.brokenSP)
		putStack(c.brokenIP, c.brokenSP, false)
	} else {
		putFault(t.vec, t.err, t.cr2, t.ip, t.sp)
		putStack(*p64(base + 8), base+16, true)
	}
	if t != &c.idle {
		puts("  ground was entered from:\n")
		putThreadStack(t)
	}
	endWithReport(c)
}

// becomeReporter waits until no other CPU makes a report, which may be the last one. It returns false if this CPU makes one.
func becomeReporter(c *cpu) bool {
	for !atomic.CompareAndSwapUint64(&reporter, 0, c.id+1) {
		if atomic.LoadUint64(&reporter) == c.id+1 {
			return false
		}
		pause()
	}
	return true
}

// dieStopped is die for a CPU that a non-maskable interrupt has found hanging.
func dieStopped(c *cpu, frame uint64, why string) {
	if !atomic.CompareAndSwapUint64(&reporter, 0, c.id+1) {
		standStill(c, frame)
		return
	}
	puts("\nwick: kernel panic: ")
	puts(why)
	puts("\n")
	stopOthers(c)
	c.stopped = frame
	putCPU(c)
	endWithReport(c)
}

// endWithReport tells what else there is to be told, and ends the machine.
func endWithReport(c *cpu) {
	putRest(c)
	powerOff(exitPanic)
}

// putRest tells what there is to be told besides what this CPU does.
func putRest(c *cpu) {
	putOtherCPUs(c)
	putMemory()
	putProgram()
	putThreads()
	putGoroutines()
	puts(reportEnd)
}

// putMemory tells where the memory is.
func putMemory() {
	puts("memory in KiB: kernel ")
	putDec(atomic.LoadUint64(&kernelFrames) * (pageSize >> 10))
	puts(" of ")
	putDec(kernelShare * (pageSize >> 10))
	puts(", devices ")
	putDec(atomic.LoadUint64(&deviceFrames) * (pageSize >> 10))
	puts(", free ")
	putDec(atomic.LoadUint64(&freeFrames) * (pageSize >> 10))
	puts("\n")
}

// dieOfRuntime ends the machine when the kernel's runtime has ended with a status other than 0: it has told why itself, and
// the stacks of all goroutines.
func dieOfRuntime(status uint64) {
	c := me()
	becomeReporter(c)
	puts("\nwick: kernel panic: the kernel's Go runtime has ended, status ")
	putDec(status)
	puts("\n")
	stopOthers(c)
	putMemory()
	putProgram()
	puts(reportEnd)
	powerOff(exitPanic)
}

// reported is the time, in ns, at the end of the last report that was asked for.
var reported uint64

// report makes a report for who has asked for it by a non-maskable interrupt; everything goes on behind it. Who asks all
// the time gets one a second.
func report(c *cpu, frame uint64) {
	if reported != 0 && nowNS()-reported < billion || !atomic.CompareAndSwapUint64(&reporter, 0, c.id+1) {
		return
	}
	puts("\nwick: report: non-maskable interrupt\n")
	stopOthers(c)
	c.stopped = frame
	putCPU(c)
	putRest(c)
	c.stopped = 0
	reported = nowNS()
	atomic.StoreUint64(&reporter, 0)
}

// stopOthers makes the other CPUs stand still.
func stopOthers(c *cpu) {
	const patience = 2 * billion // ns, for a CPU that the host doesn't run just now
	high := lapicRead(lapicICRHigh)
	for i := uint64(0); i < cpuCount; i++ {
		if o := cpuByID(i); o != c {
			sendICR(o.lapicID, icrNMI)
		}
	}
	lapicWrite(lapicICRHigh, high) // a non-maskable interrupt may have come between this and the rest of the command
	for i, end := uint64(0), nowNS()+patience; i < cpuCount; i++ {
		for o := cpuByID(i); o != c && atomic.LoadUint64(&o.stopped) == 0 && nowNS() < end; {
			pause()
		}
	}
}

// standStill stops this CPU until the report is complete.
func standStill(c *cpu, frame uint64) {
	atomic.StoreUint64(&c.stopped, frame)
	for atomic.LoadUint64(&reporter) != 0 {
		pause()
	}
	atomic.StoreUint64(&c.stopped, 0)
}

func putOtherCPUs(c *cpu) {
	for i := uint64(0); i < cpuCount; i++ {
		if o := cpuByID(i); o != c {
			putCPU(o)
		}
	}
}

// putWhatRuns completes a line that begins with a CPU.
func putWhatRuns(c *cpu) {
	switch t := threadAt(c.cur); {
	case t == &c.idle:
		puts(": idle")
	case t.user != 0:
		puts(": a thread of the program, thread ")
		putDec(t.tid)
	default:
		puts(": thread ")
		putDec(t.tid)
		putGoroutineID(t)
	}
	puts("\n")
}

// putCPU tells what a CPU that stands still was doing.
func putCPU(c *cpu) {
	puts("cpu ")
	putDec(c.id)
	frame := c.stopped
	if frame == 0 {
		puts(": doesn't answer; last seen with")
	}
	putWhatRuns(c)
	t := threadAt(c.cur)
	if frame == 0 {
		if t != &c.idle {
			putThreadStack(t)
		}
		return
	}
	ip, sp := *p64(frame + frameIP), *p64(frame + frameSP)
	if ip < 1<<63 {
		putHex("    ring 3, IP ", ip)
		putHex(" SP ", sp)
		puts("\n")
		return
	}
	putStack(ip, sp, false)
	if onStacks(sp) && t != &c.idle {
		puts("  ground was entered from:\n")
		putThreadStack(t)
	}
}

// putFault tells of an exception.
func putFault(vec, errorCode, cr2, ip, sp uint64) {
	putHex("    the last exception: vector ", vec)
	putHex(" error ", errorCode)
	putHex(" CR2 ", cr2)
	putHex(" IP ", ip)
	putHex(" SP ", sp)
	puts("\n")
}

// putThreadStack tells the stack of a thread of the kernel's runtime that is in ground, waits, or has a thread of the
// program in ring 3.
func putThreadStack(t *thread) {
	if t.user != 0 && mapped(t.userSP) && mapped(t.userSP+8) {
		putStack(*p64(t.userSP + 8), t.userSP+16, true)
		return
	}
	putStack(t.ip, t.sp, false)
}

func putGoroutineID(t *thread) {
	if g := currentGoroutine(t); g != 0 && *p64(g + gID) != 0 {
		puts(", goroutine ")
		putDec(*p64(g + gID))
	}
}

// putThreads tells of the threads of the kernel's runtime that are on no CPU.
func putThreads() {
	puts("\nthreads of the kernel's runtime:\n")
	for i := uint64(1); i <= topThread; i++ {
		t := thread_(i)
		kind := t.state & stateKind
		if kind == stateFree || kind == stateRunning {
			continue
		}
		puts("  thread ")
		putDec(t.tid)
		switch kind {
		case stateRunnable:
			puts(" [runnable]")
		case stateFutex:
			puts(" [waits for a futex]")
		case stateSleep:
			puts(" [sleeps]")
		case stateEpoll:
			puts(" [waits for events]")
		}
		if t.resumeUser != 0 {
			puts(", with a thread of the program")
		}
		putGoroutineID(t)
		puts("\n")
		putThreadStack(t)
	}
}
