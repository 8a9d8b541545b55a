package ground

import "sync/atomic"

// Error numbers, as the runtime expects them.
const (
	eperm     = 1
	enoent    = 2
	ebadf     = 9
	eagain    = 11
	enomem    = 12
	einval    = 22
	emfile    = 24
	enosys    = 38
	etimedout = 110
)

func negErrno(e uint64) uint64 { return -e }

// Numbers of the Linux system calls that the runtime makes.
const (
	sysRead             = 0
	sysWrite            = 1
	sysClose            = 3
	sysFstat            = 5
	sysMmap             = 9
	sysMunmap           = 11
	sysRtSigaction      = 13
	sysRtSigprocmask    = 14
	sysRtSigreturn      = 15
	sysSchedYield       = 24
	sysMadvise          = 28
	sysNanosleep        = 35
	sysGetpid           = 39
	sysClone            = 56
	sysExit             = 60
	sysFcntl            = 72
	sysSigaltstack      = 131
	sysPrctl            = 157
	sysArchPrctl        = 158
	sysGettid           = 186
	sysFutex            = 202
	sysSchedGetaffinity = 204
	sysClockGettime     = 228
	sysExitGroup        = 231
	sysEpollCtl         = 233
	sysTgkill           = 234
	sysOpenat           = 257
	sysEpollPwait       = 281
	sysEventfd2         = 290
	sysEpollCreate1     = 291
	sysGetrandom        = 318
)

// syscall answers a SYSCALL of the kernel's own code; it runs on the ground stack. The registers of t are saved.
func syscall(t *thread) {
	lock()
	yield := false
	switch t.ax {
	case sysSchedYield:
		t.ax = 0
		yield = true
	case sysRtSigreturn:
		sigreturn(t)
	case sysNanosleep:
		deadline := nowNS() + timespecNS(t.di)
		t.ax = 0
		blockUntil(t, stateSleep, deadline)
	case sysFutex:
		if r, blocked := futex(t); !blocked {
			t.ax = r
		}
	case sysEpollPwait:
		epollPwait(t)
	case sysExit:
		t.state = stateFree
	default:
		t.ax = simpleCall(t)
	}
	schedule(yield)
}

// simpleCall does the calls that neither block nor switch.
func simpleCall(t *thread) uint64 {
	a, b, c := t.di, t.si, t.dx
	switch t.ax {
	case sysRead:
		return readFile(a, b, c)
	case sysWrite:
		return writeFile(a, b, c)
	case sysClose:
		if a >= maxFiles || fileAt(a).kind == fileNone {
			return negErrno(ebadf)
		}
		*fileAt(a) = file{}
		return 0
	case sysFstat:
		return fstat(b)
	case sysMmap:
		return mmap(a, b, t.r10)
	case sysMunmap:
		unmapRange(a, b)
		return 0
	case sysMadvise:
		return madvise(a, b, c)
	case sysRtSigaction:
		return sigaction(a, b, c)
	case sysRtSigprocmask:
		return sigprocmask(t, a, b, c)
	case sysSigaltstack:
		return sigaltstack(t, a, b)
	case sysGetpid:
		return 1
	case sysGettid:
		return t.tid
	case sysTgkill:
		return tgkill(b, c)
	case sysClone:
		return clone(t)
	case sysFcntl:
		const fGetFL = 3
		if b == fGetFL && a > 2 {
			return 0o4002 // O_NONBLOCK | O_RDWR
		}
		return 0
	case sysPrctl:
		return negErrno(einval)
	case sysArchPrctl: // ARCH_SET_FS
		t.fsBase = b
		return 0
	case sysSchedGetaffinity:
		*p64(c) = 1<<advertisedCPUs() - 1
		return 8
	case sysClockGettime:
		return clockGettime(a, b)
	case sysExitGroup:
		if a != 0 {
			dieOfRuntime(a)
		}
		powerOff(a)
	case sysOpenat:
		return openInterrupt(b)
	case sysEventfd2:
		return openFile(fileEventfd, 0)
	case sysEpollCreate1:
		return openFile(fileEpoll, 0)
	case sysEpollCtl:
		return epollCtl(b, c, t.r10)
	case sysGetrandom:
		random(a, b)
		return b
	}
	if t.ax >= callFirst {
		return service(t)
	}
	return negErrno(enosys)
}

// advertisedCPUs is what the runtime makes GOMAXPROCS of.
func advertisedCPUs() uint64 {
	if cpuCount < 2 {
		return 2
	}
	return cpuCount
}

// fstat says "character device" of everything, so that the os package uses the netpoller.
func fstat(buf uint64) uint64 {
	const (
		statSize   = 144
		modeOffset = 24
		modeDevice = 0o020666
	)
	for i := uint64(0); i < statSize; i += 8 {
		*p64(buf + i) = 0
	}
	*p32(buf + modeOffset) = modeDevice
	return 0
}

// mmap hands out addresses of the upper half; pages come when they are touched. The runtime's hints in the lower half
// are refused, upon which it takes what it is given.
func mmap(hint, size, flags uint64) uint64 {
	const (
		mapFixed  = 0x10
		hugeAlign = 4 << 20
	)
	size = (size + pageMask) &^ pageMask
	if flags&mapFixed != 0 {
		return hint // within what it was given before
	}
	if hint != 0 && hint != mmapNext {
		return negErrno(enomem)
	}
	base := mmapNext
	if size >= hugeAlign {
		base = (base + hugeAlign - 1) &^ (hugeAlign - 1)
	}
	if base+size > mmapTop || base+size < base {
		return negErrno(enomem)
	}
	atomic.StoreUint64(&mmapNext, base+size)
	return base
}

func madvise(addr, size, advice uint64) uint64 {
	const (
		dontneed   = 4
		free       = 8
		hugepage   = 14
		nohugepage = 15
	)
	switch advice {
	case dontneed:
		unmapRange(addr, size)
	case free, hugepage, nohugepage:
	default:
		return negErrno(einval)
	}
	return 0
}

func sigaction(sig, act, old uint64) uint64 {
	if sig < 1 || sig > 64 {
		return negErrno(einval)
	}
	const size, restorerOffset = 32, 16
	if old != 0 {
		for i := uint64(8); i < size; i += 8 {
			*p64(old + i) = 0
		}
		*p64(old) = handlers[sig%65]
	}
	if act != 0 {
		handlers[sig%65] = *p64(act)
		restorer = *p64(act + restorerOffset)
	}
	return 0
}

func sigprocmask(t *thread, how, set, old uint64) uint64 {
	if old != 0 {
		*p64(old) = t.signalMask
	}
	if set == 0 {
		return 0
	}
	v := *p64(set)
	switch how {
	case 0:
		t.signalMask |= v
	case 1:
		t.signalMask &^= v
	case 2:
		t.signalMask = v
	default:
		return negErrno(einval)
	}
	return 0
}

// sigaltstack reads and writes a struct stack_t: address, flags, size.
func sigaltstack(t *thread, set, old uint64) uint64 {
	const disabled = 2
	if old != 0 {
		*p64(old), *p64(old + 8), *p64(old + 16) = t.altSP, t.altFlags, t.altSize
		if t.altSP == 0 {
			*p64(old + 8) = disabled
		}
	}
	if set != 0 {
		t.altSP, t.altFlags, t.altSize = *p64(set), *p64(set + 8), *p64(set + 16)
	}
	return 0
}

func tgkill(tid, sig uint64) uint64 {
	if tid == 0 || tid > topThread || sig < 1 || sig > 64 {
		return negErrno(einval)
	}
	t := thread_(tid)
	t.signalPending |= 1 << (sig - 1)
	if c := cpuByID(t.onCPU); t.state == stateRunning && c != me() {
		sendIPI(c.lapicID, vecResched)
	}
	return 0
}

func clone(parent *thread) uint64 {
	for i := uint64(1); i < maxThreads; i++ {
		t := thread_(i)
		if t.state != stateFree {
			continue
		}
		if i > topThread {
			topThread = i
		}
		*t = *parent
		t.tid = i
		t.ax = 0
		t.sp = parent.si
		t.fsBase = parent.r8
		t.full = 0
		t.signalPending, t.altSP, t.altSize, t.altFlags = 0, 0, 0, 0
		t.user, t.resumeUser, t.deadlineNS = 0, 0, 0
		wake(t)
		return i
	}
	return negErrno(eagain)
}

func clockGettime(clock, ts uint64) uint64 {
	ns := nowNS()
	if clock == 0 { // CLOCK_REALTIME
		ns = wallNS()
	}
	*p64(ts), *p64(ts + 8) = ns/1000000000, ns%1000000000
	return 0
}

func epollPwait(t *thread) {
	t.epollEvents, t.epollMaxEvents = t.si, t.dx
	timeoutMS := int32(t.r10)
	if n := collectEvents(t.si, t.dx); n > 0 || timeoutMS == 0 {
		t.ax = n
		return
	}
	deadline := uint64(0)
	if timeoutMS > 0 {
		deadline = nowNS() + uint64(timeoutMS)*1000000
	}
	t.ax = 0
	blockUntil(t, stateEpoll, deadline)
}
