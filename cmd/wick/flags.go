package main

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wick/vmm"
)

// machineFlags are the flags that describe the machine and the program's environment, common to
// run and build.
type machineFlags struct {
	machine  vmm.Machine
	forwards []string
	memory   string
	env      []string
	files    []string
	workDir  string

	sources []fileSource // of files, by parse
}

// autoMachine is microvm, unless another flag asks for what needs a PCI bus.
const autoMachine = "auto"

// autoAccel is KVM where it works when wick run starts a machine, else TCG; for the script of wick build, which may run
// elsewhere, always TCG.
const autoAccel = "auto"

// maxCPUs is the most virtual CPUs that the kernel starts (kernel/ground).
const maxCPUs = 8

func (f *machineFlags) add(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.SetInterspersed(false)
	flags.StringArrayVarP(&f.forwards, "publish", "p", nil, "publish a port: `[ADDR:]HOST:GUEST[/tcp|/udp]`; ADDR is 127.0.0.1 unless given, HOST 0 picks a free port (repeatable)")
	flags.StringVarP(&f.memory, "memory", "m", "128M", "memory of the machine: `SIZE` with K, M or G, M if bare")
	flags.IntVarP(&f.machine.CPUs, "cpus", "c", 1, "number of virtual CPUs")
	flags.StringArrayVarP(&f.env, "env", "e", nil, "set an environment variable: `K=V` (repeatable)")
	flags.StringArrayVarP(&f.files, "file", "f", nil, "copy a file or directory into the machine: `HOST[:GUEST]`; GUEST is HOST's own name unless given (repeatable)")
	flags.StringVarP(&f.workDir, "workdir", "w", "/", "the program's working `DIR`ectory in the machine; it is made if need be")
	flags.StringVar(&f.machine.Type, "machine", autoMachine, "machine `TYPE`: microvm, pc, q35, or auto, which is pc with --nic e1000 and else microvm")
	flags.StringVar(&f.machine.NIC, "nic", vmm.NICs[0], "network `CARD`: virtio, e1000 (on a PCI bus, so not on microvm) or none")
	flags.StringVar(&f.machine.Accel, "accel", autoAccel, "what executes the program: `ACCEL` kvm, tcg (QEMU emulates the processor), or auto")
	flags.StringVar(&f.machine.CPUModel, "cpu-model", "", "QEMU's -cpu `MODEL`: QEMU's default unless given, the host's with kvm; max for all it can emulate")
	flags.MarkHidden("cpu-model") // for tests of the kernel
}

// parse checks the flags and completes f.machine.
func (f *machineFlags) parse() error {
	var err error
	if f.machine.Memory, err = parseSize(f.memory); err != nil {
		return fmt.Errorf("--memory: %w", err)
	}
	if f.machine.CPUs < 1 || f.machine.CPUs > maxCPUs {
		return fmt.Errorf("--cpus: %d is not between 1 and %d", f.machine.CPUs, maxCPUs)
	}
	if t := f.machine.Type; t != autoMachine && !slices.Contains(vmm.MachineTypes, t) {
		return fmt.Errorf("--machine: %q is not one of auto, %s", t, strings.Join(vmm.MachineTypes, ", "))
	}
	if a := f.machine.Accel; a != autoAccel && a != vmm.KVM && a != vmm.TCG {
		return fmt.Errorf("--accel: %q is not one of auto, kvm, tcg", a)
	}
	if !slices.Contains(vmm.NICs, f.machine.NIC) {
		return fmt.Errorf("--nic: %q is not one of %s", f.machine.NIC, strings.Join(vmm.NICs, ", "))
	}
	if f.machine.Type == autoMachine {
		f.machine.Type = vmm.MachineFor(f.machine.NIC)
	}
	if err := vmm.CheckNIC(f.machine.Type, f.machine.NIC); err != nil {
		return fmt.Errorf("--nic: %w", err)
	}
	if len(f.forwards) > 0 && f.machine.NIC == vmm.NoNIC {
		return fmt.Errorf("--publish: %w", errNoNIC)
	}
	for _, s := range f.forwards {
		forward, err := vmm.ParseForward(s)
		if err != nil {
			return fmt.Errorf("--publish: %w", err)
		}
		f.machine.Forwards = append(f.machine.Forwards, forward)
	}
	for _, s := range f.env {
		if name, _, found := strings.Cut(s, "="); !found || name == "" {
			return fmt.Errorf("--env: %q is not K=V", s)
		}
		if strings.IndexByte(s, 0) >= 0 {
			return fmt.Errorf("--env: %q holds a NUL", s)
		}
	}
	return f.parseFiles()
}

// parseFiles checks --workdir and --file.
func (f *machineFlags) parseFiles() error {
	if !path.IsAbs(f.workDir) {
		return fmt.Errorf("--workdir: %q is not absolute", f.workDir)
	}
	f.workDir = path.Clean(f.workDir)
	if err := checkOwn(f.workDir); err != nil {
		return fmt.Errorf("--workdir: %w", err)
	}
	for _, s := range f.files {
		source, err := parseFile(s, f.workDir)
		if err != nil {
			return fmt.Errorf("--file: %w", err)
		}
		f.sources = append(f.sources, source)
	}
	return nil
}

// errNoNIC is what is wrong with flags that need a network card.
var errNoNIC = errors.New("the machine has no network card (see --nic)")

// flagError says in wick's words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		problem := err
		switch {
		case errors.Is(err, strconv.ErrRange):
			problem = fmt.Errorf("%s is out of range", invalid.GetValue())
		case errors.Is(err, strconv.ErrSyntax):
			problem = fmt.Errorf("%q is not a %s", invalid.GetValue(), valueKind(invalid.GetFlag()))
		}
		err = fmt.Errorf("--%s: %w", invalid.GetFlag().Name, problem)
	}
	return fmt.Errorf("%w (see `%s --help`)", err, cmd.CommandPath())
}

// valueKind names what a flag wants.
func valueKind(f *pflag.Flag) string {
	if f.Value.Type() == "bool" {
		return "truth value (true or false)"
	}
	return "number"
}

// parseSize reads a size in bytes: "64M", "1G", "65536K", "128" (M), with an optional B or iB.
func parseSize(s string) (int64, error) {
	number := strings.TrimRight(s, "kKmMgGiB")
	shift, known := map[string]uint{"": 20, "K": 10, "KB": 10, "KIB": 10, "M": 20, "MB": 20, "MIB": 20,
		"G": 30, "GB": 30, "GIB": 30}[strings.ToUpper(s[len(number):])]
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || !known {
		return 0, fmt.Errorf("%q is not a size such as 128M or 1G", s)
	}
	if n == 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is out of range", s)
	}
	return int64(n << shift), nil
}

// environment is what the program finds unless -e says otherwise.
var environment = []string{"PATH=/bin:/usr/bin", "HOME=/root"}

// mergeEnv returns the defaults with what was set added or put in their place.
func mergeEnv(defaults, set []string) []string {
	out := slices.Clone(defaults)
	for _, s := range set {
		name, _, _ := strings.Cut(s, "=")
		i := slices.IndexFunc(out, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		if i >= 0 {
			out[i] = s
		} else {
			out = append(out, s)
		}
	}
	return out
}
