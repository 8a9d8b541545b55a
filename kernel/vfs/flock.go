package vfs

import (
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// flockState are the flock(2) locks of a node, each held by an open file description.
type flockState struct {
	queue waiter.Queue

	mu        sync.Mutex
	exclusive *OpenFile              // guarded by mu
	shared    map[*OpenFile]struct{} // guarded by mu
}

// Readiness implements waiter.Waitable, for Wait: it is not asked.
func (s *flockState) Readiness(waiter.EventMask) waiter.EventMask { return 0 }

// EventRegister implements waiter.Waitable.
func (s *flockState) EventRegister(e *waiter.Entry) error {
	s.queue.EventRegister(e)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (s *flockState) EventUnregister(e *waiter.Entry) { s.queue.EventUnregister(e) }

// lock takes the lock for o, giving up the one it holds: unix.EAGAIN if another description is in the way.
func (s *flockState) lock(o *OpenFile, exclusive bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, shares := s.shared[o]
	switch {
	case exclusive && s.exclusive == o, !exclusive && shares:
		return nil
	}
	// As on Linux, a conversion isn't one step: the old lock is lost also if the new one can't be had.
	if s.dropLocked(o) {
		defer s.queue.Notify(waiter.ReadableEvents)
	}
	if s.exclusive != nil || exclusive && len(s.shared) > 0 {
		return unix.EAGAIN
	}
	if exclusive {
		s.exclusive = o
		return nil
	}
	if s.shared == nil {
		s.shared = make(map[*OpenFile]struct{})
	}
	s.shared[o] = struct{}{}
	return nil
}

// dropLocked gives up what o holds and tells whether that was anything.
func (s *flockState) dropLocked(o *OpenFile) bool {
	_, shares := s.shared[o]
	if s.exclusive != o && !shares {
		return false
	}
	if s.exclusive == o {
		s.exclusive = nil
	}
	delete(s.shared, o)
	return true
}

// unlock gives up what o holds.
func (s *flockState) unlock(o *OpenFile) {
	s.mu.Lock()
	dropped := s.dropLocked(o)
	s.mu.Unlock()
	if dropped {
		s.queue.Notify(waiter.ReadableEvents)
	}
}

// Flock does flock(2) with an operation of LOCK_SH, LOCK_EX or LOCK_UN, and LOCK_NB; it waits unless
// that is given.
func (o *OpenFile) Flock(s Sleeper, operation int) error {
	state := o.flockState()
	if state == nil {
		return unix.EBADF
	}
	exclusive := false
	switch operation &^ unix.LOCK_NB {
	case unix.LOCK_UN:
		state.unlock(o)
		return nil
	case unix.LOCK_EX:
		exclusive = true
	case unix.LOCK_SH:
	default:
		return unix.EINVAL
	}
	o.lockMu.Lock()
	o.locked = state
	o.lockMu.Unlock()
	if operation&unix.LOCK_NB != 0 {
		return state.lock(o, exclusive)
	}
	return Wait(s, state, waiter.ReadableEvents, noDeadline, func() error { return state.lock(o, exclusive) })
}

// flockState returns where the locks of what is open are kept: with its node, or, for what has
// none, with nobody else's.
func (o *OpenFile) flockState() *flockState {
	if o.Flags()&unix.O_PATH != 0 {
		return nil
	}
	if h, ok := o.file.(NodeHolder); ok {
		if m := h.Node().meta(); m != nil {
			return &m.flock
		}
	}
	o.lockMu.Lock()
	defer o.lockMu.Unlock()
	if o.locked == nil {
		o.locked = new(flockState)
	}
	return o.locked
}

// unlockAll gives up the lock with the last reference.
func (o *OpenFile) unlockAll() {
	o.lockMu.Lock()
	state := o.locked
	o.lockMu.Unlock()
	if state != nil {
		state.unlock(o)
	}
}
