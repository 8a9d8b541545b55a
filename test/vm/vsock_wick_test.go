package vm

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestVsock tests our driver and sockets with our host.
func TestVsock(t *testing.T) {
	for _, c := range configurations[:4] {
		t.Run(c.String(), func(t *testing.T) {
			g, r := startVsock(t, c)
			// Before the guest has begun to boot: --vsock-wait.
			early, _ := g.mustConnect(t, 1)
			early.Close()
			r.awaitLine(r.stdout, "it was ready", func(line string) bool { return line == "vsockserver: ready, CID 7" })
			for _, c := range vsockCases {
				t.Run(c.name, func(t *testing.T) {
					start := time.Now()
					c.run(t, g)
					t.Log(time.Since(start))
				})
			}
			t.Run("within the guest", func(t *testing.T) { g.mustCommand(t, "loopback 30 4194304 3") })
			t.Run("the guest ends", func(t *testing.T) { testVsockEnd(t, g, r) })
		})
	}
}

// startVsock runs vsockserver. The guest's console is the log, too.
func startVsock(t *testing.T, c configuration) (*vsockGuest, *run) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v")
	r := start(t, options{
		configuration: c, program: goProgram(t, "vsockserver"), flags: []string{"--vsock", path, "--vsock-wait", "2m", "--vsock-cid", "7"},
	})
	// The socket is there before QEMU's command line is shown.
	r.awaitLine(r.stderr, "it started QEMU", func(line string) bool { return strings.Contains(line, "chardev=vsock") })
	return &vsockGuest{path: path, log: r.stderr}, r
}

// testVsockEnd has the program send much and exit at once: all of it comes.
func testVsockEnd(t *testing.T, g *vsockGuest, r *run) {
	got := make(chan int, 1)
	g.listen(t, 31, func(c *net.UnixConn) {
		b := make([]byte, 64<<10)
		total := 0
		for {
			n, err := c.Read(b)
			if total += n; err != nil {
				got <- total
				return
			}
		}
	})
	c, _ := g.mustConnect(t, 4)
	defer c.Close()
	c.Write([]byte("last 31 3000000\n"))
	r.want(0)
	if n := <-got; n != 3_000_000 {
		t.Errorf("%d bytes came of what the program sent before its end", n)
	}
	if s := r.stderr.String(); strings.Contains(s, "could not deliver") || strings.Contains(s, "has failed") {
		t.Errorf("the kernel says:\n%s", s)
	}
}
