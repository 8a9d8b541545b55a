package vm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// vsockGuest is a machine with a vsock device in which test/programs/vsockserver runs.
type vsockGuest struct {
	path string // of the Unix-domain socket
	log  *output
}

// connect connects to a port of the guest, as Firecracker's clients do.
func (g *vsockGuest) connect(port uint32) (*net.UnixConn, *bufio.Reader, error) {
	c, err := net.Dial("unix", g.path)
	if err != nil {
		return nil, nil, err
	}
	c.SetDeadline(time.Now().Add(runLimit))
	fmt.Fprintf(c, "CONNECT %d\n", port)
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "OK ") {
		err = errors.New(strings.TrimSpace(line))
	}
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), r, nil
}

func (g *vsockGuest) mustConnect(t *testing.T, port uint32) (*net.UnixConn, *bufio.Reader) {
	t.Helper()
	c, r, err := g.connect(port)
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

// command has the guest do something; see vsockserver.
func (g *vsockGuest) command(t *testing.T, line string) string {
	t.Helper()
	c, r := g.mustConnect(t, 4)
	defer c.Close()
	fmt.Fprintln(c, line)
	answer, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %q, %v", line, answer, err)
	}
	return strings.TrimSuffix(answer, "\n")
}

func (g *vsockGuest) mustCommand(t *testing.T, line string) {
	t.Helper()
	if answer := g.command(t, line); answer != "ok" {
		t.Errorf("%s: %s", line, answer)
	}
}

// listen serves connections of the guest to a port of the host.
func (g *vsockGuest) listen(t *testing.T, port int, serve func(c *net.UnixConn)) {
	t.Helper()
	l, err := net.Listen("unix", fmt.Sprint(g.path, "_", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(runLimit))
				serve(c.(*net.UnixConn))
			}()
		}
	}()
}

func hostEcho(c *net.UnixConn) {
	io.Copy(c, c)
	c.CloseWrite()
	io.Copy(io.Discard, c)
}

// fullBacklog listens at a path, and has as many wait there as may.
func fullBacklog(t *testing.T, path string) net.Listener {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), path)
	l, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for {
		c, err := net.Dial("unix", path)
		if errors.Is(err, unix.EAGAIN) {
			return l
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

// bytePattern returns what vsockserver sends.
func bytePattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// vsockCases are what works between any guest and our host.
var vsockCases = []struct {
	name string
	run  func(t *testing.T, g *vsockGuest)
}{
	{"echo", func(t *testing.T, g *vsockGuest) {
		c, r := g.mustConnect(t, 1)
		defer c.Close()
		for i := range 100 {
			want := fmt.Sprint("line ", i, "\n")
			io.WriteString(c, want)
			if got, err := r.ReadString('\n'); got != want || err != nil {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}},
	{"64 MiB to the guest", func(t *testing.T, g *vsockGuest) {
		c, r := g.mustConnect(t, 2)
		defer c.Close()
		data := bytePattern(64 << 20)
		if _, err := c.Write(data); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
		got, err := r.ReadString('\n')
		if want := fmt.Sprintf("%d bytes, %08x\n", len(data), crc32.ChecksumIEEE(data)); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}},
	{"64 MiB from the guest", func(t *testing.T, g *vsockGuest) {
		const size = 64 << 20
		c, r := g.mustConnect(t, 3)
		defer c.Close()
		fmt.Fprintln(c, size)
		got, err := io.ReadAll(r)
		if !bytes.Equal(got, bytePattern(size)) || err != nil {
			t.Errorf("%d bytes or others, %v", len(got), err)
		}
	}},
	{"the host ends its half", func(t *testing.T, g *vsockGuest) {
		c, r := g.mustConnect(t, 1)
		defer c.Close()
		io.WriteString(c, "hello")
		c.CloseWrite()
		if got, err := io.ReadAll(r); string(got) != "hello" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}},
	{"the guest ends its half", func(t *testing.T, g *vsockGuest) {
		g.listen(t, 20, func(c *net.UnixConn) {
			if b, err := io.ReadAll(c); string(b) == "before the end" && err == nil {
				io.WriteString(c, "after the end")
			}
		})
		g.mustCommand(t, "half 20")
	}},
	{"echo of the host", func(t *testing.T, g *vsockGuest) {
		g.listen(t, 21, hostEcho)
		g.mustCommand(t, "echo 21 4194304 2")
	}},
	{"1,000 connections in a row", func(t *testing.T, g *vsockGuest) {
		for i := range 500 {
			c, r, err := g.connect(1)
			if err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			io.WriteString(c, "x\n")
			if got, err := r.ReadString('\n'); got != "x\n" || err != nil {
				t.Fatalf("connection %d: %q, %v", i, got, err)
			}
			c.Close()
		}
		g.listen(t, 22, hostEcho)
		g.mustCommand(t, "echo 22 10 500")
	}},
	{"200 connections at once", func(t *testing.T, g *vsockGuest) {
		var work sync.WaitGroup
		for i := range 100 {
			work.Go(func() {
				c, r, err := g.connect(1)
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				defer c.Close()
				want := strings.Repeat(fmt.Sprint(i, " "), 5000)
				go func() {
					io.WriteString(c, want)
					c.CloseWrite()
				}()
				if got, err := io.ReadAll(r); string(got) != want || err != nil {
					t.Errorf("connection %d: %d bytes, %v", i, len(got), err)
				}
			})
		}
		g.listen(t, 23, hostEcho)
		g.mustCommand(t, "flood 23 20000 100")
		work.Wait()
	}},
	{"slow readers", func(t *testing.T, g *vsockGuest) {
		slow, _ := g.mustConnect(t, 5) // the guest does not read
		defer slow.Close()
		slow.SetWriteDeadline(time.Now().Add(2 * time.Second))
		if n, err := slow.Write(make([]byte, 64<<20)); err == nil || n > 4<<20 {
			t.Errorf("%d bytes were taken though nobody reads: %v", n, err)
		}
		unread, _ := g.mustConnect(t, 3) // we don't
		defer unread.Close()
		fmt.Fprintln(unread, 64<<20)
		c, r := g.mustConnect(t, 1)
		defer c.Close()
		io.WriteString(c, "x\n")
		if got, err := r.ReadString('\n'); got != "x\n" || err != nil {
			t.Errorf("another connection: %q, %v", got, err)
		}
	}},
	{"the host's port is served too slowly", func(t *testing.T, g *vsockGuest) {
		l := fullBacklog(t, g.path+"_24")
		g.mustCommand(t, "again 24 2 4")
		go func() { // those that wait, then the guest's
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go hostEcho(c.(*net.UnixConn))
			}
		}()
		g.mustCommand(t, "echo 24 1000 1")
	}},
	{"the host's port is not served", func(t *testing.T, g *vsockGuest) {
		if answer := g.command(t, "dial 99"); !strings.Contains(answer, "connection reset by peer") && !strings.Contains(answer, "connection refused") {
			t.Error(answer)
		}
		if _, ok := g.log.awaitLine(func(line string) bool {
			return strings.Contains(line, "refused the guest's connection to port 99: dial unix ")
		}); !ok {
			t.Error("the log has no word of it")
		}
	}},
}
