package vfs

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// SamePipe tells whether two ends are of one pipe.
func (e *PipeEnd) SamePipe(o *PipeEnd) bool { return e.pipe == o.pipe }

// Peek copies bytes to b and leaves them in the pipe: unix.EAGAIN while it is empty and has writers, 0 at
// the end. If it has copied some, Discard must follow, until which nobody else gets any: as if the pipe were locked, unix.EAGAIN.
func (e *PipeEnd) Peek(b []byte) (int, error) {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 || p.peeked {
		if p.peeked || p.writers > 0 {
			return 0, unix.EAGAIN
		}
		return 0, nil
	}
	p.peeked = len(b) > 0
	b = b[:min(len(b), p.n)]
	for n := 0; n < len(b); {
		n += copy(b[n:], p.pieceLocked((p.head+n)%p.capacityLocked(), len(b)-n))
	}
	return len(b), nil
}

// Discard takes n bytes out of the pipe, of those that Peek has copied, and lets others at the rest.
func (e *PipeEnd) Discard(n int) {
	p := e.pipe
	p.mu.Lock()
	wasFull := p.fullLocked()
	p.peeked = false
	p.dropLocked(min(n, p.n))
	events := waiter.ReadableEvents // also if nothing is left: it may be the end that they wait for
	if wasFull && !p.fullLocked() {
		events |= waiter.WritableEvents
	}
	p.mu.Unlock()
	p.queue.Notify(events)
}

// Room returns how many bytes can be written: unix.EAGAIN if the pipe counts as full, unix.EPIPE without a reader.
func (e *PipeEnd) Room() (int, error) {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.readers == 0:
		return 0, unix.EPIPE
	case p.fullLocked():
		return 0, unix.EAGAIN
	}
	return p.roomLocked(), nil
}
