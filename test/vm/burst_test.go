package vm

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"wick/test/programs/peer"
)

// TestManySendAtOnce: all of many connections are answered when all send at the same moment. QEMU throws away what the card has no
// room for, and sends it again after a second, all at once; then after two, and so on.
func TestManySendAtOnce(t *testing.T) {
	const many = 1000
	for _, c := range []configuration{
		{machine: "pc", cpus: 1, model: "default", nic: "e1000"}, {machine: "microvm", cpus: 2, model: "max"},
	} {
		t.Run(c.String(), func(t *testing.T) {
			r := start(t, options{configuration: c, flags: []string{"-p", "0:7000"}, limit: 4 * runLimit,
				program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}})
			r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
			addr := r.port("7000/tcp")
			conns := make([]net.Conn, many)
			for i := range conns {
				var err error
				if conns[i], err = net.Dial("tcp", addr); err != nil {
					t.Fatal(err)
				}
				defer conns[i].Close()
				conns[i].SetDeadline(deadline())
				if _, err := io.WriteString(conns[i], "echo\nfirst\n"); err != nil {
					t.Fatal(err)
				}
				if err := takeEcho(conns[i], "first\n"); err != nil {
					t.Fatalf("connection %d: %v", i+1, err)
				}
			}
			for i, c := range conns {
				c.SetDeadline(deadline()) // that of the first was a thousand connections ago
				if _, err := io.WriteString(c, "again\n"); err != nil {
					t.Fatalf("connection %d: %v", i+1, err)
				}
			}
			for i, c := range conns {
				c.SetDeadline(deadline())
				if err := takeEcho(c, "again\n"); err != nil {
					t.Fatalf("connection %d: %v", i+1, err)
				}
			}
			for _, c := range conns {
				c.Close()
			}
			quit(t, r, addr)
		})
	}
}

// TestManyConnectAtOnce: connections that are asked for at the same moment are all served, none of them after the host's SYN
// had to be sent again and again.
func TestManyConnectAtOnce(t *testing.T) {
	const many = 200
	for _, c := range networks {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, flags: []string{"-v", "-p", "0:7000"},
				program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}})
			r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
			addr := r.port("7000/tcp")
			if strings.Contains(r.stderr.String(), "connections to published ports will wait: pidfd_") {
				t.Skip("this system has no pidfd_getfd(2), or doesn't permit it, as in some containers") // vmm's test tells other errors
			}
			var wg sync.WaitGroup
			for i := range many {
				wg.Go(func() {
					if err := peer.Echo(addr, 100, uint64(i)); err != nil {
						t.Errorf("connection %d of %d: %v", i+1, many, err)
					}
				})
			}
			wg.Wait()
			quit(t, r, addr)
		})
	}
}

// takeEcho reads a text that must come back.
func takeEcho(c net.Conn, text string) error {
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		return fmt.Errorf("got %q: %v", got, err)
	}
	return nil
}
