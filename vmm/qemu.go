package vmm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// qemuName is QEMU's system emulator for amd64 guests.
const qemuName = "qemu-system-x86_64"

// EnvQEMU is the environment variable that names another QEMU than the one of the PATH.
const EnvQEMU = "WICK_QEMU"

// FindQEMU returns the path of QEMU.
func FindQEMU() (string, error) {
	name := qemuName
	if other := os.Getenv(EnvQEMU); other != "" {
		name = other
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if name != qemuName {
		return "", fmt.Errorf("%s=%s: %w", EnvQEMU, name, errors.Unwrap(err))
	}
	return "", fmt.Errorf("%s is not installed: %s", qemuName, InstallHint("qemu-system-x86"))
}

// InstallHint tells how to install a package of Debian's name with the host's package manager.
func InstallHint(debian string) string {
	for _, m := range []struct{ manager, command string }{
		{"apt-get", "sudo apt-get install " + debian},
		{"dnf", "sudo dnf install " + debian},
		{"pacman", "sudo pacman -S " + debian},
		{"zypper", "sudo zypper install " + debian},
		{"apk", "sudo apk add " + debian},
	} {
		if _, err := exec.LookPath(m.manager); err == nil {
			return m.command
		}
	}
	return "install the package " + debian
}

// QEMUVersion returns what the QEMU at path says of its version: "7.2.22", and more if its
// distributor adds more.
func QEMUVersion(path string) (string, error) {
	out, err := ask(path, "--version")
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(out, "\n")
	_, version, found := strings.Cut(line, "version ")
	if !found {
		return "", fmt.Errorf("%s --version says %q, which is no QEMU", path, line)
	}
	return version, nil
}

// QEMUMachines returns the machine types that the QEMU at path knows.
func QEMUMachines(path string) ([]string, error) { return names(path, "-M", "help") }

// QEMUAccelerators returns the accelerators that the QEMU at path was built with.
func QEMUAccelerators(path string) ([]string, error) { return names(path, "-accel", "help") }

// QEMUNetdevs returns the network back ends that the QEMU at path was built with.
func QEMUNetdevs(path string) ([]string, error) { return names(path, "-netdev", "help") }

// QEMUHasDevice tells whether the QEMU at path has a device, such as "e1000".
func QEMUHasDevice(path, device string) (bool, error) {
	out, err := ask(path, "-device", "help")
	return strings.Contains(out, `name "`+device+`"`), err
}

// names returns the first word of each line of an answer but the title's.
func names(path string, args ...string) ([]string, error) {
	out, err := ask(path, args...)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, line := range strings.Split(out, "\n")[1:] {
		if fields := strings.Fields(line); len(fields) > 0 {
			list = append(list, fields[0])
		}
	}
	return list, nil
}

// ask runs QEMU for an answer that it gives without starting a machine.
func ask(path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", path, strings.Join(args, " "), err)
	}
	return string(out), nil
}
