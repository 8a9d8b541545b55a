package linux

import (
	"wick/kernel/net"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// Kernel is what all processes share.
type Kernel struct {
	// Log prints a line to the kernel log; Verbose includes unimplemented system calls.
	Log     func(format string, args ...any)
	Verbose bool

	FS  *vfs.FS
	Net *net.Stack
}

// Process is a task.Process with the parts that only the ABI knows: descriptors, working directory, umask.
type Process struct {
	*task.Process
	Kernel *Kernel
	FDs    *vfs.Table
}

// Call is one system call of a thread, while it is being done.
type Call struct {
	*Process
	Thread *task.Thread
	Number uint64
	Args   [6]uint64
}
