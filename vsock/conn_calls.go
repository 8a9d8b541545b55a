package vsock

import "io"

// maxOutput is how much a connection keeps that was written and has not been sent, in bytes.
const maxOutput = 64 << 10

// Local returns the address of this end.
func (c *Conn) Local() Addr { return c.key.local }

// Peer returns the address of the other end.
func (c *Conn) Peer() Addr { return c.key.peer }

// Notify sets the hook that is called when something has changed: the state, what can be read, what can be written. It is
// called often, holds no lock, may be called by any call of the package and must not block. It is called once now.
func (c *Conn) Notify(hook func()) {
	c.e.mu.Lock()
	defer c.e.unlock()
	c.notify = hook
	c.changedLocked()
}

// Accept establishes a connection that a peer has asked for.
func (c *Conn) Accept() error {
	c.e.mu.Lock()
	defer c.e.unlock()
	if c.state != requested {
		return c.whyLocked()
	}
	c.state = established
	c.pending |= sendResponse
	c.queueLocked()
	return nil
}

// Refuse does not establish a connection that a peer has asked for. why is what Input says then, such as DropNoListener; the peer
// is not told.
func (c *Conn) Refuse(why string) {
	c.end(func() bool {
		if c.state == requested {
			c.why = why
		}
		return c.state == requested
	}, ErrRefused)
}

// refusal returns why Refuse has ended the connection, "" if it hasn't.
func (c *Conn) refusal() string {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.why
}

// Reset ends the connection at once, whatever its state is. What has not been sent is lost.
func (c *Conn) Reset() { c.end(func() bool { return c.state != closed }, ErrAborted) }

func (c *Conn) end(in func() bool, err error) {
	c.e.mu.Lock()
	defer c.e.unlock()
	if in() {
		c.resetLocked(err)
	}
}

// whyLocked says why the connection is not in the state that a call needs.
func (c *Conn) whyLocked() error {
	switch {
	case c.err != nil:
		return c.err
	case c.state == connecting || c.state == requested:
		return ErrNotYet
	}
	return ErrShutdown
}

// Err returns nil while the connection is established and after its agreed end, ErrNotYet before it is established, and
// else why it is over.
func (c *Conn) Err() error {
	c.e.mu.Lock()
	defer c.e.unlock()
	if c.err == nil && c.state != connecting && c.state != requested {
		return nil
	}
	return c.whyLocked()
}

// Read reads what has come, in order. At the end it returns io.EOF, or why there will be no more; ErrWait if there may be
// more later.
func (c *Conn) Read(p []byte) (int, error) {
	c.e.mu.Lock()
	defer c.e.unlock()
	n, err := c.peekLocked(p, 0)
	c.consumeLocked(n)
	return n, err
}

// Peek reads as Read does, and leaves what it has read. It begins with the byte at an offset.
func (c *Conn) Peek(p []byte, offset int) (int, error) {
	c.e.mu.Lock()
	defer c.e.unlock()
	return c.peekLocked(p, offset)
}

// Discard takes n bytes away that Peek has read.
func (c *Conn) Discard(n int) {
	c.e.mu.Lock()
	defer c.e.unlock()
	c.consumeLocked(min(n, c.input.len()))
}

func (c *Conn) peekLocked(p []byte, offset int) (int, error) {
	if n := c.input.peek(p, offset); n > 0 || len(p) == 0 && c.input.len() > offset {
		return n, nil
	}
	switch {
	case c.peerShut&ShutSend != 0 || c.localShut&ShutReceive != 0:
		return 0, io.EOF
	case c.state == closed && c.err == nil:
		return 0, io.EOF
	case c.state == established:
		return 0, ErrWait
	}
	return 0, c.whyLocked()
}

func (c *Conn) consumeLocked(n int) {
	if n == 0 {
		return
	}
	c.input.discard(n)
	if c.state == established {
		c.forwardedLocked(n)
		c.queueLocked()
	}
	c.accountLocked()
}

// Write takes as much of p as the peer has room for and as may wait to be sent. It returns ErrWait if that is nothing:
// the peer is asked for credit if it lacks that.
func (c *Conn) Write(p []byte) (int, error) {
	c.e.mu.Lock()
	defer c.e.unlock()
	if err := c.writableLocked(); err != nil {
		return 0, err
	}
	n := min(len(p), c.spaceLocked())
	if n == 0 && len(p) > 0 {
		return 0, ErrWait
	}
	c.output.push(p[:n])
	c.queueLocked()
	return n, nil
}

// Space returns how many bytes Write would take now. ErrWait means that there are none at present, as Write does.
func (c *Conn) Space() (int, error) {
	c.e.mu.Lock()
	defer c.e.unlock()
	if err := c.writableLocked(); err != nil {
		return 0, err
	}
	if n := c.spaceLocked(); n > 0 {
		return n, nil
	}
	return 0, ErrWait
}

// writableLocked tells why nothing can be written any more, or yet.
func (c *Conn) writableLocked() error {
	if c.state != established {
		return c.whyLocked()
	}
	if c.localShut&ShutSend != 0 || c.peerShut&ShutReceive != 0 {
		return ErrShutdown
	}
	return nil
}

// spaceLocked returns how many bytes may be taken in to be sent, and asks for credit if it is for want of that that there
// are none.
func (c *Conn) spaceLocked() int {
	credit := int(c.send.free()) - c.output.len()
	if credit <= 0 && !c.asked {
		c.asked = true
		c.pending |= sendCreditRequest
		c.queueLocked()
	}
	return max(0, min(credit, c.outputLimitLocked()-c.output.len()))
}

// Shutdown ends directions of the connection: ShutReceive, ShutSend or both. What was written before ShutSend is sent;
// what comes after ShutReceive is not kept.
func (c *Conn) Shutdown(flags uint32) error {
	c.e.mu.Lock()
	defer c.e.unlock()
	if c.state != established {
		return c.whyLocked()
	}
	c.shutLocked(flags & ShutBoth)
	return nil
}

func (c *Conn) shutLocked(flags uint32) {
	c.localShut |= flags
	if c.localShut&ShutReceive != 0 && c.input.len() > 0 {
		n := c.input.len()
		c.e.counters.Discarded += uint64(n)
		c.input.clear()
		c.forwardedLocked(n)
	}
	c.queueLocked()
	c.changedLocked()
}

// Close ends the connection in good order: what was written is sent, then the peer is told. The connection, which the
// caller has nothing to do with any more, ends when the peer has answered, or has not within Config.CloseTime. One that
// is not established ends at once.
func (c *Conn) Close() {
	c.e.mu.Lock()
	defer c.e.unlock()
	switch c.state {
	case connecting, requested:
		c.resetLocked(ErrAborted)
	case established:
		c.state = closing
		c.shutLocked(ShutBoth)
		if c.shutSent == ShutBoth {
			c.startLocked(c.e.cfg.CloseTime)
		}
	case closed:
		c.input.clear()
		c.accountLocked()
	}
}

// SetBufAlloc changes the size of the receive buffer in bytes. What a peer was allowed to send before it learns of a
// smaller one is still taken. It gets no larger than memory permits.
func (c *Conn) SetBufAlloc(n uint32) {
	c.e.mu.Lock()
	defer c.e.unlock()
	c.wanted = min(max(n, 1), maxBufAlloc)
	c.receive.bufAlloc = c.shareLocked(c.wanted)
	c.accountLocked()
	if c.state == established {
		c.pending |= sendCreditUpdate
		c.queueLocked()
	}
}

// Status is what can be done with a connection, for poll(2).
type Status struct {
	Established bool   // it is, or is being closed
	Over        bool   // nothing comes or goes any more
	Readable    int    // bytes
	Received    uint32 // bytes that have come since the beginning, modulo 2³²
	EOF         bool   // Read returns what is readable, then io.EOF or an error
	Writable    bool   // Write would take something
	Broken      bool   // Write would return an error that is not ErrWait
	Unsent      int    // bytes written and not yet sent
}

// Status returns what can be done now. It asks for no credit.
func (c *Conn) Status() Status {
	c.e.mu.Lock()
	defer c.e.unlock()
	s := Status{
		Established: c.state == established || c.state == closing,
		Over:        c.state == closed,
		Readable:    c.input.len(),
		Received:    c.receive.received,
		EOF:         c.state == closed || c.peerShut&ShutSend != 0 || c.localShut&ShutReceive != 0,
		Unsent:      c.output.len(),
	}
	if c.writableLocked() != nil {
		s.Broken = c.state != connecting && c.state != requested
	} else {
		s.Writable = int(c.send.free()) > c.output.len() && c.output.len() < c.outputLimitLocked()
	}
	return s
}
