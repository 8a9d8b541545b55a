package vsock

import "math"

// Config.Memory is shared out as receive buffers. Half of it is kept so that many connections can have the least there is; of the
// rest each may take a quarter of what is left, again and again as it reads. So a few connections are fast, and many have little
// each, but all go on.

// leastShare is the least receive buffer that a connection gets if the memory is bounded, in bytes: what its queue takes for one
// byte.
const leastShare = segmentSize

// growth is what part of the memory that is left a connection may take at a time.
const growth = 4

// roomLocked tells whether there is memory for another connection.
func (e *Endpoint) roomLocked() bool { return e.cfg.Memory == 0 || e.cfg.Memory-e.shared >= leastShare }

// shareLocked returns how large a connection's receive buffer may be that wants so many bytes.
func (c *Conn) shareLocked(wanted uint32) uint32 {
	e := c.e
	if e.cfg.Memory == 0 {
		return wanted
	}
	kept := e.cfg.Memory/2 - leastShare*len(e.conns)
	left := e.cfg.Memory - e.shared - max(0, kept)
	return uint32(min(int(wanted), max(leastShare, c.shared+max(0, left)/growth)))
}

// growLocked gives a connection more of the memory, if it wants more and there is more.
func (c *Conn) growLocked() {
	if c.receive.bufAlloc < c.wanted {
		c.receive.bufAlloc = max(c.receive.bufAlloc, c.shareLocked(c.wanted))
	}
}

// accountLocked notes how much memory the connection may have to have for what it receives. It is to be called when
// that has changed.
func (c *Conn) accountLocked() {
	n := c.input.len()
	if c.state != closed {
		n = max(int(c.receive.bufAlloc), int(int32(c.receive.edge-c.receive.fwdCnt)))
	}
	c.e.shared += n - c.shared
	c.shared = n
}

// outputLimitLocked returns how much the connection keeps that was written and has not been sent, in bytes: as much as it
// may receive, where memory is bounded.
func (c *Conn) outputLimitLocked() int {
	if c.e.cfg.Memory == 0 {
		return maxOutput
	}
	return min(maxOutput, max(leastShare, int(min(c.receive.bufAlloc, math.MaxInt32))))
}
