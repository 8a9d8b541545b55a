package net

import (
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/packet"
)

// The seam between the socket layer and the TCP/IP engine. Everything above it speaks in Linux's terms
// (errors are unix.Errno, addresses netip.Addr) and knows nothing of the engine; everything below it is in
// the files named netstack*.go, the only ones that import gVisor's tcpip packages (a test checks it).

// endpoint is a transport address. The zero Addr means "any". scope is the index of an
// interface, or 0; it matters for link-local and multicast addresses.
type endpoint struct {
	addr  netip.Addr
	port  uint16
	scope uint32
}

// protocol is a transport that datagram sockets can speak.
type protocol int

const (
	protocolUDP  protocol = iota
	protocolPing          // ICMP echo through SOCK_DGRAM [icmp(7)]
	protocolRaw           // raw(7)
)

// engine is what the socket layer needs of a TCP/IP implementation.
type engine interface {
	// newStream makes an endpoint that reports to q.
	newStream(ipv6 bool, q *waiter.Queue) stream
	// newDatagram makes an endpoint whose received datagrams go to rx. number is the IP protocol
	// of a raw endpoint.
	newDatagram(p protocol, number uint8, ipv6 bool, rx datagramSink) (datagram, error)

	// addLink makes an interface out of link; its index is given back by routes and addresses. judge may be nil.
	addLink(index uint32, name string, link Link, judge Judge) error
	// setTap has tap look at each frame that the interface receives, before all else; true: it has taken the frame.
	setTap(index uint32, tap func(frame []byte, checksum packet.Checksum) bool)
	// linkStats are the frames and bytes that the interface has moved.
	linkStats(index uint32) linkStats
	linkCounters(index uint32, visit func(name string, value uint64))

	addAddress(index uint32, p netip.Prefix) error
	removeAddress(index uint32, a netip.Addr) error
	addresses(index uint32) []netip.Prefix
	// addRoute sends what is for dst through the gateway, or straight onto the link if it is the zero Addr.
	addRoute(index uint32, dst netip.Prefix, gateway netip.Addr)
	removeRoute(index uint32, dst netip.Prefix, gateway netip.Addr)
	routes() []route

	// counters calls visit with each counter of the engine.
	counters(visit func(name string, value uint64))
	// connections lists the TCP connections and listeners, and the UDP endpoints that have a port.
	connections() []connection
	// unfinished is the number of TCP connections that programs have closed and whose peers have not yet acknowledged all
	// that was sent.
	unfinished() int
	// close stops the engine's goroutines and timers.
	close()
}

// linkStats are the counters of an interface, as in rtnl_link_stats(7).
type linkStats struct {
	rxPackets, txPackets, rxBytes, txBytes, rxDropped, txDropped uint64
}

// route is one line of the routing table.
type route struct {
	index   uint32
	dst     netip.Prefix
	gateway netip.Addr
}

// streamState is where a stream is in its life, as far as Linux's answers depend on it.
type streamState int

const (
	streamInitial streamState = iota // not bound, or bound only
	streamListening
	streamConnecting
	streamEstablished
	streamFinWait   // we closed our half
	streamCloseWait // the peer closed its half
	streamClosing   // both halves are closed, the peer has not said that it knows
	streamDone      // both halves are closed
	streamFailed    // reset, refused or timed out
)

// stream is a TCP connection or listener. Its methods never block; unix.EAGAIN says that it
// can't go on yet, and queue tells of changes.
type stream interface {
	queue() *waiter.Queue
	bind(e endpoint) error
	// connect starts a connection and returns unix.EINPROGRESS; called again it tells how it goes
	// (unix.EALREADY, unix.EISCONN, nil once, or the failure once).
	connect(e endpoint) error
	listen(backlog int) error
	// accept also returns the peer, which is known also of a connection that has been reset.
	accept() (stream, endpoint, error)
	local() endpoint
	// source is the address that a connection to a peer would have here; not valid if no way leads there.
	source(peer endpoint) netip.Addr
	// peer returns unix.ENOTCONN if there is none.
	peer() (endpoint, error)
	// read stores received bytes; 0 with a nil error is the end of the stream.
	read(dst io.Writer, peek bool) (int, error)
	// readable is the number of bytes that can be read at once.
	readable() int
	// write takes bytes as far as the send buffer has room.
	write(src source, more bool) (int, error)
	shutdown(read, write bool) error
	// ready tells whether there is something to read (bytes, the end, or a connection to
	// accept), and room to write; and, while this side may still write, whether the peer's half has ended. When
	// the queue tells of the end, ready knows it already; state may learn of it after that.
	ready() (in, out, ended bool)
	state() streamState
	// takeError returns the pending error (SO_ERROR) and clears it.
	takeError() error
	setOption(o option, v int) error
	option(o option) (int, error)
	congestion() string
	setCongestion(name string) error
	info() streamInfo
	// close gives the endpoint back; the connection is finished in the background.
	close()
}

// streamInfo is what TCP_INFO tells; times in microseconds.
type streamInfo struct {
	state                 uint8 // as in Linux's tcp_states.h
	congestionState       uint8
	rtoUS, rttUS, rttVar  uint32
	sndCwnd, sndSsthresh  uint32
	sndMSS, rcvSpaceBytes uint32
}

// source is where a message's bytes come from.
type source interface {
	io.Reader
	Len() int
}

// datagram is a UDP, ping or raw IP endpoint. Sending never blocks.
type datagram interface {
	bind(e endpoint) error
	connect(e endpoint) error
	disconnect() error
	local() endpoint
	// peer returns unix.ENOTCONN if there is none.
	peer() (endpoint, error)
	// send sends one datagram to the peer, or to an address that is valid.
	send(src source, to endpoint, c *sendControl) (int, error)
	setOption(o option, v int) error
	option(o option) (int, error)
	joinGroup(index uint32, local, group netip.Addr) error
	leaveGroup(index uint32, local, group netip.Addr) error
	setMulticastInterface(index uint32, local netip.Addr) error
	// setICMPv6Filter has a raw ICMPv6 socket not want the types whose bits are set: bit t%32 of word t/32 [RFC 3542 3.2].
	setICMPv6Filter(blocked [8]uint32)
	icmpv6Filter() (blocked [8]uint32)
	// multicastInterface returns the interface that was set, 0 for none, and the address by which it was set, if it was.
	multicastInterface() (index uint32, local [4]byte)
	close()
}

// sendControl is what ancillary data asks for one datagram.
type sendControl struct {
	hasTTL bool
	ttl    uint8
	hasTOS bool
	tos    uint8
	local  netip.Addr // source address, if valid
	index  uint32     // outgoing interface, if not 0

	hasSegment bool
	segment    uint16 // UDP_SEGMENT; 0: none
}

// datagramSink takes what a datagram endpoint receives. It runs on the goroutine that
// received the packet and must not block.
type datagramSink interface {
	// It returns why the datagram was dropped, "" if it wasn't.
	deliver(d received) (drop string)
	// wantsErrors tells whether all ICMP errors are wanted, with what they quote; if not, only those that are hard, and only
	// while the endpoint is connected.
	wantsErrors(ipv6 bool) bool
	// fail reports an ICMP error about something that the endpoint has sent; it is quoted if that is wanted.
	fail(e icmpError, quoted bool)
}

// icmpError is an ICMP error about a datagram.
type icmpError struct {
	err       unix.Errno
	ipv6      bool
	typ, code uint8
	info      uint32 // the MTU, if the datagram was too big

	// What it quotes.
	to       endpoint // of the datagram
	offender endpoint // who has sent the error
	data     []byte   // of the datagram, as much as is quoted
}

// received is one datagram with what is known about it.
type received struct {
	from    endpoint
	to      netip.Addr // destination address in its IP header
	index   uint32     // interface that received it
	ttl     uint8      // TTL or hop limit
	tos     uint8      // TOS or traffic class
	ipv6    bool
	timeNS  int64 // wall-clock time of arrival, if somebody has asked for it
	payload payload
}

// payload is the data of a received datagram, in the engine's memory.
type payload interface {
	Len() int
	// Cost is the memory that the datagram holds, in bytes.
	Cost() int
	// CopyTo writes the data to w, as far as it takes it.
	CopyTo(w io.Writer) (int, error)
	Retain() // one more user
	Release()
}

// option is an integer option of an endpoint; durations are in milliseconds, booleans 0 or 1.
type option int

const (
	optV6Only option = iota
	optReuseAddr
	optReusePort
	optBroadcast
	optKeepAlive
	optLingerMS // -1: off
	optRcvBuf
	optRcvRoom // what is left of optRcvBuf while memory is tight; can't be set
	optSndBuf
	optBindToDevice
	optTTL // 0: the default; IPv4
	optHopLimit
	optTOS
	optTClass
	optMulticastTTL
	optMulticastHops
	optMulticastLoop
	optMTUDiscover
	optMTUDiscover6
	optNoDelay
	optCork
	optQuickAck
	optKeepIdleMS
	optKeepIntervalMS
	optKeepCount
	optUserTimeoutMS
	optDeferAcceptMS
	optLinger2MS
	optMaxSeg
	optSynCount
	optWindowClamp
	optMark
	optSegment    // size of the datagrams that a send becomes, 0: it is one [udp(7), UDP_SEGMENT]
	optICMPFilter // bit n: a raw ICMP socket doesn't want type n [raw(7)]
)
