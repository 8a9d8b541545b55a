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
	sysClockGetres      = 229 // by programs only
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
	c := me()
	c.watch.entries++
	yield := false
	switch t.ax {
	case sysSchedYield:
		t.ax = 0
		yield = true
	case sysRtSigreturn:
		sigreturn(t)
	case sysNanosleep:
		yield = sleep(c, t, timespecNS(t.di))
	case sysFutex:
		futex(c, t)
	case sysEpollPwait:
		epollPwait(c, t)
	case sysExit:
		c.cur = addressOf(&c.idle)
		atomic.StoreUint64(&t.state, stateFree)
	default:
		t.ax = simpleCall(c, t)
	}
	schedule(c, yield)
}

// simpleCall does the calls that neither block nor switch.
func simpleCall(cpu *cpu, t *thread) uint64 {
	a, b, c := t.di, t.si, t.dx
	switch t.ax {
	case sysRead:
		return readFile(a, b, c)
	case sysWrite:
		return writeFile(cpu, a, b, c)
	case sysClose:
		return closeFile(a)
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
		return tgkill(cpu, b, c)
	case sysClone:
		return clone(cpu, t)
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
		return service(cpu, t)
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
	for {
		next := atomic.LoadUint64(&mmapNext)
		if hint != 0 && hint != next {
			return negErrno(enomem)
		}
		base := next
		if size >= hugeAlign {
			base = (base + hugeAlign - 1) &^ (hugeAlign - 1)
		}
		if base+size > mmapTop || base+size < base {
			return negErrno(enomem)
		}
		if atomic.CompareAndSwapUint64(&mmapNext, next, base+size) {
			return base
		}
	}
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

func tgkill(c *cpu, tid, sig uint64) uint64 {
	if tid == 0 || tid > atomic.LoadUint64(&topThread) || sig < 1 || sig > 64 {
		return negErrno(einval)
	}
	t := thread_(tid)
	atomic.OrUint64(&t.signalPending, 1<<(sig-1))
	// One that begins to run looks for signals after it has said that it runs.
	if atomic.LoadUint64(&t.state) == stateRunning {
		if on := cpuByID(t.onCPU); on != c {
			sendIPI(c, on, vecResched)
		}
	}
	return 0
}

func clone(c *cpu, parent *thread) uint64 {
	t := newThread()
	if t == nil {
		return negErrno(eagain)
	}
	t.bx, t.cx, t.dx, t.si, t.di, t.bp = parent.bx, parent.cx, parent.dx, parent.si, parent.di, parent.bp
	t.r8, t.r9, t.r10, t.r11, t.r12 = parent.r8, parent.r9, parent.r10, parent.r11, parent.r12
	t.r13, t.r14, t.r15 = parent.r13, parent.r14, parent.r15
	t.ax, t.sp, t.ip, t.fsBase, t.full = 0, parent.si, parent.ip, parent.r8, 0
	t.user, t.resumeUser = 0, 0
	t.signalMask = parent.signalMask
	t.altSP, t.altSize, t.altFlags = 0, 0, 0
	atomic.StoreUint64(&t.signalPending, 0)
	put(c, t.tid)
	return t.tid
}

func clockGettime(clock, ts uint64) uint64 {
	ns := nowNS()
	if clock == 0 { // CLOCK_REALTIME
		ns = wallNS()
	}
	*p64(ts), *p64(ts + 8) = ns/1000000000, ns%1000000000
	return 0
}

func epollPwait(c *cpu, t *thread) {
	t.epollEvents, t.epollMaxEvents = t.si, t.dx
	timeoutMS := int32(t.r10)
	deadline := uint64(0)
	if timeoutMS > 0 {
		deadline = nowNS() + uint64(timeoutMS)*1000000
	}
	filesLock.lock()
	if t.ax = collectEvents(t.si, t.dx); t.ax == 0 && timeoutMS != 0 {
		wait(c, t, stateEpoll, deadline)
	} else {
		deadline = 0
	}
	filesLock.unlock()
	if deadline != 0 {
		armTimer(c, deadline)
	}
}
