// Package vm runs programs in virtual machines, by the command line that users have, and looks at what comes out. It
// has only tests. They need WICK_VM=1, which make test sets; what is missing then is a failure and no reason to skip.
package vm

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs"
)

// runLimit bounds a run unless its options say otherwise. A machine boots in about a second; the rest is for programs
// under emulation on a busy host.
const runLimit = 4 * time.Minute

// killDelay is how long wick may take to end its machine when it is told to.
const killDelay = 20 * time.Second

// configuration is a kind of virtual machine.
type configuration struct {
	machine string // pc, q35 or microvm
	cpus    int
	model   string // "default" or a model of QEMU's
	nic     string // a network card, or "" for wick's default
}

// configurations are those that everything must work on.
var configurations = []configuration{
	{machine: "pc", cpus: 1, model: "default"}, {machine: "pc", cpus: 2, model: "max"},
	{machine: "q35", cpus: 1, model: "max"}, {machine: "q35", cpus: 2, model: "default"},
	{machine: "pc", cpus: 2, model: "default"}, {machine: "pc", cpus: 1, model: "max"},
	{machine: "q35", cpus: 1, model: "default"}, {machine: "q35", cpus: 2, model: "max"},
	{machine: "microvm", cpus: 1, model: "default"}, {machine: "microvm", cpus: 2, model: "max"},
	{machine: "microvm", cpus: 2, model: "default"}, {machine: "microvm", cpus: 1, model: "max"},
}

// networks are the configurations that what is about the network must work on: all, and some with the other card.
var networks = append(slices.Clip(configurations), withOtherCard(configurations[:4])...)

// withOtherCard returns configurations with the card that isn't wick's default.
func withOtherCard(all []configuration) []configuration {
	all = slices.Clone(all)
	for i := range all {
		all[i].nic = "e1000"
	}
	return all
}

// plain is the configuration of tests for which the kind of machine makes no difference: what wick run makes without flags.
var plain = configuration{machine: "microvm", cpus: 1, model: "default"}

// fewestAndMost are one machine of each kind, for tests that needn't be done on all.
var fewestAndMost = []configuration{{machine: "pc", cpus: 1, model: "default"}, {machine: "q35", cpus: 2, model: "max"}, {machine: "microvm", cpus: 2, model: "default"}}

func (c configuration) String() string {
	name := fmt.Sprintf("%s-%d-%s", c.machine, c.cpus, c.model)
	if c.nic != "" {
		name += "-" + c.nic
	}
	return name
}

func (c configuration) flags() []string {
	flags := []string{"--machine", c.machine, "--accel", acceleration(), "-c", fmt.Sprint(c.cpus)}
	if c.model != "default" {
		flags = append(flags, "--cpu-model", c.model)
	}
	if c.nic != "" {
		flags = append(flags, "--nic", c.nic)
	}
	return flags
}

// options say how wick is run.
type options struct {
	configuration
	flags   []string // of wick run, besides the configuration's
	program string
	args    []string
	stdin   io.Reader // nil: at its end from the start
	limit   time.Duration
	quiet   bool     // without -v: standard error is the program's and wick's own only
	capture bool     // keep the packets of a run that fails, as QEMU sees them: all of them, also of a kernel that hangs
	env     []string // of wick; nil: that of the test

	oneOutput bool // standard error goes where standard output does, in the order in which wick writes them
}

// run is a wick that runs.
type run struct {
	t       *testing.T
	cmd     *exec.Cmd
	dir     string // for what is kept if the test fails
	stdout  *output
	stderr  *output
	done    chan struct{}
	status  int  // valid when done is closed
	expired bool // it was stopped because it took too long; valid when done is closed
}

// wickPath returns the wick to test. It skips the test where nobody has asked for virtual machines: they take a quarter
// of an hour, and need what go test can't install.
func wickPath(t *testing.T) string {
	t.Helper()
	if os.Getenv("WICK_VM") != "1" {
		t.Skip("virtual machines are started with WICK_VM=1 only, as make test does")
	}
	path := os.Getenv("WICK")
	if path == "" {
		path = filepath.Join(programs.Root(), "bin", "wick")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no wick to test: %v (make build makes one)", err)
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Fatalf("%v (wick doctor says how to get it)", err)
	}
	return path
}

// goProgram returns the path of a Go program (see programs.GoBinary).
func goProgram(t *testing.T, pkg string) string {
	t.Helper()
	return program(t, func() (string, error) { return programs.GoBinary(pkg) })
}

// cProgram returns the path of a C program (see programs.CBinary).
func cProgram(t *testing.T, name string, libc programs.Libc) string {
	t.Helper()
	return program(t, func() (string, error) { return programs.CBinary(name, libc) })
}

// suiteProgram returns the path of a suite's program.
func suiteProgram(t *testing.T, s *programs.Suite, libc programs.Libc) string {
	t.Helper()
	return program(t, func() (string, error) { return s.Build(libc) })
}

// program builds a program, if it is for a machine that will be started.
func program(t *testing.T, build func() (string, error)) string {
	t.Helper()
	wickPath(t)
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a program in a machine. The run is over at the end of the test, whatever happens.
func start(t *testing.T, o options) *run {
	t.Helper()
	wick := wickPath(t)
	r := &run{t: t, stdout: newOutput(), stderr: newOutput(), done: make(chan struct{})}
	r.dir = filepath.Join(programs.Root(), "out", "vm", strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()))
	if err := os.MkdirAll(r.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"run"}, o.configuration.flags()...)
	if !o.quiet {
		args = append(args, "-v")
	}
	if o.capture {
		args = append(args, "--qemu-pcap", filepath.Join(r.dir, "capture.pcap"))
	}
	args = append(append(args, o.flags...), o.program)
	args = append(args, o.args...)

	limit := o.limit
	if limit == 0 {
		limit = runLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	r.cmd = exec.CommandContext(ctx, wick, args...)
	r.cmd.Env = o.env
	r.cmd.Cancel = func() error {
		if ctx.Err() == context.DeadlineExceeded {
			r.askForReport()
		}
		return r.cmd.Process.Signal(unix.SIGTERM)
	}
	r.cmd.WaitDelay = killDelay
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = o.stdin, r.stdout, r.stderr
	if o.oneOutput {
		r.cmd.Stderr = r.stdout
	}
	r.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGTERM}
	started := make(chan error)
	go func() {
		// A parent-death signal comes when the thread ends, so the thread stays until the process has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer cancel()
		err := r.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		defer close(r.done)
		r.cmd.Wait() // its error is in the status
		r.expired = ctx.Err() != nil
		r.status = r.cmd.ProcessState.ExitCode()
		r.stdout.end()
		r.stderr.end()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		<-r.done
		r.keep()
	})
	return r
}

// askForReport has the kernel of a machine that hangs tell what its processors, goroutines and threads do. The first of two SIGQUITs is
// the program's, which may well end of it before the second one comes; then at least that has been told.
func (r *run) askForReport() {
	for range 2 {
		r.cmd.Process.Signal(unix.SIGQUIT)
		time.Sleep(time.Millisecond) // else they become one
	}
	time.Sleep(killDelay / 4)
}

// keep leaves what is known of a failed run in its folder, and nothing of one that went well.
func (r *run) keep() {
	if !r.t.Failed() {
		os.RemoveAll(r.dir)
		return
	}
	if programs.Built() {
		r.t.Logf("in a guest, of which no file is left; standard error:\n%s", strings.ToValidUTF8(r.stderr.String(), "?"))
		return
	}
	for name, data := range map[string][]byte{
		"command.txt": []byte(strings.Join(r.cmd.Args, " ") + "\n"),
		"stdout.txt":  r.stdout.bytes(),
		"stderr.txt":  r.stderr.bytes(),
	} {
		if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o666); err != nil {
			r.t.Error(err)
		}
	}
	r.t.Logf("what it wrote is in %s", r.dir)
}

// wait waits for the end of the run and returns wick's exit status; a run that took too long is a failure.
func (r *run) wait() int {
	r.t.Helper()
	<-r.done
	if r.expired {
		r.t.Errorf("stopped: it took too long\n%s", r.tail())
	}
	return r.status
}

// want waits for the end of the run and checks the exit status.
func (r *run) want(status int) {
	r.t.Helper()
	if got := r.wait(); got != status {
		r.t.Fatalf("exit status %d, want %d\n%s", got, status, r.tail())
	}
}

// tail returns the ends of both outputs.
func (r *run) tail() string {
	cut := func(b []byte) string {
		if len(b) > 2500 {
			b = append([]byte("…"), b[len(b)-2500:]...)
		}
		return strings.ToValidUTF8(string(b), "?")
	}
	return fmt.Sprintf("standard output:\n%s\nstandard error:\n%s", cut(r.stdout.bytes()), cut(r.stderr.bytes()))
}

// awaitLine waits for a line of an output that accept takes, and returns it.
func (r *run) awaitLine(o *output, what string, accept func(line string) bool) string {
	r.t.Helper()
	line, ok := o.awaitLine(accept)
	if !ok {
		<-r.done
		r.t.Fatalf("it ended with status %d before %s\n%s", r.status, what, r.tail())
	}
	return line
}

// port returns where a port of the guest, such as "7/udp", is published on the host.
func (r *run) port(guest string) string {
	r.t.Helper()
	suffix := " -> guest port " + guest
	line := r.awaitLine(r.stderr, "it told where "+guest+" is published", func(line string) bool {
		return strings.HasPrefix(line, "wick: ") && strings.HasSuffix(line, suffix)
	})
	return strings.TrimSuffix(strings.TrimPrefix(line, "wick: "), suffix)
}

// output collects what a process writes, and lets others wait for lines of it.
type output struct {
	mu      sync.Mutex
	changed *sync.Cond
	data    bytes.Buffer // guarded by mu
	ended   bool         // guarded by mu
}

func newOutput() *output {
	o := new(output)
	o.changed = sync.NewCond(&o.mu)
	return o
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data.Write(p)
	o.changed.Broadcast()
	return len(p), nil
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.changed.Broadcast()
}

func (o *output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.data.Bytes())
}

func (o *output) String() string { return string(o.bytes()) }

// awaitLine waits for a whole line that accept takes; ok is false if the output ends without one.
func (o *output) awaitLine(accept func(line string) bool) (line string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for seen := 0; ; {
		for {
			end := bytes.IndexByte(o.data.Bytes()[seen:], '\n')
			if end < 0 {
				break
			}
			line := strings.TrimSuffix(string(o.data.Bytes()[seen:seen+end]), "\r")
			seen += end + 1
			if accept(line) {
				return line, true
			}
		}
		if o.ended {
			return "", false
		}
		o.changed.Wait()
	}
}

// lines splits an output into lines.
func lines(s string) []string {
	var all []string
	for sc := bufio.NewScanner(strings.NewReader(s)); sc.Scan(); {
		all = append(all, sc.Text())
	}
	return all
}
