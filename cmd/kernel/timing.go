package main

import (
	"sync"

	"wick/hostlink"
	"wick/kernel/ground"
	"wick/kernel/ground/regs"
)

// timedCPU is ground as task.CPU, for wick run --timing: before the program's first instruction it calls tell.
type timedCPU struct {
	ground.Ring3
	once sync.Once
	tell func()
}

// Enter implements task.CPU.
func (c *timedCPU) Enter(u *regs.User) {
	c.once.Do(c.tell)
	c.Ring3.Enter(u)
}

// bootTimes returns the stages of the boot, at the last of them; main and ready are what ground.Uptime was at those.
func bootTimes(main, ready uint64) hostlink.BootTimes {
	b := hostlink.BootTimes{Kernel: main, Ready: ready, Program: ground.Uptime()}
	b.Stub, b.Ground, b.Runtime = ground.BootTimes()
	return b
}
