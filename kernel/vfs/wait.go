package vfs

import (
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

// Wait calls try until it returns something other than unix.EAGAIN, sleeping between the calls until
// f reports one of the events in mask. The errors of Sleep end it too.
func Wait(s Sleeper, f waiter.Waitable, mask waiter.EventMask, deadline time.Time, try func() error) error {
	if err := try(); err != unix.EAGAIN {
		return err
	}
	entry, ready := waiter.NewChannelEntry(mask | waiter.EventErr | waiter.EventHUp)
	if err := f.EventRegister(&entry); err != nil {
		return err
	}
	defer f.EventUnregister(&entry)
	for {
		// Try again after registering: the change may have come in between.
		if err := try(); err != unix.EAGAIN {
			return err
		}
		if err := s.Sleep(ready, deadline); err != nil {
			return err
		}
	}
}
