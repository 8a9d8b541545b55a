package vmm

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Forwards returns the published ports with the host's ports that QEMU picked where 0 was asked
// for. The first call asks QEMU; the error tells what it answered instead.
func (vm *VM) Forwards() ([]Forward, error) {
	free := false
	for _, f := range vm.forwards {
		free = free || f.Host == 0
	}
	if !free {
		return vm.forwards, nil
	}
	table, err := vm.monitor.Human("info usernet")
	if err != nil {
		return nil, fmt.Errorf("asking QEMU for the ports: %w", err)
	}
	resolved, err := resolve(vm.forwards, table)
	if err == nil {
		vm.forwards = resolved
	}
	return resolved, err
}

// resolve fills in the ports of the host that are 0 from QEMU's "info usernet", which has a line
// for each forward, the newest first:
//
//	Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
//	UDP[HOST_FORWARD]  12       127.0.0.1 54321       10.0.2.15     7     0     0
func resolve(forwards []Forward, table string) ([]Forward, error) {
	var bound []Forward
	for _, line := range strings.Split(table, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasSuffix(fields[0], "[HOST_FORWARD]") {
			continue
		}
		if fields[2] == "*" { // 0.0.0.0
			fields[2] = netip.IPv4Unspecified().String()
		}
		addr, err := netip.ParseAddr(fields[2])
		host, errHost := strconv.ParseUint(fields[3], 10, 16)
		guest, errGuest := strconv.ParseUint(fields[5], 10, 16)
		if errors.Join(err, errHost, errGuest) != nil {
			return nil, fmt.Errorf("QEMU's list of forwards has a strange line: %q", line)
		}
		udp := strings.HasPrefix(fields[0], "UDP")
		bound = append(bound, Forward{UDP: udp, Addr: addr, Host: uint16(host), Guest: uint16(guest)})
	}
	out := append([]Forward(nil), forwards...)
	// First those whose port is known, so that none of them is taken for a free one.
	for _, f := range forwards {
		if f.Host == 0 {
			continue
		}
		for i := range bound {
			if bound[i] == f {
				bound[i].Guest = 0
			}
		}
	}
	for i := range out {
		if out[i].Host != 0 {
			continue
		}
		for j := range bound {
			want := out[i]
			want.Host = bound[j].Host
			if bound[j] == want {
				out[i], bound[j].Guest = want, 0 // no forward leads to 0: used up
				break
			}
		}
		if out[i].Host == 0 {
			return nil, fmt.Errorf("QEMU's list of forwards lacks guest port %d/%s", out[i].Guest, out[i].Protocol())
		}
	}
	return out, nil
}
