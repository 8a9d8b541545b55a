package linux

import (
	"crypto/rand"
	"errors"
	"math/bits"
	"path"
	"strings"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/kernel/ground/regs"
	"wick/kernel/mm"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// Program says what Start is to run.
type Program struct {
	Path string   // of the ELF file, as the program could open it
	Args []string // Args[0] is its name
	Env  []string // K=V
	Cwd  string   // working directory; empty: that of Paths

	FDs   *vfs.Table // closed at the end of the process
	Paths *vfs.Paths

	PID int // 0: 1
}

// initialFlags are RFLAGS at the start of a program: interrupts on, and the bit that is always set.
const initialFlags = 0x202

// overcommit is by how much one mapping may exceed memory, in bytes. DEVIATION: Linux's heuristic allows nothing, but then
// no Go program starts with less than 32 MiB, which it maps for an index of its heap and hardly touches.
const overcommit = 64 << 20

// Start loads a program and runs it as the first process. If it fails, the error is a *task.LoadError, and the descriptors
// are still the caller's.
func (k *Kernel) Start(prog Program) (*Process, error) {
	if prog.PID == 0 {
		prog.PID = 1
	}
	if prog.Cwd != "" {
		if err := chdir(prog.Paths, prog.Cwd); err != nil {
			return nil, &task.LoadError{Path: prog.Cwd, Reason: "can't be the working directory", Errno: errnoOf(err)}
		}
	}
	threads := task.DefaultMaxThreads
	if k.Memory != nil {
		total, _ := k.Memory()
		threads = maxThreads(total)
	}
	space, err := mm.NewSpace(k.Machine, k.spaceLimits())
	if err != nil {
		return nil, &task.LoadError{Path: prog.Path, Reason: "finds no memory for its address space", Errno: unix.ENOMEM}
	}
	k.syscall = syscall
	p := &Process{Kernel: k, FDs: prog.FDs, Paths: prog.Paths}
	u, err := p.load(space, &prog)
	if err != nil {
		space.Release()
		return nil, err
	}
	p.umask.Store(defaultUmask)
	p.initLimits(threads)
	o := p.options()
	o.PID, o.Name, o.CPU, o.Extent, o.Space, o.Regs = prog.PID, path.Base(prog.Path), k.CPU, k.Extent, space, u
	o.MaxThreads = threads
	p.Process = task.New(o)
	p.Process.Local = p
	p.setProgram(&running{path: prog.Path, args: prog.Args, env: prog.Env, auxv: auxv(space, u.SP)})
	prog.Paths.FS().SetProcesses(processesOf(p.Family()))
	p.Run()
	return p, nil
}

// spaceLimits are the limits on the address space of the first process.
func (k *Kernel) spaceLimits() mm.Limits {
	limits := mm.Limits{Stack: defaultStack}
	if !k.FixedAddresses {
		limits.Pick = pick
	}
	if k.Memory != nil {
		total, _ := k.Memory()
		limits.Commit = total + overcommit
		limits.Areas = maxAreas(total)
	}
	return limits
}

// maxStack bounds the stack of a program that is executed, in bytes.
const maxStack = 1 << 30

// spaceLimits are the limits on the address space of the next program of p.
func (p *Process) spaceLimits() mm.Limits {
	limits := p.Kernel.spaceLimits()
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.limits[rlimitStack].Cur; n != infinity {
		limits.Stack = min(max(n, 128<<10), maxStack) // as Linux leaves the arguments room (ARG_MAX)
	}
	if n := p.limits[rlimitAS].Cur; n != infinity {
		limits.Size = max(n, 1)
	}
	return limits
}

// ended gives back what a process has held that has ended.
func (p *Process) ended() {
	p.FDs.CloseAll()
	if p.endExecution != nil {
		p.endExecution()
	}
}

// over tells those who wait for the end of the process on a pidfd.
func (p *Process) over() { p.ends.Notify(waiter.ReadableEvents) }

// execute notes that the process runs the program in a file.
func (p *Process) execute(file vfs.File) {
	p.executed, p.endExecution = file, func() {}
	if f, ok := file.(executable); ok {
		p.endExecution = f.Execute()
	}
}

// logReport logs the report of a fatal fault.
func (k *Kernel) logReport(report string) { k.logf("%s", strings.TrimSuffix(report, "\n")) }

// memoryPerThread is how much memory, in bytes, a machine must have for each thread of a program: several times what
// the kernel keeps for one (a goroutine with its stack, registers), so that threads can't use up the kernel's own memory.
const memoryPerThread = 64 << 10

// maxThreads is the thread limit on a machine with so much memory for programs.
func maxThreads(memory uint64) int {
	return int(min(max(memory/memoryPerThread, 64), task.DefaultMaxThreads))
}

// memoryPerArea is how much memory, in bytes, a machine must have for each mapping of a program, for the same reason.
const memoryPerArea = 8 << 10

// maxAreas is the limit on mappings on a machine with so much memory for programs: Linux's (vm.max_map_count), or less.
func maxAreas(memory uint64) int {
	return int(min(max(memory/memoryPerArea, 1024), 65530))
}

// load puts the first program into the space and returns its first registers. prog.Path becomes absolute.
func (p *Process) load(space *mm.Space, prog *Program) (*regs.User, error) {
	open, err := prog.Paths.Open(nil, prog.Path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, &task.LoadError{Path: prog.Path, Reason: "can't be opened: " + errnoOf(err).Error(), Errno: errnoOf(err)}
	}
	defer open.Release()
	image, err := imageOf(open, prog.Path)
	if err != nil {
		return nil, err
	}
	p.execute(open.File())
	prog.Path = image.Path
	return p.loadImage(space, image, prog.Args, prog.Env)
}

// loadImage puts a program into an empty space and returns its first registers.
func (p *Process) loadImage(space *mm.Space, image task.Image, args, env []string) (u *regs.User, err error) {
	k, who := p.Kernel, p.who()
	aux := task.AuxInfo{UID: who.UID, EUID: who.EUID, GID: who.GID, EGID: who.EGID,
		HWCap: k.HWCap, HWCap2: k.HWCap2, MinSigStack: task.MinSignalStack(k.Extent)}
	rand.Read(aux.Random[:])
	u = regs.New()
	if k.VDSO != nil {
		if aux.VDSO, err = k.VDSO.Map(space); err != nil {
			return nil, &task.LoadError{Path: image.Path, Reason: "leaves no room for the vDSO", Errno: unix.ENOMEM}
		}
	}
	if u.IP, u.SP, err = task.Load(space, image, args, env, aux); err != nil {
		return nil, err
	}
	u.Flags, u.Root = initialFlags, uint64(space.Root())
	return u, nil
}

// pick returns a random number from 0 to n-1.
func pick(n uint64) uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	high, _ := bits.Mul64(le.Uint64(b[:]), n)
	return high
}

// executable is a file that nobody can write to while it is a process's program.
type executable interface{ Execute() (done func()) }

// imageOf returns the program in an open file; what has been mapped of it stays when that is closed.
func imageOf(open *vfs.OpenFile, name string) (image task.Image, err error) {
	fail := func(reason string, err error) (task.Image, error) {
		return image, &task.LoadError{Path: name, Reason: reason, Errno: errnoOf(err)}
	}
	file, isMappable := open.File().(mappable)
	sizer, isSizer := open.File().(vfs.Sizer)
	if !isMappable || !isSizer {
		return fail("is not a regular file", unix.EACCES)
	}
	backing, err := file.Mapping()
	if err == nil && backing == nil {
		err = unix.EACCES
	}
	size, sizeErr := sizer.Size()
	if err = errors.Join(err, sizeErr); err != nil {
		return fail("can't be mapped: "+errnoOf(err).Error(), err)
	}
	image = task.Image{Path: name, File: backing, Size: size}
	if p, ok := open.File().(vfs.PathHolder); ok {
		image.Path = p.Path()
	}
	return image, nil
}

// chdir changes the working directory of a process that has not begun.
func chdir(paths *vfs.Paths, dir string) error {
	node, err := paths.Lookup(nil, dir, true)
	if err != nil {
		return err
	}
	return paths.Chdir(node)
}

// errnoOf returns the number of an error; unix.EIO if it has none.
func errnoOf(err error) unix.Errno {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return unix.EIO
	}
	return errno
}
