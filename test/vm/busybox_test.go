package vm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"wick/test/debian"
)

// busybox returns Debian's static busybox: a shell and most of what shells call, in one program.
func busybox(t *testing.T) string {
	t.Helper()
	root, err := debian.Unpack("busybox-static", "")
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(root + "/*bin/busybox")
	usr, _ := filepath.Glob(root + "/usr/*bin/busybox")
	if found = append(found, usr...); len(found) == 0 {
		t.Fatalf("no busybox in %s", root)
	}
	return found[0]
}

// TestBusybox: a shell that we didn't write does its work as on Linux: with processes, pipes, files, signals and a web
// server.
func TestBusybox(t *testing.T) {
	wickPath(t)
	const script = "testdata/busybox.sh"
	program := busybox(t)
	// An address that only this test has, for its server on the host.
	pid := os.Getpid()
	address := fmt.Sprintf("127.%d.%d.%d", 1+pid>>16&127, pid>>8&255, 1+pid&127)
	native := exec.Command(program, "sh", script, t.TempDir(), address)
	native.Env = []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	want, err := native.Output()
	if err != nil || !bytes.HasSuffix(want, []byte("status 143\n")) {
		t.Fatalf("on Linux: %v\n%s", err, want)
	}
	for _, c := range []configuration{plain, {machine: "pc", cpus: 2, model: "max"}, {machine: "q35", cpus: 1, model: "default"}} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, program: program, flags: []string{"-f", script + ":/test.sh", "-w", "/work", "-e", "TZ=UTC"},
				args: []string{"sh", "-c", "busybox --install -s /bin && exec sh /test.sh /work " + address}})
			r.want(0)
			if got := r.stdout.String(); got != string(want) {
				t.Errorf("got\n%s\nwhere Linux has\n%s", got, want)
			}
		})
	}
}
