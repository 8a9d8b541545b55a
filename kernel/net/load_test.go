package net

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/faketime"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"wick/kernel/vfs"
)

// The stack under load and under attack: whatever comes over the wire, in the end as much is there as at the start.

// census is what a stack holds.
type census struct {
	sockets, tcp, udp, goroutines int
	heap                          uint64 // bytes
}

func take(s *Stack) census {
	c := census{sockets: s.Sockets()}
	for _, k := range s.engine.connections() {
		if k.protocol == "tcp" {
			c.tcp++
		} else {
			c.udp++
		}
	}
	for range 3 { // pools lose what they have in two
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.goroutines, c.heap = runtime.NumGoroutine(), m.HeapAlloc
	return c
}

// heapSlack is how much the heap may have grown, in bytes: pools, and tables that don't shrink.
const heapSlack = 1 << 20

// same waits until the stack holds no more than it did, while its clock, if it isn't the real one, goes on.
func (before census) same(t *testing.T, s *Stack, clock *faketime.ManualClock) {
	t.Helper()
	var now census
	for deadline := time.Now().Add(3 * testPatience); ; time.Sleep(5 * time.Millisecond) {
		if clock != nil {
			clock.Advance(10 * time.Second)
		}
		if len(s.engine.connections()) <= before.tcp+before.udp {
			now = take(s)
			if now.sockets <= before.sockets && now.goroutines <= before.goroutines && now.heap <= before.heap+heapSlack {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("before %+v, after %+v: %+v", before, take(s), s.engine.connections())
		}
	}
}

// makeGoroutines makes the runtime's descriptors of goroutines, half a kilobyte each, which it keeps. A busy host has thousands of
// timers fire at the same moment, and each starts a goroutine.
func makeGoroutines() {
	const most = 6000 // the race detector takes 8,128
	var all sync.WaitGroup
	over := make(chan struct{})
	for range most {
		all.Go(func() { <-over })
	}
	close(over)
	all.Wait()
}

// crafter is a machine on the wire that sends whatever the test makes up. It has all addresses of 192.0.2.0/24 but that of
// the stack, 192.0.2.1.
type crafter struct {
	t     *testing.T
	stack *ours
	link  *testLink
	clock *faketime.ManualClock
	over  chan struct{} // closed when the test is over, and nobody takes frames

	mu    sync.Mutex
	onTCP func(from, to netip.AddrPort, h header.TCP) // guarded by mu: called for each segment that the stack sends
}

func newCrafter(t *testing.T, o Options) *crafter {
	c := &crafter{t: t, clock: faketime.NewManualClock(), over: make(chan struct{})}
	o.clock = c.clock
	la, lb := newTestLinks(t)
	s, err := New(o)
	check(t, err)
	c.stack, c.link = &ours{t: t, s: s}, lb
	t.Cleanup(func() {
		for fd := range c.stack.fds {
			c.stack.close(fd)
		}
		s.Close()
		close(c.over)
	})
	lb.Attach(c.receive)
	check(t, s.AddLink(la, "eth0", LinkConfig{Address: netip.MustParsePrefix("192.0.2.1/24"), Gateway: addr4(192, 0, 2, 254)}))
	return c
}

var stackAddress = addr4(192, 0, 2, 1)

// receive answers ARP, and hands TCP on.
func (c *crafter) receive(frame []byte) {
	eth := header.Ethernet(frame)
	body := frame[header.EthernetMinimumSize:]
	switch {
	case eth.Type() == header.ARPProtocolNumber:
		q := header.ARP(body)
		if q.Op() != header.ARPRequest || string(q.ProtocolAddressTarget()) == string(stackAddress.AsSlice()) {
			return
		}
		reply := c.ethernet(uint16(header.ARPProtocolNumber), header.ARPSize)
		a := header.ARP(reply[header.EthernetMinimumSize:])
		a.SetIPv4OverEthernet()
		a.SetOp(header.ARPReply)
		copy(a.HardwareAddressSender(), c.link.mac[:])
		copy(a.ProtocolAddressSender(), q.ProtocolAddressTarget())
		copy(a.HardwareAddressTarget(), q.HardwareAddressSender())
		copy(a.ProtocolAddressTarget(), q.ProtocolAddressSender())
		c.send(reply)
	case eth.Type() == header.IPv4ProtocolNumber && header.IPv4(body).Protocol() == unix.IPPROTO_TCP:
		ip := header.IPv4(body)
		h := header.TCP(ip.Payload())
		c.mu.Lock()
		on := c.onTCP
		c.mu.Unlock()
		if on != nil {
			on(netip.AddrPortFrom(netipOf(ip.SourceAddress()), h.SourcePort()),
				netip.AddrPortFrom(netipOf(ip.DestinationAddress()), h.DestinationPort()), h)
		}
	}
}

func (c *crafter) answer(on func(from, to netip.AddrPort, h header.TCP)) {
	c.mu.Lock()
	c.onTCP = on
	c.mu.Unlock()
}

// send puts a frame on the wire, when the stack's card has room.
func (c *crafter) send(frame []byte) {
	select {
	case c.link.peer.in <- frame:
	case <-c.over:
	}
}

// ethernet makes a frame for the stack with room for a payload.
func (c *crafter) ethernet(kind uint16, size int) []byte {
	f := make([]byte, header.EthernetMinimumSize+size)
	copy(f, c.link.peer.mac[:])
	copy(f[6:], c.link.mac[:])
	binary.BigEndian.PutUint16(f[12:], kind)
	return f
}

// ipv4 makes a frame with an IPv4 header.
func (c *crafter) ipv4(from netip.Addr, protocol uint8, id, offset uint16, more bool, payload []byte) []byte {
	f := c.ethernet(uint16(header.IPv4ProtocolNumber), header.IPv4MinimumSize+len(payload))
	ip := header.IPv4(f[header.EthernetMinimumSize:])
	fields := header.IPv4Fields{TotalLength: uint16(len(ip)), ID: id, FragmentOffset: offset, TTL: 64, Protocol: protocol,
		SrcAddr: addressOf(from), DstAddr: addressOf(stackAddress)}
	if more {
		fields.Flags = header.IPv4FlagMoreFragments
	}
	ip.Encode(&fields)
	ip.SetChecksum(^ip.CalculateChecksum())
	copy(ip[header.IPv4MinimumSize:], payload)
	return f
}

// segment makes a frame with a TCP segment.
func (c *crafter) segment(from netip.AddrPort, port uint16, flags header.TCPFlags, seq, ack uint32, window uint16, data string) []byte {
	b := make([]byte, header.TCPMinimumSize+len(data))
	h := header.TCP(b)
	h.Encode(&header.TCPFields{SrcPort: from.Port(), DstPort: port, SeqNum: seq, AckNum: ack, Flags: flags, WindowSize: window,
		DataOffset: header.TCPMinimumSize})
	copy(b[header.TCPMinimumSize:], data)
	sum := header.PseudoHeaderChecksum(unix.IPPROTO_TCP, addressOf(from.Addr()), addressOf(stackAddress), uint16(len(b)))
	h.SetChecksum(^checksum.Checksum(b, sum))
	return c.ipv4(from.Addr(), unix.IPPROTO_TCP, 0, 0, false, b)
}

// client is source number n.
func client(n int) netip.AddrPort {
	return netip.AddrPortFrom(addr4(192, 0, 2, byte(2+n%250)), uint16(1024+n/250))
}

// established opens n connections to a port, and accepts them, with a window for each peer. It returns the sockets, and the
// numbers that the stack expects next, and has sent, by client.
func (c *crafter) established(l Socket, port uint16, n int, window uint16) (open []Socket, expects map[netip.AddrPort]uint32) {
	expects = make(map[netip.AddrPort]uint32)
	next := make(map[netip.AddrPort]uint32)
	mine := make(map[netip.AddrPort]bool)
	for i := range n {
		mine[client(i)] = true
	}
	var mu sync.Mutex
	c.answer(func(_, to netip.AddrPort, h header.TCP) {
		if mine[to] && h.Flags() == header.TCPFlagSyn|header.TCPFlagAck {
			mu.Lock()
			expects[to], next[to] = h.AckNumber(), h.SequenceNumber()+1
			mu.Unlock()
			go c.send(c.segment(to, port, header.TCPFlagAck, h.AckNumber(), h.SequenceNumber()+1, window, ""))
		}
	})
	for i := range n {
		c.send(c.segment(client(i), port, header.TCPFlagSyn, uint32(i)*1000, 0, window, ""))
		k, err := acceptOne(l)
		check(c.t, err)
		open = append(open, k)
	}
	c.answer(nil)
	return open, expects
}

func (c *crafter) listener(port uint16, backlog int) *oursFD {
	return listenOn(c.t, c.stack, unix.AF_INET, sa4("0.0.0.0", int(port)), backlog)
}

// halfOpen is what a connection that is half open may take, in bytes; with the race detector it is about 90 KiB.
const halfOpen = 128 << 10

func TestSYNFlood(t *testing.T) {
	const backlog = 100
	c := newCrafter(t, Options{})
	s := c.stack.s
	l := c.listener(80, backlog)
	c.send(c.segment(client(0), 81, header.TCPFlagSyn, 1, 0, 1000, "")) // the engine's tables, once
	before := take(s)
	flood := func(n int) {
		for i := range n {
			c.send(c.segment(client(1+i), 80, header.TCPFlagSyn, rand.Uint32(), 0, 65535, ""))
		}
	}
	flood(20000)
	settle(t, "frames delivered", func() bool { return len(c.link.peer.in) == 0 })
	if now := take(s); now.tcp > before.tcp+backlog+1 {
		t.Errorf("before %+v, in the flood %+v", before, now)
	}
	// Delivered segments may still wait for the engine.
	settle(t, "memory of half-open connections only", func() bool { return take(s).heap <= before.heap+backlog*halfOpen })
	// Those who mean it get through.
	open, _ := c.established(l, 80, 1, 65535)
	flood(1000)
	c.send(c.segment(client(0), 80, header.TCPFlagAck|header.TCPFlagPsh, 1, 0, 65535, "")) // not acceptable
	if now := take(s); now.sockets != before.sockets+1 {
		t.Errorf("%d sockets, want one more than %d", now.sockets, before.sockets)
	}
	open[0].Close()
	c.answer(c.reset)
	before.same(t, s, c.clock)

	// So does a listener that is closed in a flood.
	flood(5000)
	l.Close()
	c.answer(nil)
	before.sockets, before.tcp = before.sockets-1, before.tcp-1
	before.same(t, s, c.clock)
}

// reset answers each segment but a reset with one.
func (c *crafter) reset(from, to netip.AddrPort, h header.TCP) {
	if h.Flags()&(header.TCPFlagRst|header.TCPFlagSyn) == 0 {
		go c.send(c.segment(to, from.Port(), header.TCPFlagRst, h.AckNumber(), 0, 0, ""))
	}
}

func TestFragmentsThatNeverComplete(t *testing.T) {
	c := newCrafter(t, Options{})
	s := c.stack.s
	fd := must[int](t)(c.stack.socket(unix.AF_INET, unix.SOCK_DGRAM, 0))
	check(t, c.stack.bind(fd, sa4("0.0.0.0", 7)))
	u := c.stack.fds[fd]
	before := take(s)
	piece := make([]byte, 1400)
	for i := range 20000 {
		from, id := client(i).Addr(), uint16(i/250)
		switch i % 4 {
		case 0, 1: // the first part
			c.send(c.ipv4(from, unix.IPPROTO_UDP, id, 0, true, piece))
		case 2: // the last
			c.send(c.ipv4(from, unix.IPPROTO_UDP, id, 64000, false, piece[:8]))
		case 3: // parts that overlap
			c.send(c.ipv4(from, unix.IPPROTO_UDP, id, 8, true, piece))
			c.send(c.ipv4(from, unix.IPPROTO_UDP, id, 16, true, piece))
		}
	}
	settle(t, "frames delivered", func() bool { return len(c.link.peer.in) == 0 })
	if now := take(s); now.heap > before.heap+16<<20 {
		t.Errorf("before %+v, with fragments %+v", before, now)
	}
	before.same(t, s, c.clock)

	// A datagram in pieces arrives as one.
	datagram := appendUDPFrame(nil, c.link.mac, c.link.peer.mac, client(0).Addr(), stackAddress, 1024, 7, make([]byte, 2000))[34:]
	c.send(c.ipv4(client(0).Addr(), unix.IPPROTO_UDP, 999, 1008, false, datagram[1008:]))
	c.send(c.ipv4(client(0).Addr(), unix.IPPROTO_UDP, 999, 0, true, datagram[:1008]))
	buf := make([]byte, 3000)
	settle(t, "the datagram", func() bool {
		dst := vfs.Bytes(buf)
		n, err := u.Recv(&dst, &Message{})
		return err == nil && n == 2000
	})
	before.same(t, s, c.clock)
}

func TestTinyWindows(t *testing.T) {
	for _, closing := range []struct {
		name string
		peer func(c *crafter) func(from, to netip.AddrPort, h header.TCP)
	}{
		{"a peer that answers nothing more", func(*crafter) func(_, _ netip.AddrPort, _ header.TCP) { return nil }},
		{"a peer that keeps its window shut", func(c *crafter) func(_, _ netip.AddrPort, _ header.TCP) {
			return func(from, to netip.AddrPort, h header.TCP) {
				if h.Flags()&header.TCPFlagRst == 0 {
					go c.send(c.segment(to, from.Port(), header.TCPFlagAck, h.AckNumber(), h.SequenceNumber(), 0, ""))
				}
			}
		}},
		{"a peer that resets", func(c *crafter) func(_, _ netip.AddrPort, _ header.TCP) { return c.reset }},
	} {
		t.Run(closing.name, func(t *testing.T) {
			const n = 100
			c := newCrafter(t, Options{MaxBuffer: 128 << 10})
			s := c.stack.s
			l := c.listener(80, 10)
			before := take(s)
			open, expects := c.established(l, 80, n, 1)
			// Each byte is acknowledged on its own, and the next one let through.
			var got sync.Map
			c.answer(func(from, to netip.AddrPort, h header.TCP) {
				end := h.SequenceNumber() + uint32(len(h.Payload()))
				old, _ := got.Load(to)
				if count, _ := old.(int); count < 20 && len(h.Payload()) > 0 {
					got.Store(to, count+len(h.Payload()))
					go c.send(c.segment(to, 80, header.TCPFlagAck, expects[to], end, 1, ""))
				}
			})
			data := make([]byte, 1<<17)
			for _, k := range open {
				src := vfs.Bytes(data)
				if n, err := k.Write(&src, 0); err != nil || n > 128<<10 {
					t.Fatalf("wrote %d bytes, %v", n, err)
				}
			}
			settle(t, "bytes one by one", func() bool {
				c.clock.Advance(10 * time.Millisecond)
				count := 0
				got.Range(func(_, n any) bool { count += n.(int); return true })
				return count >= n*20
			})
			if now := take(s); now.heap > before.heap+n*256<<10 {
				t.Errorf("before %+v, with full buffers %+v", before, now)
			}
			c.answer(closing.peer(c))
			for _, k := range open {
				k.Close()
			}
			before.same(t, s, c.clock)
		})
	}
}

func TestRSTStorm(t *testing.T) {
	const n = 1000
	c := newCrafter(t, Options{})
	s := c.stack.s
	l := c.listener(80, 10)
	before := take(s)
	for range 3 {
		open, expects := c.established(l, 80, n, 65535)
		if now := take(s); now.tcp != before.tcp+n {
			t.Fatalf("before %+v, with %d connections %+v", before, n, now)
		}
		// Resets out of the window, for ports that nobody has, and for the listener, do nothing [RFC 9293 3.10.7.4].
		for i := range 5000 {
			from := client(i)
			c.send(c.segment(from, 80, header.TCPFlagRst, expects[from]+1<<20, 0, 0, ""))
			c.send(c.segment(from, 81, header.TCPFlagRst, rand.Uint32(), 0, 0, ""))
		}
		for i := range open {
			from := client(i)
			c.send(c.segment(from, 80, header.TCPFlagAck|header.TCPFlagPsh, expects[from], 0, 65535, "")) // wakes nobody
		}
		settle(t, "frames delivered", func() bool { return len(c.link.peer.in) == 0 })
		if now := take(s); now.tcp != before.tcp+n {
			t.Fatalf("before %+v, after resets out of the window %+v", before, now)
		}
		for from, seq := range expects {
			c.send(c.segment(from, 80, header.TCPFlagRst, seq, 0, 0, ""))
		}
		for _, k := range open {
			settle(t, "the reset", func() bool {
				dst := vfs.Bytes(make([]byte, 1))
				_, err := k.Read(&dst, 0)
				return err == unix.ECONNRESET
			})
			k.Close()
		}
		before.same(t, s, c.clock)
	}
}

func TestConnectionsLeaveNothingBehind(t *testing.T) {
	makeGoroutines()
	t.Run("3,000 in a row", func(t *testing.T) {
		a, b, _, _ := testStacks(t, Options{TimeWait: 10 * time.Millisecond})
		l := listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 80), 10)
		once := func() {
			c, err := dial(a, unix.AF_INET, sa4("192.0.2.2", 80))
			check(t, err)
			k, err := acceptOne(l)
			check(t, err)
			src := vfs.Bytes([]byte("x"))
			must[int64](t)(c.Write(&src, 0))
			check(t, readFull(k, make([]byte, 1)))
			c.Close()
			k.Close()
		}
		once()
		beforeA, beforeB := take(a.s), take(b.s)
		for range 3000 { // test/vm has ten thousand
			once()
		}
		beforeA.same(t, a.s, nil)
		beforeB.same(t, b.s, nil)
	})
	t.Run("1,000 at once", func(t *testing.T) {
		a, b, _, _ := testStacks(t, Options{TimeWait: 10 * time.Millisecond})
		l := listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 80), 10)
		var beforeA, beforeB census
		for round := range 3 {
			if round < 2 { // the first makes tables, which don't shrink
				settle(t, "the end of connections", func() bool { return len(a.s.engine.connections())+len(b.s.engine.connections()) == 1 })
				beforeA, beforeB = take(a.s), take(b.s)
			}
			var open []Socket
			for range 1000 {
				c, err := dial(a, unix.AF_INET, sa4("192.0.2.2", 80))
				check(t, err)
				k, err := acceptOne(l)
				check(t, err)
				open = append(open, c.Socket, k)
			}
			if now := take(b.s); now.sockets != beforeB.sockets+1000 || now.tcp != beforeB.tcp+1000 {
				t.Fatalf("before %+v, with 1,000 connections %+v", beforeB, now)
			}
			for _, k := range open {
				k.Close()
			}
			beforeA.same(t, a.s, nil)
			beforeB.same(t, b.s, nil)
		}
	})
}
