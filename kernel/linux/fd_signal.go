package linux

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/kernel/mm"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// signalfd is signalfd4(2): fd, mask, sizemask, flags.
//
// DEVIATION: poll and epoll see the signals of the process that has made the file, and of its first thread. On Linux they see
// those of the thread that waits; of the others, a read still gets them.
func (c *Call) signalfd(flags uint32) (uint64, error) {
	if c.Args[2] != sigsetSize || flags&^(unix.SFD_CLOEXEC|unix.SFD_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	mask, err := c.Space.Uint64(c.Args[1])
	if err != nil {
		return 0, err
	}
	mask &^= uint64(task.SetOf(unix.SIGKILL, unix.SIGSTOP))
	if fd := int32(c.Args[0]); fd != -1 {
		o, err := c.file(c.Args[0])
		if err != nil {
			return 0, err
		}
		defer o.Release()
		s, ok := o.File().(*vfs.SignalFD)
		if !ok {
			return 0, unix.EINVAL
		}
		s.SetMask(mask)
		return uint64(fd), nil
	}
	s := vfs.NewSignalFD(mask, &c.signals, func() uint64 { return uint64(c.Process.PendingForAll()) })
	fd, err := c.FDs.Open(s, unix.O_RDWR|flags&(unix.O_CLOEXEC|unix.O_NONBLOCK))
	return uint64(fd), err
}

// signalled tells those who wait for signals on a signalfd.
func (p *Process) signalled() { p.signals.Notify(waiter.ReadableEvents) }

// readSignals reads as many signals as there are and as fit, at least one.
func (c *Call) readSignals(o *vfs.OpenFile, s *vfs.SignalFD, b *mm.Buffer) (uint64, error) {
	if b.Len() < signalfdInfoSize {
		return 0, unix.EINVAL
	}
	total := uint64(0)
	take := func() error {
		for b.Len() >= signalfdInfoSize {
			info, ok := c.Thread.TakeSignal(task.Set(s.Mask()))
			if !ok {
				break
			}
			image := signalfdInfo(&info)
			n, err := b.Write(image[:])
			if err != nil && total == 0 {
				return err
			}
			total += uint64(n)
			if err != nil {
				return nil
			}
		}
		if total == 0 {
			return unix.EAGAIN
		}
		return nil
	}
	err := take()
	if err == unix.EAGAIN && !o.Nonblock() {
		// The signals are the caller's, whoever has made the file.
		own := vfs.NewSignalFD(s.Mask(), &c.signals, func() uint64 { return 0 })
		err = vfs.Wait(c.Thread, own, waiter.ReadableEvents, c.until(0), take)
	}
	return total, err
}

// signalfdInfoSize is the size of struct signalfd_siginfo in bytes.
const signalfdInfoSize = 128

// signalfdInfo makes a struct signalfd_siginfo [linux/signalfd.h]:
//
//	+0  signo   +4  errno    +8  code    +12 pid     +16 uid     +20 fd   +24 tid   +28 band
//	+32 overrun +36 trapno   +40 status  +44 int     +48 ptr     +56 utime          +64 stime
//	+72 addr    +80 addr_lsb (16 bits), zeros up to 128
func signalfdInfo(info *task.Info) (b [signalfdInfoSize]byte) {
	le.PutUint32(b[0:], uint32(info.Signo))
	le.PutUint32(b[4:], uint32(info.Errno))
	le.PutUint32(b[8:], uint32(info.Code))
	first, second := info.Data[0], info.Data[1]
	switch {
	case info.Code == task.SiTimer:
		le.PutUint32(b[24:], uint32(first))
		le.PutUint32(b[32:], uint32(first>>32))
		le.PutUint32(b[44:], uint32(second))
		le.PutUint64(b[48:], second)
	case info.Code <= 0: // kill, tgkill, sigqueue
		le.PutUint32(b[12:], uint32(first))
		le.PutUint32(b[16:], uint32(first>>32))
		if info.Code != task.SiUser && info.Code != task.SiTkill {
			le.PutUint32(b[44:], uint32(second))
			le.PutUint64(b[48:], second)
		}
	case info.Signo == int32(unix.SIGCHLD) && info.Code != task.SiKernel:
		le.PutUint32(b[12:], uint32(first))
		le.PutUint32(b[16:], uint32(first>>32))
		le.PutUint32(b[40:], uint32(second))
		le.PutUint64(b[56:], info.Data[2])
		le.PutUint64(b[64:], info.Data[3])
	case info.Code != task.SiKernel: // an exception
		le.PutUint64(b[72:], first)
	}
	return b
}
