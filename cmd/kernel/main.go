// Command kernel is the kernel of wick's microVMs. It wires the packages below kernel/ together, runs the program that the
// initial RAM disk names, tells the host how it ended, and turns the machine off.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"wick/bundle"
	"wick/kernel/driver/e1000"
	"wick/kernel/ground"
	"wick/kernel/linux"
	"wick/kernel/mm"
	"wick/kernel/net"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

func main() {
	status, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "wick: kernel:", err)
	}
	ground.PowerOff(uint8(status))
}

func run() (int, error) {
	base, initrd := ground.Initrd()
	if initrd == nil {
		return 1, errors.New("no initial RAM disk: nothing to run")
	}
	b, err := bundle.Parse(initrd)
	if err != nil {
		return 1, err
	}
	c := &b.Config
	setClock(c)
	log := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	var tap e1000.Tap
	card, err := startCard(tap)
	if err != nil {
		return 1, err
	}
	stack, err := startNetwork(c, card, log)
	if err != nil {
		return 1, err
	}
	p, err := startProgram(b, mm.PhysAddr(base), stack, log)
	if err != nil {
		return 1, err
	}
	s := p.Wait()
	log("status %v", s)
	return 0, nil
}

// startProgram makes the file systems and starts the program.
func startProgram(b *bundle.Bundle, base mm.PhysAddr, stack *net.Stack, log func(string, ...any)) (*linux.Process, error) {
	c := &b.Config
	memory := func() (total, free uint64) {
		total, free, reserved := ground.Memory()
		return total - reserved, free - min(free, reserved)
	}
	fs, err := vfs.NewFS(b.Files, base, vfs.Options{
		HostName: c.Host, Address: c.Address, DNS: c.DNS, CPUs: ground.CPUs(), Memory: memory, Console: plainHost{}, Log: log,
	})
	if err != nil {
		return nil, err
	}
	k := &linux.Kernel{
		Log: log, Verbose: c.Verbose, FS: fs, Net: stack,
		Machine: machine{}, CPU: machine{}, CPUs: ground.CPUs(), Hostname: c.Host, HWCap: uint64(ground.HWCAP()), Memory: memory,
	}
	return k.Start(linux.Program{
		Path: c.Path, Args: c.Args, Env: c.Env, Cwd: c.Cwd, FDs: fs.NewTable(), Paths: fs.NewPaths(),
	})
}

var _ task.CPU = machine{}
var _ = runtime.Version
