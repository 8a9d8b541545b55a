package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"wick/bench/guest"
)

// guests builds the guests that the flags ask for: each kernel with each number of CPUs.
func (o *options) guests() ([]guest.Guest, error) {
	kernels, err := o.build()
	if err != nil {
		return nil, err
	}
	var machines []*guest.Machine
	for name := range strings.SplitSeq(o.machines, ",") {
		i := slices.Index(machineNames(), name)
		if i < 0 {
			return nil, fmt.Errorf("-machines: %q is none of %s", name, strings.Join(machineNames(), ", "))
		}
		machines = append(machines, guest.Machines[i])
	}
	var guests []guest.Guest
	for field := range strings.SplitSeq(o.cpus, ",") {
		cpus, err := strconv.Atoi(field)
		if err != nil || cpus < 1 || cpus > 8 {
			return nil, fmt.Errorf("-cpus: %q is not a number of CPUs from 1 to 8", field)
		}
		for _, m := range machines {
			for _, k := range kernels {
				if k.RunsOn(m) {
					guests = append(guests, guest.Guest{Kernel: k, Machine: m, CPUs: cpus})
				}
			}
		}
	}
	return guests, nil
}

func machineNames() (names []string) {
	for _, m := range guest.Machines {
		names = append(names, m.Name)
	}
	return names
}

func (o *options) build() ([]*guest.Kernel, error) {
	wanted := strings.Split(o.kernels, ",")
	if o.tiny && !slices.Contains(wanted, "tiny") {
		wanted = append(wanted, "tiny")
	}
	programs := map[guest.Program]string{
		guest.Server: filepath.Join(o.work, "server"),
		guest.Micro:  filepath.Join(o.work, "micro"),
		guest.Vsock:  filepath.Join(o.work, "vsock"),
	}
	init, tsc := filepath.Join(o.work, "init"), filepath.Join(o.work, "tsc")
	if err := buildPrograms(programs, init, tsc); err != nil {
		return nil, err
	}
	var kernels []*guest.Kernel
	add := func(k *guest.Kernel, err error) error {
		kernels = append(kernels, k)
		return err
	}
	for _, name := range wanted {
		var err error
		switch name {
		case "wick":
			err = add(guest.Wick(name, "", "commit "+commit(), o.work, programs))
		case "debian":
			khz := 0
			if khz, err = tscKHz(tsc); err == nil {
				err = add(guest.Debian(o.work, init, khz, programs))
			}
		case "tiny":
			tree := filepath.Join(o.work, "tiny")
			if err = command("bench/tiny-linux", tree); err == nil {
				err = add(guest.Tiny(o.work, tree, init, programs))
			}
		default:
			err = fmt.Errorf("-kernels: %q is none of wick, debian, tiny", name)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, k := range o.extra {
		if err := add(guest.Wick(k.name, k.file, k.file, o.work, programs)); err != nil {
			return nil, err
		}
	}
	return kernels, nil
}

// buildPrograms builds what the guests run, as static programs.
func buildPrograms(programs map[guest.Program]string, init, tsc string) error {
	os.Setenv("CGO_ENABLED", "0")
	for _, p := range []guest.Program{guest.Server, guest.Vsock} {
		if err := command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", programs[p], "./bench/programs/"+string(p)); err != nil {
			return err
		}
	}
	for source, file := range map[string]string{"micro": programs[guest.Micro], "init": init, "tsc": tsc} {
		err := command("cc", "-O2", "-static", "-s", "-Wall", "-pthread", "-o", file, "bench/programs/"+source+".c")
		if err != nil {
			return err
		}
	}
	return nil
}

// tscKHz asks a program how fast the host's TSC is, which is also that of a machine that QEMU emulates.
func tscKHz(program string) (khz int, err error) {
	out, err := exec.Command(program).Output()
	if err == nil {
		_, err = fmt.Sscan(string(out), &khz)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", program, err)
	}
	return khz, nil
}

// command runs a command whose output the user sees.
func command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return nil
}

// commit names what is checked out.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--abbrev=12", "--dirty=+changes", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
