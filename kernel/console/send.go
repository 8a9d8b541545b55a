package console

import (
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/hostlink"
)

// send is the sending goroutine.
func (c *Console) send() {
	frame := make([]byte, 0, hostlink.HeaderSize+chunkSize)
	for first := true; ; first = false {
		next, room := c.next(frame[:0])
		if room {
			c.notify(waiter.WritableEvents)
		}
		if first && c.ready != nil {
			c.ready()
		}
		if _, err := c.channel.Write(next); err != nil {
			c.fail(err)
			return
		}
	}
}

// next waits until there is something to send, and appends it to dst as one frame. It tells whether streams have
// got room to write.
func (c *Console) next(dst []byte) (frame []byte, room bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		before := c.writableLocked()
		if frame = c.takeLocked(dst); len(frame) > 0 {
			return frame, !before && c.writableLocked()
		}
		for _, drained := range c.drained {
			close(drained)
		}
		c.drained = nil
		c.work.Wait()
	}
}

// takeLocked appends the next frame to dst, or nothing.
func (c *Console) takeLocked(dst []byte) []byte {
	switch {
	case !c.hello:
		c.hello = true
		return hostlink.AppendReady(hostlink.AppendHeader(dst, hostlink.Ready, 1))
	case c.credit > 0:
		n := uint32(c.credit)
		c.credit = 0
		return hostlink.AppendCredit(hostlink.AppendHeader(dst, hostlink.Credit, 4), n)
	}
	side := c.waitingSideLocked()
	switch {
	case side != nil && (c.output.empty() || c.fair.output >= outputShare):
		return c.popSideLocked(dst, side)
	case !c.output.empty():
		var n int
		dst, n = c.output.pop(dst, chunkSize)
		c.fair.output += n
		c.queueModesLocked()
		c.space.Broadcast()
		return dst
	case c.exit != nil:
		dst = append(hostlink.AppendHeader(dst, hostlink.Exit, len(c.exit)), c.exit...)
		c.exit = nil
		return dst
	}
	return dst
}

// waitingSideLocked returns the side whose turn it is among those with something to send, or nil.
func (c *Console) waitingSideLocked() *side {
	for i := range c.sides {
		s := &c.sides[(c.fair.side+i)%len(c.sides)]
		if !s.queue.empty() {
			return s
		}
	}
	return nil
}

// popSideLocked appends a chunk of a side to dst; the other one is next.
func (c *Console) popSideLocked(dst []byte, s *side) []byte {
	c.fair.output = 0
	c.fair.side = 0
	if s == &c.sides[0] {
		c.fair.side = 1
	}
	dst, _ = s.queue.pop(dst, chunkSize)
	select {
	case s.room <- struct{}{}:
	default:
	}
	return dst
}

// fail ends all sending.
func (c *Console) fail(err error) {
	c.mu.Lock()
	c.err = err
	for _, drained := range c.drained {
		close(drained)
	}
	c.drained = nil
	c.space.Broadcast()
	c.mu.Unlock()
	c.notify(waiter.WritableEvents | waiter.EventErr)
}
