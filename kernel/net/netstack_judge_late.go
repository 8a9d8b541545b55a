package net

import (
	"slices"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// maxUnsettled bounds how many frames are kept in mind, of each kind, until their fate is known.
const maxUnsettled = 4096

// fragmentJudge knows which fragments wait for others.
type fragmentJudge struct {
	judge Judge
	clock tcpip.Clock

	mu      sync.Mutex
	waiting map[fragmentKey]*fragmentsWaiting // guarded by mu
	count   int                               // guarded by mu; fragments
}

// fragmentsWaiting are those of a datagram.
type fragmentsWaiting struct {
	numbers []uint64
	timer   tcpip.Timer
}

func (j *fragmentJudge) init(judge Judge, clock tcpip.Clock) {
	j.judge, j.clock, j.waiting = judge, clock, make(map[fragmentKey]*fragmentsWaiting)
}

// fragment takes note of a fragment. whole tells that with it the datagram was. If it was dropped, those which waited were,
// too.
func (j *fragmentJudge) fragment(h *frameHeaders, number uint64, drop string, whole bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if whole || drop == dropIPFragments {
		j.endLocked(h.fragment, drop)
		return
	}
	if drop != "" || j.count == maxUnsettled {
		return
	}
	w := j.waiting[h.fragment]
	if w == nil {
		w = new(fragmentsWaiting)
		j.waiting[h.fragment] = w
		// The engine gives up as long after the first fragment; a moment more, so that it comes first.
		patience := ipv4.ReassembleTimeout
		if h.v6 {
			patience = ipv6.ReassembleTimeout
		}
		key := h.fragment
		w.timer = j.clock.AfterFunc(patience+settleInterval, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			if j.waiting[key] == w {
				j.endLocked(key, dropNotReassembled)
			}
		})
	}
	w.numbers = append(w.numbers, number)
	j.count++
}

func (j *fragmentJudge) endLocked(key fragmentKey, drop string) {
	w := j.waiting[key]
	if w == nil {
		return
	}
	delete(j.waiting, key)
	j.count -= len(w.numbers)
	w.timer.Stop()
	if drop == "" {
		return
	}
	for _, n := range w.numbers {
		j.judge.Dropped(n, drop)
	}
}

func (j *fragmentJudge) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key := range j.waiting {
		j.endLocked(key, "")
	}
}

// requestJudge knows which requests for connections a listener has neither answered nor dropped. The engine looks at
// them on a goroutine of its own, in their order, and counts those that find the listener's queue full.
type requestJudge struct {
	judge Judge
	clock tcpip.Clock

	mu        sync.Mutex
	listeners map[*tcp.Endpoint]*requestsWaiting // guarded by mu
	count     int                                // guarded by mu; requests
	looking   bool                               // guarded by mu; a timer runs
}

// requestsWaiting are those for a listener.
type requestsWaiting struct {
	told     uint64 // what of the listener's count has been told
	requests []*request
}

// request is one of them. Its fields but id and since are guarded by requestJudge.mu.
type request struct {
	id     stack.TransportEndpointID
	since  tcpip.MonotonicTime
	number uint64 // of the frame; 0 while it is being delivered
	void   bool   // the frame was dropped before the listener got it
}

// settleInterval is how often requests are looked at, and requestPatience after how long one is forgotten that has been neither
// answered nor dropped.
const (
	settleInterval  = 20 * time.Millisecond
	requestPatience = 5 * time.Second
)

func (j *requestJudge) init(judge Judge, clock tcpip.Clock) {
	j.judge, j.clock, j.listeners = judge, clock, make(map[*tcp.Endpoint]*requestsWaiting)
}

// add takes note of a request. was is the listener's count before it.
func (j *requestJudge) add(listener *tcp.Endpoint, was uint64, id stack.TransportEndpointID) *request {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.count == maxUnsettled {
		return nil
	}
	l := j.listeners[listener]
	if l == nil {
		l = &requestsWaiting{told: was}
		j.listeners[listener] = l
	}
	r := &request{id: id, since: j.clock.NowMonotonic()}
	l.requests = append(l.requests, r)
	j.count++
	if !j.looking {
		j.looking = true
		j.clock.AfterFunc(settleInterval, j.look)
	}
	return r
}

// settle says which frame the request came in, when that has been delivered or dropped.
func (j *requestJudge) settle(r *request, number uint64, drop string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.number, r.void = number, drop != ""
}

// sent looks at a packet that goes out: a SYN-ACK means that the request was not dropped.
func (j *requestJudge) sent(pkt *stack.PacketBuffer) {
	h := header.TCP(pkt.TransportHeader().Slice())
	if len(h) < header.TCPMinimumSize || !h.Flags().Contains(header.TCPFlagSyn|header.TCPFlagAck) {
		return
	}
	src, dst := addressesOf(pkt)
	id := stack.TransportEndpointID{LocalAddress: src, LocalPort: h.SourcePort(), RemoteAddress: dst, RemotePort: h.DestinationPort()}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.listeners {
		for i := range l.requests {
			if l.requests[i].id == id {
				l.requests = append(l.requests[:i], l.requests[i+1:]...)
				j.count--
				return
			}
		}
	}
}

func (j *requestJudge) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.listeners)
	j.count = 0
}

// look settles the requests of each listener that has dropped as many as are left: those have been.
func (j *requestJudge) look() {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock.NowMonotonic()
	for listener, l := range j.listeners {
		before := len(l.requests)
		delivering := false
		l.requests = slices.DeleteFunc(l.requests, func(r *request) bool {
			delivering = delivering || r.number == 0
			return r.void || now.Sub(r.since) > requestPatience
		})
		if n := uint64(len(l.requests)); n > 0 && !delivering && tcpCountsOf(listener).listenFull-l.told >= n {
			for _, r := range l.requests {
				j.judge.Dropped(r.number, dropTCPListenFull)
			}
			l.requests = nil
		}
		j.count -= before - len(l.requests)
		if len(l.requests) == 0 {
			delete(j.listeners, listener)
		}
	}
	if j.looking = len(j.listeners) > 0; j.looking {
		j.clock.AfterFunc(settleInterval, j.look)
	}
}
