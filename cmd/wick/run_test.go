package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"wick/vmm"
	"wick/vmm/session/ptytest"
)

func TestExitStatus(t *testing.T) {
	tests := []struct {
		scene  []string
		status int
		stderr string // a part of it; empty: nothing at all
	}{
		{[]string{"exit", "0"}, 0, ""},
		{[]string{"exit", "7"}, 7, ""},
		{[]string{"exit", "255"}, 255, ""},
		{[]string{"exit", "257"}, 1, ""},
		{[]string{"exit", "256"}, 0, ""},
		{[]string{"signal", "11"}, 139, "killed by SIGSEGV: segmentation fault"},
		{[]string{"signal", "9"}, 137, "killed by SIGKILL"},
		{[]string{"signal", "2"}, 130, ""},
		{[]string{"signal", "13"}, 141, ""},
		{[]string{"fail early"}, statusFailure, "fake qemu: no such machine"},
		{[]string{"vanish"}, statusFailure, "did not tell the program's exit status"},
		{[]string{"panic"}, statusFailure, "ended before the program started"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.scene, " "), func(t *testing.T) {
			got := play(t, tt.scene...)
			if got.status != tt.status || !strings.Contains(got.stderr, tt.stderr) || tt.stderr == "" && got.stderr != "" {
				t.Errorf("got %+v, want status %d and %q", got, tt.status, tt.stderr)
			}
		})
	}
}

func TestKernelPanicIsShown(t *testing.T) {
	got := play(t, "panic")
	for _, want := range []string{"line 99\n", "  panic: out of memory\n", "61 earlier lines"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("no %q in %q", want, got.stderr)
		}
	}
	if strings.Contains(got.stderr, "line 1\n") {
		t.Errorf("too much of it: %q", got.stderr)
	}
	got = wick(t, nil, "run", "-v", "./program", "panic")
	if !strings.Contains(got.stderr, "line 1\n") || strings.Count(got.stderr, "panic: out of memory") != 1 {
		t.Errorf("-v: all of it, once: %q", got.stderr)
	}
}

// TestReportOfTheKernelIsShown: what the runtime tells and the kernel's report, the beginning of each, with the packets in words.
func TestReportOfTheKernelIsShown(t *testing.T) {
	got := play(t, "report")
	if got.status != statusFailure {
		t.Errorf("status %d, want %d", got.status, statusFailure)
	}
	for _, want := range []string{
		"wick: the kernel has failed, and the program has ended with it: panic: x\n", "  panic: x\n  line 0 of the runtime\n",
		"more lines, which wick run -v shows\n  wick: kernel panic: the runtime has ended\n",
		"  #7 1.500000 e0 > 60 52:54:00:12:34:56>ff:ff:ff:ff:ff:ff ARP who-has 10.0.2.2 tell 10.0.2.15 pad=18\n", "  line 50 of the report\n",
	} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("no %q in %q", want, got.stderr)
		}
	}
	for _, bad := range []string{"early", "line 999"} {
		if strings.Contains(got.stderr, bad) {
			t.Errorf("%q in %q", bad, got.stderr)
		}
	}
}

func TestInputAndOutput(t *testing.T) {
	in := strings.Repeat("0123456789\x00\r\n", 50_000)
	got := wick(t, strings.NewReader(in), "run", "./program", "cat")
	if got.status != 0 || got.stdout != in {
		t.Errorf("got status %d and %d bytes, want %d", got.status, len(got.stdout), len(in))
	}
	if want := "end of input\na packet\n"; got.stderr != want {
		t.Errorf("stderr: got %q, want %q", got.stderr, want)
	}
}

func TestWhatTheGuestIsTold(t *testing.T) {
	got := wick(t, nil, "run", "-e", "A=b c", "-e", "HOME=/x", "--dump", "--pcap", "x", "--snaplen", "96", "-v", "--machine", "q35", "--accel", "tcg", "-c", "2", "-m", "1G", "--cpu-model", "max", "./program", "describe", "-p", "--", "x y")
	if got.status != 0 {
		t.Fatalf("got %+v", got)
	}
	for _, want := range []string{
		`args ["/bin/program" "describe" "-p" "--" "x y"]`,
		`env ["PATH=/bin:/usr/bin" "HOME=/x" "A=b c"]`,
		"path /bin/program", "cwd /\n", "address 10.0.2.15/24 10.0.2.2 10.0.2.3", "host wick\n",
		`dump "line" verbose true capture true 96`, "terminal [false false false]", "seed 32\nclock true",
		fmt.Sprintf("file 100755 /bin/program %d", len(staticELF())),
		"-M q35 -accel tcg -cpu max -smp 2 -m 1024M",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in %s", want, got.stdout)
		}
	}
	if !strings.Contains(got.stderr, "-M q35") {
		t.Errorf("-v does not show QEMU's command line: %q", got.stderr)
	}
	got = wick(t, nil, "run", "--dump=full", "./program", "describe")
	if !strings.Contains(got.stdout, `dump "full" verbose false capture false 0`) || got.stderr != "" {
		t.Errorf("got %+v", got)
	}
}

// TestMachine: microvm is the default, pc where a flag needs a PCI bus.
func TestMachine(t *testing.T) {
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{nil, "-M microvm,acpi=off "},
		{[]string{"--nic", "virtio"}, "-M microvm,acpi=off "},
		{[]string{"--nic", "none", "-c", "8", "-m", "64M"}, "-M microvm,acpi=off "},
		{[]string{"--nic", "e1000"}, "-M pc "},
		{[]string{"--nic", "e1000", "--machine", "auto"}, "-M pc "},
		{[]string{"--nic", "e1000", "--machine", "q35"}, "-M q35 "},
		{[]string{"--machine", "pc"}, "-M pc "},
		{[]string{"--machine", "microvm"}, "-M microvm,acpi=off "},
	} {
		got := wick(t, nil, append(append([]string{"run", "-v"}, c.flags...), "./program", "describe")...)
		if got.status != 0 || !strings.Contains(got.stderr, " "+c.want) {
			t.Errorf("%q: status %d, no %q in %q", c.flags, got.status, c.want, got.stderr)
		}
	}
}

func TestTiming(t *testing.T) {
	got := wick(t, nil, "run", "--timing", "./program", "timing")
	if got.status != 0 || got.stdout != "output\n" || !strings.HasPrefix(got.stderr, "wick: timing, in milliseconds:\n") ||
		!strings.Contains(got.stderr, "    2.000  boot stub") || !strings.HasSuffix(got.stderr, "  total\n") {
		t.Errorf("got %+v", got)
	}
	if got := wick(t, nil, "run", "--timing", "./program", "exit", "3"); got.status != 3 || got.stderr != "wick: timing: the program did not start\n" {
		t.Errorf("got %+v", got)
	}
}

func TestSeedIsFresh(t *testing.T) {
	// The seed itself is not printed: its bundle is compared.
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, staticELF(), 0o755); err != nil {
		t.Fatal(err)
	}
	var seeds [2][]byte
	for i := range seeds {
		seeds[i] = seedOf(t, file)
	}
	if bytes.Equal(seeds[0], seeds[1]) || len(seeds[0]) != 32 {
		t.Errorf("got %x and %x", seeds[0], seeds[1])
	}
}

func TestWrongCommandLines(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	tests := []struct {
		args   string
		status int
		want   string
	}{
		{"run", statusFailure, "which program?"},
		{"build -o x", statusFailure, "which program?"},
		{"build ./program", statusFailure, "where to?"},
		{"run --nosuch ./program", statusFailure, "unknown flag: --nosuch"},
		{"nosuch", statusFailure, "unknown command"},
		{"version x", statusFailure, "unknown command"},
		{"run ./nosuch", statusNoProg, "no such file"},
		{"run .", statusBadProg, "is a directory"},
		{"run ./text", statusBadProg, "not an ELF"},
		{"build -o x ./text", statusBadProg, "not an ELF"},
		{"build -o x ./nosuch", statusNoProg, "no such file"},
		{"run -m 0 ./program", statusFailure, "out of range"},
		{"run -m lots ./program", statusFailure, "not a size"},
		{"run -m 4M ./program", statusFailure, "4M is too little"},
		{"run -c 0 ./program", statusFailure, "not between 1 and"},
		{"run -m 8000000G ./program", statusFailure, "more than this host has"},
		{"run -c x ./program", statusFailure, `--cpus: "x" is not a number`},
		{"run -c 9 ./program", statusFailure, "not between 1 and 8"},
		{"run --gdb x ./program", statusFailure, `--gdb: "x" is not a number`},
		{"run -v=perhaps ./program", statusFailure, "true or false"},
		{"run -e X ./program", statusFailure, "not K=V"},
		{"run -e =X ./program", statusFailure, "not K=V"},
		{"run -w srv ./program", statusFailure, `--workdir: "srv" is not absolute`},
		{"run -f x:/dev/y ./program", statusFailure, "--file: \"x:/dev/y\": /dev is the machine's own"},
		{"run -f nosuch ./program", statusFailure, "--file: nosuch: no such file"},
		{"run -f program:/bin/ ./program", statusFailure, `--file or --workdir: a file is there twice ("/bin/program" in the machine)`},
		{"run -w /bin/program ./program", statusFailure, `--file or --workdir: a file is there twice`},
		{"run -w /proc/self ./program", statusFailure, "--workdir: /proc is the machine's own"},
		{"run -f program -f text:/program/x ./program", statusFailure, "not a directory"},
		{"build -o x -f nosuch ./program", statusFailure, "--file: nosuch: no such file"},
		{"run --machine isapc ./program", statusFailure, "auto, microvm, pc, q35"},
		{"run --machine microvm --nic e1000 ./program", statusFailure, "PCI"},
		{"run --nic none -p 80:80 ./program", statusFailure, "no network card"},
		{"run --nic none --dump ./program", statusFailure, "no network card"},
		{"run --nic none --pcap x ./program", statusFailure, "no network card"},
		{"run --vsock-wait 5s ./program", statusFailure, "are for a vsock device"},
		{"run --vsock-cid 7 ./program", statusFailure, "are for a vsock device"},
		{"run --vsock-cid 3 ./program", statusFailure, "are for a vsock device"},
		{"run --vsock-conns 7 ./program", statusFailure, "are for a vsock device"},
		{"run --vsock= ./program", statusFailure, "--vsock: the path of the socket is empty"},
		{"run --vsock v --vsock-conns 0 ./program", statusFailure, "--vsock-conns: 0 is not between 1 and 65536"},
		{"run --vsock v --vsock-wait -1s ./program", statusFailure, "--vsock-wait: -1s is negative"},
		{"run --vsock-map= ./program", statusFailure, "--vsock-map: \"\": want PORT="},
		{"run --vsock-map 5=tcp:127.0.0.1:0 ./program", statusFailure, "--vsock-map: \"5=tcp:127.0.0.1:0\": nobody can be reached at TCP port 0"},
		{"run --vsock-map 5=/x --vsock-map 5=/y ./program", statusFailure, "--vsock-map: port 5 is mapped twice"},
		{"run --vsock-publish tcp:127.0.0.1:" + taken + "=1 ./program", statusFailure, "--vsock-publish: listen tcp4 127.0.0.1:" + taken + ": bind: address already in use"},
		{"run --vsock-publish= ./program", statusFailure, "--vsock-publish: \"\": want tcp:"},
		{"run --vsock-publish tcp:127.0.0.1:9=1 --vsock-publish tcp:127.0.0.1:9=2 ./program", statusFailure, "--vsock-publish: tcp:127.0.0.1:9 is there twice"},
		{"run --vsock ./v --vsock-publish v/../v=1 ./program", statusFailure, "--vsock-publish: v/../v is the socket of --vsock"},
		{"run --accel hax ./program", statusFailure, "auto, kvm, tcg"},
		{"run --nic rtl8139 ./program", statusFailure, "virtio, e1000, none"},
		{"run --dump=all ./program", statusFailure, "neither line nor full"},
		{"run --gdb 70000 ./program", statusFailure, "--gdb: 70000 is out of range"},
		{"run --gdb " + taken + " ./program", statusFailure, "is taken"},
		{"run --pcap /nosuch/file ./program", statusFailure, "/nosuch/file"},
		{"run --pcap . ./program", statusFailure, "is a directory"},
		{"run --pcap - ./program", statusFailure, "standard output is the program's"},
		{"run --pcap ./program ./program", statusFailure, "is the program"},
		{"run --qemu-pcap ../x/../nosuch/x ./program", statusFailure, "no such file"},
		{"run --snaplen 96 ./program", statusFailure, "are for --pcap"},
		{"run --rotate 1M ./program", statusFailure, "are for --pcap"},
		{"run --pcap x --snaplen -1 ./program", statusFailure, "-1 is not between 0 and 262144"},
		{"run --pcap x --snaplen 262145 ./program", statusFailure, "not between 0 and"},
		{"run --pcap x --snaplen 99999999999999999999 ./program", statusFailure, "out of range"},
		{"run --pcap x --rotate lots ./program", statusFailure, "not a size"},
		{"run --pcap x --rotate 0 ./program", statusFailure, "out of range"},
		{"run --pcap x --rotate 1M: ./program", statusFailure, "\"\" is not a number of files"},
		{"run --pcap x --rotate 1M:0 ./program", statusFailure, "not a number of files"},
		{"run --pcap x --rotate 1M:-1 ./program", statusFailure, "not a number of files"},
		{"run --pcap x --rotate 1M:2:3 ./program", statusFailure, "not a number of files"},
		{"run --pcap x --rotate :2 ./program", statusFailure, "not a size"},
		{"run --pcap nosuch/x.y --rotate 1M ./program", statusFailure, "nosuch/x-00001.y"},
		{"run -p 80 ./program", statusFailure, "[ADDR:]HOST:GUEST"},
		{"run -p " + taken + ":80 ./program", statusFailure, "is taken"},
		{"run -p 8080:80 -p 8080:81 ./program", statusFailure, "published twice"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got := wick(t, nil, strings.Fields(tt.args)...)
			if got.status != tt.status || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("got %+v, want status %d and %q", got, tt.status, tt.want)
			}
			if strings.Count(got.stderr, "\n") != 1 || !strings.HasPrefix(got.stderr, "wick: ") || got.stdout != "" {
				t.Errorf("more than one line: %+v", got)
			}
		})
	}
}

func TestMissingQEMU(t *testing.T) {
	cmd := wickCommand(t, "run", "./program", "exit", "0")
	cmd.Env = append(cmd.Env, vmm.EnvQEMU+"=", "PATH="+t.TempDir())
	got := runCommand(t, cmd, nil)
	if got.status != statusFailure || !strings.Contains(got.stderr, "qemu-system-x86_64 is not installed") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestMissingKernel(t *testing.T) {
	cmd := wickCommand(t, "run", "./program", "exit", "0")
	cmd.Env = append(cmd.Env, envKernel+"=/nonexistent")
	got := runCommand(t, cmd, nil)
	if got.status != statusFailure || !strings.Contains(got.stderr, envKernel) || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestQEMUPcapIsPassedOn(t *testing.T) {
	cmd := wickCommand(t, "run", "--qemu-pcap", "out.pcap", "./program", "describe")
	got := runCommand(t, cmd, nil)
	if got.status != 0 || !strings.Contains(got.stdout, "filter-dump,id=pcap,netdev=n0,file=/proc/self/fd/7") {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "out.pcap")); err != nil {
		t.Error(err)
	}
}

// running is a wick that runs the scene "wait".
type running struct {
	*testing.T
	wick *os.Process
	out  *bufio.Reader
	qemu int // a pidfd of its QEMU

	qemuPID string
	wait    func() error
	state   func() *os.ProcessState
}

// startWaiting starts a wick that plays "wait" with pipes.
func startWaiting(t *testing.T) *running {
	t.Helper()
	cmd := wickCommand(t, "run", "./program", "wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	r := &running{T: t, wick: cmd.Process, out: bufio.NewReader(out), wait: cmd.Wait,
		state: func() *os.ProcessState { return cmd.ProcessState }}
	r.findQEMU()
	return r
}

// findQEMU reads the line in which the fake guest tells its process id.
func (r *running) findQEMU() {
	r.Helper()
	var pid int
	line, err := r.out.ReadString('\n')
	if n, _ := fmt.Sscanf(line, "pid %d", &pid); n != 1 {
		r.Fatalf("got %q, %v", line, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		r.Fatal(err)
	}
	r.qemu, r.qemuPID = fd, fmt.Sprint(pid)
	r.Cleanup(func() { unix.Close(fd) })
}

func (r *running) expect(want string) {
	r.Helper()
	if line, err := r.out.ReadString('\n'); strings.TrimRight(line, "\r\n") != want {
		r.Fatalf("got %q, %v, want %q", line, err, want)
	}
}

// expectEnd waits for the end of wick and of its QEMU.
func (r *running) expectEnd(status int) {
	r.Helper()
	r.wait()
	if got := r.state(); got.ExitCode() != status {
		r.Errorf("got %v, want status %d", got, status)
	}
	p := []unix.PollFd{{Fd: int32(r.qemu), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, 60_000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 {
			r.Errorf("QEMU is left behind: %v", err)
		}
		return
	}
}

func TestSignals(t *testing.T) {
	t.Run("SIGINT twice", func(t *testing.T) {
		r := startWaiting(t)
		r.wick.Signal(syscall.SIGINT)
		r.expect("Signal [2]")
		r.wick.Signal(syscall.SIGINT)
		r.expectEnd(130)
	})
	t.Run("SIGQUIT and SIGTERM", func(t *testing.T) {
		r := startWaiting(t)
		r.wick.Signal(syscall.SIGQUIT)
		r.expect("Signal [3]")
		r.wick.Signal(syscall.SIGTERM)
		r.expectEnd(143)
	})
	t.Run("SIGHUP", func(t *testing.T) {
		r := startWaiting(t)
		r.wick.Signal(syscall.SIGHUP)
		r.expectEnd(129)
	})
	t.Run("SIGKILL", func(t *testing.T) {
		r := startWaiting(t)
		r.wick.Signal(syscall.SIGKILL)
		r.expectEnd(-1)
	})
}

func TestOutputIntoAClosedPipe(t *testing.T) {
	cmd := wickCommand(t, "run", "./program", "flood")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 141 || stderr.String() != "" {
		t.Errorf("got status %d and %q", got, stderr.String())
	}
}

// TestOnATerminal runs wick with a controlling terminal, as a shell does.
func TestOnATerminal(t *testing.T) {
	master, slave := ptytest.Open(t)
	ptytest.Resize(t, master, 24, 80)
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	cmd := wickCommand(t, "run", "./program", "wait")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	r := &running{T: t, wick: cmd.Process, out: bufio.NewReader(master), wait: cmd.Wait,
		state: func() *os.ProcessState { return cmd.ProcessState }}
	r.findQEMU()
	r.expect("WinSize [24 0 80 0]")
	if now, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS); err != nil || now.Lflag != 0 {
		t.Errorf("the program's modes are not set: %+v, %v", now, err)
	}
	ptytest.Resize(t, master, 25, 81)
	r.expect("WinSize [25 0 81 0]")
	master.WriteString("\x03x") // no ISIG: a byte as others
	r.expect("Stdin [3 120]")
	r.wick.Signal(syscall.SIGTERM)
	r.expectEnd(143)
	if now, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS); err != nil || *now != *before {
		t.Errorf("the terminal is not set back: got %+v, %v, want %+v", now, err, before)
	}
}
