package vm

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"wick/test/programs/peer"
)

// TestPublishedTCP exchanges streams with a server in the machine.
func TestPublishedTCP(t *testing.T) {
	for _, c := range networks {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, flags: []string{"-p", "0:7000"}, capture: true,
				program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}})
			r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
			addr := r.port("7000/tcp")
			for i, n := range []int64{0, 1, 1 << 10, 64 << 10, 1 << 20} {
				exchange(t, addr, n, uint64(i))
			}
			for i := range 100 {
				if err := peer.Download(addr, 100, uint64(i)); err != nil {
					t.Fatalf("connection %d of 100 in a row: %v", i+1, err)
				}
			}
			atOnce(t, addr, 30)
			quit(t, r, addr)
		})
	}
}

// TestPublishedTCPHeavy does more of it.
func TestPublishedTCPHeavy(t *testing.T) {
	for _, c := range []configuration{{machine: "microvm", cpus: 2, model: "default"}, {machine: "q35", cpus: 1, model: "max", nic: "e1000"}} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, flags: []string{"-p", "0:7000"}, limit: 2 * runLimit,
				program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}})
			r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
			addr := r.port("7000/tcp")
			if err := peer.Download(addr, 64<<20, 1); err != nil {
				t.Error(err)
			}
			if err := peer.Upload(addr, 64<<20, 2); err != nil {
				t.Error(err)
			}
			for i := range 1000 {
				if err := peer.Download(addr, 100, uint64(i)); err != nil {
					t.Fatalf("connection %d of 1000 in a row: %v", i+1, err)
				}
			}
			atOnce(t, addr, 200)
			quit(t, r, addr)
		})
	}
}

// quit ends the server in the machine, which says whether all was well.
func quit(t *testing.T, r *run, addr string) {
	t.Helper()
	if err := peer.Quit(addr); err != nil {
		t.Errorf("quit: %v", err)
	}
	r.want(0)
}

func exchange(t *testing.T, addr string, n int64, seed uint64) {
	t.Helper()
	if err := peer.Download(addr, n, seed); err != nil {
		t.Errorf("download of %d bytes: %v", n, err)
	}
	if err := peer.Upload(addr, n, seed+1000); err != nil {
		t.Errorf("upload of %d bytes: %v", n, err)
	}
	if err := peer.Echo(addr, n, seed+2000); err != nil {
		t.Errorf("echo of %d bytes: %v", n, err)
	}
}

// atOnce holds many connections open, and then uses all of them at the same time. Each is opened when the one before has
// been answered; TestManyConnectAtOnce opens them otherwise.
func atOnce(t *testing.T, addr string, many int) {
	t.Helper()
	conns := make([]*net.TCPConn, many)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatalf("connection %d of %d at once: %v", i+1, many, err)
		}
		defer c.Close()
		c.SetDeadline(deadline())
		conns[i] = c.(*net.TCPConn)
		if _, err := fmt.Fprint(c, "echo\nhello\n"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 6)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello\n" {
			t.Fatalf("connection %d of %d at once: got %q, %v", i+1, many, got, err)
		}
	}
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			c.SetDeadline(deadline())
			err := peer.Send(c, 3000, uint64(i))
			if err == nil {
				err = c.CloseWrite()
			}
			if err == nil {
				err = peer.Take(c, 3000, uint64(i))
			}
			if err == nil {
				err = peer.TakeEnd(c)
			}
			if err != nil {
				t.Errorf("connection %d of %d at once: %v", i+1, many, err)
			}
		})
	}
	wg.Wait()
}

// TestEcho runs the example that make run runs, with all three of its ports published.
func TestEcho(t *testing.T) {
	for _, c := range networks {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, program: goProgram(t, "/examples/echo"), capture: true,
				flags: []string{"-p", "0:7/udp", "-p", "0:7", "-p", "0:80"}})
			r.awaitLine(r.stdout, "it served", func(line string) bool {
				return line == "echo: serving UDP port 7, TCP port 7, web port 80"
			})
			echoUDP(t, r.port("7/udp"))
			if err := echoTCP(r.port("7/tcp")); err != nil {
				t.Error(err)
			}
			for n := 1; n <= 3; n++ {
				fetch(t, "http://"+r.port("80/tcp")+"/page", fmt.Sprintf("request number %d.", n))
			}
			// Ctrl-C ends it as it does natively.
			interrupt(t, r)
			r.want(0)
		})
	}
}

func echoUDP(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(deadline())
	buf := make([]byte, 64<<10)
	for _, size := range []int{0, 1, 12, 1000, 1472, 1473, 4000} {
		want := bytes.Repeat([]byte{byte(size)}, size)
		if _, err := conn.Write(want); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil || !bytes.Equal(buf[:n], want) {
			t.Errorf("datagram of %d bytes: got %d bytes, %v", size, n, err)
		}
	}
}

func echoTCP(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(deadline())
	const size = 200_000
	go func() {
		peer.Send(conn, size, 5)
		conn.(*net.TCPConn).CloseWrite()
	}()
	if err := peer.Take(conn, size, 5); err != nil {
		return err
	}
	return peer.TakeEnd(conn)
}

func fetch(t *testing.T, url, want string) {
	t.Helper()
	client := http.Client{Timeout: runLimit}
	defer client.CloseIdleConnections()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
		t.Errorf("%s: status %s, %v, want a page with %q:\n%s", url, resp.Status, err, want, body)
	}
}

// TestNettests runs the lab's exchanges with the lab's server.
func TestNettests(t *testing.T) {
	for _, c := range networks {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			p := startPeers(t)
			_, port, _ := net.SplitHostPort(p.UDP)
			r := start(t, options{configuration: c, program: goProgram(t, "/examples/nettests"), args: []string{port}, capture: true})
			r.want(0)
			if out := r.stdout.String(); !strings.HasSuffix(out, "all tests passed\n") {
				t.Errorf("it said:\n%s", out)
			}
		})
	}
}
