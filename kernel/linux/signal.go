package linux

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
)

// Sizes of structures, in bytes.
const (
	sigsetSize    = 8
	sigactionSize = 32
)

// knownSaFlags are the flags of sigaction(2) that Linux has; it clears the others, so that a program can ask
// whether one is known.
const knownSaFlags = 0x1 | 0x2 | task.SaSiginfo | 0x800 | task.SaRestorer | task.SaOnstack | task.SaRestart |
	task.SaNodefer | task.SaResethand // 1: SA_NOCLDSTOP, 2: SA_NOCLDWAIT, 0x800: SA_EXPOSE_TAGBITS

// signalArg checks a signal number; 0 is permitted if zero is.
func signalArg(arg uint64, zero bool) (unix.Signal, error) {
	n := int32(arg)
	if n < 0 || n > task.NumSignals || n == 0 && !zero {
		return 0, unix.EINVAL
	}
	return unix.Signal(n), nil
}

func (c *Call) rtSigaction() (uint64, error) {
	sig, err := signalArg(c.Args[0], false)
	if err != nil || c.Args[3] != sigsetSize {
		return 0, unix.EINVAL
	}
	old := c.Action(sig)
	var b [sigactionSize]byte
	if c.Args[1] != 0 {
		if err := c.Space.CopyIn(b[:], c.Args[1]); err != nil {
			return 0, err
		}
		err := c.SetAction(sig, task.Action{
			Handler: le.Uint64(b[0:]), Flags: le.Uint64(b[8:]) & knownSaFlags,
			Restorer: le.Uint64(b[16:]), Mask: task.Set(le.Uint64(b[24:])),
		})
		if err != nil {
			return 0, err
		}
	}
	if c.Args[2] == 0 {
		return 0, nil
	}
	le.PutUint64(b[0:], old.Handler)
	le.PutUint64(b[8:], old.Flags)
	le.PutUint64(b[16:], old.Restorer)
	le.PutUint64(b[24:], uint64(old.Mask))
	return 0, c.Space.CopyOut(c.Args[2], b[:])
}

func (c *Call) rtSigprocmask() (uint64, error) {
	if c.Args[3] != sigsetSize {
		return 0, unix.EINVAL
	}
	old := c.Thread.Mask()
	if c.Args[1] != 0 {
		v, err := c.Space.Uint64(c.Args[1])
		if err != nil {
			return 0, err
		}
		set := task.Set(v)
		switch int32(c.Args[0]) {
		case unix.SIG_BLOCK:
			c.Thread.SetMask(old | set)
		case unix.SIG_UNBLOCK:
			c.Thread.SetMask(old &^ set)
		case unix.SIG_SETMASK:
			c.Thread.SetMask(set)
		default:
			return 0, unix.EINVAL
		}
	}
	if c.Args[2] == 0 {
		return 0, nil
	}
	return 0, c.Space.PutUint64(c.Args[2], uint64(old))
}

// SignalFromHost passes on a signal that the host has sent to the machine. Those of the terminal are for its foreground process
// group, if it is known and has not ended, the others for p, the first process.
func (p *Process) SignalFromHost(sig unix.Signal) {
	switch sig {
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH, unix.SIGHUP:
		if group := p.Paths.FS().Foreground(); group != 0 && p.Family().SignalGroup(group, sig) {
			return
		}
	}
	_ = p.Signal(sig) // a number that doesn't exist, or a program that has ended
}

func (c *Call) rtSigreturn() (uint64, error) {
	c.Thread.SignalReturn()
	return c.Thread.Regs.AX, nil
}

func (c *Call) rtSigpending() (uint64, error) {
	if c.Args[1] > sigsetSize {
		return 0, unix.EINVAL
	}
	var b [sigsetSize]byte
	le.PutUint64(b[:], uint64(c.Thread.Pending()))
	return 0, c.Space.CopyOut(c.Args[0], b[:c.Args[1]])
}

func (c *Call) rtSigtimedwait() (uint64, error) {
	if c.Args[3] != sigsetSize {
		return 0, unix.EINVAL
	}
	set, err := c.Space.Uint64(c.Args[0])
	if err != nil {
		return 0, err
	}
	var deadline time.Time
	if c.Args[2] != 0 {
		d, err := c.timespec(c.Args[2])
		if err != nil {
			return 0, err
		}
		deadline = c.after(d)
	}
	info, err := c.Thread.WaitSignal(task.Set(set), deadline)
	if err != nil {
		return 0, err
	}
	if c.Args[1] != 0 {
		var b [task.InfoSize]byte
		info.Encode(b[:])
		if err := c.Space.CopyOut(c.Args[1], b[:]); err != nil {
			return 0, err
		}
	}
	return uint64(info.Signo), nil
}

func (c *Call) rtSigsuspend() (uint64, error) {
	if c.Args[1] != sigsetSize {
		return 0, unix.EINVAL
	}
	mask, err := c.Space.Uint64(c.Args[0])
	if err != nil {
		return 0, err
	}
	return 0, c.Thread.Suspend(task.Set(mask))
}

func (c *Call) pause() (uint64, error) {
	return 0, c.Thread.Pause(time.Time{})
}

// queueInfo reads the siginfo_t that a program sends along with a signal.
func (c *Call) queueInfo(sig unix.Signal, addr uint64) (task.Info, error) {
	var b [task.InfoSize]byte
	if err := c.Space.CopyIn(b[:], addr); err != nil {
		return task.Info{}, err
	}
	info := task.DecodeInfo(b[:])
	info.Signo = int32(sig)
	return info, nil
}

func (c *Call) rtSigqueueinfo() (uint64, error) {
	sig, err := signalArg(c.Args[1], true)
	if err != nil {
		return 0, err
	}
	info, err := c.queueInfo(sig, c.Args[2])
	if err != nil {
		return 0, err
	}
	pid := int32(c.Args[0])
	if pid <= 0 {
		return 0, unix.ESRCH
	}
	if pid != int32(c.PID) && (info.Code >= 0 || info.Code == task.SiTkill) {
		return 0, unix.EPERM // what only the kernel may say
	}
	return 0, c.Thread.Kill(int(pid), info, c.maySignal)
}

func (c *Call) rtTgsigqueueinfo() (uint64, error) {
	sig, err := signalArg(c.Args[2], true)
	if err != nil {
		return 0, err
	}
	info, err := c.queueInfo(sig, c.Args[3])
	if err != nil {
		return 0, err
	}
	pid := int32(c.Args[0])
	switch {
	case pid <= 0:
		return 0, unix.EINVAL
	case pid != int32(c.PID) && (info.Code >= 0 || info.Code == task.SiTkill):
		return 0, unix.EPERM
	}
	return c.sendThread(pid, int32(c.Args[1]), info)
}

func (c *Call) sigaltstack() (uint64, error) {
	old := c.Thread.AltStack()
	var b [task.StackSize]byte
	if c.Args[0] != 0 {
		if err := c.Space.CopyIn(b[:], c.Args[0]); err != nil {
			return 0, err
		}
		if err := c.Thread.SetAltStack(task.DecodeStack(b[:])); err != nil {
			return 0, err
		}
	}
	if c.Args[1] == 0 {
		return 0, nil
	}
	old.Encode(b[:])
	return 0, c.Space.CopyOut(c.Args[1], b[:])
}

func (c *Call) kill() (uint64, error) {
	sig, err := signalArg(c.Args[1], true)
	if err != nil {
		return 0, err
	}
	pid := int32(c.Args[0])
	if pid == math.MinInt32 {
		return 0, unix.ESRCH
	}
	return 0, c.Thread.Kill(int(pid), task.UserInfo(sig, task.SiUser, c.PID, c.who().UID), c.maySignal)
}

func (c *Call) tkill() (uint64, error) {
	sig, err := signalArg(c.Args[1], true)
	if err != nil {
		return 0, err
	}
	return c.sendThread(-1, int32(c.Args[0]), task.UserInfo(sig, task.SiTkill, c.PID, c.who().UID))
}

func (c *Call) tgkill() (uint64, error) {
	sig, err := signalArg(c.Args[2], true)
	if err != nil {
		return 0, err
	}
	pid := int32(c.Args[0])
	if pid <= 0 {
		return 0, unix.EINVAL
	}
	return c.sendThread(pid, int32(c.Args[1]), task.UserInfo(sig, task.SiTkill, c.PID, c.who().UID))
}

// sendThread sends a signal to a thread of a process, or of any (-1); number 0 only asks whether it is there.
func (c *Call) sendThread(pid, tid int32, info task.Info) (uint64, error) {
	if tid <= 0 {
		return 0, unix.EINVAL
	}
	t := c.Family().Thread(int(tid))
	switch {
	case t == nil, pid != -1 && pid != int32(t.Process.PID), t.Left():
		return 0, unix.ESRCH
	}
	err := c.maySignal(t.Process, info.Signal())
	switch {
	case err != nil:
		return 0, err
	case info.Signo == 0:
		return 0, nil
	case t.Process == c.Process.Process:
		return 0, c.Thread.SendThread(t, info)
	}
	return 0, t.SendInfo(info)
}
