package vmm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// VM is a running virtual machine.
type VM struct {
	Started time.Time // when QEMU's process was about to be made

	Link io.ReadWriteCloser // frames of package hostlink, to and from the guest's port; open until Wait

	process  *os.Process
	monitor  *Monitor
	forwards []Forward
	boot     *Tail // COM1
	messages *Tail // QEMU's own standard error
	copies   sync.WaitGroup
	silent   chan struct{} // closed when all of COM1 is in boot, after QEMU's end
	ended    chan struct{} // closed when QEMU has ended
	state    *os.ProcessState
}

// tailSize is how much of the boot text and of QEMU's messages is kept, in bytes. A report of the kernel with a few hundred
// goroutines fits.
const tailSize = 512 << 10

// Start starts QEMU. The descriptors in m stay the caller's. While the guest boots, the text of its
// first serial port is also written to bootLog if that is not nil.
//
// QEMU lives in a process group of its own, so that the terminal's signals don't reach it, and the
// kernel kills it when this process ends, however it ends.
func Start(qemu string, m *Machine, bootLog io.Writer) (*VM, error) {
	var d descriptors
	defer d.closeTheirs()
	if err := d.open(); err != nil {
		d.closeOurs()
		return nil, err
	}
	allowDescriptors()
	cmd := exec.Command(qemu, m.Args()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = d.theirs[toGuest], d.theirs[fromGuest], d.theirs[messages]
	// bootFD and so on. Those that are nil are closed in QEMU.
	cmd.ExtraFiles = []*os.File{d.theirs[boot], d.theirs[monitor], m.Kernel, m.Bundle, m.Pcap, m.Vsock, m.GDB}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	vm := &VM{
		Started: time.Now(),
		Link:    link{d.ours[fromGuest], d.ours[toGuest]},
		monitor: &Monitor{ReadWriteCloser: d.ours[monitor]}, forwards: m.Forwards,
		boot: newTail(tailSize, bootLog), messages: newTail(tailSize, nil),
		silent: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := vm.supervise(cmd); err != nil {
		d.closeOurs()
		return nil, fmt.Errorf("starting QEMU: %w", err)
	}
	vm.copies.Add(2)
	go func() {
		defer close(vm.silent)
		vm.collect(vm.boot, d.ours[boot])
	}()
	go vm.collect(vm.messages, d.ours[messages])
	return vm, nil
}

// allowDescriptors raises the soft limit on descriptors to the hard one, for QEMU: its user network has one open for each
// connection of the guest, and the usual 1024 are few. Go does it for this process, but gives children the old limit unless
// it has been set. A system that doesn't permit it leaves things as they are.
func allowDescriptors() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return
	}
	_ = syscall.Setrlimit(unix.RLIMIT_NOFILE, &syscall.Rlimit{Cur: l.Max, Max: l.Max})
}

// The channels between wick and QEMU.
const (
	toGuest   = iota // pipe to the link
	fromGuest        // pipe from the link
	messages         // pipe from QEMU's standard error
	boot             // socket
	monitor          // socket
	channels         // their number
)

// descriptors are the two ends of each channel.
type descriptors struct{ ours, theirs [channels]*os.File }

func (d *descriptors) open() (err error) {
	if d.theirs[toGuest], d.ours[toGuest], err = os.Pipe(); err != nil {
		return err
	}
	if d.ours[fromGuest], d.theirs[fromGuest], err = os.Pipe(); err != nil {
		return err
	}
	if d.ours[messages], d.theirs[messages], err = os.Pipe(); err != nil {
		return err
	}
	if d.ours[boot], d.theirs[boot], err = socketPair("boot"); err != nil {
		return err
	}
	d.ours[monitor], d.theirs[monitor], err = socketPair("monitor")
	return err
}

func (d *descriptors) closeOurs()   { closeAll(d.ours) }
func (d *descriptors) closeTheirs() { closeAll(d.theirs) }

func closeAll(files [channels]*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// link is the two pipes of the frames.
type link struct {
	*os.File // from the guest
	to       *os.File
}

func (l link) Write(p []byte) (int, error) { return l.to.Write(p) }
func (l link) Close() error                { return errors.Join(l.File.Close(), l.to.Close()) }

// supervise starts QEMU and waits for its end on a thread of its own. The kernel sends the
// parent-death signal when the *thread* that started the process ends [prctl(2),
// PR_SET_PDEATHSIG]; so the thread does nothing else, and ends after QEMU.
func (vm *VM) supervise(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with this goroutine
		err := cmd.Start()
		vm.process = cmd.Process
		started <- err
		if err != nil {
			return
		}
		cmd.Wait() // its error repeats the state
		vm.state = cmd.ProcessState
		close(vm.ended)
	}()
	return <-started
}

func (vm *VM) collect(to *Tail, from *os.File) {
	defer vm.copies.Done()
	defer from.Close()
	io.Copy(to, from) // it ends when QEMU does
}

// Ended returns a channel that is closed when QEMU has ended.
func (vm *VM) Ended() <-chan struct{} { return vm.ended }

// Kill ends QEMU at once. It may be called at any time, and again.
func (vm *VM) Kill() { vm.process.Kill() }

// Pause stops QEMU, guest and all, as SIGSTOP does.
func (vm *VM) Pause() { vm.process.Signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (vm *VM) Resume() { vm.process.Signal(syscall.SIGCONT) }

// Wait waits for QEMU's end and returns what is to be said about it: "exit status 1", "signal:
// killed". The texts below are complete after it.
func (vm *VM) Wait() string {
	<-vm.ended
	vm.copies.Wait()
	vm.monitor.Close()
	vm.Link.Close()
	return vm.state.String()
}

// BootText returns the last of what the guest wrote to its first serial port.
func (vm *VM) BootText() string { return vm.boot.String() }

// Messages returns the last of what QEMU wrote to its standard error.
func (vm *VM) Messages() string { return vm.messages.String() }

// socketPair returns two connected stream sockets: ours, for use with the runtime's poller, and
// QEMU's. Neither is inherited by accident.
func socketPair(name string) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}
