package vfs

import (
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// maxEpollDepth is how deep epolls may watch one another, see epoll_ctl(2) on ELOOP.
const maxEpollDepth = 5

// maxEpollPaths is over how many chains of epolls at most a change of one is told to those who wait. Where many watch many, their
// number grows with the depth as a power of the width, so that one write to a pipe would never end. Linux, which counts by length,
// allows no more (path_limits).
const maxEpollPaths = 500

// nestMu guards who watches whom among the epolls (Epoll.watchers). It is taken before any Epoll.mu.
var nestMu sync.Mutex

// Add puts the file o, known as fd, on the interest list. The caller holds a reference to o; the list holds
// none: the last Release of o removes it. Errors: see epoll_ctl(2).
func (e *Epoll) Add(o *OpenFile, fd int, ev EpollEvent) error {
	if !Pollable(o.file) {
		return unix.EPERM
	}
	inner, nested := o.file.(*Epoll)
	if inner == e {
		return unix.EINVAL
	}
	if ev.Events&unix.EPOLLEXCLUSIVE != 0 && (ev.Events&^exclusiveOK != 0 || nested) {
		return unix.EINVAL
	}
	if !nested {
		return e.add(o, fd, ev)
	}
	nestMu.Lock()
	defer nestMu.Unlock()
	depths := make(map[*Epoll]int)
	below, loop := inner.depthLocked(e, maxEpollDepth, depths)
	if loop || below+e.heightLocked(maxEpollDepth) > maxEpollDepth {
		return unix.ELOOP
	}
	if inner.watchers == nil {
		inner.watchers = make(map[*Epoll]int)
	}
	inner.watchers[e]++
	err := boundedLocked(depths)
	if err == nil {
		err = e.add(o, fd, ev)
	}
	if err != nil {
		inner.unwatchLocked(e)
	}
	return err
}

// boundedLocked returns unix.EINVAL if a change of one of the epolls is told over more than maxEpollPaths chains.
func boundedLocked(epolls map[*Epoll]int) error {
	paths := make(map[*Epoll]int)
	for e := range epolls {
		if e.pathsLocked(paths) > maxEpollPaths {
			return unix.EINVAL
		}
	}
	return nil
}

func (e *Epoll) add(o *OpenFile, fd int, ev EpollEvent) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := itemKey{o, fd}
	if e.items[key] != nil {
		return unix.EEXIST
	}
	if !e.memory.watches.take(1) {
		return unix.ENOSPC
	}
	it := &item{epoll: e, key: key}
	it.setLocked(ev)
	it.entry.Init(it, waiter.AllEvents)
	if err := o.file.EventRegister(&it.entry); err != nil {
		e.memory.watches.give(1)
		return err
	}
	e.items[key] = it
	e.watched.Add(1)
	o.addWatch(it)
	if it.readiness() != 0 {
		e.enqueue(it)
	}
	return nil
}

// setLocked stores what the caller wants of an item. Errors and hang-ups are always wanted.
func (it *item) setLocked(ev EpollEvent) {
	it.flags = ev.Events & epollFlags
	it.data = ev.Data
	it.events.Store(ev.Events&^epollFlags | unix.EPOLLERR | unix.EPOLLHUP)
}

// Modify changes what is wanted of a file on the list, and arms a one-shot item anew.
func (e *Epoll) Modify(o *OpenFile, fd int, ev EpollEvent) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	it := e.items[itemKey{o, fd}]
	switch {
	case it == nil:
		return unix.ENOENT
	case (ev.Events|it.flags)&unix.EPOLLEXCLUSIVE != 0:
		return unix.EINVAL
	}
	it.setLocked(ev)
	if it.readiness() != 0 {
		e.enqueue(it)
	}
	return nil
}

// Remove takes a file off the list.
func (e *Epoll) Remove(o *OpenFile, fd int) error {
	e.mu.Lock()
	it := e.items[itemKey{o, fd}]
	if it == nil {
		e.mu.Unlock()
		return unix.ENOENT
	}
	e.removeLocked(it)
	e.mu.Unlock()
	if inner, ok := o.file.(*Epoll); ok {
		inner.removeWatcher(e)
	}
	return nil
}

// removeLocked ends an item. When it returns, the file's queue calls the item no more.
func (e *Epoll) removeLocked(it *item) {
	it.key.file.file.EventUnregister(&it.entry)
	it.events.Store(0)
	e.readyMu.Lock()
	if it.listed {
		e.ready.remove(it)
	}
	e.readyMu.Unlock()
	it.key.file.removeWatch(it)
	delete(e.items, it.key)
	e.watched.Add(-1)
	e.memory.watches.give(1)
}

// depthLocked returns how many levels of epolls e is, itself included and counting no further
// than limit+1, and whether sought is among them. depths are those of the ones that have been looked at.
func (e *Epoll) depthLocked(sought *Epoll, limit int, depths map[*Epoll]int) (depth int, found bool) {
	if e == sought {
		return 1, true
	}
	if depth, ok := depths[e]; ok || limit == 0 {
		return max(depth, 1), false
	}
	e.mu.Lock()
	var inner []*Epoll
	for key := range e.items {
		if in, ok := key.file.file.(*Epoll); ok {
			inner = append(inner, in)
		}
	}
	e.mu.Unlock()
	for _, in := range inner {
		d, f := in.depthLocked(sought, limit-1, depths)
		if f {
			return 0, true
		}
		depth = max(depth, d)
	}
	depths[e] = depth + 1
	return depth + 1, false
}

// heightLocked returns how many levels of epolls watch e, e included, counting no further than limit+1.
func (e *Epoll) heightLocked(limit int) int {
	height := 0
	if limit > 0 {
		for outer := range e.watchers {
			height = max(height, outer.heightLocked(limit-1))
		}
	}
	return height + 1
}

// pathsLocked returns over how many chains of epolls a change of e is told, counting no further than maxEpollPaths+1. known are those
// of the ones that have been looked at.
func (e *Epoll) pathsLocked(known map[*Epoll]int) int {
	if paths, ok := known[e]; ok {
		return paths
	}
	paths := 0
	for outer, items := range e.watchers {
		paths = min(paths+items*outer.pathsLocked(known), maxEpollPaths+1)
	}
	known[e] = max(paths, 1)
	return known[e]
}

// removeWatcher forgets one item of outer that watched e.
func (e *Epoll) removeWatcher(outer *Epoll) {
	nestMu.Lock()
	defer nestMu.Unlock()
	e.unwatchLocked(outer)
}

func (e *Epoll) unwatchLocked(outer *Epoll) {
	if e.watchers[outer]--; e.watchers[outer] <= 0 {
		delete(e.watchers, outer)
	}
}

func (o *OpenFile) addWatch(it *item) {
	o.watchMu.Lock()
	defer o.watchMu.Unlock()
	it.nextWatch = o.watches
	if o.watches != nil {
		o.watches.prevWatch = it
	}
	o.watches = it
}

func (o *OpenFile) removeWatch(it *item) {
	o.watchMu.Lock()
	defer o.watchMu.Unlock()
	if it.prevWatch != nil {
		it.prevWatch.nextWatch = it.nextWatch
	} else {
		o.watches = it.nextWatch
	}
	if it.nextWatch != nil {
		it.nextWatch.prevWatch = it.prevWatch
	}
	it.nextWatch, it.prevWatch = nil, nil
}

// dropWatches takes the file off all interest lists, when its last reference is gone.
func (o *OpenFile) dropWatches() {
	for {
		o.watchMu.Lock()
		it := o.watches
		o.watchMu.Unlock()
		if it == nil {
			return
		}
		// The epoll may be closing at the same time: then its item is gone, and so is the watch.
		it.epoll.Remove(o, it.key.fd)
	}
}

// itemList is a list of items, linked through them.
type itemList struct{ front, back *item }

func (l *itemList) pushBack(it *item) {
	it.listed = true
	it.prev, it.next = l.back, nil
	if l.back != nil {
		l.back.next = it
	} else {
		l.front = it
	}
	l.back = it
}

func (l *itemList) pushFront(it *item) {
	it.listed = true
	it.prev, it.next = nil, l.front
	if l.front != nil {
		l.front.prev = it
	} else {
		l.back = it
	}
	l.front = it
}

func (l *itemList) remove(it *item) {
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		l.front = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		l.back = it.prev
	}
	it.prev, it.next, it.listed = nil, nil, false
}

func (l *itemList) popFront() *item {
	it := l.front
	if it != nil {
		l.remove(it)
	}
	return it
}

// append moves the items of other to the end of l.
func (l *itemList) append(other *itemList) {
	if other.front == nil {
		return
	}
	if l.back == nil {
		*l = *other
	} else {
		l.back.next, other.front.prev = other.front, l.back
		l.back = other.back
	}
	*other = itemList{}
}
