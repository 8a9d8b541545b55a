package linux

import "golang.org/x/sys/unix"

// Extended attributes, xattr(7). The file systems have none, so there is nothing to list, and all else is
// EOPNOTSUPP, which programs expect of such file systems: they go on without.

// Sizes in bytes [linux/limits.h].
const (
	maxXattrName  = 255
	maxXattrValue = 65536
)

// xattr finds the node by find, checks the name at nameAddr and says that there are none.
func (c *Call) xattr(find func() (release func(), err error), nameAddr uint64) error {
	release, err := find()
	if err != nil {
		return err
	}
	defer release()
	if err := c.xattrName(nameAddr); err != nil {
		return err
	}
	return unix.EOPNOTSUPP
}

// xattrName checks the name of an attribute: unix.ERANGE if it is empty or too long.
func (c *Call) xattrName(addr uint64) error {
	for i := range uint64(maxXattrName + 1) {
		var b [1]byte
		// Byte by byte: the name may end just before memory does.
		if err := c.Space.CopyIn(b[:], addr+i); err != nil {
			return err
		}
		switch {
		case b[0] == 0 && i == 0:
			return unix.ERANGE
		case b[0] == 0:
			return nil
		}
	}
	return unix.ERANGE
}

// byPath finds what the path in the first argument names. flags are AT_SYMLINK_NOFOLLOW or none.
func (c *Call) byPath(flags uint32) func() (func(), error) {
	return func() (func(), error) {
		_, release, err := c.nodeAt(atCwd, c.Args[0], flags)
		return release, err
	}
}

// byFD finds what is open as the first argument.
func (c *Call) byFD() (func(), error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return nil, err
	}
	return o.Release, nil
}

// setxattr is setxattr(2) and its kin: file, name, value, size, flags.
func (c *Call) setxattr(find func() (func(), error)) (uint64, error) {
	err := c.xattr(find, c.Args[1])
	if err == unix.EOPNOTSUPP {
		switch {
		case uint32(c.Args[4])&^(unix.XATTR_CREATE|unix.XATTR_REPLACE) != 0:
			err = unix.EINVAL
		case c.Args[3] > maxXattrValue:
			err = unix.E2BIG
		}
	}
	return 0, err
}

// getxattr is getxattr(2), removexattr(2) and their kin: file, name.
func (c *Call) getxattr(find func() (func(), error)) (uint64, error) {
	return 0, c.xattr(find, c.Args[1])
}

// listxattr is listxattr(2) and its kin.
func (c *Call) listxattr(find func() (func(), error)) (uint64, error) {
	release, err := find()
	if err != nil {
		return 0, err
	}
	release()
	return 0, nil
}
