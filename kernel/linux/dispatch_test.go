package linux

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/record"
	"wick/kernel/ground/regs"
	"wick/kernel/task"
)

func TestUnimplementedCallIsENOSYSAndLoggedOnce(t *testing.T) {
	p := newProgram(t)
	for range 3 {
		p.returns(unix.ENOSYS, unix.SYS_MOUNT)
		p.returns(unix.ENOSYS, 5000)
		p.returns(unix.ENOSYS, 6000)
		p.returns(unix.ENOSYS, unix.SYS_KEYCTL)
		p.returns(unix.ENOSYS, unix.SYS_RSEQ)
		p.returns(unix.ENOSYS, unix.SYS_PTRACE)
	}
	p.returns(unix.ENOSYS, -1)
	p.run()
	var got []string
	for _, line := range p.log {
		got = append(got, strings.TrimSuffix(strings.TrimPrefix(line, "system call "), " is not implemented"))
	}
	if want := "mount number 5000 keyctl rseq ptrace"; strings.Join(got, " ") != want {
		t.Errorf("logged %q, want %q", strings.Join(got, " "), want)
	}
}

func TestOnlyTheLow32BitsOfTheNumberCount(t *testing.T) {
	p := newProgram(t)
	p.Do(func(u *regs.User) { u.AX = 0xdeadbeef<<32 | unix.SYS_GETPID })
	p.SYSCALL()
	p.Do(func(u *regs.User) {
		if u.AX != 1 {
			t.Errorf("getpid with high bits set: %d", u.AX)
		}
	})
	p.run()
}

func TestErrorsThatAreNoNumbersBecomeEIO(t *testing.T) {
	p := newProgram(t)
	c := &Call{Process: p.proc, Thread: p.proc.Leader(), Number: unix.SYS_READ}
	if got := c.fail(errors.New("bad luck")); got != errnoResult(unix.EIO) {
		t.Errorf("result %#x", got)
	}
	if got := c.fail(&task.LoadError{Errno: unix.ENOEXEC}); got != errnoResult(unix.ENOEXEC) {
		t.Errorf("wrapped: %#x", got)
	}
	if len(p.log) != 1 || p.log[0] != "system call read: bad luck" {
		t.Errorf("log %q", p.log)
	}
	p.run()
}

func TestSystemCallsDoNotAllocate(t *testing.T) {
	p := newProgram(t)
	const rounds = 2000
	var before, after runtime.MemStats
	n := 0
	body := []func(){
		func() { p.Call(unix.SYS_GETPID) },
		func() { p.Call(unix.SYS_GETTID) },
		func() { p.Call(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, dataAt) },
		func() { p.Call(unix.SYS_CLOCK_GETTIME, unix.CLOCK_REALTIME, dataAt) },
		func() { p.Call(unix.SYS_FUTEX, dataAt+64, futexWake|futexPrivate, 1) },
		func() { p.Call(unix.SYS_FUTEX, dataAt+64, futexWait|futexPrivate, 1) }, // EAGAIN
		func() { p.Call(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, dataAt+72, dataAt+80, sigsetSize) },
		func() { p.Call(unix.SYS_SCHED_YIELD) },
		func() { p.Call(unix.SYS_MOUNT) }, // ENOSYS
	}
	for _, f := range body { // everything is there once
		f()
	}
	p.Do(func(*regs.User) { runtime.ReadMemStats(&before) })
	again := p.Here()
	for _, f := range body {
		f()
	}
	p.Do(func(u *regs.User) {
		if n++; n < rounds {
			u.IP = again
		}
	})
	p.Do(func(*regs.User) { runtime.ReadMemStats(&after) })
	p.run()
	if got := after.Mallocs - before.Mallocs; got > rounds/10 {
		t.Errorf("%d allocations in %d rounds of %d system calls", got, rounds, len(body))
	}
}

func TestFatalFaultReportNamesTheLastCalls(t *testing.T) {
	p := newProgram(t)
	for range 20 {
		p.Call(unix.SYS_GETPID)
	}
	p.Call(unix.SYS_FUTEX, 0x1000, futexWait, 0)
	p.Call(unix.SYS_MMAP)
	p.Leave(regs.PageFault, regs.FaultUser, 0x30)
	p.proc.Run()
	p.wait(task.Status{Signal: unix.SIGSEGV})
	report := p.log[len(p.log)-1]
	for _, part := range []string{"SIGSEGV: read at 0x30: address not mapped",
		"newest first: mmap=EBADF futex=EFAULT getpid=0x1 "} {
		if !strings.Contains(report, part) {
			t.Errorf("the report lacks %q:\n%s", part, report)
		}
	}
	if n := strings.Count(report, "getpid"); n != record.KeptCalls-2 {
		t.Errorf("%d getpids, want %d", n, record.KeptCalls-2)
	}
}

// TestInterruptedCallsGoOnAsSignal7Says runs real blocking calls into a signal.
func TestInterruptedCallsGoOnAsSignal7Says(t *testing.T) {
	for _, c := range []struct {
		name     string
		number   int
		args     []uint64
		restarts bool // after a handler with SA_RESTART
	}{
		{"pause", unix.SYS_PAUSE, nil, false},
		{"nanosleep", unix.SYS_NANOSLEEP, []uint64{dataAt, dataAt + 32}, false},
		{"clock_nanosleep", unix.SYS_CLOCK_NANOSLEEP, []uint64{unix.CLOCK_MONOTONIC, 0, dataAt, 0}, false},
		{"rt_sigsuspend", unix.SYS_RT_SIGSUSPEND, []uint64{dataAt + 64, 8}, false},
		{"rt_sigtimedwait", unix.SYS_RT_SIGTIMEDWAIT, []uint64{dataAt + 64, 0, 0, 8}, false},
		{"futex with a timeout", unix.SYS_FUTEX, []uint64{dataAt + 128, futexWait, 0, dataAt}, false},
		{"futex", unix.SYS_FUTEX, []uint64{dataAt + 128, futexWait, 0, 0}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProgram(t)
			p.put(dataAt, 3600, 0) // a timespec
			const handler, restorer = textAt + 0x10000, textAt + 0x10100
			handled := make(chan struct{}, 10)
			p.cpu.Program(handler).Do(func(u *regs.User) {
				p.put(dataAt+128, 1) // so that a futex that starts again ends
				handled <- struct{}{}
				u.SP += 8
				u.IP = restorer
			})
			p.cpu.Program(restorer).Call(unix.SYS_RT_SIGRETURN)
			p.put(dataAt+256, handler, task.SaRestart|task.SaRestorer, restorer, 0)
			p.returns(0, unix.SYS_RT_SIGACTION, uint64(unix.SIGUSR1), dataAt+256, 0, 8)
			want := unix.EINTR
			if c.restarts {
				want = unix.EAGAIN
			}
			// The signal is sent from inside the call, so that it can't come before or after it.
			do := table[c.number]
			sent := false
			table[c.number] = func(call *Call) (uint64, error) {
				if !sent {
					sent = true
					call.Thread.SendInfo(task.UserInfo(unix.SIGUSR1, task.SiTkill, 1, 0))
				}
				return do(call)
			}
			defer func() { table[c.number] = do }()
			p.returns(want, c.number, c.args...)
			p.run()
			if len(handled) != 1 {
				t.Errorf("the handler ran %d times", len(handled))
			}
		})
	}
}
