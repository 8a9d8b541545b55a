package net

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of x/sys/unix that hide the socket address or the length of a value, done raw.

// addrOf is the address of b's first byte, or 0.
func addrOf(b []byte) uintptr {
	if len(b) == 0 {
		return 0
	}
	// SAFETY: the callers keep b alive over the system call, and it isn't on a stack that moves: it escapes here.
	return uintptr(unsafe.Pointer(&b[0]))
}

func (w native) bind(fd int, sa []byte) error {
	keep(sa, nil)
	_, _, e := unix.Syscall(unix.SYS_BIND, uintptr(fd), addrOf(sa), uintptr(len(sa)))
	return rawErr(e)
}

func (w native) connect(fd int, sa []byte) error {
	keep(sa, nil)
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), addrOf(sa), uintptr(len(sa)))
	return rawErr(e)
}

// kept makes what is passed to system calls escape to the heap.
var kept atomic.Pointer[[2][]byte]

func keep(a, b []byte) { kept.Store(&[2][]byte{a, b}) }

func (w native) fetchAddr(call uintptr, fd int) (int, []byte, error) {
	b := make([]byte, 128)
	n := []byte{128, 0, 0, 0}
	keep(b, n)
	r, _, e := unix.Syscall6(call, uintptr(fd), addrOf(b), addrOf(n), 0, 0, 0)
	if e != 0 {
		return -1, nil, e
	}
	return int(r), b[:n[0]], nil
}

func (w native) accept(fd int) (int, []byte, error) { return w.fetchAddr(unix.SYS_ACCEPT4, fd) }

func (w native) name(fd int) ([]byte, error) {
	_, sa, err := w.fetchAddr(unix.SYS_GETSOCKNAME, fd)
	return sa, err
}

func (w native) peer(fd int) ([]byte, error) {
	_, sa, err := w.fetchAddr(unix.SYS_GETPEERNAME, fd)
	return sa, err
}

func (w native) msghdr(b, sa, control []byte) *unix.Msghdr {
	iov := new(unix.Iovec)
	h := &unix.Msghdr{Iov: iov, Iovlen: 1}
	if len(b) > 0 {
		iov.Base = &b[0]
		iov.SetLen(len(b))
	}
	if len(sa) > 0 {
		h.Name, h.Namelen = &sa[0], uint32(len(sa))
	}
	if len(control) > 0 {
		h.Control = &control[0]
		h.SetControllen(len(control))
	}
	return h
}

func (w native) sendmsg(fd int, b, to, control []byte, flags int) (int, error) {
	h := w.msghdr(b, to, control)
	// SAFETY: h is a live struct msghdr for the time of the call.
	n, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(h)), uintptr(flags|unix.MSG_NOSIGNAL))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func (w native) recvmsg(fd, room, control, flags int) (recvResult, error) {
	b, sa, c := make([]byte, room), make([]byte, 128), make([]byte, control)
	h := w.msghdr(b, sa, c)
	// SAFETY: h is a live struct msghdr for the time of the call.
	n, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(h)), uintptr(flags))
	if e != 0 {
		return recvResult{}, e
	}
	return recvResult{b[:min(int(n), room)], sa[:h.Namelen], c[:h.Controllen], int(h.Flags), int(n)}, nil
}

func (w native) setopt(fd, level, name int, v []byte) error {
	keep(v, nil)
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), addrOf(v), uintptr(len(v)), 0)
	return rawErr(e)
}

func (w native) getopt(fd, level, name, room int) ([]byte, error) {
	b := make([]byte, room)
	n := []byte{byte(room), byte(room >> 8), 0, 0}
	keep(b, n)
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), addrOf(b), addrOf(n), 0)
	if e != 0 {
		return nil, e
	}
	return b[:int(n[0])|int(n[1])<<8], nil
}
