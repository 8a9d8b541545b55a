package vm

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wick/test/programs"
)

// documentedDump returns the lines of a dump in docs/vsock.md, behind a mark with its name.
func documentedDump(t *testing.T, name string) (dump []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(programs.Root(), "docs", "vsock.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, behind, _ := strings.Cut(string(text), "<!-- dump: "+name+" -->\n\n")
	for _, line := range lines(behind) {
		if !strings.HasPrefix(line, "    #") {
			break
		}
		dump = append(dump, strings.TrimSpace(line))
	}
	if len(dump) == 0 {
		t.Fatalf("there is no dump %q in the document", name)
	}
	return dump
}

var (
	numberAndTime = regexp.MustCompile(`^#\d+ \d+\.\d+ `)
	fwdCnt        = regexp.MustCompile(`fwd_cnt=\d+`)
)

// TestDumpsOfDocuments: a running machine prints the dumps of docs/vsock.md, but for numbers, times, and how far a receiver is
// at a time.
func TestDumpsOfDocuments(t *testing.T) {
	for _, c := range []struct {
		name, program, ready string
		port                 uint32
		request              string
		exact                bool // how far it is, too
	}{
		{"http", "/examples/vsockhttp", "vsockhttp: serving vm(3):80", 80, "GET / HTTP/1.0\r\n\r\n", true},
		{"credit", "vsockserver", "vsockserver: ready, CID 3", 3, "1000000\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			same := func(line string) string {
				line = numberAndTime.ReplaceAllString(line, "")
				if !c.exact {
					line = fwdCnt.ReplaceAllString(line, "fwd_cnt=N")
				}
				return line
			}
			g, r := startVsock(t, plain, c.program, "--dump", "--vsock-cid", "3", "--nic", "none")
			r.awaitLine(r.stdout, "it was ready", func(line string) bool { return line == c.ready })
			conn, in := g.mustConnect(t, c.port)
			defer conn.Close()
			// The machine stands still until all is said, or it might answer before it has heard of the end.
			machines := children(t, r.cmd.Process.Pid)
			signalAll(t, machines, unix.SIGSTOP)
			io.WriteString(conn, c.request)
			conn.CloseWrite()
			signalAll(t, machines, unix.SIGCONT)
			io.Copy(io.Discard, in)
			for _, want := range documentedDump(t, c.name) {
				r.awaitLine(r.stderr, "it printed "+want, func(line string) bool { return same(line) == same(want) })
			}
		})
	}
}

func signalAll(t *testing.T, pids []int, sig unix.Signal) {
	t.Helper()
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
}
