package linux

import (
	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// sizeofStat is the size of struct stat in bytes [arch/x86/include/uapi/asm/stat.h].
const sizeofStat = 144

// storeStat stores a struct stat:
//
//	+0  dev     +8   ino   +16 nlink   +24 mode (32)  +28 uid (32)  +32 gid (32)  +40 rdev
//	+48 size    +56  blksize           +64 blocks     +72 atime     +88 mtime     +104 ctime
func (c *Call) storeStat(addr uint64, st *unix.Stat_t) error {
	var b [sizeofStat]byte
	le.PutUint64(b[0:], st.Dev)
	le.PutUint64(b[8:], st.Ino)
	le.PutUint64(b[16:], st.Nlink)
	le.PutUint32(b[24:], st.Mode)
	le.PutUint32(b[28:], st.Uid)
	le.PutUint32(b[32:], st.Gid)
	le.PutUint64(b[40:], st.Rdev)
	le.PutUint64(b[48:], uint64(st.Size))
	le.PutUint64(b[56:], uint64(st.Blksize))
	le.PutUint64(b[64:], uint64(st.Blocks))
	for i, ts := range [...]unix.Timespec{st.Atim, st.Mtim, st.Ctim} {
		le.PutUint64(b[72+16*i:], uint64(ts.Sec))
		le.PutUint64(b[80+16*i:], uint64(ts.Nsec))
	}
	return c.Space.CopyOut(addr, b[:])
}

func (c *Call) fstat() (uint64, error) {
	o, err := c.FDs.Get(int(int32(c.Args[0])))
	if err != nil {
		return 0, err
	}
	defer o.Release()
	st, err := o.File().Stat()
	if err != nil {
		return 0, err
	}
	return 0, c.storeStat(c.Args[1], &st)
}

// statFlags are the flags of newfstatat and statx; AT_NO_AUTOMOUNT and the AT_STATX_ ones ask for what is so anyway.
const statFlags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH | unix.AT_NO_AUTOMOUNT |
	unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC

func (c *Call) newfstatat() (uint64, error) {
	flags := uint32(c.Args[3])
	if flags&^statFlags != 0 {
		return 0, unix.EINVAL
	}
	return c.statAt(c.Args[0], c.Args[1], c.Args[2], flags)
}

func (c *Call) statAt(dirfd, path, addr uint64, flags uint32) (uint64, error) {
	n, release, err := c.nodeAt(dirfd, path, flags)
	if err != nil {
		return 0, err
	}
	defer release()
	st := n.Stat()
	return 0, c.storeStat(addr, &st)
}

// sizeofStatx is the size of struct statx in bytes.
const sizeofStatx = 256

// statx is statx(2): dirfd, path, flags, mask, buffer. It tells what stat does.
func (c *Call) statx() (uint64, error) {
	flags, mask := uint32(c.Args[2]), uint32(c.Args[3])
	const sync = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC
	if flags&^statFlags != 0 || flags&sync == sync || mask&unix.STATX__RESERVED != 0 {
		return 0, unix.EINVAL
	}
	n, release, err := c.nodeAt(c.Args[0], c.Args[1], flags)
	if err != nil {
		return 0, err
	}
	defer release()
	st := n.Stat()
	b := encodeStatx(&st)
	return 0, c.Space.CopyOut(c.Args[4], b[:])
}

// encodeStatx makes a struct statx:
//
//	+0 mask (32)  +4 blksize (32)  +8 attributes  +16 nlink (32) +20 uid (32) +24 gid (32) +28 mode (16)
//	+32 ino       +40 size         +48 blocks     +56 attributes_mask
//	+64 atime     +80 btime        +96 ctime      +112 mtime: seconds (64), nanoseconds (32), pad
//	+128 rdev_major (32) +132 rdev_minor (32)     +136 dev_major (32) +140 dev_minor (32)
func encodeStatx(st *unix.Stat_t) (b [sizeofStatx]byte) {
	le.PutUint32(b[0:], unix.STATX_BASIC_STATS)
	le.PutUint32(b[4:], uint32(st.Blksize))
	le.PutUint32(b[16:], uint32(st.Nlink))
	le.PutUint32(b[20:], st.Uid)
	le.PutUint32(b[24:], st.Gid)
	le.PutUint16(b[28:], uint16(st.Mode))
	le.PutUint64(b[32:], st.Ino)
	le.PutUint64(b[40:], uint64(st.Size))
	le.PutUint64(b[48:], uint64(st.Blocks))
	for _, t := range [...]struct {
		at int
		ts unix.Timespec
	}{{64, st.Atim}, {96, st.Ctim}, {112, st.Mtim}} {
		le.PutUint64(b[t.at:], uint64(t.ts.Sec))
		le.PutUint32(b[t.at+8:], uint32(t.ts.Nsec))
	}
	le.PutUint32(b[128:], unix.Major(st.Rdev))
	le.PutUint32(b[132:], unix.Minor(st.Rdev))
	le.PutUint32(b[136:], unix.Major(st.Dev))
	le.PutUint32(b[140:], unix.Minor(st.Dev))
	return b
}

// sizeofStatfs is the size of struct statfs in bytes.
const sizeofStatfs = 120

// storeStatfs stores a struct statfs: type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags,
// 64 bits each.
func (c *Call) storeStatfs(addr uint64, st *unix.Stat_t) error {
	s := c.Paths.FS().Statfs(st)
	var b [sizeofStatfs]byte
	for i, v := range [...]uint64{
		uint64(s.Type), uint64(s.Bsize), s.Blocks, s.Bfree, s.Bavail, s.Files, s.Ffree, st.Dev,
		uint64(s.Namelen), uint64(s.Frsize), uint64(s.Flags),
	} {
		le.PutUint64(b[8*i:], v)
	}
	return c.Space.CopyOut(addr, b[:])
}

func (c *Call) statfs() (uint64, error) {
	path, err := c.path(c.Args[0])
	if err != nil {
		return 0, err
	}
	n, err := c.Paths.Lookup(nil, path, true)
	if err != nil {
		return 0, err
	}
	st := n.Stat()
	return 0, c.storeStatfs(c.Args[1], &st)
}

func (c *Call) fstatfs() (uint64, error) {
	o, err := c.FDs.Get(int(int32(c.Args[0])))
	if err != nil {
		return 0, err
	}
	defer o.Release()
	st, err := o.File().Stat()
	if err != nil {
		return 0, err
	}
	return 0, c.storeStatfs(c.Args[1], &st)
}

func (c *Call) faccessat2() (uint64, error) {
	const known = unix.AT_EACCESS | unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH
	flags := uint32(c.Args[3])
	if flags&^known != 0 {
		return 0, unix.EINVAL
	}
	return c.accessAt(c.Args[0], c.Args[1], c.Args[2], flags)
}

func (c *Call) accessAt(dirfd, path, mode uint64, flags uint32) (uint64, error) {
	if uint32(mode)&^(unix.R_OK|unix.W_OK|unix.X_OK) != 0 {
		return 0, unix.EINVAL
	}
	who := c.who()
	if flags&unix.AT_EACCESS == 0 {
		who = who.AsReal()
	}
	n, release, err := c.nodeAt(dirfd, path, flags)
	if err != nil {
		return 0, err
	}
	defer release()
	return 0, vfs.Access(who, n, uint32(mode))
}

// readlinkAt is readlinkat(2). What doesn't fit is cut off. An empty path is the link that dirfd was opened on
// with O_PATH and O_NOFOLLOW.
func (c *Call) readlinkAt(dirfd, addr, buf, size uint64) (uint64, error) {
	if int32(size) <= 0 {
		return 0, unix.EINVAL
	}
	path, err := c.path(addr)
	if err != nil {
		return 0, err
	}
	var target string
	if path == "" {
		target, err = c.readlinkFD(dirfd)
	} else {
		var dir *vfs.Dir
		if dir, err = c.startAt(dirfd, path); err == nil {
			target, err = c.Paths.Readlink(dir, path)
		}
	}
	if err != nil {
		return 0, err
	}
	n := min(len(target), int(int32(size)))
	return uint64(n), c.Space.CopyOut(buf, []byte(target[:n]))
}

func (c *Call) readlinkFD(fd uint64) (string, error) {
	if int32(fd) == unix.AT_FDCWD {
		return "", unix.ENOENT
	}
	o, err := c.FDs.Get(int(int32(fd)))
	if err != nil {
		return "", err
	}
	defer o.Release()
	link, ok := vfs.NodeOf(o.File()).(*vfs.Symlink)
	if !ok {
		return "", unix.ENOENT
	}
	return link.Target(c.Paths)
}
