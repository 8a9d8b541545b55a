package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

func dup(t *check.T) {
	path := tempDir(t) + "/f"
	t.Must(os.WriteFile(path, []byte("0123456789"), 0o600))
	a, err := unix.Open(path, unix.O_RDWR, 0)
	t.Must(err)
	b, err := unix.Dup(a)
	t.Must(err)
	buf := make([]byte, 3)
	_, err = unix.Read(a, buf)
	t.Must(err)
	_, err = unix.Read(b, buf)
	t.Must(err)
	check.Equal(t, "a duplicate shares the position", string(buf), "345")
	t.Must(unix.Close(a))
	_, err = unix.Read(b, buf)
	t.Must(err)
	check.Equal(t, "after closing the first", string(buf), "678")

	c, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	t.Must(err)
	t.Must(unix.Dup3(b, c, unix.O_CLOEXEC))
	flags, err := unix.FcntlInt(uintptr(c), unix.F_GETFD, 0)
	t.Must(err)
	check.Equal(t, "dup3's flag", flags, unix.FD_CLOEXEC)
	n, err := unix.Read(c, buf)
	t.Must(err)
	check.Equal(t, "dup3 replaced the descriptor", string(buf[:n]), "9")
	t.WantErr("dup3 onto itself", unix.Dup3(b, b, 0), unix.EINVAL)
	t.Must(syscall.Dup2(b, b))
	t.WantErr("dup2 of a closed one", syscall.Dup2(999, c), unix.EBADF)
	t.WantErr("dup2 to -1", syscall.Dup2(b, -1), unix.EBADF)
	t.Must(unix.Close(b))
	t.Must(unix.Close(c))
}

// largeFile is O_LARGEFILE, which a 64-bit kernel sets by itself and package unix has as 0.
const largeFile = 0o100000

func fcntl(t *check.T) {
	path := tempDir(t) + "/f"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC, 0o600)
	t.Must(err)
	defer unix.Close(fd)
	get := func(fd, cmd int) int {
		v, err := unix.FcntlInt(uintptr(fd), cmd, 0)
		t.Must(err)
		return v
	}
	check.Equal(t, "F_GETFD", get(fd, unix.F_GETFD), unix.FD_CLOEXEC)
	check.Equal(t, "F_GETFL", get(fd, unix.F_GETFL)&^largeFile, unix.O_RDWR|unix.O_APPEND)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_NONBLOCK)
	t.Must(err)
	check.Equal(t, "F_GETFL after F_SETFL", get(fd, unix.F_GETFL)&^largeFile, unix.O_RDWR|unix.O_NONBLOCK)
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 100)
	t.Must(err)
	check.Equal(t, "F_DUPFD_CLOEXEC from 100", high, 100)
	check.Equal(t, "its F_GETFD", get(high, unix.F_GETFD), unix.FD_CLOEXEC)
	_, err = unix.FcntlInt(uintptr(high), unix.F_SETFD, 0)
	t.Must(err)
	check.Equal(t, "F_GETFD after F_SETFD", get(high, unix.F_GETFD), 0)
	check.Equal(t, "F_GETFD of the first", get(fd, unix.F_GETFD), unix.FD_CLOEXEC)
	t.Must(unix.Close(high))
	_, err = unix.FcntlInt(uintptr(high), unix.F_GETFL, 0)
	t.WantErr("fcntl of a closed descriptor", err, unix.EBADF)
	_, err = unix.FcntlInt(uintptr(fd), 999, 0)
	t.WantErr("fcntl of an unknown command", err, unix.EINVAL)
}

// lowestDescriptor checks that a new descriptor is the lowest free one [open(2)], which programs that close
// 0 and reopen it rely on.
func lowestDescriptor(t *check.T) {
	var fds []int
	for range 10 {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
		t.Must(err)
		fds = append(fds, fd)
	}
	for _, i := range []int{7, 2, 4} {
		t.Must(unix.Close(fds[i]))
	}
	for _, i := range []int{2, 4, 7} {
		fd, err := unix.Open("/dev/zero", unix.O_RDONLY, 0)
		t.Must(err)
		check.Equal(t, "descriptor", fd, fds[i])
	}
	for _, fd := range fds {
		t.Must(unix.Close(fd))
	}
	t.WantErr("close twice", unix.Close(fds[0]), unix.EBADF)
}

func newPipe(t *check.T, flags int) (r, w int) {
	var fds [2]int
	t.Must(unix.Pipe2(fds[:], flags))
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// pipe blocks a reader, wakes it, and ends it.
func pipe(t *check.T) {
	r, w := newPipe(t, unix.O_CLOEXEC)
	got := make(chan string)
	go func() {
		defer close(got)
		buf := make([]byte, 100)
		for {
			n, err := unix.Read(r, buf)
			if err == unix.EINTR {
				continue // the runtime's preemption signal
			}
			if err != nil || n == 0 {
				t.WantErr("read", err, nil)
				return
			}
			got <- string(buf[:n])
		}
	}()
	time.Sleep(20 * time.Millisecond) // most likely the reader sleeps by then; either way must work
	_, err := unix.Write(w, []byte("first"))
	t.Must(err)
	check.Equal(t, "read", <-got, "first")
	_, err = unix.Write(w, []byte("second"))
	t.Must(err)
	check.Equal(t, "read", <-got, "second")
	t.Must(unix.Close(w))
	if more, ok := <-got; ok {
		t.Errorf("read %q after the end", more)
	}
}

func pipeNonblock(t *check.T) {
	r, w := newPipe(t, unix.O_NONBLOCK|unix.O_CLOEXEC)
	buf := make([]byte, 4096)
	_, err := unix.Read(r, buf)
	t.WantErr("read of an empty pipe", err, unix.EAGAIN)
	total := 0
	for {
		n, err := unix.Write(w, buf)
		if err == unix.EAGAIN {
			break
		}
		t.Must(err)
		total += n
	}
	// pipe(7): 64 KiB; a system whose user has many pipes gives less.
	size, err := unix.FcntlInt(uintptr(w), unix.F_GETPIPE_SZ, 0)
	t.Must(err)
	check.Equal(t, "capacity", total, size)
	// A write of PIPE_BUF or less goes whole or not at all.
	_, err = unix.Read(r, buf[:100])
	t.Must(err)
	_, err = unix.Write(w, buf)
	t.WantErr("write of 4096 bytes into little room", err, unix.EAGAIN)
	waiting, err := unix.IoctlGetInt(r, unix.TIOCINQ) // TIOCINQ is FIONREAD
	t.Must(err)
	check.Equal(t, "FIONREAD", waiting, total-100)
}

func pipeBroken(t *check.T) {
	r, w := newPipe(t, unix.O_CLOEXEC)
	t.Must(unix.Close(r))
	// SIGPIPE comes too; Go's runtime ignores it for descriptors other than 1 and 2.
	_, err := unix.Write(w, []byte("x"))
	t.WantErr("write without a reader", err, unix.EPIPE)
	t.WantErr("pipe2 with bad flags", unix.Pipe2(make([]int, 2), 0x1), unix.EINVAL)
	r, w = newPipe(t, unix.O_CLOEXEC)
	_, err = unix.Write(r, []byte("x"))
	t.WantErr("write to the reading end", err, unix.EBADF)
	_, err = unix.Read(w, make([]byte, 1))
	t.WantErr("read from the writing end", err, unix.EBADF)
}

// pipeBulk sends 4 MiB through a pipe in odd sizes.
func pipeBulk(t *check.T) {
	r, w, err := os.Pipe()
	t.Must(err)
	want := pattern(4 << 20)
	go func() {
		defer w.Close()
		for rest, n := want, 1; len(rest) > 0; n = n*3%70001 + 1 {
			n := min(n, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Errorf("write: %v", err)
				return
			}
			rest = rest[n:]
		}
	}()
	got, err := io.ReadAll(r)
	t.Must(err)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, and not those that were sent", len(got))
	}
}

func eventfd(t *check.T) {
	fd, err := unix.Eventfd(3, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	t.Must(err)
	defer unix.Close(fd)
	word := func(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }
	buf := make([]byte, 8)
	read := func(fd int) uint64 {
		_, err := unix.Read(fd, buf)
		t.Must(err)
		return binary.NativeEndian.Uint64(buf)
	}
	_, err = unix.Write(fd, word(4))
	t.Must(err)
	check.Equal(t, "counter", read(fd), 7)
	_, err = unix.Read(fd, buf)
	t.WantErr("read of 0", err, unix.EAGAIN)
	_, err = unix.Write(fd, word(1<<64-2))
	t.Must(err)
	_, err = unix.Write(fd, word(1))
	t.WantErr("write beyond the limit", err, unix.EAGAIN)
	_, err = unix.Write(fd, word(1<<64-1))
	t.WantErr("write of all ones", err, unix.EINVAL)
	_, err = unix.Read(fd, buf[:7])
	t.WantErr("read of 7 bytes", err, unix.EINVAL)
	check.Equal(t, "counter", read(fd), 1<<64-2)

	// A number isn't bytes that could be copied in the kernel.
	file := openFile(t, tempDir(t)+"/numbers", os.O_RDWR|os.O_CREATE)
	t.Must(file.Truncate(64))
	_, err = unix.Sendfile(fd, int(file.Fd()), new(int64), 64)
	t.WantErr("sendfile to an eventfd", err, unix.EINVAL)
	var pipe [2]int
	t.Must(unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	_, err = unix.Write(pipe[1], make([]byte, 8))
	t.Must(err)
	_, err = unix.Splice(pipe[0], nil, fd, nil, 8, 0)
	t.WantErr("splice to an eventfd", err, unix.EINVAL)
	unix.Close(pipe[0])
	unix.Close(pipe[1])

	sem, err := unix.Eventfd(2, unix.EFD_SEMAPHORE|unix.EFD_NONBLOCK)
	t.Must(err)
	defer unix.Close(sem)
	check.Equal(t, "semaphore", read(sem), 1)
	check.Equal(t, "semaphore", read(sem), 1)
	_, err = unix.Read(sem, buf)
	t.WantErr("read of an empty semaphore", err, unix.EAGAIN)
}
