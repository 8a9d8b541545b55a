package linux

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// sysFchmodat2 is the number of fchmodat2(2), of Linux 6.6.
const sysFchmodat2 = 452

func (c *Call) chmodAt(dirfd, path, mode uint64, flags uint32) (uint64, error) {
	n, release, err := c.nodeAt(dirfd, path, flags)
	if err != nil {
		return 0, err
	}
	defer release()
	return 0, vfs.Chmod(c.who(), n, uint32(mode)&modeBits)
}

func (c *Call) fchmodat2() (uint64, error) {
	flags := uint32(c.Args[3])
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	return c.chmodAt(c.Args[0], c.Args[1], c.Args[2], flags)
}

func (c *Call) fchmod() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	return 0, vfs.Chmod(c.who(), vfs.NodeOf(o.File()), uint32(c.Args[1])&modeBits)
}

func (c *Call) chownAt(dirfd, path, uid, gid uint64, flags uint32) (uint64, error) {
	n, release, err := c.nodeAt(dirfd, path, flags)
	if err != nil {
		return 0, err
	}
	defer release()
	return 0, vfs.Chown(c.who(), n, int32(uid), int32(gid))
}

func (c *Call) fchownat() (uint64, error) {
	flags := uint32(c.Args[4])
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	return c.chownAt(c.Args[0], c.Args[1], c.Args[2], c.Args[3], flags)
}

func (c *Call) fchown() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	return 0, vfs.Chown(c.who(), vfs.NodeOf(o.File()), int32(c.Args[1]), int32(c.Args[2]))
}

// utimensat is utimensat(2): dirfd, path, times, flags. A path of NULL is what is open as dirfd: futimens(3).
func (c *Call) utimensat() (uint64, error) {
	flags := uint32(c.Args[3])
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	now := time.Now().UnixNano()
	times, present := [2]*int64{&now, &now}, true
	if c.Args[2] != 0 {
		var b [2 * timespecSize]byte
		if err := c.Space.CopyIn(b[:], c.Args[2]); err != nil {
			return 0, err
		}
		for i := range times {
			sec, nsec := int64(le.Uint64(b[16*i:])), int64(le.Uint64(b[16*i+8:]))
			present = present && nsec == unix.UTIME_NOW
			switch {
			case nsec == unix.UTIME_NOW:
			case nsec == unix.UTIME_OMIT:
				times[i] = nil
			case nsec < 0 || nsec >= int64(time.Second):
				return 0, unix.EINVAL
			default:
				times[i] = instant(sec, nsec)
			}
		}
		if times[0] == nil && times[1] == nil {
			return 0, nil // nothing to do, not even to look at the path
		}
	}
	if c.Args[1] == 0 {
		if flags&^unix.AT_EMPTY_PATH != 0 {
			return 0, unix.EINVAL
		}
		o, err := c.file(c.Args[0])
		if err != nil {
			return 0, err
		}
		defer o.Release()
		return 0, vfs.SetTimes(c.who(), vfs.NodeOf(o.File()), times[0], times[1], present)
	}
	n, release, err := c.nodeAt(c.Args[0], c.Args[1], flags)
	if err != nil {
		return 0, err
	}
	defer release()
	return 0, vfs.SetTimes(c.who(), n, times[0], times[1], present)
}

// instant returns a time in ns since 1970, cut to what that can hold: the years 1678 to 2262.
func instant(sec, nsec int64) *int64 {
	const most = math.MaxInt64 / int64(time.Second)
	v := min(max(sec, -most), most-1)*int64(time.Second) + nsec
	return &v
}

// utimesAt sets the times from two struct timeval at times, or to now.
func (c *Call) utimesAt(dirfd, path, times uint64) (uint64, error) {
	now := time.Now().UnixNano()
	set := [2]*int64{&now, &now}
	if times != 0 {
		var b [2 * timevalSize]byte
		if err := c.Space.CopyIn(b[:], times); err != nil {
			return 0, err
		}
		for i := range set {
			sec, usec := int64(le.Uint64(b[16*i:])), int64(le.Uint64(b[16*i+8:]))
			if usec < 0 || usec >= 1e6 {
				return 0, unix.EINVAL
			}
			set[i] = instant(sec, usec*1000)
		}
	}
	n, release, err := c.nodeAt(dirfd, path, 0)
	if err != nil {
		return 0, err
	}
	defer release()
	return 0, vfs.SetTimes(c.who(), n, set[0], set[1], times == 0)
}

// utime is utime(2), with times in seconds.
func (c *Call) utime() (uint64, error) {
	now := time.Now().UnixNano()
	set := [2]*int64{&now, &now}
	if c.Args[1] != 0 {
		var b [16]byte
		if err := c.Space.CopyIn(b[:], c.Args[1]); err != nil {
			return 0, err
		}
		set[0], set[1] = instant(int64(le.Uint64(b[0:])), 0), instant(int64(le.Uint64(b[8:])), 0)
	}
	n, release, err := c.nodeAt(atCwd, c.Args[0], 0)
	if err != nil {
		return 0, err
	}
	defer release()
	return 0, vfs.SetTimes(c.who(), n, set[0], set[1], c.Args[1] == 0)
}

func (c *Call) truncate() (uint64, error) {
	size := int64(c.Args[1])
	if size < 0 {
		return 0, unix.EINVAL
	}
	path, err := c.path(c.Args[0])
	if err != nil {
		return 0, err
	}
	n, err := c.Paths.Lookup(nil, path, true)
	if err != nil {
		return 0, err
	}
	switch f := n.(type) {
	case *vfs.Regular:
		if err := vfs.Access(c.who(), n, unix.W_OK); err != nil {
			return 0, err
		}
		return 0, f.Truncate(size)
	case *vfs.Dir:
		return 0, unix.EISDIR
	}
	return 0, unix.EINVAL
}

func (c *Call) ftruncate() (uint64, error) {
	if int64(c.Args[1]) < 0 {
		return 0, unix.EINVAL
	}
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	return 0, o.Truncate(int64(c.Args[1]))
}

// fallocate is fallocate(2): fd, mode, offset, len.
func (c *Call) fallocate() (uint64, error) {
	mode, off, n := uint32(c.Args[1]), int64(c.Args[2]), int64(c.Args[3])
	if off < 0 || n <= 0 {
		return 0, unix.EINVAL
	}
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	if mode != 0 && mode != unix.FALLOC_FL_KEEP_SIZE && mode != punch {
		return 0, unix.EOPNOTSUPP
	}
	if !o.Writable() {
		return 0, unix.EBADF
	}
	f, ok := o.File().(*vfs.RegularFile)
	if !ok {
		st, err := o.File().Stat()
		switch {
		case err != nil:
			return 0, err
		case st.Mode&unix.S_IFMT == unix.S_IFIFO:
			return 0, unix.ESPIPE
		}
		return 0, unix.ENODEV
	}
	if off > math.MaxInt64-n {
		return 0, unix.EFBIG
	}
	return 0, f.Allocate(mode, off, n)
}

// fadvise is posix_fadvise(2): fd, offset, len, advice. Everything is in memory already.
func (c *Call) fadvise() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	if st, err := o.File().Stat(); err == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
		return 0, unix.ESPIPE
	}
	if int64(c.Args[2]) < 0 || uint32(c.Args[3]) > unix.FADV_NOREUSE {
		return 0, unix.EINVAL
	}
	return 0, nil
}

func (c *Call) readahead() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	if !o.Readable() {
		return 0, unix.EBADF
	}
	if _, ok := o.File().(*vfs.RegularFile); !ok {
		return 0, unix.EINVAL
	}
	return 0, nil
}

// fsync answers fdatasync, too: there is no disk. What can't be synchronized is EINVAL, as on Linux.
func (c *Call) fsync() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	switch vfs.NodeOf(o.File()).(type) {
	case *vfs.Regular, *vfs.Dir:
		return 0, nil
	}
	return 0, unix.EINVAL
}

func (c *Call) syncfs() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	o.Release()
	return 0, nil
}
