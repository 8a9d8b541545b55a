package vm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs"
)

// testKernel returns the environment of a wick that boots a kernel built with a tag.
func testKernel(t *testing.T, tag string) []string {
	t.Helper()
	wickPath(t)
	path := filepath.Join(programs.Root(), "out", "test", "kernel-"+tag+".img")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v (make %s makes it)", err, path[len(programs.Root())+1:])
	}
	return append(os.Environ(), "WICK_KERNEL="+path)
}

// Lines of a report of a program that makes system calls on a machine with a network.
var (
	memoryOnRecord = regexp.MustCompile(`(?m)^ *memory in KiB: kernel [1-9]\d+ of [1-9]\d+, devices [1-9]\d*, free [1-9]\d+$`)
	callsOnRecord  = regexp.MustCompile(`(?m)^ +#\d+ thread \d+ getppid = 0x0$`)
	packetOnRecord = regexp.MustCompile(`(?m)^ +#\d+ \d+\.\d{6} e0 > (42|60) 52:54:00:12:34:56>ff:ff:ff:ff:ff:ff ARP `)
)

// wantAll checks that each of the texts is there.
func wantAll(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in:\n%s", w, text)
		}
	}
}

// wantReportOf checks the parts of a report that are alike for all reasons.
func wantReportOf(t *testing.T, c configuration, text string) {
	t.Helper()
	if !callsOnRecord.MatchString(text) {
		t.Errorf("no system call %v in:\n%s", callsOnRecord, text)
	}
	if !memoryOnRecord.MatchString(text) {
		t.Errorf("no memory %v in:\n%s", memoryOnRecord, text)
	}
	if !packetOnRecord.MatchString(text) {
		t.Errorf("no packet %v in:\n%s", packetOnRecord, text)
	}
}

// TestKernelFailure: when the kernel fails, or a CPU hangs in it, wick tells that the program has ended with it, and where in
// the kernel, with the last system calls and packets.
func TestKernelFailure(t *testing.T) {
	env := testKernel(t, "faults")
	for _, f := range []struct {
		fault string
		want  []string
	}{
		{"panic", []string{"panic: a fault on purpose\n", "main.commit(", "wick/cmd/kernel/faults.go:"}},
		{"fatal", []string{"fatal error: sync: unlock of unlocked mutex\n", "main.commit(", "wick/cmd/kernel/faults.go:"}},
		{"ground", []string{"page fault in ground\n", "CR2 0xffffc0", "wick/kernel/ground.provoke wick/kernel/ground/export_faults.go:",
			"main.commit wick/cmd/kernel/faults.go:"}},
		{"stuck", []string{"a CPU is stuck in ground, or with interrupts off\n",
			"wick/kernel/ground.provoke wick/kernel/ground/export_faults.go:", "main.commit wick/cmd/kernel/faults.go:"}},
		{"spin", []string{"a CPU is stuck in a goroutine that lets no other run\n",
			"wick/kernel/ground.spin wick/kernel/ground/spin_amd64.s:", "main.commit wick/cmd/kernel/faults.go:"}},
	} {
		for _, c := range fewestAndMost {
			t.Run(c.String()+"/"+f.fault, func(t *testing.T) {
				t.Parallel()
				r := start(t, options{configuration: c, quiet: true, env: env, program: goProgram(t, "stdio"), args: []string{"work"},
					flags: []string{"-e", "WICK_FAULT=" + f.fault}})
				r.want(125)
				text := r.stderr.String()
				wantAll(t, text, "wick: the kernel has failed, and the program has ended with it: "+f.want[0])
				wantAll(t, text, f.want...)
				wantReportOf(t, c, text)
				if c.cpus > 1 && f.fault != "panic" && f.fault != "fatal" {
					wantAll(t, text, "\n  cpu 0", "\n  cpu 1")
				}
			})
		}
	}
}

// TestReportOnDemand: a second SIGQUIT brings a report of what the kernel and the program do, and the program goes on.
func TestReportOnDemand(t *testing.T) {
	for _, c := range fewestAndMost {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := ready(start(t, options{configuration: c, quiet: true, program: goProgram(t, "stdio"), args: []string{"work"}}))
			send := func(sig unix.Signal) {
				if err := r.cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
			}
			send(unix.SIGQUIT)
			r.awaitLine(r.stdout, "it got SIGQUIT", func(line string) bool { return line == "got quit" })
			for n := 1; n <= 2; n++ {
				if n > 1 {
					time.Sleep(2 * time.Second) // the kernel makes one report a second at most
				}
				send(unix.SIGQUIT)
				seen := 0
				r.awaitLine(r.stderr, "its report was complete", func(line string) bool {
					if line == "wick: end of the report" {
						seen++
					}
					return seen == n
				})
			}
			text := r.stderr.String()
			wantReportOf(t, c, text)
			wantAll(t, text, "\nwick: report: non-maskable interrupt\n", "\ncpu 0: ", "\n  thread 1 ", "goroutine 1 [chan receive]\n",
				"wick/kernel/task.(*Process).Wait wick/kernel/task/process.go:", "main.main wick/cmd/kernel/main.go:",
				"runtime.sysmon runtime/proc.go:", "created by goroutine 1 in\n")
			send(unix.SIGINT)
			r.want(0)
			if out := r.stdout.String(); out != "ready\ngot quit\ngot interrupt\n" {
				t.Errorf("standard output: %q", out)
			}
		})
	}
}

// TestNoWatchdogForSlowMachines: a machine that the host hardly runs, or stops for a while, is not taken for one that hangs.
func TestNoWatchdogForSlowMachines(t *testing.T) {
	for _, c := range fewestAndMost {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := ready(start(t, options{configuration: c, quiet: true, program: goProgram(t, "stdio"), args: []string{"work"}}))
			machines := children(t, r.cmd.Process.Pid)
			if len(machines) != 1 {
				t.Fatalf("wick has the children %v, want one", machines)
			}
			stop := func(d time.Duration) {
				if err := unix.Kill(machines[0], unix.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				time.Sleep(d)
				if err := unix.Kill(machines[0], unix.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			for range 40 { // a hundredth of the time
				stop(495 * time.Millisecond)
				time.Sleep(5 * time.Millisecond)
			}
			stop(15 * time.Second)
			interrupt(t, r)
			r.want(0)
			if text := r.stderr.String(); text != "" {
				t.Errorf("standard error: %s", text)
			}
		})
	}
}

// threadWaits is what gdb's commands show of a thread of the kernel's that no CPU runs.
var threadWaits = regexp.MustCompile(`\nthread [0-9]+ \[(sleeps|runnable|waits for (a futex|events))\]\n    .+ [\w/]+\.(go|s):[0-9]+\n`)

// TestGDB runs the commands of tools/gdb/wick.py on a machine that is stopped where its program exits.
func TestGDB(t *testing.T) {
	for _, c := range fewestAndMost {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, quiet: true, flags: []string{"--gdb", "0"},
				program: cProgram(t, "/examples/hello/hello.c", programs.Glibc), args: []string{"x"}})
			line := r.awaitLine(r.stderr, "it waited for a debugger", func(line string) bool { return strings.Contains(line, "waits for a debugger") })
			target := regexp.MustCompile(`target remote 127\.0\.0\.1:[0-9]+`).FindString(line)
			root := programs.Root()
			// -l: or it gives up when QEMU has not answered for two seconds.
			cmd := exec.CommandContext(t.Context(), "gdb", "-l", "60", "-batch", "-nx", "-x", filepath.Join(root, "tools", "gdb", "wick.py"),
				filepath.Join(root, "out", "kernel.elf"),
				"-ex", target, "-ex", "hbreak 'wick/kernel/linux.(*Call).exitGroup'", "-ex", "continue",
				"-ex", "wick all", "-ex", "wick goroutine 1", "-ex", "list", "-ex", "detach")
			out, err := cmd.CombinedOutput()
			text := string(out)
			if err != nil {
				t.Errorf("gdb: %v\n%s", err, text)
			}
			wantAll(t, text, "\n#1 ", " ffffffffffff5254001234560806")
			if !threadWaits.MatchString(text) {
				t.Errorf("no %v in:\n%s", threadWaits, text)
			}
			wantAll(t, text, "\nthread 1 in exit_group(0x0, ", "last calls, newest first: exit_group write=0x",
				"    wick/kernel/linux.(*Call).exitGroup wick/kernel/linux/process.go:",
				"    wick/kernel/task.(*Thread).run wick/kernel/task/thread.go:",
				"\ncpu 0: ", fmt.Sprintf("\ncpu %d: ", c.cpus-1),
				"\ngoroutine 1 [chan receive]\n    runtime.gopark runtime/proc.go:", "    main.main wick/cmd/kernel/main.go:",
				"func (c *Call) exitGroup() (uint64, error) {")
			if n := strings.Count(text, "goroutine 1 [chan receive]"); n != 2 {
				t.Errorf("goroutine 1 is shown %d times, want 2", n)
			}
			for _, bad := range []string{"Python Exception", "Error"} {
				if strings.Contains(text, bad) {
					t.Errorf("%q in:\n%s", bad, text)
				}
			}
			r.want(0)
			if out := r.stdout.String(); !strings.Contains(out, "\nargv[1]: x\n") {
				t.Errorf("standard output: %q", out)
			}
		})
	}
}
