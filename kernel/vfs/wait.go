package vfs

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Sleeper is a thread that can be put to sleep. task.Thread implements it.
type Sleeper interface {
	// Sleep blocks until ready has a value or is closed (nil), until the deadline, if it isn't the zero time
	// (unix.ETIMEDOUT), or until a signal or the end of the process wants the thread (unix.EINTR).
	Sleep(ready <-chan struct{}, deadline time.Time) error
}

// channelEntry is a queue entry with its channel. Entries are reused, so that a call that
// blocks doesn't allocate.
type channelEntry struct {
	waiter.Entry
	ready chan struct{}
}

var channelEntries = sync.Pool{New: func() any {
	return &channelEntry{ready: make(chan struct{}, 1)}
}}

// noDeadline is the deadline of calls that wait as long as it takes.
var noDeadline time.Time

// newChannelEntry takes an entry out of the pool and prepares it for the events in mask.
func newChannelEntry(mask waiter.EventMask) *channelEntry {
	e := channelEntries.Get().(*channelEntry)
	e.Init(waiter.ChannelNotifier(e.ready), mask)
	return e
}

// free gives the entry back. It must not be in a queue any more: then nothing sends on the channel,
// and a token that was left there can be taken out.
func (e *channelEntry) free() {
	select {
	case <-e.ready:
	default:
	}
	channelEntries.Put(e)
}

// Wait calls try until it returns something other than unix.EAGAIN, sleeping between the calls until
// f reports one of the events in mask. The errors of Sleep end it too.
func Wait(s Sleeper, f waiter.Waitable, mask waiter.EventMask, deadline time.Time, try func() error) error {
	if err := try(); err != unix.EAGAIN {
		return err
	}
	entry := newChannelEntry(mask | waiter.EventErr | waiter.EventHUp)
	defer entry.free()
	if err := f.EventRegister(&entry.Entry); err != nil {
		return err
	}
	defer f.EventUnregister(&entry.Entry)
	for {
		// Try again after registering: the change may have come in between.
		if err := try(); err != unix.EAGAIN {
			return err
		}
		if err := s.Sleep(entry.ready, deadline); err != nil {
			return err
		}
	}
}
