package task

import (
	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
)

// Flags that a new thread must share with its process, and those that it may have besides, clone(2).
//
// DEVIATION: threads that share less, and processes that share more than their memory, are unix.ENOSYS.
const (
	cloneThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD
	cloneMay    = unix.CLONE_SYSVSEM | unix.CLONE_SETTLS | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID |
		unix.CLONE_CHILD_SETTID | unix.CLONE_DETACHED | unix.CLONE_UNTRACED | unix.CLONE_IO | unix.CLONE_PTRACE |
		cloneSignal
	cloneSignal = 0xff // CSIGNAL: the exit signal, which threads don't have
)

// CloneArgs are the arguments of clone(2).
type CloneArgs struct {
	Flags     uint64
	Stack     uint64 // 0: that of the caller
	ParentTID uint64 // address, for CLONE_PARENT_SETTID
	ChildTID  uint64 // address, for CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID
	TLS       uint64 // FS base, for CLONE_SETTLS
}

// Clone makes a thread that goes on where the caller is, with 0 for the result, and returns its id. Errors:
// unix.ENOSYS for what is not a thread, unix.EINVAL, unix.EPERM for a TLS address that can't be one, unix.EFAULT,
// unix.EAGAIN at the thread limit.
func (t *Thread) Clone(a CloneArgs) (int, error) {
	p := t.Process
	if err := a.check(); err != nil {
		return 0, err
	}
	switch {
	case a.Flags&cloneThread != cloneThread || a.Flags&^(cloneThread|cloneMay) != 0:
		return 0, unix.ENOSYS
	case a.Flags&unix.CLONE_SETTLS != 0 && a.TLS >= lowerHalf:
		return 0, unix.EPERM
	}
	child, err := p.addThread(t.childRegs(&a))
	if err != nil {
		return 0, err
	}
	child.SetMask(t.mask)
	child.name.Store(t.name.Load())
	if err := child.storeTIDs(&a); err != nil {
		p.removeThread(child)
		return 0, err
	}
	go child.run()
	return child.TID, nil
}

// check does the checks of flags that exclude each other.
func (a *CloneArgs) check() error {
	if a.Flags&unix.CLONE_THREAD != 0 && a.Flags&unix.CLONE_SIGHAND == 0 ||
		a.Flags&unix.CLONE_SIGHAND != 0 && a.Flags&unix.CLONE_VM == 0 ||
		a.Flags&(unix.CLONE_SIGHAND|unix.CLONE_CLEAR_SIGHAND) == unix.CLONE_SIGHAND|unix.CLONE_CLEAR_SIGHAND {
		return unix.EINVAL
	}
	return nil
}

// childRegs makes the registers that a new thread begins with.
func (t *Thread) childRegs(a *CloneArgs) *regs.User {
	u := inherit(t.Regs)
	u.AX = 0
	if a.Stack != 0 {
		u.SP = a.Stack
	}
	if a.Flags&unix.CLONE_SETTLS != 0 {
		u.FSBase = a.TLS
	}
	return u
}

// addThread makes a thread that doesn't run yet.
func (p *Process) addThread(u *regs.User) (*Thread, error) {
	f := p.family
	f.mu.Lock()
	defer f.mu.Unlock()
	tid, err := f.newIDLocked()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exiting || p.only != nil {
		f.tasks--
		delete(f.threads, tid)
		return nil, unix.EAGAIN
	}
	t := newThread(p, tid, u)
	if p.stop.stopped {
		t.attention.Or(attStop)
	}
	p.threads[tid], f.threads[tid] = t, t
	return t, nil
}

// storeTIDs stores the thread's id where the flags of clone want it.
func (t *Thread) storeTIDs(a *CloneArgs) error {
	if a.Flags&unix.CLONE_PARENT_SETTID != 0 {
		if err := t.Process.storeTID(a.ParentTID, t.TID); err != nil {
			return err
		}
	}
	if a.Flags&unix.CLONE_CHILD_SETTID != 0 {
		// Linux stores it when the child first runs, where an error has nowhere to go.
		t.Process.storeTID(a.ChildTID, t.TID)
	}
	if a.Flags&unix.CLONE_CHILD_CLEARTID != 0 {
		t.clearTID = a.ChildTID
	}
	return nil
}

// storeTID stores a thread id in user memory, in one piece if addr is aligned: other threads look at it.
func (p *Process) storeTID(addr uint64, tid int) error {
	if addr&3 != 0 {
		return p.Space.PutUint32(addr, uint32(tid))
	}
	return p.Space.StoreUint32(addr, uint32(tid))
}

// inherit copies what a new thread has of its creator's registers.
func inherit(parent *regs.User) *regs.User {
	u := regs.New()
	u.AX, u.BX, u.CX, u.DX = parent.AX, parent.BX, parent.CX, parent.DX
	u.SI, u.DI, u.BP, u.SP = parent.SI, parent.DI, parent.BP, parent.SP
	u.R8, u.R9, u.R10, u.R11 = parent.R8, parent.R9, parent.R10, parent.R11
	u.R12, u.R13, u.R14, u.R15 = parent.R12, parent.R13, parent.R14, parent.R15
	u.IP, u.Flags = parent.IP, parent.Flags
	u.FSBase, u.GSBase, u.Root = parent.FSBase, parent.GSBase, parent.Root
	u.Vec = parent.Vec
	u.CopyState(parent)
	return u
}
