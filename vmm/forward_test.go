package vmm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseForward(t *testing.T) {
	any := netip.MustParseAddr("0.0.0.0")
	tests := []struct {
		in   string
		want Forward
	}{
		{"8080:80", Forward{Addr: loopback, Host: 8080, Guest: 80}},
		{"8080:80/tcp", Forward{Addr: loopback, Host: 8080, Guest: 80}},
		{"0:7/udp", Forward{UDP: true, Addr: loopback, Host: 0, Guest: 7}},
		{"0.0.0.0:65535:65535", Forward{Addr: any, Host: 65535, Guest: 65535}},
		{"127.0.0.1:1:2/udp", Forward{UDP: true, Addr: loopback, Host: 1, Guest: 2}},
	}
	for _, tt := range tests {
		if got, err := ParseForward(tt.in); err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{
		"", "80", ":", "80:", ":80", "a:80", "80:a", "80:0", "65536:1", "1:65536", "-1:80", "+1:80", "1:2:3", "1:2:3:4",
		"80:80/", "80:80/sctp", "80:80/TCP", "80:80/tcp/udp", "localhost:80:80", "[::1]:80:80", "::1:80:80", "::80:80", " 80:80", "80-90:80-90",
	} {
		if got, err := ParseForward(in); err == nil {
			t.Errorf("%q: got %+v, want an error", in, got)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than a line: %q", in, err)
		}
	}
}

func TestForwardString(t *testing.T) {
	f := Forward{UDP: true, Addr: loopback, Host: 20000, Guest: 7}
	if got, want := f.String(), "127.0.0.1:20000 -> guest port 7/udp"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCheckForwards(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tcp := netip.MustParseAddrPort(l.Addr().String()).Port()
	udp := netip.MustParseAddrPort(c.LocalAddr().String()).Port()

	taken := []struct {
		forward Forward
		want    string
	}{
		{Forward{Addr: loopback, Host: tcp, Guest: 80}, fmt.Sprintf("tcp port 127.0.0.1:%d is taken", tcp)},
		{Forward{UDP: true, Addr: loopback, Host: udp, Guest: 80}, fmt.Sprintf("udp port 127.0.0.1:%d is taken", udp)},
		// TEST-NET-1 is nobody's address [RFC 5737].
		{Forward{Addr: netip.MustParseAddr("192.0.2.1"), Host: 8080, Guest: 80}, "192.0.2.1 is not an address of this host"},
		{Forward{Addr: netip.MustParseAddr("192.0.2.1"), Guest: 80}, "192.0.2.1 is not an address of this host"},
	}
	for _, tt := range taken {
		if err := CheckForwards([]Forward{tt.forward}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %s", tt.forward, err, tt.want)
		}
	}
	f := Forward{Addr: loopback, Host: reservedPort(t), Guest: 80}
	zero := Forward{Addr: loopback, Guest: 80}
	if err := CheckForwards([]Forward{f, zero, zero}); err != nil {
		t.Errorf("free ports: got %v", err)
	}
	for _, host := range []uint16{f.Host, tcp} { // whether the port is free is no matter then
		f.Host = host
		if err := CheckForwards([]Forward{f, f}); err == nil || !strings.Contains(err.Error(), "published twice") {
			t.Errorf("twice: got %v", err)
		}
	}
}

// reservedPort returns a TCP port of 127.0.0.1 that nobody gets who asks for any, and those get who ask for it and set
// SO_REUSEADDR, as Go and QEMU do: it is bound, and not listened at [socket(7)].
func reservedPort(t *testing.T) uint16 {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback.As4()}))
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(name.(*unix.SockaddrInet4).Port)
}

// TestListenGDB: the port is ours from then on.
func TestListenGDB(t *testing.T) {
	socket, port, err := ListenGDB(0)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if _, _, err := ListenGDB(port); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("tcp port 127.0.0.1:%d is taken", port)) {
		t.Errorf("a port that is taken: %v", err)
	}
	c, err := net.Dial("tcp4", netip.AddrPortFrom(loopback, port).String())
	if err != nil {
		t.Errorf("nobody listens: %v", err)
	} else {
		c.Close()
	}
}

// usernet is what QEMU 7.2 answered to "info usernet".
const usernet = `Hub -1 (n0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[HOST_FORWARD]  15       127.0.0.1 35647       10.0.2.15    80     0     0
  TCP[HOST_FORWARD]  14       127.0.0.1 20001       10.0.2.15    80     0     0
  TCP[ESTABLISHED]   20       127.0.0.1 40000       10.0.2.15    81     0     0
  UDP[HOST_FORWARD]  16       127.0.0.1 46000       10.0.2.15    80     0     0
  UDP[236 sec]       17         0.0.0.0 38000       10.0.2.3     53     0     0
`

func TestResolve(t *testing.T) {
	in := []Forward{
		{Addr: loopback, Host: 0, Guest: 80},
		{Addr: loopback, Host: 20001, Guest: 80},
		{UDP: true, Addr: loopback, Host: 0, Guest: 80},
	}
	got, err := resolve(in, strings.ReplaceAll(usernet, "\n", "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint16{35647, 20001, 46000} {
		if got[i].Host != want {
			t.Errorf("%v: got port %d, want %d", in[i], got[i].Host, want)
		}
	}
	all := []Forward{{Addr: netip.IPv4Unspecified(), Guest: 7}}
	got, err = resolve(all, "  TCP[HOST_FORWARD]   7               * 42319       10.0.2.15     7     0     0\r\n")
	if err != nil || got[0].Host != 42319 {
		t.Errorf("all addresses: %v, %v, want port 42319", got, err)
	}
	if _, err := resolve([]Forward{{Addr: loopback, Guest: 81}}, usernet); err == nil {
		t.Error("a forward that QEMU does not have: no error")
	}
	if _, err := resolve(in[:1], "TCP[HOST_FORWARD] 1 x y z w"); err == nil {
		t.Error("a strange line: no error")
	}
}
