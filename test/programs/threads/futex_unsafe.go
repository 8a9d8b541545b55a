package main

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2), all on memory of this process alone.
const (
	futexWaitOp       = 0 | 128
	futexWakeOp       = 1 | 128
	futexRequeueOp    = 3 | 128
	futexCmpRequeueOp = 4 | 128
	futexWaitBitsetOp = 9 | 128
	futexWakeBitsetOp = 10 | 128
)

// wait is FUTEX_WAIT; a negative timeout is none.
func wait(addr *uint32, val uint32, timeout time.Duration) syscall.Errno {
	var ts *unix.Timespec
	if timeout >= 0 {
		v := unix.NsecToTimespec(int64(timeout))
		ts = &v
	}
	// SAFETY: futex(2) reads the word at addr and the time at ts, which live until the call returns.
	_, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), futexWaitOp, uintptr(val),
		uintptr(unsafe.Pointer(ts)), 0, 0)
	return errno
}

// waitBitset is FUTEX_WAIT_BITSET, with an absolute time-out on the monotonic clock.
func waitBitset(addr *uint32, val uint32, until *unix.Timespec, bits uint32) syscall.Errno {
	// SAFETY: as in wait.
	_, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), futexWaitBitsetOp, uintptr(val),
		uintptr(unsafe.Pointer(until)), 0, uintptr(bits))
	return errno
}

// wake is FUTEX_WAKE; it returns how many were woken.
func wake(addr *uint32, n int) int {
	// SAFETY: futex(2) only compares the address.
	woken, _, _ := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), futexWakeOp, uintptr(n), 0, 0, 0)
	return int(woken)
}

// wakeBitset is FUTEX_WAKE_BITSET.
func wakeBitset(addr *uint32, n int, bits uint32) (int, syscall.Errno) {
	// SAFETY: as in wake.
	woken, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), futexWakeBitsetOp, uintptr(n),
		0, 0, uintptr(bits))
	return int(woken), errno
}

// cmpRequeue is FUTEX_CMP_REQUEUE: wakes n waiters of from, and moves up to limit others to to.
func cmpRequeue(from, to *uint32, n, limit int, val uint32) (int, syscall.Errno) {
	// SAFETY: futex(2) reads the word at from and only compares the address of to.
	moved, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(from)), futexCmpRequeueOp, uintptr(n),
		uintptr(limit), uintptr(unsafe.Pointer(to)), uintptr(val))
	return int(moved), errno
}

// requeue is FUTEX_REQUEUE: cmpRequeue whatever the word is.
func requeue(from, to *uint32, n, limit int) (int, syscall.Errno) {
	// SAFETY: futex(2) only compares the addresses.
	moved, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(from)), futexRequeueOp, uintptr(n),
		uintptr(limit), uintptr(unsafe.Pointer(to)), 0)
	return int(moved), errno
}

// raw does a futex call with whatever arguments.
func raw(addr uintptr, op int, val, ts uintptr) syscall.Errno {
	_, _, errno := syscall.Syscall6(unix.SYS_FUTEX, addr, uintptr(op), val, ts, 0, 0)
	return errno
}

// misaligned returns the address of a word that is not aligned.
func misaligned(words *[2]uint32) uintptr {
	// SAFETY: the address is only passed to the kernel, which refuses it.
	return uintptr(unsafe.Pointer(words)) + 1
}
