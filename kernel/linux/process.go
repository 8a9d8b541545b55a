package linux

import (
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

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
		Zombie:  p.Zombie,
		Stopped: p.Stopped,
		Umask:   p.Umask,
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
