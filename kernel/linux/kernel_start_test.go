package linux

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wick/bundle"
	"wick/kernel/ground/regs"
	"wick/kernel/mm/mmtest"
	"wick/kernel/task"
	"wick/kernel/task/tasktest"
	"wick/kernel/vfs"
)

// tinyELF is a static program of one page, entered at textAt.
func tinyELF() []byte {
	b := make([]byte, 4096)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)  // ET_EXEC
	le.PutUint16(b[18:], 62) // EM_X86_64
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], textAt)
	le.PutUint64(b[32:], 64) // program headers
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	le.PutUint32(b[64:], 1) // PT_LOAD
	le.PutUint32(b[68:], 5) // R, X
	le.PutUint64(b[80:], textAt)
	le.PutUint64(b[88:], textAt)
	le.PutUint64(b[96:], 4096)
	le.PutUint64(b[104:], 4096)
	le.PutUint64(b[112:], 4096)
	return b
}

// newTree makes a file system with a program and what is no program.
func newTree(t *testing.T) *vfs.FS {
	t.Helper()
	file := func(path string, data []byte) bundle.File {
		return bundle.File{Path: path, Mode: unix.S_IFREG | 0o755, Data: data}
	}
	fs, err := vfs.NewFS([]bundle.File{
		{Path: "dir", Mode: unix.S_IFDIR | 0o755}, file("prog", tinyELF()), file("script", []byte("#!/bin/sh\n")),
	}, 0, vfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestStartRunsAnELFFile(t *testing.T) {
	machine, cpu, fs := mmtest.New(t, 1024), tasktest.New(), newTree(t)
	k := &Kernel{Machine: machine, CPU: cpu, FS: fs, Log: t.Logf}
	var p *Process
	ready := make(chan struct{})
	cpu.Program(textAt).Do(func(u *regs.User) {
		<-ready
		argc, err := p.Space.Uint64(u.SP)
		if argc != 2 || err != nil || u.SP%16 != 0 || u.Flags != initialFlags || u.Root != uint64(p.Space.Root()) {
			t.Errorf("argc %d, %v; SP %#x, flags %#x", argc, err, u.SP, u.Flags)
		}
		if path, err := p.Paths.Readlink(nil, "/proc/self/exe"); path != "/prog" || err != nil {
			t.Errorf("/proc/self/exe: %q, %v", path, err)
		}
		if auxv := p.running.Load().auxv; len(auxv) < 160 || len(auxv)%16 != 0 || le.Uint64(auxv[len(auxv)-16:]) != 0 {
			t.Errorf("auxiliary vector %x", auxv)
		}
		if cwd, err := p.Paths.Getcwd(); cwd != "/dir" || err != nil {
			t.Errorf("cwd %q, %v", cwd, err)
		}
	}).Call(unix.SYS_EXIT_GROUP, 42)
	p, err := k.Start(Program{
		Path: "../prog", Args: []string{"prog", "x"}, Env: []string{"A=B"}, Cwd: "/dir",
		FDs: vfs.NewTable(), Paths: fs.NewPaths(),
	})
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	select {
	case <-p.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the process doesn't end")
	}
	if s := p.Wait(); s != (task.Status{Code: 42}) {
		t.Errorf("status %+v", s)
	}
}

func TestStartSaysWhyItFails(t *testing.T) {
	fs := newTree(t)
	for _, c := range []struct {
		path, cwd, says string
		frames          int
		errno           unix.Errno
	}{
		{"/none", "", "/none can't be opened", 1024, unix.ENOENT},
		{"/dir", "", "/dir is not a regular file", 1024, unix.EACCES},
		{"/script", "", "/script ", 1024, unix.ENOEXEC},
		{"/prog", "/none", "/none can't be the working directory", 1024, unix.ENOENT},
		{"/prog", "/prog", "/prog can't be the working directory", 1024, unix.ENOTDIR},
		{"/prog", "", "memory", 0, unix.ENOMEM},
	} {
		k := &Kernel{Machine: mmtest.New(t, c.frames), CPU: tasktest.New(), FS: fs, Log: t.Logf}
		_, err := k.Start(Program{Path: c.path, Cwd: c.cwd, Args: []string{"x"}, FDs: vfs.NewTable(), Paths: fs.NewPaths()})
		var load *task.LoadError
		if !errors.As(err, &load) || load.Errno != c.errno || !strings.Contains(load.Error(), c.says) {
			t.Errorf("%s in %q: %v, want %q, %v", c.path, c.cwd, err, c.says, c.errno)
		}
	}
}

func TestThreadLimitFollowsMemory(t *testing.T) {
	for memory, want := range map[uint64]int{0: 64, 16 << 20: 256, 100 << 20: 1600, 1 << 40: task.DefaultMaxThreads} {
		if got := maxThreads(memory); got != want {
			t.Errorf("%d threads with %d bytes, want %d", got, memory, want)
		}
	}
}
