package linux

import (
	"testing"

	"golang.org/x/sys/unix"
	"wick/bundle"
	"wick/kernel/vfs"
)

// fileProgram is a program with a file system and room for strings in its memory.
type fileProgram struct {
	*program
	fs   *vfs.FS
	next uint64 // where the next string goes
}

// stringsAt is where the strings of a fileProgram begin; below is memory for tests to use.
const stringsAt = dataAt + 32<<10

func newFileProgram(tb testing.TB) *fileProgram {
	p := &fileProgram{program: newProgram(tb), next: stringsAt}
	fs, err := vfs.NewFS([]bundle.File{
		{Path: "/d", Mode: bundle.ModeDir | 0o755},
		{Path: "/d/l", Mode: bundle.ModeSymlink | 0o777, Link: "../f"},
		{Path: "/f", Mode: bundle.ModeRegular | 0o755, Data: []byte("0123456789")},
	}, 0, vfs.Options{MaxBytes: 8 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	p.fs = fs
	p.proc.Paths = fs.NewPaths()
	p.proc.Paths.SetProcess(&vfs.ProcessInfo{PID: 1, Exe: "/f", FDs: p.proc.FDs})
	return p
}

// str puts a string with a NUL into the program's memory and returns its address.
func (p *fileProgram) str(s string) uint64 {
	at := p.next
	if err := p.proc.Space.CopyOut(at, append([]byte(s), 0)); err != nil {
		p.tb.Fatal(err)
	}
	p.next += uint64(len(s)+1+7) &^ 7
	return at
}

// bytes returns memory of the program.
func (p *fileProgram) bytes(addr uint64, n int) []byte {
	b := make([]byte, n)
	if err := p.proc.Space.CopyIn(b, addr); err != nil {
		p.tb.Errorf("reading %#x: %v", addr, err)
	}
	return b
}

// holds adds a check that memory has these contents.
func (p *fileProgram) holds(addr uint64, want string) {
	p.tb.Helper()
	p.check(func() {
		p.tb.Helper()
		if got := string(p.bytes(addr, len(want))); got != want {
			p.tb.Errorf("memory at %#x: %q, want %q", addr, got, want)
		}
	})
}

// open adds the opening of a file and expects the descriptor.
func (p *fileProgram) open(want any, path string, flags uint64) {
	p.tb.Helper()
	p.returns(want, unix.SYS_OPENAT, cwd, p.str(path), flags, 0o666)
}

// later runs do on another goroutine when the program comes here.
func (p *fileProgram) later(do func()) { p.check(func() { go do() }) }

// file returns what is open as fd.
func (p *fileProgram) file(fd int) *vfs.OpenFile {
	o, err := p.proc.FDs.Get(fd)
	if err != nil {
		p.tb.Errorf("descriptor %d: %v", fd, err)
		return nil
	}
	o.Release()
	return o
}

// write writes to a descriptor from outside.
func (p *fileProgram) write(fd int, s string) {
	b := vfs.Bytes(s)
	if _, err := p.file(fd).Write(&b); err != nil {
		p.tb.Errorf("writing to descriptor %d: %v", fd, err)
	}
}

// cwd is AT_FDCWD as programs pass it.
const cwd = uint64(1<<32 - 100)

// minus1 is -1 as an argument.
const minus1 = ^uint64(0)
