package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// commandLine is that of the Linux guests: the console where wick's is, no messages, no mitigations, the end of QEMU if the
// kernel panics, and no test of the timer's interrupt, which fails on a busy host.
const commandLine = "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check"

// Debian downloads Debian's kernel, unless that is done, unpacks it without installing anything, and writes the guest's
// files to dir. tscKHz is how fast the TSC of an emulated machine is, in kHz.
func Debian(dir, init string, tscKHz int, programs map[Program]string) (*Kernel, error) {
	pkg, err := debianPackage()
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(dir, pkg)
	if err := unpackPackage(dir, pkg, tree); err != nil {
		return nil, err
	}
	release := strings.TrimPrefix(pkg, "linux-image-")
	image, err := os.ReadFile(filepath.Join(tree, "boot", "vmlinuz-"+release))
	if err != nil {
		return nil, err
	}
	elf, err := vmlinux(image)
	if err != nil {
		return nil, err
	}
	k := &Kernel{Name: "debian", What: "Debian's " + pkg}
	if err := k.linux(dir, elf); err != nil {
		return nil, err
	}
	for _, m := range Machines {
		modules := make(map[Program][]module)
		for p := range programs {
			if modules[p], err = findModules(filepath.Join(tree, "lib/modules", release), m.modulesFor(p)...); err != nil {
				return nil, err
			}
		}
		on := onMachine{size: Size{int64(len(image)), int64(len(elf))}}
		for _, m := range modules[Server] {
			on.size.Shipped += int64(len(m.data))
			on.size.Loaded += int64(len(m.data))
		}
		if m.microvm() {
			on.line = fmt.Sprintf(" tsc=reliable tsc_early_khz=%d", tscKHz)
		}
		if err := k.boots(m, on, dir, modules, init, programs); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Tiny writes the files of the tuned Linux that tools/tiny-linux has compiled in tree.
func Tiny(dir, tree, init string, programs map[Program]string) (*Kernel, error) {
	image, err := os.ReadFile(filepath.Join(tree, "bzImage"))
	if err != nil {
		return nil, err
	}
	elf, err := vmlinux(image)
	if err != nil {
		return nil, err
	}
	release, err := os.ReadFile(filepath.Join(tree, "release"))
	if err != nil {
		return nil, err
	}
	k := &Kernel{Name: "tiny", What: "Linux " + strings.TrimSpace(string(release)) + " with bench/tiny.config"}
	if err := k.linux(dir, elf); err != nil {
		return nil, err
	}
	programs = maps.Clone(programs)
	delete(programs, Vsock) // its configuration has no such driver
	on := onMachine{size: Size{int64(len(image)), int64(len(elf))}}
	return k, k.boots(Machines[0], on, dir, nil, init, programs) // it has the driver of that machine only
}

// linux writes the kernel that a Linux guest boots.
func (k *Kernel) linux(dir string, elf []byte) (err error) {
	k.line = commandLine
	k.on = make(map[*Machine]onMachine)
	k.image, err = write(dir, k.Name+".vmlinux", elf)
	return err
}

// boots writes what a Linux guest boots from on a machine.
func (k *Kernel) boots(m *Machine, on onMachine, dir string, modules map[Program][]module, init string, programs map[Program]string) error {
	start, err := os.ReadFile(init)
	if err != nil {
		return err
	}
	on.initrds = make(map[Program]string)
	for p, file := range programs {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name := strings.Join([]string{k.Name, strings.ReplaceAll(m.Name, "/", "-"), string(p)}, "-") + ".initrd"
		if on.initrds[p], err = write(dir, name, initramfs(start, data, modules[p])); err != nil {
			return err
		}
	}
	k.on[m] = on
	return nil
}

// initramfs is what a Linux guest starts from: init, the program, the modules, and the devices that they need.
func initramfs(init, program []byte, modules []module) []byte {
	var a archive
	a.device("dev/console", 5, 1)
	a.device("dev/null", 1, 3)
	a.device("dev/zero", 1, 5)
	a.file("init", 0o755, init)
	a.file("program", 0o755, program)
	var list strings.Builder
	for _, m := range modules {
		a.file("lib/"+m.name+".ko", 0o644, m.data)
		list.WriteString("/lib/" + m.name + ".ko\n")
	}
	if len(modules) > 0 {
		a.file("modules", 0o644, []byte(list.String()))
	}
	a.end()
	return a.Bytes()
}

// debianPackage returns the name of the package with Debian's current kernel: linux-image-amd64 depends on it.
func debianPackage() (string, error) {
	out, err := run("", "apt-cache", "depends", "linux-image-amd64")
	if err != nil {
		return "", err
	}
	for _, field := range strings.Fields(out) {
		if strings.HasPrefix(field, "linux-image-") && strings.HasSuffix(field, "-amd64") && field != "linux-image-amd64" {
			return field, nil
		}
	}
	return "", errors.New("apt-cache knows no linux-image-amd64: the Linux guest needs Debian's package lists")
}

// unpackPackage downloads a package of Debian to dir and unpacks it to tree, unless tree exists.
func unpackPackage(dir, pkg, tree string) error {
	if _, err := os.Stat(tree); err == nil {
		return nil
	}
	if _, err := run(dir, "apt-get", "-qq", "download", pkg); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, pkg+"_*.deb"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("apt-get has downloaded no %s", pkg)
	}
	part := tree + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if _, err := run("", "dpkg-deb", "-x", files[len(files)-1], part); err != nil {
		return err
	}
	return errors.Join(os.Rename(part, tree), os.Remove(files[len(files)-1]))
}

func run(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out), nil
}

// module is a module of a Linux kernel.
type module struct {
	name string
	data []byte
}

// findModules returns modules of the kernel whose modules lie in root, each behind those that it depends on.
func findModules(root string, names ...string) ([]module, error) {
	paths := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if base, found := strings.CutSuffix(filepath.Base(path), ".ko"); found {
			paths[strings.ReplaceAll(base, "-", "_")] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var list []module
	seen := make(map[string]bool)
	var add func(string) error
	add = func(name string) error {
		name = strings.ReplaceAll(name, "-", "_")
		if seen[name] {
			return nil
		}
		seen[name] = true
		path, found := paths[name]
		if !found {
			return fmt.Errorf("no module %s in %s", name, root)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, needed := range dependencies(data) {
			if err := add(needed); err != nil {
				return err
			}
		}
		list = append(list, module{name, data})
		return nil
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// dependencies returns the names of the modules that a module says it needs, in its section .modinfo.
func dependencies(ko []byte) []string {
	_, rest, found := bytes.Cut(ko, []byte("\x00depends="))
	if !found {
		return nil
	}
	names, _, _ := bytes.Cut(rest, []byte{0})
	return strings.FieldsFunc(string(names), func(r rune) bool { return r == ',' })
}
