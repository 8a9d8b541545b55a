package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"wick/vmm"
	"wick/vmm/embedded"
	"wick/vmm/session"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Tell what is installed, what is missing and how to get it",
		Long: `Doctor looks at everything that wick uses and prints a line for each thing. Its exit status is not 0
if something is missing without which wick run does not work.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var d doctor
			d.examine()
			d.print(cmd.OutOrStdout())
			if d.sick() {
				return statusError(1)
			}
			return nil
		},
	}
}

// verdict says how bad a finding is.
type verdict int

const (
	good     verdict = iota
	note             // wick works; something optional is not there
	problem          // wick run does not work
	verdicts         // their number
)

func (v verdict) String() string { return [verdicts]string{"ok", "--", "MISSING"}[v] }

// finding is a line of the report.
type finding struct {
	verdict verdict
	what    string // "QEMU"
	text    string // what was found
	advice  string // what to do, if anything
}

// doctor collects findings.
type doctor struct{ findings []finding }

func (d *doctor) add(v verdict, what, text, advice string) {
	d.findings = append(d.findings, finding{v, what, text, advice})
}

func (d *doctor) sick() bool {
	return slices.ContainsFunc(d.findings, func(f finding) bool { return f.verdict == problem })
}

func (d *doctor) examine() {
	d.kernel()
	d.qemu()
	d.kvm()
	d.memory()
	d.terminal()
	d.tool("tshark", "reads what --pcap writes", "tshark")
	d.tool("tcpdump", "reads what --pcap writes", "tcpdump")
	d.tool("gdb", "debugs the machine with --gdb", "gdb")
	d.ping()
}

func (d *doctor) kernel() {
	if path := os.Getenv(envKernel); path != "" {
		if _, err := os.Stat(path); err != nil {
			d.add(problem, "kernel", fmt.Sprintf("%s: %v", envKernel, err), "unset "+envKernel)
			return
		}
		d.add(good, "kernel", path+" (by "+envKernel+")", "")
		return
	}
	size, err := embedded.Size()
	if err != nil {
		d.add(problem, "kernel", "this wick was built without one", "make build")
		return
	}
	d.add(good, "kernel", fmt.Sprintf("in wick, %.1f MiB", float64(size)/(1<<20)), "")
}

func (d *doctor) qemu() {
	path, err := vmm.FindQEMU()
	if err != nil {
		d.add(problem, "QEMU", err.Error(), "")
		return
	}
	version, err := vmm.QEMUVersion(path)
	if err != nil {
		d.add(problem, "QEMU", err.Error(), "")
		return
	}
	d.add(good, "QEMU", version+" ("+path+")", "")
	if major := 0; sscan(version, &major) && major < 6 {
		d.add(note, "QEMU version", "wick is tested with 7.2 and later", "install a newer one if machines fail to start")
	}
	d.has("machine types", vmm.MachineTypes, path, vmm.QEMUMachines)
	d.has("accelerator", []string{"tcg"}, path, vmm.QEMUAccelerators)
	d.has("user networking", []string{"user"}, path, vmm.QEMUNetdevs)
	for _, nic := range vmm.NICDevices {
		if found, err := vmm.QEMUHasDevice(path, nic); err != nil || !found {
			d.add(problem, "network card", "this QEMU has no "+nic, "install a complete QEMU: "+vmm.InstallHint("qemu-system-x86"))
		} else {
			d.add(good, "network card", nic, "")
		}
	}
	for _, device := range append([]string{vmm.LinkDevice}, vmm.RNGDevices...) {
		if found, err := vmm.QEMUHasDevice(path, device); err != nil || !found {
			d.add(problem, "other devices", "this QEMU has no "+device, "install a complete QEMU: "+vmm.InstallHint("qemu-system-x86"))
		}
	}
}

// sscan reads the number at the start of a version.
func sscan(version string, major *int) bool {
	n, _ := fmt.Sscanf(version, "%d", major)
	return n == 1
}

// has checks that QEMU was built with all of want.
func (d *doctor) has(what string, want []string, path string, list func(string) ([]string, error)) {
	have, err := list(path)
	if err != nil {
		d.add(problem, what, err.Error(), "")
		return
	}
	for _, name := range want {
		if !slices.Contains(have, name) {
			d.add(problem, what, "this QEMU has no "+name, "install a complete QEMU: "+vmm.InstallHint("qemu-system-x86"))
			return
		}
	}
	d.add(good, what, strings.Join(want, ", "), "")
}

func (d *doctor) kvm() {
	if err := vmm.CheckKVM(); err != nil {
		d.add(note, "KVM", err.Error()+"; not needed, wick emulates the processor (TCG)", "")
		return
	}
	d.add(good, "KVM", "works, and wick uses it", "")
}

// lowMemory is how much free memory a machine of the default size may need, in bytes.
const lowMemory = 256 << 20

func (d *doctor) memory() {
	free, ok := freeMemory()
	if !ok {
		return
	}
	text := fmt.Sprintf("%d MiB free", free>>20)
	if free < lowMemory {
		d.add(note, "memory", text, "run small machines: wick run -m 64M")
		return
	}
	d.add(good, "memory", text, "")
}

// freeMemory reads how much memory can be had without swapping: MemAvailable of proc_meminfo(5).
func freeMemory() (bytes uint64, ok bool) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	_, rest, found := strings.Cut(string(text), "MemAvailable:")
	if !found {
		return 0, false
	}
	var kib uint64
	n, _ := fmt.Sscan(rest, &kib)
	return kib << 10, n == 1
}

func (d *doctor) terminal() {
	_, is := session.OpenTerminal()
	var names []string
	for fd, name := range []string{"standard input", "standard output", "standard error"} {
		if is[fd] {
			names = append(names, name)
		}
	}
	if names == nil {
		d.add(good, "terminal", "none: the program gets pipes", "")
		return
	}
	d.add(good, "terminal", strings.Join(names, ", ")+": the program gets a terminal there", "")
}

func (d *doctor) tool(name, purpose, debian string) {
	if path, err := exec.LookPath(name); err == nil {
		d.add(good, name, path, "")
		return
	}
	d.add(note, name, "not installed; optional, "+purpose, vmm.InstallHint(debian))
}

// ping explains what looks like a fault and is none.
func (d *doctor) ping() {
	const text = "curl works and ping does not? Into the machine lead only published TCP and UDP ports"
	if pingAllowed() {
		d.add(good, "ping", text+"; out of it ping works", "")
		return
	}
	d.add(note, "ping", text+"; out of it ping needs a group of net.ipv4.ping_group_range",
		`sudo sysctl net.ipv4.ping_group_range="0 2147483647"`)
}

// pingAllowed tells whether this user may open the ICMP sockets that QEMU uses [icmp(7)].
func pingAllowed() bool {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, syscall.IPPROTO_ICMP)
	if err != nil {
		return false
	}
	syscall.Close(fd)
	return true
}

func (d *doctor) print(w io.Writer) {
	for _, f := range d.findings {
		fmt.Fprintf(w, "%-8s %-16s %s\n", f.verdict, f.what, f.text)
		if f.advice != "" {
			fmt.Fprintf(w, "%-8s %-16s → %s\n", "", "", f.advice)
		}
	}
	if d.sick() {
		fmt.Fprintln(w, "\nwick run will not work here: see MISSING above.")
	} else {
		fmt.Fprintln(w, "\nwick run works here.")
	}
}
