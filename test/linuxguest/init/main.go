// Command init is the first program of a Linux guest: it loads the modules named in /modules, runs /program with the
// arguments in /arguments and the environment in /environment, a line each, in the folder that /directory names, and switches
// the machine off when that has ended, or restarts it if the status is 100.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	unix.Mount("proc", "/proc", "proc", 0, "")
	unix.Mount("dev", "/dev", "devtmpfs", 0, "")
	how := unix.LINUX_REBOOT_CMD_POWER_OFF
	err := run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && ended.ExitCode() == 100:
		how = unix.LINUX_REBOOT_CMD_RESTART
	case err != nil:
		fmt.Println("init:", err)
	default:
		fmt.Println("init: program ended")
	}
	unix.Sync()
	fmt.Println("init:", unix.Reboot(how))
}

func run() error {
	for _, path := range lines("/modules") {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
			return fmt.Errorf("%s: %w", path, err)
		}
		f.Close()
	}
	if err := loopback(); err != nil {
		return err
	}
	cmd := exec.Command("/program", lines("/arguments")...)
	cmd.Env = append(os.Environ(), lines("/environment")...)
	for _, dir := range lines("/directory") {
		cmd.Dir = dir
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// loopback turns the loopback interface on.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

func lines(path string) []string {
	b, _ := os.ReadFile(path)
	b = bytes.TrimSuffix(b, []byte("\n"))
	if len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), "\n")
}
