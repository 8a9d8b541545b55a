// Package linuxguest boots another system than ours in QEMU, Debian's Linux, so that the host's side of wick is tested
// with drivers that were not made for it.
package linuxguest

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"wick/test/debian"
	"wick/test/programs"
)

// metaPackage is what depends on Debian's newest kernel for clouds, which has the drivers of virtual machines and few
// others.
const metaPackage = "linux-image-cloud-amd64"

// Kernel is a kernel that was fetched.
type Kernel struct {
	Image   string // vmlinuz
	modules string // folder
}

// Fetch downloads the kernel's package and unpacks it below out; nothing is installed. What is there already is taken.
var Fetch = sync.OnceValues(func() (*Kernel, error) {
	root, err := debian.Unpack(metaPackage, "linux-image-")
	if err != nil {
		return nil, err
	}
	images, _ := filepath.Glob(root + "/boot/vmlinuz-*")
	modules, _ := filepath.Glob(root + "/lib/modules/*")
	if len(images) != 1 || len(modules) != 1 {
		return nil, fmt.Errorf("%s has %d kernels and %d folders of modules", root, len(images), len(modules))
	}
	return &Kernel{images[0], modules[0]}, nil
})

// Contents is what a guest has besides its kernel.
type Contents struct {
	Modules []string // with those that they need
	Program string   // a file of the host's; the libraries that it needs come with it
	Args    []string
	Env     []string
	Dir     string            // the program's working directory
	Files   map[string]string // files of the host's by their paths in the guest, without a leading slash
}

// Initrd writes an initial RAM disk to a file: a first program that loads the modules and runs the program.
func (k *Kernel) Initrd(path string, c Contents) error {
	init, err := programs.GoBinary("/test/linuxguest/init")
	if err != nil {
		return err
	}
	a := archive{folders: make(map[string]bool)}
	for _, dir := range []string{"dev", "proc", "lib", "tmp", strings.TrimPrefix(c.Dir, "/")} {
		a.folder(dir)
	}
	files := map[string]string{"init": init, "program": c.Program}
	maps.Copy(files, c.Files)
	if err := AddLibraries(files, c.Program); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := a.copy(name, files[name]); err != nil {
			return err
		}
	}
	list, err := k.addModules(&a, c.Modules)
	if err != nil {
		return err
	}
	for name, lines := range map[string][]string{"modules": list, "arguments": c.Args, "environment": c.Env, "directory": {c.Dir}} {
		a.add(name, unix.S_IFREG|0o644, []byte(strings.Join(lines, "\n")))
	}
	a.add("TRAILER!!!", 0, nil)
	return os.WriteFile(path, a.Bytes(), 0o666)
}

// AddLibraries adds the libraries of this host that a program needs to Contents.Files, at the same paths; a static one needs none.
func AddLibraries(files map[string]string, program string) error {
	out, err := exec.Command("ldd", program).CombinedOutput()
	if err != nil && strings.Contains(string(out), "not a dynamic executable") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ldd %s: %w\n%s", program, err, out)
	}
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, "/") {
			files[word[1:]] = word
		}
	}
	return nil
}

// addModules adds modules and what they depend on, and returns their paths in the order in which they are to be loaded.
func (k *Kernel) addModules(a *archive, names []string) (list []string, err error) {
	files := make(map[string]string)
	err = filepath.WalkDir(k.modules, func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			files[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	done := make(map[string]bool)
	var add func(name string) error
	add = func(name string) error {
		if name == "" || done[name] {
			return nil
		}
		done[name] = true
		data, err := os.ReadFile(files[name])
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		// A module's information is a list of strings with a name each [modinfo(8)].
		_, depends, _ := bytes.Cut(data, []byte("\x00depends="))
		depends, _, _ = bytes.Cut(depends, []byte{0})
		for _, other := range strings.Split(string(depends), ",") {
			if err := add(other); err != nil {
				return err
			}
		}
		a.add("lib/"+name+".ko", unix.S_IFREG|0o644, data)
		list = append(list, "/lib/"+name+".ko")
		return nil
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// archive is a cpio archive in the format that Linux takes, newc [Linux, Documentation/driver-api/early-userspace/
// buffer-format.rst].
type archive struct {
	bytes.Buffer
	files   int
	folders map[string]bool
}

// folder adds a folder and those that it is in.
func (a *archive) folder(path string) {
	if path == "" || path == "." || a.folders[path] {
		return
	}
	a.folder(filepath.Dir(path))
	a.folders[path] = true
	a.add(path, unix.S_IFDIR|0o777, nil)
}

// copy adds a file of the host's that may be executed.
func (a *archive) copy(name, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.folder(filepath.Dir(name))
	a.add(name, unix.S_IFREG|0o755, data)
	return nil
}

func (a *archive) add(name string, mode uint32, data []byte) {
	a.files++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.files, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	a.align()
	a.Write(data)
	a.align()
}

func (a *archive) align() {
	for a.Len()%4 != 0 {
		a.WriteByte(0)
	}
}
