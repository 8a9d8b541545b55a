package net

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
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
	send func(*stack.PacketBuffer) tcpip.Error

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
	ack  seqnum.Value        // told last
	held *stack.PacketBuffer // an acknowledgement that waits, or nil
	news seqnum.Value        // its number
	aged bool                // it was held already when the timer expired last
}

// hold looks at a TCP segment that goes out. It returns true if it has kept it back.
func (a *ackDelay) hold(pkt *stack.PacketBuffer) bool {
	tcp := header.TCP(pkt.TransportHeader().Slice())
	if len(tcp) < header.TCPMinimumSize {
		return false
	}
	src, dst := addressesOf(pkt)
	id := stack.TransportEndpointID{LocalPort: tcp.SourcePort(), LocalAddress: src,
		RemotePort: tcp.DestinationPort(), RemoteAddress: dst}
	ack, flags := seqnum.Value(tcp.AckNumber()), tcp.Flags()
	plain := flags == header.TCPFlagAck && pkt.Data().Size() == 0 && len(tcp) <= plainTCPHeader

	a.mu.Lock()
	f := &a.flows[flowHash(id)]
	old, same := f.take(a), f.id == id
	news := f.ack.Size(ack)
	wait := plain && same && old == nil && news > 0 && news < ackEvery && !a.stopped
	switch {
	case wait:
		f.held, f.news, f.aged = pkt.IncRef(), ack, false
		a.held++
		a.startLocked()
	case flags&header.TCPFlagAck != 0:
		f.id, f.ack = id, ack
	}
	// What was held is superseded if this segment says more, or as much and carries data.
	superseded := same && old != nil && (f.news.LessThan(ack) || !plain && f.news == ack)
	a.mu.Unlock()
	if old != nil {
		if !superseded {
			a.send(old)
		}
		old.DecRef()
	}
	return wait
}

// take removes the flow's held packet.
func (f *ackFlow) take(a *ackDelay) *stack.PacketBuffer {
	old := f.held
	if old != nil {
		f.held, f.ack = nil, f.news
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
	var due []*stack.PacketBuffer
	for i, left := 0, a.held; left > 0; i++ {
		f := &a.flows[i]
		if f.held == nil {
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
	for _, pkt := range due {
		a.send(pkt)
		pkt.DecRef()
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
