package vfs

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Sleeper is a thread that can be put to sleep. task.Thread implements it.
type Sleeper interface {
	// Wakeup is the channel by which the thread is woken. It has room for one token, which is sent without blocking.
	Wakeup() chan struct{}
	// Sleep blocks until there is a token in Wakeup (nil), until the deadline, if it isn't the zero time
	// (unix.ETIMEDOUT), or until a signal or the end of the process wants the thread (unix.EINTR). The token may be one
	// of an earlier wait, so whoever waits for something looks again.
	Sleep(deadline time.Time) error
}

// entries are queue entries to be reused, so that a call that blocks doesn't allocate.
var entries = sync.Pool{New: func() any { return new(waiter.Entry) }}

// noDeadline is the deadline of calls that wait as long as it takes.
var noDeadline time.Time

// Wait calls try until it returns something other than unix.EAGAIN, sleeping between the calls until
// f reports one of the events in mask. The errors of Sleep end it too. Whoever often need not wait tries once before.
func Wait(s Sleeper, f waiter.Waitable, mask waiter.EventMask, deadline time.Time, try func() error) error {
	entry := entries.Get().(*waiter.Entry)
	defer entries.Put(entry)
	entry.Init(waiter.ChannelNotifier(s.Wakeup()), mask|waiter.EventErr|waiter.EventHUp)
	if err := f.EventRegister(entry); err != nil {
		return err
	}
	defer f.EventUnregister(entry)
	for {
		// Only now: a change that comes after this is told.
		if err := try(); err != unix.EAGAIN {
			return err
		}
		if err := s.Sleep(deadline); err != nil {
			return err
		}
	}
}
