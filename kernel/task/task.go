// Package task is processes and threads: their lives, signals, futexes, and the loading of ELF files.
package task

import (
	"wick/kernel/ground/regs"
	"wick/kernel/mm"
)

// CPU runs user threads. ground implements it.
type CPU interface {
	// Enter runs the thread in ring 3 until a system call, a fault or an interruption, and tells which in u.Vec.
	Enter(u *regs.User)
	// Kick makes the present or the next Enter of u return soon, with regs.Interrupted if nothing else happened.
	// It may be called from any goroutine.
	Kick(u *regs.User)
}

// Process is a running program: an address space, threads, signal actions.
type Process struct {
	PID   int
	Space *mm.Space
}

// Thread is one thread of a Process. Its goroutine runs it.
type Thread struct {
	TID     int
	Process *Process
	Regs    *regs.User
}
