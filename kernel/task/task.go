// Package task is processes and threads: their lives, signals, futexes, and the loading of ELF files.
//
// A user thread is a goroutine: Thread.run enters ring 3, does what the thread came back for, delivers
// signals and enters again. System calls block in Thread.Sleep, which a signal or the end of the process
// interrupts.
//
// Locks, in the order in which they may be taken: a futex bucket's, Family.mu, then Process.mu, of one process only. None is held
// across an access to user memory, except that a bucket's lock is held across the check of the futex word,
// which is what makes check and sleep one step.
package task

import (
	"wick/kernel/ground/regs"
)

// CPU runs user threads. ground implements it.
type CPU interface {
	// Enter runs the thread in ring 3 until a system call, a fault or an interruption, and tells which in u.Vec.
	Enter(u *regs.User)
	// Kick makes the present or the next Enter of u return soon, with regs.Interrupted if nothing else happened.
	// It may be called from any goroutine.
	Kick(u *regs.User)
}
