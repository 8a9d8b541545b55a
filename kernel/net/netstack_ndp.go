package net

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// generation counts changes.
type generation struct{ n atomic.Uint64 }

func (g *generation) bump()        { g.n.Add(1) }
func (g *generation) load() uint64 { return g.n.Load() }

// routerEvents is told what router advertisements say [RFC 4861 4.2, RFC 8106].
type routerEvents interface {
	routeFound(index uint32, dst netip.Prefix, gateway netip.Addr)
	routeLost(index uint32, dst netip.Prefix, gateway netip.Addr)
	addressFound(index uint32, p netip.Prefix)
	dnsFound(index uint32, servers []netip.Addr, lifetime time.Duration)
}

// ndpEvents takes the engine's NDP events. The engine forbids calls into itself from there,
// so a goroutine passes them on; it exists only while there are any.
type ndpEvents struct {
	to routerEvents

	mu      sync.Mutex
	pending []func()              // guarded by mu
	young   map[netip.Prefix]bool // guarded by mu: addresses that nobody has been told of yet, see settled
	running bool                  // guarded by mu: a goroutine works on pending
	closed  bool                  // guarded by mu
}

// maxNDPEvents bounds what a flood of advertisements can pile up; the rest of them is forgotten, as if lost on the
// way: advertisements repeat.
const maxNDPEvents = 64

func newNDPEvents(to routerEvents) *ndpEvents { return &ndpEvents{to: to} }

// later has f called on another goroutine, in order. It returns false if there is too much to do.
func (n *ndpEvents) later(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.to == nil || len(n.pending) >= maxNDPEvents {
		return false
	}
	n.pending = append(n.pending, f)
	if !n.running {
		n.running = true
		go n.run()
	}
	return true
}

func (n *ndpEvents) run() {
	for {
		n.mu.Lock()
		if len(n.pending) == 0 || n.closed {
			n.running = false
			n.pending = nil
			n.mu.Unlock()
			return
		}
		f := n.pending[0]
		n.pending = n.pending[1:]
		n.mu.Unlock()
		f()
	}
}

func (n *ndpEvents) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
}

func prefixOf(s tcpip.Subnet) netip.Prefix { return netip.PrefixFrom(netipOf(s.ID()), s.Prefix()) }

// OnOffLinkRouteUpdated implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnOffLinkRouteUpdated(nic tcpip.NICID, dst tcpip.Subnet, router tcpip.Address, _ header.NDPRoutePreference) {
	n.later(func() { n.to.routeFound(uint32(nic), prefixOf(dst), netipOf(router)) })
}

// OnOffLinkRouteInvalidated implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnOffLinkRouteInvalidated(nic tcpip.NICID, dst tcpip.Subnet, router tcpip.Address) {
	n.later(func() { n.to.routeLost(uint32(nic), prefixOf(dst), netipOf(router)) })
}

// OnOnLinkPrefixDiscovered implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnOnLinkPrefixDiscovered(nic tcpip.NICID, dst tcpip.Subnet) {
	n.later(func() { n.to.routeFound(uint32(nic), prefixOf(dst), netip.Addr{}) })
}

// OnOnLinkPrefixInvalidated implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnOnLinkPrefixInvalidated(nic tcpip.NICID, dst tcpip.Subnet) {
	n.later(func() { n.to.routeLost(uint32(nic), prefixOf(dst), netip.Addr{}) })
}

// OnAutoGenAddress implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnAutoGenAddress(nic tcpip.NICID, a tcpip.AddressWithPrefix) stack.AddressDispatcher {
	p := netip.PrefixFrom(netipOf(a.Address), a.PrefixLen)
	n.setYoung(p, true)
	if !n.later(func() {
		n.to.addressFound(uint32(nic), p)
		n.setYoung(p, false)
	}) {
		n.setYoung(p, false)
	}
	return nil
}

func (n *ndpEvents) setYoung(p netip.Prefix, young bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !young {
		delete(n.young, p)
		return
	}
	if n.young == nil {
		n.young = make(map[netip.Prefix]bool)
	}
	n.young[p] = true
}

// settled tells whether the routes that came with an address are in place. Programs must not see an address from which
// they can't reach anything yet.
func (n *ndpEvents) settled(p netip.Prefix) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.young[p]
}

// OnRecursiveDNSServerOption implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnRecursiveDNSServerOption(nic tcpip.NICID, servers []tcpip.Address, lifetime time.Duration) {
	var out []netip.Addr
	for _, s := range servers {
		out = append(out, netipOf(s))
	}
	n.later(func() { n.to.dnsFound(uint32(nic), out, lifetime) })
}

// OnAutoGenAddressDeprecated implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnAutoGenAddressDeprecated(tcpip.NICID, tcpip.AddressWithPrefix) {}

// OnAutoGenAddressInvalidated implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnAutoGenAddressInvalidated(tcpip.NICID, tcpip.AddressWithPrefix) {}

// OnDNSSearchListOption implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnDNSSearchListOption(tcpip.NICID, []string, time.Duration) {}

// OnDHCPv6Configuration implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnDHCPv6Configuration(tcpip.NICID, ipv6.DHCPv6ConfigurationFromNDPRA) {}

// OnDuplicateAddressDetectionResult implements ipv6.NDPDispatcher.
func (n *ndpEvents) OnDuplicateAddressDetectionResult(tcpip.NICID, tcpip.Address, stack.DADResult) {}

var _ ipv6.NDPDispatcher = (*ndpEvents)(nil)
