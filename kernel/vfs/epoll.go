package vfs

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// EpollEvent is what Epoll.Collect reports and what a caller registers: poll bits and flags, and
// the caller's own value.
type EpollEvent struct {
	Events uint32
	Data   uint64
}

// Flags of EpollEvent.Events that are not poll bits, see epoll_ctl(2).
const (
	epollFlags = unix.EPOLLET | unix.EPOLLONESHOT | unix.EPOLLWAKEUP | unix.EPOLLEXCLUSIVE

	// exclusiveOK are the bits that may stand beside EPOLLEXCLUSIVE.
	exclusiveOK = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLERR | unix.EPOLLHUP | unix.EPOLLWAKEUP | unix.EPOLLET | unix.EPOLLEXCLUSIVE
)

// Epoll is an epoll instance: an interest list, and the part of it that may be ready.
//
// A file's queue calls an item's NotifyEvent, on any goroutine and with the file's locks held; the item
// then goes to the ready list, under readyMu only. Collect takes items off the list before it asks the file
// whether it really is ready, so that an edge that comes in between puts the item on the list again
// and is not lost.
type Epoll struct {
	memory *memory
	queue  waiter.Queue // those who wait for the epoll

	mu    sync.Mutex
	items map[itemKey]*item // guarded by mu

	watched atomic.Int32 // len(items), written under mu

	readyMu sync.Mutex
	ready   itemList // guarded by readyMu

	watchers map[*Epoll]int // guarded by nestMu: items of other epolls that watch this one
}

// itemKey tells what an item watches: as in epoll(7), a descriptor number with its open file description.
type itemKey struct {
	file *OpenFile
	fd   int
}

// item is one entry of an interest list. It is the listener of an entry in the file's queue.
type item struct {
	entry waiter.Entry
	epoll *Epoll
	key   itemKey

	// events are the poll bits wanted, always with EventErr and EventHUp; 0 while a
	// one-shot item is disarmed. Written under epoll.mu.
	events atomic.Uint32
	flags  uint32 // guarded by epoll.mu: of epollFlags
	data   uint64 // guarded by epoll.mu

	next, prev *item // guarded by epoll.readyMu: the ready list, or the list that Collect scans
	listed     bool  // guarded by epoll.readyMu: in one of them

	nextWatch, prevWatch *item // guarded by key.file.watchMu: OpenFile.watches
}

// NewEpoll returns an instance that watches nothing.
func (fs *FS) NewEpoll() *Epoll { return newEpoll(&fs.memory) }

func newEpoll(m *memory) *Epoll { return &Epoll{memory: m, items: make(map[itemKey]*item)} }

// NotifyEvent implements waiter.EventListener: the file may be ready.
func (it *item) NotifyEvent(mask waiter.EventMask) {
	wanted := it.events.Load()
	if wanted&unix.EPOLLRDHUP != 0 {
		wanted |= unix.EPOLLIN // a file may tell of its end as of something to read
	}
	if uint32(mask)&wanted != 0 {
		it.epoll.enqueue(it)
	}
}

// enqueue puts an item on the ready list and tells those who wait, also if it was there: for an
// epoll that watches this one it is an edge.
func (e *Epoll) enqueue(it *item) {
	e.readyMu.Lock()
	if !it.listed {
		e.ready.pushBack(it)
	}
	e.readyMu.Unlock()
	e.queue.Notify(waiter.ReadableEvents)
}

// Watched is the length of the interest list.
func (e *Epoll) Watched() int { return int(e.watched.Load()) }

// Collect fills events with what is ready and returns how many: unix.EAGAIN if nothing is. It looks only at
// the ready list and doesn't allocate.
func (e *Epoll) Collect(events []EpollEvent) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readyMu.Lock()
	scan := e.ready
	e.ready = itemList{}
	e.readyMu.Unlock()
	if scan.front == nil {
		return 0, unix.EAGAIN
	}
	n := 0
	var again itemList // level-triggered items that go back on the list
	for n < len(events) {
		e.readyMu.Lock()
		it := scan.popFront()
		e.readyMu.Unlock()
		if it == nil {
			break
		}
		ready := it.readiness()
		if ready == 0 {
			continue
		}
		events[n] = EpollEvent{Events: ready, Data: it.data}
		n++
		switch {
		case it.flags&unix.EPOLLONESHOT != 0:
			it.events.Store(0)
		case it.flags&unix.EPOLLET == 0:
			e.readyMu.Lock()
			if !it.listed {
				again.pushBack(it)
			}
			e.readyMu.Unlock()
		}
	}
	e.readyMu.Lock()
	// What was not scanned comes first the next time, what was reported last, so that a few busy
	// files don't hide the others.
	scan.append(&e.ready)
	scan.append(&again)
	e.ready = scan
	e.readyMu.Unlock()
	if n == 0 {
		return 0, unix.EAGAIN
	}
	return n, nil
}

// readiness returns what the file is ready for of what the item wants.
func (it *item) readiness() uint32 {
	events := it.events.Load()
	if events == 0 {
		return 0
	}
	return uint32(it.key.file.file.Readiness(waiter.EventMask(events))) & events
}

// Readiness implements waiter.Waitable: an epoll can be watched itself. Unlike Collect it leaves the
// ready items where they are.
func (e *Epoll) Readiness(mask waiter.EventMask) waiter.EventMask {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readyMu.Lock()
	scan := e.ready
	e.ready = itemList{}
	e.readyMu.Unlock()
	var found waiter.EventMask
	for found == 0 {
		e.readyMu.Lock()
		it := scan.popFront()
		e.readyMu.Unlock()
		if it == nil {
			break
		}
		if it.readiness() == 0 {
			continue
		}
		found = waiter.ReadableEvents
		e.readyMu.Lock()
		if !it.listed {
			scan.pushFront(it)
		}
		e.readyMu.Unlock()
	}
	e.readyMu.Lock()
	scan.append(&e.ready)
	e.ready = scan
	e.readyMu.Unlock()
	return found & mask
}

// EventRegister implements waiter.Waitable.
func (e *Epoll) EventRegister(entry *waiter.Entry) error {
	e.queue.EventRegister(entry)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (e *Epoll) EventUnregister(entry *waiter.Entry) { e.queue.EventUnregister(entry) }

// Read implements File: an epoll can't be read.
func (e *Epoll) Read(Dst, int64) (int64, error) { return 0, unix.EINVAL }

// Write implements File: an epoll can't be written.
func (e *Epoll) Write(Src, int64) (int64, error) { return 0, unix.EINVAL }

// Stat implements File.
func (e *Epoll) Stat() (unix.Stat_t, error) { return anonymousStat(0o600, anonymousInodes), nil }

// Path is the name in /proc/self/fd.
func (e *Epoll) Path() string { return "anon_inode:[eventpoll]" }

// Close stops the watching.
func (e *Epoll) Close() error {
	var nested []*Epoll
	e.mu.Lock()
	for _, it := range e.items {
		e.removeLocked(it)
		if inner, ok := it.key.file.file.(*Epoll); ok {
			nested = append(nested, inner)
		}
	}
	e.mu.Unlock()
	for _, inner := range nested {
		inner.removeWatcher(e)
	}
	return nil
}

func (e *Epoll) seekless() {}
