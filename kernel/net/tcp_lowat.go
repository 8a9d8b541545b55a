package net

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/waiter"
)

// segmentCost is the most memory that a segment takes in a receive buffer besides its data, in bytes: a frame's buffer and
// the engine's records of it.
const segmentCost = 4096

// arrivals counts the segments that have come since the last read, because what the engine keeps of them fills the receive
// buffer too, and closes the window: a program that waits for more data than there is room for would wait for ever.
type arrivals struct {
	entry waiter.Entry
	on    bool // guarded by streamSocket.mu: entry is registered
	n     atomic.Int32
}

// NotifyEvent implements waiter.EventListener.
func (a *arrivals) NotifyEvent(waiter.EventMask) { a.n.Add(1) }

// setRecvLowat is SO_RCVLOWAT. As on Linux the receive buffer grows, so that so much finds room in it [tcp_set_rcvlowat].
func (s *streamSocket) setRecvLowat(n int) error {
	n = min(n, s.stack.options.MaxBuffer/2)
	s.mu.Lock()
	if !s.arrived.on && n > 1 {
		s.arrived.on = true
		s.arrived.n.Store(int32(s.stream().readable())) // at most so many segments
		s.arrived.entry.Init(&s.arrived, waiter.ReadableEvents)
		s.wait.EventRegister(&s.arrived.entry)
	}
	s.mu.Unlock()
	s.rcvLowat.Store(int32(n))
	room, err := s.stream().option(optRcvRoom)
	if err != nil {
		return err
	}
	if most := min(8*n, s.stack.options.MaxBuffer); most > room { // see readableLowat: full segments take 3 times their data more
		err = s.setRecorded(optRcvBuf, most)
	}
	s.wait.Notify(waiter.ReadableEvents) // it may be enough now
	return err
}

// readableLowat tells whether what can be read is enough for the program [tcp_stream_is_readable]: SO_RCVLOWAT, or half of
// what there is room for.
func (s *streamSocket) readableLowat(ep stream) bool {
	least := s.RecvLowat()
	if least == 1 {
		return true
	}
	n := ep.readable()
	if n == 0 || n >= least {
		return n > 0
	}
	room, err := ep.option(optRcvRoom)
	return err != nil || n+int(s.arrived.n.Load())*segmentCost >= room/2
}
