package linux

import (
	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// inotifyInit is inotify_init1(2).
func (c *Call) inotifyInit(flags uint32) (uint64, error) {
	if flags&^(unix.IN_CLOEXEC|unix.IN_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	in, err := c.Paths.FS().NewInotify()
	if err != nil {
		return 0, err
	}
	fd, err := c.FDs.Open(in, unix.O_RDONLY|flags)
	return uint64(fd), err
}

// inotify returns the instance that is open as the first argument, with a reference to be released: unix.EINVAL if it is none.
func (c *Call) inotify() (*vfs.OpenFile, *vfs.Inotify, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return nil, nil, err
	}
	in, ok := o.File().(*vfs.Inotify)
	if !ok {
		o.Release()
		return nil, nil, unix.EINVAL
	}
	return o, in, nil
}

// inotifyAddWatch is inotify_add_watch(2): fd, path, mask.
func (c *Call) inotifyAddWatch() (uint64, error) {
	o, in, err := c.inotify()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	path, err := c.path(c.Args[1])
	if err != nil {
		return 0, err
	}
	id, err := in.Watch(c.Paths, path, uint32(c.Args[2]))
	return uint64(id), err
}

// inotifyRmWatch is inotify_rm_watch(2): fd, watch.
func (c *Call) inotifyRmWatch() (uint64, error) {
	o, in, err := c.inotify()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	return 0, in.Unwatch(int32(c.Args[1]))
}
