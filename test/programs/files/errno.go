package main

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// errnoTable asks for what can't be done, and checks the error.
func errnoTable(t *check.T) {
	dir := tempDir(t)
	file := dir + "/f"
	t.Must(os.WriteFile(file, []byte("x"), 0o600))
	fd, err := unix.Open(file, unix.O_RDWR, 0)
	t.Must(err)
	defer unix.Close(fd)
	r, w := newPipe(t, unix.O_CLOEXEC)
	ep, err := unix.EpollCreate1(0)
	t.Must(err)
	defer unix.Close(ep)
	const closed = 999

	open := func(path string, flags int) error {
		fd, err := unix.Open(path, flags, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	second := func(_ int, err error) error { return err }
	buf := make([]byte, 8)
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"open of an empty path", open("", unix.O_RDONLY), unix.ENOENT},
		{"open below a file", open(file+"/x", unix.O_RDONLY), unix.ENOTDIR},
		{"open of a file with a slash", open(file+"/", unix.O_RDONLY), unix.ENOTDIR},
		{"open of a directory to write", open(dir, unix.O_RDWR), unix.EISDIR},
		{"creation in a missing directory", open(dir+"/x/y", unix.O_CREAT|unix.O_RDWR), unix.ENOENT},
		{"O_DIRECTORY on a file", open(file, unix.O_RDONLY|unix.O_DIRECTORY), unix.ENOTDIR},
		{"a name of 256 bytes", open(dir+"/"+strings.Repeat("n", 256), unix.O_RDONLY), unix.ENAMETOOLONG},
		{"a path of 4096 bytes", open("/"+strings.Repeat("./", 2048), unix.O_RDONLY), unix.ENAMETOOLONG},
		{"read of a closed descriptor", second(unix.Read(closed, buf)), unix.EBADF},
		{"read of -1", second(unix.Read(-1, buf)), unix.EBADF},
		{"write to a closed descriptor", second(unix.Write(closed, buf)), unix.EBADF},
		{"close of -1", unix.Close(-1), unix.EBADF},
		{"lseek of a pipe", lseek(r), unix.ESPIPE},
		{"pread of a pipe", second(unix.Pread(r, buf, 0)), unix.ESPIPE},
		{"pwrite to a pipe", second(unix.Pwrite(w, buf, 0)), unix.ESPIPE},
		{"ftruncate of a pipe", unix.Ftruncate(w, 0), unix.EINVAL},
		{"ioctl of a file", second(unix.IoctlGetInt(fd, unix.TIOCGPGRP)), unix.ENOTTY},
		{"TCGETS of a pipe", tcgets(r), unix.ENOTTY},
		{"rmdir of nothing", unix.Rmdir(dir + "/x"), unix.ENOENT},
		{"unlink of nothing", unix.Unlink(dir + "/x"), unix.ENOENT},
		{"rename into a missing directory", unix.Rename(file, dir+"/x/y"), unix.ENOENT},
		{"chmod of nothing", unix.Chmod(dir+"/x", 0), unix.ENOENT},
		{"statfs of nothing", unix.Statfs(dir+"/x", new(unix.Statfs_t)), unix.ENOENT},
		{"getdents64 of a file", second(unix.Getdents(fd, make([]byte, 500))), unix.ENOTDIR},
		{"epoll of a file", unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{}), unix.EPERM},
		{"epoll of itself", unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, ep, &unix.EpollEvent{}), unix.EINVAL},
		{"epoll_ctl of a pipe", unix.EpollCtl(r, unix.EPOLL_CTL_ADD, w, &unix.EpollEvent{}), unix.EINVAL},
		{"epoll_create1 with bad flags", second(unix.EpollCreate1(1)), unix.EINVAL},
		{"eventfd2 with bad flags", second(unix.Eventfd(0, 1<<20)), unix.EINVAL},
		{"accept on a file", second3(unix.Accept(fd)), unix.ENOTSOCK},
	} {
		if c.err != c.want {
			t.Errorf("%s: got error %v, want %v", c.what, c.err, c.want)
		}
	}
	_, _, errno := syscall.RawSyscall(400, 0, 0, 0) // between the old calls and those that all architectures share
	check.Equal(t, "a call that Linux doesn't have", errno, syscall.ENOSYS)
}

func lseek(fd int) error {
	_, err := unix.Seek(fd, 0, 1)
	return err
}

func tcgets(fd int) error {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err
}

func second3(fd int, _ unix.Sockaddr, err error) error {
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// errnoFault passes addresses that a program can't have or doesn't have.
func errnoFault(t *check.T) {
	dir := tempDir(t)
	f := openFile(t, dir+"/f", os.O_RDWR|os.O_CREATE)
	_, err := f.Write(pattern(100))
	t.Must(err)
	fd := f.Fd()
	r, w := newPipe(t, unix.O_CLOEXEC)
	_, err = unix.Write(w, []byte("x"))
	t.Must(err)
	// null; the first page, which is never mapped; a hole; beyond the user half; not canonical; a kernel's.
	for _, bad := range []uintptr{0, 0x100, 0x7f0000000, 0x7ffffffff000, 0x8000_0000_0000_0000, 0xffff_ffff_8020_1000, 0xffff_ffff_ffff_fff8} {
		for _, c := range []struct {
			what string
			call [4]uintptr
		}{
			{"pread64", [4]uintptr{unix.SYS_PREAD64, fd, bad, 8}},
			{"pwrite64", [4]uintptr{unix.SYS_PWRITE64, fd, bad, 8}},
			{"read of a pipe", [4]uintptr{unix.SYS_READ, uintptr(r), bad, 8}},
			{"write to a pipe", [4]uintptr{unix.SYS_WRITE, uintptr(w), bad, 8}},
			{"open", [4]uintptr{unix.SYS_OPEN, bad, 0, 0}},
			{"fstat", [4]uintptr{unix.SYS_FSTAT, fd, bad, 0}},
			{"pipe2", [4]uintptr{unix.SYS_PIPE2, bad, 0, 0}},
			{"readv", [4]uintptr{unix.SYS_READV, fd, bad, 1}},
			{"uname", [4]uintptr{unix.SYS_UNAME, bad, 0, 0}},
			{"clock_gettime", [4]uintptr{unix.SYS_CLOCK_GETTIME, 0, bad, 0}},
			{"getrandom", [4]uintptr{unix.SYS_GETRANDOM, bad, 8, 0}},
		} {
			_, _, errno := syscall.RawSyscall(c.call[0], c.call[1], c.call[2], c.call[3])
			if errno != syscall.EFAULT {
				t.Errorf("%s with address %#x: got %v, want EFAULT", c.what, bad, errno)
			}
		}
	}
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(w), 0, 0)
	if n != 0 || errno != 0 {
		t.Errorf("write of nothing from null: %d, %v", n, errno)
	}
}
