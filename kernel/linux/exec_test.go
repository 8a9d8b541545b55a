package linux

import (
	"testing"

	"golang.org/x/sys/unix"
	"wick/bundle"
	"wick/kernel/ground/regs"
	"wick/kernel/mm/mmtest"
	"wick/kernel/task"
	"wick/kernel/task/tasktest"
	"wick/kernel/vfs"
)

// executing is a process whose one program is executed again and again; each time it does the next step.
type executing struct {
	t     *testing.T
	p     *Process
	steps []func(u *regs.User)
}

// strings stores strings and an array of pointers to them on the stack, and returns its address.
func (x *executing) strings(u *regs.User, list ...string) uint64 {
	var array []byte
	at := u.SP - 2048
	for _, s := range list {
		array = le.AppendUint64(array, at)
		x.must(x.p.Space.CopyOut(at, append([]byte(s), 0)))
		at += uint64(len(s)) + 1
	}
	u.SP -= 4096
	x.must(x.p.Space.CopyOut(u.SP, le.AppendUint64(array, 0)))
	return u.SP
}

func (x *executing) must(err error) {
	if err != nil {
		x.t.Error(err)
	}
}

// execve sets the registers for the call.
func (x *executing) execve(u *regs.User, path string, argv ...string) {
	args := x.strings(u, argv...)
	env := x.strings(u, "A=B")
	name, err := x.p.Space.Uint64(x.strings(u, path))
	x.must(err)
	u.AX, u.DI, u.SI, u.DX = unix.SYS_EXECVE, name, args, env
}

// args returns the arguments that the program was given.
func (x *executing) args(u *regs.User) (list []string) {
	argc, err := x.p.Space.Uint64(u.SP)
	x.must(err)
	for n := range argc {
		at, err := x.p.Space.Uint64(u.SP + 8 + 8*n)
		x.must(err)
		s, err := x.p.Space.CopyInString(at, 256)
		x.must(err)
		list = append(list, s)
	}
	return list
}

func (x *executing) expect(u *regs.User, want ...string) {
	got := x.args(u)
	if len(got) != len(want) {
		x.t.Fatalf("arguments %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			x.t.Errorf("arguments %q, want %q", got, want)
		}
	}
}

func TestExecve(t *testing.T) {
	file := func(path, data string, mode uint32) bundle.File {
		return bundle.File{Path: path, Mode: unix.S_IFREG | mode, Data: []byte(data)}
	}
	fs, err := vfs.NewFS([]bundle.File{
		file("prog", string(tinyELF()), 0o755), file("script", "#! /prog  one argument \nrest", 0o755),
		file("second", "#!/script", 0o755), file("bare", "#!\n", 0o755), file("lost", "#!/none\n", 0o755),
		file("loop", "#!/loop\n", 0o755), file("plain", "data", 0o755), file("locked", string(tinyELF()), 0o644),
	}, 0, vfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := &executing{t: t}
	cpu := tasktest.New()
	ready := make(chan struct{})
	fails := func(path string, want unix.Errno) func(u *regs.User) {
		return func(u *regs.User) {
			x.execve(u, path, "x")
			x.steps = append([]func(u *regs.User){func(u *regs.User) {
				if u.AX != errnoResult(want) {
					t.Errorf("%s: %d, want %v", path, int64(u.AX), want)
				}
				next := x.steps[0]
				x.steps = x.steps[1:]
				next(u)
			}}, x.steps...)
		}
	}
	first := func(u *regs.User) {
		if x.p.Action(unix.SIGUSR1) != (task.Action{}) {
			t.Error("a handler is left")
		}
	}
	x.steps = []func(u *regs.User){
		fails("/none", unix.ENOENT), fails("/plain", unix.ENOEXEC), fails("/locked", unix.EACCES), fails("/", unix.EACCES),
		fails("/bare", unix.ENOEXEC), fails("/lost", unix.ENOENT), fails("/loop", unix.ELOOP), fails("", unix.ENOENT),
		func(u *regs.User) {
			x.must(x.p.SetAction(unix.SIGUSR1, task.Action{Handler: textAt}))
			x.execve(u, "/prog", "new", "arguments")
		},
		func(u *regs.User) {
			first(u)
			x.expect(u, "new", "arguments")
			if got := x.p.running.Load(); got.path != "/prog" || len(got.args) != 2 || got.env[0] != "A=B" || x.p.Leader().Name() != "prog" {
				t.Errorf("runs %+v as %q", got, x.p.Leader().Name())
			}
			if u.R12 != 0 || u.Root != uint64(x.p.Space.Root()) {
				t.Error("registers of the old program")
			}
			x.execve(u, "/script", "name", "last")
		},
		func(u *regs.User) {
			x.expect(u, "/prog", "one argument", "/script", "last")
			x.execve(u, "/second", "name", "last")
		},
		func(u *regs.User) {
			x.expect(u, "/prog", "one argument", "/script", "/second", "last")
			x.execve(u, "/prog") // no arguments at all
		},
		func(u *regs.User) {
			x.expect(u, "")
			u.AX, u.DI = unix.SYS_EXIT_GROUP, 42
		},
	}
	loop := cpu.Program(textAt).Do(func(u *regs.User) {
		<-ready
		next := x.steps[0]
		x.steps = x.steps[1:]
		next(u)
		if u.AX == unix.SYS_EXECVE {
			u.R12 = 1
		}
	}).SYSCALL()
	loop.Do(func(u *regs.User) { u.IP = textAt })
	k := &Kernel{Machine: mmtest.New(t, 1024), CPU: cpu, FS: fs, Log: t.Logf}
	if x.p, err = k.Start(Program{Path: "/prog", Args: []string{"x"}, FDs: vfs.NewTable(), Paths: fs.NewPaths()}); err != nil {
		t.Fatal(err)
	}
	close(ready)
	if s := x.p.Wait(); s != (task.Status{Code: 42}) {
		t.Errorf("status %+v", s)
	}
}
