package vm

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestVsockStorm has clients come and go while a machine boots, runs, and is told to end, and others say nonsense. Whoever behaves is
// served; wick ends as always, and leaves no socket.
func TestVsockStorm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	r := start(t, options{configuration: configurations[1], program: goProgram(t, "vsockserver"), flags: []string{
		"--vsock", path, "--vsock-cid", "7", "--vsock-wait", "2m", "--vsock-conns", "20", "--vsock-publish", path + ".echo=1"}})
	r.awaitLine(r.stderr, "it started QEMU", func(line string) bool { return strings.Contains(line, "chardev=vsock") })
	g := &vsockGuest{path: path, log: r.stderr}

	calm := storm(path)
	early := inTheStorm(t, func() (*net.UnixConn, error) { c, _, err := g.connect(1); return c, err })
	defer early.Close()
	r.awaitLine(r.stdout, "it was ready", func(line string) bool { return line == "vsockserver: ready, CID 7" })
	for _, line := range []string{
		"CONNECT 4294967295\n", "CONNECT 4294967296\n", "CONNECT 99999999999999999999\n", "CONNECT -1\n", "CONNECT 0x1\n", "CONNECT\n", "\n", "\r\n",
		"CONNECT 1 2\n", "GET / HTTP/1.1\r\n", strings.Repeat("CONNECT ", 1000), "\x00\xff\n",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, line)
		if answer, _ := io.ReadAll(c); !strings.HasPrefix(string(answer), "ERR ") {
			t.Errorf("%.40q: %q", line, answer)
		}
		c.Close()
	}
	for _, line := range []string{"CONNECT 1\r\n", "connect  1 \n"} {
		answer := inTheStorm(t, func() (string, error) { return hello(path, line) })
		if !strings.HasPrefix(answer, "OK ") || !strings.HasSuffix(answer, "\nhello") {
			t.Errorf("%q: %q", line, answer)
		}
	}
	second, out := second(t, path)
	if second == 0 || !strings.Contains(out, "--vsock: "+path+" is in use: somebody listens there") {
		t.Errorf("a second machine at the same path: status %d, %s", second, out)
	}
	late := inTheStorm(t, func() (*net.UnixConn, error) { c, _, err := g.connect(1); return c, err })
	defer late.Close()
	r.cmd.Process.Signal(unix.SIGTERM) // with traffic
	r.wait()
	calm()
	if left, err := filepath.Glob(path + "*"); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if s := r.stderr.String(); strings.Contains(s, "panic") || strings.Contains(s, "could not deliver") {
		t.Errorf("it says:\n%s", s)
	}
}

// inTheStorm does something as soon as there is room: a machine that its host doesn't run hears of no connection's end, and the storm goes
// on until there are as many as may be.
func inTheStorm[V any](t *testing.T, do func() (V, error)) V {
	t.Helper()
	for end := deadline(); ; time.Sleep(10 * time.Millisecond) {
		v, err := do()
		if err == nil {
			return v
		}
		full := false
		for _, why := range []string{"too many connections", "connections are open", "have yet to say what they want"} {
			full = full || strings.Contains(err.Error(), why)
		}
		if !full || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// hello asks for a connection by a line, and for an echo, and returns all that comes; what begins with ERR is an error.
func hello(path, line string) (string, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(runLimit))
	io.WriteString(c, line+"hello")
	c.(*net.UnixConn).CloseWrite()
	answer, err := io.ReadAll(c)
	if strings.HasPrefix(string(answer), "ERR ") {
		return "", fmt.Errorf("%q: %s", line, answer)
	}
	if err != nil {
		return "", fmt.Errorf("%q: %q, %w", line, answer, err)
	}
	return string(answer), nil
}

// storm has clients of a device come and go until it is stopped.
func storm(path string) (stop func()) {
	over := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 3 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				case <-time.After(time.Millisecond):
				}
				c, err := net.Dial("unix", path)
				if err != nil {
					return // the device has ended
				}
				if i > 0 || n%3 > 0 { // else not even a word
					fmt.Fprintf(c, "CONNECT %d\n", 1+n%2*998) // one that is served, one that is not
				}
				if i == 2 && n%2 == 0 { // in the midst of the answer
					io.WriteString(c, strings.Repeat("x", 100_000))
				}
				c.Close()
			}
		})
	}
	return func() {
		close(over)
		clients.Wait()
	}
}

// second starts another machine at a socket that is taken.
func second(t *testing.T, path string) (status int, out string) {
	t.Helper()
	p := spawn(t, nil, wickPath(t), "run", "--vsock", path, goProgram(t, "vsockserver"))
	<-p.ended
	return p.cmd.ProcessState.ExitCode(), p.out.String()
}

// TestVsockPathCanNotBeHad: wick says so in one line, with the flag that is wrong, and starts nothing.
func TestVsockPathCanNotBeHad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{file, file + " is there and is no socket"},
		{dir, dir + " is there and is no socket"},
		{filepath.Join(dir, "nosuch", "v"), "no such file or directory"},
		{filepath.Join(file, "v"), "not a directory"},
	} {
		status, out := second(t, c.path)
		if lines := strings.Count(out, "\n"); status == 0 || lines != 1 || !strings.HasPrefix(out, "wick: --vsock: ") || !strings.HasSuffix(out, c.want+"\n") {
			t.Errorf("%s: status %d, %s", c.path, status, out)
		}
	}
}
