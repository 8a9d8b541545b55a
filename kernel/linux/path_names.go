package linux

import (
	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

func init() {
	register(unix.SYS_MKDIR, "mkdir", func(c *Call) (uint64, error) { return c.mkdirAt(atCwd, c.Args[0], c.Args[1]) })
	register(unix.SYS_MKDIRAT, "mkdirat", func(c *Call) (uint64, error) {
		return c.mkdirAt(c.Args[0], c.Args[1], c.Args[2])
	})
	register(unix.SYS_MKNOD, "mknod", func(c *Call) (uint64, error) { return c.mknodAt(atCwd, c.Args[0], c.Args[1]) })
	register(unix.SYS_MKNODAT, "mknodat", func(c *Call) (uint64, error) {
		return c.mknodAt(c.Args[0], c.Args[1], c.Args[2])
	})
	register(unix.SYS_RMDIR, "rmdir", func(c *Call) (uint64, error) {
		return c.unlinkAt(atCwd, c.Args[0], unix.AT_REMOVEDIR)
	})
	register(unix.SYS_UNLINK, "unlink", func(c *Call) (uint64, error) { return c.unlinkAt(atCwd, c.Args[0], 0) })
	register(unix.SYS_UNLINKAT, "unlinkat", func(c *Call) (uint64, error) {
		return c.unlinkAt(c.Args[0], c.Args[1], uint32(c.Args[2]))
	})
	register(unix.SYS_RENAME, "rename", func(c *Call) (uint64, error) {
		return c.renameAt(atCwd, c.Args[0], atCwd, c.Args[1], 0)
	})
	register(unix.SYS_RENAMEAT, "renameat", func(c *Call) (uint64, error) {
		return c.renameAt(c.Args[0], c.Args[1], c.Args[2], c.Args[3], 0)
	})
	register(unix.SYS_RENAMEAT2, "renameat2", func(c *Call) (uint64, error) {
		return c.renameAt(c.Args[0], c.Args[1], c.Args[2], c.Args[3], uint32(c.Args[4]))
	})
	register(unix.SYS_LINK, "link", func(c *Call) (uint64, error) {
		return c.linkAt(atCwd, c.Args[0], atCwd, c.Args[1], 0)
	})
	register(unix.SYS_LINKAT, "linkat", func(c *Call) (uint64, error) {
		return c.linkAt(c.Args[0], c.Args[1], c.Args[2], c.Args[3], uint32(c.Args[4]))
	})
	register(unix.SYS_SYMLINK, "symlink", func(c *Call) (uint64, error) {
		return c.symlinkAt(c.Args[0], atCwd, c.Args[1])
	})
	register(unix.SYS_SYMLINKAT, "symlinkat", func(c *Call) (uint64, error) {
		return c.symlinkAt(c.Args[0], c.Args[1], c.Args[2])
	})
}

func (c *Call) mkdirAt(dirfd, addr, mode uint64) (uint64, error) {
	dir, path, err := c.pathAt(dirfd, addr)
	if err != nil {
		return 0, err
	}
	return 0, c.Paths.Mkdir(dir, path, uint32(mode)&modeBits&^c.Umask())
}

// mknodAt makes regular files and named pipes. DEVIATION: devices and sockets are EPERM.
func (c *Call) mknodAt(dirfd, addr, mode uint64) (uint64, error) {
	dir, path, err := c.pathAt(dirfd, addr)
	if err != nil {
		return 0, err
	}
	switch uint32(mode) & unix.S_IFMT {
	case 0, unix.S_IFREG:
		return 0, c.Paths.MakeFile(dir, path, uint32(mode)&modeBits&^c.Umask())
	case unix.S_IFIFO:
		return 0, c.Paths.MakeFIFO(dir, path, uint32(mode)&modeBits&^c.Umask())
	case unix.S_IFCHR, unix.S_IFBLK, unix.S_IFSOCK, unix.S_IFDIR:
		return 0, unix.EPERM
	}
	return 0, unix.EINVAL
}

func (c *Call) unlinkAt(dirfd, addr uint64, flags uint32) (uint64, error) {
	if flags&^unix.AT_REMOVEDIR != 0 {
		return 0, unix.EINVAL
	}
	dir, path, err := c.pathAt(dirfd, addr)
	if err != nil {
		return 0, err
	}
	if flags != 0 {
		return 0, c.Paths.Rmdir(dir, path)
	}
	return 0, c.Paths.Unlink(dir, path)
}

func (c *Call) renameAt(oldDirfd, oldAddr, newDirfd, newAddr uint64, flags uint32) (uint64, error) {
	oldDir, oldPath, err := c.pathAt(oldDirfd, oldAddr)
	if err != nil {
		return 0, err
	}
	newDir, newPath, err := c.pathAt(newDirfd, newAddr)
	if err != nil {
		return 0, err
	}
	return 0, c.Paths.Rename(oldDir, oldPath, newDir, newPath, flags)
}

func (c *Call) linkAt(oldDirfd, oldAddr, newDirfd, newAddr uint64, flags uint32) (uint64, error) {
	if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	if flags&unix.AT_SYMLINK_FOLLOW == 0 {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	n, release, err := c.nodeAt(oldDirfd, oldAddr, flags)
	if err != nil {
		return 0, err
	}
	defer release()
	dir, path, err := c.pathAt(newDirfd, newAddr)
	if err != nil {
		return 0, err
	}
	return 0, c.Paths.Link(n, dir, path)
}

func (c *Call) symlinkAt(targetAddr, dirfd, addr uint64) (uint64, error) {
	target, err := c.path(targetAddr)
	if err != nil {
		return 0, err
	}
	if target == "" {
		return 0, unix.ENOENT
	}
	var dir *vfs.Dir
	dir, path, err := c.pathAt(dirfd, addr)
	if err != nil {
		return 0, err
	}
	return 0, c.Paths.Symlink(target, dir, path)
}
