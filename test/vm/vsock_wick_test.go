package vm

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wick/vsock/hybrid"
)

// TestVsock tests our driver and sockets with our host.
func TestVsock(t *testing.T) {
	for _, c := range slices.Concat(configurations[:4], configurations[8:10]) { // each machine with 1 and 2 CPUs
		t.Run(c.String(), func(t *testing.T) {
			g, r := startVsock(t, c, "vsockserver")
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

// TestVsockHTTP runs the example, with net/http at both ends.
func TestVsockHTTP(t *testing.T) {
	g, r := startVsock(t, plain, "/examples/vsockhttp")
	client := http.Client{Timeout: runLimit, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return hybrid.DialContext(ctx, g.path, 80) },
	}}
	defer client.CloseIdleConnections()
	for range 10 { // on one connection
		answer, err := client.Get("http://guest/page")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		ok := strings.HasPrefix(string(body), "Hello from vm(7):80. You are host(2):") && strings.HasSuffix(string(body), " and asked for /page.\n")
		if err != nil || answer.StatusCode != http.StatusOK || !ok {
			t.Errorf("%s, %q, %v", answer.Status, body, err)
		}
	}
	r.cmd.Process.Signal(os.Interrupt)
	r.want(0)
}

// TestVsockDump: the packets of a connection are in the dump and in the capture, from the first to the last; and of one that nobody
// takes both say why it was dropped.
func TestVsockDump(t *testing.T) {
	for _, card := range []bool{true, false} {
		t.Run(fmt.Sprintf("card=%t", card), func(t *testing.T) { testVsockDump(t, card) })
	}
}

func testVsockDump(t *testing.T, card bool) {
	needTshark(t)
	path := filepath.Join(t.TempDir(), "capture.pcapng")
	flags := []string{"--dump", "--pcap", path}
	if !card {
		flags = append(flags, "--nic", "none")
	}
	g, r := startVsock(t, plain, "vsockserver", flags...)
	c, _ := g.mustConnect(t, 1)
	defer c.Close()
	io.WriteString(c, "seen")
	c.CloseWrite()
	io.Copy(io.Discard, c)
	nobody, err := net.Dial("unix", g.path)
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	io.WriteString(nobody, "CONNECT 999\n") // and the host tries again and again
	for _, part := range []string{
		" v0 < 44 vsock host(2):", " v0 > 44 vsock guest(7):1>host(2):", " v0 < 48 vsock host(2):", " v0 > 48 vsock guest(7):1>host(2):", " SHUTDOWN [", " RST ",
		" !dropped(vsock-no-listener)",
	} {
		r.awaitLine(r.stderr, part, func(line string) bool { return strings.HasPrefix(line, "#") && strings.Contains(line, part) })
	}
	nobody.Close()
	r.cmd.Process.Signal(os.Interrupt)
	r.wait()
	checkVsockCapture(t, path, card)
}

// checkVsockCapture reads the capture with tshark, and the vsock packets alone, in the format that tcpdump reads, too.
func checkVsockCapture(t *testing.T, path string, card bool) {
	t.Helper()
	fields := func(path string, more ...string) string {
		out, err := exec.Command("tshark", append([]string{"-r", path, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment", "-e", "frame.len",
			"-e", "vsock.dst_port", "-e", "vsock.op"}, more...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	got := fields(path)
	if strings.Contains(got, "e0\t\t") != card {
		t.Errorf("packets of a card: %t, want %t", !card, card)
	}
	for _, want := range []string{"v0\t\t76\t1\t1\n", "v0\t\t80\t1\t4\n", "v0\tdropped: vsock-no-listener\t76\t999\t1\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("tshark doesn't tell of %q:\n%s", want, got)
		}
	}
	alone := filepath.Join(t.TempDir(), "v0.pcap")
	if out, err := exec.Command(wickPath(t), "dump", "-i", "v0", "-w", alone, path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	if got := fields(alone); !strings.Contains(got, "\t80\t1\t4\n") {
		t.Errorf("tshark tells of the vsock packets alone:\n%s", got)
	}
}

// startVsock runs a program. What wick says is the log, too.
func startVsock(t *testing.T, c configuration, program string, flags ...string) (*vsockGuest, *run) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v")
	r := start(t, options{
		configuration: c, program: goProgram(t, program), flags: append([]string{"--vsock", path, "--vsock-wait", "2m", "--vsock-cid", "7"}, flags...),
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
