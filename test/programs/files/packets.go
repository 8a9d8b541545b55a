package main

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// wantRead reads up to n bytes.
func wantRead(t *check.T, fd, n int, want string) {
	buf := make([]byte, n)
	got, err := unix.Read(fd, buf)
	t.Must(err)
	if string(buf[:got]) != want {
		t.Errorf("read %.20q (%d bytes), want %.20q (%d)", buf[:got], got, want, len(want))
	}
}

func wantWrite(t *check.T, fd int, b string, want int) {
	n, err := unix.Write(fd, []byte(b))
	t.Must(err)
	check.Equal(t, "bytes written", n, want)
}

// pipePackets has a pipe with O_DIRECT, pipe2(2).
func pipePackets(t *check.T) {
	r, w := newPipe(t, unix.O_DIRECT|unix.O_NONBLOCK|unix.O_CLOEXEC)
	flags, err := unix.FcntlInt(uintptr(w), unix.F_GETFL, 0)
	t.Must(err)
	check.Equal(t, "O_DIRECT of F_GETFL", flags&unix.O_DIRECT, unix.O_DIRECT)
	wantWrite(t, w, "one", 3)
	wantWrite(t, w, "second", 6)
	wantWrite(t, w, "", 0)
	wantWrite(t, w, "3", 1)
	n, err := unix.IoctlGetInt(r, unix.TIOCINQ)
	t.Must(err)
	check.Equal(t, "bytes in the pipe", n, 10)
	wantRead(t, r, 100, "one")
	wantRead(t, r, 2, "se") // the rest is dropped
	wantRead(t, r, 1, "3")
	_, err = unix.Read(r, make([]byte, 1))
	t.WantErr("read of an empty pipe", err, unix.EAGAIN)

	// What is longer than PIPE_BUF is several packets.
	long := string(pattern(2*os.Getpagesize() + 10))
	wantWrite(t, w, long, len(long))
	wantRead(t, r, 1<<16, long[:4096])
	wantRead(t, r, 10, long[4096:4106])
	wantRead(t, r, 1<<16, long[8192:])

	// Each takes a page, of which there are 16.
	for range 16 {
		wantWrite(t, w, "x", 1)
	}
	_, err = unix.Write(w, []byte("x"))
	t.WantErr("write of packet 17", err, unix.EAGAIN)
	p := []unix.PollFd{{Fd: int32(w), Events: unix.POLLOUT}}
	_, err = t.Poll(p, 0)
	t.Must(err)
	check.Equal(t, "poll of a full pipe", p[0].Revents, 0)
	_, err = unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 4096)
	t.WantErr("a size for fewer packets", err, unix.EBUSY)
	_, err = unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 1<<17)
	t.Must(err)
	wantWrite(t, w, "last", 4)
	for range 16 {
		wantRead(t, r, 10, "x")
	}
	wantRead(t, r, 10, "last")
}

// pipePacketsAndBytes changes O_DIRECT of a pipe's write end.
func pipePacketsAndBytes(t *check.T) {
	r, w := newPipe(t, unix.O_NONBLOCK|unix.O_CLOEXEC)
	set := func(flags int) {
		_, err := unix.FcntlInt(uintptr(w), unix.F_SETFL, unix.O_NONBLOCK|flags)
		t.Must(err)
	}
	set(unix.O_DIRECT)
	wantWrite(t, w, "cdef", 4)
	wantWrite(t, w, "gh", 2)
	set(0)
	wantWrite(t, w, "ij", 2)
	wantWrite(t, w, "kl", 2)
	wantRead(t, r, 2, "cd")
	wantRead(t, r, 10, "gh")
	wantRead(t, r, 3, "ijk")
	wantRead(t, r, 3, "l")

	// Bytes that fill their page, and a packet behind them: a read goes on into it, and drops the rest.
	page := string(pattern(4096))
	wantWrite(t, w, page, 4096)
	set(unix.O_DIRECT)
	wantWrite(t, w, "packet", 6)
	wantRead(t, r, 4000, page[:4000])
	wantRead(t, r, 98, page[4000:]+"pa")
	wantWrite(t, w, "next", 4)
	wantRead(t, r, 10, "next")

	// A reader that faults loses nothing.
	set(unix.O_DIRECT)
	wantWrite(t, w, string(bytes.Repeat([]byte("p"), 100)), 100)
	if _, _, err := unix.Syscall(unix.SYS_READ, uintptr(r), 8, 200); err != unix.EFAULT {
		t.Errorf("read to address 8: %v, want EFAULT", err)
	}
	wantRead(t, r, 200, string(bytes.Repeat([]byte("p"), 100)))
}
