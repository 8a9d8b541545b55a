package linux

import (
	"runtime"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
)

func init() {
	register(unix.SYS_CLONE, "clone", (*Call).clone)
	register(unix.SYS_EXIT, "exit", (*Call).exit)
	register(unix.SYS_GETTID, "gettid", (*Call).gettid)
	register(unix.SYS_SET_TID_ADDRESS, "set_tid_address", (*Call).setTIDAddress)
	register(unix.SYS_ARCH_PRCTL, "arch_prctl", (*Call).archPrctl)
	register(unix.SYS_PRCTL, "prctl", (*Call).prctl)
	register(unix.SYS_SCHED_YIELD, "sched_yield", (*Call).schedYield)
	register(unix.SYS_SCHED_GETAFFINITY, "sched_getaffinity", (*Call).schedGetaffinity)
	register(unix.SYS_SCHED_SETAFFINITY, "sched_setaffinity", (*Call).schedSetaffinity)
	register(unix.SYS_SCHED_GETPARAM, "sched_getparam", (*Call).schedGetparam)
	register(unix.SYS_SCHED_GETSCHEDULER, "sched_getscheduler", (*Call).schedGetscheduler)
	register(unix.SYS_SCHED_GET_PRIORITY_MAX, "sched_get_priority_max", func(c *Call) (uint64, error) {
		return c.priorityRange(99)
	})
	register(unix.SYS_SCHED_GET_PRIORITY_MIN, "sched_get_priority_min", func(c *Call) (uint64, error) {
		return c.priorityRange(1)
	})
	register(unix.SYS_GETPRIORITY, "getpriority", (*Call).getpriority)
	register(unix.SYS_GETCPU, "getcpu", (*Call).getcpu)
}

// clone makes threads; their argument order is that of x86-64, clone(2).
func (c *Call) clone() (uint64, error) {
	tid, err := c.Thread.Clone(task.CloneArgs{
		Flags: c.Args[0], Stack: c.Args[1], ParentTID: c.Args[2], ChildTID: c.Args[3], TLS: c.Args[4],
	})
	return uint64(tid), err
}

func (c *Call) exit() (uint64, error) {
	c.Thread.Exit(int(int32(c.Args[0])))
	return 0, nil
}

func (c *Call) gettid() (uint64, error) { return uint64(c.Thread.TID), nil }

func (c *Call) setTIDAddress() (uint64, error) {
	c.Thread.SetClearTID(c.Args[0])
	return uint64(c.Thread.TID), nil
}

// Codes of arch_prctl(2) [asm/prctl.h].
const (
	archSetGS = 0x1001
	archSetFS = 0x1002
	archGetFS = 0x1003
	archGetGS = 0x1004

	taskSizeMax = 1<<47 - 4096 // bases must be below it
)

func (c *Call) archPrctl() (uint64, error) {
	u, arg := c.Thread.Regs, c.Args[1]
	switch uint32(c.Args[0]) {
	case archSetFS:
		if arg >= taskSizeMax {
			return 0, unix.EPERM
		}
		u.FSBase = arg
	case archSetGS:
		if arg >= taskSizeMax {
			return 0, unix.EPERM
		}
		u.GSBase = arg
	case archGetFS:
		return 0, c.Space.PutUint64(arg, u.FSBase)
	case archGetGS:
		return 0, c.Space.PutUint64(arg, u.GSBase)
	default:
		return 0, unix.EINVAL
	}
	return 0, nil
}

// threadNameSize is the size of a thread's name with its NUL (TASK_COMM_LEN).
const threadNameSize = 16

// prctl knows the operations that say something true here; others are unix.EINVAL, as on a Linux built without them.
func (c *Call) prctl() (uint64, error) {
	arg := c.Args[1]
	switch int32(c.Args[0]) {
	case unix.PR_SET_NAME:
		return c.setThreadName(arg)
	case unix.PR_GET_NAME:
		var name [threadNameSize]byte
		copy(name[:], c.Thread.Name())
		return 0, c.Space.CopyOut(arg, name[:])
	case unix.PR_GET_DUMPABLE, unix.PR_GET_KEEPCAPS, unix.PR_GET_SECCOMP:
		return 0, nil
	case unix.PR_GET_PDEATHSIG:
		return 0, c.Space.PutUint32(arg, 0)
	case unix.PR_CAPBSET_READ:
		if arg > lastCap {
			return 0, unix.EINVAL
		}
		return 1, nil
	case unix.PR_SET_TIMERSLACK: // timers have the kernel's own resolution, whatever slack is permitted
		return 0, nil
	case unix.PR_GET_TIMERSLACK:
		return 50000, nil // ns, the default of Linux
	}
	return 0, unix.EINVAL
}

func (c *Call) setThreadName(addr uint64) (uint64, error) {
	var name [threadNameSize - 1]byte
	for i := range name {
		// Byte by byte: the string may end just before memory does.
		if err := c.Space.CopyIn(name[i:i+1], addr+uint64(i)); err != nil {
			return 0, err
		}
		if name[i] == 0 {
			c.Thread.SetName(string(name[:i]))
			return 0, nil
		}
	}
	c.Thread.SetName(string(name[:]))
	return 0, nil
}

func (c *Call) schedYield() (uint64, error) {
	runtime.Gosched()
	return 0, nil
}

// knownThread checks a thread id of a scheduling call; 0 is the caller.
func (c *Call) knownThread(arg uint64) error {
	switch tid := int32(arg); {
	case tid < 0:
		return unix.EINVAL
	case tid != 0 && c.Process.Process.Thread(int(tid)) == nil:
		return unix.ESRCH
	}
	return nil
}

// maxCPUs bounds the CPUs that programs see.
const maxCPUs = 64

// cpuMask has a bit for each CPU.
func (k *Kernel) cpuMask() uint64 { return ^uint64(0) >> (maxCPUs - min(max(k.CPUs, 1), maxCPUs)) }

func (c *Call) schedGetaffinity() (uint64, error) {
	size := uint32(c.Args[1])
	if uint64(size)*8 < uint64(max(c.Kernel.CPUs, 1)) || size%8 != 0 {
		return 0, unix.EINVAL
	}
	if err := c.knownThread(c.Args[0]); err != nil {
		return 0, unix.ESRCH
	}
	if err := c.Space.PutUint64(c.Args[2], c.Kernel.cpuMask()); err != nil {
		return 0, err
	}
	return 8, nil
}

// schedSetaffinity checks the mask.
//
// DEVIATION: threads run on any CPU all the same: the Go scheduler, which can't be told, places them.
func (c *Call) schedSetaffinity() (uint64, error) {
	var b [8]byte
	n := min(uint64(uint32(c.Args[1])), uint64(len(b)))
	if err := c.Space.CopyIn(b[:n], c.Args[2]); err != nil {
		return 0, err
	}
	if err := c.knownThread(c.Args[0]); err != nil {
		return 0, unix.ESRCH
	}
	if le.Uint64(b[:])&c.Kernel.cpuMask() == 0 {
		return 0, unix.EINVAL
	}
	return 0, nil
}

func (c *Call) schedGetparam() (uint64, error) {
	if err := c.knownThread(c.Args[0]); err != nil {
		return 0, err
	}
	if c.Args[1] == 0 {
		return 0, unix.EINVAL
	}
	return 0, c.Space.PutUint32(c.Args[1], 0)
}

// schedGetscheduler returns SCHED_OTHER.
func (c *Call) schedGetscheduler() (uint64, error) { return 0, c.knownThread(c.Args[0]) }

// priorityRange returns realtime for the real-time policies, 0 for the others, sched_get_priority_max(2).
func (c *Call) priorityRange(realtime uint64) (uint64, error) {
	switch c.Args[0] {
	case unix.SCHED_FIFO, unix.SCHED_RR:
		return realtime, nil
	case unix.SCHED_NORMAL, unix.SCHED_BATCH, unix.SCHED_IDLE, unix.SCHED_DEADLINE:
		return 0, nil
	}
	return 0, unix.EINVAL
}

// getpriority returns nice 0, as 20, getpriority(2).
func (c *Call) getpriority() (uint64, error) {
	switch int32(c.Args[0]) {
	case unix.PRIO_PROCESS, unix.PRIO_PGRP, unix.PRIO_USER:
	default:
		return 0, unix.EINVAL
	}
	if id := int32(c.Args[1]); id != 0 && c.Process.Process.Thread(int(id)) == nil {
		return 0, unix.ESRCH
	}
	return 20, nil
}

// getcpu says CPU 0, node 0: the thread may be on any CPU when it looks at the answer.
func (c *Call) getcpu() (uint64, error) {
	for _, addr := range c.Args[:2] {
		if addr == 0 {
			continue
		}
		if err := c.Space.PutUint32(addr, 0); err != nil {
			return 0, err
		}
	}
	return 0, nil
}
