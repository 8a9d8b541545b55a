package docs

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// moduleExample is how docs/vsock.md tells that another module uses a package of wick: commands, then a program.
var moduleExample = regexp.MustCompile("(?s)<!-- example: another module -->\n\n(.*?)\n\n```go\n(.*?)```\n")

// TestOtherModuleUsesHybrid does what the document says, in a folder of its own and without a network: the program is built, and
// talks with a device.
func TestOtherModuleUsesHybrid(t *testing.T) {
	root := root(t)
	text, err := os.ReadFile(filepath.Join(root, "docs/vsock.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := moduleExample.FindSubmatch(text)
	if m == nil {
		t.Fatal("there is no example")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), m[2], 0o644); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(m[1])) {
		words := strings.Fields(strings.ReplaceAll(line, "/src/wick", root))
		if len(words) == 0 || words[0] != "go" {
			t.Fatalf("no command: %q", line)
		}
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	socket := filepath.Join(dir, "v")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "OK 1073741824\nhello from port 80")
		c.(*net.UnixConn).CloseWrite()
		io.Copy(io.Discard, c)
	}()
	out, err := exec.Command(filepath.Join(dir, "talk"), socket).CombinedOutput()
	if string(out) != "hello from port 80" || err != nil {
		t.Errorf("it says %q, %v", out, err)
	}
}
