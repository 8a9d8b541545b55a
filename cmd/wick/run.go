package main

import (
	"crypto/rand"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"wick/bundle"
	"wick/vmm"
	"wick/vmm/embedded"
	"wick/vmm/preflight"
	"wick/vmm/session"
)

// envKernel names a kernel image to boot instead of the one in wick; for work on the kernel.
const envKernel = "WICK_KERNEL"

// bootTimeout is how long the kernel may take until it listens: about 500 times what it takes, for
// hosts under heavy load. Then it hangs and wick says so.
const bootTimeout = 60 * time.Second

// runFlags are the flags of wick run.
type runFlags struct {
	machineFlags
	capture captureFlags
	vsock   vsockFlags
	dump    string
	gdb     uint16 // the port
	debug   bool   // gdb has been given
	verbose bool
	timing  bool
}

func newRun() *cobra.Command {
	f := new(runFlags)
	cmd := &cobra.Command{
		Use:   "run [flags] PROGRAM [ARG…]",
		Short: "Run a program in a virtual machine of its own",
		Long: `Run boots a static Linux/amd64 program in a new virtual machine and connects it with this terminal:
standard input, output and error, its signals and its exit status. Everything behind PROGRAM is passed to it.

Ctrl-C reaches the program as SIGINT; a second one, or SIGTERM or SIGHUP to wick, stops the machine.
Ctrl-\ reaches the program as SIGQUIT. After a second one the kernel reports, without the program's help, what its
processors, its goroutines and the program's threads are doing, and the last system calls and packets; the
program goes on. If the kernel fails, or a processor hangs in it, the same report is printed.

In the machine the host's own 127.0.0.1 is 10.0.2.2. Only published ports lead into it.

The machine's file system is in its memory: it has the program, what --file copies into it, and what the program writes. --file
takes directories with all in them. A relative GUEST is meant from --workdir; GUEST/ is the directory for HOST; without GUEST a
file keeps its name, so that a program finds conf/app.conf where it finds it here.

The machine is QEMU's microvm, which starts fastest and has no PCI bus, unless --machine names another. With --nic e1000, which
needs a PCI bus, it is a pc.

The capture of --pcap is the kernel's own: names, directions and nanoseconds, and why it dropped what it dropped. It
never slows the network down. What comes faster than the way to the host takes it, some ten megabytes a second, waits in
the kernel's memory; what finds no room there is counted, in the capture and at the end of the run.
--snaplen 96 makes room for many more packets.

--gdb waits for gdb. In the sources of wick, after make build:
  gdb -x tools/gdb/wick.py out/kernel.elf -ex 'target remote 127.0.0.1:PORT'
has commands that show the kernel's goroutines and the program's threads; docs/debugging.md tells more.

Exit status: the program's own; 128+N if signal N killed it or stopped the machine; 125 if wick, QEMU or
the kernel failed, or the capture and nothing else; 126 if PROGRAM can't be run; 127 if there is no such file.

Environment: WICK_QEMU names another QEMU, WICK_KERNEL another kernel image than the one in wick.`,
		Example: `  wick run ./hello
  wick run -p 8080:80 -p 5353:53/udp ./server -verbose
  wick run --file conf --file /etc/app:/etc/ ./server conf/app.conf
  wick run -p 0.0.0.0:8080:80 ./server              let others reach it, not only this host
  wick run --dump ./client 2>packets.txt            a line for each packet
  wick run --dump=full --pcap out.pcapng ./client   with all fields, and a capture for Wireshark
  wick run --pcap out.pcapng --rotate 10M:5 ./x     the newest 50 MiB of packets
  wick run --pcap >(wick dump --stats -) ./client   packets to another program, by a pipe of bash's
  echo hello | wick run ./filter | wc -c`,
		Args: programArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.debug = cmd.Flags().Changed("gdb")
			return f.run(args)
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().StringVar(&f.dump, "dump", "", "print packets to standard error, in the `FORM` line (a line each) or full")
	cmd.Flags().Lookup("dump").NoOptDefVal = "line"
	f.capture.add(cmd.Flags())
	f.vsock.add(cmd.Flags())
	cmd.Flags().Uint16Var(&f.gdb, "gdb", 0, "wait for a debugger at 127.0.0.1:`PORT`; 0 picks a free one")
	cmd.Flags().BoolVar(&f.timing, "timing", false, "print how long the start took, part by part, after the program's first output")
	cmd.Flags().BoolVar(&f.machine.SerialLink, "serial-link", false, "talk to the kernel over its second serial port")
	cmd.Flags().MarkHidden("serial-link") // for tests of the kernel
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print the kernel log, unimplemented system calls and QEMU's command line")
	return cmd
}

// run does wick run. What can be found wrong before a machine starts is.
func (f *runFlags) run(args []string) error {
	if err := f.parse(); err != nil {
		return err
	}
	if f.dump != "" && f.dump != "line" && f.dump != "full" {
		return fmt.Errorf("--dump: %q is neither line nor full", f.dump)
	}
	if err := f.capture.parse(); err != nil {
		return err
	}
	if err := f.checkPackets(); err != nil {
		return err
	}
	qemu, err := vmm.FindQEMU()
	if err != nil {
		return err
	}
	kvm := f.checkKVMEarly()
	kernel := openKernelEarly()
	defer kernel.close()
	program, err := preflight.Open(args[0])
	if err != nil {
		return err
	}
	if err := vmm.CheckForwards(f.machine.Forwards); err != nil {
		return fmt.Errorf("--publish: %w", err)
	}
	if f.debug {
		if f.machine.GDB, f.gdb, err = vmm.ListenGDB(f.gdb); err != nil {
			return fmt.Errorf("--gdb: %w", err)
		}
		defer f.machine.GDB.Close()
	}
	if f.machine.Pcap, err = f.capture.openQEMU(args[0]); err != nil {
		return err
	}
	defer f.machine.Pcap.Close() // of nil, too
	terminal, terminals := session.OpenTerminal()
	if f.machine.Bundle, err = f.bundle(program, args[1:], terminal, terminals); err != nil {
		return err
	}
	defer f.machine.Bundle.Close()
	if f.machine.Kernel, err = kernel.wait(); err != nil {
		return err
	}
	if err := f.checkMemory(); err != nil {
		return err
	}
	if err := f.chooseAccel(kvm); err != nil {
		return err
	}
	capture, err := f.capture.open(args[0])
	if err != nil {
		return err
	}
	vsock, err := f.vsock.open(&f.machine)
	if err != nil {
		return err
	}
	return f.start(qemu, terminal, capture, &vsock)
}

// checkPackets checks whether there can be packets to look at. QEMU captures those of the network card only.
func (f *runFlags) checkPackets() error {
	vsock := f.vsock.wanted()
	switch {
	case f.machine.NIC != vmm.NoNIC:
	case f.capture.qemu != "" || f.capture.path != "" && !vsock:
		return fmt.Errorf("--pcap: %w", errNoNIC)
	case f.dump != "" && !vsock:
		return fmt.Errorf("--dump: %w", errNoNIC)
	}
	return nil
}

// checkKVMEarly starts to find out whether KVM works, unless it isn't wanted: that takes a few milliseconds, too.
func (f *runFlags) checkKVMEarly() <-chan error {
	if f.machine.Accel == vmm.TCG {
		return nil
	}
	result := make(chan error, 1)
	go func() { result <- vmm.CheckKVM() }()
	return result
}

// chooseAccel makes KVM or TCG of autoAccel, and sees that KVM works if it was asked for. kvm tells whether it does.
func (f *runFlags) chooseAccel(kvm <-chan error) error {
	if f.machine.Accel == vmm.TCG {
		return nil
	}
	err := <-kvm
	switch {
	case err == nil:
		f.machine.Accel = vmm.KVM
	case f.machine.Accel == vmm.KVM:
		return fmt.Errorf("--accel: KVM can't be used: %w", err)
	default:
		f.machine.Accel = vmm.TCG
		if f.verbose {
			complain(fmt.Errorf("KVM can't be used, so the processor is emulated: %w", err))
		}
	}
	return nil
}

// leastMemory is what a machine needs besides what is loaded into it, in bytes: the kernel refuses to
// start with less.
const leastMemory = 9 << 20

// checkMemory finds the machines that QEMU could not start: those for which it would only tell that an "initrd is too
// large", and those that are larger than the host.
func (f *runFlags) checkMemory() error {
	if has := hostMemory(); f.machine.Memory > has {
		return fmt.Errorf("--memory: %s is more than this host has, which is %dM", f.memory, has>>20)
	}
	var loaded int64
	for _, file := range []*os.File{f.machine.Kernel, f.machine.Bundle} {
		info, err := file.Stat()
		if err != nil {
			return err
		}
		loaded += info.Size()
	}
	_, err := f.enoughMemory(loaded)
	return err
}

// enoughMemory returns how much memory a machine needs, in MiB, into which so many bytes are loaded, and an error if it has less.
func (f *machineFlags) enoughMemory(loaded int64) (leastMiB int64, err error) {
	needed := leastMemory + loaded
	leastMiB = (needed + 1<<20 - 1) >> 20
	if f.machine.Memory < needed {
		err = fmt.Errorf("--memory: %s is too little for this program: at least %dM, better twice that", f.memory, leastMiB)
	}
	return leastMiB, err
}

// hostMemory is the memory and swap of the host in bytes.
func hostMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return math.MaxInt64 // QEMU will tell
	}
	return int64((info.Totalram + info.Totalswap) * uint64(info.Unit))
}

// kernelFile is the kernel image while it is being copied into memory.
type kernelFile struct {
	done chan struct{}
	file *os.File
	err  error
}

// openKernelEarly starts to open the kernel image: copying it takes a few milliseconds, in which
// the rest gets ready.
func openKernelEarly() *kernelFile {
	k := &kernelFile{done: make(chan struct{})}
	go func() {
		defer close(k.done)
		if path := os.Getenv(envKernel); path != "" {
			if k.file, k.err = os.Open(path); k.err != nil {
				k.err = fmt.Errorf("%s: %w", envKernel, k.err)
			}
			return
		}
		k.file, k.err = embedded.Open()
	}()
	return k
}

func (k *kernelFile) wait() (*os.File, error) {
	<-k.done
	return k.file, k.err
}

func (k *kernelFile) close() {
	if file, err := k.wait(); err == nil {
		file.Close()
	}
}

// bundle writes the bundle of this run to an anonymous file.
func (f *runFlags) bundle(p *preflight.Program, args []string, terminal *session.Terminal, terminals [3]bool) (*os.File, error) {
	files, programPath, err := f.initialFiles(p)
	if err != nil {
		return nil, err
	}
	env := environment
	if term := os.Getenv("TERM"); term != "" && terminal != nil {
		env = append(slices.Clone(env), "TERM="+term)
	}
	cfg := f.programConfig(programPath, args, mergeEnv(env, f.env))
	cfg.Terminal = terminals
	if terminal != nil {
		if w, ok := terminal.Size(); ok {
			cfg.Rows, cfg.Columns = w.Rows, w.Columns
		}
	}
	if f.machine.NIC != vmm.NoNIC {
		cfg.Address, cfg.Gateway, cfg.DNS = vmm.GuestAddress, vmm.Gateway, vmm.DNS
	}
	cfg.Dump, cfg.Verbose, cfg.Timing = f.dump, f.verbose, f.timing
	cfg.Capture, cfg.SnapLen = f.capture.path != "", uint32(f.capture.snapLen)
	cfg.FixedAddresses = f.debug // breakpoints are set before the program is loaded
	cfg.Seed = make([]byte, 32)
	rand.Read(cfg.Seed) // never fails
	cfg.Now = time.Now()

	fd, err := unix.MemfdCreate("wick-bundle", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "wick-bundle")
	if err := bundle.Build(file, cfg, files); err != nil {
		file.Close()
		return nil, describeBundle(err)
	}
	return file, nil
}

// start starts the machine and stays until its end.
func (f *runFlags) start(qemu string, terminal *session.Terminal, c *capture, vsock *vsockDevice) error {
	defer vsock.close()
	signals := session.Notify()
	var bootLog *os.File
	if f.verbose {
		bootLog = os.Stderr
		fmt.Fprintln(os.Stderr, "wick:", qemu, strings.Join(f.machine.Args(), " "))
	}
	vm, err := startVM(qemu, &f.machine, bootLog)
	if f.machine.Vsock != nil {
		f.machine.Vsock.Close()
	}
	if err != nil {
		return err
	}
	vsock.serve()
	defer vm.Kill()
	if terminal != nil {
		defer terminal.Restore()
	}
	if f.debug {
		fmt.Fprintf(os.Stderr, "wick: the machine waits for a debugger: gdb -ex 'target remote 127.0.0.1:%d'\n", f.gdb)
	}
	ports := askPorts(vm)
	s := &session.Session{
		VM: vm, Link: vm.Link,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: terminal, Signals: signals,
		OnReady: func() {
			if err := vm.Listen(); err != nil && f.verbose {
				complain(fmt.Errorf("bursts of connections to published ports will wait: %w", err))
			}
			ports.print()
			vsock.print()
		},
		Report: func() { tellReport(vm, f.verbose) },
	}
	if c != nil {
		s.Capture = c
	}
	if !f.debug {
		s.BootTimeout = bootTimeout
	}
	report := func(t session.Times) string { return "wick: " + t.Report(began, vm.Started) }
	if f.timing {
		s.OnOutput = report
	}
	result := s.Run()
	if terminal != nil {
		terminal.Restore()
	}
	if f.timing && result.Times.Output.IsZero() {
		fmt.Fprint(os.Stderr, report(result.Times))
	}
	err = conclude(vm, &result, f.verbose)
	if c != nil && !c.close(result.Exited) && err == nil {
		return errFailed
	}
	return err
}

// startVM is vmm.Start, with no file and not a nil one in the interface.
func startVM(qemu string, m *vmm.Machine, bootLog *os.File) (*vmm.VM, error) {
	if bootLog == nil {
		return vmm.Start(qemu, m, nil)
	}
	return vmm.Start(qemu, m, bootLog)
}

// ports are the published ports while QEMU is being asked for those that it picks.
type ports struct {
	done     chan struct{}
	forwards []vmm.Forward
	err      error
}

func askPorts(vm *vmm.VM) *ports {
	p := &ports{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.forwards, p.err = vm.Forwards()
	}()
	return p
}

// print tells the user where the guest's ports are.
func (p *ports) print() {
	<-p.done
	if p.err != nil {
		complain(p.err)
	}
	for _, f := range p.forwards {
		fmt.Fprintln(os.Stderr, "wick:", f)
	}
}

// errFailed is returned when what is wrong has been told in more than one line.
var errFailed = statusError(statusFailure)

// conclude turns the end of a session into wick's exit status and says what is to be said.
func conclude(vm *vmm.VM, r *session.Result, verbose bool) error {
	ending := vm.Wait()
	if r.Skipped > 0 {
		complain(fmt.Errorf("warning: %d bytes on the channel from the guest were no frames", r.Skipped))
	}
	switch {
	case r.Exited && !r.Exit.Signalled:
		if r.Exit.Number == 0 {
			return nil
		}
		return statusError(r.Exit.Number & 0xff) // exit(3): the low eight bits
	case r.Exited:
		sig := unix.Signal(r.Exit.Number)
		if sig != unix.SIGINT && sig != unix.SIGPIPE { // a shell is silent about these, too
			complain(fmt.Errorf("the program was killed by %s: %s", unix.SignalName(sig), sig))
		}
		return statusError(statusBySignal + int(sig)&0x7f)
	case r.Stopped != 0:
		if r.Stopped != unix.SIGPIPE {
			complain(fmt.Errorf("%s: the machine has been stopped", unix.SignalName(r.Stopped)))
		}
		return statusError(statusBySignal + int(r.Stopped))
	}
	if reason, text := vm.Panic(); reason != "" {
		complain(fmt.Errorf("the kernel has failed, and the program has ended with it: %s", reason))
		if !verbose {
			showPanic(text)
		}
		return errFailed
	}
	complain(failure(vm, r, ending))
	// Where QEMU has told why it ended before the kernel began, there is nothing to add.
	if text := vm.BootText(); !verbose && (text != "" || vm.Messages() == "") {
		showBoot(text)
	}
	return errFailed
}

// failure says why there is no exit status.
func failure(vm *vmm.VM, r *session.Result, ending string) error {
	message := strings.TrimSpace(vm.Messages())
	switch {
	case r.Err != nil:
		return r.Err
	case r.TimedOut:
		return fmt.Errorf("the kernel did not start within %s", bootTimeout)
	case message != "":
		return fmt.Errorf("QEMU ended (%s): %s", ending, message)
	case !r.Ready:
		return fmt.Errorf("the machine ended before the program started (QEMU: %s)", ending)
	}
	return fmt.Errorf("the machine ended and did not tell the program's exit status (QEMU: %s)", ending)
}
