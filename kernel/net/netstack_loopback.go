package net

import (
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// loopbackLink is the engine's loopback, which loses what there is too little memory for, as other links do. Data isn't looked at: the
// engine has it already, and sockets ask before they take some from programs.
type loopbackLink struct {
	stack.LinkEndpoint
	dropped atomic.Uint64 // for want of memory

	mu     sync.Mutex
	memory memory // guarded by mu
}

func newLoopbackLink(m memory) *loopbackLink {
	return &loopbackLink{LinkEndpoint: loopback.New(), memory: m}
}

// WritePackets implements stack.LinkEndpoint.
func (l *loopbackLink) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range pkts.AsSlice() {
		n++
		if l.refuses(pkt) {
			l.dropped.Add(1)
			continue
		}
		one := pkts // where all are of one packet nothing is allocated
		if pkts.Len() > 1 {
			one = stack.PacketBufferList{}
			one.PushBack(pkt)
		}
		if _, err := l.LinkEndpoint.WritePackets(one); err != nil {
			return n - 1, err
		}
	}
	return n, nil
}

// refuses tells whether there is too little memory for what a packet may have the engine keep.
func (l *loopbackLink) refuses(pkt *stack.PacketBuffer) bool {
	if is(l.memory.low) {
		return true
	}
	need := needOfSegment(uint8(pkt.TransportProtocolNumber), pkt.TransportHeader().Slice())
	if need == needsNothing {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory.lacks(need, time.Now())
}
