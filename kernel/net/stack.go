package net

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Options are the settings of a Stack. The zero value is good.
type Options struct {
	// Log, if not nil, gets a line about each change of the configuration.
	Log func(format string, args ...any)
	// Hostname is told to the DHCP server.
	Hostname string
	// MaxSockets bounds the number of sockets; 0 is DefaultMaxSockets.
	MaxSockets int
	// MaxBuffer bounds how far the buffers of a TCP connection grow, in bytes for each direction; 0 is DefaultMaxBuffer.
	MaxBuffer int
	// BufferMemory is what the buffers of TCP connections should have together, in bytes for each direction, if Tight says that memory is
	// becoming short: those of each become smaller, but not below a few segments. So many that they would have more from the start begin
	// with less. 0 or nil: no bound. Tight is asked for each read and each write.
	Tight        func() bool
	BufferMemory int
	// VsockMemory bounds what AF_VSOCK connections with the host have received and have yet to send together, in bytes for each
	// direction, and those within the machine to half of that; 0: no bound.
	VsockMemory int
	// Short, if not nil, tells whether the kernel's memory is short: then the stack keeps nothing more. It is asked for
	// each packet and each write.
	Short func() bool
	// ShortLasting is Short for what can wait a moment, such as making a socket, and counts nothing that has been given up
	// before it is asked; nil is Short.
	ShortLasting func() bool
	// Crowded, if not nil, tells whether there is too little memory for n more connections that are opened from without.
	Crowded func(n int) bool
	// Low, if not nil, tells whether memory is so short that even frames that leave nothing behind, but make garbage on their
	// way, are dropped. It is asked for each received frame.
	Low func() bool
	// TimeWait is how long a finished TCP connection is remembered; 0 is Linux's 60 s.
	TimeWait time.Duration
	// DetectDuplicates has IPv6 addresses probed for a second before they are used [RFC 4862 5.4].
	// DEVIATION: off by default, since a microVM is alone on its link and boots faster without.
	DetectDuplicates bool

	clock engineClock // of the engine's timers; nil: the real one
}

// Defaults of Options.
const (
	DefaultMaxSockets = 8192
	DefaultMaxBuffer  = 4 << 20
)

// linux's default net.ipv4.tcp_fin_timeout and TIME-WAIT length.
const defaultTimeWait = 60 * time.Second

// loopbackIndex is the interface index of lo, as on Linux.
const loopbackIndex = 1

// Stack is the TCP/IP stack of the kernel with its interfaces, and the maker of its sockets.
type Stack struct {
	options Options
	engine  engine

	open     atomic.Int64  // sockets that exist
	inodes   atomic.Uint64 // inode numbers given out
	overflow atomic.Uint64 // datagrams that found a socket's queue full
	starved  atomic.Uint64 // datagrams that found no memory
	shortage shortage

	netlinkPorts atomic.Uint32 // addresses given to netlink sockets
	unix         unixNames
	vsock        vsockSpace

	mu    sync.Mutex
	links []*iface // guarded by mu; index i+2
	dns   dnsServers
}

// New makes a stack with the loopback interface: lo, 127.0.0.1/8 and ::1/128.
func New(o Options) (*Stack, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.MaxSockets == 0 {
		o.MaxSockets = DefaultMaxSockets
	}
	if o.MaxBuffer == 0 {
		o.MaxBuffer = DefaultMaxBuffer
	}
	if o.TimeWait == 0 {
		o.TimeWait = defaultTimeWait
	}
	s := &Stack{options: o}
	s.shortage.short, s.shortage.lasting, s.shortage.crowded = o.Short, o.ShortLasting, o.Crowded
	e, err := newNetstack(&o, (*routerListener)(s))
	if err != nil {
		return nil, err
	}
	s.engine = e
	s.vsock.init(s)
	return s, nil
}

// Close stops the stack: its goroutines, timers and DHCP clients. Sockets are of no use after it.
func (s *Stack) Close() {
	s.mu.Lock()
	links := s.links
	s.mu.Unlock()
	for _, l := range links {
		l.stop()
	}
	s.engine.close()
	s.vsock.close()
}

// lingerInterval is how often Linger looks.
const lingerInterval = time.Millisecond

// Linger waits until all that has been sent on TCP and vsock connections, and their ends, have reached the peers, or until
// the deadline. Sockets must have been closed: a program's data must not be lost because it ends at once. It returns how many
// connections were not finished.
func (s *Stack) Linger(deadline time.Time) int {
	for {
		left := s.engine.unfinished() + s.vsock.unfinished()
		if left == 0 || !time.Now().Before(deadline) {
			return left
		}
		time.Sleep(lingerInterval)
	}
}

// Sockets is the number of sockets that exist.
func (s *Stack) Sockets() int { return int(s.open.Load()) }

// NewSocket makes a socket, as socket(2) does. typ is without SOCK_NONBLOCK and SOCK_CLOEXEC.
func (s *Stack) NewSocket(family, typ, protocol int) (Socket, error) {
	if typ < 0 || typ > unix.SOCK_PACKET {
		return nil, unix.EINVAL
	}
	switch family {
	case unix.AF_INET, unix.AF_INET6:
		return s.newInet(family, typ, protocol)
	case unix.AF_NETLINK:
		return s.newNetlink(typ, protocol)
	case unix.AF_UNIX:
		return s.newUnix(typ, protocol)
	case unix.AF_VSOCK:
		return s.newVsock(typ, protocol)
	}
	return nil, unix.EAFNOSUPPORT
}

// newInet makes an IPv4 or IPv6 socket.
func (s *Stack) newInet(family, typ, protocol int) (Socket, error) {
	if protocol < 0 || protocol >= 256 && protocol != unix.IPPROTO_MPTCP {
		return nil, unix.EINVAL
	}
	icmp := unix.IPPROTO_ICMP
	if family == unix.AF_INET6 {
		icmp = unix.IPPROTO_ICMPV6
	}
	switch {
	case typ == unix.SOCK_STREAM && (protocol == 0 || protocol == unix.IPPROTO_TCP):
		return s.newStreamSocket(family)
	case typ == unix.SOCK_DGRAM && (protocol == 0 || protocol == unix.IPPROTO_UDP):
		return s.newDatagramSocket(family, typ, unix.IPPROTO_UDP, protocolUDP)
	case typ == unix.SOCK_DGRAM && protocol == icmp:
		return s.newDatagramSocket(family, typ, protocol, protocolPing)
	case typ == unix.SOCK_RAW && protocol != 0:
		return s.newDatagramSocket(family, typ, protocol, protocolRaw)
	case typ == unix.SOCK_STREAM || typ == unix.SOCK_DGRAM || typ == unix.SOCK_RAW:
		return nil, unix.EPROTONOSUPPORT
	}
	return nil, unix.ESOCKTNOSUPPORT
}

// Pair makes two sockets that are connected to each other, as socketpair(2) does.
func (s *Stack) Pair(family, typ, protocol int) (Socket, Socket, error) {
	switch family {
	case unix.AF_UNIX:
		return s.newUnixPair(typ, protocol)
	case unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK, unix.AF_VSOCK:
		if _, err := s.checkSocket(family, typ, protocol); err != nil {
			return nil, nil, err
		}
		return nil, nil, unix.EOPNOTSUPP
	}
	return nil, nil, unix.EAFNOSUPPORT
}

// checkSocket tells what NewSocket would say, and leaves nothing behind.
func (s *Stack) checkSocket(family, typ, protocol int) (struct{}, error) {
	k, err := s.NewSocket(family, typ, protocol)
	if err == nil {
		k.Close()
	}
	return struct{}{}, err
}

// routerListener is the Stack as it hears of routers.
type routerListener Stack

func (r *routerListener) routeFound(index uint32, dst netip.Prefix, gateway netip.Addr) {
	r.engine.addRoute(index, dst, gateway)
	r.options.Log("net: %s: route to %s %s", (*Stack)(r).linkName(index), dst, via(gateway))
}

func (r *routerListener) routeLost(index uint32, dst netip.Prefix, gateway netip.Addr) {
	r.engine.removeRoute(index, dst, gateway)
	r.options.Log("net: %s: no more route to %s %s", (*Stack)(r).linkName(index), dst, via(gateway))
}

func (r *routerListener) addressFound(index uint32, p netip.Prefix) {
	if n, ok := r.engine.(*netstack); ok {
		n.change.bump()
	}
	r.options.Log("net: %s: address %s", (*Stack)(r).linkName(index), p)
	if l := (*Stack)(r).iface(index); l != nil {
		l.announceAddress(p.Addr())
	}
}

func (r *routerListener) dnsFound(index uint32, servers []netip.Addr, lifetime time.Duration) {
	(*Stack)(r).setRouterDNS(index, servers, lifetime)
}

func via(gateway netip.Addr) string {
	if !gateway.IsValid() {
		return "on the link"
	}
	return "via " + gateway.String()
}

// newQueue is a wait queue; sockets hold theirs by pointer because an endpoint may be replaced under it.
func newQueue() *waiter.Queue { return new(waiter.Queue) }
