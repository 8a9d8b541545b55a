package vm

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs"
	"wick/test/programs/peer"
	"wick/vmm/session/ptytest"
)

// stdio returns a run of program stdio.
func stdio(t *testing.T, stdin io.Reader, flags []string, args ...string) *run {
	t.Helper()
	return start(t, options{configuration: plain, quiet: true, stdin: stdin, flags: flags, program: goProgram(t, "stdio"), args: args})
}

// random returns n bytes that hold every value.
func random(n int64) []byte {
	var b bytes.Buffer
	peer.Send(&b, n, uint64(n)) // never fails
	return b.Bytes()
}

func TestBytesThrough(t *testing.T) {
	for _, c := range configurations {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			want := random(1 << 20)
			if c == plain {
				want = random(16 << 20)
			}
			r := start(t, options{configuration: c, quiet: true, stdin: bytes.NewReader(want), program: goProgram(t, "stdio"), args: []string{"cat"}})
			r.want(0)
			if got := r.stdout.bytes(); !bytes.Equal(got, want) {
				t.Errorf("%d bytes with SHA-256 %x came back of %d with %x", len(got), sha256.Sum256(got), len(want), sha256.Sum256(want))
			}
			if err := r.stderr.String(); err != "" {
				t.Errorf("standard error: %q", err)
			}
		})
	}
}

// TestSerialLink: where there is no virtio device, all goes over the second serial port.
func TestSerialLink(t *testing.T) {
	for _, c := range fewestAndMost {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			want := random(128 << 10)
			r := start(t, options{configuration: c, quiet: true, stdin: bytes.NewReader(want), flags: []string{"--serial-link"}, program: goProgram(t, "stdio"), args: []string{"cat"}})
			r.want(0)
			if got := r.stdout.bytes(); !bytes.Equal(got, want) {
				t.Errorf("%d bytes with SHA-256 %x came back of %d with %x", len(got), sha256.Sum256(got), len(want), sha256.Sum256(want))
			}
		})
	}
}

func TestStdin(t *testing.T) {
	for _, size := range []int64{0, 1, 4096, 300_001} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			data := random(size)
			r := stdio(t, bytes.NewReader(data), nil, "sum")
			r.want(0)
			if got, want := r.stdout.String(), fmt.Sprintf("%d %x\n", size, sha256.Sum256(data)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestDialogue answers each line before the next is sent: nothing on the way may hold one back.
func TestDialogue(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	r := stdio(t, in, nil, "lines")
	for i := 1; i <= 5; i++ {
		fmt.Fprintf(out, "line %d\n", i)
		want := fmt.Sprintf("%d: LINE %d", i, i)
		r.awaitLine(r.stdout, "it answered", func(line string) bool { return line == want })
	}
	out.Close()
	r.want(0)
}

func TestStreamsAreApart(t *testing.T) {
	t.Parallel()
	r := stdio(t, nil, nil, "streams")
	r.want(0)
	var stdout, stderr strings.Builder
	for i := range 100 {
		fmt.Fprintf(&stdout, "out %d\n", i)
		fmt.Fprintf(&stderr, "err %d\n", i)
	}
	if got := r.stdout.String(); got != stdout.String() {
		t.Errorf("standard output:\n%s", got)
	}
	if got := r.stderr.String(); got != stderr.String() {
		t.Errorf("standard error:\n%s", got)
	}
}

// TestOutputBeforeEnd: everything that was written comes, however fast the program ends.
func TestOutputBeforeEnd(t *testing.T) {
	t.Parallel()
	r := stdio(t, nil, nil, "flood", "2000000")
	r.want(0)
	got := r.stdout.bytes()
	if len(got) != 2000000 {
		t.Fatalf("%d of 2000000 bytes came", len(got))
	}
	for i, b := range got {
		if b != byte(i*7+i>>8) {
			t.Fatalf("byte %d is %#x", i, b)
		}
	}
}

// TestReaderGone: wick's own standard output is closed while the program writes.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(wickPath(t), "run", goProgram(t, "stdio"), "flood", "2000000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(out, make([]byte, 10))
	out.Close()
	if err := cmd.Wait(); err == nil {
		t.Error("wick ended with status 0")
	}
}

func TestPipesAndTerminals(t *testing.T) {
	t.Run("pipes", func(t *testing.T) {
		t.Parallel()
		r := stdio(t, nil, nil, "tty")
		r.want(0)
		if got := r.stdout.String(); got != "stdin: pipe\nstdout: pipe\nstderr: pipe\n" {
			t.Errorf("got:\n%s", got)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		t.Parallel()
		master, slave := ptytest.Open(t)
		ptytest.Resize(t, master, 30, 100)
		cmd := exec.Command(wickPath(t), "run", goProgram(t, "stdio"), "tty")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
		screen := newOutput()
		copied := make(chan struct{})
		go func() {
			defer close(copied)
			io.Copy(screen, master) // ends when nobody has the terminal any more
		}()
		err := cmd.Run()
		slave.Close()
		<-copied
		if err != nil {
			t.Errorf("%v, on the screen:\n%s", err, screen)
		}
		for _, name := range []string{"stdin", "stdout", "stderr"} {
			want := name + ": terminal 100x30"
			if !slices.Contains(lines(strings.ReplaceAll(screen.String(), "\r", "")), want) {
				t.Errorf("no line %q on the screen:\n%s", want, screen)
			}
		}
	})
}

func TestClosedStreams(t *testing.T) {
	t.Parallel()
	stdio(t, nil, nil, "closed").want(0)
}

func TestArguments(t *testing.T) {
	t.Parallel()
	args := []string{"plain", "", "with space", "-v", "--memory", "ünïcödé", "tab\tnewline\n", "\xff\xfe", strings.Repeat("long", 5000), "*", "$HOME"}
	r := stdio(t, nil, nil, append([]string{"args"}, args...)...)
	r.want(0)
	var want strings.Builder
	for _, a := range args {
		fmt.Fprintf(&want, "%q\n", a)
	}
	if got := r.stdout.String(); got != want.String() {
		t.Errorf("got:\n%s\nwant:\n%s", got, want.String())
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	r := stdio(t, nil, []string{"-e", "A=1", "--env", "B=with = and space", "-e", "EMPTY=", "-e", "A=2"}, "env")
	r.want(0)
	got := lines(r.stdout.String())
	for _, want := range []string{`"A=2"`, `"B=with = and space"`, `"EMPTY="`} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in:\n%s", want, r.stdout)
		}
	}
	if slices.Contains(got, `"A=1"`) {
		t.Errorf("A is there twice:\n%s", r.stdout)
	}
	for _, kv := range got {
		if strings.HasPrefix(kv, `"WICK`) || strings.HasPrefix(kv, `"GO`) {
			t.Errorf("the host's %s is in the program's environment", kv)
		}
	}
}

// TestHello runs the C example with every C library.
func TestHello(t *testing.T) {
	for i, libc := range programs.Libcs {
		t.Run(string(libc), func(t *testing.T) {
			t.Parallel()
			path := cProgram(t, "/examples/hello/hello.c", libc)
			r := start(t, options{configuration: configurations[i*2], quiet: true, flags: []string{"-e", "NAME=value"},
				program: path, args: []string{"one", "two words"}})
			r.want(0)
			got := r.stdout.String()
			for _, want := range []string{"Hello from C!\n", "\nargv[0]: ", "/" + filepath.Base(path) + "\n", "\nargv[1]: one\n", "\nargv[2]: two words\n", "\nenv: NAME=value\n"} {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in:\n%s", want, got)
				}
			}
		})
	}
}

// TestCPUs: every CPU that the machine has is found, and runs.
func TestCPUs(t *testing.T) {
	all := slices.Clone(configurations)
	for _, machine := range []string{"q35", "microvm"} {
		all = append(all, configuration{machine: machine, cpus: 8, model: "default"})
	}
	for _, c := range all {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, program: goProgram(t, "stdio"), args: []string{"cpus"}})
			r.want(0)
			if got, want := r.stdout.String(), fmt.Sprintln(c.cpus); got != want {
				t.Errorf("%s CPUs, want %s", got, want)
			}
		})
	}
}

// TestRandomIsFresh: no two runs draw the same.
func TestRandomIsFresh(t *testing.T) {
	t.Parallel()
	first := stdio(t, nil, nil, "random")
	second := stdio(t, nil, nil, "random")
	first.want(0)
	second.want(0)
	seen := make(map[string]bool)
	for _, line := range append(lines(first.stdout.String()), lines(second.stdout.String())...) {
		if seen[line] {
			t.Errorf("twice the same: %s", line)
		}
		seen[line] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d draws, want 6", len(seen))
	}
}

// TestTiming: the parts of a start are all there, none is negative, they add up, and take no longer than the run.
func TestTiming(t *testing.T) {
	for _, c := range configurations {
		if c.model != "default" {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			r := start(t, options{configuration: c, quiet: true, flags: []string{"--timing"}, program: goProgram(t, "stdio"), args: []string{"args", "x"}})
			r.want(0)
			longest := float64(time.Since(began).Microseconds()) / 1000
			var names []string
			var sum, total float64
			for _, line := range lines(r.stderr.String())[1:] {
				var ms float64
				var name string
				if _, err := fmt.Sscan(line, &ms, &name); err != nil {
					t.Fatalf("line %q: %v", line, err)
				}
				if ms < 0 {
					t.Errorf("negative: %q", line)
				}
				if name == "total" {
					total = ms
					continue
				}
				names = append(names, name)
				sum += ms
			}
			if want := []string{"wick", "QEMU", "firmware", "boot", "ground", "runtime", "kernel", "program"}; !slices.Equal(names, want) {
				t.Errorf("parts %q, want %q", names, want)
			}
			if d := sum - total; total <= 0 || total > longest || d > 0.01 || d < -0.01 {
				t.Errorf("the parts are %.3f ms, the total is %.3f ms, the whole run took %.3f ms:\n%s", sum, total, longest, r.stderr)
			}
		})
	}
}
