package main

import (
	"time"

	"wick/kernel/ground"
	"wick/kernel/linux"
	"wick/kernel/mm"
	"wick/kernel/net"
	"wick/kernel/task"
	"wick/kernel/vdso"
	"wick/kernel/vfs"
)

// startProgram makes the file systems and starts the program that the configuration names.
func (k *kernel) startProgram(stack *net.Stack) (*linux.Process, error) {
	c := &k.bundle.Config
	dns := c.DNS
	if servers := stack.DNS(); dns == "" && len(servers) > 0 {
		dns = servers[0].String()
	}
	fs, err := vfs.NewFS(k.bundle.Files, k.base, vfs.Options{
		HostName: c.Host, Address: c.Address, DNS: dns,
		CPUs: ground.CPUs(), Memory: ground.Memory, Frames: machine{}, Relieve: func() { k.shortage.relieve() }, Console: k.host, Log: k.detail,
		NetFile: stack.ProcFile,
		CID:     stack.CID,
	})
	if err != nil {
		return nil, err
	}
	abi := &linux.Kernel{
		Log: k.log, Verbose: c.Verbose, FS: fs, Net: stack,
		Machine: machine{}, CPU: new(ground.Ring3), CPUs: ground.CPUs(),
		Hostname: c.Host, Extent: ground.Extent(), HWCap: uint64(ground.HWCAP()),
		FixedAddresses: c.FixedAddresses, Memory: ground.Memory, Short: k.shortage.lasting, Low: ground.MemoryLow(), Relieve: k.shortage.relieve,
		Gate:      task.NewGate(ground.MemoryTight(), max(insideTight, ground.CPUs())),
		Monotonic: func() time.Duration { return time.Duration(ground.Monotonic()) }, CurrentCPU: ground.CPU,
	}
	if code, entrySize, data, ok := ground.VDSO(); ok {
		if abi.VDSO, err = vdso.New(machine{}, code, entrySize, mm.PhysAddr(data)); err != nil {
			return nil, err
		}
	} else {
		k.detail("kernel: programs read the clock by system calls: KVM doesn't say that those of all CPUs go together")
	}
	if c.Timing {
		abi.CPU = &timedCPU{tell: k.host.timing}
	}
	return abi.Start(linux.Program{
		Path: c.Path, Args: c.Args, Env: c.Env, Cwd: c.Cwd, FDs: fs.NewTable(), Paths: fs.NewPaths(),
	})
}
