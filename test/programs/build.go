// Package programs builds the test programs below it and says how each is run. The programs are ordinary static Linux
// programs in Go and C; every one must pass natively on Linux, which is the proof that it asks for the right thing,
// before it is asked of a VM.
package programs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Libc is the C library that a program is linked with, and how.
type Libc string

// C libraries. The PIE ones are static, too: ET_DYN files without an interpreter.
const (
	Glibc    Libc = "glibc"
	GlibcPIE Libc = "glibc-pie"
	Musl     Libc = "musl"
	MuslPIE  Libc = "musl-pie"
)

// Libcs are all C libraries.
var Libcs = []Libc{Glibc, GlibcPIE, Musl, MuslPIE}

// muslDir is where Debian's musl-dev has its start files.
const muslDir = "/usr/lib/x86_64-linux-musl/"

// EnvBuilt is the environment variable that says that all programs have been built, where there is nothing to build them with.
const EnvBuilt = "WICK_PROGRAMS_BUILT"

// Built tells whether that is so.
func Built() bool { return os.Getenv(EnvBuilt) == "1" }

// ErrNoCompiler is returned when there is no compiler for a C library.
var ErrNoCompiler = errors.New("no C compiler")

var builds struct {
	sync.Mutex
	done map[string]func() error // by the name of the output; guarded by the mutex
}

// Root returns the folder of the module, from a test's working directory.
func Root() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			panic("no go.mod above the working directory")
		}
		dir = parent
	}
}

// GoBinary builds a Go program and returns the path of the binary. pkg is a folder below test/programs, or one
// of the module with a leading slash ("/examples/echo").
func GoBinary(pkg string) (string, error) {
	dir := "test/programs/" + pkg
	if strings.HasPrefix(pkg, "/") {
		dir = pkg[1:]
	}
	return build(strings.ReplaceAll(strings.TrimPrefix(pkg, "/"), "/", "-"), func(out string) *exec.Cmd {
		args := []string{"build", "-o", out}
		if dir == pkg[1:] {
			args = append(args, "-ldflags", "-s -w") // as the Makefile does with the examples
		}
		cmd := exec.Command("go", append(args, "./"+dir)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1")
		return cmd
	})
}

// CBinary builds a C program of test/programs/c, or the C file of the module at a path with a slash, and
// returns the path of the binary.
func CBinary(name string, libc Libc) (string, error) {
	compiler := "gcc"
	if libc == Musl || libc == MuslPIE {
		compiler = "musl-gcc"
	}
	if _, err := exec.LookPath(compiler); err != nil && !Built() {
		return "", fmt.Errorf("%w for %s: %w", ErrNoCompiler, libc, err)
	}
	source := "test/programs/c/" + name + ".c"
	if strings.HasPrefix(name, "/") {
		source = name[1:]
	}
	base := strings.TrimSuffix(filepath.Base(name), ".c")
	return build(base+"."+string(libc), func(out string) *exec.Cmd {
		args := []string{"-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", out}
		switch libc {
		case Glibc, Musl:
			args = append(args, "-static", source)
		case GlibcPIE:
			args = append(args, "-static-pie", source)
		case MuslPIE:
			// The wrapper doesn't know -static-pie; these are the files and flags that it stands for.
			args = append(args, "-static", "-fPIE", "-nostartfiles", "-Wl,-pie,--no-dynamic-linker,-z,text",
				muslDir+"rcrt1.o", muslDir+"crti.o", source, muslDir+"crtn.o")
		}
		return exec.Command(compiler, append(args, "-lm")...)
	})
}

// build runs a compiler once per test process. Several processes may build the same: each into a file of its own,
// which then takes the place of the output.
func build(name string, command func(out string) *exec.Cmd) (string, error) {
	dir := filepath.Join(Root(), "out", "test", "programs")
	path := filepath.Join(dir, name)
	if Built() {
		_, err := os.Stat(path)
		return path, err
	}
	builds.Lock()
	if builds.done == nil {
		builds.done = make(map[string]func() error)
	}
	once := builds.done[name]
	if once == nil {
		once = sync.OnceValue(func() error { return compile(dir, path, command) })
		builds.done[name] = once
	}
	builds.Unlock()
	return path, once()
}

func compile(dir, path string, command func(out string) *exec.Cmd) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	out := filepath.Join(temp, filepath.Base(path))
	cmd := command(out)
	cmd.Dir = Root()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, output.Bytes())
	}
	return os.Rename(out, path)
}
