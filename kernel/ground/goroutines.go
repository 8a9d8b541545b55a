package ground

// The goroutines of the kernel on the console. TestRuntimeOffsets checks what is known here of the runtime.

// Offsets in runtime.g, in bytes.
const (
	gM          = 48
	gSched      = 56
	gSyscallSP  = 104
	gSyscallPC  = 112
	gStatus     = 144
	gID         = 152
	gWaitReason = 176
	gCreator    = 280
	gGoPC       = 288

	schedSP = 0 // in runtime.gobuf
	schedPC = 8
)

// Offsets in runtime.m and runtime.p.
const (
	mP         = 208
	pSchedTick = 16
)

// Values of a goroutine's status [runtime/runtime2.go].
const (
	gRunnable  = 1
	gRunning   = 2
	gSyscall   = 3
	gWaiting   = 4
	gDead      = 6
	gPreempted = 9
	gScan      = 0x1000 // added while the garbage collector looks at its stack
)

// waitReasons is the number of texts in the runtime's table.
const waitReasons = 47

// putGoroutines tells the state of all goroutines, and the stacks of those that don't run.
func putGoroutines() {
	puts("\ngoroutines of the kernel:\n")
	n, list := *p64(bootHeader[bootAllGLen]), *p64(bootHeader[bootAllGPtr])
	for i := uint64(0); i < n && mapped(list+8*i); i++ {
		if g := *p64(list + 8*i); mapped(g) && mapped(g+gGoPC) {
			putGoroutine(g)
		}
	}
}

func putGoroutine(g uint64) {
	status := uint64(*p32(g + gStatus)) &^ gScan
	if status == gDead || status == 0 {
		return
	}
	puts("  goroutine ")
	putDec(*p64(g + gID))
	puts(" [")
	switch status {
	case gRunnable:
		puts("runnable")
	case gRunning:
		puts("running")
	case gSyscall:
		puts("in a call of ground")
	case gWaiting:
		putWaitReason(uint64(*p8(g + gWaitReason)))
	case gPreempted:
		puts("preempted")
	default:
		puts("status ")
		putDec(status)
	}
	puts("]")
	if status == gRunning {
		puts(": its stack is that of a CPU or thread above\n")
		return
	}
	puts("\n")
	pc, sp := *p64(g + gSched + schedPC), *p64(g + gSched + schedSP)
	if status == gSyscall {
		pc, sp = *p64(g + gSyscallPC), *p64(g + gSyscallSP)
	}
	putStack(pc, sp, true)
	if by := *p64(g + gGoPC); functionAt(by-1).info != 0 {
		puts("    created by goroutine ")
		putDec(*p64(g + gCreator))
		puts(" in\n")
		putPlaces(functionAt(by-1), by-1)
	}
}

func putWaitReason(reason uint64) {
	if reason >= waitReasons {
		puts("waiting")
		return
	}
	text := bootHeader[bootReasons] + reason*16
	start, size := *p64(text), *p64(text + 8)
	for i := uint64(0); i < size; i++ {
		putc(*p8(start + i))
	}
}

// currentGoroutine returns the address of the g that a thread of the runtime runs, by its thread-local storage; 0 if there is
// none yet.
func currentGoroutine(t *thread) uint64 {
	if t.fsBase == 0 || !mapped(t.fsBase-8) {
		return 0
	}
	if g := *p64(t.fsBase - 8); mapped(g) && mapped(g+gGoPC) {
		return g
	}
	return 0
}
