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
	var guests []guest.Guest
	for field := range strings.SplitSeq(o.cpus, ",") {
		cpus, err := strconv.Atoi(field)
		if err != nil || cpus < 1 || cpus > 8 {
			return nil, fmt.Errorf("-cpus: %q is not a number of CPUs from 1 to 8", field)
		}
		for _, k := range kernels {
			guests = append(guests, guest.Guest{Kernel: k, CPUs: cpus})
		}
	}
	return guests, nil
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
	init := filepath.Join(o.work, "init")
	if err := buildPrograms(programs, init); err != nil {
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
			err = add(guest.Debian(o.work, init, programs))
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
func buildPrograms(programs map[guest.Program]string, init string) error {
	os.Setenv("CGO_ENABLED", "0")
	for _, p := range []guest.Program{guest.Server, guest.Vsock} {
		if err := command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", programs[p], "./bench/programs/"+string(p)); err != nil {
			return err
		}
	}
	for source, file := range map[string]string{"micro": programs[guest.Micro], "init": init} {
		err := command("cc", "-O2", "-static", "-s", "-Wall", "-pthread", "-o", file, "bench/programs/"+source+".c")
		if err != nil {
			return err
		}
	}
	return nil
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
