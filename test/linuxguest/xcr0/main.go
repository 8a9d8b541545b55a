// Command xcr0 executes a program, such as QEMU, with its arguments, and has KVM take 7 where the program gives a virtual CPU the
// XCR0 that processors begin with, 1: x87, SSE and AVX state are on [SDM1 13.3].
//
// It is for a Linux guest whose processor QEMU's TCG emulates, AMD's virtualization included. There XSETBV in a machine of KVM's is
// executed though KVM intercepts it [APM2 15.9]: the guest has its XCR0, KVM doesn't know, and loads the one that it knows, 1, when it
// enters the machine the next time. Then the first instruction with a VEX prefix is an invalid one. With both at 7, as all
// systems set it that use AVX, KVM needs to know of no XSETBV. Where it is told of them this changes nothing.
//
// A second process of this program waits for the calls of the first's KVM_SET_XCRS, of which seccomp tells it [seccomp_unotify(2)].
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 1:
		// What the first process has inherited for the program mustn't stay open here.
		unix.CloseRange(programFD+1, ^uint(0), 0)
		err = serve(listenerFD, programFD)
	default:
		err = run(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "xcr0:", err)
		os.Exit(1)
	}
}

// Descriptors that the second process inherits: where it learns of calls, and the program's process.
const (
	listenerFD = 3 + iota
	programFD
)

// run executes a program with the filter.
func run(args []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // the filter is the thread's, and goes on to what it executes
	listener, err := listen()
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	program, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(listener), "listener"), os.NewFile(uintptr(program), "program")}
	if err := cmd.Start(); err != nil {
		return err
	}
	return unix.Exec(path, args, os.Environ())
}

// serve answers calls until the program has ended. (This process has the filter, too, so the listener sees no end.)
func serve(listener, program int) error {
	for {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}, {Fd: int32(program), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return err
		}
		if fds[1].Revents != 0 {
			return nil
		}
		c, err := receive(listener)
		if err == unix.ENOENT || err == unix.EINTR { // the caller has ended, or was interrupted and calls again
			continue
		}
		if err != nil {
			return err
		}
		if err := change(c.PID, c.Args[2]); err != nil {
			return err
		}
		if err := goOn(listener, c.ID); err != nil && err != unix.ENOENT {
			return err
		}
	}
}

// Of struct kvm_xcrs [Linux, Documentation/virt/kvm/api.rst 4.37]: the value of the first register, which is XCR0.
const xcr0At = 16

// change makes XCR0 7 in the structure at an address of a process, if it is 1.
func change(pid uint32, address uint64) error {
	memory, err := os.OpenFile("/proc/"+strconv.Itoa(int(pid))+"/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	var value [8]byte
	at := int64(address) + xcr0At
	if _, err := memory.ReadAt(value[:], at); err != nil {
		return err
	}
	const atReset, withAVX = 1, 7
	if binary.LittleEndian.Uint64(value[:]) != atReset {
		return nil
	}
	binary.LittleEndian.PutUint64(value[:], withAVX)
	_, err = memory.WriteAt(value[:], at)
	return err
}
