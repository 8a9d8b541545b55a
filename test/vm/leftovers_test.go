package vm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"wick/test/programs/peer"
)

// leftovers are the counts, told after the program's end, that must not depend on what it did.
var leftovers = []string{"kernel: goroutines", "net: sockets.open", "net: tcp.endpoints", "net: udp.endpoints"}

// heapSlack is how much larger the kernel's heap may be after many connections than after few, in bytes: pools, and tables
// that don't shrink.
const heapSlack = 2 << 20

// serve has a server in a machine answer connections in a row and at once, ends it, and returns what the kernel counts then. The
// host's side closes first, so that none of the connections has to be remembered by the guest [RFC 9293 3.6.1].
func serve(t *testing.T, c configuration, inARow, together int) map[string]int {
	t.Helper()
	r := start(t, options{configuration: c, flags: []string{"-p", "0:7000"}, limit: 4 * runLimit,
		program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}})
	r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
	addr := r.port("7000/tcp")
	for i := range inARow {
		if err := peer.Echo(addr, 10, uint64(i)); err != nil {
			t.Fatalf("connection %d of %d in a row: %v", i+1, inARow, err)
		}
	}
	holdOpen(t, addr, together)
	quit(t, r, addr)
	counts := make(map[string]int)
	for _, line := range lines(r.stderr.String()) {
		name, value := cutLast(line)
		if n, err := strconv.Atoi(value); err == nil {
			counts[name] = n
		}
	}
	return counts
}

// holdOpen has many connections open at the same time, and then closes them one by one. Each is opened when the one before
// has been answered, as in atOnce.
func holdOpen(t *testing.T, addr string, many int) {
	t.Helper()
	conns := make([]*net.TCPConn, many)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatalf("connection %d of %d at once: %v", i+1, many, err)
		}
		defer c.Close()
		conns[i] = c.(*net.TCPConn)
		c.SetDeadline(deadline())
		if _, err := fmt.Fprint(c, "echo\nhello\n"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 6)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello\n" {
			t.Fatalf("connection %d of %d at once: got %q, %v", i+1, many, got, err)
		}
	}
	for i, c := range conns {
		c.SetDeadline(deadline())
		if err := errors.Join(c.CloseWrite(), peer.TakeEnd(c)); err != nil {
			t.Fatalf("end of connection %d of %d at once: %v", i+1, many, err)
		}
	}
}

// cutLast cuts a line at its last space.
func cutLast(line string) (before, after string) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return line, ""
	}
	return line[:i], line[i+1:]
}

func TestConnectionsLeaveNothingBehind(t *testing.T) {
	c := configuration{machine: "pc", cpus: 2, model: "default"}
	few := serve(t, c, 10, 10)
	if few["kernel: goroutines"] == 0 || few["kernel: heap-bytes"] == 0 {
		t.Fatalf("no counts: %v", few)
	}
	for _, load := range []struct{ inARow, together int }{{10000, 0}, {10, 1000}} {
		t.Run(fmt.Sprintf("%d in a row, %d at once", load.inARow, load.together), func(t *testing.T) {
			many := serve(t, c, load.inARow, load.together)
			for _, name := range leftovers {
				if many[name] > few[name]+1 { // the one that told the server to end is remembered, or not any more
					t.Errorf("%s: %d after few connections, %d after these", name, few[name], many[name])
				}
			}
			if few, many := few["kernel: heap-bytes"], many["kernel: heap-bytes"]; many > few+heapSlack {
				t.Errorf("%d bytes of heap after few connections, %d after these", few, many)
			}
		})
	}
}
