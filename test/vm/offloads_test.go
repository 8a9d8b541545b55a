package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/packet"
	"wick/packet/dump"
	"wick/test/programs/peer"
)

// guestLinkLocal is the address that the machine makes itself of its Ethernet address, macAddress [RFC 4291 A].
const guestLinkLocal = "fe80::5054:ff:fe12:3456"

// offloadTests are tests that need a network of their own, which the guest of TestKVM has on any host.
const offloadTests = "^TestOffloads$"

// TestOffloads has a machine whose network card is on a TAP interface: there QEMU offers what it doesn't with user networking, that
// checksums and the segmentation of TCP are left to the card, both ways. At the other end is Linux.
func TestOffloads(t *testing.T) {
	if !ownNetwork() {
		inOwnNetwork(t, offloadTests)
		return
	}
	for _, c := range []configuration{
		{machine: "microvm", cpus: 2, model: "default"}, {machine: "pc", cpus: 1, model: "default"}, {machine: "q35", cpus: 2, model: "max"},
	} {
		t.Run(c.String(), func(t *testing.T) {
			makeTAP(t)
			linuxConnects(t, c)
			machineConnects(t, c)
		})
	}
}

// linuxConnects has a server in the machine.
func linuxConnects(t *testing.T, c configuration) {
	linux := watchTAP(t)
	pcap := filepath.Join(t.TempDir(), "capture.pcapng")
	r := start(t, options{configuration: c, flags: []string{"--dump", "--pcap", pcap},
		program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}, env: onTAP(t)})
	r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
	const addr = "10.0.2.15:7000"
	addr6 := fmt.Sprintf("[%s%%%d]:7000", guestLinkLocal, tapInterface(t).Index) // Go's library knows for a minute which name had which
	exchange(t, addr, 1<<20, 1)
	awaitAnswer(t, addr6)
	exchange(t, addr6, 1<<20, 2)
	quit(t, r, addr)
	wantOffloads(t, r)
	captured, err := capturedSegments(pcap)
	if err != nil {
		t.Error(err)
	}
	wantAllSegments(t, "the dump", shownSegments(r))
	wantAllSegments(t, "the capture", captured)
	wantAllSegments(t, "Linux", linux.end())
}

// machineConnects has clients in the machine, one of each protocol.
func machineConnects(t *testing.T, c configuration) {
	linux := watchTAP(t)
	tcp, udp := listen(t, "[::]:0")
	at6 := func(port int) string { return fmt.Sprintf("[%s%%eth0]:%d", linkLocal(t), port) }
	for _, client := range []struct {
		program string
		flags   []string
		cases   []string
	}{
		{"tcp", []string{"-peer", fmt.Sprintf("%s:%d", hostAddress, tcp)}, []string{"peer-1m"}},
		{"netif", []string{"-peer6-tcp", at6(tcp), "-peer6-udp", at6(udp)}, []string{"ipv6-tcp", "ipv6-udp"}},
	} {
		r := start(t, options{configuration: c, flags: []string{"--dump"}, program: goProgram(t, client.program),
			args: append(client.flags, client.cases...), env: onTAP(t)})
		r.want(0)
		for _, name := range client.cases {
			if got := r.stdout.String(); !strings.Contains(got, "ok "+name+"\n") {
				t.Errorf("standard output %q", got)
			}
		}
		wantOffloads(t, r)
	}
	wantAllSegments(t, "Linux", linux.end())
}

// wantOffloads checks that the card has been left what can be left to it, and that nothing was wrong with that.
func wantOffloads(t *testing.T, r *run) {
	t.Helper()
	for _, counter := range []string{"tx-checksums", "tx-segments", "rx-segments", "rx-merged"} {
		if !regexp.MustCompile("(?m)^e0: " + counter + " [1-9]").MatchString(r.stderr.String()) {
			t.Errorf("no %s\n%s", counter, r.tail())
		}
	}
	if dropped := regexp.MustCompile("(?m)^e0: (rx-bad|rx-runt|rx-oversized|rx-short|tx-bad|tx-too).*").FindString(r.stderr.String()); dropped != "" {
		t.Error(dropped)
	}
}

// awaitAnswer waits until a server answers by IPv6: an interface that has come up makes its address, and asks for a second or two
// whether somebody else has it, before anything is sent from there [RFC 4862 5.4].
func awaitAnswer(t *testing.T, addr string) {
	t.Helper()
	for end := deadline(); ; time.Sleep(100 * time.Millisecond) {
		err := peer.Download(addr, 1, 0)
		if err == nil {
			return
		}
		early := errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EHOSTUNREACH)
		if !early || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// segments are the frames that are longer than the wire takes, of which one end or both have left the rest to the card.
type segments map[segmentKind]int

type segmentKind struct {
	direction packet.Direction // as the machine sees it
	etherType uint16
}

// wantAllSegments checks that there were segments both ways, by both protocols.
func wantAllSegments(t *testing.T, who string, seen segments) {
	t.Helper()
	for _, d := range []packet.Direction{packet.Receive, packet.Transmit} {
		for _, e := range []uint16{packet.EtherTypeIPv4, packet.EtherTypeIPv6} {
			if seen[segmentKind{d, e}] == 0 {
				t.Errorf("%s has no segments of EtherType %#x in direction %v that are left to the card: %v", who, e, d, seen)
			}
		}
	}
}

// longestFrame is the length of a frame that has not been made of several, in bytes.
const longestFrame = 1514

// shownSegments counts those in the dump.
func shownSegments(r *run) segments {
	seen := make(segments)
	for _, m := range regexp.MustCompile(`(?m)^#\d+ \S+ e0 ([<>]) (\d+) \S+ (IPv[46]) .* ck=offload`).FindAllStringSubmatch(r.stderr.String(), -1) {
		if n, _ := strconv.Atoi(m[2]); n > longestFrame {
			direction := map[string]packet.Direction{"<": packet.Receive, ">": packet.Transmit}[m[1]]
			seen[segmentKind{direction, map[string]uint16{"IPv4": packet.EtherTypeIPv4, "IPv6": packet.EtherTypeIPv6}[m[3]]}]++
		}
	}
	return seen
}

// capturedSegments counts those in a capture.
func capturedSegments(path string) (segments, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := dump.Open(f)
	if err != nil {
		return nil, err
	}
	seen := make(segments)
	for {
		p, err := c.Next()
		if errors.Is(err, io.EOF) {
			return seen, nil
		}
		if err != nil {
			return seen, err
		}
		if p.WireLen > longestFrame && p.Checksum == packet.ChecksumOffload {
			seen[segmentKind{p.Direction, packet.Ethernet(p.Data).Type()}]++
		}
	}
}
