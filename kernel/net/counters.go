package net

// Counters calls visit with the name and value of each counter of the stack, of what went through and of what was
// dropped for which reason. Names are stable: "eth0.rx-dropped-runt", "udp.receive-queue-full".
func (s *Stack) Counters(visit func(name string, value uint64)) {
	visit("sockets.open", uint64(s.open.Load()))
	visit("udp.receive-queue-full", s.overflow.Load())
	visit("udp.receive-no-memory", s.starved.Load())
	s.mu.Lock()
	links := s.links
	s.mu.Unlock()
	for _, l := range links {
		s.engine.linkCounters(l.index, func(name string, value uint64) { visit(l.name+"."+name, value) })
	}
	s.engine.counters(visit)
	s.vsock.counters(visit)
}

// Drops is implemented by sockets with a receive queue of their own: the number of datagrams that found it full.
type Drops interface {
	Dropped() uint64
}

// Dropped implements Drops.
func (s *datagramSocket) Dropped() uint64 { return s.queue.dropped.Load() }
