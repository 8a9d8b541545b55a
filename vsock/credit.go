package vsock

// maxWindow bounds what a peer may have us send ahead, in bytes: while less than 2³¹ are on their way, an old fwd_cnt
// can be told from one of the future.
const maxWindow = 1<<31 - 1

// sendCredit is what we may send: the peer's buffer as it was last told [virtio 5.10.6.3]. Counters are modulo 2³².
type sendCredit struct {
	bufAlloc uint32 // the peer's
	fwdCnt   uint32 // the peer's
	sent     uint32 // tx_cnt: bytes sent since the beginning
}

func (c *sendCredit) inFlight() uint32 { return c.sent - c.fwdCnt }

// free returns how many bytes the peer has room for. A peer that has made its buffer smaller than what is on its way has
// none.
func (c *sendCredit) free() uint32 {
	if n := c.inFlight(); n < c.bufAlloc {
		return c.bufAlloc - n
	}
	return 0
}

// update takes in what a packet of the peer tells. It is false if the peer claims to have read what was not sent.
//
// Several threads of a peer may make packets, and one overtake another: an older fwd_cnt is no lie, but no news either.
func (c *sendCredit) update(bufAlloc, fwdCnt uint32) bool {
	switch step := fwdCnt - c.fwdCnt; {
	case step <= c.inFlight():
		c.fwdCnt, c.bufAlloc = fwdCnt, min(bufAlloc, maxWindow)
	case int32(step) >= 0:
		return false
	}
	return true
}

// receiveCredit is what the peer may send.
type receiveCredit struct {
	bufAlloc uint32 // of our buffer
	fwdCnt   uint32 // bytes that have left it
	received uint32 // bytes that have come
	told     uint32 // fwdCnt + bufAlloc in our last packet: as far the peer will go
	edge     uint32 // the furthest of those: as far it may have gone
}

// stamp puts our side of the credit into a packet that is sent. A smaller buffer than before takes back nothing that may
// be on its way: the edge stays.
func (c *receiveCredit) stamp(h *Header) {
	h.BufAlloc, h.FwdCnt = c.bufAlloc, c.fwdCnt
	c.told = c.fwdCnt + c.bufAlloc
	if int32(c.told-c.edge) > 0 {
		c.edge = c.told
	}
}

// window returns how many bytes the peer may still send.
func (c *receiveCredit) window() uint32 { return c.edge - c.received }

// accept takes in n bytes. It is false if the peer had no credit for them.
func (c *receiveCredit) accept(n uint32) bool {
	if n > c.window() {
		return false
	}
	c.received += n
	return true
}

// updateDue tells whether the peer is to be told of room in the buffer: when that is a quarter of it. A sender that has
// used up its credit hears of more at the latest when the buffer is empty.
func (c *receiveCredit) updateDue() bool {
	gain := int32(c.fwdCnt + c.bufAlloc - c.told)
	return gain > 0 && uint32(gain) >= c.bufAlloc/4
}
