package vm

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs"
)

// statusBySignal is added to the number of a signal that killed the program, as shells do.
const statusBySignal = 128

// TestEndings: wick ends as the program did, and a fault is reported.
func TestEndings(t *testing.T) {
	for i, e := range programs.Endings {
		if e.Emulated != 0 {
			e.Signal = e.Emulated
		}
		t.Run(strings.Join(e.Args, " "), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: configurations[i%len(configurations)], quiet: true,
				program: cProgram(t, "fault", programs.Libcs[i%len(programs.Libcs)]), args: e.Args})
			if e.Signal == 0 {
				r.want(e.Status)
			} else {
				r.want(statusBySignal + int(e.Signal))
				wantReport(t, r, &e)
			}
			if out := r.stdout.String(); out != "about to: "+e.Args[0]+"\n" {
				t.Errorf("standard output: %q", out)
			}
		})
	}
}

// wantReport checks that somebody at the terminal learns what happened.
func wantReport(t *testing.T, r *run, e *programs.Ending) {
	t.Helper()
	report := r.stderr.String()
	name := unix.SignalName(e.Signal)
	if name == "" {
		name = strconv.Itoa(int(e.Signal))
	}
	fault := e.Signal == unix.SIGSEGV || e.Signal == unix.SIGBUS || e.Signal == unix.SIGFPE || e.Signal == unix.SIGILL
	want := append([]string{name}, e.Report...)
	if fault {
		want = append(want, " IP ", " SP ", " AX ") // registers
	}
	for _, text := range want {
		if !strings.Contains(report, text) {
			t.Errorf("no %q in the report:\n%s", text, report)
		}
	}
}

// TestGoEndings: the ways in which Go's runtime ends a program.
func TestGoEndings(t *testing.T) {
	for _, c := range []struct {
		action string
		status int
		says   string
	}{
		{"panic", 2, "panic: on purpose"},
		{"nil", 2, "nil pointer dereference"},
		{"stack", 2, "stack overflow"},
		{"no-such-action", 2, "usage: stdio"},
	} {
		t.Run(c.action, func(t *testing.T) {
			t.Parallel()
			r := stdio(t, nil, nil, c.action)
			r.want(c.status)
			if !strings.Contains(r.stderr.String(), c.says) {
				t.Errorf("no %q in:\n%s", c.says, r.stderr)
			}
		})
	}
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			stdio(t, nil, nil, "kill", strconv.Itoa(int(sig))).want(statusBySignal + int(sig))
		})
	}
}

// TestFirstProcessEndsTheMachine: with its status, whatever its children do.
func TestFirstProcessEndsTheMachine(t *testing.T) {
	for role, status := range map[string]int{"leave": 9, "victim": statusBySignal + int(unix.SIGTERM)} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			start(t, options{configuration: plain, quiet: true, program: goProgram(t, "processes"), flags: []string{"-e", "PROCESSES_ROLE=" + role}}).want(status)
		})
	}
}

// interrupt is Ctrl-C.
func interrupt(t *testing.T, r *run) {
	t.Helper()
	if err := r.cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// ready waits until the program says so.
func ready(r *run) *run {
	r.t.Helper()
	r.awaitLine(r.stdout, "it was ready", func(line string) bool { return line == "ready" })
	return r
}

func TestInterrupt(t *testing.T) {
	t.Run("handled", func(t *testing.T) {
		t.Parallel()
		r := ready(stdio(t, nil, nil, "trap"))
		interrupt(t, r)
		r.want(0)
		if out := r.stdout.String(); out != "ready\ngot interrupt\n" {
			t.Errorf("standard output: %q", out)
		}
	})
	for _, action := range []string{"sleep", "spin"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			r := ready(stdio(t, nil, nil, action))
			interrupt(t, r)
			r.want(statusBySignal + int(unix.SIGINT))
		})
	}
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		r := ready(stdio(t, nil, nil, "ignore"))
		interrupt(t, r)
		select {
		case <-r.done:
			t.Fatalf("one Ctrl-C ended a program that ignores it\n%s", r.tail())
		case <-time.After(time.Second):
		}
		interrupt(t, r)
		r.want(statusBySignal + int(unix.SIGINT))
	})
}

// children returns the processes whose parent is pid.
func children(t *testing.T, pid int) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err == nil && parent(child) == pid {
			pids = append(pids, child)
		}
	}
	return pids
}

// parent returns a process's parent, or 0 if the process is gone or a zombie.
func parent(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// "pid (name) state ppid …", where the name may hold anything [proc(5)].
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return 0
	}
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return ppid
}

// TestNoMachineIsLeft: however wick ends, its machine ends.
func TestNoMachineIsLeft(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGKILL} {
		for _, action := range []string{"sleep", "spin"} {
			t.Run(unix.SignalName(sig)+" "+action, func(t *testing.T) {
				t.Parallel()
				r := ready(stdio(t, nil, nil, action))
				machines := children(t, r.cmd.Process.Pid)
				if len(machines) == 0 {
					t.Fatal("wick has no child")
				}
				if err := r.cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				status := r.wait()
				if sig != unix.SIGKILL && status != statusBySignal+int(sig) {
					t.Errorf("exit status %d\n%s", status, r.tail())
				}
				for deadline := time.Now().Add(killDelay); ; time.Sleep(10 * time.Millisecond) {
					alive := 0
					for _, pid := range machines {
						if parent(pid) != 0 {
							alive = pid
						}
					}
					if alive == 0 {
						break
					}
					if time.Now().After(deadline) {
						unix.Kill(alive, unix.SIGKILL) // it was ours
						t.Fatalf("process %d has outlived wick", alive)
					}
				}
			})
		}
	}
}

func TestMemorySizes(t *testing.T) {
	for _, c := range configurations {
		for _, size := range []string{"32M", "48M", "64M", "512M"} {
			t.Run(c.String()+"/"+size, func(t *testing.T) {
				t.Parallel()
				r := start(t, options{configuration: c, quiet: true, flags: []string{"-m", size}, program: goProgram(t, "stdio"), args: []string{"args", "fits"}})
				r.want(0)
				if out := r.stdout.String(); out != "\"fits\"\n" {
					t.Errorf("standard output: %q", out)
				}
			})
		}
	}
}

// TestTooLittleMemory: a line that says so and a status, and never a hang.
func TestTooLittleMemory(t *testing.T) {
	for _, size := range []string{"4M", "8M", "12M", "16M", "20M", "24M"} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: plain, quiet: true, flags: []string{"-m", size}, program: goProgram(t, "stdio"), args: []string{"args", "fits"}})
			status := r.wait()
			if status == 0 {
				t.Skipf("%s is enough", size)
			}
			if status == statusBySignal+int(unix.SIGKILL) || status == 125 {
				if !strings.Contains(r.stderr.String(), "memory") {
					t.Errorf("status %d, and nothing about memory in:\n%s", status, r.stderr)
				}
				return
			}
			t.Errorf("exit status %d\n%s", status, r.tail())
		})
	}
}
