package task

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
	"wick/kernel/mm"
)

// Calls of the programs that fork. The address space at dataAt tells the tests what has happened.
const (
	callFork = 600
	callWait = 601
)

// forks gives the world's programs fork and wait4. What it returns waits until what is called at the end of each child has been.
func (w *world) forks() *sync.WaitGroup {
	over := new(sync.WaitGroup)
	w.calls[callFork] = func(t *Thread) (uint64, error) {
		u := t.Regs
		a := CloneArgs{Flags: u.DI, Stack: u.SI, ParentTID: u.DX, ChildTID: u.R10, TLS: u.R8}
		child, err := t.Fork(&a, Options{Syscall: w.syscall, Over: over.Done})
		if err != nil {
			return 0, err
		}
		over.Add(1)
		return uint64(child.PID), t.StartChild(child, &a)
	}
	w.calls[callWait] = func(t *Thread) (uint64, error) { // pid, poll; the status goes to dataAt+8
		got, err := t.WaitChild(Which{PID: int(t.Regs.DI), All: true}, t.Regs.SI != 0, false)
		if err == nil && got.PID != 0 {
			t.Process.Space.PutUint64(dataAt+8, uint64(got.Status.Code)|uint64(got.Status.Signal)<<32)
		}
		return uint64(got.PID), err
	}
	return over
}

const sigchld = uint64(unix.SIGCHLD)

func TestForkAndWait(t *testing.T) {
	w := newWorld(t)
	over := w.forks()
	w.put(dataAt, 1)
	w.cpu.Program(textAt).
		Call(callWait, 0).
		Do(func(u *regs.User) {
			if u.AX != errnoValue(unix.ECHILD) {
				t.Errorf("wait without a child: %d", int64(u.AX))
			}
		}).
		Call(callFork, sigchld).Do(child(textAt+0x100)).
		Do(func(u *regs.User) {
			if u.AX != 2 {
				t.Errorf("fork returned %d", u.AX)
			}
		}).
		Call(callWait, 0).
		Do(func(u *regs.User) {
			if status := w.word(dataAt + 8); u.AX != 2 || status != 7 || w.word(dataAt) != 1 {
				t.Errorf("wait: %d, status %#x, memory %d", u.AX, status, w.word(dataAt))
			}
		}).
		Call(callWait, 2).
		Do(func(u *regs.User) {
			if u.AX != errnoValue(unix.ECHILD) {
				t.Errorf("wait for a child that was waited for: %d", int64(u.AX))
			}
		}).
		Call(callExitGroup, 3)
	w.calls[500] = func(th *Thread) (uint64, error) {
		if th.Process.PID != 2 || th.TID != 2 || th.Process.ParentID() != 1 {
			t.Errorf("the child is %d, thread %d, its parent %d", th.Process.PID, th.TID, th.Process.ParentID())
		}
		return 0, th.Process.Space.PutUint64(dataAt, 99) // the child's alone
	}
	w.cpu.Program(textAt+0x100).Call(500).Call(callExitGroup, 7)
	w.expect(w.run(), Status{Code: 3})
	over.Wait()
}

// TestEndOfTheFirstProcessEndsTheOthers: asleep, in ring 3, and zombies.
func TestEndOfTheFirstProcessEndsTheOthers(t *testing.T) {
	w := newWorld(t)
	over := w.forks()
	there := make(chan struct{}, 3)
	w.calls[500] = func(th *Thread) (uint64, error) {
		there <- struct{}{}
		return 0, th.Pause(time.Time{})
	}
	w.calls[501] = func(th *Thread) (uint64, error) {
		for range 3 {
			<-there
		}
		return 0, nil
	}
	w.cpu.Program(textAt).
		Call(callFork, sigchld).Do(child(textAt+0x100)).
		Call(callFork, sigchld).Do(child(textAt+0x200)).
		Call(callFork, sigchld).Do(child(textAt+0x300)).
		Call(501).Call(callExitGroup, 3)
	w.cpu.Program(textAt + 0x100).Call(500).Call(500)
	w.cpu.Program(textAt + 0x200).Do(func(*regs.User) { there <- struct{}{} }).Spin(nil)
	w.cpu.Program(textAt+0x300).Do(func(*regs.User) { there <- struct{}{} }).Call(callExitGroup, 1)
	w.expect(w.run(), Status{Code: 3})
	over.Wait()
}

// TestOrphansBelongToTheFirstProcess, which can wait for them, whether they end before or after their parent.
func TestOrphansBelongToTheFirstProcess(t *testing.T) {
	w := newWorld(t)
	w.forks()
	hold := make(chan struct{})
	w.calls[500] = func(th *Thread) (uint64, error) { <-hold; return 0, nil }
	w.calls[501] = func(th *Thread) (uint64, error) {
		if ppid := th.Process.ParentID(); ppid != 1 {
			t.Errorf("the orphan's parent is %d", ppid)
		}
		return 0, nil
	}
	w.cpu.Program(textAt).
		Call(callFork, sigchld).Do(child(textAt+0x100)).
		Call(callWait, 2).Do(func(*regs.User) { close(hold) }).
		Call(callWait, 3).
		Do(func(u *regs.User) {
			if u.AX != 3 || w.word(dataAt+8) != 9 {
				t.Errorf("wait for the grandchild: %d, status %d", int64(u.AX), w.word(dataAt+8))
			}
		}).
		Call(callExitGroup, 0)
	w.cpu.Program(textAt+0x100).Call(callFork, sigchld).Do(child(textAt+0x200)).Call(callExitGroup, 1)
	w.cpu.Program(textAt+0x200).Call(500).Call(501).Call(callExitGroup, 9)
	w.expect(w.run(), Status{})
}

// TestVforkWaitsAndSharesMemory: the parent goes on when the child has ended, and sees what it has written.
func TestVforkWaitsAndSharesMemory(t *testing.T) {
	w := newWorld(t)
	w.forks()
	w.calls[500] = func(th *Thread) (uint64, error) {
		time.Sleep(5 * time.Millisecond) // the parent would be quicker if it didn't wait
		return 0, th.Process.Space.PutUint64(dataAt, 99)
	}
	w.cpu.Program(textAt).
		Call(callFork, unix.CLONE_VM|unix.CLONE_VFORK|sigchld, stackAt-0x2000).Do(child(textAt+0x100)).
		Do(func(u *regs.User) {
			if u.AX != 2 || w.word(dataAt) != 99 {
				t.Errorf("vfork returned %d, memory %d", u.AX, w.word(dataAt))
			}
		}).
		Call(callWait, 0).Call(callExitGroup, 0)
	w.cpu.Program(textAt+0x100).Call(500).Call(callExitGroup, 1)
	w.expect(w.run(), Status{})
}

// TestExecKeepsTheProcessAndItsID: the thread that calls it becomes the first, others end, handlers are forgotten.
func TestExecKeepsTheProcessAndItsID(t *testing.T) {
	w := newWorld(t)
	there := make(chan struct{}, 2)
	w.calls[500] = func(th *Thread) (uint64, error) {
		there <- struct{}{}
		return 0, th.Pause(time.Time{})
	}
	w.calls[501] = func(th *Thread) (uint64, error) {
		<-there
		<-there
		p := th.Process
		p.SetAction(unix.SIGUSR1, Action{Handler: handlerAt})
		p.SetAction(unix.SIGUSR2, Action{Handler: SigIgn, Flags: SaRestart})
		space, err := p.Space.Sibling(mm.Limits{})
		if err != nil {
			return 0, err
		}
		if err := th.BecomeOnly(); err != nil {
			t.Error(err)
			return 0, err
		}
		u := regs.New()
		u.IP, u.SP, u.Flags, u.Root = textAt+0x500, stackAt, flagIF|flag1, uint64(space.Root())
		th.Exec(Options{Space: space, Regs: u, Name: "other"})
		return 0, nil
	}
	w.calls[502] = func(th *Thread) (uint64, error) {
		p := th.Process
		if th.TID != 1 || p.Threads() != 1 || p.Leader() != th || th.Name() != "other" || th.Regs.R12 != 0 {
			t.Errorf("thread %d of %d, name %q, R12 %#x", th.TID, p.Threads(), th.Name(), th.Regs.R12)
		}
		if p.Action(unix.SIGUSR1) != (Action{}) || p.Action(unix.SIGUSR2) != (Action{Handler: SigIgn}) {
			t.Errorf("actions %+v, %+v", p.Action(unix.SIGUSR1), p.Action(unix.SIGUSR2))
		}
		if n := p.Space.Stats().Areas; n != 0 {
			t.Errorf("%d areas of the old program", n)
		}
		if tasks, _ := p.Family().Counts(); tasks != 1 {
			t.Errorf("%d tasks are counted", tasks)
		}
		return 0, nil
	}
	w.cpu.Program(textAt).
		Call(callClone, cloneThread, stackAt-4096).Do(child(textAt+0x100)).
		Call(callClone, cloneThread, stackAt-8192).Do(child(textAt + 0x200)).
		Call(500)
	w.cpu.Program(textAt + 0x100).Call(500)
	w.cpu.Program(textAt + 0x200).Do(func(u *regs.User) { u.R12 = 5 }).Call(501)
	w.cpu.Program(textAt+0x500).Call(502).Call(callExitGroup, 4)
	w.expect(w.run(), Status{Code: 4})
}

// TestChildrenOfAProcessThatIgnoresThem leave nothing to wait for; wait then waits for all of them.
func TestChildrenOfAProcessThatIgnoresThem(t *testing.T) {
	for _, a := range []Action{{Handler: SigIgn}, {Flags: SaNocldwait}} {
		w := newWorld(t)
		w.forks()
		w.calls[500] = func(th *Thread) (uint64, error) { return 0, th.Process.SetAction(unix.SIGCHLD, a) }
		w.cpu.Program(textAt).Call(500).
			Call(callFork, sigchld).Do(child(textAt+0x100)).
			Call(callFork, sigchld).Do(child(textAt+0x100)).
			Call(callWait, 0).
			Do(func(u *regs.User) {
				if u.AX != errnoValue(unix.ECHILD) {
					t.Errorf("wait: %d", int64(u.AX))
				}
			}).
			Call(callExitGroup, 0)
		w.cpu.Program(textAt+0x100).Call(callExitGroup, 7)
		w.expect(w.run(), Status{})
	}
}

// TestForkStorm: at the limit fork is EAGAIN, and after all have been waited for, everything is as before.
func TestForkStorm(t *testing.T) {
	w := newWorld(t)
	w.opts.MaxThreads = 10
	w.forks()
	made := 0
	loop := textAt + uint64(0x10)
	w.cpu.Program(textAt).Do(func(u *regs.User) { u.IP = loop })
	w.cpu.Program(loop).
		Call(callFork, sigchld).Do(child(textAt + 0x100)).
		Do(func(u *regs.User) {
			if u.AX == errnoValue(unix.EAGAIN) {
				u.IP = textAt + 0x200
				return
			}
			made++
			u.IP = loop
		})
	w.cpu.Program(textAt+0x100).Call(callExitGroup, 7)
	w.cpu.Program(textAt+0x200).Call(callWait, 0).
		Do(func(u *regs.User) {
			if int64(u.AX) > 0 {
				u.IP = textAt + 0x200
			}
		}).
		Call(500).Call(callExitGroup, 0)
	w.calls[500] = func(th *Thread) (uint64, error) {
		if tasks, forks := th.Process.Family().Counts(); tasks != 1 || forks != 10 {
			t.Errorf("%d tasks, %d forks", tasks, forks)
		}
		return 0, nil
	}
	w.expect(w.run(), Status{})
	if made != 9 {
		t.Errorf("%d children", made)
	}
}

// TestProcessGroupsAndSessions: setpgid(2), setsid(2) and kill(2) of groups.
func TestProcessGroupsAndSessions(t *testing.T) {
	w := newWorld(t)
	w.forks()
	w.calls[500] = func(th *Thread) (uint64, error) { return 0, th.Pause(time.Time{}) }
	w.calls[501] = func(th *Thread) (uint64, error) {
		p := th.Process
		for _, c := range []struct {
			pid, group int
			want       error
		}{
			{0, 0, unix.EPERM}, // the leader of a session
			{99, 0, unix.ESRCH}, {2, -1, unix.EINVAL}, {2, 77, unix.EPERM},
			{2, 2, nil}, {3, 2, nil}, {3, 1, nil}, {3, 2, nil},
		} {
			if err := p.SetGroup(c.pid, c.group); err != c.want {
				t.Errorf("setpgid(%d, %d): %v, want %v", c.pid, c.group, err, c.want)
			}
		}
		if _, err := p.NewSession(); err != unix.EPERM {
			t.Errorf("setsid of a leader: %v", err)
		}
		if err := th.Kill(-2, UserInfo(unix.SIGTERM, SiUser, 1, 0), anyone); err != nil {
			t.Error(err)
		}
		if err := th.Kill(-77, UserInfo(unix.SIGTERM, SiUser, 1, 0), anyone); err != unix.ESRCH {
			t.Errorf("kill of no group: %v", err)
		}
		return 0, nil
	}
	term := uint64(unix.SIGTERM) << 32
	expectTerm := func(u *regs.User) {
		if w.word(dataAt+8) != term {
			t.Errorf("status %#x", w.word(dataAt+8))
		}
	}
	w.cpu.Program(textAt).
		Call(callFork, sigchld).Do(child(textAt+0x100)).
		Call(callFork, sigchld).Do(child(textAt+0x100)).
		Call(501).
		Call(callWait, 2).Do(expectTerm).Call(callWait, 3).Do(expectTerm).Call(callExitGroup, 0)
	w.cpu.Program(textAt + 0x100).Call(500)
	w.expect(w.run(), Status{})
}

// anyone may be sent any signal.
func anyone(*Process, unix.Signal) error { return nil }
