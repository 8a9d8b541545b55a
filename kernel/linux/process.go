package linux

import (
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// All processes are root's, with all capabilities.

func zero(*Call) (uint64, error) { return 0, nil }

// peer returns a process by its id, nil if there is none.
func (c *Call) peer(pid int) *Process {
	if t := c.Family().Process(pid); t != nil {
		return t.Local.(*Process)
	}
	return nil
}

// groupOf answers getpgid and getsid.
func (c *Call) groupOf(arg uint64, ofSession bool) (uint64, error) {
	p := c.Process
	if pid := int32(arg); pid != 0 {
		if p = c.peer(int(pid)); p == nil {
			return 0, unix.ESRCH
		}
	}
	group, session := p.Process.Group()
	if ofSession {
		return uint64(session), nil
	}
	return uint64(group), nil
}

func (c *Call) setsid() (uint64, error) {
	id, err := c.NewSession()
	return uint64(id), err
}

func (c *Call) setpgid() (uint64, error) {
	pid, group := int32(c.Args[0]), int32(c.Args[1])
	if group < 0 {
		return 0, unix.EINVAL
	}
	return 0, c.SetGroup(int(pid), int(group))
}

// getresuid answers getresgid, too.
func (c *Call) getresuid() (uint64, error) {
	for _, addr := range c.Args[:3] {
		if err := c.Space.PutUint32(addr, 0); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// setIDs does setuid(2), setresgid(2) and their kin. There are no users but root: others are unix.EINVAL, as in a
// user namespace that they have no place in, user_namespaces(7).
func (c *Call) setIDs(n int) (uint64, error) {
	for _, id := range c.Args[:n] {
		unchanged := n > 1 && uint32(id) == ^uint32(0)
		if uint32(id) != 0 && !unchanged {
			return 0, unix.EINVAL
		}
	}
	return 0, nil
}

// maxGroups is NGROUPS_MAX.
const maxGroups = 65536

// setgroups is setgroups(2): size, list. Like getgroups it knows none: group 0 needn't be kept twice.
func (c *Call) setgroups() (uint64, error) {
	n := uint32(c.Args[0])
	if n > maxGroups {
		return 0, unix.EINVAL
	}
	for i := range uint64(n) {
		var b [4]byte
		if err := c.Space.CopyIn(b[:], c.Args[1]+4*i); err != nil {
			return 0, err
		}
		if le.Uint32(b[:]) != 0 {
			return 0, unix.EINVAL
		}
	}
	return 0, nil
}

// Versions of the capability interface, capget(2), and the highest capability (CAP_CHECKPOINT_RESTORE).
const (
	capVersion1 = 0x19980330
	capVersion2 = 0x20071026
	capVersion3 = 0x20080522
	lastCap     = 40
)

// capget tells that the program has all capabilities.
func (c *Call) capget() (uint64, error) {
	var head [8]byte // version, pid
	if err := c.Space.CopyIn(head[:], c.Args[0]); err != nil {
		return 0, err
	}
	words := 2
	switch le.Uint32(head[0:]) {
	case capVersion1:
		words = 1
	case capVersion2, capVersion3:
	default:
		if err := c.Space.PutUint32(c.Args[0], capVersion3); err != nil {
			return 0, err
		}
		if c.Args[1] == 0 { // the caller asks for the version
			return 0, nil
		}
		return 0, unix.EINVAL
	}
	switch pid := int32(le.Uint32(head[4:])); {
	case pid < 0:
		return 0, unix.EINVAL
	case pid != 0 && c.Family().Thread(int(pid)) == nil:
		return 0, unix.ESRCH
	}
	var data [24]byte // for each word: effective, permitted, inheritable
	all := uint64(1)<<(lastCap+1) - 1
	for w := range words {
		le.PutUint32(data[12*w:], uint32(all>>(32*w)))
		le.PutUint32(data[12*w+4:], uint32(all>>(32*w)))
	}
	if c.Args[1] == 0 {
		return 0, nil
	}
	return 0, c.Space.CopyOut(c.Args[1], data[:12*words])
}

// defaultUmask is what a process starts with.
const defaultUmask = 0o022

// Umask returns the mode bits that new files don't get.
func (p *Process) Umask() uint32 { return p.umask.Load() }

func (c *Call) setUmask() (uint64, error) {
	return uint64(c.umask.Swap(uint32(c.Args[0]) & 0o777)), nil
}

func (c *Call) exitGroup() (uint64, error) {
	c.ExitGroup(int(int32(c.Args[0])))
	return 0, nil
}

// running is the program that a process runs, as /proc tells of it.
type running struct {
	path string
	args []string
	env  []string
	auxv []byte

	info *vfs.ProcessInfo // of one process
}

// of returns the same program for another process.
func (prog *running) of(p *Process) *running {
	if prog == nil {
		return nil
	}
	return &running{path: prog.path, args: prog.args, env: prog.env, auxv: prog.auxv}
}

// setProgram says what the process runs from now on.
func (p *Process) setProgram(prog *running) {
	if prog == nil {
		return
	}
	prog.info = p.info(prog)
	p.Paths.SetProcess(prog.info)
	p.running.Store(prog)
}

// processesOf is what /proc tells of all processes.
func processesOf(f *task.Family) vfs.Processes {
	return vfs.Processes{
		Find: func(pid int) *vfs.ProcessInfo {
			if t := f.Process(pid); t != nil {
				return t.Local.(*Process).running.Load().info
			}
			return nil
		},
		List: func() (ids []int) {
			for _, p := range f.Processes() {
				ids = append(ids, p.PID)
			}
			return ids
		},
		Count: f.Counts,
	}
}

// info is what /proc tells of the process with a program.
func (p *Process) info(prog *running) *vfs.ProcessInfo {
	return &vfs.ProcessInfo{
		PID: p.PID, Exe: prog.path, Args: prog.args, Env: prog.env, FDs: p.FDs, Started: p.Started(), Auxv: prog.auxv,
		Name: func() string { return p.Leader().Name() },
		NameOf: func(tid int) string {
			if t := p.Process.Thread(tid); t != nil {
				return t.Name()
			}
			return ""
		},
		Threads: p.ThreadIDs,
		Times:   func() (user, system time.Duration) { return p.CPUTime(), 0 },
		Maps:    func() []mm.AreaInfo { return p.AddressSpace().Maps() },
		Memory: func() (size, resident uint64) {
			s := p.AddressSpace().Stats()
			return s.SizePages * mm.PageSize, s.ResidentPages * mm.PageSize
		},
		Limits: func() (stack, files, addressSpace uint64) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.limits[rlimitStack].Cur, p.limits[rlimitNofile].Cur, p.limits[rlimitAS].Cur
		},
		Kin: func() (parent, group, session int) {
			group, session = p.Group()
			return p.ParentID(), group, session
		},
		Zombie: p.Zombie,
		Umask:  p.Umask,
	}
}

// auxv returns the auxiliary vector of a program that has not begun, from its stack: argc, the arguments and the
// environment, each with a null pointer behind, and pairs of words that end with type 0 (AT_NULL).
func auxv(space *mm.Space, sp uint64) []byte {
	start := sp + 8
	for nulls := 0; nulls < 2; start += 8 {
		if v, err := space.Uint64(start); err != nil || v == 0 {
			nulls++
		}
	}
	end := start
	for {
		kind, err := space.Uint64(end)
		end += 16
		if kind == 0 || err != nil {
			break
		}
	}
	b := make([]byte, end-start)
	if space.CopyIn(b, start) != nil {
		return nil
	}
	return b
}
