package vmm

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Forwards returns the published ports with the host's ports that QEMU picked where 0 was asked
// for. The first call asks QEMU; the error tells what it answered instead.
func (vm *VM) Forwards() ([]Forward, error) {
	if !slices.ContainsFunc(vm.forwards, func(f Forward) bool { return f.Host == 0 }) {
		return vm.forwards, nil
	}
	bound, err := vm.bound()
	if err != nil {
		return nil, err
	}
	resolved, err := resolve(vm.forwards, bound)
	if err == nil {
		vm.forwards = resolved
	}
	return resolved, err
}

// backlog is how many connections wait at a published port for QEMU to accept them: what Linux allows by default,
// net.core.somaxconn, and Go's servers ask for.
const backlog = 4096

// Listen lets connections wait at the published TCP ports as they do at the ports of other servers. QEMU has two wait; the
// others of a burst then take Linux a second and more, for it sends their SYNs again. It has no option for that, so its
// sockets are borrowed, pidfd_getfd(2); a system that doesn't permit it leaves things as they are, and the error says so.
func (vm *VM) Listen() error {
	if !slices.ContainsFunc(vm.forwards, func(f Forward) bool { return !f.UDP }) {
		return nil
	}
	bound, err := vm.bound()
	if err != nil {
		return err
	}
	process, err := unix.PidfdOpen(vm.process.Pid, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(process)
	for _, b := range bound {
		if b.UDP {
			continue
		}
		socket, err := unix.PidfdGetfd(process, b.fd, 0)
		if err != nil {
			return os.NewSyscallError("pidfd_getfd", err)
		}
		err = unix.Listen(socket, backlog)
		if err := errors.Join(os.NewSyscallError("listen", err), unix.Close(socket)); err != nil {
			return err
		}
	}
	return nil
}

// boundForward is a forward as QEMU has it.
type boundForward struct {
	Forward
	fd int // QEMU's socket
}

func (vm *VM) bound() ([]boundForward, error) {
	table, err := vm.monitor.human("info usernet")
	if err != nil {
		return nil, fmt.Errorf("asking QEMU for the ports: %w", err)
	}
	return parseUsernet(table)
}

// parseUsernet reads QEMU's "info usernet", which has a line for each forward, the newest first:
//
//	Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
//	UDP[HOST_FORWARD]  12       127.0.0.1 54321       10.0.2.15     7     0     0
func parseUsernet(table string) ([]boundForward, error) {
	var bound []boundForward
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasSuffix(fields[0], "[HOST_FORWARD]") {
			continue
		}
		if fields[2] == "*" { // 0.0.0.0
			fields[2] = netip.IPv4Unspecified().String()
		}
		fd, errFD := strconv.Atoi(fields[1])
		addr, err := netip.ParseAddr(fields[2])
		host, errHost := strconv.ParseUint(fields[3], 10, 16)
		guest, errGuest := strconv.ParseUint(fields[5], 10, 16)
		if errors.Join(errFD, err, errHost, errGuest) != nil {
			return nil, fmt.Errorf("QEMU's list of forwards has a strange line: %q", line)
		}
		udp := strings.HasPrefix(fields[0], "UDP")
		bound = append(bound, boundForward{Forward{UDP: udp, Addr: addr, Host: uint16(host), Guest: uint16(guest)}, fd})
	}
	return bound, nil
}

// resolve fills in the ports of the host that are 0.
func resolve(forwards []Forward, bound []boundForward) ([]Forward, error) {
	used := make([]bool, len(bound))
	// take returns the first forward that fits and has not been taken.
	take := func(fits func(Forward) bool) (Forward, bool) {
		for i, b := range bound {
			if !used[i] && fits(b.Forward) {
				used[i] = true
				return b.Forward, true
			}
		}
		return Forward{}, false
	}
	out := slices.Clone(forwards)
	// First those whose port is known, so that none of them is taken for a free one.
	for _, f := range forwards {
		if f.Host != 0 {
			take(func(b Forward) bool { return b == f })
		}
	}
	for i, f := range forwards {
		if f.Host != 0 {
			continue
		}
		found := false
		out[i], found = take(func(b Forward) bool {
			b.Host = 0
			return b == f
		})
		if !found {
			return nil, fmt.Errorf("QEMU's list of forwards lacks guest port %d/%s", f.Guest, f.Protocol())
		}
	}
	return out, nil
}
