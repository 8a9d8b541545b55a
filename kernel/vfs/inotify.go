package vfs

import (
	"encoding/binary"
	"math"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Limits of inotify(7), as on Linux; machines with little memory allow fewer watches and events.
const (
	maxInotifyInstances = 128
	maxInotifyEvents    = 16384 // that an instance keeps
)

// inotifies is what the inotify instances of a file system have in common.
type inotifies struct {
	watches counter // of all instances
	kept    counter // events of all instances that nobody has read

	mu        sync.Mutex // a leaf: also guards the instances and the lists of inodes
	instances int        // guarded by mu
	cookie    uint32     // guarded by mu: of the last rename
}

// Inotify tells of what happens to files and directories, inotify(7).
//
// DEVIATION: it tells of regular files and directories; of named pipes and devices only that they are made, moved and removed. Of a
// file with several names, directories are told the newest one.
type Inotify struct {
	fs    *FS
	queue waiter.Queue

	watches map[int32]*inotifyWatch // guarded by fs.inotify.mu
	last    int32                   // guarded by fs.inotify.mu: the newest watch
	events  []inotifyEvent          // guarded by fs.inotify.mu
	size    int                     // guarded by fs.inotify.mu: bytes that the events take when they are read
}

// inotifyWatch is what one instance wants to know of one node.
type inotifyWatch struct {
	of   *Inotify
	node *inode
	id   int32
	mask uint32        // guarded by fs.inotify.mu
	next *inotifyWatch // guarded by fs.inotify.mu: the next one of the node
}

type inotifyEvent struct {
	id           int32
	mask, cookie uint32
	name         string
}

// NewInotify returns an instance that watches nothing: unix.EMFILE if there are too many.
func (fs *FS) NewInotify() (*Inotify, error) {
	fs.inotify.mu.Lock()
	defer fs.inotify.mu.Unlock()
	if fs.inotify.instances == maxInotifyInstances {
		return nil, unix.EMFILE
	}
	fs.inotify.instances++
	return &Inotify{fs: fs, watches: make(map[int32]*inotifyWatch)}, nil
}

// Bits of inotify_add_watch(2) that are no events.
const (
	inotifyHow = unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW | unix.IN_EXCL_UNLINK | unix.IN_MASK_CREATE | unix.IN_MASK_ADD | unix.IN_ISDIR |
		unix.IN_ONESHOT
	inotifyKnown = unix.IN_ALL_EVENTS | unix.IN_UNMOUNT | unix.IN_Q_OVERFLOW | unix.IN_IGNORED | inotifyHow
)

// Watch watches what path names, or changes what is wanted of it, and returns the number of the watch, see inotify_add_watch(2).
func (in *Inotify) Watch(p *Paths, path string, mask uint32) (int32, error) {
	if mask&^inotifyKnown != 0 || mask == 0 || mask&unix.IN_MASK_ADD != 0 && mask&unix.IN_MASK_CREATE != 0 {
		return 0, unix.EINVAL
	}
	n, err := p.Lookup(nil, path, mask&unix.IN_DONT_FOLLOW == 0)
	if err != nil {
		return 0, err
	}
	if _, ok := n.(*Dir); !ok && mask&unix.IN_ONLYDIR != 0 {
		return 0, unix.ENOTDIR
	}
	a := n.meta()
	if a == nil {
		return 0, unix.EACCES // a descriptor's file that no name leads to
	}
	if err := p.Credentials().may(a, mayRead); err != nil {
		return 0, err
	}
	mu := &in.fs.inotify.mu
	mu.Lock()
	defer mu.Unlock()
	for w := a.watches.Load(); w != nil; w = w.next {
		switch {
		case w.of != in:
			continue
		case mask&unix.IN_MASK_CREATE != 0:
			return 0, unix.EEXIST
		case mask&unix.IN_MASK_ADD == 0:
			w.mask = 0
		}
		w.mask |= mask
		return w.id, nil
	}
	if in.watches == nil || in.last == math.MaxInt32 || !in.fs.inotify.watches.take(1) {
		return 0, unix.ENOSPC
	}
	in.last++
	w := &inotifyWatch{of: in, node: a, id: in.last, mask: mask, next: a.watches.Load()}
	in.watches[w.id] = w
	a.watches.Store(w)
	return w.id, nil
}

// Unwatch ends a watch, which is the last that it tells: unix.EINVAL if there is no such watch.
func (in *Inotify) Unwatch(id int32) error {
	in.fs.inotify.mu.Lock()
	w := in.watches[id]
	if w == nil {
		in.fs.inotify.mu.Unlock()
		return unix.EINVAL
	}
	w.endLocked()
	in.fs.inotify.mu.Unlock()
	in.queue.Notify(waiter.ReadableEvents)
	return nil
}

// endLocked takes the watch away and tells so.
func (w *inotifyWatch) endLocked() {
	w.removeLocked()
	w.of.putLocked(inotifyEvent{id: w.id, mask: unix.IN_IGNORED})
}

// removeLocked takes the watch out of its instance and off its node.
func (w *inotifyWatch) removeLocked() {
	delete(w.of.watches, w.id)
	w.of.fs.inotify.watches.give(1)
	if first := w.node.watches.Load(); first == w {
		w.node.watches.Store(w.next)
	} else {
		for first.next != w {
			first = first.next
		}
		first.next = w.next
	}
}

// putLocked adds an event, unless the last one says the same. One that finds no room is replaced by a last one, that says so.
func (in *Inotify) putLocked(e inotifyEvent) {
	if n := len(in.events); n > 0 && (in.events[n-1] == e || in.events[n-1].mask == unix.IN_Q_OVERFLOW) {
		return
	}
	if len(in.events) >= maxInotifyEvents || !in.fs.inotify.kept.take(1) {
		in.fs.inotify.kept.used.Add(1) // one more for each instance that has events, whatever the limit
		e = inotifyEvent{id: -1, mask: unix.IN_Q_OVERFLOW}
	}
	in.events = append(in.events, e)
	in.size += e.size()
}

// inotifyEventSize is the size of struct inotify_event in bytes, without the name.
const inotifyEventSize = 16

// size returns how many bytes the event takes: names end with a NUL and are filled up to a multiple of the structure's size.
func (e *inotifyEvent) size() int {
	if e.name == "" {
		return inotifyEventSize
	}
	return inotifyEventSize + (len(e.name)+inotifyEventSize)&^(inotifyEventSize-1)
}

// Read implements File: as many events as fit, unix.EINVAL if not even one does.
//
//	+0 wd   +4 mask   +8 cookie   +12 len   +16 name
func (in *Inotify) Read(dst Dst, _ int64) (int64, error) {
	total := int64(0)
	for {
		in.fs.inotify.mu.Lock()
		if len(in.events) == 0 || in.events[0].size() > dst.Len() {
			empty := len(in.events) == 0
			in.fs.inotify.mu.Unlock()
			switch {
			case total > 0:
				return total, nil
			case empty:
				return 0, unix.EAGAIN
			}
			return 0, unix.EINVAL
		}
		e := in.events[0]
		in.size -= e.size()
		in.events = in.events[1:]
		in.fs.inotify.mu.Unlock()
		in.fs.inotify.kept.give(1)
		b := make([]byte, e.size())
		binary.LittleEndian.PutUint32(b, uint32(e.id))
		binary.LittleEndian.PutUint32(b[4:], e.mask)
		binary.LittleEndian.PutUint32(b[8:], e.cookie)
		binary.LittleEndian.PutUint32(b[12:], uint32(len(b)-inotifyEventSize))
		copy(b[inotifyEventSize:], e.name)
		if n, err := dst.Write(b); err != nil {
			if total > 0 {
				err = nil
			}
			return total + int64(n), err
		}
		total += int64(len(b))
	}
}

// Write implements File.
func (in *Inotify) Write(Src, int64) (int64, error) { return 0, unix.EBADF }

// Ioctl implements Ioctler: FIONREAD tells how many bytes there are to read.
func (in *Inotify) Ioctl(mem Memory, cmd, arg uint64) (uint64, error) {
	if cmd != unix.TIOCINQ {
		return 0, unix.ENOTTY
	}
	in.fs.inotify.mu.Lock()
	size := in.size
	in.fs.inotify.mu.Unlock()
	return 0, mem.CopyOut(arg, binary.LittleEndian.AppendUint32(nil, uint32(size)))
}

// Readiness implements waiter.Waitable.
func (in *Inotify) Readiness(mask waiter.EventMask) waiter.EventMask {
	in.fs.inotify.mu.Lock()
	defer in.fs.inotify.mu.Unlock()
	if len(in.events) == 0 {
		return 0
	}
	return mask & waiter.ReadableEvents
}

// EventRegister implements waiter.Waitable.
func (in *Inotify) EventRegister(entry *waiter.Entry) error {
	in.queue.EventRegister(entry)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (in *Inotify) EventUnregister(entry *waiter.Entry) { in.queue.EventUnregister(entry) }

// Stat implements File.
func (in *Inotify) Stat() (unix.Stat_t, error) { return anonymousStat(0o600, anonymousInodes), nil }

// Path is the name in /proc/self/fd.
func (in *Inotify) Path() string { return "anon_inode:inotify" }

// Close ends all watches.
func (in *Inotify) Close() error {
	in.fs.inotify.mu.Lock()
	defer in.fs.inotify.mu.Unlock()
	for _, w := range in.watches {
		w.removeLocked()
	}
	in.fs.inotify.instances--
	in.fs.inotify.kept.give(int64(len(in.events)))
	in.watches, in.events = nil, nil
	return nil
}
