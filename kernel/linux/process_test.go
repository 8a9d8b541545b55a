package linux

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// bad is an address where nothing is mapped.
const bad = 0x1000

func TestIdentity(t *testing.T) {
	p := newProgram(t)
	p.returns(1, unix.SYS_GETPID)
	p.returns(1, unix.SYS_GETTID)
	p.returns(0, unix.SYS_GETPPID)
	p.returns(1, unix.SYS_GETPGRP)
	p.returns(1, unix.SYS_GETPGID, 0)
	p.returns(unix.ESRCH, unix.SYS_GETPGID, 2)
	p.returns(1, unix.SYS_GETSID, 1)
	p.returns(unix.EPERM, unix.SYS_SETSID)
	p.returns(unix.EPERM, unix.SYS_SETPGID, 0, 0)
	p.returns(unix.ESRCH, unix.SYS_SETPGID, 7, 0)
	for _, n := range []int{unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID} {
		p.returns(0, n)
	}
	p.returns(0, unix.SYS_GETGROUPS, 16, dataAt)
	p.store(dataAt, ^uint64(0), ^uint64(0))
	p.returns(0, unix.SYS_GETRESUID, dataAt, dataAt+4, dataAt+8)
	p.check(func() {
		if p.word(dataAt) != 0 || p.word(dataAt+8) != 0xffffffff00000000 {
			t.Errorf("getresuid: %#x %#x", p.word(dataAt), p.word(dataAt+8))
		}
	})
	p.returns(unix.EFAULT, unix.SYS_GETRESGID, dataAt, bad, dataAt)
	p.returns(0o022, unix.SYS_UMASK, 0o7077)
	p.returns(0o077, unix.SYS_UMASK, 0)
	p.returns(unix.ECHILD, unix.SYS_WAIT4, ^uint64(0))
	p.returns(unix.ECHILD, unix.SYS_WAITID, 0, 0, 0, waitExited)
	p.returns(unix.EINVAL, unix.SYS_WAITID, 0, 0, 0, waitNohang)
	p.returns(1, unix.SYS_SET_TID_ADDRESS, 0)
	p.run()
}

func TestCapget(t *testing.T) {
	p := newProgram(t)
	p.store(dataAt, capVersion3)
	p.returns(0, unix.SYS_CAPGET, dataAt, dataAt+64)
	p.check(func() {
		if p.word(dataAt+64) != 0xffffffffffffffff || p.word(dataAt+64+12) != 0x000001ff000001ff {
			t.Errorf("capabilities %#x %#x", p.word(dataAt+64), p.word(dataAt+64+12))
		}
		p.put(dataAt, 0)
	})
	p.returns(0, unix.SYS_CAPGET, dataAt, 0)
	p.check(func() {
		if uint32(p.word(dataAt)) != capVersion3 {
			t.Errorf("version %#x", p.word(dataAt))
		}
		p.put(dataAt, capVersion1|99<<32)
	})
	p.returns(unix.ESRCH, unix.SYS_CAPGET, dataAt, dataAt+64)
	p.returns(unix.EFAULT, unix.SYS_CAPGET, bad, dataAt)
	p.run()
}

func TestLimits(t *testing.T) {
	p := newProgram(t)
	p.returns(0, unix.SYS_GETRLIMIT, unix.RLIMIT_STACK, dataAt)
	p.returns(0, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, 0, dataAt+16)
	p.check(func() {
		if p.word(dataAt) != 8<<20 || p.word(dataAt+8) != ^uint64(0) {
			t.Errorf("stack %#x %#x", p.word(dataAt), p.word(dataAt+8))
		}
		if p.word(dataAt+16) != vfs.DefaultFDLimit || p.word(dataAt+24) != vfs.MaxFDLimit {
			t.Errorf("descriptors %d %d", p.word(dataAt+16), p.word(dataAt+24))
		}
		p.put(dataAt, vfs.MaxFDLimit, vfs.MaxFDLimit)
	})
	p.returns(0, unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, dataAt) // as Go's runtime does
	p.check(func() {
		if n := p.proc.FDs.Limit(); n != vfs.MaxFDLimit {
			t.Errorf("table's limit %d", n)
		}
		p.put(dataAt, 5, 4, 5, 1<<40)
	})
	p.returns(unix.EINVAL, unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, dataAt)
	p.returns(unix.EPERM, unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, dataAt+16)
	p.returns(unix.EINVAL, unix.SYS_GETRLIMIT, 16, dataAt)
	p.returns(unix.EFAULT, unix.SYS_GETRLIMIT, 0, bad)
	p.returns(unix.EFAULT, unix.SYS_SETRLIMIT, 0, bad)
	p.returns(unix.ESRCH, unix.SYS_PRLIMIT64, 5, 0, 0, dataAt)
	p.run()
}

func TestUsageTellsTimeAndMemory(t *testing.T) {
	p := newProgram(t)
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_THREAD} {
		p.store(dataAt, ^uint64(0), ^uint64(0), ^uint64(0))
		p.returns(0, unix.SYS_GETRUSAGE, uint64(who), dataAt)
		p.check(func() {
			if p.word(dataAt) > 60 || p.word(dataAt+16) != 0 || p.word(dataAt+32) == 0 {
				t.Errorf("rusage: %d s, %d s, %d KiB", p.word(dataAt), p.word(dataAt+16), p.word(dataAt+32))
			}
		})
	}
	p.returns(0, unix.SYS_GETRUSAGE, ^uint64(0), dataAt)
	p.returns(unix.EINVAL, unix.SYS_GETRUSAGE, 5, dataAt)
	p.returns(unix.EFAULT, unix.SYS_GETRUSAGE, 0, bad)
	p.run()
}

func TestUnameAndSysinfo(t *testing.T) {
	p := newProgram(t)
	p.proc.Kernel.Hostname = strings.Repeat("h", 100)
	p.proc.Kernel.Memory = func() (total, free uint64) { return 1 << 30, 1 << 29 }
	p.returns(0, unix.SYS_UNAME, dataAt)
	p.check(func() {
		var b [6 * unameField]byte
		p.proc.Space.CopyIn(b[:], dataAt)
		var got []string
		for i := range 6 {
			field := b[i*unameField : (i+1)*unameField]
			got = append(got, string(field[:bytes.IndexByte(field, 0)]))
		}
		want := []string{unameSystem, strings.Repeat("h", 64), unameRelease, unameVersion, unameMachine, unameDomain}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("uname %q", got)
		}
	})
	p.returns(unix.EFAULT, unix.SYS_UNAME, bad)
	p.returns(0, unix.SYS_SYSINFO, dataAt)
	p.check(func() {
		if p.word(dataAt+32) != 1<<30 || p.word(dataAt+40) != 1<<29 || uint16(p.word(dataAt+80)) != 1 || uint32(p.word(dataAt+104)) != 1 {
			t.Error("sysinfo")
		}
	})
	p.run()
}

func TestGetrandom(t *testing.T) {
	p := newProgram(t)
	p.returns(1000, unix.SYS_GETRANDOM, dataAt, 1000, unix.GRND_NONBLOCK)
	p.check(func() {
		if p.word(dataAt) == p.word(dataAt+8) || p.word(dataAt+992) == 0 || p.word(dataAt+1000) != 0 {
			t.Error("not 1000 random bytes")
		}
	})
	p.returns(unix.EINVAL, unix.SYS_GETRANDOM, dataAt, 8, 8)
	p.returns(unix.EINVAL, unix.SYS_GETRANDOM, dataAt, 8, unix.GRND_RANDOM|unix.GRND_INSECURE)
	p.returns(unix.EFAULT, unix.SYS_GETRANDOM, bad, 8, 0)
	p.returns(4096, unix.SYS_GETRANDOM, stackAt-4096, 8192, 0) // up to the end of memory
	p.returns(0, unix.SYS_GETRANDOM, bad, 0, 0)
	p.run()
}

func TestArchPrctl(t *testing.T) {
	p := newProgram(t)
	p.returns(0, unix.SYS_ARCH_PRCTL, archSetFS, 0x12345)
	p.returns(0, unix.SYS_ARCH_PRCTL, archSetGS, 0x54321)
	p.Do(func(u *regs.User) {
		if u.FSBase != 0x12345 || u.GSBase != 0x54321 {
			t.Errorf("bases %#x %#x", u.FSBase, u.GSBase)
		}
	})
	for _, base := range []uint64{1 << 47, 1<<47 - 4096, 0xffff800000000000, 1 << 63} {
		p.returns(unix.EPERM, unix.SYS_ARCH_PRCTL, archSetFS, base)
		p.returns(unix.EPERM, unix.SYS_ARCH_PRCTL, archSetGS, base)
	}
	p.returns(0, unix.SYS_ARCH_PRCTL, archGetFS, dataAt)
	p.returns(0, unix.SYS_ARCH_PRCTL, archGetGS, dataAt+8)
	p.returns(unix.EFAULT, unix.SYS_ARCH_PRCTL, archGetFS, bad)
	p.returns(unix.EINVAL, unix.SYS_ARCH_PRCTL, 0x3001, dataAt)
	p.check(func() {
		if p.word(dataAt) != 0x12345 || p.word(dataAt+8) != 0x54321 {
			t.Error("bases read")
		}
	})
	p.run()
}

func TestThreadName(t *testing.T) {
	p := newProgram(t)
	get := func(want string) {
		p.returns(0, unix.SYS_PRCTL, unix.PR_GET_NAME, dataAt+64)
		p.check(func() {
			var b [threadNameSize]byte
			p.proc.Space.CopyIn(b[:], dataAt+64)
			if got := string(bytes.TrimRight(b[:], "\x00")); got != want || b[15] != 0 {
				t.Errorf("name %q, want %q", got, want)
			}
		})
	}
	get("test")
	p.proc.Space.CopyOut(dataAt, []byte("a name that is too long\x00"))
	p.returns(0, unix.SYS_PRCTL, unix.PR_SET_NAME, dataAt)
	get("a name that is ")
	p.proc.Space.CopyOut(stackAt-4, []byte("end\x00")) // memory ends with the name
	p.returns(0, unix.SYS_PRCTL, unix.PR_SET_NAME, stackAt-4)
	get("end")
	p.returns(unix.EFAULT, unix.SYS_PRCTL, unix.PR_SET_NAME, stackAt)
	p.returns(unix.EINVAL, unix.SYS_PRCTL, 9999)
	p.run()
}

func TestAffinity(t *testing.T) {
	p := newProgram(t)
	p.returns(8, unix.SYS_SCHED_GETAFFINITY, 0, 128, dataAt)
	p.check(func() {
		if p.word(dataAt) != 3 {
			t.Errorf("mask %#x", p.word(dataAt))
		}
	})
	p.returns(unix.EINVAL, unix.SYS_SCHED_GETAFFINITY, 0, 4, dataAt)
	p.returns(unix.EINVAL, unix.SYS_SCHED_GETAFFINITY, 0, 0, dataAt)
	p.returns(unix.ESRCH, unix.SYS_SCHED_GETAFFINITY, 77, 8, dataAt)
	p.returns(0, unix.SYS_SCHED_SETAFFINITY, 0, 8, dataAt)
	p.store(dataAt+8, 4)
	p.returns(unix.EINVAL, unix.SYS_SCHED_SETAFFINITY, 0, 8, dataAt+8)
	p.returns(0, unix.SYS_SCHED_GETSCHEDULER, 0)
	p.returns(0, unix.SYS_SCHED_GETPARAM, 0, dataAt)
	p.returns(99, unix.SYS_SCHED_GET_PRIORITY_MAX, unix.SCHED_FIFO)
	p.returns(0, unix.SYS_SCHED_GET_PRIORITY_MIN, unix.SCHED_NORMAL)
	p.returns(20, unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 0)
	p.returns(0, unix.SYS_GETCPU, dataAt, dataAt+4, 0)
	p.returns(0, unix.SYS_SCHED_YIELD)
	p.run()
}

func TestSignalCalls(t *testing.T) {
	p := newProgram(t)
	const sig = uint64(unix.SIGUSR1)
	p.store(dataAt, 0x1111, task.SaSiginfo|task.SaRestorer|1<<40, 0x2222, ^uint64(0))
	p.returns(0, unix.SYS_RT_SIGACTION, sig, dataAt, dataAt+64, 8)
	p.returns(0, unix.SYS_RT_SIGACTION, sig, 0, dataAt+96, 8)
	p.check(func() {
		if p.word(dataAt+64) != 0 || p.word(dataAt+96) != 0x1111 || p.word(dataAt+104) != task.SaSiginfo|task.SaRestorer ||
			p.word(dataAt+112) != 0x2222 || p.word(dataAt+120) != ^uint64(0x40100) {
			t.Errorf("old actions %#x; %#x %#x %#x %#x", p.word(dataAt+64), p.word(dataAt+96), p.word(dataAt+104), p.word(dataAt+112), p.word(dataAt+120))
		}
	})
	p.returns(unix.EINVAL, unix.SYS_RT_SIGACTION, sig, dataAt, 0, 16)
	p.returns(unix.EINVAL, unix.SYS_RT_SIGACTION, 0, dataAt, 0, 8)
	p.returns(unix.EINVAL, unix.SYS_RT_SIGACTION, 65, dataAt, 0, 8)
	p.returns(unix.EINVAL, unix.SYS_RT_SIGACTION, uint64(unix.SIGKILL), dataAt, 0, 8)
	p.returns(0, unix.SYS_RT_SIGACTION, uint64(unix.SIGKILL), 0, dataAt+64, 8)
	p.returns(unix.EFAULT, unix.SYS_RT_SIGACTION, sig, bad, 0, 8)

	p.store(dataAt, ^uint64(0))
	p.returns(0, unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, dataAt, 0, 8)
	p.returns(unix.EINVAL, unix.SYS_RT_SIGPROCMASK, 9, dataAt, 0, 8)
	p.returns(unix.EINVAL, unix.SYS_RT_SIGPROCMASK, 0, dataAt, 0, 4)
	p.returns(0, unix.SYS_RT_SIGPROCMASK, 0, 0, dataAt+8, 8)
	p.check(func() {
		if p.word(dataAt+8) != ^uint64(0x40100) {
			t.Errorf("mask %#x", p.word(dataAt+8))
		}
	})
	p.run()
}

func TestKillFindsItsTarget(t *testing.T) {
	p := newProgram(t)
	const sig = uint64(unix.SIGUSR1)
	p.store(dataAt, ^uint64(0))
	p.returns(0, unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, dataAt, 0, 8)
	p.returns(0, unix.SYS_KILL, 1, 0)
	p.returns(0, unix.SYS_KILL, 0, sig)
	p.returns(unix.ESRCH, unix.SYS_KILL, ^uint64(0), sig)
	p.returns(unix.ESRCH, unix.SYS_KILL, 2, sig)
	p.returns(unix.EINVAL, unix.SYS_KILL, 1, 65)
	p.returns(unix.ESRCH, unix.SYS_TKILL, 9, sig)
	p.returns(unix.EINVAL, unix.SYS_TKILL, 0, sig)
	p.returns(0, unix.SYS_TKILL, 1, 40)
	p.returns(0, unix.SYS_TGKILL, 1, 1, 40)
	p.returns(unix.ESRCH, unix.SYS_TGKILL, 2, 1, sig)
	p.returns(unix.EINVAL, unix.SYS_TGKILL, 1, ^uint64(0), sig)
	p.store(dataAt+64, 0xdead<<32|40, uint64(uint32(0xffffffff)), 7|8<<32, 0x1234)
	p.returns(0, unix.SYS_RT_SIGQUEUEINFO, 1, 40, dataAt+64)
	p.returns(unix.EFAULT, unix.SYS_RT_SIGQUEUEINFO, 1, 40, bad)
	p.returns(unix.ESRCH, unix.SYS_RT_SIGQUEUEINFO, 3, 40, dataAt+64)
	p.returns(0, unix.SYS_RT_TGSIGQUEUEINFO, 1, 1, 41, dataAt+64)
	p.returns(0, unix.SYS_RT_SIGPENDING, dataAt+8, 8)
	p.check(func() {
		if got := task.Set(p.word(dataAt + 8)); got != task.SetOf(unix.SIGUSR1, 40, 41) {
			t.Errorf("pending %#x", got)
		}
		p.put(dataAt+16, uint64(task.SetOf(40)))
		p.put(dataAt+32, 0, 0)
	})
	for range 3 { // two of tkill, one of sigqueueinfo
		p.returns(40, unix.SYS_RT_SIGTIMEDWAIT, dataAt+16, dataAt+128, dataAt+32, 8)
	}
	p.check(func() {
		if p.word(dataAt+128) != 0xdead<<32|40 || uint32(p.word(dataAt+136)) != 0xffffffff || p.word(dataAt+144) != 7|8<<32 || p.word(dataAt+152) != 0x1234 {
			t.Errorf("siginfo %#x %#x %#x %#x", p.word(dataAt+128), p.word(dataAt+136), p.word(dataAt+144), p.word(dataAt+152))
		}
	})
	p.returns(unix.EAGAIN, unix.SYS_RT_SIGTIMEDWAIT, dataAt+16, dataAt+128, dataAt+32, 8)
	p.run()
}

func TestSigaltstackCall(t *testing.T) {
	p := newProgram(t)
	p.store(dataAt, dataAt+4096, 0, 8192)
	p.returns(0, unix.SYS_SIGALTSTACK, 0, dataAt+64)
	p.returns(0, unix.SYS_SIGALTSTACK, dataAt, dataAt+96)
	p.returns(0, unix.SYS_SIGALTSTACK, 0, dataAt+128)
	p.check(func() {
		if p.word(dataAt+72) != task.SsDisable || p.word(dataAt+104) != task.SsDisable {
			t.Error("the stack isn't disabled at first")
		}
		if p.word(dataAt+128) != dataAt+4096 || p.word(dataAt+136) != 0 || p.word(dataAt+144) != 8192 {
			t.Error("the stack is another than was set")
		}
		p.put(dataAt, dataAt, 0, 100)
	})
	p.returns(unix.ENOMEM, unix.SYS_SIGALTSTACK, dataAt, 0)
	p.returns(unix.EFAULT, unix.SYS_SIGALTSTACK, bad, 0)
	p.run()
}

func TestClocks(t *testing.T) {
	p := newProgram(t)
	now := time.Now()
	for _, c := range []struct {
		clock  int
		lo, hi uint64 // seconds
	}{
		{unix.CLOCK_REALTIME, uint64(now.Unix()), uint64(now.Unix()) + 60},
		{unix.CLOCK_REALTIME_COARSE, uint64(now.Unix()), uint64(now.Unix()) + 60},
		{unix.CLOCK_MONOTONIC, 0, 600}, {unix.CLOCK_MONOTONIC_RAW, 0, 600}, {unix.CLOCK_MONOTONIC_COARSE, 0, 600},
		{unix.CLOCK_BOOTTIME, 0, 600}, {unix.CLOCK_PROCESS_CPUTIME_ID, 0, 60}, {unix.CLOCK_THREAD_CPUTIME_ID, 0, 60},
		{^1<<3 | 2, 0, 60},     // of process 1
		{^1<<3 | 4 | 2, 0, 60}, // of thread 1
	} {
		p.returns(0, unix.SYS_CLOCK_GETTIME, uint64(c.clock), dataAt)
		p.check(func() {
			if s, ns := p.word(dataAt), p.word(dataAt+8); s < c.lo || s > c.hi || ns >= 1e9 {
				t.Errorf("clock %d: %d s %d ns", c.clock, s, ns)
			}
		})
		p.returns(0, unix.SYS_CLOCK_GETRES, uint64(c.clock), dataAt)
		p.returns(0, unix.SYS_CLOCK_GETRES, uint64(c.clock), 0)
	}
	p.returns(unix.EINVAL, unix.SYS_CLOCK_GETTIME, 99, dataAt)
	p.returns(unix.EINVAL, unix.SYS_CLOCK_GETTIME, uint64(0xffffffd0|6), dataAt) // thread 5
	p.returns(unix.EINVAL, unix.SYS_CLOCK_GETRES, 99, dataAt)
	p.returns(unix.EFAULT, unix.SYS_CLOCK_GETTIME, 0, bad)
	p.returns(0, unix.SYS_GETTIMEOFDAY, dataAt, dataAt+16)
	p.check(func() {
		if s := p.word(dataAt); s < uint64(now.Unix()) || s > uint64(now.Unix())+60 || p.word(dataAt+8) >= 1e6 {
			t.Errorf("gettimeofday %d", s)
		}
	})
	p.returns(0, unix.SYS_GETTIMEOFDAY, 0, 0)
	p.Call(unix.SYS_TIME, dataAt)
	p.Do(func(u *regs.User) {
		if u.AX != p.word(dataAt) || u.AX < uint64(now.Unix()) {
			t.Errorf("time %d, stored %d", u.AX, p.word(dataAt))
		}
	})
	p.Call(unix.SYS_TIMES, dataAt)
	p.run()
}

func TestSleeps(t *testing.T) {
	p := newProgram(t)
	p.store(dataAt, 0, 1000)
	p.store(dataAt+16, 0, 1e9)
	p.store(dataAt+32, ^uint64(0), 0)
	p.store(dataAt+48, 0, 0)
	p.returns(0, unix.SYS_NANOSLEEP, dataAt, 0)
	p.returns(unix.EINVAL, unix.SYS_NANOSLEEP, dataAt+16, 0)
	p.returns(unix.EINVAL, unix.SYS_NANOSLEEP, dataAt+32, 0)
	p.returns(unix.EFAULT, unix.SYS_NANOSLEEP, bad, 0)
	p.returns(0, unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_REALTIME, 0, dataAt, 0)
	p.returns(0, unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, timerAbstime, dataAt+48, 0)
	p.returns(0, unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_REALTIME, timerAbstime, dataAt+48, 0)
	p.returns(unix.EINVAL, unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_THREAD_CPUTIME_ID, 0, dataAt, 0)
	p.returns(unix.EOPNOTSUPP, unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_PROCESS_CPUTIME_ID, 0, dataAt, 0)
	p.returns(unix.EINVAL, unix.SYS_CLOCK_NANOSLEEP, 77, 0, dataAt, 0)
	p.returns(unix.ETIMEDOUT, unix.SYS_FUTEX, dataAt+256, futexWait, 0, dataAt)
	p.returns(unix.ETIMEDOUT, unix.SYS_FUTEX, dataAt+256, futexWaitBitset, 0, dataAt+48, 0, futexMatchAny)
	p.returns(unix.ETIMEDOUT, unix.SYS_FUTEX, dataAt+256, futexWaitBitset|futexClockRealtime, 0, dataAt+48, 0, futexMatchAny)
	p.returns(unix.EINVAL, unix.SYS_FUTEX, dataAt+256, futexWait, 0, dataAt+16)
	p.returns(unix.EINVAL, unix.SYS_FUTEX, dataAt+256, futexWaitBitset, 0, 0, 0, 0)
	p.returns(unix.ENOSYS, unix.SYS_FUTEX, dataAt+256, 6, 0, 0) // FUTEX_LOCK_PI
	p.returns(unix.ENOSYS, unix.SYS_FUTEX, dataAt+256, futexWake|futexClockRealtime, 1)
	p.run()
}

func TestDeadlinesInTheFarFutureStayThere(t *testing.T) {
	far, err := span(1<<62, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	p := newProgram(t)
	c := &Call{Process: p.proc, Thread: p.proc.Leader()}
	for name, at := range map[string]time.Time{"relative": c.after(far), "monotonic": c.Kernel.monotonicDeadline(far), "realtime": realtimeDeadline(far)} {
		if left := time.Until(at); left < 10*365*24*time.Hour {
			t.Errorf("%s: %v left", name, left)
		}
	}
	p.run()
}

func TestTimers(t *testing.T) {
	p := newProgram(t)
	p.returns(0, unix.SYS_ALARM, 100)
	p.returns(100, unix.SYS_ALARM, 0)
	p.returns(0, unix.SYS_ALARM, 0)
	p.store(dataAt, 5, 7, 3600, 0)
	p.returns(0, unix.SYS_SETITIMER, unix.ITIMER_REAL, dataAt, dataAt+64)
	p.returns(0, unix.SYS_GETITIMER, unix.ITIMER_REAL, dataAt+96)
	p.check(func() {
		if p.word(dataAt+64)|p.word(dataAt+72)|p.word(dataAt+80)|p.word(dataAt+88) != 0 {
			t.Error("an old timer")
		}
		if p.word(dataAt+96) != 5 || p.word(dataAt+104) != 7 || p.word(dataAt+112) != 3599 {
			t.Errorf("itimer %d %d %d", p.word(dataAt+96), p.word(dataAt+104), p.word(dataAt+112))
		}
	})
	p.returns(unix.EINVAL, unix.SYS_SETITIMER, 3, dataAt, 0)
	p.returns(0, unix.SYS_SETITIMER, unix.ITIMER_REAL, 0, 0)
	p.run()
}

func TestThreadCallsOfTheABI(t *testing.T) {
	p := newProgram(t)
	p.returns(unix.EINVAL, unix.SYS_SET_ROBUST_LIST, dataAt, 23)
	p.returns(0, unix.SYS_SET_ROBUST_LIST, dataAt, 24)
	p.returns(0, unix.SYS_GET_ROBUST_LIST, 0, dataAt+64, dataAt+72)
	p.returns(unix.ESRCH, unix.SYS_GET_ROBUST_LIST, 9, dataAt+64, dataAt+72)
	p.check(func() {
		if p.word(dataAt+64) != dataAt || p.word(dataAt+72) != 24 {
			t.Error("robust list")
		}
	})
	p.store(dataAt, dataAt) // an empty list
	p.returns(unix.ENOSYS, unix.SYS_CLONE, unix.CLONE_NEWNET|unix.CLONE_THREAD|unix.CLONE_SIGHAND|unix.CLONE_VM, 0)
	// A thread as musl makes it: it stores to memory and exits, its parent waits for the id to be cleared.
	const muslFlags = 0x7d0f00
	const childAt = textAt + 0x1000
	p.store(dataAt+128, 0)
	p.Call(unix.SYS_CLONE, muslFlags, stackAt-4096, dataAt+128, dataAt+128, dataAt+512)
	p.Do(func(u *regs.User) {
		switch {
		case u.AX == 0:
			u.IP = childAt
		case u.AX != 2:
			t.Errorf("clone: %d", int64(u.AX))
		}
	})
	p.cpu.Program(childAt).Do(func(u *regs.User) { p.put(dataAt+256, u.FSBase, u.SP) }).Call(unix.SYS_EXIT, 0)
	again := p.Here()
	p.Call(unix.SYS_FUTEX, dataAt+128, futexWait, 2)
	p.Do(func(u *regs.User) {
		if v, err := p.proc.Space.LoadUint32(dataAt + 128); v != 0 || err != nil {
			u.IP = again
		}
	})
	p.check(func() {
		if p.word(dataAt+256) != dataAt+512 || p.word(dataAt+264) != stackAt-4096 {
			t.Errorf("the thread's FS base %#x, SP %#x", p.word(dataAt+256), p.word(dataAt+264))
		}
	})
	p.run()
}
