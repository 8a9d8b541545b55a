package linux

import (
	"errors"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
)

// errNoRestart is what a call returns for unix.EINTR if its arguments, not its number, forbid that it starts
// again after a handler with SA_RESTART: one with a timeout, signal(7).
var errNoRestart = errors.New("interrupted, not to be restarted after a handler")

// syscall does the system call that t has made, and stores the result in its registers. Without errors it takes
// no lock and allocates nothing.
func syscall(t *task.Thread) {
	c, ok := t.Local.(*Call)
	if !ok {
		c = &Call{Process: t.Process.Local.(*Process), Thread: t}
		t.Local = c
	}
	u := t.Regs
	number := uint64(uint32(u.AX)) // Linux looks at EAX only
	c.Number = number
	a := &c.Args // word by word, without a copy that is copied
	a[0], a[1], a[2], a[3], a[4], a[5] = u.DI, u.SI, u.DX, u.R10, u.R8, u.R9
	t.Record.Begin(number)
	u.AX = c.do(number)
	t.Record.End(u.AX)
}

// do does the system call of a number and returns the value for RAX.
func (c *Call) do(number uint64) uint64 {
	if number >= tableSize || table[number] == nil {
		c.Kernel.unimplemented(number)
		return errnoResult(unix.ENOSYS)
	}
	if low := c.Kernel.Low; low != nil && atomic.LoadUint32(low) != 0 {
		c.relieve()
	}
	if keeping.has(number) {
		if err := c.refused(); err != nil {
			return c.fail(err)
		}
	}
	v, err := table[number](c)
	if err != nil {
		return c.fail(err)
	}
	return v
}

// relieve has the kernel's memory relieved before the call, at worst by the end of a process.
func (c *Call) relieve() {
	if !c.Kernel.Relieve() {
		c.Thread.WantKernelMemory(func() bool { return !c.Kernel.Relieve() })
	}
}

// errnoResult is the form that errors have in RAX.
func errnoResult(e unix.Errno) uint64 { return -uint64(e) }

// fail returns the value of RAX for an error.
func (c *Call) fail(err error) uint64 {
	if err == errNoRestart {
		c.Thread.Interrupt(c.Number, task.RestartNoHandler)
		return errnoResult(unix.EINTR)
	}
	errno, ok := err.(unix.Errno)
	if !ok {
		errno = c.wrapped(err)
	}
	if errno == unix.EINTR {
		c.Thread.Interrupt(c.Number, restartOf(c.Number))
	}
	return errnoResult(errno)
}

// wrapped returns the number in an error that is more than a number; one without gets EIO, and is logged: the
// handler has broken the rule.
func (c *Call) wrapped(err error) unix.Errno {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	c.Kernel.logf("system call %s: %v", callName(c.Number), err)
	return unix.EIO
}

// restartOf tells how an interrupted call goes on, signal(7), "Interruption of system calls and library
// functions by signal handlers".
func restartOf(number uint64) task.Restart {
	switch number {
	case unix.SYS_POLL, unix.SYS_PPOLL, unix.SYS_SELECT, unix.SYS_PSELECT6,
		unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2,
		unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_PAUSE, unix.SYS_RT_SIGSUSPEND:
		return task.RestartNoHandler
	case unix.SYS_RT_SIGTIMEDWAIT:
		return task.RestartNever
	}
	return task.RestartSys
}

// unimplemented logs, once for each number, that a call isn't there.
func (k *Kernel) unimplemented(number uint64) {
	if !k.Verbose {
		return
	}
	bit := min(number, tableSize) // those above the table share one bit
	word, mask := &k.missing[bit/32], uint32(1)<<(bit%32)
	if word.Load()&mask == 0 && word.Or(mask)&mask == 0 {
		k.logf("system call %s is not implemented", callName(number))
	}
}

// appendRecent appends a thread's last system calls to a report.
func appendRecent(t *task.Thread, b []byte) []byte {
	if t.Record.Made == 0 {
		return b
	}
	b = append(b, "  last system calls, newest first:"...)
	for n := uint64(0); ; n++ {
		r, ok := t.Record.Recent(n)
		if !ok {
			return append(b, '\n')
		}
		b = append(b, ' ')
		b = append(b, callName(r.Number)...)
		b = append(b, '=')
		if int64(r.Result) < 0 && int64(r.Result) > -4096 {
			b = append(b, unix.ErrnoName(unix.Errno(-r.Result))...)
		} else {
			b = append(b, "0x"...)
			b = strconv.AppendUint(b, r.Result, 16)
		}
	}
}
