// Package ground is the layer below the Go runtime: it boots the machine and answers, in ring 0,
// the Linux system calls that the runtime of the kernel's own Go program makes.
//
// # How it runs
//
// ground is event-driven. Every system call, fault and interrupt saves the registers of what ran
// into its struct (thread for an M of the kernel's runtime, regs.User for a user thread), switches to
// the CPU's one ground stack, and calls a Go function below; when that returns, the assembly resumes
// whatever cpu.cur names. Nothing in ground ever blocks or switches stacks.
//
//	ring 3          user thread                    (regs.User)
//	                  | SYSCALL, fault, interrupt     ^ enterUser
//	                  v                               |
//	ring 0, Go      goroutine in enterUser, on an M  (thread)
//	                  | SYSCALL, fault, interrupt     ^ resume
//	                  v                               |
//	ring 0, ground  syscall, trap; one stack a CPU, interrupts off
//
// A page fault of ring 0 has a stack of its own and returns in place (see fault), because ground
// itself may touch demand-zero memory of the runtime. What belongs to ground is never
// demand-zero: vmm/image gives its variables real pages.
//
// Non-maskable interrupts, debug exceptions, machine checks and double faults may strike anywhere, and have stacks of
// their own, too (see surprise.go). All stacks lie apart (see stacks.go).
//
// # Clocks
//
// The kernel's clock is the TSC, whose scale is found out at boot (calibrate.go) and never changed. The runtime reads it without a
// system call, and so do programs, with code of ground's and a page that they may read (vdso.go): in ring 0 and ring 3 the same
// computation with the same numbers, so that the clock doesn't go back between them. Where KVM can't say that the TSCs of all CPUs go
// together, programs read it by system calls, and the kernel tells no time that is before one it has told.
//
// # Restricted Go
//
// The Go code here runs without a g of the runtime, so it must not allocate, store pointers outside the stack,
// use maps, channels, interfaces, defer or closures that escape, or panic. Pointers to ground's own
// structs are kept as integers. A test asks the compiler whether the package keeps to it
// (no escape to the heap, no write barrier). Exported functions are called from ordinary Go and are ordinary Go,
// in export*.go.
//
// # Reports
//
// When something is broken beyond repair, die tells what everything does, and ends the machine; see report.go. The watchdog
// (watchdog.go) does so for a CPU that hangs.
//
// # Several CPUs
//
// What many CPUs do often takes no lock. A thread belongs to one CPU at a time, or to none while it waits; it changes hands by one
// atomic step: claim ends its wait, take gets it out of a queue of runnable ones (thread.go, queue.go). Each CPU has such
// a queue; one that has nothing to do takes from the others' (sched.go). A CPU that idles is in idleCPUs, and is interrupted
// only if it is there, and not at once: most threads that the runtime wakes find nothing to do, because the goroutine that has
// made another one runnable waits soon, and lets it run. So who wakes a thread keeps it, and looks after 0.2 ms whether the same
// goroutine still runs; only then an idle CPU is told. Where goroutines take turns instead, patience grows up to 2 ms; what waits in
// a queue has its turn there after a slice of 4 ms in any case. A thread that computes and has to make room for a device's is told of
// at once. Three pairs of stores and loads keep wake-ups from being lost; in each, both sides store first, and look
// at what the other has stored after that:
//
//	who waits for a futex        becomes a waiter            then looks at the word
//	who wakes                    has changed the word        then looks for waiters
//	who idles                    joins idleCPUs              then looks at the queues
//	who puts a thread in one     has put it there            then looks at idleCPUs
//	who leaves idleCPUs          has left                    then looks at flushAsked
//	who wants a flush            has counted up flushAsked   then looks at idleCPUs
//
// The kernel's page tables change entry by entry, from and to 0 (paging.go).
//
// Spin locks guard the rest, for a few instructions each: filesLock (files and what waits for their events), ioapicLock,
// randomLock, consoleLock, framesLock. framesLock may be taken while one of the others is held, by a page fault of memory
// that ground reads or writes for the runtime; otherwise none is taken while another is held. Nothing is held across a TLB
// shootdown, and a CPU that waits, for a lock or a shootdown, answers the shootdowns of others (flush.go).
package ground
