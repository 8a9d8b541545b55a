package net

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// memory tells how much the kernel has left for the frames that a link receives, by functions of Options; nil ones say that there is enough.
type memory struct {
	short, low func() bool
	crowded    func(connections int) bool
	openings   openings
}

// is is what a function of memory says.
func is(state func() bool) bool { return state != nil && state() }

// refuses tells whether there is too little memory for what a frame may have the engine keep. Others, such as acknowledgements, rather free
// memory, but no frame can be looked at without any.
func (m *memory) refuses(frame []byte) bool {
	switch {
	case is(m.low):
		return true
	case len(frame) > smallFrame: // data
		return is(m.short)
	}
	opens, fragment := opening(frame)
	switch {
	case opens && m.crowded != nil:
		if m.crowded(m.openings.recent(time.Now()) + 1) {
			return true
		}
		m.openings.current++
	case fragment:
		return is(m.short)
	}
	return false
}

// openings counts the connections that were asked for of late: the engine takes memory for them when it gets round to them, and by then
// hundreds more may have come.
type openings struct {
	start         time.Time // of the period
	last, current int       // in the period before, and in this one so far
}

// openingPeriod is longer than the engine takes to get round to a segment, but for a collection of garbage.
const openingPeriod = 25 * time.Millisecond

// recent returns how many there were in the last one or two periods.
func (o *openings) recent(now time.Time) int {
	switch d := now.Sub(o.start); {
	case d >= 2*openingPeriod:
		o.last, o.current, o.start = 0, 0, now
	case d >= openingPeriod:
		o.last, o.current, o.start = o.current, 0, now
	}
	return o.last + o.current
}

// smallFrame is the size of a frame that carries hardly more than headers, with TCP's options.
const smallFrame = header.EthernetMinimumSize + header.IPv6MinimumSize + header.TCPHeaderMaximumSize

// opening tells whether a frame opens a connection, or is a fragment, which may.
func opening(frame []byte) (opens, fragment bool) {
	ip := frame[header.EthernetMinimumSize:]
	switch header.Ethernet(frame).Type() {
	case header.IPv4ProtocolNumber:
		h := header.IPv4(ip)
		if len(ip) < header.IPv4MinimumSize || int(h.HeaderLength()) > len(ip) {
			return false, false
		}
		return hasSYN(h.Protocol(), ip[h.HeaderLength():]), h.More() || h.FragmentOffset() != 0
	case header.IPv6ProtocolNumber:
		if len(ip) < header.IPv6MinimumSize {
			return false, false
		}
		next := header.IPv6(ip).NextHeader()
		return hasSYN(next, ip[header.IPv6MinimumSize:]), next == uint8(header.IPv6FragmentHeader)
	}
	return false, false
}

// hasSYN tells whether a segment is one of TCP that opens a connection.
func hasSYN(protocol uint8, segment []byte) bool {
	return protocol == uint8(header.TCPProtocolNumber) && len(segment) >= header.TCPMinimumSize &&
		header.TCP(segment).Flags().Contains(header.TCPFlagSyn)
}
