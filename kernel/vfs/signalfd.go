package vfs

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// SignalFD is a file that signals can be read from, see signalfd(2). Which signals there are is a matter of processes
// and threads, so the reading is left to the layer of system calls.
type SignalFD struct {
	queue   *waiter.Queue // the process's, told of each signal that is sent
	pending func() uint64 // the signals that could be read, bit N-1 for signal N
	mask    atomic.Uint64 // the signals wanted, in the same form
}

// NewSignalFD returns a file of the signals in mask.
func NewSignalFD(mask uint64, queue *waiter.Queue, pending func() uint64) *SignalFD {
	s := &SignalFD{queue: queue, pending: pending}
	s.mask.Store(mask)
	return s
}

// Mask returns the signals that can be read.
func (s *SignalFD) Mask() uint64 { return s.mask.Load() }

// SetMask replaces the signals that can be read.
func (s *SignalFD) SetMask(mask uint64) {
	s.mask.Store(mask)
	s.queue.Notify(waiter.ReadableEvents)
}

// Read implements File for those who don't know whose signals to take, such as splice(2).
func (s *SignalFD) Read(Dst, int64) (int64, error) { return 0, unix.EINVAL }

// Write implements File: signals are not sent this way.
func (s *SignalFD) Write(Src, int64) (int64, error) { return 0, unix.EINVAL }

// Readiness implements waiter.Waitable.
func (s *SignalFD) Readiness(mask waiter.EventMask) waiter.EventMask {
	if s.pending()&s.mask.Load() != 0 {
		return waiter.EventIn & mask
	}
	return 0
}

// EventRegister implements waiter.Waitable.
func (s *SignalFD) EventRegister(entry *waiter.Entry) error {
	s.queue.EventRegister(entry)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (s *SignalFD) EventUnregister(entry *waiter.Entry) { s.queue.EventUnregister(entry) }

// Stat implements File.
func (s *SignalFD) Stat() (unix.Stat_t, error) { return anonymousStat(0o600, anonymousInodes), nil }

// Path is the name in /proc/self/fd.
func (s *SignalFD) Path() string { return "anon_inode:[signalfd]" }

// Close implements File.
func (s *SignalFD) Close() error { return nil }

func (s *SignalFD) seekless() {}
