package linux

import (
	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

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
