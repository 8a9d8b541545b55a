package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// newFIFO makes a named pipe that goes with the case.
func newFIFO(t *check.T) string {
	path := tempDir(t) + "/fifo"
	t.Must(unix.Mkfifo(path, 0o640))
	return path
}

// openFIFO opens the named pipe, again if the runtime's preemption has interrupted it.
func openFIFO(path string, flags int) (int, error) {
	for {
		if fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0); err != unix.EINTR {
			return fd, err
		}
	}
}

// mustOpen opens the named pipe until the end of the case, or until it is closed.
func mustOpen(t *check.T, path string, flags int) *os.File {
	fd, err := openFIFO(path, flags)
	t.Must(err)
	f := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { f.Close() })
	return f
}

func fifoAttributes(t *check.T) {
	old := unix.Umask(0o022)
	t.Cleanup(func() { unix.Umask(old) })
	path := newFIFO(t)
	var st unix.Stat_t
	t.Must(unix.Lstat(path, &st))
	check.Equal(t, "mode", st.Mode, unix.S_IFIFO|0o640)
	check.Equal(t, "links", st.Nlink, 1)
	check.Equal(t, "size", st.Size, 0)
	var stx unix.Statx_t
	t.Must(unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_BASIC_STATS, &stx))
	check.Equal(t, "mode of statx", stx.Mode, unix.S_IFIFO|0o640)
	check.Equal(t, "inode of statx", stx.Ino, st.Ino)
	t.WantErr("mkfifo of what is there", unix.Mkfifo(path, 0o600), unix.EEXIST)
	t.WantErr("mkfifo in nothing", unix.Mkfifo(path+"no/fifo", 0o600), unix.ENOENT)
	t.Must(unix.Mknod(path+"2", unix.S_IFIFO|0o666, 0))
	t.Must(unix.Lstat(path+"2", &st))
	check.Equal(t, "mode after mknod", st.Mode, unix.S_IFIFO|0o644)
	t.Must(unix.Chmod(path, 0o600))

	entries, err := os.ReadDir(strings.TrimSuffix(path, "/fifo"))
	t.Must(err)
	for _, e := range entries {
		check.Equal(t, "type of "+e.Name(), e.Type(), os.ModeNamedPipe)
	}
	both := mustOpen(t, path, unix.O_RDWR|unix.O_NONBLOCK)
	t.Must(unix.Fstat(int(both.Fd()), &st))
	check.Equal(t, "mode of what is open", st.Mode, unix.S_IFIFO|0o600)
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", both.Fd()))
	t.Must(err)
	check.Equal(t, "link of /proc/self/fd", link, path)
	_, err = unix.Seek(int(both.Fd()), 0, 1)
	t.WantErr("seek", err, unix.ESPIPE)
	t.WantErr("truncate", unix.Truncate(path, 0), unix.EINVAL)
	t.WantErr("ftruncate", unix.Ftruncate(int(both.Fd()), 0), unix.EINVAL)
	t.Must(os.Rename(path, path+"3"))
	t.Must(os.Remove(path + "3"))
	t.Must(unix.Fstat(int(both.Fd()), &st))
	check.Equal(t, "links after unlink", st.Nlink, 0)
}

// fifoOpen has each end wait for the other, whichever is first.
func fifoOpen(t *check.T) {
	path := newFIFO(t)
	for _, first := range []int{unix.O_RDONLY, unix.O_WRONLY} {
		opened := make(chan int)
		go func() {
			fd, err := openFIFO(path, first)
			t.WantErr("open", err, nil)
			opened <- fd
		}()
		second := mustOpen(t, path, unix.O_WRONLY-first)
		f := os.NewFile(uintptr(<-opened), path)
		r, w := f, second
		if first == unix.O_WRONLY {
			r, w = second, f
		}
		_, err := w.WriteString("hello")
		t.Must(err)
		t.Must(w.Close())
		buf := make([]byte, 10)
		n, err := r.Read(buf)
		t.Must(err)
		check.Equal(t, "read", string(buf[:n]), "hello")
		n, err = unix.Read(int(r.Fd()), buf)
		t.WantErr("read at the end", err, nil)
		check.Equal(t, "bytes at the end", n, 0)
		t.Must(r.Close())
	}
	// A partner that has come and gone has been there.
	opened := make(chan int)
	go func() {
		fd, err := openFIFO(path, unix.O_RDONLY)
		t.WantErr("open", err, nil)
		opened <- fd
	}()
	for {
		if fd, err := openFIFO(path, unix.O_WRONLY|unix.O_NONBLOCK); err == nil {
			t.Must(unix.Close(fd))
			break
		}
		unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
	t.Must(unix.Close(<-opened))
}

func fifoNonblock(t *check.T) {
	path := newFIFO(t)
	_, err := openFIFO(path, unix.O_WRONLY|unix.O_NONBLOCK)
	t.WantErr("to write, without a reader", err, unix.ENXIO)
	r := mustOpen(t, path, unix.O_RDONLY|unix.O_NONBLOCK)
	buf := make([]byte, 10)
	n, err := unix.Read(int(r.Fd()), buf)
	t.WantErr("read without a writer", err, nil)
	check.Equal(t, "bytes without a writer", n, 0)
	w := mustOpen(t, path, unix.O_WRONLY|unix.O_NONBLOCK)
	_, err = unix.Read(int(r.Fd()), buf)
	t.WantErr("read with a writer", err, unix.EAGAIN)
	_, err = unix.Write(int(w.Fd()), []byte("abc"))
	t.Must(err)
	n, err = unix.Read(int(r.Fd()), buf)
	t.Must(err)
	check.Equal(t, "read", string(buf[:n]), "abc")
	t.Must(r.Close())
	_, err = unix.Write(int(w.Fd()), []byte("x"))
	t.WantErr("write without a reader", err, unix.EPIPE)

	both := mustOpen(t, path, unix.O_RDWR) // waits for nobody
	_, err = unix.Write(int(both.Fd()), []byte("self"))
	t.Must(err)
	n, err = unix.Read(int(both.Fd()), buf)
	t.Must(err)
	check.Equal(t, "read of what it has written itself", string(buf[:n]), "self")
	_, err = openFIFO(path, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR)
	t.WantErr("open with O_EXCL", err, unix.EEXIST)
	again := mustOpen(t, path, unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY)
	t.Must(again.Close())
	_, err = openFIFO(path, unix.O_DIRECTORY)
	t.WantErr("open with O_DIRECTORY", err, unix.ENOTDIR)
	size, err := unix.FcntlInt(both.Fd(), unix.F_GETPIPE_SZ, 0)
	t.Must(err)
	check.Equal(t, "capacity", size, 65536)

	// A pipe without a name has no ENXIO.
	pr, pw := newPipe(t, unix.O_CLOEXEC)
	name := fmt.Sprintf("/proc/self/fd/%d", pw)
	t.Must(unix.Close(pr))
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	t.WantErr("a pipe's end once more", err, nil)
	unix.Close(fd)
}

// fifoPoll looks at the readiness of the ends while others come and go.
func fifoPoll(t *check.T) {
	path := newFIFO(t)
	ready := func(what string, f *os.File, want int16) {
		p := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN | unix.POLLOUT}}
		_, err := t.Poll(p, 0)
		t.Must(err)
		if p[0].Revents != want {
			t.Errorf("%s: poll gives %#x, want %#x", what, p[0].Revents, want)
		}
	}
	r := mustOpen(t, path, unix.O_RDONLY|unix.O_NONBLOCK)
	ready("reader before any writer", r, 0)
	w := mustOpen(t, path, unix.O_WRONLY|unix.O_NONBLOCK)
	ready("reader with a writer", r, 0)
	ready("writer", w, unix.POLLOUT)
	_, err := w.WriteString("x")
	t.Must(err)
	ready("reader with a byte", r, unix.POLLIN)
	t.Must(w.Close())
	ready("reader with a byte, without a writer", r, unix.POLLIN|unix.POLLHUP)
	_, err = r.Read(make([]byte, 1))
	t.Must(err)
	ready("reader at the end", r, unix.POLLHUP)
	late := mustOpen(t, path, unix.O_RDONLY|unix.O_NONBLOCK)
	ready("reader that has come since", late, 0)
	w = mustOpen(t, path, unix.O_WRONLY|unix.O_NONBLOCK)
	ready("reader with another writer", r, 0)
	t.Must(r.Close())
	t.Must(late.Close())
	ready("writer without a reader", w, unix.POLLOUT|unix.POLLERR)
	both := mustOpen(t, path, unix.O_RDWR)
	ready("both", both, unix.POLLOUT)
}

func fifoBytesGo(t *check.T) {
	path := newFIFO(t)
	both := mustOpen(t, path, unix.O_RDWR)
	_, err := both.WriteString("forgotten")
	t.Must(err)
	t.Must(both.Close())
	r := mustOpen(t, path, unix.O_RDONLY|unix.O_NONBLOCK)
	n, err := unix.Read(int(r.Fd()), make([]byte, 10))
	t.Must(err)
	check.Equal(t, "bytes", n, 0)
}
