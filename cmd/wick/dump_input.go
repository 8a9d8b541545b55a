package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"wick/packet/dump"
)

// reader returns a reader of file that is at its end when s is.
func (s *stop) reader(file *os.File, follow bool) io.Reader {
	if follow {
		return dump.Follow(file, s.done)
	}
	return &stoppable{file, s}
}

// stoppable reads what may keep it waiting: a pipe or a terminal.
type stoppable struct {
	file *os.File
	stop *stop
}

func (r *stoppable) Read(b []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(r.file.Fd()), Events: unix.POLLIN}, {Fd: int32(r.stop.pipe.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, os.NewSyscallError("poll", err)
		}
		if fds[1].Revents != 0 {
			return 0, io.EOF
		}
		return r.file.Read(b)
	}
}
