package packet

import "encoding/binary"

// vsockConn is what is remembered of a vsock connection.
type vsockConn struct {
	key   endpoints
	used  uint32 // when, on the table's clock; 0: the entry is free
	sides [2]vsockSide
}

// vsockSide is what one end has told and done.
type vsockSide struct {
	whole    bool   // all its packets have been seen, so that sent is right
	heard    bool   // bufAlloc and fwdCnt are valid
	sent     uint32 // payload bytes, modulo 2³² (tx_cnt)
	bufAlloc uint32
	fwdCnt   uint32
}

// maxVsocks is how many connections are remembered.
const maxVsocks = 256

// vsockTable remembers the connections used last. Its memory is allocated with the first.
type vsockTable struct {
	entries []vsockConn
	clock   uint32
	lost    bool // one has been forgotten, or was open before
}

// find returns the entry of a connection, or nil.
func (t *vsockTable) find(k *endpoints) *vsockConn {
	for i := range t.entries {
		if c := &t.entries[i]; c.used != 0 && c.key == *k {
			t.clock++
			c.used = t.clock
			return c
		}
	}
	return nil
}

// add returns a new entry, in the place of the one used least recently if there is no other.
func (t *vsockTable) add(k *endpoints) *vsockConn {
	t.clock++
	fresh := vsockConn{key: *k, used: t.clock}
	if t.entries == nil {
		t.entries = make([]vsockConn, 0, maxVsocks)
	}
	if len(t.entries) < maxVsocks {
		t.entries = append(t.entries, fresh)
		return &t.entries[len(t.entries)-1]
	}
	oldest := &t.entries[0]
	for i := range t.entries {
		if t.entries[i].used < oldest.used {
			oldest = &t.entries[i]
		}
	}
	t.lost = t.lost || oldest.used != 0
	*oldest = fresh
	return oldest
}

// forget ends all connections.
func (t *vsockTable) forget() { t.entries = t.entries[:0] }

// vsockState is what the connection's past says of a packet.
type vsockState struct {
	overrun  uint32 // bytes under way that the receiver hasn't room for in bufAlloc; 0: none
	bufAlloc uint32
	beyond   bool // fwd_cnt counts more than sent
	sent     uint32
	noConn   bool // a reset of nothing
}

// vsock notes a packet with size bytes of payload and returns what is known of its connection.
func (d *Decoder) vsock(h Vsock, size int) vsockState {
	var source, destination [16]byte
	binary.BigEndian.PutUint64(source[8:], h.SourceCID())
	binary.BigEndian.PutUint64(destination[8:], h.DestinationCID())
	key, sender := newEndpoints(source[:], destination[:], h.SourcePort(), h.DestinationPort(), uint8(h.Type()))
	t := &d.vsocks
	c := t.find(&key)
	switch {
	case h.Op() == VsockRequest && c == nil:
		c = t.add(&key)
		c.sides = [2]vsockSide{{whole: true}, {whole: true}}
	case h.Op() == VsockRequest:
		c.sides = [2]vsockSide{{whole: true}, {whole: true}}
	case h.Op() == VsockReset && c == nil:
		return vsockState{noConn: !t.lost}
	case h.Op() == VsockReset:
		*c = vsockConn{} // the entry is free; its numbers mean nothing any more
		return vsockState{}
	case c == nil: // it was open before the first packet that we have seen
		t.lost = true
		c = t.add(&key)
	}
	return c.packet(sender, h, size)
}

// packet notes a packet of an open connection.
func (c *vsockConn) packet(sender int, h Vsock, size int) vsockState {
	from, to := &c.sides[sender], &c.sides[1-sender]
	from.heard, from.bufAlloc, from.fwdCnt = true, h.BufAlloc(), h.FwdCnt()
	if h.Op() == VsockRW {
		from.sent += uint32(size)
	}
	var s vsockState
	if to.whole && int32(from.fwdCnt-to.sent) > 0 { // modulo 2³²
		s.beyond, s.sent = true, to.sent
	}
	if under := from.sent - to.fwdCnt; h.Op() == VsockRW && from.whole && to.heard && int32(under) > 0 && under > to.bufAlloc {
		s.overrun, s.bufAlloc = under, to.bufAlloc
	}
	return s
}

// vsockPastFaults reports what a packet gets wrong in the light of those before.
func (p *printer) vsockPastFaults(h Vsock, off int) {
	s := &p.vsockPast
	if s.overrun != 0 {
		p.compare("credit-overrun", int(s.overrun), '>', int(s.bufAlloc), off+offVsockLen)
	}
	if s.beyond {
		p.compare("fwd_cnt", int(h.FwdCnt()), '>', int(s.sent), off+offVsockFwdCnt)
	}
	if s.noConn {
		p.wrong("rst-without-connection", off+offVsockOp)
	}
}
