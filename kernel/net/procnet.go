package net

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Files of /proc/net, proc_net(5).

// connection is a line of /proc/net/tcp and its kin.
type connection struct {
	protocol         string // "tcp", "udp"
	ipv6             bool
	local, peer      endpoint
	state            uint8 // as in Linux's tcp_states.h
	rxQueue, txQueue int   // bytes
	drops            uint64
}

// States of connections [linux/tcp_states.h].
const (
	tcpEstablished = 1
	tcpTimeWait    = 6
	tcpClose       = 7
	tcpListen      = 10
)

// ProcFile returns what makes the contents of /proc/net/name, nil if there is no such file.
func (s *Stack) ProcFile(name string) (contents func() []byte) {
	var put func(*strings.Builder)
	switch name {
	case "dev":
		put = s.procDev
	case "route":
		put = s.procRoute
	case "if_inet6":
		put = s.procInet6
	case "tcp", "tcp6", "udp", "udp6":
		protocol, ipv6 := strings.CutSuffix(name, "6")
		put = func(b *strings.Builder) { s.procConnections(b, protocol, ipv6) }
	case "unix":
		put = s.procUnix
	case "sockstat":
		put = s.procSockstat
	default:
		return nil
	}
	return func() []byte {
		var b strings.Builder
		put(&b)
		return []byte(b.String())
	}
}

func (s *Stack) procDev(b *strings.Builder) {
	b.WriteString("Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n")
	for _, l := range s.linkInfos() {
		c := s.engine.linkStats(l.index)
		fmt.Fprintf(b, "%6s: %7d %7d    0 %4d    0     0          0         0 %8d %7d    0 %4d    0     0       0          0\n",
			l.name, c.rxBytes, c.rxPackets, c.rxDropped, c.txBytes, c.txPackets, c.txDropped)
	}
}

// Flags of a route [linux/route.h].
const (
	rtfUp      = 1
	rtfGateway = 2
)

// procRoute lists the routes of IPv4, as Linux does without those of the loopback interface.
func (s *Stack) procRoute(b *strings.Builder) {
	line := func(text string) { fmt.Fprintf(b, "%-127s\n", text) }
	line("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT")
	for _, r := range s.engine.routes() {
		if r.index == loopbackIndex || !r.dst.Addr().Is4() {
			continue
		}
		flags, gateway := rtfUp, netip.IPv4Unspecified()
		if r.gateway.IsValid() {
			flags, gateway = flags|rtfGateway, r.gateway
		}
		mask := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-r.dst.Bits()))))
		line(fmt.Sprintf("%s\t%s\t%s\t%04X\t0\t0\t0\t%s\t0\t0\t0", s.linkName(r.index),
			procAddress(r.dst.Addr()), procAddress(gateway), flags, procAddress(mask)))
	}
}

// procInet6 lists the addresses of IPv6: address, interface, prefix length, scope, flags (IFA_F_PERMANENT), name.
func (s *Stack) procInet6(b *strings.Builder) {
	const scopeHost, scopeLink = 0x10, 0x20 // IPV6_ADDR_LOOPBACK, IPV6_ADDR_LINKLOCAL
	for _, l := range s.linkInfos() {
		for _, p := range l.addrs {
			if !p.Addr().Is6() {
				continue
			}
			scope := 0
			switch {
			case p.Addr().IsLoopback():
				scope = scopeHost
			case p.Addr().IsLinkLocalUnicast():
				scope = scopeLink
			}
			fmt.Fprintf(b, "%x %02x %02x %02x %02x %8s\n", p.Addr().As16(), l.index, p.Bits(), scope, unix.IFA_F_PERMANENT, l.name)
		}
	}
}

// procAddress writes an address as Linux does: in words of the machine's byte order.
func procAddress(a netip.Addr) string {
	var b strings.Builder
	for word := range slices.Chunk(a.AsSlice(), 4) {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(word))
	}
	return b.String()
}

// procEndpoint writes an address of the family, with its port.
func procEndpoint(e endpoint, ipv6 bool) string {
	a := e.addr
	switch {
	case !a.IsValid() && ipv6:
		a = netip.IPv6Unspecified()
	case !a.IsValid():
		a = netip.IPv4Unspecified()
	case ipv6:
		a = netip.AddrFrom16(a.As16()) // an IPv4 address becomes a v4-mapped one
	}
	return fmt.Sprintf("%s:%04X", procAddress(a), e.port)
}

// procConnections lists TCP connections or UDP sockets.
//
// DEVIATION: the inode, which would tell whose socket it is, is 0: connections outlive sockets.
func (s *Stack) procConnections(b *strings.Builder, protocol string, ipv6 bool) {
	width := 8
	if ipv6 {
		width = 32
	}
	tail := ""
	if protocol == "udp" {
		tail = " ref pointer drops"
	}
	line := func(text string) { fmt.Fprintf(b, "%-127s\n", text) }
	line(fmt.Sprintf("  sl  %-*s %-*s st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode%s",
		width+5, "local_address", width+5, "rem_address", tail))
	n := 0
	for _, c := range s.engine.connections() {
		if c.protocol != protocol || c.ipv6 != ipv6 {
			continue
		}
		text := fmt.Sprintf("%4d: %s %s %02X %08X:%08X 00:00000000 00000000     0        0 0 1 0000000000000000",
			n, procEndpoint(c.local, ipv6), procEndpoint(c.peer, ipv6), c.state, c.txQueue, c.rxQueue)
		if protocol == "udp" {
			text += fmt.Sprintf(" %d", c.drops)
		}
		line(text)
		n++
	}
}

// procUnix lists the sockets that have a name. DEVIATION: those without one are not shown.
func (s *Stack) procUnix(b *strings.Builder) {
	b.WriteString("Num       RefCount Protocol Flags    Type St Inode Path\n")
	s.unix.mu.Lock()
	defer s.unix.mu.Unlock()
	for _, k := range s.unix.bound {
		name := strings.ReplaceAll(k.name, "\x00", "@") // an abstract name
		const unconnected = 1                           // SS_UNCONNECTED
		fmt.Fprintf(b, "%016X: %08X %08X %08X %04X %02X %5d %s\n", 0, 2, 0, 0, k.typ, unconnected, k.inode, name)
	}
}

func (s *Stack) procSockstat(b *strings.Builder) {
	inUse := make(map[string]int)
	waiting := 0
	for _, c := range s.engine.connections() {
		switch {
		case c.ipv6:
		case c.state == tcpTimeWait:
			waiting++
		default:
			inUse[c.protocol]++
		}
	}
	fmt.Fprintf(b, "sockets: used %d\nTCP: inuse %d orphan 0 tw %d alloc %d mem 0\nUDP: inuse %d mem 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n",
		s.Sockets(), inUse["tcp"], waiting, inUse["tcp"], inUse["udp"])
}
