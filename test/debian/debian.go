// Package debian fetches packages of Debian or Ubuntu for tests: programs and kernels that were not made for wick.
package debian

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"wick/test/programs"
)

// Unpack downloads a package and unpacks it below out, where it returns the folder; nothing is installed. The package
// may be a meta-package: then of depends, the prefix of a name, it takes the first package that it depends on. What is there
// already is taken.
func Unpack(name, depends string) (root string, err error) {
	dir := filepath.Join(programs.Root(), "out", "debian", name)
	root = filepath.Join(dir, "root")
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	if err := download(dir, name, depends); err != nil {
		return "", fmt.Errorf("the package %s: %w", name, err)
	}
	return root, nil
}

func download(dir, name, depends string) error {
	actual, err := resolve(name, depends)
	if err != nil {
		// The index may be missing, as in a container that is new.
		update := []string{"apt-get", "update", "-qq"}
		if os.Getuid() != 0 {
			update = append([]string{"sudo"}, update...)
		}
		exec.Command(update[0], update[1:]...).Run()
		if actual, err = resolve(name, depends); err != nil {
			return err
		}
	}
	// Whole or not at all: others may look.
	partial, err := os.MkdirTemp(dir, "partial")
	if err != nil {
		return err
	}
	defer os.RemoveAll(partial)
	get := exec.Command("apt-get", "download", "-qq", actual)
	get.Dir = partial
	if out, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download %s: %w\n%s", actual, err, out)
	}
	debs, _ := filepath.Glob(filepath.Join(partial, actual+"_*.deb"))
	if len(debs) == 0 {
		return errors.New("apt-get download has left nothing")
	}
	whole := filepath.Join(partial, "root")
	if out, err := exec.Command("dpkg-deb", "-x", debs[0], whole).CombinedOutput(); err != nil {
		return fmt.Errorf("dpkg-deb: %w\n%s", err, out)
	}
	err = os.Rename(whole, filepath.Join(dir, "root"))
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return err
}

// resolve returns the name of the package to download.
func resolve(name, depends string) (string, error) {
	out, err := exec.Command("apt-cache", "depends", name).Output()
	if err != nil {
		return "", fmt.Errorf("apt-cache depends %s: %w", name, err)
	}
	if depends == "" {
		return name, nil
	}
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, depends) && word != name {
			return word, nil
		}
	}
	return "", fmt.Errorf("apt-cache knows no %s* that it depends on", depends)
}
