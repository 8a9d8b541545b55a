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

// refuses tells whether there is too little memory for what a frame may have the engine keep; no frame can be looked at without any.
func (m *memory) refuses(frame []byte) bool {
	return is(m.low) || m.lacks(needOf(frame), time.Now())
}

// lacks tells whether there is too little memory for a need, and counts it if it is a connection and there is enough.
func (m *memory) lacks(n need, now time.Time) bool {
	switch n {
	case needsRoom:
		return is(m.short)
	case needsConnection:
		if m.crowded != nil && m.crowded(m.openings.recent(now)+1) {
			return true
		}
		m.openings.current++
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

// need is what a frame may have the engine keep.
type need int

const (
	needsNothing    need = iota // it rather frees memory, as an acknowledgement does
	needsRoom                   // for data, a fragment, or a connection of the machine's own that is answered
	needsConnection             // it opens one
)

func needOf(frame []byte) need {
	if len(frame) > smallFrame {
		return needsRoom
	}
	ip := frame[header.EthernetMinimumSize:]
	switch header.Ethernet(frame).Type() {
	case header.IPv4ProtocolNumber:
		h := header.IPv4(ip)
		switch {
		case len(ip) < header.IPv4MinimumSize || int(h.HeaderLength()) > len(ip):
			return needsNothing
		case h.More() || h.FragmentOffset() != 0:
			return needsRoom
		}
		return needOfSegment(h.Protocol(), ip[h.HeaderLength():])
	case header.IPv6ProtocolNumber:
		if len(ip) < header.IPv6MinimumSize {
			return needsNothing
		}
		next := header.IPv6(ip).NextHeader()
		if next == uint8(header.IPv6FragmentHeader) {
			return needsRoom
		}
		return needOfSegment(next, ip[header.IPv6MinimumSize:])
	}
	return needsNothing
}

// needOfSegment is needOf for what is in an IP packet.
func needOfSegment(protocol uint8, segment []byte) need {
	if protocol != uint8(header.TCPProtocolNumber) || len(segment) < header.TCPMinimumSize {
		return needsNothing
	}
	switch flags := header.TCP(segment).Flags(); {
	case !flags.Contains(header.TCPFlagSyn):
		return needsNothing
	case flags.Contains(header.TCPFlagAck):
		return needsRoom
	}
	return needsConnection
}
