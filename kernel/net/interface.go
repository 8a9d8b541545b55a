package net

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// LinkConfig says which addresses an interface has.
type LinkConfig struct {
	// Address is the static IPv4 address with its prefix; if it is the zero Prefix, DHCP is asked when DHCP is set.
	Address netip.Prefix
	// Gateway is the IPv4 default router, if valid.
	Gateway netip.Addr
	// DNS are the name servers that go with a static address.
	DNS []netip.Addr
	// DHCP has the address, gateway and name servers asked for [RFC 2131].
	DHCP bool
	// Judge, if not nil, is told what becomes of each frame. The link must know of it, too: Settle is about the frame that the
	// link has told its watcher of last.
	Judge Judge
}

// iface is a network interface with a card.
type iface struct {
	stack *Stack
	index uint32
	name  string
	link  Link

	ready      sync.Once
	configured chan struct{} // closed when there is an IPv4 address

	mu     sync.Mutex
	config LinkConfig  // guarded by mu; with what DHCP said
	dhcp   *dhcpRunner // guarded by mu

	announced []netip.Addr // guarded by mu: addresses that the link has been told of
}

// AddLink makes a network interface out of the card: eth0 and so on. When it returns, the static address is usable; DHCP is waited
// for with Configured; router advertisements come when they come.
func (s *Stack) AddLink(link Link, name string, config LinkConfig) error {
	s.mu.Lock()
	l := &iface{stack: s, index: uint32(loopbackIndex + 1 + len(s.links)), name: name, link: link, config: config,
		configured: make(chan struct{})}
	s.links = append(s.links, l)
	s.mu.Unlock()
	if err := s.engine.addLink(l.index, name, link, config.Judge); err != nil {
		return err
	}
	if config.Address.IsValid() {
		if err := l.setIPv4(config); err != nil {
			return err
		}
	} else if config.DHCP {
		l.startDHCP()
	}
	link.OnLinkChange(l.linkChanged)
	if link.LinkUp() {
		l.announce()
	}
	return nil
}

// setIPv4 configures the IPv4 address, the routes that go with it, and the name servers.
func (l *iface) setIPv4(c LinkConfig) error {
	if !c.Address.Addr().Is4() {
		return unix.EINVAL
	}
	if err := l.stack.engine.addAddress(l.index, c.Address); err != nil {
		return err
	}
	l.stack.engine.addRoute(l.index, c.Address.Masked(), netip.Addr{})
	if c.Gateway.IsValid() {
		l.stack.engine.addRoute(l.index, netip.PrefixFrom(netip.IPv4Unspecified(), 0), c.Gateway)
	}
	l.mu.Lock()
	l.config = c
	l.mu.Unlock()
	l.stack.setDNS(l.index, c.DNS)
	l.ready.Do(func() { close(l.configured) })
	return nil
}

// Configured returns a channel that is closed when the interface with the name has got an IPv4 address; nil if there is no
// such interface.
func (s *Stack) Configured(name string) <-chan struct{} {
	if l := s.iface(s.linkIndex(name)); l != nil {
		return l.configured
	}
	return nil
}

// clearIPv4 takes the IPv4 address away again.
func (l *iface) clearIPv4() {
	l.mu.Lock()
	c := l.config
	l.config.Address, l.config.Gateway, l.config.DNS = netip.Prefix{}, netip.Addr{}, nil
	l.mu.Unlock()
	if !c.Address.IsValid() {
		return
	}
	if c.Gateway.IsValid() {
		l.stack.engine.removeRoute(l.index, netip.PrefixFrom(netip.IPv4Unspecified(), 0), c.Gateway)
	}
	l.stack.engine.removeRoute(l.index, c.Address.Masked(), netip.Addr{})
	l.stack.engine.removeAddress(l.index, c.Address.Addr())
	l.stack.setDNS(l.index, nil)
}

// linkChanged is called by the driver when the carrier comes or goes.
func (l *iface) linkChanged(up bool) {
	if !up {
		l.stack.options.Log("net: %s: link down", l.name)
		return
	}
	l.stack.options.Log("net: %s: link up", l.name)
	l.announce()
	l.mu.Lock()
	d := l.dhcp
	l.mu.Unlock()
	if d != nil {
		d.linkUp()
	}
}

// stop ends what the interface does on its own.
func (l *iface) stop() {
	l.mu.Lock()
	d := l.dhcp
	l.mu.Unlock()
	l.link.OnLinkChange(nil)
	if d != nil {
		d.stop()
	}
}

// iface returns the interface with the index, or nil.
func (s *Stack) iface(index uint32) *iface {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := int(index) - loopbackIndex - 1; i >= 0 && i < len(s.links) {
		return s.links[i]
	}
	return nil
}

// linkName returns the name of the interface with the index; empty if there is none.
func (s *Stack) linkName(index uint32) string {
	if index == loopbackIndex {
		return "lo"
	}
	if l := s.iface(index); l != nil {
		return l.name
	}
	return ""
}

// linkIndex returns the index of the interface with the name; 0 if there is none.
func (s *Stack) linkIndex(name string) uint32 {
	if name == "lo" {
		return loopbackIndex
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if l.name == name {
			return l.index
		}
	}
	return 0
}

// linkInfo is what rtnetlink(7) and netdevice(7) tell of an interface.
type linkInfo struct {
	index uint32
	name  string
	flags uint32 // IFF_
	mtu   int
	kind  uint16 // ARPHRD_
	mac   [6]byte
	addrs []netip.Prefix
}

// linkInfos describes all interfaces.
func (s *Stack) linkInfos() []linkInfo {
	s.mu.Lock()
	links := s.links
	s.mu.Unlock()
	out := []linkInfo{{index: loopbackIndex, name: "lo", mtu: 65536, kind: unix.ARPHRD_LOOPBACK,
		flags: unix.IFF_UP | unix.IFF_LOOPBACK | unix.IFF_RUNNING | unix.IFF_LOWER_UP}}
	for _, l := range links {
		i := linkInfo{index: l.index, name: l.name, mtu: l.link.MTU(), kind: unix.ARPHRD_ETHER, mac: l.link.HardwareAddr(),
			flags: unix.IFF_UP | unix.IFF_BROADCAST | unix.IFF_MULTICAST}
		if l.link.LinkUp() {
			i.flags |= unix.IFF_RUNNING | unix.IFF_LOWER_UP
		}
		out = append(out, i)
	}
	for i := range out {
		out[i].addrs = s.engine.addresses(out[i].index)
	}
	return out
}

// dnsServers are the name servers that the interfaces have heard of.
type dnsServers struct {
	static map[uint32][]netip.Addr // configuration or DHCP, by interface
	router map[uint32]routerDNS    // router advertisements [RFC 8106]
}

type routerDNS struct {
	servers []netip.Addr
	until   time.Time
}

// setDNS notes the name servers that go with an IPv4 address.
func (s *Stack) setDNS(index uint32, servers []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dns.static == nil {
		s.dns.static = make(map[uint32][]netip.Addr)
	}
	s.dns.static[index] = servers
}

// setRouterDNS notes the name servers of a router advertisement.
func (s *Stack) setRouterDNS(index uint32, servers []netip.Addr, lifetime time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dns.router == nil {
		s.dns.router = make(map[uint32]routerDNS)
	}
	if lifetime == 0 {
		delete(s.dns.router, index)
		return
	}
	const longest = 100 * 365 * 24 * time.Hour // "infinity" doesn't overflow a time
	s.dns.router[index] = routerDNS{servers, time.Now().Add(min(lifetime, longest))}
}

// DNS returns the name servers, for /etc/resolv.conf: IPv4 first.
func (s *Stack) DNS() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []netip.Addr
	for _, l := range s.links {
		out = append(out, s.dns.static[l.index]...)
	}
	for _, l := range s.links {
		if r, ok := s.dns.router[l.index]; ok && time.Now().Before(r.until) {
			out = append(out, r.servers...)
		}
	}
	return out
}

// Addresses returns the addresses of the interface with the name.
func (s *Stack) Addresses(name string) []netip.Prefix {
	return s.engine.addresses(s.linkIndex(name))
}
