// Package layers checks what the house rules say of the whole tree: imports go downward only, what needs unsafe or
// assembly is where it may be, and files and functions stay small. It has only tests.
package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

// listed is what go list says of a package.
type listed struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	SFiles       []string
	CFiles       []string
	CgoFiles     []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
}

// module is the prefix of the packages of this module.
const module = "wick/"

// packages lists the packages of the module, those that only make sense in a kernel included.
func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json", "wick/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// layers are the folders of the kernel, from the top down: what is in one may import what is in those below it. Within
// a folder packages may import each other, except that drivers are apart. What is listed by itself is no part of the folder
// that it is in.
var layers = []string{
	"cmd/kernel",
	"kernel/linux",
	"kernel/net",
	"kernel/vfs",
	"kernel/task",
	"kernel/vdso",
	"kernel/mm",
	"kernel/console",
	"kernel/tap",
	"kernel/driver",
	"kernel/driver/virtio",
	"kernel/hw",
	"kernel/ground",
}

// leaves may be imported by all, and import only each other.
var leaves = []string{"packet", "vsock", "hostlink", "bundle", "kernel/ground/regs", "kernel/ground/record", "kernel/timers"}

// host are the packages of the host's side, from the top down.
var host = []string{"bench", "cmd", "vmm"}

// within tells whether a package is in a folder.
func within(folder, pkg string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

// rank is the place of a package's folder in a list, or -1.
func rank(list []string, pkg string) int {
	place := -1
	for i, folder := range list {
		if within(folder, pkg) && (place < 0 || len(folder) > len(list[place])) {
			place = i
		}
	}
	return place
}

// driverOf is the driver that a package belongs to, or "".
func driverOf(pkg string) string {
	rest, found := strings.CutPrefix(pkg, "kernel/driver/")
	if !found {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// mayImport tells whether one package of this module may import another, from code that is not a test's.
func mayImport(from, to string) bool {
	if rank(leaves, to) >= 0 {
		return true
	}
	if isTestHelper(to) && !isTestHelper(from) {
		return false
	}
	for _, list := range [][]string{layers, host} {
		f, t := rank(list, from), rank(list, to)
		if f < 0 || rank(leaves, from) >= 0 {
			continue
		}
		if to == "kernel/ground" && from != "cmd/kernel" || to == "cmd/wick" {
			return false
		}
		return t > f || t == f && driverOf(from) == driverOf(to)
	}
	// What is left is examples and tests: ordinary programs know nothing of wick, test programs only each other.
	if strings.HasPrefix(from, "test/programs") {
		return strings.HasPrefix(to, "test/programs")
	}
	return strings.HasPrefix(from, "test/")
}

// isTestHelper tells whether a package is there for tests only.
func isTestHelper(pkg string) bool {
	base := path.Base(pkg)
	return strings.HasSuffix(base, "test") || base == "tsharkcheck" || base == "linuxguest" || base == "debian" || strings.HasPrefix(pkg, "test/programs")
}

func TestMayImport(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"cmd/kernel", "kernel/ground", true},
		{"cmd/kernel", "kernel/linux", true},
		{"cmd/kernel", "vmm", false},
		{"kernel/linux", "kernel/ground", false},
		{"kernel/linux", "kernel/ground/regs", true},
		{"kernel/linux", "kernel/mm", true},
		{"kernel/mm", "kernel/linux", false},
		{"kernel/mm/mmtest", "kernel/mm", true},
		{"kernel/mm", "kernel/mm/mmtest", false},
		{"kernel/vfs", "kernel/net", false},
		{"kernel/net", "kernel/vfs", true},
		{"kernel/driver/e1000", "kernel/hw", true},
		{"kernel/driver/e1000", "kernel/driver/uart", false},
		{"kernel/driver/e1000", "kernel/hw/pci", true},
		{"kernel/driver/e1000", "kernel/driver/e1000/e1000test", false},
		{"kernel/driver/e1000/e1000test", "kernel/driver/e1000", true},
		{"kernel/driver/virtionet", "kernel/driver/virtio", true},
		{"kernel/driver/virtio", "kernel/driver/virtionet", false},
		{"kernel/driver/virtionet", "kernel/driver/virtiovsock", false},
		{"kernel/driver/virtionet/virtionettest", "kernel/driver/virtio/virtiotest", true},
		{"kernel/hw", "kernel/driver/e1000", false},
		{"kernel/hw/pci", "kernel/hw", true},
		{"kernel/ground", "kernel/ground/regs", true},
		{"kernel/ground/regs", "kernel/ground", false},
		{"packet", "kernel/hw", false},
		{"packet/pcap", "packet", true},
		{"vmm", "vmm/session", true},
		{"vmm/session", "vmm", true}, // the compiler sees to circles
		{"vmm", "kernel/hw", false},
		{"vmm", "cmd/wick", false},
		{"cmd/wick", "vmm", true},
		{"cmd/mkimage", "vmm/image", true},
		{"bench/guest", "vmm", true},
		{"bench/guest", "bundle", true},
		{"bench/guest", "kernel/net", false},
		{"vmm", "bench/guest", false},
		{"vmm", "bundle", true},
		{"examples/echo", "bundle", true}, // caught by TestExamplesAreOrdinary
		{"examples/echo", "vmm", false},
		{"test/programs/tcp", "test/programs/peer", true},
		{"test/programs/tcp", "vmm", false},
	} {
		if got := mayImport(c.from, c.to); got != c.want {
			t.Errorf("may %s import %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if ours && !mayImport(from, to) {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
}

// Tests may import helpers, too, but nothing above them, and never ground. (Tests in a package of their own, whose name
// ends in _test, may look at the package from above.)
func TestImportsOfTestsGoDown(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.TestImports {
			to, ours := strings.CutPrefix(imported, module)
			if ours && !isTestHelper(to) && !mayImport(from, to) {
				t.Errorf("tests of %s import %s", from, to)
			}
		}
	}
}

func TestExamplesAreOrdinary(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasPrefix(from, "examples/") && !strings.HasPrefix(from, "bench/programs/") {
			continue
		}
		for _, imported := range p.Imports {
			if imported == "github.com/mdlayher/vsock" { // the standard library has none
				continue
			}
			if strings.HasPrefix(imported, module) || strings.Contains(strings.Split(imported, "/")[0], ".") {
				t.Errorf("%s imports %s: an example needs nothing but the standard library", from, imported)
			}
		}
	}
}

// heavy are packages that cost the kernel much boot time or memory for what they do.
var heavy = []string{"encoding/json", "net/http", "text/template", "html/template", "regexp", "testing", "flag", "log",
	"github.com/spf13/cobra"}

func TestKernelImportsNothingHeavy(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		if rank(layers, from) < 0 && rank(leaves, from) < 0 || isTestHelper(from) {
			continue
		}
		for _, imported := range p.Imports {
			for _, h := range heavy {
				if imported == h {
					t.Errorf("%s imports %s", from, h)
				}
			}
		}
	}
}

func TestAssemblyIsInGround(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		if len(p.CgoFiles) > 0 || len(p.CFiles) > 0 {
			t.Errorf("%s has C files: %v %v", from, p.CgoFiles, p.CFiles)
		}
		if len(p.SFiles) > 0 && from != "kernel/ground" {
			t.Errorf("%s has assembly: %v", from, p.SFiles)
		}
	}
}
