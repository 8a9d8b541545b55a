package linux

import (
	"golang.org/x/sys/unix"
	"wick/kernel/mm"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// clone makes threads and processes; the argument order is that of x86-64, clone(2).
func (c *Call) clone() (uint64, error) {
	a := task.CloneArgs{Flags: uint64(uint32(c.Args[0])), Stack: c.Args[1], ParentTID: c.Args[2], ChildTID: c.Args[3], TLS: c.Args[4]}
	if a.Flags&(unix.CLONE_PIDFD|unix.CLONE_PARENT_SETTID) == unix.CLONE_PIDFD|unix.CLONE_PARENT_SETTID {
		return 0, unix.EINVAL // both would be stored at the same address
	}
	return c.makeTask(&a, a.ParentTID)
}

// makeTask makes a thread or a process; the address is for its pidfd.
func (c *Call) makeTask(a *task.CloneArgs, pidfd uint64) (uint64, error) {
	if a.Flags&unix.CLONE_THREAD == 0 {
		return c.newProcess(a, pidfd)
	}
	tid, err := c.Thread.Clone(*a)
	return uint64(tid), err
}

// Sizes of struct clone_args in bytes: the first version's, and that of the version here.
const (
	cloneArgsSize0 = 64
	cloneArgsSize  = 88
)

// clone3 is clone3(2): cl_args, size. Its structure, of 64-bit words:
//
//	+0  flags        +8  pidfd       +16 child_tid  +24 parent_tid  +32 exit_signal  +40 stack
//	+48 stack_size   +56 tls         +64 set_tid    +72 set_tid_size                 +80 cgroup
//
// DEVIATION: ids can't be chosen (set_tid): EPERM. There are no cgroups to put a process into: ENOSYS.
func (c *Call) clone3() (uint64, error) {
	var b [cloneArgsSize]byte
	switch size := c.Args[1]; {
	case size < cloneArgsSize0:
		return 0, unix.EINVAL
	case size > mm.PageSize:
		return 0, unix.E2BIG
	default:
		if err := c.copyInExtended(b[:], c.Args[0], size); err != nil {
			return 0, err
		}
	}
	word := func(at int) uint64 { return le.Uint64(b[at:]) }
	a := task.CloneArgs{Flags: word(0), ChildTID: word(16), ParentTID: word(24), TLS: word(56)}
	signal, stack, size := word(32), word(40), word(48)
	const wholeProcess = unix.CLONE_THREAD | unix.CLONE_PARENT
	switch {
	case a.Flags&(0xff|unix.CLONE_DETACHED) != 0, signal > task.NumSignals, a.Flags&wholeProcess != 0 && signal != 0,
		(stack == 0) != (size == 0), word(64) == 0 != (word(72) == 0):
		return 0, unix.EINVAL
	case word(72) != 0:
		return 0, unix.EPERM
	case a.Flags>>33&1 != 0: // CLONE_INTO_CGROUP
		return 0, unix.ENOSYS
	}
	a.Flags |= signal
	if stack != 0 {
		a.Stack = stack + size
	}
	return c.makeTask(&a, word(8))
}

// copyInExtended reads a structure that later versions may have made longer: what is not known here must be 0, else it is
// unix.E2BIG.
func (c *Call) copyInExtended(known []byte, addr, size uint64) error {
	b := make([]byte, size)
	if err := c.Space.CopyIn(b, addr); err != nil {
		return err
	}
	n := copy(known, b)
	for _, more := range b[n:] {
		if more != 0 {
			return unix.E2BIG
		}
	}
	return nil
}

// newProcess makes a process, and with CLONE_PIDFD a descriptor for it, whose number is stored at an address.
func (c *Call) newProcess(a *task.CloneArgs, pidfdAt uint64) (uint64, error) {
	child := c.forked()
	t, err := c.Thread.Fork(a, child.options())
	if err != nil {
		child.ended()
		return 0, err
	}
	child.Process, t.Local = t, child
	child.setProgram(c.running.Load().of(child))
	pidfd := -1
	if a.Flags&unix.CLONE_PIDFD != 0 {
		if pidfd, err = c.FDs.Open(child.pidfd(), unix.O_RDWR|unix.O_CLOEXEC); err == nil {
			if err = c.Space.PutUint32(pidfdAt, uint32(pidfd)); err != nil {
				c.FDs.Close(pidfd)
			}
		}
		if err != nil {
			t.Abandon()
			return 0, err
		}
	}
	if err := c.Thread.StartChild(t, a); err != nil {
		if pidfd >= 0 {
			c.FDs.Close(pidfd)
		}
		return 0, err
	}
	return uint64(t.PID), nil
}

// forked returns the ABI's part of a child. It has all but what its task.Process is for.
func (p *Process) forked() *Process {
	child := &Process{Kernel: p.Kernel, FDs: p.FDs.Fork(), Paths: p.Paths.Fork()}
	child.umask.Store(p.umask.Load())
	child.keepCaps.Store(p.keepCaps.Load())
	child.undumpable.Store(p.undumpable.Load())
	child.noNewPrivs.Store(p.noNewPrivs.Load())
	child.nice.Store(p.nice.Load())
	child.barriers.Store(p.barriers.Load())
	child.execute(p.executed)
	p.mu.Lock()
	defer p.mu.Unlock()
	child.limits = p.limits
	return child
}

// options are the functions of a process for its task.Process.
func (p *Process) options() task.Options {
	return task.Options{
		Syscall: p.Kernel.syscall, Signalled: p.signalled, Ended: p.ended, Over: p.over,
		Log: p.Kernel.logReport, Trace: appendRecent, User: func() uint32 { return p.who().UID }, Gate: p.Kernel.Gate,
	}
}

// pidfd makes a file that stands for the process.
func (p *Process) pidfd() *vfs.PidFD {
	return vfs.NewPidFD(p.Process, p.PID, &p.ends, func() bool {
		select {
		case <-p.Done():
			return true
		default:
			return false
		}
	})
}
