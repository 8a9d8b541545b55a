package vm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"wick/packet"
	"wick/test/programs"
)

// envOwnNetwork is the environment variable that says that this program is in a network namespace of its own.
const envOwnNetwork = "WICK_OWN_NETWORK"

// ownNetwork tells whether the test may make network interfaces: the guest of TestKVM has no other network.
func ownNetwork() bool { return programs.Built() || os.Getenv(envOwnNetwork) == "1" }

// inOwnNetwork runs tests in a network namespace, where nothing leads out of. Where there can be none, that is left to the guest of TestKVM.
func inOwnNetwork(t *testing.T, tests string) {
	t.Helper()
	wickPath(t)
	const instead = "make test-kvm runs this in a guest"
	if tap, err := os.OpenFile(tunDevice, os.O_RDWR, 0); err != nil {
		t.Skipf("no TAP interfaces: %v; %s", err, instead)
	} else {
		tap.Close()
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		t.Skipf("no IPv6: %v; %s", err, instead)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", tests, "-test.v", "-test.count", "1", "-test.timeout", (2 * runLimit).String())
	cmd.Env = append(os.Environ(), envOwnNetwork+"=1")
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGTERM}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = killDelay
	runtime.LockOSThread() // the signal comes when the thread ends
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	t.Logf("in a network namespace:\n%s", out)
	switch {
	case cmd.Process == nil:
		t.Skipf("no network namespace: %v; %s", err, instead)
	case strings.Contains(string(out), noTAP):
		t.Skipf("%s; %s", noTAP, instead)
	case err != nil:
		t.Fatal(err)
	case !strings.Contains(string(out), "--- PASS: "):
		t.Fatal("no tests were run")
	}
}

// tunDevice is where TAP interfaces are made.
const tunDevice = "/dev/net/tun"

// noTAP is what is said where the namespace's owner isn't allowed what owners mostly are, as on Ubuntu.
const noTAP = "no TAP interfaces in a network namespace"

// tapName is the name of the TAP interface.
const tapName = "wick0"

// onTAP returns the environment of a wick whose QEMU has the network card on the TAP interface.
func onTAP(t *testing.T) []string {
	return wrapQEMU(t, t.TempDir(), func(qemu string) string {
		return strings.Join([]string{"#!/bin/sh", "for a; do", "shift",
			`case "$a" in user,id=n0*) a=tap,id=n0,ifname=` + tapName + `,script=no,downscript=no ;; esac`,
			`set -- "$@" "$a"`, "done", fmt.Sprintf(`exec %s "$@"`, qemu), ""}, "\n")
	})
}

// makeTAP makes the TAP interface, which has the host's address in user networking, until the end of the test.
func makeTAP(t *testing.T) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("TAP interface: %v", err)
		}
	}
	tap, err := os.OpenFile(tunDevice, os.O_RDWR, 0)
	must(err)
	defer tap.Close()
	request, err := unix.NewIfreq(tapName)
	must(err)
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	err = unix.IoctlIfreq(int(tap.Fd()), unix.TUNSETIFF, request)
	if err == unix.EPERM && !programs.Built() {
		t.Skip(noTAP)
	}
	must(err)
	must(unix.IoctlSetInt(int(tap.Fd()), unix.TUNSETPERSIST, 1)) // it stays when QEMU has it and we don't
	t.Cleanup(func() {
		tap, err := os.OpenFile(tunDevice, os.O_RDWR, 0)
		must(err)
		defer tap.Close()
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		must(unix.IoctlIfreq(int(tap.Fd()), unix.TUNSETIFF, request))
		must(unix.IoctlSetInt(int(tap.Fd()), unix.TUNSETPERSIST, 0))
	})
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	must(err)
	defer unix.Close(socket)
	for _, set := range []struct {
		request uint
		address []byte
	}{{unix.SIOCSIFADDR, []byte{10, 0, 2, 2}}, {unix.SIOCSIFNETMASK, []byte{255, 255, 255, 0}}} {
		must(request.SetInet4Addr(set.address))
		must(unix.IoctlIfreq(socket, set.request, request))
	}
	loopback, err := unix.NewIfreq("lo") // without its ::1 Go's library takes the host for one without IPv6
	must(err)
	for _, i := range []*unix.Ifreq{request, loopback} {
		i.SetUint16(unix.IFF_UP)
		must(unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, i))
	}
}

func tapInterface(t *testing.T) *net.Interface {
	t.Helper()
	i, err := net.InterfaceByName(tapName)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// linkLocal returns the IPv6 address that the TAP interface has made itself.
func linkLocal(t *testing.T) string {
	t.Helper()
	addresses, err := tapInterface(t).Addrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip := a.(*net.IPNet).IP; ip.IsLinkLocalUnicast() && ip.To4() == nil {
			return ip.String()
		}
	}
	t.Fatalf("no link-local address: %v", addresses)
	return ""
}

// tapWatch reads what goes over the TAP interface, with what Linux says of it.
type tapWatch struct {
	t      *testing.T
	socket *os.File
	done   sync.WaitGroup
	seen   segments // written until done, as all below
	err    error    // what was wrong first
}

// watchTAP begins to watch.
func watchTAP(t *testing.T) *tapWatch {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("packet socket: %v", err)
		}
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(err)
	w := &tapWatch{t: t, socket: os.NewFile(uintptr(fd), "packet socket"), seen: make(segments)}
	t.Cleanup(func() { w.socket.Close() })
	must(unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1))
	must(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)) // what finds no room is not seen
	protocol := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	must(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: tapInterface(t).Index}))
	w.done.Go(w.run)
	return w
}

// end stops watching and returns the segments that were seen. Something wrong with them is a failure of the test.
func (w *tapWatch) end() segments {
	w.t.Helper()
	w.socket.Close()
	w.done.Wait()
	if w.err != nil {
		w.t.Errorf("on the TAP interface: %v", w.err)
	}
	return w.seen
}

func (w *tapWatch) run() {
	b := make([]byte, 1<<17)
	for {
		n, err := w.socket.Read(b)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err == nil {
			err = w.take(b[:n])
		}
		if err != nil && w.err == nil {
			w.err = err
		}
	}
}

// Parts of the header that stands before a frame [virtio 5.1.6, packet(7)].
const (
	vnetHeaderSize = 10
	vnetNeedsCsum  = 1
	vnetTCPv4      = 1
	vnetTCPv6      = 4
	vnetSizeAt     = 4
	vnetStartAt    = 6
	vnetOffsetAt   = 8
)

// take looks at a frame.
func (w *tapWatch) take(b []byte) error {
	if len(b) < vnetHeaderSize+packet.EthernetSize {
		return fmt.Errorf("a frame of %d bytes with its header", len(b))
	}
	header, frame := b[:vnetHeaderSize], b[vnetHeaderSize:]
	if header[0]&vnetNeedsCsum == 0 {
		return nil
	}
	o, err := leftToLinux(header, frame)
	if err != nil {
		return err
	}
	ethernet := packet.Ethernet(frame)
	kind := segmentKind{packet.Receive, ethernet.Type()}
	if net.HardwareAddr(ethernet.Source()).String() == macAddress {
		kind.direction = packet.Transmit
	}
	if len(frame) > longestFrame {
		w.seen[kind]++
	}
	if kind.direction == packet.Transmit {
		return complete(o, frame)
	}
	return nil
}

// leftToLinux is what Linux would do to a frame before a wire.
func leftToLinux(header, frame []byte) (o packet.Offload, err error) {
	field := func(at int) int { return int(binary.LittleEndian.Uint16(header[at:])) }
	o = packet.Offload{Checksum: true, ChecksumStart: field(vnetStartAt), ChecksumOffset: field(vnetOffsetAt)}
	gso, etherType := header[1], packet.Ethernet(frame).Type()
	if gso == 0 {
		return o, nil
	}
	if want := map[uint16]byte{packet.EtherTypeIPv4: vnetTCPv4, packet.EtherTypeIPv6: vnetTCPv6}[etherType]; gso != want {
		return o, fmt.Errorf("a segment of EtherType %#x is of GSO type %d, want %d", etherType, gso, want)
	}
	tcp, fault := packet.ParseTCP(frame[min(o.ChecksumStart, len(frame)):])
	if fault.Name != "" {
		return o, fmt.Errorf("a segment without a TCP header: %+v", fault)
	}
	// Linux tells another length of the headers, that of what it has in one piece.
	o.SegmentSize, o.HeaderLen, o.IPv6 = field(vnetSizeAt), o.ChecksumStart+tcp.HeaderLen(), gso == vnetTCPv6
	return o, nil
}

// complete makes of a frame those of the wire, and checks them: nothing else would show that the machine's sum of the pseudo header is
// wrong, for Linux takes its own card at its word.
func complete(o packet.Offload, frame []byte) error {
	if !o.Fits(len(frame)) {
		return fmt.Errorf("what is left of a frame of %d bytes can't be done: %+v", len(frame), o)
	}
	var s packet.Segmentation
	s.Begin(o, len(frame), [][]byte{frame})
	for buffer := make([]byte, len(frame)); ; {
		one := s.Next(buffer)
		if one == nil {
			return nil
		}
		line := string(packet.Append(nil, &packet.Frame{Data: one, WireLen: len(one)}, packet.Line))
		if len(one) > longestFrame || !strings.Contains(line, "ck=ok") {
			return fmt.Errorf("%+v makes of a frame of %d bytes one of %d: %s", o, len(frame), len(one), line)
		}
	}
}
