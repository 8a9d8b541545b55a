package task

import (
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/ground/regs"
	"wick/kernel/mm"
	"wick/kernel/mm/mmtest"
	"wick/kernel/task/tasktest"
)

// Where the test programs have their memory.
const (
	textAt  = 0x400000 // code of tasktest: nothing is mapped there
	dataAt  = 0x10000
	dataLen = 64 << 10
	stackAt = 0x700000 // top
	stackSz = 64 << 10
	altAt   = 0x800000
	altLen  = 16 << 10
)

// call does one system call of a test program.
type call func(t *Thread) (uint64, error)

// Numbers of the calls that every test program has.
const (
	callExit      = unix.SYS_EXIT
	callExitGroup = unix.SYS_EXIT_GROUP
	callSigreturn = unix.SYS_RT_SIGRETURN
	callClone     = unix.SYS_CLONE
)

// world is a process under test.
type world struct {
	tb      testing.TB
	cpu     *tasktest.CPU
	space   *mm.Space
	machine *mmtest.Machine
	calls   map[uint64]call
	opts    Options
	proc    *Process

	mu      sync.Mutex
	reports []string // guarded by mu
	ended   int      // guarded by mu
}

// newWorld makes the memory of a process. Its program begins at textAt.
func newWorld(tb testing.TB) *world {
	machine := mmtest.New(tb, 512)
	space, err := mm.NewSpace(machine, mm.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{tb: tb, cpu: tasktest.New(), space: space, machine: machine}
	w.mapData(dataAt, dataLen)
	w.mapData(stackAt-stackSz, stackSz)
	w.mapData(altAt, altLen)
	w.calls = map[uint64]call{
		callExit:      func(t *Thread) (uint64, error) { t.Exit(int(t.Regs.DI)); return 0, nil },
		callExitGroup: func(t *Thread) (uint64, error) { t.Process.ExitGroup(int(t.Regs.DI)); return 0, nil },
		callSigreturn: func(t *Thread) (uint64, error) { t.SignalReturn(); return t.Regs.AX, nil },
		callClone: func(t *Thread) (uint64, error) {
			u := t.Regs
			tid, err := t.Clone(CloneArgs{Flags: u.DI, Stack: u.SI, ParentTID: u.DX, ChildTID: u.R10, TLS: u.R8})
			return uint64(tid), err
		},
	}
	return w
}

func (w *world) mapData(at, size uint64) {
	w.tb.Helper()
	_, err := w.space.Mmap(mm.Mapping{Addr: at, Length: size, Prot: unix.PROT_READ | unix.PROT_WRITE,
		Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED})
	if err != nil {
		w.tb.Fatal(err)
	}
}

// start runs the program.
func (w *world) start() *Process {
	u := regs.New()
	u.IP, u.SP, u.Flags, u.Root = textAt, stackAt, flagIF|flag1, uint64(w.space.Root())
	o := w.opts
	o.PID, o.Name, o.CPU, o.Space, o.Regs = 1, "test", w.cpu, w.space, u
	o.Syscall = w.syscall
	o.Ended = func() { w.mu.Lock(); w.ended++; w.mu.Unlock() }
	o.Log = func(report string) { w.mu.Lock(); w.reports = append(w.reports, report); w.mu.Unlock() }
	w.proc = New(o)
	w.proc.Run()
	return w.proc
}

// run runs the program to its end.
func (w *world) run() Status {
	w.tb.Helper()
	return w.wait(w.start())
}

// wait waits for the end of the process; that it never comes is the failure of the test.
func (w *world) wait(p *Process) Status {
	w.tb.Helper()
	select {
	case <-p.Done():
	case <-time.After(30 * time.Second):
		w.tb.Fatal("the process doesn't end")
	}
	if w.ended != 1 {
		w.tb.Errorf("Ended was called %d times", w.ended)
	}
	return p.Wait()
}

func (w *world) syscall(t *Thread) {
	number := t.Regs.AX
	do, ok := w.calls[number]
	if !ok {
		t.Regs.AX = errnoValue(unix.ENOSYS)
		return
	}
	v, err := do(t)
	if err != nil {
		errno := err.(unix.Errno)
		v = errnoValue(errno)
		if errno == unix.EINTR {
			t.Interrupt(number, RestartSys)
		}
	}
	t.Regs.AX = v
}

// expect fails unless the process ended like this.
func (w *world) expect(got, want Status) {
	w.tb.Helper()
	if got != want {
		w.tb.Errorf("status %+v, want %+v; reports: %s", got, want, strings.Join(w.reports, "\n"))
	}
}

// handler writes a signal handler at an address: body, then return through the restorer that it places after it. It
// returns the action for it.
func (w *world) handler(at uint64, flags uint64, mask Set, body func(u *regs.User)) Action {
	p := w.cpu.Program(at)
	p.Do(body)
	p.Do(func(u *regs.User) { // RET
		u.IP, _ = w.space.Uint64(u.SP)
		u.SP += 8
	})
	restorer := p.Here()
	p.Call(callSigreturn)
	return Action{Handler: at, Flags: flags | SaRestorer, Restorer: restorer, Mask: mask}
}

// word reads a word of the program's memory.
func (w *world) word(addr uint64) uint64 {
	w.tb.Helper()
	v, err := w.space.Uint64(addr)
	if err != nil {
		w.tb.Errorf("reading %#x: %v", addr, err)
	}
	return v
}

func (w *world) put(addr, v uint64) {
	w.tb.Helper()
	if err := w.space.PutUint64(addr, v); err != nil {
		w.tb.Errorf("writing %#x: %v", addr, err)
	}
}

// errnoValue is the form that errors have in RAX.
func errnoValue(e unix.Errno) uint64 { return -uint64(e) }
