package linux

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
	"wick/kernel/task"
	"wick/kernel/task/tasktest"
	"wick/kernel/vfs"
)

// Where the programs of tests have their memory. Their code (of tasktest) is at textAt.
const (
	textAt  = 0x400000
	dataAt  = 0x10000
	dataLen = 64 << 10
	stackAt = 0x700000 // top
	stackSz = 64 << 10
)

// program is a process under test, whose system calls are the real ones.
type program struct {
	*tasktest.Program
	tb   testing.TB
	cpu  *tasktest.CPU
	proc *Process

	mu  sync.Mutex
	log []string // guarded by mu
}

// newProgram returns a process that runs what is added to its code, once run is called.
func newProgram(tb testing.TB) *program {
	machine := mmtest.New(tb, 1024)
	space, err := mm.NewSpace(machine, mm.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	for _, m := range []mm.Mapping{{Addr: dataAt, Length: dataLen}, {Addr: stackAt - stackSz, Length: stackSz}} {
		m.Prot, m.Flags = unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED
		if _, err := space.Mmap(m); err != nil {
			tb.Fatal(err)
		}
	}
	p := &program{tb: tb, cpu: tasktest.New()}
	p.Program = p.cpu.Program(textAt)
	k := &Kernel{Machine: machine, CPU: p.cpu, CPUs: 2, Verbose: true, Log: p.logf}
	u := regs.New()
	u.IP, u.SP, u.Flags, u.Root = textAt, stackAt, initialFlags, uint64(space.Root())
	fs, err := vfs.NewFS(nil, 0, vfs.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	p.proc = &Process{Kernel: k, FDs: vfs.NewTable(), Paths: fs.NewPaths()}
	p.proc.umask.Store(defaultUmask)
	p.proc.initLimits(100)
	p.proc.Process = task.New(task.Options{
		PID: 1, Name: "test", CPU: p.cpu, Space: space, Regs: u,
		Syscall: syscall, Signalled: p.proc.signalled, Ended: p.proc.FDs.CloseAll,
		Log: func(r string) { p.logf("%s", r) }, Trace: appendRecent,
	})
	p.proc.Process.Local = p.proc
	return p
}

func (p *program) logf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// returns adds a system call and checks its result, which may be an errno.
func (p *program) returns(want any, number int, args ...uint64) {
	p.tb.Helper()
	var value uint64
	switch want := want.(type) {
	case int:
		value = uint64(want)
	case unix.Errno:
		value = errnoResult(want)
	default:
		p.tb.Fatalf("%T is no result", want)
	}
	p.Call(number, args...)
	p.Do(func(u *regs.User) {
		if u.AX != value {
			p.tb.Errorf("%s(%#x) = %d, want %d", callName(uint64(number)), args, int64(u.AX), int64(value))
		}
	})
}

// check adds a look at the program's memory.
func (p *program) check(f func()) { p.Do(func(*regs.User) { f() }) }

// word reads memory of the program.
func (p *program) word(addr uint64) uint64 {
	v, err := p.proc.Space.Uint64(addr)
	if err != nil {
		p.tb.Errorf("reading %#x: %v", addr, err)
	}
	return v
}

// store adds the writing of words.
func (p *program) store(addr uint64, words ...uint64) {
	p.check(func() { p.put(addr, words...) })
}

// put writes memory of the program now.
func (p *program) put(addr uint64, words ...uint64) {
	for i, v := range words {
		if err := p.proc.Space.PutUint64(addr+8*uint64(i), v); err != nil {
			p.tb.Errorf("writing %#x: %v", addr, err)
		}
	}
}

// start runs the program; it exits with 0 where its code ends.
func (p *program) start() {
	p.Call(unix.SYS_EXIT_GROUP, 0)
	p.proc.Run()
}

// run runs the program to its end.
func (p *program) run() {
	p.tb.Helper()
	p.start()
	p.wait(task.Status{})
}

func (p *program) wait(want task.Status) {
	p.tb.Helper()
	select {
	case <-p.proc.Done():
	case <-time.After(30 * time.Second):
		p.tb.Fatal("the process doesn't end")
	}
	if got := p.proc.Wait(); got != want {
		p.tb.Errorf("status %+v, want %+v; log: %q", got, want, p.log)
	}
}
