package linux

import (
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// Resources of getrlimit(2).
const (
	rlimitStack      = 3
	rlimitCore       = 4
	rlimitNproc      = 6
	rlimitNofile     = 7
	rlimitAS         = 9
	rlimitSigpending = 11
	rlimitNice       = 13
	rlimitRtprio     = 14
	numLimits        = 16
)

const (
	infinity     = ^uint64(0)
	defaultStack = 8 << 20 // bytes
	maxPending   = 1024    // queued signals
)

// initLimits sets the limits of a new process that may have so many threads.
func (p *Process) initLimits(threads int) {
	for i := range p.limits {
		p.limits[i] = unix.Rlimit{Cur: infinity, Max: infinity}
	}
	p.limits[rlimitStack].Cur = defaultStack
	p.limits[rlimitCore].Cur = 0
	p.limits[rlimitNproc] = unix.Rlimit{Cur: uint64(threads), Max: uint64(threads)}
	p.limits[rlimitNofile] = unix.Rlimit{Cur: vfs.DefaultFDLimit, Max: uint64(p.FDs.MaxLimit())}
	p.limits[rlimitSigpending] = unix.Rlimit{Cur: maxPending, Max: maxPending}
	p.limits[rlimitNice] = unix.Rlimit{}
	p.limits[rlimitRtprio] = unix.Rlimit{}
}

func (c *Call) prlimit64() (uint64, error) {
	p := c.Process
	if pid := int32(c.Args[0]); pid != 0 {
		t := c.Family().Thread(int(pid))
		if t == nil {
			return 0, unix.ESRCH
		}
		p = t.Process.Local.(*Process)
	}
	if !c.mayControl(p, unix.CAP_SYS_RESOURCE) {
		return 0, unix.EPERM
	}
	return c.rlimitOf(p, c.Args[1], c.Args[2], c.Args[3])
}

// rlimit sets a limit from what is at set and stores the old one at get; either address may be 0.
//
// DEVIATION: limits other than those on descriptors and on the address space are kept, but nothing is measured against them.
func (c *Call) rlimit(resource, set, get uint64) (uint64, error) {
	return c.rlimitOf(c.Process, resource, set, get)
}

// rlimitOf is rlimit of a process.
func (c *Call) rlimitOf(p *Process, resource, set, get uint64) (uint64, error) {
	resource &= 0xffffffff
	if resource >= numLimits {
		return 0, unix.EINVAL
	}
	var b [16]byte // rlim_cur, rlim_max
	if set != 0 {
		if err := c.Space.CopyIn(b[:], set); err != nil {
			return 0, err
		}
	}
	p.mu.Lock()
	limit := &p.limits[resource]
	old := *limit
	if set != 0 {
		wanted := unix.Rlimit{Cur: le.Uint64(b[0:]), Max: le.Uint64(b[8:])}
		err := p.checkLimit(resource, wanted)
		if err == nil && wanted.Max > old.Max && !c.capable(unix.CAP_SYS_RESOURCE) {
			err = unix.EPERM
		}
		if err != nil {
			p.mu.Unlock()
			return 0, err
		}
		*limit = wanted
		switch resource {
		case rlimitNofile:
			p.FDs.SetLimit(int(wanted.Cur))
		case rlimitAS:
			size := max(wanted.Cur, 1) // 0 is no limit to mm
			if size == infinity {
				size = 0
			}
			p.AddressSpace().SetSizeLimit(size)
		}
	}
	p.mu.Unlock()
	if get == 0 {
		return 0, nil
	}
	le.PutUint64(b[0:], old.Cur)
	le.PutUint64(b[8:], old.Max)
	return 0, c.Space.CopyOut(get, b[:])
}

// checkLimit is what Linux checks; root may raise hard limits, but descriptors have an end (fs.nr_open).
func (p *Process) checkLimit(resource uint64, l unix.Rlimit) error {
	switch {
	case l.Cur > l.Max:
		return unix.EINVAL
	case resource == rlimitNofile && l.Max > uint64(p.FDs.MaxLimit()):
		return unix.EPERM
	}
	return nil
}

// getrusage is getrusage(2): CPU time, all of it as the program's own, and the resident size, for the largest one.
func (c *Call) getrusage() (uint64, error) {
	var used time.Duration
	pages := c.Space.Stats().ResidentPages
	switch int32(c.Args[0]) {
	case unix.RUSAGE_SELF:
		used = c.CPUTime()
	case unix.RUSAGE_THREAD:
		used = c.Thread.CPUTime()
	case unix.RUSAGE_CHILDREN:
		used, pages = c.ChildrenUsage()
	default:
		return 0, unix.EINVAL
	}
	return 0, c.putRusage(c.Args[1], used, pages)
}
