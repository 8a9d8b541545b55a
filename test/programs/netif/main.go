// Netif checks what a program sees of the network interfaces, and IPv6 with a peer.
//
// What must be there is told by flags, as only the caller knows; without them, only what holds everywhere is
// checked.
package main

import (
	"flag"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"wick/test/programs/check"
	"wick/test/programs/peer"
)

var (
	wantAddress = flag.String("address", "", "the `address/length` that an interface must have")
	wantMAC     = flag.String("mac", "", "the hardware `address` of that interface")
	wantDNS     = flag.String("dns", "", "the name server's `address`")
	peer6TCP    = flag.String("peer6-tcp", "", "`[address]:port` of the TCP peer by IPv6")
	peer6UDP    = flag.String("peer6-udp", "", "`[address]:port` of the UDP peer by IPv6")
)

// patience is how long address configuration may take: duplicate address detection and router discovery need a
// second or two [RFC 4862 5.4].
const patience = 30 * time.Second

func main() {
	check.Main(
		check.Case{Name: "loopback", Run: loopback},
		check.Case{Name: "interfaces", Run: interfaces},
		check.Case{Name: "by-name", Run: byName},
		check.Case{Name: "address", Run: address},
		check.Case{Name: "dns", Run: dns},
		check.Case{Name: "ipv6-address", Run: ipv6Address},
		check.Case{Name: "ipv6-tcp", Run: ipv6TCP},
		check.Case{Name: "ipv6-udp", Run: ipv6UDP},
	)
}

func loopback(t *check.T) {
	all, err := net.Interfaces()
	t.Must(err)
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 {
			continue
		}
		addrs, err := i.Addrs()
		t.Must(err)
		var text []string
		for _, a := range addrs {
			text = append(text, a.String())
		}
		if i.Name != "lo" || i.Index != 1 || i.Flags&net.FlagUp == 0 || !slices.Contains(text, "127.0.0.1/8") || !slices.Contains(text, "::1/128") {
			t.Errorf("loopback interface %+v with addresses %v", i, text)
		}
		return
	}
	t.Errorf("no loopback interface in %+v", all)
}

// interfaces checks that each can be found again by its name and index.
func interfaces(t *check.T) {
	all, err := net.Interfaces()
	t.Must(err)
	for _, i := range all {
		same, err := net.InterfaceByIndex(i.Index)
		t.Must(err)
		check.Equal(t, "name by index", same.Name, i.Name)
		same, err = net.InterfaceByName(i.Name)
		t.Must(err)
		check.Equal(t, "index by name", same.Index, i.Index)
		if i.MTU < 1280 {
			t.Errorf("%s has an MTU of %d", i.Name, i.MTU)
		}
		addrs, err := i.Addrs()
		t.Must(err)
		for _, a := range addrs {
			if _, err := netip.ParsePrefix(a.String()); err != nil {
				t.Errorf("address %v of %s: %v", a, i.Name, err)
			}
		}
	}
}

func byName(t *check.T) {
	if _, err := net.InterfaceByName("no-such0"); err == nil {
		t.Errorf("an interface no-such0 was found")
	}
}

// holder returns the interface that has an address, waiting for it.
func holder(t *check.T, accept func(netip.Prefix) bool) (net.Interface, bool) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		all, err := net.Interfaces()
		t.Must(err)
		for _, i := range all {
			addrs, err := i.Addrs()
			t.Must(err)
			for _, a := range addrs {
				if p, err := netip.ParsePrefix(a.String()); err == nil && accept(p) {
					return i, true
				}
			}
		}
	}
	return net.Interface{}, false
}

func address(t *check.T) {
	if *wantAddress == "" {
		return
	}
	want, err := netip.ParsePrefix(*wantAddress)
	t.Must(err)
	i, found := holder(t, func(p netip.Prefix) bool { return p == want })
	if !found {
		t.Fatalf("no interface has address %v", want)
	}
	if i.Flags&(net.FlagUp|net.FlagBroadcast) != net.FlagUp|net.FlagBroadcast || i.MTU != 1500 {
		t.Errorf("interface %+v", i)
	}
	if *wantMAC != "" {
		check.Equal(t, "hardware address", i.HardwareAddr.String(), *wantMAC)
	}
	// A socket that goes out has that address.
	c, err := net.Dial("udp", net.JoinHostPort(want.Masked().Addr().Next().String(), "9"))
	t.Must(err)
	defer c.Close()
	check.Equal(t, "source address", c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(), want.Addr())
}

func dns(t *check.T) {
	if *wantDNS == "" {
		return
	}
	var text string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile("/etc/resolv.conf")
		t.Must(err)
		text = string(b)
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == "nameserver" && f[1] == *wantDNS {
				return
			}
		}
	}
	t.Errorf("/etc/resolv.conf has no nameserver %s:\n%s", *wantDNS, text)
}

// ipv6Address waits for the addresses that every interface makes itself: link-local, and global by the router's prefix.
func ipv6Address(t *check.T) {
	if *peer6TCP == "" {
		return
	}
	peerAddress, err := netip.ParseAddrPort(*peer6TCP)
	t.Must(err)
	if peerAddress.Addr().IsLoopback() {
		return
	}
	if _, found := holder(t, func(p netip.Prefix) bool { return p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() }); !found {
		t.Errorf("no interface has a link-local address")
	}
	if _, found := holder(t, func(p netip.Prefix) bool { return p.Bits() == 64 && p.Contains(peerAddress.Addr()) }); !found {
		t.Errorf("no interface has an address in the network of %v", peerAddress)
	}
	awaitRoute(t, *peer6TCP)
}

// awaitRoute waits until there is a way to the peer: an address is listed while it is still being checked for
// duplicates, but nothing is sent from it [RFC 4862 5.4].
func awaitRoute(t *check.T, to string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("udp", to) // sends nothing
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no way to %s: %v", to, err)
		}
	}
}

func ipv6TCP(t *check.T) {
	if *peer6TCP == "" {
		return
	}
	awaitRoute(t, *peer6TCP)
	for i, n := range []int64{1, 1 << 10, 1 << 20} {
		t.Must(peer.Download(*peer6TCP, n, uint64(i)))
		t.Must(peer.Upload(*peer6TCP, n, uint64(i)))
	}
}

func ipv6UDP(t *check.T) {
	if *peer6UDP == "" {
		return
	}
	awaitRoute(t, *peer6UDP)
	c, err := net.Dial("udp", *peer6UDP)
	t.Must(err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 2000)
	for size := range 20 {
		text := strings.Repeat("6", size*70)
		_, err := c.Write([]byte(text))
		t.Must(err)
		n, err := c.Read(buf)
		t.Must(err)
		check.Equal(t, "datagram", string(buf[:n]), text)
	}
}
