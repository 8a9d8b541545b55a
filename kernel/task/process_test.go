package task

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

// pthread are the flags that glibc and musl pass for a thread.
const pthread = cloneThread | unix.CLONE_SYSVSEM | unix.CLONE_SETTLS | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID

// child makes the instruction that sends a new thread to at.
func child(at uint64) func(u *regs.User) {
	return func(u *regs.User) {
		if u.AX == 0 {
			u.IP = at
		}
	}
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		name   string
		number int
		code   uint64
		want   int
	}{
		{"exit of the only thread", callExit, 7, 7},
		{"exit_group", callExitGroup, 8, 8},
		{"only the low byte counts", callExitGroup, 0x1ff, 0xff},
		{"-1", callExit, ^uint64(0), 0xff},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.cpu.Program(textAt).Call(c.number, c.code)
			w.expect(w.run(), Status{Code: c.want})
			if w.proc.Threads() != 0 {
				t.Error("threads are left")
			}
		})
	}
}

func TestProcessEndsWithItsLastThreadAndTheStatusOfItsFirst(t *testing.T) {
	w := newWorld(t)
	var leaderGone atomic.Bool
	w.calls[500] = func(th *Thread) (uint64, error) {
		for th.Process.Thread(1) != nil {
			th.Pause(time.Now().Add(time.Millisecond))
		}
		leaderGone.Store(true)
		return 0, nil
	}
	w.cpu.Program(textAt).Call(callClone, cloneThread, stackAt-4096).Do(child(textAt+0x100)).Call(callExit, 5)
	w.cpu.Program(textAt+0x100).Call(500).Call(callExit, 6)
	w.expect(w.run(), Status{Code: 5})
	if !leaderGone.Load() {
		t.Error("the process ended before its last thread")
	}
}

func TestEndReachesThreadsInRing3AndAsleep(t *testing.T) {
	for _, end := range []string{"exit_group", "fatal signal", "SIGKILL", "fatal fault"} {
		t.Run(end, func(t *testing.T) {
			w := newWorld(t)
			const each = 10
			there := make(chan struct{}, 3*each)
			w.calls[500] = func(th *Thread) (uint64, error) {
				there <- struct{}{}
				return 0, th.Pause(time.Time{})
			}
			w.calls[501] = func(th *Thread) (uint64, error) {
				there <- struct{}{}
				return 0, th.FutexWait(dataAt, 0, 1, time.Time{})
			}
			w.calls[502] = func(th *Thread) (uint64, error) {
				for range 3 * each {
					<-there
				}
				switch end {
				case "exit_group":
					th.Process.ExitGroup(3)
				case "fatal signal":
					th.Process.SendInfo(UserInfo(unix.SIGTERM, SiUser, 1, 0))
				case "SIGKILL":
					th.Process.Signal(unix.SIGKILL)
				}
				return 0, nil
			}
			p := w.cpu.Program(textAt)
			for range each {
				for n := range uint64(3) {
					p.Call(callClone, cloneThread, stackAt-4096).Do(child(textAt + 0x1000*(n+1)))
				}
			}
			p.Call(502).Leave(regs.InvalidOpcode, 0, 0)
			w.cpu.Program(textAt + 0x1000).Call(500).Call(500)
			w.cpu.Program(textAt + 0x2000).Call(501).Call(501)
			spinning := w.cpu.Program(textAt + 0x3000)
			spinning.Do(func(*regs.User) { there <- struct{}{} }).Spin(nil)
			want := map[string]Status{"exit_group": {Code: 3}, "fatal signal": {Signal: unix.SIGTERM},
				"SIGKILL": {Signal: unix.SIGKILL}, "fatal fault": {Signal: unix.SIGILL}}[end]
			w.expect(w.run(), want)
			if n := len(w.reports); n != map[bool]int{true: 1}[end == "fatal fault"] {
				t.Errorf("%d reports", n)
			}
		})
	}
}

// TestThreadThatHasLeftIsNotCounted: who sees that a process has lost a thread, as execve does, can count on its place.
func TestThreadThatHasLeftIsNotCounted(t *testing.T) {
	w := newWorld(t)
	p := w.bareThread().Process
	for range 1000 {
		second := w.bareThread()
		go p.removeThread(second)
		for p.Threads() > 1 {
			runtime.Gosched()
		}
		if tasks, _ := p.family.Counts(); tasks != 1 || p.family.Thread(second.TID) != nil {
			t.Fatalf("%d tasks are counted, and the thread is still known: %v", tasks, p.family.Thread(second.TID) != nil)
		}
	}
}

func TestCloneSetsUpTheThreadAsAsked(t *testing.T) {
	w := newWorld(t)
	const parentTID, childTID, tls, stack = dataAt, dataAt + 8, dataAt + 0x100, stackAt - 0x2000
	w.put(childTID, 0xffffffffffffffff)
	var parent snapshot
	w.cpu.Program(textAt).
		Do(func(u *regs.User) { registers(u, avx, 0x42); u.SP = stackAt; u.IP = textAt + 1; parent = snap(u, avx) }).
		Call(callClone, pthread|unix.CLONE_CHILD_SETTID, stack, parentTID, childTID, tls).Do(child(textAt+0x100)).
		Do(func(u *regs.User) {
			if u.AX != 2 || w.word(parentTID) != 2 {
				t.Errorf("parent: result %d, tid stored %d", u.AX, w.word(parentTID))
			}
		}).
		Call(501).Call(callExitGroup, 0)
	w.calls[501] = func(th *Thread) (uint64, error) { // pthread_join
		for {
			v, err := th.Process.Space.LoadUint32(childTID)
			if v == 0 || err != nil {
				return 0, err
			}
			if err := th.FutexWait(childTID, v, futexAnyBits, time.Time{}); err != nil && err != unix.EAGAIN {
				return 0, err
			}
		}
	}
	w.calls[502] = func(th *Thread) (uint64, error) {
		if th.TID != 2 || th.Mask() != SetOf(unix.SIGHUP) || th.AltStack().Flags != SsDisable || th.Name() != "test" {
			t.Errorf("child: %d %x %+v %q", th.TID, th.Mask(), th.AltStack(), th.Name())
		}
		return 0, nil
	}
	do := w.calls[callClone]
	w.calls[callClone] = func(th *Thread) (uint64, error) {
		th.SetMask(SetOf(unix.SIGHUP))
		th.SetAltStack(Stack{Base: altAt, Size: altLen})
		return do(th)
	}
	w.cpu.Program(textAt+0x100).Do(func(u *regs.User) {
		got := snap(u, avx)
		if u.FSBase != tls || u.SP != stack || u.AX != 0 || got.state != parent.state || u.BX != parent.regs[11] || u.R15 != parent.regs[7] {
			t.Errorf("child's registers: %+v", u)
		}
		if w.word(childTID) != 0xffffffff00000002 {
			t.Errorf("CHILD_SETTID: %#x", w.word(childTID))
		}
	}).Call(502).Call(callExit, 0)
	w.expect(w.run(), Status{})
}

func TestCloneRefusesWhatIsNotAThread(t *testing.T) {
	w := newWorld(t)
	w.opts.MaxThreads = 1
	type try struct {
		flags, tls uint64
		want       unix.Errno
	}
	tries := []try{
		{uint64(unix.SIGCHLD), 0, unix.ENOSYS}, // fork
		{unix.CLONE_VM | unix.CLONE_VFORK | uint64(unix.SIGCHLD), 0, unix.ENOSYS},
		{cloneThread | unix.CLONE_NEWNET, 0, unix.ENOSYS},
		{cloneThread &^ unix.CLONE_FILES, 0, unix.ENOSYS},
		{unix.CLONE_THREAD, 0, unix.EINVAL},
		{unix.CLONE_SIGHAND, 0, unix.EINVAL},
		{pthread, 1 << 47, unix.EPERM},
		{pthread, 0, unix.EAGAIN}, // the limit
	}
	w.calls[500] = func(th *Thread) (uint64, error) {
		for _, c := range tries {
			if _, err := th.Clone(CloneArgs{Flags: c.flags, TLS: c.tls, ParentTID: dataAt}); err != c.want {
				t.Errorf("flags %#x: %v, want %v", c.flags, err, c.want)
			}
		}
		th.Process.family.maxThreads = 2
		if _, err := th.Clone(CloneArgs{Flags: pthread, ParentTID: 0x1000}); err != unix.EFAULT {
			t.Errorf("bad parent_tid: %v", err)
		}
		if n := th.Process.Threads(); n != 1 {
			t.Errorf("%d threads", n)
		}
		return 0, nil
	}
	w.cpu.Program(textAt).Call(500).Call(callExitGroup, 0)
	w.expect(w.run(), Status{})
}

// TestRobustListIsWalkedAtExit builds a list of two locks, one of them not the thread's, and one being taken.
func TestRobustListIsWalkedAtExit(t *testing.T) {
	w := newWorld(t)
	const head, one, other, busy, offset = dataAt, dataAt + 0x100, dataAt + 0x200, dataAt + 0x300, 0x20
	w.put(head, one)
	w.put(head+8, offset)
	w.put(head+16, busy)
	w.put(one, other|robustPIMutex)
	w.put(other, head)
	w.put(one+offset, 2|futexWaiters)
	w.put(other+offset, 77)
	w.put(busy+offset, 2)
	woken := make(chan error, 1)
	w.calls[500] = func(th *Thread) (uint64, error) {
		th.SetRobustList(head)
		return 0, nil
	}
	w.calls[501] = func(th *Thread) (uint64, error) {
		v, err := th.Process.Space.LoadUint32(one + offset)
		if err == nil && v == 2|futexWaiters {
			err = th.FutexWait(one+offset, v, futexAnyBits, time.Time{})
		}
		woken <- err
		for th.Process.Thread(2) != nil {
			th.Pause(time.Now().Add(time.Millisecond))
		}
		if a, b, c := uint32(w.word(one+offset)), uint32(w.word(other+offset)), uint32(w.word(busy+offset)); a != futexWaiters|futexOwnerDied || b != 77 || c != futexOwnerDied {
			t.Errorf("locks %#x %#x %#x", a, b, c)
		}
		return 0, nil
	}
	w.cpu.Program(textAt).Call(callClone, cloneThread, stackAt-4096).Do(child(textAt+0x100)).Call(501).Call(callExitGroup, 0)
	w.cpu.Program(textAt+0x100).Call(500).Call(callExit, 0)
	w.expect(w.run(), Status{})
	if err := <-woken; err != nil && err != unix.EAGAIN {
		t.Errorf("the waiter: %v", err)
	}
}

func TestBrokenRobustListsEnd(t *testing.T) {
	for name, build := range map[string]func(w *world) uint64{
		"no head": func(*world) uint64 { return 0x1000 },
		"loop": func(w *world) uint64 {
			w.put(dataAt, dataAt+64)
			w.put(dataAt+64, dataAt+64)
			return dataAt
		},
		"entry without memory": func(w *world) uint64 { w.put(dataAt, 0x2000); return dataAt },
		"lock not aligned": func(w *world) uint64 {
			w.put(dataAt, dataAt+64)
			w.put(dataAt+8, 3)
			return dataAt
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.calls[500] = func(th *Thread) (uint64, error) { th.SetRobustList(build(w)); return 0, nil }
			w.cpu.Program(textAt).Call(500).Call(callExit, 0)
			w.expect(w.run(), Status{})
		})
	}
}

func TestRealTimerSendsSIGALRM(t *testing.T) {
	w := newWorld(t)
	count := 0
	action := w.handler(handlerAt, 0, 0, func(*regs.User) { count++ })
	w.calls[500] = func(th *Thread) (uint64, error) {
		p := th.Process
		p.SetAction(unix.SIGALRM, action)
		if left, _ := p.SetITimer(ITimerReal, time.Hour, time.Minute); left != 0 {
			t.Errorf("left %v of no timer", left)
		}
		left, interval := p.SetITimer(ITimerReal, time.Millisecond, time.Millisecond)
		if left <= 59*time.Minute || left > time.Hour || interval != time.Minute {
			t.Errorf("left %v, interval %v", left, interval)
		}
		return 0, nil
	}
	w.calls[501] = func(th *Thread) (uint64, error) {
		if count >= 3 {
			th.Process.SetITimer(ITimerReal, 0, 0)
			if left, interval := th.Process.ITimer(ITimerReal); left != 0 || interval != 0 {
				t.Errorf("disarmed: %v, %v", left, interval)
			}
			th.Process.ExitGroup(0)
		}
		return 0, th.Pause(time.Time{})
	}
	again := w.cpu.Program(textAt).Call(500).Here()
	w.cpu.Program(again).Call(501).Do(func(u *regs.User) { u.IP = again })
	w.expect(w.run(), Status{})
}

func TestOutOfMemoryKillsTheProcess(t *testing.T) {
	w := newWorld(t)
	w.cpu.Program(textAt).Call(500).Do(func(u *regs.User) {}).Leave(regs.PageFault, regs.FaultUser|regs.FaultWrite, dataAt)
	w.calls[500] = func(*Thread) (uint64, error) { w.machine.FailAfter(0); return 0, nil }
	w.expect(w.run(), Status{Signal: unix.SIGKILL})
	if len(w.reports) != 1 {
		t.Errorf("reports: %q", w.reports)
	}
}

// TestOldTokenEndsNoWait: what woke the thread for an earlier wait, too late, is not taken for what it waits for now.
func TestOldTokenEndsNoWait(t *testing.T) {
	w := newWorld(t)
	th := w.bareThread()
	soon := func() time.Time { return time.Now().Add(time.Millisecond) }
	for name, wait := range map[string]func() error{
		"pause":  func() error { return th.Pause(soon()) },
		"futex":  func() error { return th.FutexWait(dataAt, 0, futexAnyBits, soon()) },
		"signal": func() error { _, err := th.WaitSignal(SetOf(unix.SIGUSR1), soon()); return err },
	} {
		th.nudge()
		want := unix.ETIMEDOUT
		if name == "signal" {
			want = unix.EAGAIN
		}
		if err := wait(); err != want {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

func TestSleepPrefersSignals(t *testing.T) {
	w := newWorld(t)
	th := w.bareThread()
	th.Process.SetAction(unix.SIGUSR1, Action{Handler: 4096})
	th.SendInfo(UserInfo(unix.SIGUSR1, SiTkill, 1, 0))
	if err := th.Pause(time.Now().Add(-time.Hour)); err != unix.EINTR {
		t.Errorf("signal: %v", err)
	}
	th.pending.flush(^Set(0))
	th.SetMask(0)
	for range 3 { // the timer is used again
		if err := th.Pause(time.Now().Add(time.Microsecond)); err != unix.ETIMEDOUT {
			t.Errorf("deadline: %v", err)
		}
	}
	if used := th.CPUTime(); used <= 0 || th.Process.CPUTime() < used {
		t.Errorf("CPU time %v, of the process %v", used, th.Process.CPUTime())
	}
}

func TestNamesAreCut(t *testing.T) {
	th := &Thread{}
	for in, want := range map[string]string{"": "", "short": "short", "exactly15bytes.": "exactly15bytes.", "longer than 15 bytes": "longer than 15 "} {
		if th.SetName(in); th.Name() != want {
			t.Errorf("%q became %q", in, th.Name())
		}
	}
}
