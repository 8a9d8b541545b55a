package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wick/bundle"
	"wick/hostlink"
	"wick/packet/pcap"
	"wick/packet/pcapng"
	"wick/vmm"
)

// The tests of wick run start this test's binary as wick, which starts it as QEMU. That reads the
// bundle as a guest would and does what the program's first argument says.
const envRole = "WICK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "":
		os.Exit(m.Run())
	case "wick":
		os.Setenv(envRole, "qemu")
		os.Exit(run(os.Args[1:]))
	case "qemu":
		playQEMU()
	case "shell":
		playShell()
	}
	os.Exit(99)
}

// option returns what follows an option whose value has a prefix: option("-chardev", "socket,id=link,fd=").
func option(name, prefix string) string {
	for i, arg := range os.Args[:len(os.Args)-1] {
		if arg == name && strings.HasPrefix(os.Args[i+1], prefix) {
			return strings.TrimPrefix(os.Args[i+1], prefix)
		}
	}
	fail("no %s %s", name, prefix)
	return ""
}

func inherited(id string) *os.File {
	fd, err := strconv.Atoi(option("-chardev", "socket,id="+id+",fd="))
	if err != nil {
		fail("%v", err)
	}
	return os.NewFile(uintptr(fd), id)
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "fake qemu: "+format+"\n", args...)
	os.Exit(98)
}

// fakeGuest is the guest in the fake QEMU.
type fakeGuest struct {
	config *bundle.Config
	files  []bundle.File
	out    *hostlink.Writer
	in     *hostlink.Reader
	boot   *os.File
}

func playQEMU() {
	image, err := os.ReadFile(option("-initrd", ""))
	if err != nil {
		fail("%v", err)
	}
	b, err := bundle.Parse(image)
	if err != nil {
		fail("%v", err)
	}
	option("-chardev", "stdio,id=link") // the link is standard input and output
	g := &fakeGuest{
		config: &b.Config, files: b.Files, boot: inherited("boot"),
		out: hostlink.NewWriter(os.Stdout), in: hostlink.NewReader(os.Stdin),
	}
	g.play(b.Config.Args[1], b.Config.Args[2:])
	os.Exit(0)
}

func (g *fakeGuest) send(kind hostlink.Type, payload []byte) {
	if err := g.out.WriteFrame(kind, payload); err != nil {
		fail("%v", err)
	}
}

func (g *fakeGuest) ready() {
	g.send(hostlink.Ready, hostlink.AppendReady(nil))
	g.send(hostlink.Credit, hostlink.AppendCredit(nil, 1<<20))
}

func (g *fakeGuest) print(format string, args ...any) {
	g.send(hostlink.Stdout, fmt.Appendf(nil, format, args...))
}

func (g *fakeGuest) exit(s hostlink.ExitStatus) {
	g.send(hostlink.Exit, s.Append(nil))
	os.Exit(1) // isa-debug-exit
}

func (g *fakeGuest) next() hostlink.Frame {
	f, err := g.in.Next()
	if err != nil {
		fail("%v", err)
	}
	return f
}

// number returns args[0] as a number.
func number(args []string) uint32 {
	n, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		fail("%v", err)
	}
	return uint32(n)
}

// play plays a scene.
func (g *fakeGuest) play(scene string, args []string) {
	switch scene {
	case "fail early":
		fail("no such machine")
	case "panic":
		for i := range 100 {
			fmt.Fprintf(g.boot, "line %d\r\n", i)
		}
		fmt.Fprint(g.boot, "panic: out of memory\r\n")
		os.Exit(0)
	case "report":
		g.ready()
		fmt.Fprint(g.boot, "early\r\npanic: x\r\n")
		for i := range 1000 {
			fmt.Fprintf(g.boot, "line %d of the runtime\r\n", i)
		}
		fmt.Fprint(g.boot, "\r\nwick: kernel panic: the runtime has ended\r\n"+
			"  packet 7 at 1500000000 ns sent 60 bytes ffffffffffff5254001234560806000108000604000152540012345"+
			"60a00020f0000000000000a000202000000000000000000000000000000000000\r\n")
		for i := range 1000 {
			fmt.Fprintf(g.boot, "line %d of the report\r\n", i)
		}
		os.Exit(0)
	case "vanish":
		g.ready()
		g.print("half")
		os.Exit(0)
	case "exit":
		g.ready()
		g.exit(hostlink.ExitStatus{Number: number(args)})
	case "timing":
		if !g.config.Timing {
			fail("the guest isn't told to take the time")
		}
		g.ready()
		g.send(hostlink.Timing, hostlink.BootTimes{Stub: 1e6, Ground: 3e6}.Append(nil))
		g.print("output\n")
		g.exit(hostlink.ExitStatus{})
	case "signal":
		g.ready()
		g.exit(hostlink.ExitStatus{Signalled: true, Number: number(args)})
	case "cat":
		g.cat()
	case "wait":
		g.wait()
	case "describe":
		g.ready()
		g.describe()
		g.exit(hostlink.ExitStatus{})
	case "capture":
		g.capture(args)
	case "flood":
		g.ready()
		for {
			g.send(hostlink.Stdout, bytes.Repeat([]byte("y\n"), 1000))
		}
	default:
		fail("no scene %q", scene)
	}
}

// cat copies its input to its output, and says on standard error when it ended.
func (g *fakeGuest) cat() {
	g.ready()
	for {
		switch f := g.next(); f.Type {
		case hostlink.Stdin:
			g.send(hostlink.Stdout, f.Payload)
			g.send(hostlink.Credit, hostlink.AppendCredit(nil, uint32(len(f.Payload))))
		case hostlink.StdinEOF:
			g.send(hostlink.Stderr, []byte("end of input\n"))
			g.send(hostlink.Dump, []byte("a packet\n"))
			g.exit(hostlink.ExitStatus{})
		}
	}
}

// wait sets the terminal's modes, says its process id, and prints each frame that comes.
func (g *fakeGuest) wait() {
	g.ready()
	g.send(hostlink.TermMode, hostlink.Modes{}.Append(nil))
	g.print("pid %d\n", os.Getpid())
	for {
		f := g.next()
		g.print("%v %v\n", f.Type, f.Payload)
	}
}

// capture sends a capture of as many packets as it is told, and ends with the status that it is told, or without one.
func (g *fakeGuest) capture(args []string) {
	g.ready()
	b := pcapng.AppendSection(nil, &pcapng.Section{OS: "wick"})
	b = pcapng.AppendInterface(b, &pcapng.Interface{Link: pcap.LinkEthernet, Name: "e0"})
	for range number(args) {
		b = pcapng.AppendPacket(b, 0, &pcapng.Packet{Time: time.Unix(1700000000, 0), WireLen: 100, Data: make([]byte, 100)})
	}
	g.send(hostlink.Capture, b)
	if len(args) == 1 {
		g.send(hostlink.Capture, b[:10]) // of another block
		g.print("sent\n")
		os.Exit(0)
	}
	g.print("sent\n")
	g.exit(hostlink.ExitStatus{Number: number(args[1:])})
}

// describe prints what the guest was told.
func (g *fakeGuest) describe() {
	c := g.config
	g.print("args %q\nenv %q\npath %s\ncwd %s\naddress %s %s %s\nhost %s\ndump %q verbose %v capture %v %d\n",
		c.Args, c.Env, c.Path, c.Cwd, c.Address, c.Gateway, c.DNS, c.Host, c.Dump, c.Verbose, c.Capture, c.SnapLen)
	g.print("terminal %v\nseed %d\nclock %v\n", c.Terminal, len(c.Seed), !c.Now.IsZero())
	for _, f := range g.files {
		g.print("file %o %s %d\n", f.Mode, f.Path, len(f.Data))
	}
	g.print("qemu %s\n", strings.Join(os.Args[1:], " "))
}

// staticELF is the shortest file that wick takes for a static program.
func staticELF() []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1,
		Entry: 0x401000, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64,
	})
	binary.Write(&b, binary.LittleEndian, elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: 0x401000, Filesz: 120, Memsz: 120,
	})
	return b.Bytes()
}

// wickCommand returns a command that runs wick with the fake QEMU and a kernel that nobody boots.
func wickCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	// The race detector would sleep for a second before each exit.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", envRole+"=wick", vmm.EnvQEMU+"="+os.Args[0], envKernel+"="+os.DevNull)
	cmd.Dir = t.TempDir()
	for name, data := range map[string][]byte{"program": staticELF(), "text": []byte("hello")} {
		if err := os.WriteFile(filepath.Join(cmd.Dir, name), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return cmd
}

// outcome is how a wick ended.
type outcome struct {
	status         int
	stdout, stderr string
}

// wick runs a command to its end.
func wick(t *testing.T, stdin io.Reader, args ...string) outcome {
	t.Helper()
	return runCommand(t, wickCommand(t, args...), stdin)
}

func runCommand(t *testing.T, cmd *exec.Cmd, stdin io.Reader) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// play runs wick run with a scene.
func play(t *testing.T, scene ...string) outcome {
	t.Helper()
	return wick(t, nil, slices.Concat([]string{"run", "./program"}, scene)...)
}
