package vsock

import (
	"fmt"
	"time"

	"wick/packet"
)

// state is where a connection is in its life; see the package's documentation.
type state int

const (
	connecting state = iota
	requested
	established
	closing
	closed
)

// Packets that a connection has to send besides data.
const (
	sendRequest = 1 << iota
	sendResponse
	sendCreditUpdate
	sendCreditRequest
)

// Conn is one end of a stream. It is safe for concurrent use. No method blocks.
type Conn struct {
	e   *Endpoint
	key key

	// All below is guarded by e.mu.

	state  state
	ours   bool   // Connect has made it
	why    string // it was refused, see Refuse
	err    error  // why it is not established any more; nil if the end was agreed on
	notify func() // called without the lock

	input   queue // received, not read
	output  queue // to be sent; never more than there was credit for when it came
	receive receiveCredit
	send    sendCredit
	wanted  uint32 // what receive.bufAlloc is to be, memory permitting
	shared  int    // of Config.Memory

	localShut uint32 // ShutReceive: we read no more; ShutSend: we write no more
	shutSent  uint32 // what of it the peer has been told
	peerShut  uint32 // what the peer has told
	asked     bool   // CREDIT_REQUEST has been sent since there was credit last

	pending int   // send…
	queued  bool  // whether it is in the list of those with something to send
	next    *Conn // in that list

	stop  func() bool // ends the running timer; nil without one
	timer int         // its number: one that fires while it is being stopped is none any more
}

// newConnLocked adds a connection.
func (e *Endpoint) newConnLocked(k key, s state) *Conn {
	c := &Conn{e: e, key: k, state: s, wanted: e.cfg.BufAlloc}
	e.conns[k] = c
	c.receive.bufAlloc = c.shareLocked(c.wanted)
	c.accountLocked()
	return c
}

// changedLocked has unlock call the hook.
func (c *Conn) changedLocked() { c.e.changed = c }

// endLocked ends the connection: the addresses are free, nothing more comes or goes. What has been received can still be
// read.
func (c *Conn) endLocked(err error) {
	c.state = closed
	if c.err == nil {
		c.err = err
	}
	c.pending = 0
	c.output.clear()
	if c.localShut&ShutReceive != 0 {
		c.input.clear()
	}
	c.stopLocked()
	c.accountLocked()
	delete(c.e.conns, c.key)
	c.changedLocked()
}

// resetLocked ends the connection and tells the peer so.
func (c *Conn) resetLocked(err error) {
	c.e.resets = append(c.e.resets, Header{From: c.key.local, To: c.key.peer, Type: packet.VsockStream, Op: packet.VsockReset})
	c.endLocked(err)
}

// violationLocked ends the connection because the peer has broken the rules.
func (c *Conn) violationLocked(format string, args ...any) {
	c.e.counters.Violations++
	c.e.drop = DropViolation
	c.resetLocked(fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...)))
}

// inputLocked takes in a packet for this connection.
func (c *Conn) inputLocked(h *Header, data [][]byte) {
	if h.Op == packet.VsockReset {
		c.peerResetLocked()
		return
	}
	before := c.send.free()
	if !c.send.update(h.BufAlloc, h.FwdCnt) {
		c.violationLocked("fwd_cnt %d of %d bytes sent, %d before", h.FwdCnt, c.send.sent, c.send.fwdCnt)
		return
	}
	if free := c.send.free(); free > before {
		c.asked = false
		c.changedLocked()
	}
	switch h.Op {
	case packet.VsockRequest:
		if c.state == requested {
			c.e.requestAgainLocked(c, h)
			return
		}
		c.violationLocked("REQUEST on a connection that exists")
	case packet.VsockResponse:
		c.responseLocked()
	case packet.VsockShutdown:
		c.peerShutdownLocked(h.Flags & ShutBoth)
	case packet.VsockRW:
		c.dataLocked(h, data)
	case packet.VsockCreditUpdate:
	case packet.VsockCreditRequest:
		if c.state == established || c.state == closing {
			c.pending |= sendCreditUpdate
		}
	default:
		c.violationLocked("op %d", h.Op)
	}
	c.queueLocked()
}

// peerResetLocked handles RST. It is the agreed end if both directions were shut down before.
func (c *Conn) peerResetLocked() {
	switch {
	case c.state == connecting:
		c.endLocked(ErrRefused)
	case c.shutSent == ShutBoth, c.shutSent&c.peerShut&ShutSend != 0:
		c.endLocked(nil)
	default:
		c.endLocked(ErrReset)
	}
}

// responseLocked handles RESPONSE. There may be several: of a peer that was stopped when we gave up and then asked once more, from
// the same port, each request is answered.
func (c *Conn) responseLocked() {
	if c.ours && c.state != connecting {
		return
	}
	if c.state != connecting {
		c.violationLocked("RESPONSE that nobody waits for")
		return
	}
	c.state = established
	c.stopLocked()
	c.changedLocked()
}

// peerShutdownLocked handles SHUTDOWN. After that of both directions there is nothing left to be said: RST is the answer
// [virtio 5.10.6.6], though what has come may not have been read yet.
func (c *Conn) peerShutdownLocked(flags uint32) {
	if c.state == connecting {
		c.violationLocked("SHUTDOWN before RESPONSE")
		return
	}
	c.peerShut |= flags
	if c.peerShut&ShutReceive != 0 {
		c.output.clear()
	}
	if c.peerShut == ShutBoth {
		var err error
		if c.state == requested {
			err = ErrReset
		}
		c.resetLocked(err)
		return
	}
	c.changedLocked()
}

// dataLocked takes in data.
func (c *Conn) dataLocked(h *Header, data [][]byte) {
	have := 0
	for _, piece := range data {
		have += len(piece)
	}
	switch {
	case uint64(h.Len) > uint64(have):
		c.violationLocked("len %d with %d bytes", h.Len, have)
	case c.state == connecting || c.state == requested:
		c.violationLocked("data before RESPONSE")
	case c.peerShut&ShutSend != 0:
		c.violationLocked("%d bytes after SHUTDOWN", h.Len)
	case !c.receive.accept(h.Len):
		c.violationLocked("%d bytes with credit for %d", h.Len, c.receive.window())
	case c.localShut&ShutReceive != 0:
		// The peer may not know it yet. Nobody will read it: it leaves the buffer at once.
		c.e.counters.Discarded += uint64(h.Len)
		c.e.drop = DropShut
		c.forwardedLocked(int(h.Len))
	default:
		c.e.counters.ReceivedBytes += uint64(h.Len)
		rest := int(h.Len)
		for _, piece := range data {
			n := min(rest, len(piece))
			c.input.push(piece[:n])
			rest -= n
		}
		c.changedLocked()
	}
}

// forwardedLocked notes that bytes have left the buffer.
func (c *Conn) forwardedLocked(n int) {
	c.receive.fwdCnt += uint32(n)
	c.growLocked()
	c.accountLocked()
	if c.receive.updateDue() && c.peerShut&ShutSend == 0 {
		c.pending |= sendCreditUpdate
	}
}

// queueLocked puts the connection into the list of those with something to send, if it has.
func (c *Conn) queueLocked() {
	if c.queued || !c.hasPacketLocked() {
		return
	}
	c.queued = true
	if c.e.last == nil {
		c.e.first = c
	} else {
		c.e.last.next = c
	}
	c.e.last = c
}

// hasPacketLocked tells whether packetLocked would make one.
func (c *Conn) hasPacketLocked() bool {
	return c.state != closed && (c.pending != 0 || c.sendableLocked() > 0 || c.shutdownLocked() != 0)
}

// sendableLocked returns how many bytes may be sent now: the peer may have less room than when they were taken.
func (c *Conn) sendableLocked() int { return min(c.output.len(), int(c.send.free())) }

// shutdownLocked returns what of our shutdown the peer is to be told now. That there is no more data can be said only
// when all has been sent.
func (c *Conn) shutdownLocked() uint32 {
	flags := c.localShut
	if c.state != established && c.state != closing {
		flags = 0
	}
	if c.output.len() > 0 {
		flags &^= ShutSend
	}
	return flags &^ c.shutSent
}

// packetLocked makes the connection's next packet. Data, at most room bytes of it, stays in the queue for takeLocked.
func (c *Conn) packetLocked(room int) (h Header) {
	if !c.hasPacketLocked() {
		return h
	}
	h = Header{From: c.key.local, To: c.key.peer, Type: packet.VsockStream}
	switch {
	case c.pending&sendRequest != 0:
		h.Op = packet.VsockRequest
		c.pending &^= sendRequest
	case c.pending&sendResponse != 0:
		h.Op = packet.VsockResponse
		c.pending &^= sendResponse
	case c.sendableLocked() > 0:
		h.Op, h.Len = packet.VsockRW, uint32(min(c.sendableLocked(), room))
		c.send.sent += h.Len
	case c.shutdownLocked() != 0:
		h.Op = packet.VsockShutdown
		c.shutSent |= c.shutdownLocked()
		h.Flags = c.shutSent
		if c.state == closing && c.shutSent == ShutBoth {
			c.startLocked(c.e.cfg.CloseTime)
		}
	case c.pending&sendCreditRequest != 0:
		h.Op = packet.VsockCreditRequest
		c.pending &^= sendCreditRequest
	default:
		h.Op = packet.VsockCreditUpdate
	}
	c.receive.stamp(&h)
	c.pending &^= sendCreditUpdate // each packet is one
	return h
}

// takeLocked moves data of a packet out of the queue.
func (c *Conn) takeLocked(n int, to *scatter) {
	c.output.pop(n, to)
	c.changedLocked()
}

// startLocked starts a timer after which a peer that has not answered is no longer waited for.
func (c *Conn) startLocked(d time.Duration) {
	timer := c.timer
	c.stop = c.e.cfg.AfterFunc(d, func() {
		c.e.mu.Lock()
		defer c.e.unlock()
		if timer != c.timer {
			return
		}
		if c.state == connecting {
			c.resetLocked(ErrTimeout)
		} else {
			c.resetLocked(nil)
		}
	})
}

func (c *Conn) stopLocked() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
		c.timer++
	}
}
