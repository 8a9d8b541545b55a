// Package vfs is what stands behind file descriptors: open files, the descriptor table, pipes,
// eventfds, epoll, tmpfs, and the device and /proc files.
//
// Files never block. An operation that can't go on returns unix.EAGAIN, and the caller waits for
// the file's waiter queue (see Wait). Errors are unix.Errno values.
package vfs

import (
	"io"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Dst is memory of a program that a file reads into. Write stores the next bytes and returns
// unix.EFAULT, with the count stored, where the memory ends or isn't writable.
type Dst interface {
	io.Writer
	Len() int // bytes of room left
}

// Src is memory of a program that a file writes from. Read fetches the next bytes.
type Src interface {
	io.Reader
	Len() int // bytes left
}

// File is one open file description's object: a regular file, a directory, a pipe end, a socket, …
//
// Read and Write move as much as they can without waiting: 0 with a nil error is the end of the
// file; nothing to do yet is unix.EAGAIN. off is the position for files that have positions (those
// that implement Sizer); streams ignore it.
type File interface {
	Read(dst Dst, off int64) (int64, error)
	Write(src Src, off int64) (int64, error)
	Stat() (unix.Stat_t, error)
	waiter.Waitable // Readiness in poll(2) bits, and notification of its changes
	Close() error   // called once, when the last descriptor is gone
}

// Optional interfaces of a File.
type (
	// Sizer is a file with a position: lseek, pread and pwrite work on it.
	Sizer interface {
		Size() (int64, error)
		Truncate(size int64) error
	}
	// Ioctler answers ioctl(2). mem reads and writes program memory at arg.
	Ioctler interface {
		Ioctl(mem Memory, cmd, arg uint64) (uint64, error)
	}
	// PathHolder knows the path it was opened by, for /proc/self/fd and fchdir.
	PathHolder interface {
		Path() string
	}
)

// Memory is a program's memory at addresses that it names. Errors are unix.EFAULT.
type Memory interface {
	CopyIn(dst []byte, va uint64) error
	CopyOut(va uint64, src []byte) error
}
