package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// kvmSetXCRS is the request [Linux, Documentation/virt/kvm/api.rst 4.37].
const kvmSetXCRS = 0x4188aea7

// call is struct seccomp_notif [seccomp_unotify(2)].
type call struct {
	ID         uint64
	PID, Flags uint32
	Number     int32
	Arch       uint32
	At         uint64
	Args       [6]uint64
}

// answer is struct seccomp_notif_resp.
type answer struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

// listen has this thread's calls of KVM_SET_XCRS wait for an answer, and returns the descriptor that tells of them.
func listen() (listener int, err error) {
	// Offsets of struct seccomp_data; of an argument the low half.
	const number, secondArgument = 0, 24
	const load, equal, end = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load, K: number},
		{Code: equal, K: unix.SYS_IOCTL, Jf: 3},
		{Code: load, K: secondArgument},
		{Code: equal, K: kvmSetXCRS, Jf: 1},
		{Code: end, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: end, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// SAFETY: the kernel copies the program before the call returns.
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return 0, errno
	}
	return int(fd), nil
}

// receive takes the next call.
func receive(listener int) (c call, err error) {
	// SAFETY: call has the 80 bytes of the request's number, and the kernel keeps no pointer to it.
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&c)))
	if errno != 0 {
		return call{}, errno
	}
	return c, nil
}

// goOn has the kernel do what was called for.
func goOn(listener int, id uint64) error {
	a := answer{ID: id, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	// SAFETY: answer has the 24 bytes of the request's number, and the kernel keeps no pointer to it.
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a))); errno != 0 {
		return errno
	}
	return nil
}
