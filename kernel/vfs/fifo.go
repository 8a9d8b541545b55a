package vfs

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// MakeFIFO makes a named pipe, as mknod(2) with S_IFIFO does.
func (p *Paths) MakeFIFO(at *Dir, path string, perm uint32) error {
	pipe := &pipe{memory: &p.fs.memory}
	return p.addNew(at, path, false, func() (Node, error) {
		return p.fs.newSpecial(devRoot, unix.S_IFIFO|perm&0o7777, pipe.openFIFO), p.fs.takeName()
	})
}

// FIFOEnd is an open named pipe, fifo(7).
type FIFOEnd struct {
	PipeEnd
	opened
	seen uint64 // readers or writers that there had been when it was opened: see AwaitPartner
}

// openFIFO opens the named pipe. Its bytes are gone when the last end is closed.
func (p *pipe) openFIFO(o *opening) (File, error) {
	e := &FIFOEnd{PipeEnd: PipeEnd{pipe: p}, opened: o.file()}
	p.mu.Lock()
	if err := e.joinLocked(o.flags); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	if e.writes && !e.reads && p.readers == 0 && o.flags&unix.O_NONBLOCK != 0 {
		e.leaveLocked()
		p.mu.Unlock()
		return nil, unix.ENXIO
	}
	e.seen = p.everReaders
	if e.reads {
		e.seen = p.everWriters
		if p.writers == 0 && o.flags&unix.O_NONBLOCK != 0 {
			e.quietUntil = e.seen + 1
		}
	}
	p.mu.Unlock()
	p.queue.Notify(waiter.ReadableEvents | waiter.WritableEvents) // who waits in AwaitPartner
	return e, nil
}

// AwaitPartner waits, as open(2) does without O_NONBLOCK, until somebody has opened the other end, though it may have been
// closed since. unix.EINTR: the file is to be closed.
func (e *FIFOEnd) AwaitPartner(s Sleeper) error {
	p := e.pipe
	return Wait(s, &e.PipeEnd, waiter.ReadableEvents|waiter.WritableEvents, noDeadline, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case e.reads && (p.writers > 0 || p.everWriters != e.seen), !e.reads && (p.readers > 0 || p.everReaders != e.seen):
			return nil
		}
		return unix.EAGAIN
	})
}

// Write implements File.
func (e *FIFOEnd) Write(src Src, off int64) (int64, error) {
	n, err := e.PipeEnd.Write(src, off)
	if n > 0 {
		e.node.touch()
	}
	return n, err
}

// Stat implements File.
func (e *FIFOEnd) Stat() (unix.Stat_t, error) { return e.opened.Stat() }

// Path implements PathHolder.
func (e *FIFOEnd) Path() string { return e.opened.Path() }

// PipeOf returns the end of a pipe, with or without a name, that a file is.
func PipeOf(f File) (*PipeEnd, bool) {
	switch f := f.(type) {
	case *PipeEnd:
		return f, true
	case *FIFOEnd:
		return &f.PipeEnd, true
	}
	return nil, false
}
