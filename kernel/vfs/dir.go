package vfs

import (
	"sort"
	"time"

	"golang.org/x/sys/unix"
)

// dirEntrySize is what an entry adds to a directory's st_size, as tmpfs has it.
const dirEntrySize = 20

// dynamicPosition is the position in a directory from which on its generated entries are.
const dynamicPosition = 1 << 32

// Dir is a directory.
type Dir struct {
	inode
	fixed bool // of /proc or /sys: nothing can be made or removed in it
	mount bool // the root of /proc, /sys, /dev: can't be removed

	parent  *Dir              // guarded by fs.mu; the root's is itself
	name    string            // guarded by fs.mu: in parent
	removed bool              // guarded by fs.mu
	entries map[string]*entry // guarded by fs.mu
	order   []*entry          // guarded by fs.mu: by position, with holes where entries were removed
	last    int64             // guarded by fs.mu: the highest position so far

	// find and names are those of a directory with generated entries: find returns nil for a name that isn't
	// there; names calls emit with a number, ascending, and a name for each one from the number first on.
	find  func(p *Paths, name string) Node
	names func(p *Paths, first int64, emit func(number int64, name string) bool)
}

// entry is a name in a directory.
type entry struct {
	dir      *Dir
	name     string
	node     Node  // nil: removed
	position int64 // of the entry, in getdents64; never used again
}

// newDir makes a directory that is in no other one yet.
func (fs *FS) newDir(dev uint64, perm uint32) *Dir {
	d := new(Dir)
	d.init(fs, dev, unix.S_IFDIR|perm)
	d.nlink = 2
	d.last = 1 // "." and ".." are 0 and 1
	return d
}

// lookupLocked returns what a name stands for, or nil.
func (d *Dir) lookupLocked(p *Paths, name string) Node {
	if e := d.entries[name]; e != nil {
		return e.node
	}
	if d.find != nil {
		return d.find(p, name)
	}
	return nil
}

// addLocked puts a new name into the directory.
func (d *Dir) addLocked(name string, n Node) {
	d.last++
	e := &entry{dir: d, name: name, node: n, position: d.last}
	n.meta().named.Store(e)
	if d.entries == nil {
		d.entries = make(map[string]*entry)
	}
	d.entries[name] = e
	d.order = append(d.order, e)
	if sub, ok := n.(*Dir); ok {
		sub.parent, sub.name = d, name
		d.link(+1)
	}
	d.touch()
}

// dropLocked takes a name out of the directory. The node's own link count is the caller's business.
func (d *Dir) dropLocked(name string) {
	e := d.entries[name]
	if _, ok := e.node.(*Dir); ok {
		d.link(-1)
	}
	e.node.meta().named.CompareAndSwap(e, nil)
	e.node = nil
	delete(d.entries, name)
	if len(d.order) > 32 && len(d.order) > 2*len(d.entries) {
		kept := make([]*entry, 0, len(d.entries))
		for _, e := range d.order {
			if e.node != nil {
				kept = append(kept, e)
			}
		}
		d.order = kept
	}
	d.touch()
}

// replaceLocked makes an existing name stand for another node.
func (d *Dir) replaceLocked(name string, n Node) {
	e := d.entries[name]
	if _, ok := e.node.(*Dir); ok {
		d.link(-1)
	}
	e.node.meta().named.CompareAndSwap(e, nil)
	e.node = n
	n.meta().named.Store(e)
	if sub, ok := n.(*Dir); ok {
		sub.parent, sub.name = d, name
		d.link(+1)
	}
	d.touch()
}

// withinLocked tells whether d is ancestor or below it.
func (d *Dir) withinLocked(ancestor *Dir) bool {
	for {
		if d == ancestor {
			return true
		}
		if d.parent == d {
			return false
		}
		d = d.parent
	}
}

// Stat implements Node.
func (d *Dir) Stat() unix.Stat_t {
	st := d.inode.Stat()
	d.fs.mu.RLock()
	st.Size = int64(len(d.entries)) * dirEntrySize
	d.fs.mu.RUnlock()
	return st
}

// Path returns the path of the directory from the root. ok is false if it has been removed.
func (d *Dir) Path() (path string, ok bool) {
	d.fs.mu.RLock()
	defer d.fs.mu.RUnlock()
	return d.pathLocked()
}

func (d *Dir) pathLocked() (path string, ok bool) {
	ok = true
	n := 0
	for at := d; at.parent != at; at = at.parent {
		n += 1 + len(at.name)
		ok = ok && !at.removed
	}
	if n == 0 {
		return "/", ok
	}
	b := make([]byte, n)
	for at := d; at.parent != at; at = at.parent {
		n -= len(at.name)
		copy(b[n:], at.name)
		n--
		b[n] = '/'
	}
	return string(b), ok
}

// dirFile is an open directory.
type dirFile struct {
	alwaysReady
	dir   *Dir
	paths *Paths
}

// Read implements File.
func (f *dirFile) Read(Dst, int64) (int64, error) { return 0, unix.EISDIR }

// Write implements File: a directory can't be opened for writing.
func (f *dirFile) Write(Src, int64) (int64, error) { return 0, unix.EBADF }

// Stat implements File.
func (f *dirFile) Stat() (unix.Stat_t, error) { return f.dir.Stat(), nil }

// Node implements NodeHolder.
func (f *dirFile) Node() Node { return f.dir }

// Path implements PathHolder.
func (f *dirFile) Path() string {
	path, ok := f.dir.Path()
	if !ok {
		path += deletedSuffix
	}
	return path
}

// deletedSuffix marks the paths of removed files in /proc/self/fd, proc_pid_fd(5).
const deletedSuffix = " (deleted)"

// ReadDir implements DirReader. emit must not touch program memory: the tree is locked.
func (f *dirFile) ReadDir(pos int64, emit func(ino uint64, typ uint8, name string, next int64) bool) error {
	d := f.dir
	defer d.happened(unix.IN_ACCESS | unix.IN_ISDIR)
	d.fs.mu.RLock()
	defer d.fs.mu.RUnlock()
	if d.removed {
		return unix.ENOENT
	}
	if pos <= 0 && !emit(d.ino, unix.DT_DIR, ".", 1) {
		return nil
	}
	if pos <= 1 && !emit(d.parent.ino, unix.DT_DIR, "..", 2) {
		return nil
	}
	from := sort.Search(len(d.order), func(i int) bool { return d.order[i].position >= pos })
	for _, e := range d.order[from:] {
		if e.node == nil {
			continue
		}
		a := e.node.meta()
		a.mu.Lock()
		typ := uint8(a.mode >> 12)
		a.mu.Unlock()
		if !emit(a.ino, typ, e.name, e.position+1) {
			return nil
		}
	}
	if d.names != nil {
		d.names(f.paths, max(pos-dynamicPosition, 0), func(number int64, name string) bool {
			typ := uint8(unix.DT_LNK)
			if d.mount {
				typ = unix.DT_DIR
			}
			return emit(dynamicPosition+uint64(number), typ, name, dynamicPosition+number+1)
		})
	}
	d.mu.Lock()
	d.atime = time.Now().UnixNano()
	d.mu.Unlock()
	return nil
}
