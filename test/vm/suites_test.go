package vm

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"wick/test/programs"
	"wick/test/programs/peer"
)

// Addresses of QEMU's user network, as the guest sees it.
const (
	hostAddress  = "10.0.2.2"
	hostAddress6 = "fec0::2"
	guestAddress = "10.0.2.15/24"
	nameServer   = "10.0.2.3"
	macAddress   = "52:54:00:12:34:56"
)

// startPeers starts servers on the host's loopback interface, where QEMU brings what the guest sends to the host, and
// returns their addresses as the guest sees them.
func startPeers(t *testing.T) programs.Peers {
	t.Helper()
	p := programs.Peers{Interface: programs.InterfaceFacts{Address: guestAddress, MAC: macAddress, DNS: nameServer}}
	tcp, udp := listen(t, "127.0.0.1:0")
	p.TCP, p.UDP = fmt.Sprintf("%s:%d", hostAddress, tcp), fmt.Sprintf("%s:%d", hostAddress, udp)
	if tcp, udp := listen(t, "[::1]:0"); tcp != 0 {
		p.TCP6, p.UDP6 = fmt.Sprintf("[%s]:%d", hostAddress6, tcp), fmt.Sprintf("[%s]:%d", hostAddress6, udp)
	}
	return p
}

// listen starts both servers at an address and returns their ports; 0 if there is no IPv6.
func listen(t *testing.T, address string) (tcpPort, udpPort int) {
	t.Helper()
	tcp, err := peer.ListenTCP(address)
	if err != nil && strings.HasPrefix(address, "[") {
		t.Logf("without IPv6: %v", err)
		return 0, 0
	}
	if err != nil {
		t.Fatal(err)
	}
	udp, err := peer.ListenUDP(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		udp.Close()
		if err := tcp.Close(); err != nil {
			t.Errorf("TCP peer: %v", err)
		}
	})
	return tcp.Port(), udp.Port()
}

// emulatorLacks are cases that no kernel can pass on QEMU's emulation, with the reason.
var emulatorLacks = map[string]string{
	"c-signals/fpe-sse": "TCG raises no exceptions for SSE",
}

// cases returns the names of a suite's cases that a machine should pass, the heavy ones or the others.
func cases(t *testing.T, s *programs.Suite, path string, heavy bool) []string {
	t.Helper()
	out, err := exec.Command(path, "-list").Output()
	if err != nil {
		t.Fatalf("%s -list: %v", path, err)
	}
	return slices.DeleteFunc(lines(string(out)), func(name string) bool {
		return slices.Contains(s.Heavy, name) != heavy || emulatorLacks[s.Name+"/"+name] != ""
	})
}

// runSuite runs cases of a suite in a machine, and checks that each says ok.
func runSuite(t *testing.T, c configuration, s *programs.Suite, libc programs.Libc, heavy bool) {
	path := suiteProgram(t, s, libc)
	names := cases(t, s, path, heavy)
	args, env := s.Command(startPeers(t), names...)
	o := options{configuration: c, program: path, args: args, capture: !heavy}
	for _, kv := range env {
		o.flags = append(o.flags, "-e", kv)
	}
	if heavy {
		o.limit = 2 * runLimit
	}
	r := start(t, o)
	status := r.wait()
	passed := lines(r.stdout.String())
	for _, name := range names {
		if !slices.Contains(passed, "ok "+name) {
			t.Errorf("case %s has not passed", name)
		}
	}
	if status != 0 || t.Failed() {
		t.Errorf("exit status %d\n%s", status, r.tail())
	}
}

// TestSuites runs every program on every kind of machine, those that use the network with every card. C programs take turns
// with the C libraries, so that over all machines each program runs with each library.
func TestSuites(t *testing.T) {
	for i, c := range networks {
		for j := range programs.Suites {
			s := &programs.Suites[j]
			if c.nic != "" && !s.Network {
				continue
			}
			libc := programs.Libcs[(i+j)%len(programs.Libcs)]
			name := c.String() + "/" + s.Name
			if s.C != "" {
				name += "-" + string(libc)
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				runSuite(t, c, s, libc, false)
			})
		}
	}
}

// TestHeavy runs the cases that take long on the least and the most of machines, and those of the network with the other
// card.
func TestHeavy(t *testing.T) {
	for _, c := range []configuration{plain, {machine: "q35", cpus: 2, model: "max"}, {machine: "q35", cpus: 2, model: "default", nic: "e1000"}} {
		for j := range programs.Suites {
			s := &programs.Suites[j]
			if len(s.Heavy) == 0 || c.nic != "" && !s.Network {
				continue
			}
			t.Run(c.String()+"/"+s.Name, func(t *testing.T) {
				t.Parallel()
				runSuite(t, c, s, programs.Glibc, true)
			})
		}
	}
}

// deadline bounds what a test does on the host's side.
func deadline() time.Time { return time.Now().Add(time.Minute) }
