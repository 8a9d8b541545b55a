package net

import (
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// Linux's default net.ipv4.ip_local_port_range [ip(7)].
const (
	firstEphemeralPort = 32768
	lastEphemeralPort  = 60999
)

// portWindow is among how many ports the engine chooses.
const portWindow = 32

// portRange has the engine choose ports that have not been used for long. By itself it takes any of the range, at times one whose
// last connection has just ended; while the peer still remembers that, it resets the new one if its sequence number, which the engine
// takes from a clock, is in the old one's window [RFC 9293 3.10.7.4]. So the engine is shown a window that moves on through the range
// with each port, which is about random increments [RFC 6056 3.3.5].
type portRange struct {
	set func(first, last uint16) tcpip.Error // the engine's range

	mu   sync.Mutex // held, too, while the engine has the whole range
	next uint16     // where the next window begins
}

// newPortRange returns one whose first window is chosen at random.
func newPortRange(random uint32, set func(first, last uint16) tcpip.Error) *portRange {
	return &portRange{set: set, next: firstEphemeralPort + uint16(random%(lastEphemeralPort-firstEphemeralPort+1))}
}

// choose calls f, in which the engine may choose a port; once more, with the whole range, if none in the window is free. It fails with
// none if none in the range is.
func (p *portRange) choose(none error, f func() tcpip.Error) error {
	p.move()
	err := f() // others may move the window meanwhile, which does no harm
	if isNoPort(err) {
		err = p.whole(f)
	}
	if isNoPort(err) {
		return none
	}
	return errno(err)
}

func isNoPort(err tcpip.Error) bool {
	_, is := err.(*tcpip.ErrNoPortAvailable)
	return is
}

// whole calls f with the whole range.
func (p *portRange) whole(f func() tcpip.Error) tcpip.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(firstEphemeralPort, lastEphemeralPort)
	return f()
}

// move shows the engine the next window.
func (p *portRange) move() {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := min(uint32(p.next)+portWindow-1, lastEphemeralPort)
	p.set(p.next, uint16(last))
	p.next = uint16(last) + 1
	if last == lastEphemeralPort {
		p.next = firstEphemeralPort
	}
}
