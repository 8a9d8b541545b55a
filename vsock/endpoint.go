package vsock

import (
	"fmt"
	"sync"
	"time"

	"wick/packet"
)

// Config is what an Endpoint is made of. Fields that are not set have defaults.
type Config struct {
	// Addressed tells whether a packet may come from the one CID and is for us if it goes to the other. Packets for which
	// it is false are dropped without a word [virtio 5.10.6.5]. It must be set, and must not call the Endpoint.
	Addressed func(from, to uint32) bool
	// Request is called with each connection that a peer asks for; it calls Accept or Refuse, at once or later. Without it
	// all are refused.
	Request func(*Conn)
	// Ready is called when there is something to be had from Output, if the last call said that there was nothing. It may be
	// called by any call of the package and at any time, but with no lock held.
	Ready func()

	MaxConns int    // connections at a time, both ways; default 1023
	BufAlloc uint32 // receive buffer of a connection, in bytes; default DefaultBufAlloc
	// Memory bounds the receive buffers of all connections together, in bytes, and what they have written and not sent in the same
	// way; 0: no bound but MaxConns. A connection's buffer may then be smaller than is asked for, and grow.
	Memory    int
	CloseTime time.Duration // how long a peer may take to answer the last SHUTDOWN; default 8 s, Linux's

	// AfterFunc is the clock, time.AfterFunc unless a test has another. It is called with a lock held, so it must not call f
	// itself; nor may stop.
	AfterFunc func(d time.Duration, f func()) (stop func() bool)
}

// DefaultBufAlloc is the receive buffer of a connection unless something else is asked for, in bytes: Linux's.
const DefaultBufAlloc = 256 << 10

// maxBufAlloc bounds the receive buffer of a connection, in bytes, so that the arithmetic of credit holds.
const maxBufAlloc = 1 << 30

const (
	defaultMaxConns  = 1023
	defaultCloseTime = 8 * time.Second // VSOCK_CLOSE_TIMEOUT
)

// maxResets is how many answers to strangers may wait for Output until the endpoint is congested.
const maxResets = 256

// Endpoint is one end of a transport with all its connections. It is safe for concurrent use. The hooks that it is given
// are called without its lock.
type Endpoint struct {
	cfg Config

	mu       sync.Mutex
	conns    map[key]*Conn // guarded by mu, as all below; those that have no RST sent or received yet
	resets   []Header      // RSTs of connections that are no more, or never were
	first    *Conn         // connections with something to send, in the order of their turns
	last     *Conn
	idle     bool // Output has told that there is nothing
	counters Counters
	shared   int // of Config.Memory

	changed *Conn  // to be told by unlock; an operation changes one connection at most
	asked   *Conn  // to be handed to Config.Request by unlock
	drop    string // why Input drops its packet
}

// key is what tells connections apart.
type key struct{ local, peer Addr }

// New returns an Endpoint without connections.
func New(c Config) *Endpoint {
	if c.MaxConns == 0 {
		c.MaxConns = defaultMaxConns
	}
	if c.BufAlloc == 0 {
		c.BufAlloc = DefaultBufAlloc
	}
	c.BufAlloc = min(c.BufAlloc, maxBufAlloc)
	if c.CloseTime == 0 {
		c.CloseTime = defaultCloseTime
	}
	if c.AfterFunc == nil {
		c.AfterFunc = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	return &Endpoint{cfg: c, conns: make(map[key]*Conn), idle: true}
}

// unlock releases mu and then tells what has happened meanwhile.
func (e *Endpoint) unlock() {
	var notify, ready func()
	if e.changed != nil {
		notify = e.changed.notify
		e.changed = nil
	}
	asked := e.asked
	e.asked = nil
	if e.idle && e.pendingLocked() {
		e.idle = false
		ready = e.cfg.Ready
	}
	e.mu.Unlock()
	if notify != nil {
		notify()
	}
	if asked != nil {
		e.cfg.Request(asked)
	}
	if ready != nil {
		ready()
	}
}

func (e *Endpoint) pendingLocked() bool { return len(e.resets) > 0 || e.first != nil }

// Input takes in a packet: its header and its data, in pieces. Neither is kept. The data may be longer than the header
// says, as buffers are. It returns why the packet was dropped, "" if it wasn't.
func (e *Endpoint) Input(h *Header, data ...[]byte) (drop string) {
	addressed := e.cfg.Addressed(h.From.CID, h.To.CID)
	e.mu.Lock()
	e.drop = ""
	if addressed {
		e.inputLocked(h, data)
	} else {
		e.counters.WrongAddress++
		e.drop = DropWrongAddress
	}
	asked, drop := e.asked, e.drop
	e.unlock()
	if asked != nil && asked.refusal() != "" {
		drop = asked.refusal()
	}
	return drop
}

// Why Input drops packets.
const (
	DropWrongAddress = "vsock-wrong-address" // addresses that aren't of the two ends
	DropNoConnection = "vsock-no-connection" // not of a connection, or of a type that there is none of
	DropNoListener   = "vsock-no-listener"   // a request for what nobody serves
	DropBacklogFull  = "vsock-backlog-full"  // a request for what is served too slowly
	DropTooMany      = "vsock-too-many"      // a request when there are as many connections as there may be
	DropNoMemory     = "vsock-no-memory"     // a request that there is no memory for
	DropViolation    = "vsock-violation"     // what ends the connection, because it breaks the rules
	DropShut         = "vsock-receive-shut"  // data that nobody will read
)

func (e *Endpoint) inputLocked(h *Header, data [][]byte) {
	e.counters.Received++
	c := e.conns[key{h.To, h.From}]
	switch {
	case h.Type != packet.VsockStream:
		e.strangerLocked(h)
	case c != nil:
		c.inputLocked(h, data)
	case h.Op == packet.VsockRequest:
		e.requestLocked(h)
	default:
		e.strangerLocked(h)
	}
}

// requestLocked handles a request for a new connection.
func (e *Endpoint) requestLocked(h *Header) {
	why := ""
	switch {
	case e.cfg.Request == nil:
		why = DropNoListener
	case !e.roomLocked():
		why = DropNoMemory
	case e.checkRoomLocked() != nil:
		why = DropTooMany
	}
	if why != "" {
		e.strangerLocked(h)
		e.drop = why
		return
	}
	c := e.newConnLocked(key{h.To, h.From}, requested)
	c.send.update(h.BufAlloc, h.FwdCnt)
	e.asked = c
}

// requestAgainLocked handles a request for a connection that this end has yet to answer: the peer has given up, as Linux does
// without a word, and asks once more. It is answered once, so what is known of the first goes.
func (e *Endpoint) requestAgainLocked(c *Conn, h *Header) {
	c.endLocked(ErrReset)
	e.requestLocked(h)
}

// strangerLocked answers a packet that belongs to no connection with RST [virtio 5.10.6.6], unless it is one.
func (e *Endpoint) strangerLocked(h *Header) {
	e.drop = DropNoConnection
	if h.Op == packet.VsockReset {
		return
	}
	e.counters.Strangers++
	if len(e.resets) >= maxResets {
		e.counters.Unanswered++
		return
	}
	e.resets = append(e.resets, Header{From: h.To, To: h.From, Type: h.Type, Op: packet.VsockReset})
}

// Congested tells that answers wait until Output is called. Whoever can let packets wait does so then: of packets that
// come nevertheless those that would have to be answered by RST get no answer.
func (e *Endpoint) Congested() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.resets) >= maxResets
}

// checkRoomLocked tells whether another connection fits. Those whose RST has yet to go count: so nobody gets more by
// going through connections faster than packets are taken.
func (e *Endpoint) checkRoomLocked() error {
	if len(e.conns)+len(e.resets) >= e.cfg.MaxConns+maxResets || len(e.conns) >= e.cfg.MaxConns || !e.roomLocked() {
		return ErrTooMany
	}
	return nil
}

// Output writes the next packet that is to be sent, header and data, into the pieces of a buffer, and returns its length
// in bytes. 0 means that there is none: Config.Ready tells when there is one. Data goes as far as there is room, and at
// most MaxData; connections take turns.
func (e *Endpoint) Output(to ...[]byte) (int, error) {
	room := -HeaderSize
	for _, piece := range to {
		room += len(piece)
	}
	if room < 1 {
		return 0, fmt.Errorf("%w: %d bytes", ErrSmall, room+HeaderSize)
	}
	e.mu.Lock()
	defer e.unlock()
	h, c := e.nextLocked(min(room, MaxData))
	if h.Op == 0 {
		e.idle = true
		return 0, nil
	}
	e.counters.Sent++
	var b [HeaderSize]byte
	place := scatter{to: to}
	place.write(h.Append(b[:0]))
	if h.Len > 0 {
		e.counters.SentBytes += uint64(h.Len)
		c.takeLocked(int(h.Len), &place)
	}
	if c != nil {
		c.queueLocked() // for what else it has to send
	}
	return HeaderSize + int(h.Len), nil
}

// nextLocked chooses the next packet, with data of at most room bytes. Its Op is 0 if there is none.
func (e *Endpoint) nextLocked(room int) (Header, *Conn) {
	if len(e.resets) > 0 {
		h := e.resets[0]
		e.resets = e.resets[1:]
		return h, nil
	}
	for e.first != nil {
		c := e.first
		e.first, c.next = c.next, nil
		c.queued = false
		if e.first == nil {
			e.last = nil
		}
		if h := c.packetLocked(room); h.Op != 0 {
			return h, c
		}
	}
	return Header{}, nil
}

// scatter is a buffer in pieces, and how far it is filled.
type scatter struct {
	to [][]byte
	at int // in the first
}

// write copies p, for which there must be room.
func (s *scatter) write(p []byte) {
	for len(p) > 0 {
		n := copy(s.to[0][s.at:], p)
		p = p[n:]
		if s.at += n; s.at == len(s.to[0]) {
			s.to, s.at = s.to[1:], 0
		}
	}
}

// Connect asks a peer for a connection, which is established, or over, when the hook of Notify is called and Err tells so.
// notify may be nil. The local address must be one for which Config.Addressed is true.
func (e *Endpoint) Connect(local, peer Addr, timeout time.Duration, notify func()) (*Conn, error) {
	e.mu.Lock()
	defer e.unlock()
	k := key{local, peer}
	if e.conns[k] != nil {
		return nil, ErrInUse
	}
	if err := e.checkRoomLocked(); err != nil {
		return nil, err
	}
	c := e.newConnLocked(k, connecting)
	c.ours = true
	c.notify = notify
	c.pending = sendRequest
	c.queueLocked()
	c.startLocked(timeout)
	return c, nil
}

// Abort ends all connections with ErrTransport, as a reset of the transport does [virtio 5.10.6.7]. Nobody is told but
// the owners of the connections, and nothing is left to be sent.
func (e *Endpoint) Abort() {
	e.mu.Lock()
	var hooks []func()
	for _, c := range e.conns {
		c.endLocked(ErrTransport)
		if c.notify != nil {
			hooks = append(hooks, c.notify)
		}
	}
	for c := e.first; c != nil; {
		next := c.next
		c.next, c.queued = nil, false
		c = next
	}
	e.first, e.last, e.resets, e.changed = nil, nil, nil, nil
	e.mu.Unlock()
	for _, hook := range hooks {
		hook()
	}
}

// Counters count since the Endpoint was made.
type Counters struct {
	Received, Sent           uint64 // packets
	ReceivedBytes, SentBytes uint64 // of data
	WrongAddress             uint64 // packets dropped because of their CIDs
	Strangers                uint64 // packets that belong to no connection, or whose request is refused at once
	Unanswered               uint64 // of those, the ones that got no answer
	Discarded                uint64 // bytes of data that came after this end had stopped to read
	Violations               uint64 // connections ended because the peer broke the rules
}

// Counters returns the counters.
func (e *Endpoint) Counters() Counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counters
}

// Len returns the number of connections.
func (e *Endpoint) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}
