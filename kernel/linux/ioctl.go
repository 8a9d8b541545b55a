package linux

import (
	"io"
	"math"

	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// Requests that all descriptors know [asm-generic/ioctls.h].
const (
	fioclex  = 0x5451
	fionclex = 0x5450
	fionbio  = 0x5421
	fioasync = 0x5452
)

// ioctl is ioctl(2): fd, request, arg.
func (c *Call) ioctl() (uint64, error) {
	fd, cmd, arg := int(int32(c.Args[0])), uint64(uint32(c.Args[1])), c.Args[2]
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	switch cmd {
	case fioclex:
		return 0, c.FDs.SetCloseOnExec(fd, true)
	case fionclex:
		return 0, c.FDs.SetCloseOnExec(fd, false)
	case fionbio:
		on, err := c.Space.Uint32(arg)
		if err != nil {
			return 0, err
		}
		o.SetNonblock(on != 0)
		return 0, nil
	case fioasync:
		_, err := c.Space.Uint32(arg)
		return 0, err // DEVIATION: no SIGIO is ever sent
	}
	if f, ok := o.File().(vfs.Ioctler); ok {
		if cmd == unix.TIOCSPGRP && vfs.IsTerminal(o.File()) {
			if err := c.checkForeground(arg); err != nil {
				return 0, err
			}
		}
		return f.Ioctl(c.Space, cmd, arg)
	}
	if _, regular := o.File().(*vfs.RegularFile); regular && cmd == unix.TIOCINQ {
		return 0, c.unread(o, arg)
	}
	return 0, unix.ENOTTY
}

// checkForeground checks the process group at arg that a terminal shall belong to: unix.EINVAL, unix.EPERM if the session has
// none with this id.
func (c *Call) checkForeground(arg uint64) error {
	group, err := c.Space.Uint32(arg)
	switch {
	case err != nil:
		return err
	case int32(group) < 0:
		return unix.EINVAL
	case !c.HasGroup(int(group)):
		return unix.EPERM
	}
	return nil
}

// unread answers FIONREAD of a regular file: the bytes from the position to the end.
func (c *Call) unread(o *vfs.OpenFile, arg uint64) error {
	pos, err := o.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	st, err := o.File().Stat()
	if err != nil {
		return err
	}
	return c.Space.PutUint32(arg, uint32(min(max(st.Size-pos, 0), math.MaxInt32)))
}
