package linux

import (
	"crypto/rand"
	"errors"
	"math/bits"
	"path"
	"strings"

	"golang.org/x/sys/unix"
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

// Start loads a program and runs it as a new process. If it fails, the error is a *task.LoadError, and the descriptors
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
	limits, threads := mm.Limits{Stack: defaultStack}, task.DefaultMaxThreads
	if !k.FixedAddresses {
		limits.Pick = pick
	}
	if k.Memory != nil {
		total, _ := k.Memory()
		limits.Commit = total + overcommit
		limits.Areas = maxAreas(total)
		threads = maxThreads(total)
	}
	space, err := mm.NewSpace(k.Machine, limits)
	if err != nil {
		return nil, &task.LoadError{Path: prog.Path, Reason: "finds no memory for its address space", Errno: unix.ENOMEM}
	}
	u, err := k.load(space, &prog)
	if err != nil {
		space.Release()
		return nil, err
	}
	p := &Process{Kernel: k, FDs: prog.FDs, Paths: prog.Paths}
	p.umask.Store(defaultUmask)
	p.initLimits(threads)
	p.Process = task.New(task.Options{
		PID: prog.PID, Name: path.Base(prog.Path),
		CPU: k.CPU, Extent: k.Extent, Space: space, Regs: u,
		Syscall:   p.syscall,
		Signalled: p.signalled,
		Ended:     prog.FDs.CloseAll,
		Log:       func(report string) { k.logf("%s", strings.TrimSuffix(report, "\n")) },
		Trace:     appendRecent,

		MaxThreads: threads,
	})
	prog.Paths.SetProcess(p.info(&prog))
	p.Run()
	return p, nil
}

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

// load puts the program into the space and returns its first registers. prog.Path becomes absolute.
func (k *Kernel) load(space *mm.Space, prog *Program) (*regs.User, error) {
	image, done, err := openImage(prog.Paths, prog.Path)
	if err != nil {
		return nil, err
	}
	defer done()
	prog.Path = image.Path
	aux := task.AuxInfo{HWCap: k.HWCap, HWCap2: k.HWCap2, MinSigStack: task.MinSignalStack(k.Extent)}
	rand.Read(aux.Random[:])
	u := regs.New()
	if u.IP, u.SP, err = task.Load(space, image, prog.Args, prog.Env, aux); err != nil {
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

// executable is a file that nobody can write to once it is the program's.
type executable interface{ Execute() }

// openImage opens a program's file. done closes it; what has been mapped stays.
func openImage(paths *vfs.Paths, name string) (image task.Image, done func(), err error) {
	fail := func(reason string, err error) (task.Image, func(), error) {
		return image, nil, &task.LoadError{Path: name, Reason: reason, Errno: errnoOf(err)}
	}
	open, err := paths.Open(nil, name, unix.O_RDONLY, 0)
	if err != nil {
		return fail("can't be opened: "+errnoOf(err).Error(), err)
	}
	file, isMappable := open.File().(mappable)
	sizer, isSizer := open.File().(vfs.Sizer)
	if !isMappable || !isSizer {
		open.Release()
		return fail("is not a regular file", unix.EACCES)
	}
	backing, err := file.Mapping()
	if err == nil && backing == nil {
		err = unix.EACCES
	}
	size, sizeErr := sizer.Size()
	if err = errors.Join(err, sizeErr); err != nil {
		open.Release()
		return fail("can't be mapped: "+errnoOf(err).Error(), err)
	}
	if f, ok := open.File().(executable); ok {
		f.Execute()
	}
	image = task.Image{Path: name, File: backing, Size: size}
	if p, ok := open.File().(vfs.PathHolder); ok {
		image.Path = p.Path()
	}
	return image, open.Release, nil
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
