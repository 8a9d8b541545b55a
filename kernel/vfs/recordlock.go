package vfs

import (
	"math"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// RecordLock is a lock on bytes of a file, F_SETLK of fcntl(2). As on Linux a process holds it by its descriptor table: closing
// any descriptor of the file gives all of its locks up, and children don't have them.
type RecordLock struct {
	Write      bool
	Start, End int64 // bytes; End is the last one
	PID        int   // of the process that holds it

	owner *Table
}

func (l *RecordLock) overlaps(m *RecordLock) bool { return l.Start <= m.End && m.Start <= l.End }

// maxRecordLocks bounds the locks on a file.
const maxRecordLocks = 4096

// recordLocks are the locks on the bytes of a node.
type recordLocks struct {
	queue waiter.Queue
	count atomic.Int32 // of list, to look without the lock

	mu   sync.Mutex
	list []RecordLock // guarded by mu
}

// Readiness implements waiter.Waitable, for Wait: it is not asked.
func (s *recordLocks) Readiness(waiter.EventMask) waiter.EventMask { return 0 }

// EventRegister implements waiter.Waitable.
func (s *recordLocks) EventRegister(e *waiter.Entry) error {
	s.queue.EventRegister(e)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (s *recordLocks) EventUnregister(e *waiter.Entry) { s.queue.EventUnregister(e) }

// conflictLocked returns a lock of somebody else that is in the way of l, or nil.
func (s *recordLocks) conflictLocked(l *RecordLock) *RecordLock {
	for i := range s.list {
		if m := &s.list[i]; m.owner != l.owner && (m.Write || l.Write) && m.overlaps(l) {
			return m
		}
	}
	return nil
}

// set takes the lock: unix.EAGAIN if another's is in the way, unix.ENOLCK if there are too many. Locks of a kind that touch become one, as
// on Linux.
func (s *recordLocks) set(l RecordLock) error {
	s.mu.Lock()
	if s.conflictLocked(&l) != nil {
		s.mu.Unlock()
		return unix.EAGAIN
	}
	shares := false // what was exclusive
	for i := range s.list {
		m := &s.list[i]
		switch {
		case m.owner != l.owner:
		case m.Write != l.Write:
			shares = shares || m.Write && m.overlaps(&l)
		case m.Start-1 <= l.End && l.Start-1 <= m.End:
			l.Start, l.End = min(l.Start, m.Start), max(l.End, m.End)
		}
	}
	kept := s.withoutLocked(&l)
	if len(kept) >= maxRecordLocks {
		s.mu.Unlock()
		return unix.ENOLCK
	}
	s.replaceLocked(append(kept, l))
	s.mu.Unlock()
	if shares {
		s.queue.Notify(waiter.ReadableEvents)
	}
	return nil
}

// drop gives up what l's owner holds of its bytes.
func (s *recordLocks) drop(l RecordLock) {
	if s.count.Load() == 0 {
		return
	}
	s.mu.Lock()
	s.replaceLocked(s.withoutLocked(&l))
	s.mu.Unlock()
	s.queue.Notify(waiter.ReadableEvents)
}

// withoutLocked returns the list without what l's owner holds of its bytes.
func (s *recordLocks) withoutLocked(l *RecordLock) (kept []RecordLock) {
	for _, m := range s.list {
		if m.owner != l.owner || !m.overlaps(l) {
			kept = append(kept, m)
			continue
		}
		if m.Start < l.Start {
			left := m
			left.End = l.Start - 1
			kept = append(kept, left)
		}
		if m.End > l.End {
			m.Start = l.End + 1
			kept = append(kept, m)
		}
	}
	return kept
}

func (s *recordLocks) replaceLocked(list []RecordLock) {
	s.list = list
	s.count.Store(int32(len(list)))
}

// recordLocks returns where the locks on the bytes of what is open are kept; nil: it is no file of the tree, and nobody else has it.
func (o *OpenFile) recordLocks() *recordLocks {
	if h, ok := o.file.(NodeHolder); ok {
		if m := h.Node().meta(); m != nil {
			return &m.records
		}
	}
	return nil
}

// LockRange returns the bytes that struct flock means, by l_whence, l_start and l_len: unix.EINVAL, unix.EOVERFLOW.
func (o *OpenFile) LockRange(whence uint16, start, length int64) (first, last int64, err error) {
	var base int64
	switch whence {
	case 0: // SEEK_SET
	case 1: // SEEK_CUR
		o.posMu.Lock()
		base = o.pos
		o.posMu.Unlock()
	case 2: // SEEK_END
		if o.sizer != nil {
			if base, err = o.sizer.Size(); err != nil {
				return 0, 0, err
			}
		}
	default:
		return 0, 0, unix.EINVAL
	}
	if start > math.MaxInt64-base {
		return 0, 0, unix.EOVERFLOW
	}
	first, last = base+start, math.MaxInt64
	if length < 0 {
		first, last = first+length, first-1
	}
	switch {
	case first < 0:
		return 0, 0, unix.EINVAL
	case length > 0 && length-1 > math.MaxInt64-first:
		return 0, 0, unix.EOVERFLOW
	case length > 0:
		last = first + length - 1
	}
	return first, last, nil
}

// LockConflict returns a lock that is in the way of l for a process with the table t; ok is false if there is none.
func (o *OpenFile) LockConflict(t *Table, l RecordLock) (conflict RecordLock, ok bool) {
	s := o.recordLocks()
	if s == nil {
		return RecordLock{}, false
	}
	l.owner = t
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.conflictLocked(&l); m != nil {
		return *m, true
	}
	return RecordLock{}, false
}

// SetLock takes the lock l for the process with the table t, or gives up what it holds of the bytes if unlock. With wait it waits
// while others' are in the way, else that is unix.EAGAIN.
//
// DEVIATION: processes that wait for each other are not told so (EDEADLK).
func (o *OpenFile) SetLock(sleeper Sleeper, t *Table, l RecordLock, unlock, wait bool) error {
	s := o.recordLocks()
	if s == nil {
		return nil
	}
	l.owner = t
	switch {
	case unlock:
		s.drop(l)
		return nil
	case !wait:
		return s.set(l)
	}
	return Wait(sleeper, s, waiter.ReadableEvents, noDeadline, func() error { return s.set(l) })
}

// dropLocks gives up the locks on the bytes of o's file, with a descriptor of t.
func (t *Table) dropLocks(o *OpenFile) {
	if s := o.recordLocks(); s != nil {
		s.drop(RecordLock{End: math.MaxInt64, owner: t})
	}
}
