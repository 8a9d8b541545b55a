package console

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/hostlink"
)

// Stream is the host's end of one of the program's descriptors 0 to 2. No method waits.
type Stream struct {
	console *Console
	fd      int
	queue   waiter.Queue
}

// Read gives bytes that have come: unix.EAGAIN if there are none yet, 0 at the end. Descriptor 0 only,
// else it is unix.EBADF.
func (s *Stream) Read(p []byte) (int, error) {
	if s.fd != 0 {
		return 0, unix.EBADF
	}
	return s.console.readInput(p)
}

// Write takes bytes, as many as there is room for, but of 4096 or fewer all or none, as a pipe does [pipe(7)]:
// unix.EAGAIN if that is none, unix.EPIPE if the program has ended or the channel is broken. Descriptors 1 and 2
// only, else it is unix.EBADF.
func (s *Stream) Write(p []byte) (int, error) {
	t := hostlink.Stdout
	switch s.fd {
	case 0:
		return 0, unix.EBADF
	case 2:
		t = hostlink.Stderr
	}
	c := s.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closedLocked() != nil {
		return 0, unix.EPIPE
	}
	n := min(len(p), c.output.room(t))
	if n < min(len(p), pipeBuf) {
		return 0, unix.EAGAIN
	}
	if n > 0 {
		c.output.push(t, p[:n])
		c.work.Signal()
	}
	return n, nil
}

// writableLocked tells whether a write of any size succeeds, at least in part.
func (c *Console) writableLocked() bool {
	return min(c.output.room(hostlink.Stdout), c.output.room(hostlink.Stderr)) >= pipeBuf
}

// Readiness implements waiter.Waitable.
func (s *Stream) Readiness(mask waiter.EventMask) waiter.EventMask {
	c := s.console
	if s.fd == 0 {
		return mask & c.inputReadiness()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var ready waiter.EventMask
	if closed := c.closedLocked() != nil; closed || c.writableLocked() {
		ready |= waiter.WritableEvents
		if closed {
			ready |= waiter.EventErr
		}
	}
	return mask & ready
}

// EventRegister implements waiter.Waitable.
func (s *Stream) EventRegister(e *waiter.Entry) error {
	s.queue.EventRegister(e)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (s *Stream) EventUnregister(e *waiter.Entry) { s.queue.EventUnregister(e) }
