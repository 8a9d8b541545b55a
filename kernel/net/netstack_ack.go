package net

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// ackDelay delays acknowledgements [RFC 1122 4.2.3.2], which the engine doesn't: it acknowledges each segment at once, with a
// packet of its own, though the program's answer, a moment later, says the same. On a card where each packet costs an exit
// to the hypervisor that is half of the time of a request and its answer.
//
// An acknowledgement without data is held if it says something new about less than two full segments. It goes out when
// ackDelayTime, or a little more, has passed or another one says more, and not at all if data of the same connection goes out before. What
// tells of loss (the same number again, SACK blocks) or of a window that opens is never held.
type ackDelay struct {
	mu      sync.Mutex
	flows   [ackFlows]ackFlow // guarded by mu, as all below
	held    int               // flows with something held
	running bool              // the timer is
	timer   *time.Timer
	stopped bool
}

const (
	// ackDelayTime is much less than Linux's 40 ms: the guest answers in far less, and a sender that waits for the
	// acknowledgement (Nagle's algorithm) shouldn't lose time.
	ackDelayTime = 2 * time.Millisecond
	// ackFlows is how many connections are remembered; a power of two. One that is forgotten is acknowledged at once.
	ackFlows = 256
	// ackEvery is how much news is told at once: two segments of an Ethernet [RFC 9293 3.8.6.3].
	ackEvery = 2 * 1448
	// plainTCPHeader is the longest TCP header without SACK blocks: 20 bytes and the timestamps' 12.
	plainTCPHeader = header.TCPMinimumSize + 12
)

// ackFlow is what is known of a connection.
type ackFlow struct {
	id   stack.TransportEndpointID
	ack  seqnum.Value // told last
	held segment      // an acknowledgement that waits, if its pkt isn't nil
	news seqnum.Value // its number
	aged bool         // it was held already when the timer expired last
}

// segment is a TCP segment on its way down through the engine, without a network header yet.
type segment struct {
	pkt    *stack.PacketBuffer
	route  *stack.Route
	params stack.NetworkHeaderParams
	to     segmentSender
}

// segmentSender sends segments that ackDelay has held.
type segmentSender interface{ sendHeld(segment) }

// keep has the engine keep what belongs to the segment, and free what it doesn't any more.
func (g *segment) keep() {
	g.pkt.IncRef()
	g.route.Acquire()
}

func (g *segment) free() {
	g.pkt.DecRef()
	g.route.Release()
}

// hold looks at a TCP segment that goes out. It returns true if it has kept it back.
func (a *ackDelay) hold(g segment) bool {
	pkt := g.pkt
	tcp := header.TCP(pkt.TransportHeader().Slice())
	if len(tcp) < header.TCPMinimumSize {
		return false
	}
	id := stack.TransportEndpointID{LocalPort: tcp.SourcePort(), LocalAddress: g.route.LocalAddress(),
		RemotePort: tcp.DestinationPort(), RemoteAddress: g.route.RemoteAddress()}
	ack, flags := seqnum.Value(tcp.AckNumber()), tcp.Flags()
	plain := flags == header.TCPFlagAck && pkt.Data().Size() == 0 && len(tcp) <= plainTCPHeader

	a.mu.Lock()
	f := &a.flows[flowHash(id)]
	old, same := f.take(a), f.id == id
	news := f.ack.Size(ack)
	wait := plain && same && old.pkt == nil && news > 0 && news < ackEvery && !a.stopped
	switch {
	case wait:
		g.keep()
		f.held, f.news, f.aged = g, ack, false
		a.held++
		a.startLocked()
	case flags&header.TCPFlagAck != 0:
		f.id, f.ack = id, ack
	}
	// What was held is superseded if this segment says more, or as much and carries data.
	superseded := same && (f.news.LessThan(ack) || !plain && f.news == ack)
	a.mu.Unlock()
	if old.pkt != nil {
		if !superseded {
			old.to.sendHeld(old)
		}
		old.free()
	}
	return wait
}

// take removes what the flow holds.
func (f *ackFlow) take(a *ackDelay) segment {
	old := f.held
	if old.pkt != nil {
		f.held, f.ack = segment{}, f.news
		a.held--
	}
	return old
}

// startLocked has the timer run. It isn't stopped when nothing is held any more, which happens much more often than it
// expires.
func (a *ackDelay) startLocked() {
	if a.running {
		return
	}
	a.running = true
	if a.timer == nil {
		a.timer = time.AfterFunc(ackDelayTime, a.expire)
	} else {
		a.timer.Reset(ackDelayTime)
	}
}

// expire sends what has been held for the delay, and at most for two.
func (a *ackDelay) expire() {
	a.mu.Lock()
	a.running = false
	var due []segment
	for i, left := 0, a.held; left > 0; i++ {
		f := &a.flows[i]
		if f.held.pkt == nil {
			continue
		}
		left--
		if f.aged || a.stopped {
			due = append(due, f.take(a))
		}
		f.aged = true
	}
	if a.held > 0 {
		a.startLocked()
	}
	a.mu.Unlock()
	for _, g := range due {
		g.to.sendHeld(g)
		g.free()
	}
}

// stop sends what is held, and holds nothing more.
func (a *ackDelay) stop() {
	a.mu.Lock()
	a.stopped = true
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	a.expire()
}

// flowHash spreads connections over the flows.
func flowHash(id stack.TransportEndpointID) uint32 {
	h := uint32(id.LocalPort)<<16 | uint32(id.RemotePort)
	for _, b := range id.RemoteAddress.AsSlice() {
		h = (h ^ uint32(b)) * 16777619 // FNV-1a
	}
	h *= 2654435761
	return h >> 16 & (ackFlows - 1)
}
