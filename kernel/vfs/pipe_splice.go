package vfs

import "golang.org/x/sys/unix"

// SamePipe tells whether two ends are of one pipe.
func (e *PipeEnd) SamePipe(o *PipeEnd) bool { return e.pipe == o.pipe }

// Peek copies bytes to b and leaves them in the pipe: unix.EAGAIN while it is empty and has writers, 0 at
// the end.
func (e *PipeEnd) Peek(b []byte) (int, error) {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		if p.writers > 0 {
			return 0, unix.EAGAIN
		}
		return 0, nil
	}
	b = b[:min(len(b), p.n)]
	first := copy(b, p.ring[p.head:min(p.head+p.n, len(p.ring))])
	copy(b[first:], p.ring)
	return len(b), nil
}

// Discard takes n bytes out of the pipe, or as many as there are.
func (e *PipeEnd) Discard(n int) {
	for n > 0 {
		var sink discard
		sink.left = n
		got, err := e.Read(&sink, 0)
		if err != nil || got == 0 {
			return
		}
		n -= int(got)
	}
}

// discard is a Dst that keeps nothing.
type discard struct{ left int }

func (d *discard) Len() int { return d.left }

func (d *discard) Write(p []byte) (int, error) {
	d.left -= len(p)
	return len(p), nil
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
	return p.capacity - p.n, nil
}
