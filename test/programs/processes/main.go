// Processes checks what Go programs do with other processes: os/exec of the program itself, pipes between processes, signals,
// many at once, workers that share a listener.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"wick/test/programs/check"
)

// roleVariable tells a program that was started by one of its cases what to do.
const roleVariable = "PROCESSES_ROLE"

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role, os.Args[1:]))
	}
	check.Main(
		check.Case{Name: "output", Run: output},
		check.Case{Name: "exit-codes", Run: exitCodes},
		check.Case{Name: "environment-and-folder", Run: environmentAndFolder},
		check.Case{Name: "cannot-start", Run: cannotStart},
		check.Case{Name: "pipes", Run: pipes},
		check.Case{Name: "pipeline", Run: pipeline},
		check.Case{Name: "many", Run: many},
		check.Case{Name: "signals", Run: signals},
		check.Case{Name: "context", Run: contextKills},
		check.Case{Name: "group", Run: group},
		check.Case{Name: "exec-keeps-id", Run: execKeepsID},
		check.Case{Name: "workers", Run: workers},
		check.Case{Name: "script", Run: script},
	)
}

// play does what a case wants of the process that it has started, and returns its exit code.
func play(role string, args []string) int {
	switch role {
	case "say":
		fmt.Print(strings.Join(args, " "))
		fmt.Fprint(os.Stderr, "said")
	case "exit":
		n, _ := strconv.Atoi(args[0])
		return n
	case "where":
		dir, _ := os.Getwd()
		fmt.Print(dir, os.Getenv("X"), os.Getppid())
	case "copy":
		io.Copy(os.Stdout, os.Stdin)
	case "upper":
		b, _ := io.ReadAll(os.Stdin)
		os.Stdout.Write(bytes.ToUpper(b))
	case "catch":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGUSR1)
		fmt.Println("ready")
		<-c
		return 44
	case "sleep":
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "exec":
		os.Setenv(roleVariable, "pid")
		err := syscall.Exec("/proc/self/exe", os.Args, os.Environ())
		fmt.Print(err)
		return 1
	case "pid":
		fmt.Print(os.Getpid())
	case "leave": // ends before its children
		for range 3 {
			c := itself("sleep")
			c.Stdout = os.Stdout
			if c.Start() != nil {
				return 1
			}
		}
		return 9
	case "victim": // of its child
		itself("kill-parent").Run()
		return 1
	case "kill-parent":
		syscall.Kill(os.Getppid(), syscall.SIGTERM)
		time.Sleep(time.Hour)
	case "serve":
		l, err := net.FileListener(os.NewFile(3, "listener"))
		if err != nil {
			fmt.Print(err)
			return 1
		}
		for {
			c, err := l.Accept()
			if err != nil {
				return 1
			}
			fmt.Fprint(c, os.Getpid())
			c.Close()
		}
	}
	return 0
}

// itself prepares the program to play a role.
func itself(role string, args ...string) *exec.Cmd {
	return itselfUnder(context.Background(), role, args...)
}

func itselfUnder(ctx context.Context, role string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "/proc/self/exe", args...)
	c.Env = append(os.Environ(), roleVariable+"="+role)
	return c
}

func output(t *check.T) {
	var stderr strings.Builder
	c := itself("say", "one", "two")
	c.Stderr = &stderr
	out, err := c.Output()
	t.Must(err)
	check.Equal(t, "standard output", string(out), "one two")
	check.Equal(t, "standard error", stderr.String(), "said")
	if c.ProcessState.Pid() == os.Getpid() || !c.ProcessState.Success() {
		t.Fatalf("state %v, id %d", c.ProcessState, c.ProcessState.Pid())
	}
	if _, ok := c.ProcessState.SysUsage().(*syscall.Rusage); !ok {
		t.Fatalf("no usage")
	}
}

func exitCodes(t *check.T) {
	for _, code := range []int{0, 1, 7, 255} {
		err := itself("exit", strconv.Itoa(code)).Run()
		var exit *exec.ExitError
		switch {
		case code == 0 && err != nil:
			t.Fatalf("exit code 0: %v", err)
		case code != 0 && (!errors.As(err, &exit) || exit.ExitCode() != code):
			t.Fatalf("exit code %d: %v", code, err)
		}
	}
}

func environmentAndFolder(t *check.T) {
	c := itself("where")
	c.Env = append(c.Env, "X=:variable:")
	c.Dir = "/proc"
	out, err := c.Output()
	t.Must(err)
	check.Equal(t, "what it says", string(out), "/proc:variable:"+strconv.Itoa(os.Getpid()))
}

func cannotStart(t *check.T) {
	if err := exec.Command("/no/such/program").Run(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a program that isn't there: %v", err)
	}
	c := itself("say")
	c.Dir = "/no/such/folder"
	if err := c.Run(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a folder that isn't there: %v", err)
	}
	if err := exec.Command("/proc").Run(); !errors.Is(err, os.ErrPermission) {
		t.Fatalf("a folder as a program: %v", err)
	}
}

// pipes sends a megabyte through a child.
func pipes(t *check.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	c := itself("copy")
	c.Stdin = bytes.NewReader(data)
	out, err := c.Output()
	t.Must(err)
	if !bytes.Equal(out, data) {
		t.Fatalf("%d bytes came back, or others", len(out))
	}
}

func pipeline(t *check.T) {
	first, second, third := itself("say", "through", "three"), itself("copy"), itself("upper")
	var err error
	second.Stdin, err = first.StdoutPipe()
	t.Must(err)
	third.Stdin, err = second.StdoutPipe()
	t.Must(err)
	var out strings.Builder
	third.Stdout = &out
	for _, c := range []*exec.Cmd{third, second, first} {
		t.Must(c.Start())
	}
	for _, c := range []*exec.Cmd{first, second, third} {
		t.Must(c.Wait())
	}
	check.Equal(t, "the end of the pipeline", out.String(), "THROUGH THREE")
}

func many(t *check.T) {
	const goroutines, each = 4, 4
	var wg sync.WaitGroup
	failures := make(chan error, goroutines*each)
	for g := range goroutines {
		wg.Go(func() {
			for n := range each {
				want := fmt.Sprint(g, n)
				if out, err := itself("say", want).Output(); err != nil || string(out) != want {
					failures <- fmt.Errorf("%q, %v; want %q", out, err, want)
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failures:
		t.Fatalf("%v", err)
	default:
	}
}

// started starts a child and waits until it says that it is ready.
func started(t *check.T, c *exec.Cmd) {
	out, err := c.StdoutPipe()
	t.Must(err)
	t.Must(c.Start())
	ready := make([]byte, 6)
	_, err = io.ReadFull(out, ready)
	t.Must(err)
	check.Equal(t, "the child's word", string(ready), "ready\n")
}

func signalOf(err error) syscall.Signal {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0
	}
	return exit.Sys().(syscall.WaitStatus).Signal()
}

func signals(t *check.T) {
	c := itself("catch")
	started(t, c)
	t.Must(c.Process.Signal(syscall.SIGUSR1))
	c.Wait()
	check.Equal(t, "exit code", c.ProcessState.ExitCode(), 44)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		c := itself("sleep")
		started(t, c)
		t.Must(c.Process.Signal(sig))
		check.Equal(t, "what ended it", signalOf(c.Wait()), sig)
		if err := c.Process.Signal(sig); !errors.Is(err, os.ErrProcessDone) {
			t.Fatalf("a signal for a process that has ended: %v", err)
		}
	}
}

func contextKills(t *check.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := itselfUnder(ctx, "sleep")
	started(t, c)
	cancel()
	if err := c.Wait(); !errors.Is(err, context.Canceled) && signalOf(err) != syscall.SIGKILL {
		t.Fatalf("the end: %v", err)
	}
}

func group(t *check.T) {
	c := itself("sleep")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started(t, c)
	id, err := syscall.Getpgid(c.Process.Pid)
	t.Must(err)
	check.Equal(t, "the group", id, c.Process.Pid)
	t.Must(syscall.Kill(-id, syscall.SIGINT))
	check.Equal(t, "what ended it", signalOf(c.Wait()), syscall.SIGINT)
}

func execKeepsID(t *check.T) {
	c := itself("exec")
	out, err := c.Output()
	t.Must(err)
	check.Equal(t, "the id", string(out), strconv.Itoa(c.Process.Pid))
}

// workers has several processes accept connections of one listener.
func workers(t *check.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	t.Must(err)
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	t.Must(err)
	defer file.Close()
	known := make(map[string]bool)
	for range 3 {
		c := itself("serve")
		c.ExtraFiles = []*os.File{file}
		t.Must(c.Start())
		defer c.Wait()
		defer c.Process.Kill()
		known[strconv.Itoa(c.Process.Pid)] = true
	}
	for range 20 {
		c, err := net.Dial("tcp", l.Addr().String())
		t.Must(err)
		pid, err := io.ReadAll(c)
		t.Must(err)
		c.Close()
		if !known[string(pid)] {
			t.Fatalf("an answer of process %q", pid)
		}
	}
}

func script(t *check.T) {
	exe, err := os.Readlink("/proc/self/exe")
	t.Must(err)
	dir, err := os.MkdirTemp("/tmp", "processes")
	t.Must(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "script")
	t.Must(os.WriteFile(path, []byte("#!"+exe+" argument\n"), 0o755))
	c := exec.Command(path, "last")
	c.Env = append(os.Environ(), roleVariable+"=say")
	out, err := c.Output()
	t.Must(err)
	check.Equal(t, "its arguments", string(out), "argument "+path+" last")
}
