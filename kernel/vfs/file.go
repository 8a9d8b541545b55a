// Package vfs is what stands behind file descriptors: open files, the descriptor table, pipes,
// eventfds, epoll, tmpfs, and the device and /proc files.
//
// Files never block. An operation that can't go on returns unix.EAGAIN, and the caller waits for
// the file's waiter queue (see Wait). Errors are unix.Errno values.
//
// Locks, in the order in which they are taken:
//
//	OpenFile.posMu   the position; held over a read or write of a file that has one
//	FS.mu            the tree: names, parents, links
//	Epoll.mu         the interest list; an outer epoll's before an inner one's
//	a file's lock    (pipe, node, socket, …)
//	waiter.Queue     held over the callbacks of its entries
//	Epoll.readyMu    the ready list
//	OpenFile.watchMu, Table.mu   leaves
//
// Program memory (Dst, Src, Memory) may fault and ask a file for a page, so it is touched only under posMu, the
// locks of files that can't be mapped and Regular.writeMu. With the lock of an address space (mm.Space) the order is
//
//	OpenFile.posMu, FS.mu, Regular.writeMu   before it: held over copies, or when pages are taken out of mappings
//	Regular.mu, inode.mu                     after it: taken by page faults and when a mapping goes
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
// that implement Sizer); streams ignore it. Write may fetch more of src than the count that it
// returns: what counts as written is the count, and after unix.EAGAIN it is nothing.
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
	// Appender writes at the end of the file, whatever else writes to it, and tells the new end.
	Appender interface {
		Append(src Src) (n, end int64, err error)
	}
	// DirReader lists a directory. It calls emit for the entries from position pos on, until emit
	// returns false; next is the position after the entry. typ is a DT_ value.
	DirReader interface {
		ReadDir(pos int64, emit func(ino uint64, typ uint8, name string, next int64) bool) error
	}
	// Ioctler answers ioctl(2). mem reads and writes program memory at arg.
	Ioctler interface {
		Ioctl(mem Memory, cmd, arg uint64) (uint64, error)
	}
	// PathHolder knows the path it was opened by, for /proc/self/fd and fchdir.
	PathHolder interface {
		Path() string
	}
	// NodeHolder is a file that stands for a node of the tree.
	NodeHolder interface {
		Node() Node
	}
	// Reopener is a file without a node that open(2) of its /proc/self/fd link opens anew.
	Reopener interface {
		Reopen(flags uint32) (File, error)
	}
)

// Memory is a program's memory at addresses that it names. Errors are unix.EFAULT.
type Memory interface {
	CopyIn(dst []byte, va uint64) error
	CopyOut(va uint64, src []byte) error
}

// alwaysReady is the readiness of files that never make anyone wait. epoll refuses them, as
// Linux refuses files without a poll operation (EPERM).
type alwaysReady struct{}

const alwaysReadyEvents = waiter.EventIn | waiter.EventOut | waiter.EventRdNorm | waiter.EventWrNorm

// Readiness is DEFAULT_POLLMASK of Linux.
func (alwaysReady) Readiness(mask waiter.EventMask) waiter.EventMask { return mask & alwaysReadyEvents }

// EventRegister does nothing: the readiness never changes.
func (alwaysReady) EventRegister(*waiter.Entry) error { return nil }

// EventUnregister does nothing.
func (alwaysReady) EventUnregister(*waiter.Entry) {}

func (alwaysReady) unpollable() {}

// Close has nothing to give up.
func (alwaysReady) Close() error { return nil }

// Pollable tells whether epoll can watch f.
func Pollable(f File) bool {
	_, no := f.(interface{ unpollable() })
	return !no
}
