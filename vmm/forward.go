package vmm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Forward is a port of the host that leads to a port of the guest.
type Forward struct {
	UDP   bool
	Addr  netip.Addr // of the host, IPv4
	Host  uint16     // port of the host; 0: QEMU picks a free one
	Guest uint16     // port of the guest
}

// loopback is where ports are published unless the user says otherwise: a guest that serves
// the whole network must be asked for.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// ParseForward reads [ADDR:]HOST:GUEST[/tcp|/udp].
func ParseForward(s string) (Forward, error) {
	f := Forward{Addr: loopback}
	ports, protocol, given := strings.Cut(s, "/")
	switch {
	case !given || protocol == "tcp":
	case protocol == "udp":
		f.UDP = true
	default:
		return f, fmt.Errorf("%q: the protocol is tcp or udp, not %q", s, protocol)
	}
	if strings.ContainsAny(ports, "[]") {
		return f, fmt.Errorf("%q: QEMU's user networking publishes on IPv4 addresses only", s)
	}
	fields := strings.Split(ports, ":")
	if len(fields) == 3 {
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || !addr.Is4() {
			return f, fmt.Errorf("%q: %q is not an IPv4 address", s, fields[0])
		}
		f.Addr, fields = addr, fields[1:]
	}
	if len(fields) != 2 {
		return f, fmt.Errorf("%q: want [ADDR:]HOST:GUEST[/tcp|/udp], such as 8080:80", s)
	}
	var err error
	if f.Host, err = parsePort(fields[0]); err != nil {
		return f, fmt.Errorf("%q: %w", s, err)
	}
	if f.Guest, err = parsePort(fields[1]); err != nil {
		return f, fmt.Errorf("%q: %w", s, err)
	}
	if f.Guest == 0 {
		return f, fmt.Errorf("%q: the guest's port can't be 0", s)
	}
	return f, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port (0 to 65535)", s)
	}
	return uint16(n), nil
}

// Protocol returns "tcp" or "udp".
func (f Forward) Protocol() string {
	if f.UDP {
		return "udp"
	}
	return "tcp"
}

// HostAddr returns the address and port of the host.
func (f Forward) HostAddr() netip.AddrPort { return netip.AddrPortFrom(f.Addr, f.Host) }

// String returns the line that tells the user about f: "127.0.0.1:8080 -> guest port 80/tcp".
func (f Forward) String() string {
	return fmt.Sprintf("%s -> guest port %d/%s", f.HostAddr(), f.Guest, f.Protocol())
}

// qemu returns f in the words of QEMU's hostfwd option. The host's address is always there: with an
// empty one QEMU would bind all addresses.
func (f Forward) qemu() string {
	return fmt.Sprintf("hostfwd=%s:%s:%d-:%d", f.Protocol(), f.Addr, f.Host, f.Guest)
}

// CheckForwards tells which port of the host is not to be had, or is asked for twice. Somebody may
// still take it before QEMU does; QEMU then says so and ends.
func CheckForwards(forwards []Forward) error {
	type key struct {
		udp  bool
		addr netip.AddrPort
	}
	seen := make(map[key]bool)
	for _, f := range forwards {
		k := key{f.UDP, f.HostAddr()}
		if seen[k] && f.Host != 0 {
			return fmt.Errorf("%s port %s is published twice", f.Protocol(), f.HostAddr())
		}
		seen[k] = true
	}
	for _, f := range forwards { // of any port, which is 0, only the address can be wrong
		if err := checkFree(f.UDP, f.HostAddr()); err != nil {
			return err
		}
	}
	return nil
}

// ListenGDB listens on 127.0.0.1 for a debugger, at port if it is to be had, at any free one for 0. It returns the socket for
// Machine.GDB, so that nobody else gets the port before QEMU has it, and the port.
func ListenGDB(port uint16) (socket *os.File, bound uint16, err error) {
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(loopback, port)))
	if err != nil {
		return nil, 0, portError(false, netip.AddrPortFrom(loopback, port), err)
	}
	defer l.Close()
	socket, err = l.File()
	return socket, l.Addr().(*net.TCPAddr).AddrPort().Port(), err
}

// checkFree binds a port and gives it back. TCP ports that wait for the end of old connections
// count as free, as they do for QEMU: both set SO_REUSEADDR.
func checkFree(udp bool, addr netip.AddrPort) error {
	var err error
	if udp {
		var c *net.UDPConn
		if c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr)); err == nil {
			return c.Close()
		}
	} else {
		var l *net.TCPListener
		if l, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr)); err == nil {
			return l.Close()
		}
	}
	return portError(udp, addr, err)
}

// portError says why a port of the host can't be bound and what to do.
func portError(udp bool, addr netip.AddrPort, err error) error {
	protocol := Forward{UDP: udp}.Protocol()
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%s port %s is taken: stop what uses it, or choose another (0 picks a free one)", protocol, addr)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%s port %s is not allowed for this user: choose one above 1023", protocol, addr)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s is not an address of this host", addr.Addr())
	}
	return fmt.Errorf("%s port %s: %w", protocol, addr, err)
}
