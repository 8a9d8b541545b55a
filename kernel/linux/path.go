package linux

import (
	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// pathMax is PATH_MAX: the longest path in bytes, its NUL included.
const pathMax = 4096

// atCwd is AT_FDCWD as a descriptor argument.
const atCwd = ^uint64(99)

// path reads a path of the program.
func (c *Call) path(addr uint64) (string, error) { return c.Space.CopyInString(addr, pathMax) }

// pathAt reads a path, and finds the directory that it is relative to by a descriptor: nil is the working
// directory.
func (c *Call) pathAt(dirfd, addr uint64) (*vfs.Dir, string, error) {
	path, err := c.path(addr)
	if err != nil {
		return nil, "", err
	}
	if path == "" {
		return nil, "", unix.ENOENT
	}
	dir, err := c.startAt(dirfd, path)
	return dir, path, err
}

// startAt returns the directory that a descriptor names, if path needs one.
func (c *Call) startAt(dirfd uint64, path string) (*vfs.Dir, error) {
	if int32(dirfd) == unix.AT_FDCWD || path != "" && path[0] == '/' {
		return nil, nil
	}
	o, err := c.FDs.Get(int(int32(dirfd)))
	if err != nil {
		return nil, err
	}
	defer o.Release()
	if dir, ok := vfs.NodeOf(o.File()).(*vfs.Dir); ok {
		return dir, nil
	}
	return nil, unix.ENOTDIR
}

// nodeAt returns what a path leads to. With AT_EMPTY_PATH and an empty path it is what is open as dirfd;
// release must be called when it is no longer in use.
func (c *Call) nodeAt(dirfd, addr uint64, flags uint32) (n vfs.Node, release func(), err error) {
	path, err := c.emptyPath(addr, flags)
	if err != nil {
		return nil, nil, err
	}
	if path == "" {
		if int32(dirfd) == unix.AT_FDCWD {
			return c.Paths.Cwd(), func() {}, nil
		}
		o, err := c.FDs.Get(int(int32(dirfd)))
		if err != nil {
			return nil, nil, err
		}
		return vfs.NodeOf(o.File()), o.Release, nil
	}
	dir, err := c.startAt(dirfd, path)
	if err != nil {
		return nil, nil, err
	}
	n, err = c.Paths.Lookup(dir, path, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	return n, func() {}, err
}

// emptyPath reads a path that may be empty, or with AT_EMPTY_PATH at address 0.
func (c *Call) emptyPath(addr uint64, flags uint32) (string, error) {
	empty := flags&unix.AT_EMPTY_PATH != 0
	if empty && addr == 0 {
		return "", nil
	}
	path, err := c.path(addr)
	if err == nil && path == "" && !empty {
		err = unix.ENOENT
	}
	return path, err
}

// Bits of open's flags and mode that mean something [include/linux/fcntl.h].
const (
	openFlags = unix.O_ACCMODE | unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY | unix.O_TRUNC | unix.O_APPEND |
		unix.O_NONBLOCK | unix.O_SYNC | unix.O_DSYNC | unix.O_ASYNC | unix.O_DIRECT | vfs.LargeFile |
		unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NOATIME | unix.O_CLOEXEC | unix.O_PATH | unix.O_TMPFILE
	modeBits = 0o7777
)

func (c *Call) open(dirfd, addr uint64, flags, mode uint32) (uint64, error) {
	dir, path, err := c.pathAt(dirfd, addr)
	if err != nil {
		return 0, err
	}
	fd, err := c.FDs.Reserve()
	if err != nil {
		return 0, err
	}
	flags = flags&openFlags | vfs.LargeFile
	o, err := c.Paths.Open(dir, path, flags, mode&modeBits&^c.Umask())
	if err != nil {
		c.FDs.Unreserve(fd)
		return 0, err
	}
	if f, ok := o.File().(*vfs.FIFOEnd); ok && flags&unix.O_NONBLOCK == 0 {
		if err := f.AwaitPartner(c.Thread); err != nil {
			c.FDs.Unreserve(fd)
			o.Release()
			return 0, err
		}
	}
	c.FDs.Fill(fd, o, flags&unix.O_CLOEXEC != 0)
	return uint64(fd), nil
}

// sizeofOpenHow is the size of struct open_how in bytes: flags, mode, resolve (64 bits each).
const sizeofOpenHow = 24

// openat2 is openat2(2): dirfd, path, how, size.
//
// DEVIATION: without resolve flags only. Others are EINVAL, which programs take for an old kernel.
func (c *Call) openat2() (uint64, error) {
	size := c.Args[3]
	if size < sizeofOpenHow {
		return 0, unix.EINVAL
	}
	if size > pathMax {
		return 0, unix.E2BIG
	}
	b := c.io.scratchBytes(int(size))
	if err := c.Space.CopyIn(b, c.Args[2]); err != nil {
		return 0, err
	}
	for _, v := range b[sizeofOpenHow:] {
		if v != 0 {
			return 0, unix.E2BIG
		}
	}
	flags, mode, resolve := le.Uint64(b[0:]), le.Uint64(b[8:]), le.Uint64(b[16:])
	makes := flags&unix.O_CREAT != 0 || flags&unix.O_TMPFILE == unix.O_TMPFILE
	if flags&^openFlags != 0 || mode&^modeBits != 0 || mode != 0 && !makes || resolve != 0 {
		return 0, unix.EINVAL
	}
	return c.open(c.Args[0], c.Args[1], uint32(flags), uint32(mode))
}

// getcwd is the system call of getcwd(2), which returns the length with the NUL.
func (c *Call) getcwd() (uint64, error) {
	path, err := c.Paths.Getcwd()
	if err != nil {
		return 0, err
	}
	n := uint64(len(path)) + 1
	if n > c.Args[1] {
		return 0, unix.ERANGE
	}
	b := c.io.scratchBytes(int(n))
	copy(b, path)
	b[n-1] = 0
	return n, c.Space.CopyOut(c.Args[0], b)
}

func (c *Call) chdir() (uint64, error) {
	path, err := c.path(c.Args[0])
	if err != nil {
		return 0, err
	}
	n, err := c.Paths.Lookup(nil, path, true)
	if err != nil {
		return 0, err
	}
	return 0, c.Paths.Chdir(n)
}

func (c *Call) fchdir() (uint64, error) {
	o, err := c.FDs.Get(int(int32(c.Args[0])))
	if err != nil {
		return 0, err
	}
	defer o.Release()
	return 0, c.Paths.Chdir(vfs.NodeOf(o.File()))
}

// maxDirents bounds the bytes of one getdents64: the caller comes again for the rest.
const maxDirents = copyChunk

// direntHeader is the size of struct linux_dirent64 before the name: d_ino (64 bits), d_off (64), d_reclen (16),
// d_type (8).
const direntHeader = 19

func (c *Call) getdents64() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	chunk := copyChunks.Get().(*[copyChunk]byte)
	defer copyChunks.Put(chunk)
	b := chunk[:min(uint64(uint32(c.Args[2])), maxDirents)]
	n, short := 0, false
	err = o.ReadDir(func(ino uint64, typ uint8, name string, next int64) bool {
		size := (direntHeader + len(name) + 1 + 7) &^ 7
		if size > len(b)-n {
			short = true
			return false
		}
		record := b[n : n+size]
		le.PutUint64(record[0:], ino)
		le.PutUint64(record[8:], uint64(next))
		le.PutUint16(record[16:], uint16(size))
		record[18] = typ
		clear(record[direntHeader+copy(record[direntHeader:], name):])
		n += size
		return true
	})
	if err != nil {
		return 0, err
	}
	if n == 0 && short {
		return 0, unix.EINVAL
	}
	return uint64(n), c.Space.CopyOut(c.Args[1], b[:n])
}
