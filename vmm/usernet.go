package vmm

import (
	"encoding/json"
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
	table, err := vm.command("info usernet")
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

// command runs a command of QEMU's human monitor over its machine protocol
// (docs/interop/qmp-spec.txt): a greeting, then a line of JSON for each request and each answer, with events in between.
func (vm *VM) command(line string) (string, error) {
	in := json.NewDecoder(vm.monitor)
	var greeting struct{ QMP json.RawMessage }
	if err := in.Decode(&greeting); err != nil {
		return "", err
	}
	if greeting.QMP == nil {
		return "", errors.New("the monitor does not greet")
	}
	if _, err := vm.request(in, "qmp_capabilities", nil); err != nil {
		return "", err
	}
	answer, err := vm.request(in, "human-monitor-command", map[string]any{"command-line": line})
	if err != nil {
		return "", err
	}
	var text string
	err = json.Unmarshal(answer, &text)
	return text, err
}

func (vm *VM) request(in *json.Decoder, name string, arguments any) (json.RawMessage, error) {
	request := map[string]any{"execute": name}
	if arguments != nil {
		request["arguments"] = arguments
	}
	b, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := vm.monitor.Write(append(b, '\n')); err != nil {
		return nil, err
	}
	for {
		var answer struct {
			Event  string
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := in.Decode(&answer); err != nil {
			return nil, err
		}
		switch {
		case answer.Error != nil:
			return nil, errors.New(answer.Error.Desc)
		case answer.Return != nil:
			return answer.Return, nil
		}
	}
}
