package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// disconnect is connect(2) to an address of no family, which package unix can't express.
func disconnect(fd int) error {
	var none unix.RawSockaddr // Family 0 is AF_UNSPEC
	// SAFETY: connect(2) reads the structure, which lives until the call returns.
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&none)), unsafe.Sizeof(none))
	if errno != 0 {
		return errno
	}
	return nil
}
