package vm

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVsockServe tests wick vsock serve with QEMUs that others start: here this test does, with images of wick build.
func TestVsockServe(t *testing.T) {
	for _, c := range [][2]configuration{
		{{machine: "q35", cpus: 1, model: "max"}, {machine: "microvm", cpus: 2, model: "default"}},
		{{machine: "microvm", cpus: 1, model: "default"}, {machine: "pc", cpus: 2, model: "max"}},
	} {
		t.Run(c[0].String()+"+"+c[1].String(), func(t *testing.T) {
			t.Parallel()
			s := startServe(t, "cid=7,group=pair", "cid=8,group=pair", "cid=9")
			silent, err := net.Dial("unix", filepath.Join(s.dir, "q7")) // which doesn't keep QEMU out
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			first, second := s.boot(t, c[0], 7), s.boot(t, c[1], 8)
			first.awaitReady(t, 7, 1)
			second.awaitReady(t, 8, 1)
			t.Run("host and guests", func(t *testing.T) { testServed(t, first, second) })
			t.Run("guest and guest", func(t *testing.T) {
				first.mustCommand(t, "peer 1 8 4194304")
				second.mustCommand(t, "peer 1 7 4194304")
			})
			t.Run("reset", func(t *testing.T) { testReset(t, first, second) })
			t.Run("stopped", func(t *testing.T) { testStopped(t, first, second) })
			second.stop()
			third := s.boot(t, c[1], 9)
			third.awaitReady(t, 9, 1)
			t.Run("not in the group", func(t *testing.T) {
				testRefused(t, first, 9, "not allowed: machine 9 is in no group with machine 7")
				testRefused(t, third, 7, "not allowed: machine 7 is in no group with machine 9")
				testRefused(t, first, 77, "no machine here has the CID 77")
			})
			t.Run("not there any more", func(t *testing.T) { testRefused(t, first, 8, "the machine is not running") })
			t.Run("end", func(t *testing.T) { s.testEnd(t) })
		})
	}
}

// server is a wick vsock serve.
type server struct {
	*process
	dir string
}

// startServe starts it, with guests whose sockets are dir/qCID and dir/vCID.
func startServe(t *testing.T, guests ...string) *server {
	t.Helper()
	wick := wickPath(t)
	dir, err := os.MkdirTemp("", "wick") // not TempDir: a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	args := []string{"vsock", "serve", "--wait", runLimit.String()}
	for _, g := range guests {
		cid := strings.TrimPrefix(strings.Split(g, ",")[0], "cid=")
		args = append(args, "--guest", fmt.Sprintf("%s,socket=%s,path=%s", g, filepath.Join(dir, "q"+cid), filepath.Join(dir, "v"+cid)))
	}
	s := &server{spawn(t, nil, wick, args...), dir}
	for _, g := range guests {
		cid := strings.TrimPrefix(strings.Split(g, ",")[0], "cid=")
		s.awaitLine(t, fmt.Sprintf("wick: vsock %s: waiting for QEMU at %s", cid, filepath.Join(dir, "q"+cid)))
	}
	return s
}

// bootedGuest is a machine with our kernel, and vsockserver, in a QEMU of its own.
type bootedGuest struct {
	vsockGuest
	*process // QEMU
	qmp      string
}

func (s *server) boot(t *testing.T, c configuration, cid uint32) *bootedGuest {
	t.Helper()
	image := t.TempDir()
	build := append(append([]string{"build", "-o", image, "-m", "128M"}, c.flags()...), goProgram(t, "vsockserver"))
	if out, err := exec.Command(wickPath(t), build...).CombinedOutput(); err != nil {
		t.Fatalf("wick build: %v\n%s", err, out)
	}
	qmp := filepath.Join(s.dir, fmt.Sprint("m", cid))
	return &bootedGuest{
		vsockGuest: vsockGuest{path: filepath.Join(s.dir, fmt.Sprint("v", cid)), log: s.out},
		process: spawn(t, nil, "env", "VSOCK="+filepath.Join(s.dir, fmt.Sprint("q", cid)), filepath.Join(image, "boot.sh"),
			"-chardev", "socket,id=watch,server=on,wait=off,path="+qmp, "-mon", "chardev=watch,mode=control", "-action", "reboot=reset"),
		qmp: qmp,
	}
}

// testServed: ports of the machines are reached, and they reach ports of the host, each at sockets of its own.
func testServed(t *testing.T, guests ...*bootedGuest) {
	for _, g := range guests {
		c, r := g.mustConnect(t, 1)
		defer c.Close()
		io.WriteString(c, "x\n")
		if got, err := r.ReadString('\n'); got != "x\n" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		g.listen(t, 40, hostEcho)
		g.mustCommand(t, "echo 40 1000000 2")
	}
}

// testReset: a machine that is reset boots again, with the same device. Connections with it end, for the host and for the other
// machine, and new ones work.
func testReset(t *testing.T, g, other *bootedGuest) {
	old, r := g.mustConnect(t, 1)
	defer old.Close()
	io.WriteString(old, "x\n")
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	control, answers := other.mustConnect(t, 4)
	defer control.Close()
	fmt.Fprintln(control, "hold 5 7")
	other.awaitLine(t, "vsockserver: holds a connection")
	defer storm(g.path)() // while it boots again
	connect(t, g.qmp).do("system_reset", nil)
	if b, err := r.ReadByte(); err != io.EOF {
		t.Errorf("the host read %d, %v", b, err)
	}
	if answer, err := answers.ReadString('\n'); err != nil || answer != "ok\n" { // RST is an end to who reads, as in Linux
		t.Errorf("the other machine: %q, %v", answer, err)
	}
	g.awaitReady(t, 7, 2)
	testServed(t, g)
	g.mustCommand(t, "peer 1 8 100000")
	other.mustCommand(t, "peer 1 7 100000")
}

// testStopped: who connects to a machine that is stopped is not answered, again and again, also from one port. When it goes on, it is
// reached.
func testStopped(t *testing.T, g, other *bootedGuest) {
	m := connect(t, other.qmp)
	m.do("stop", nil)
	g.mustCommand(t, "again 1 8 4")
	m.do("cont", nil)
	g.mustCommand(t, "peer 1 8 100000")
}

// testRefused has a machine connect to another one that it can't reach: it is told at once, and why is in the log.
func testRefused(t *testing.T, g *bootedGuest, cid int, reason string) {
	t.Helper()
	answer := g.command(t, fmt.Sprint("peer 1 ", cid, " 10"))
	if !strings.Contains(answer, "connection reset by peer") {
		t.Errorf("to %d: %s", cid, answer)
	}
	why := fmt.Sprintf("refused the guest's connection to guest(%d):1: %s", cid, reason)
	if _, ok := g.log.awaitLine(func(line string) bool { return strings.HasSuffix(line, why) }); !ok {
		t.Errorf("the log does not say: %s", why)
	}
}

// testEnd: it ends with its machines, when it is told to, and leaves no sockets.
func (s *server) testEnd(t *testing.T) {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if status := s.cmd.ProcessState.ExitCode(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	left, err := filepath.Glob(filepath.Join(s.dir, "[qv]*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
