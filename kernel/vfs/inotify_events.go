package vfs

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// What the tree and open files say to inotify. Where nobody watches, it costs to look at a pointer or two.

// happened tells who watches the node, or the directory that it is in, of an event. mask has IN_ISDIR if it is a directory.
func (a *inode) happened(mask uint32) {
	if e := a.named.Load(); e != nil && e.dir.watches.Load() != nil {
		e.dir.tell(mask, 0, e.name)
	}
	a.itself(mask)
}

// itself tells who watches the node, and not who watches its directory.
func (a *inode) itself(mask uint32) {
	if a.watches.Load() != nil {
		a.tell(mask, 0, "")
	}
}

// entryHappened tells who watches the directory of what happens to a name in it.
func (d *Dir) entryHappened(mask uint32, cookie uint32, name string) {
	if d.watches.Load() != nil {
		d.tell(mask, cookie, name)
	}
}

// tell gives the event to all who watch the node for it.
func (a *inode) tell(mask, cookie uint32, name string) {
	a.fs.inotify.mu.Lock()
	var told []*Inotify
	for w := a.watches.Load(); w != nil; {
		next := w.next
		if mask&w.mask&unix.IN_ALL_EVENTS != 0 {
			w.of.putLocked(inotifyEvent{w.id, mask, cookie, name})
			if w.mask&unix.IN_ONESHOT != 0 {
				w.endLocked()
			}
			told = append(told, w.of)
		}
		w = next
	}
	a.fs.inotify.mu.Unlock()
	for _, in := range told {
		in.queue.Notify(waiter.ReadableEvents)
	}
}

// gone tells that the node is no more, which ends its watches.
func (a *inode) gone() {
	if a.watches.Load() == nil {
		return
	}
	a.itself(unix.IN_DELETE_SELF)
	a.fs.inotify.mu.Lock()
	var told []*Inotify
	for w := a.watches.Load(); w != nil; w = a.watches.Load() {
		w.endLocked()
		told = append(told, w.of)
	}
	a.fs.inotify.mu.Unlock()
	for _, in := range told {
		in.queue.Notify(waiter.ReadableEvents)
	}
}

// dirBit returns IN_ISDIR for a directory.
func dirBit(n Node) uint32 {
	if _, ok := n.(*Dir); ok {
		return unix.IN_ISDIR
	}
	return 0
}

// changed tells of a change of a node's attributes, unless there was an error.
func changed(n Node, mask uint32, err *error) {
	if *err == nil {
		n.meta().happened(mask | dirBit(n))
	}
}

// moved tells of a node that has another name now, and of the node that had it before, if there was one.
func (fs *FS) moved(from, to *place, node, replaced Node) {
	bit, cookie := dirBit(node), uint32(0)
	if from.dir.watches.Load() != nil || to.dir.watches.Load() != nil {
		fs.inotify.mu.Lock()
		fs.inotify.cookie++
		cookie = fs.inotify.cookie
		fs.inotify.mu.Unlock()
	}
	from.dir.entryHappened(unix.IN_MOVED_FROM|bit, cookie, from.name)
	to.dir.entryHappened(unix.IN_MOVED_TO|bit, cookie, to.name)
	if replaced != nil {
		replaced.meta().itself(unix.IN_ATTRIB | dirBit(replaced))
	}
	node.meta().itself(unix.IN_MOVE_SELF)
}

// watchable are the files whose opening and closing inotify tells.
type watchable interface{ watched() (*inode, uint32) }

func (r *RegularFile) watched() (*inode, uint32) { return &r.node.inode, 0 }

func (f *dirFile) watched() (*inode, uint32) { return &f.dir.inode, unix.IN_ISDIR }

// opens tells that a file has been opened, and returns it.
func (o *OpenFile) opens() *OpenFile {
	if f, ok := o.file.(watchable); ok {
		a, bit := f.watched()
		a.happened(unix.IN_OPEN | bit)
	}
	return o
}

// closes tells that the file is being closed.
func (o *OpenFile) closes() {
	if f, ok := o.file.(watchable); ok {
		a, bit := f.watched()
		if o.Writable() {
			a.happened(unix.IN_CLOSE_WRITE | bit)
		} else {
			a.happened(unix.IN_CLOSE_NOWRITE | bit)
		}
	}
}
