package net

import (
	"net/netip"
	"time"
)

// A DHCP client [RFC 2131 4.4]. dhcpClient is the state machine: it is told of the time and of messages, and answers through
// send and configure; it has no goroutine, clock or socket of its own (see dhcp_run.go).
//
//	selecting --offer--> requesting --ack--> bound --T1--> renewing --T2--> rebinding --end of lease--> selecting
//	              nak: selecting               ^---ack-------+-----------------+
type dhcpClient struct {
	mac       [6]byte
	hostname  string
	random    func() uint32
	send      func(frame []byte)
	configure func(*dhcpLease) // the lease to use from now on; nil: none any more

	state   dhcpState
	xid     uint32
	began   time.Time // of the exchange in course
	tries   int
	next    time.Time // when tick has something to do
	offered netip.Addr
	server  netip.Addr
	lease   dhcpLease
	bound   time.Time // when the request was sent that the lease answers: it counts from there [RFC 2131 4.4.1]
	asked   time.Time
	frame   []byte
}

// dhcpLease is what a server has granted.
type dhcpLease struct {
	address   netip.Prefix
	router    netip.Addr
	dns       []netip.Addr
	server    netip.Addr
	serverMAC [6]byte
	length    time.Duration // 0: for ever
	t1, t2    time.Duration
}

type dhcpState int

const (
	dhcpStopped dhcpState = iota
	dhcpSelecting
	dhcpRequesting
	dhcpBound
	dhcpRenewing
	dhcpRebinding
)

// DEVIATION: the first repetition comes after a second, not four [RFC 2131 4.1]: a card that is slow to come up (QEMU's
// E1000 receives nothing in its first second) shouldn't cost the guest four seconds.
const (
	dhcpFirstRetry  = time.Second
	dhcpLongestWait = 64 * time.Second
	dhcpRequests    = 4 // requests without an answer before it starts anew
	dhcpRenewWait   = 60 * time.Second
)

// start looks for a server, whatever happened before.
func (c *dhcpClient) start(now time.Time) {
	c.state, c.tries, c.began = dhcpSelecting, 0, now
	c.xid = c.random()
	c.discover(now)
}

// discover asks for offers.
func (c *dhcpClient) discover(now time.Time) {
	q := c.query(dhcpDiscover, now)
	if c.lease.address.IsValid() {
		q.requested = c.lease.address.Addr() // what we had, if it is still free
	}
	c.transmit(&q)
	c.backOff(now)
}

// request asks for the offered address.
func (c *dhcpClient) request(now time.Time) {
	q := c.query(dhcpRequest, now)
	q.requested, q.server = c.offered, c.server
	c.asked = now
	c.transmit(&q)
	c.backOff(now)
}

// extend asks for more time: the server that granted the lease, or any.
func (c *dhcpClient) extend(now time.Time) {
	q := c.query(dhcpRequest, now)
	q.ciaddr = c.lease.address.Addr()
	if c.state == dhcpRenewing {
		q.to, q.toMAC = c.lease.server, c.lease.serverMAC
	}
	c.asked = now
	c.transmit(&q)
	// Half of the time that is left, but not less than a minute [RFC 2131 4.4.5].
	end := c.bound.Add(c.lease.t2)
	if c.state == dhcpRebinding {
		end = c.bound.Add(c.lease.length)
	}
	wait := max(end.Sub(now)/2, dhcpRenewWait)
	c.next = now.Add(wait)
	if c.next.After(end) {
		c.next = end
	}
}

// query begins a broadcast query.
func (c *dhcpClient) query(kind byte, now time.Time) dhcpQuery {
	return dhcpQuery{kind: kind, xid: c.xid, secs: uint16(min(now.Sub(c.began)/time.Second, 0xffff)), mac: c.mac,
		hostname: c.hostname, toMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, to: netip.AddrFrom4([4]byte{255, 255, 255, 255})}
}

func (c *dhcpClient) transmit(q *dhcpQuery) {
	c.frame = q.append(c.frame[:0])
	c.send(c.frame)
}

// backOff sets the time of the next try: twice as long each time, with up to a quarter of it of randomness.
func (c *dhcpClient) backOff(now time.Time) {
	wait := min(dhcpFirstRetry<<min(c.tries, 10), dhcpLongestWait)
	c.tries++
	c.next = now.Add(wait + wait/4*time.Duration(c.random()&0xff)/256)
}

// tick does what is due at now. Call it at c.next or later.
func (c *dhcpClient) tick(now time.Time) {
	if c.state == dhcpStopped || c.next.IsZero() || now.Before(c.next) {
		return
	}
	switch c.state {
	case dhcpSelecting:
		c.discover(now)
	case dhcpRequesting:
		if c.tries >= dhcpRequests {
			c.start(now)
			return
		}
		c.request(now)
	case dhcpBound:
		c.state, c.began, c.xid = dhcpRenewing, now, c.random()
		c.extend(now)
	case dhcpRenewing:
		if !now.Before(c.bound.Add(c.lease.t2)) {
			c.state = dhcpRebinding
		}
		c.extend(now)
	case dhcpRebinding:
		if !now.Before(c.bound.Add(c.lease.length)) {
			c.configure(nil)
			c.start(now)
			return
		}
		c.extend(now)
	}
}

// handle takes a message from the link.
func (c *dhcpClient) handle(now time.Time, m *dhcpMessage) {
	if m.xid != c.xid || m.mac != c.mac {
		return
	}
	switch {
	case c.state == dhcpSelecting && m.kind == dhcpOffer:
		if !m.server.IsValid() || !usableLease(m.yiaddr) {
			return
		}
		c.state, c.tries = dhcpRequesting, 0
		c.offered, c.server = m.yiaddr, m.server
		c.request(now)
	case c.state == dhcpRequesting && m.kind == dhcpAck && m.server == c.server,
		(c.state == dhcpRenewing || c.state == dhcpRebinding) && m.kind == dhcpAck:
		c.accept(m)
	case m.kind == dhcpNak && (c.state == dhcpRequesting && m.server == c.server ||
		c.state == dhcpRenewing || c.state == dhcpRebinding):
		if c.state != dhcpRequesting {
			c.configure(nil)
		}
		c.lease = dhcpLease{}
		// Not at once: a server that refuses always would be asked without end.
		c.state, c.tries, c.began, c.xid = dhcpSelecting, 0, now, c.random()
		c.backOff(now)
	}
}

// usableLease tells whether a is an address that a machine can have.
func usableLease(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a.As4()[0] < 240
}

// accept uses the lease of an acknowledgement.
func (c *dhcpClient) accept(m *dhcpMessage) {
	if !usableLease(m.yiaddr) {
		return
	}
	bits := m.maskBits
	if bits < 0 {
		bits = classBits(m.yiaddr)
	}
	l := dhcpLease{address: netip.PrefixFrom(m.yiaddr, bits), router: m.router, dns: m.dns, server: m.server,
		serverMAC: m.serverMAC, length: m.lease, t1: m.t1, t2: m.t2}
	if !l.server.IsValid() {
		l.server = c.lease.server
	}
	if l.length == dhcpInfinity*time.Second {
		l.length = 0
	}
	if l.length != 0 && l.length < 2*dhcpFirstRetry {
		l.length = 2 * dhcpFirstRetry
	}
	if l.t2 <= 0 || l.t2 >= l.length {
		l.t2 = l.length / 8 * 7
	}
	if l.t1 <= 0 || l.t1 >= l.t2 {
		l.t1 = min(l.length/2, l.t2)
	}
	c.state, c.lease, c.bound, c.tries = dhcpBound, l, c.asked, 0
	c.next = time.Time{}
	if l.length != 0 {
		c.next = c.bound.Add(l.t1)
	}
	c.configure(&c.lease)
}

// classBits is the length of the network part of an address by its class, for servers that tell no mask.
func classBits(a netip.Addr) int {
	switch b := a.As4()[0]; {
	case b < 128:
		return 8
	case b < 192:
		return 16
	}
	return 24
}
