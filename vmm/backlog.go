package vmm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// backlog is how many connections may wait to be accepted: what Linux allows by default, net.core.somaxconn, and Go's servers
// ask for.
const backlog = 4096

// Listen lets connections wait at the published TCP ports as they do at those of other servers; see DeepenBacklogs. It is
// for a machine that has begun to run: QEMU listens by then.
func (vm *VM) Listen() error {
	if !slices.ContainsFunc(vm.forwards, func(f Forward) bool { return !f.UDP }) {
		return nil
	}
	return DeepenBacklogs(vm.process.Pid)
}

// DeepenBacklogs lets more connections wait at the TCP ports at which a QEMU listens. Its user network has two wait; the
// others of a burst then take Linux a second and more, for it sends their SYNs again. There is no option for that, so
// the sockets are borrowed, pidfd_getfd(2). A system that doesn't permit it leaves things as they are, and the error says so.
func DeepenBacklogs(pid int) error {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(process)
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		link, err := os.Readlink(filepath.Join(dir, f.Name()))
		if err != nil || !strings.HasPrefix(link, "socket:") { // it has been closed meanwhile, or is another file
			continue
		}
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			return err
		}
		if err := deepenBacklog(process, fd); err != nil {
			return err
		}
	}
	return nil
}

// deepenBacklog does it for one descriptor of a process, if that is a socket that listens for TCP.
func deepenBacklog(process, fd int) error {
	socket, err := unix.PidfdGetfd(process, fd, 0)
	if errors.Is(err, unix.EBADF) { // it has been closed meanwhile
		return nil
	}
	if err != nil {
		return os.NewSyscallError("pidfd_getfd", err)
	}
	defer unix.Close(socket)
	listens, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return err
	}
	if protocol, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || protocol != unix.IPPROTO_TCP {
		return err
	}
	return os.NewSyscallError("listen", unix.Listen(socket, backlog))
}
