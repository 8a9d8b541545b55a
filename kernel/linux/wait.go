package linux

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// Options of wait4(2) and waitid(2) [linux/wait.h].
const (
	waitNohang   = 1
	waitStopped  = 2 // WUNTRACED
	waitExited   = 4
	waitContinue = 8
	waitNowait   = 1 << 24
	waitNothread = 1 << 29
	waitAll      = 1 << 30
	waitClone    = 1 << 31
)

// wait4 is wait4(2): pid, wstatus, options, rusage.
//
// DEVIATION: __WNOTHREAD waits for the children of all threads.
func (c *Call) wait4() (uint64, error) {
	const known = waitNohang | waitStopped | waitContinue | waitNothread | waitAll | waitClone
	pid, options := int32(c.Args[0]), uint32(c.Args[2])
	if options&^known != 0 {
		return 0, unix.EINVAL
	}
	which := whichChildren(options)
	switch {
	case pid == math.MinInt32:
		return 0, unix.ESRCH
	case pid < -1:
		which.Group = int(-pid)
	case pid == 0:
		which.Group, _ = c.Process.Process.Group()
	case pid > 0:
		which.PID = int(pid)
	}
	w, err := c.Thread.WaitChild(which, options&waitNohang != 0, false)
	if err != nil || w.PID == 0 {
		return 0, err
	}
	if c.Args[1] != 0 {
		if err := c.Space.PutUint32(c.Args[1], waitStatus(&w)); err != nil {
			return 0, err
		}
	}
	if c.Args[3] != 0 {
		if err := c.putRusage(c.Args[3], w.CPU, w.PeakResident); err != nil {
			return 0, err
		}
	}
	return uint64(w.PID), nil
}

// whichChildren reads what the options of both calls say.
func whichChildren(options uint32) task.Which {
	return task.Which{
		Clones: options&waitClone != 0, All: options&waitAll != 0,
		Stopped: options&waitStopped != 0, Continued: options&waitContinue != 0,
	}
}

// waitStatus is the form that what is learnt of a child has for wait4(2).
func waitStatus(w *task.Waited) uint32 {
	switch {
	case w.Stopped() != 0:
		return uint32(w.Stopped())<<8 | 0x7f
	case w.Continued():
		return 0xffff
	case w.Status.Signal != 0:
		return uint32(w.Status.Signal)
	}
	return uint32(w.Status.Code) << 8
}

// Types of ids of waitid(2).
const (
	idAll = iota
	idPID
	idGroup
	idPidFD
)

// waitid is waitid(2): idtype, id, infop, options, rusage.
func (c *Call) waitid() (uint64, error) {
	const (
		states = waitExited | waitStopped | waitContinue
		known  = waitNohang | waitNowait | states | waitNothread | waitAll | waitClone
	)
	options := uint32(c.Args[3])
	if options&^known != 0 || options&states == 0 {
		return 0, unix.EINVAL
	}
	which := whichChildren(options)
	which.Living = options&waitExited == 0
	poll := options&waitNohang != 0
	done, err := c.waitWhom(&which, &poll)
	if err != nil {
		return 0, err
	}
	defer done()
	w, err := c.Thread.WaitChild(which, poll, options&waitNowait != 0)
	switch {
	case err != nil:
		return 0, err
	case w.PID == 0 && options&waitNohang == 0:
		return 0, unix.EAGAIN // a pidfd with O_NONBLOCK
	case w.PID != 0 && c.Args[4] != 0:
		if err := c.putRusage(c.Args[4], w.CPU, w.PeakResident); err != nil {
			return 0, err
		}
	}
	if c.Args[2] == 0 {
		return 0, nil
	}
	var b [task.InfoSize]byte
	if w.PID != 0 {
		info := w.Info(unix.SIGCHLD)
		info.Data[2] = 0 // waitid tells no times
		info.Encode(b[:])
	}
	return 0, c.Space.CopyOut(c.Args[2], b[:48])
}

// waitWhom reads for whom waitid shall wait; done must be called afterwards. A pidfd can say not to wait at all.
func (c *Call) waitWhom(which *task.Which, poll *bool) (done func(), err error) {
	id := int32(c.Args[1])
	done = func() {}
	switch uint32(c.Args[0]) {
	case idAll:
	case idPID:
		if id <= 0 {
			return nil, unix.EINVAL
		}
		which.PID = int(id)
	case idGroup:
		if id < 0 {
			return nil, unix.EINVAL
		}
		if which.Group = int(id); id == 0 {
			which.Group, _ = c.Process.Process.Group()
		}
	case idPidFD:
		if id < 0 {
			return nil, unix.EINVAL
		}
		o, p, err := c.pidfdFile(c.Args[1])
		if err != nil {
			return nil, err
		}
		which.Process, done = p, o.Release
		*poll = *poll || o.Nonblock()
	default:
		return nil, unix.EINVAL
	}
	return done, nil
}

// pidfdFile returns the process that a pidfd stands for, with the file, to be released: unix.EBADF.
func (c *Call) pidfdFile(fd uint64) (*vfs.OpenFile, *task.Process, error) {
	o, err := c.file(fd)
	if err != nil {
		return nil, nil, err
	}
	f, ok := o.File().(*vfs.PidFD)
	if !ok {
		o.Release()
		return nil, nil, unix.EBADF
	}
	return o, f.Process.(*task.Process), nil
}

// pidfdOpen is pidfd_open(2): pid, flags.
func (c *Call) pidfdOpen() (uint64, error) {
	pid, flags := int32(c.Args[0]), uint32(c.Args[1])
	if flags&^unix.O_NONBLOCK != 0 || pid <= 0 {
		return 0, unix.EINVAL
	}
	p := c.peer(int(pid))
	if p == nil {
		if c.Family().Thread(int(pid)) != nil {
			return 0, unix.EINVAL // not the first of its process
		}
		return 0, unix.ESRCH
	}
	fd, err := c.FDs.Open(p.pidfd(), unix.O_RDWR|unix.O_CLOEXEC|flags)
	return uint64(fd), err
}

// pidfdSendSignal is pidfd_send_signal(2): pidfd, sig, info, flags.
func (c *Call) pidfdSendSignal() (uint64, error) {
	if uint32(c.Args[3]) != 0 {
		return 0, unix.EINVAL
	}
	o, p, err := c.pidfdFile(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	sig, err := signalArg(c.Args[1], true)
	if err != nil {
		return 0, err
	}
	info := task.UserInfo(sig, task.SiUser, c.PID, c.who().UID)
	if c.Args[2] != 0 {
		if info, err = c.queueInfo(0, c.Args[2]); err != nil {
			return 0, err
		}
		if info.Signo = int32(sig); p != c.Process.Process && (info.Code >= 0 || info.Code == task.SiTkill) {
			return 0, unix.EPERM
		}
	}
	if p.Gone() {
		return 0, unix.ESRCH
	}
	err = c.maySignal(p, sig)
	switch {
	case err != nil:
		return 0, err
	case sig == 0:
		return 0, nil
	case p == c.Process.Process:
		return 0, c.Thread.SendProcess(info)
	}
	return 0, p.SendInfo(info)
}

// putRusage stores a struct rusage: ru_utime, ru_stime, 14 longs. All CPU time counts as the program's own.
func (c *Call) putRusage(addr uint64, cpu time.Duration, peakPages uint64) error {
	var b [144]byte
	encodeTimeval(b[0:], cpu)
	le.PutUint64(b[32:], peakPages*4) // ru_maxrss, KiB
	return c.Space.CopyOut(addr, b[:])
}
