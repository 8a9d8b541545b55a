package linux

import (
	"math"

	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

func (c *Call) close() (uint64, error) { return 0, c.FDs.Close(int(int32(c.Args[0]))) }

// closeRange is close_range(2): first, last, flags. Threads always share their descriptors here, and
// processes never do: CLOSE_RANGE_UNSHARE has nobody to unshare them from.
func (c *Call) closeRange() (uint64, error) {
	first, last, flags := uint32(c.Args[0]), uint32(c.Args[1]), uint32(c.Args[2])
	if flags&^(unix.CLOSE_RANGE_CLOEXEC|unix.CLOSE_RANGE_UNSHARE) != 0 || first > last {
		return 0, unix.EINVAL
	}
	c.FDs.CloseRange(uint(first), uint(last), flags&unix.CLOSE_RANGE_CLOEXEC != 0)
	return 0, nil
}

func (c *Call) dup() (uint64, error) { return c.dupFrom(c.Args[0], 0, false) }

// dupFrom duplicates a descriptor to the lowest free number from first on.
func (c *Call) dupFrom(fd uint64, first int, cloexec bool) (uint64, error) {
	o, err := c.FDs.Get(int(int32(fd)))
	if err != nil {
		return 0, err
	}
	n, err := c.FDs.Install(o, first, cloexec)
	return uint64(n), err
}

func (c *Call) dup2() (uint64, error) {
	if int32(c.Args[0]) == int32(c.Args[1]) {
		o, err := c.FDs.Get(int(int32(c.Args[0])))
		if err != nil {
			return 0, err
		}
		o.Release()
		return uint64(uint32(c.Args[1])), nil
	}
	return c.dupTo(false)
}

func (c *Call) dup3() (uint64, error) {
	flags := uint32(c.Args[2])
	if flags&^unix.O_CLOEXEC != 0 || int32(c.Args[0]) == int32(c.Args[1]) {
		return 0, unix.EINVAL
	}
	return c.dupTo(flags&unix.O_CLOEXEC != 0)
}

func (c *Call) dupTo(cloexec bool) (uint64, error) {
	o, err := c.FDs.Get(int(int32(c.Args[0])))
	if err != nil {
		return 0, err
	}
	if err := c.FDs.Dup(o, int(int32(c.Args[1])), cloexec); err != nil {
		return 0, err
	}
	return uint64(uint32(c.Args[1])), nil
}

// fcntl is fcntl(2): fd, cmd, arg.
func (c *Call) fcntl() (uint64, error) {
	fd, arg := int(int32(c.Args[0])), c.Args[2]
	cmd := int32(c.Args[1])
	o, err := c.FDs.Get(fd)
	if err != nil {
		return 0, err
	}
	defer o.Release()
	if o.Flags()&unix.O_PATH != 0 {
		switch cmd {
		case unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL:
		default:
			return 0, unix.EBADF
		}
	}
	switch cmd {
	case unix.F_DUPFD, unix.F_DUPFD_CLOEXEC:
		if arg > math.MaxInt32 {
			return 0, unix.EINVAL
		}
		return c.dupFrom(c.Args[0], int(arg), cmd == unix.F_DUPFD_CLOEXEC)
	case unix.F_GETFD:
		on, err := c.FDs.CloseOnExec(fd)
		if on {
			return unix.FD_CLOEXEC, err
		}
		return 0, err
	case unix.F_SETFD:
		return 0, c.FDs.SetCloseOnExec(fd, arg&unix.FD_CLOEXEC != 0)
	case unix.F_GETFL:
		return uint64(o.Flags()), nil
	case unix.F_SETFL:
		o.SetFlags(uint32(arg))
		return 0, nil
	case unix.F_GETLK:
		return 0, c.getLock(o, arg)
	case unix.F_SETLK, unix.F_SETLKW:
		return 0, c.setLock(o, arg, cmd == unix.F_SETLKW)
	case unix.F_GETOWN, unix.F_SETOWN, unix.F_GETSIG, unix.F_SETSIG:
		return 0, nil // DEVIATION: no SIGIO is ever sent
	case unix.F_GETLEASE:
		return unix.F_UNLCK, nil
	case unix.F_GETPIPE_SZ, unix.F_SETPIPE_SZ:
		p, ok := vfs.PipeOf(o.File())
		if !ok {
			return 0, unix.EBADF
		}
		n := p.Capacity()
		if cmd == unix.F_SETPIPE_SZ {
			n, err = p.SetCapacity(int(uint32(arg)))
		}
		return uint64(n), err
	case unix.F_ADD_SEALS, unix.F_GET_SEALS:
		return c.seals(o, cmd, uint32(arg))
	}
	return 0, unix.EINVAL
}

// seals does F_ADD_SEALS and F_GET_SEALS.
func (c *Call) seals(o *vfs.OpenFile, cmd int32, seals uint32) (uint64, error) {
	f, ok := o.File().(*vfs.RegularFile)
	switch {
	case !ok:
		return 0, unix.EINVAL
	case cmd == unix.F_GET_SEALS:
		return uint64(f.Seals()), nil
	case !o.Writable():
		return 0, unix.EPERM
	}
	return 0, f.AddSeals(seals)
}

// sizeofFlock is the size of struct flock in bytes: l_type (16 bits), l_whence (16), pad, l_start (64), l_len (64),
// l_pid (32), pad.
const sizeofFlock = 32

// flockArg reads a struct flock.
func (c *Call) flockArg(o *vfs.OpenFile, addr uint64) (b [sizeofFlock]byte, l vfs.RecordLock, unlock bool, err error) {
	if err = c.Space.CopyIn(b[:], addr); err != nil {
		return
	}
	kind := int16(le.Uint16(b[0:]))
	l.Write, unlock, l.PID = kind == unix.F_WRLCK, kind == unix.F_UNLCK, c.PID
	if !unlock && !l.Write && kind != unix.F_RDLCK {
		err = unix.EINVAL
		return
	}
	l.Start, l.End, err = o.LockRange(le.Uint16(b[2:]), int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:])))
	return
}

// getLock does F_GETLK: it tells of a lock that is in the way, or that there is none.
func (c *Call) getLock(o *vfs.OpenFile, addr uint64) error {
	b, l, unlock, err := c.flockArg(o, addr)
	if err == nil && unlock {
		err = unix.EINVAL
	}
	if err != nil {
		return err
	}
	held, ok := o.LockConflict(c.FDs, l)
	if !ok {
		le.PutUint16(b[0:], unix.F_UNLCK)
		return c.Space.CopyOut(addr, b[:])
	}
	kind, length := uint16(unix.F_RDLCK), uint64(0)
	if held.Write {
		kind = unix.F_WRLCK
	}
	if held.End != math.MaxInt64 {
		length = uint64(held.End - held.Start + 1)
	}
	le.PutUint16(b[0:], kind)
	le.PutUint16(b[2:], unix.SEEK_SET)
	le.PutUint64(b[8:], uint64(held.Start))
	le.PutUint64(b[16:], length)
	le.PutUint32(b[24:], uint32(held.PID))
	return c.Space.CopyOut(addr, b[:])
}

// setLock does F_SETLK and F_SETLKW.
func (c *Call) setLock(o *vfs.OpenFile, addr uint64, wait bool) error {
	_, l, unlock, err := c.flockArg(o, addr)
	switch {
	case err != nil:
		return err
	case !unlock && (l.Write && !o.Writable() || !l.Write && !o.Readable()):
		return unix.EBADF
	}
	return o.SetLock(c.Thread, c.FDs, l, unlock, wait)
}

func (c *Call) flock() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	return 0, o.Flock(c.Thread, int(int32(c.Args[1])))
}

// pipe makes a pipe and stores its two descriptors, or makes nothing.
func (c *Call) pipe(flags uint32) (uint64, error) {
	if flags&^(unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_DIRECT) != 0 {
		return 0, unix.EINVAL
	}
	var fds [2]int
	for i := range fds {
		fd, err := c.FDs.Reserve()
		if err != nil {
			if i == 1 {
				c.FDs.Unreserve(fds[0])
			}
			return 0, err
		}
		fds[i] = fd
	}
	var b [8]byte
	le.PutUint32(b[0:], uint32(fds[0]))
	le.PutUint32(b[4:], uint32(fds[1]))
	if err := c.Space.CopyOut(c.Args[0], b[:]); err != nil {
		c.FDs.Unreserve(fds[0])
		c.FDs.Unreserve(fds[1])
		return 0, err
	}
	r, w := c.Paths.FS().NewPipe()
	cloexec, status := flags&unix.O_CLOEXEC != 0, flags&(unix.O_NONBLOCK|unix.O_DIRECT)
	c.FDs.Fill(fds[0], vfs.NewOpenFile(r, unix.O_RDONLY|status), cloexec)
	c.FDs.Fill(fds[1], vfs.NewOpenFile(w, unix.O_WRONLY|status), cloexec)
	return 0, nil
}

func (c *Call) eventfd(flags uint32) (uint64, error) {
	if flags&^(unix.EFD_CLOEXEC|unix.EFD_NONBLOCK|unix.EFD_SEMAPHORE) != 0 {
		return 0, unix.EINVAL
	}
	e := vfs.NewEventFD(uint64(uint32(c.Args[0])), flags&unix.EFD_SEMAPHORE != 0)
	fd, err := c.FDs.Open(e, unix.O_RDWR|flags&(unix.O_CLOEXEC|unix.O_NONBLOCK))
	return uint64(fd), err
}

// memfdNameMax is the longest name of memfd_create(2) in bytes.
const memfdNameMax = 249

func (c *Call) memfdCreate() (uint64, error) {
	const known = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING | unix.MFD_NOEXEC_SEAL | unix.MFD_EXEC
	flags := uint32(c.Args[1])
	if flags&^known != 0 || flags&(unix.MFD_EXEC|unix.MFD_NOEXEC_SEAL) == unix.MFD_EXEC|unix.MFD_NOEXEC_SEAL {
		return 0, unix.EINVAL
	}
	name, err := c.Space.CopyInString(c.Args[0], memfdNameMax+1)
	if err == unix.ENAMETOOLONG {
		err = unix.EINVAL
	}
	if err != nil {
		return 0, err
	}
	f := c.Paths.NewMemfd(name, flags&(unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL) != 0)
	open := uint32(unix.O_RDWR)
	if flags&unix.MFD_CLOEXEC != 0 {
		open |= unix.O_CLOEXEC
	}
	fd, err := c.FDs.Open(f, open)
	return uint64(fd), err
}
