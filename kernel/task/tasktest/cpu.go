// Package tasktest is a CPU that plays programs written as Go functions, for tests of threads and
// system calls.
package tasktest

import (
	"fmt"
	"sync"
	"sync/atomic"

	"wick/kernel/ground/regs"
)

// CPU is a task.CPU. Its code is written with Program before any thread runs.
type CPU struct {
	code  map[uint64]step
	kicks sync.Map // *regs.User to *kick
	Kicks atomic.Int64
}

// step plays one instruction. IP is behind it already. It returns true to leave ring 3, with u.Vec set.
type step func(u *regs.User, k *kick) bool

// kick is what Kick does to one thread.
type kick struct{ wanted chan struct{} } // capacity 1

// New returns a CPU without code.
func New() *CPU { return &CPU{code: make(map[uint64]step)} }

func (c *CPU) kickOf(u *regs.User) *kick {
	if k, ok := c.kicks.Load(u); ok {
		return k.(*kick)
	}
	k, _ := c.kicks.LoadOrStore(u, &kick{make(chan struct{}, 1)})
	return k.(*kick)
}

// Kick implements task.CPU.
func (c *CPU) Kick(u *regs.User) {
	c.Kicks.Add(1)
	select {
	case c.kickOf(u).wanted <- struct{}{}:
	default:
	}
}

// Enter implements task.CPU. Where there is no code it is a page fault of an instruction fetch.
func (c *CPU) Enter(u *regs.User) {
	k := c.kickOf(u)
	for {
		select {
		case <-k.wanted:
			u.Vec, u.Err = regs.Interrupted, 0
			return
		default:
		}
		do, ok := c.code[u.IP]
		if !ok {
			u.Vec, u.CR2, u.Err = regs.PageFault, u.IP, regs.FaultUser|regs.FaultFetch
			return
		}
		u.IP++
		if do(u, k) {
			return
		}
	}
}

// Program is code in the making. Every instruction is one byte long, but SYSCALL, which has two.
type Program struct {
	cpu *CPU
	at  uint64
}

// Program starts writing code at an address.
func (c *CPU) Program(at uint64) *Program { return &Program{c, at} }

// Here returns the address of the next instruction.
func (p *Program) Here() uint64 { return p.at }

func (p *Program) put(s step) {
	if _, ok := p.cpu.code[p.at]; ok {
		panic(fmt.Sprintf("tasktest: there is code at %#x already", p.at))
	}
	p.cpu.code[p.at] = s
	p.at++
}

// Do adds an instruction that does f. f may change any register; a change of IP is a jump.
func (p *Program) Do(f func(u *regs.User)) *Program {
	p.put(func(u *regs.User, _ *kick) bool { f(u); return false })
	return p
}

// SYSCALL adds the bare instruction.
func (p *Program) SYSCALL() *Program {
	p.put(func(u *regs.User, _ *kick) bool {
		u.IP++
		u.Vec, u.CX, u.R11 = regs.Syscall, u.IP, u.Flags
		return true
	})
	p.at++
	return p
}

// Call adds the loading of the registers, 0 for arguments that aren't given, and a SYSCALL.
func (p *Program) Call(number int, args ...uint64) *Program {
	p.Do(func(u *regs.User) {
		u.AX = uint64(number)
		for i, r := range []*uint64{&u.DI, &u.SI, &u.DX, &u.R10, &u.R8, &u.R9} {
			*r = 0
			if i < len(args) {
				*r = args[i]
			}
		}
	})
	return p.SYSCALL()
}

// Leave adds an instruction that causes an exception. IP is that of the instruction, as for a fault.
func (p *Program) Leave(vec, err, cr2 uint64) *Program {
	p.put(func(u *regs.User, _ *kick) bool {
		u.IP--
		u.Vec, u.Err, u.CR2 = vec, err, cr2
		return true
	})
	return p
}

// Spin adds a loop that never ends: the thread leaves ring 3 only when it is kicked, and then loops on. started, if
// not nil, is called each time that the thread enters it.
func (p *Program) Spin(started func()) *Program {
	p.put(func(u *regs.User, k *kick) bool {
		u.IP--
		if started != nil {
			started()
		}
		<-k.wanted
		u.Vec, u.Err = regs.Interrupted, 0
		return true
	})
	return p
}
