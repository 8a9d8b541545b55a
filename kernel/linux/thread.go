package linux

import (
	"golang.org/x/sys/unix"
)

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
	case unix.PR_GET_SECCOMP:
		return 0, nil
	case unix.PR_GET_DUMPABLE:
		return number(!c.undumpable.Load()), nil
	case unix.PR_SET_DUMPABLE: // DEVIATION: the value is kept; there are no core dumps, and /proc shows the process as before
		if arg > 1 {
			return 0, unix.EINVAL
		}
		c.undumpable.Store(arg == 0)
		return 0, nil
	case unix.PR_GET_NO_NEW_PRIVS:
		if arg|c.Args[2]|c.Args[3]|c.Args[4] != 0 {
			return 0, unix.EINVAL
		}
		return number(c.noNewPrivs.Load()), nil
	case unix.PR_SET_NO_NEW_PRIVS: // execve gives no privileges anyway: see executeAs
		if arg != 1 || c.Args[2]|c.Args[3]|c.Args[4] != 0 {
			return 0, unix.EINVAL
		}
		c.noNewPrivs.Store(true)
		return 0, nil
	case unix.PR_GET_KEEPCAPS:
		return number(c.keepCaps.Load()), nil
	case unix.PR_SET_KEEPCAPS:
		if arg > 1 {
			return 0, unix.EINVAL
		}
		c.keepCaps.Store(arg == 1)
		return 0, nil
	case unix.PR_SET_PDEATHSIG:
		sig, err := signalArg(arg, true)
		if err != nil {
			return 0, err
		}
		c.SetDeathSignal(sig)
		return 0, nil
	case unix.PR_GET_PDEATHSIG:
		return 0, c.Space.PutUint32(arg, uint32(c.DeathSignal()))
	case unix.PR_CAPBSET_READ:
		if arg > unix.CAP_LAST_CAP {
			return 0, unix.EINVAL
		}
		return uint64(c.who().Bounding >> arg & 1), nil
	case unix.PR_CAPBSET_DROP:
		return 0, c.dropBounding(arg)
	case unix.PR_SET_TIMERSLACK: // timers have the kernel's own resolution, whatever slack is permitted
		return 0, nil
	case unix.PR_GET_TIMERSLACK:
		return 50000, nil // ns, the default of Linux
	}
	return 0, unix.EINVAL
}

// number returns 1 for true.
func number(b bool) uint64 {
	if b {
		return 1
	}
	return 0
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
