package vfs

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Node is what a name in the tree stands for: *Dir, *Regular, *Symlink or *Special.
type Node interface {
	// Stat returns the attributes, see stat(2).
	Stat() unix.Stat_t
	// meta returns what all nodes have; nil if it is no node of the tree.
	meta() *inode
}

// inode is what inode(7) knows of a node besides its contents.
type inode struct {
	fs             *FS    // fixed
	dev, ino, rdev uint64 // fixed

	mu                  sync.Mutex
	mode                uint32 // guarded by mu: type and permissions
	uid, gid            uint32 // guarded by mu
	nlink               uint32 // guarded by mu
	atime, mtime, ctime int64  // guarded by mu: ns since 1970

	owner *Paths // not nil: the process whose node it is, in /proc

	named   atomic.Pointer[entry]        // its newest name, if that is there; changes under fs.mu
	watches atomic.Pointer[inotifyWatch] // the first of them; changes under fs.inotify.mu

	flock   flockState  // see flock.go
	records recordLocks // see recordlock.go
}

func (a *inode) meta() *inode { return a }

// Stat implements Node.
func (a *inode) Stat() unix.Stat_t {
	a.mu.Lock()
	defer a.mu.Unlock()
	uid, gid := a.uid, a.gid
	if a.owner != nil {
		who := a.owner.Credentials()
		uid, gid = who.EUID, who.EGID
	}
	return unix.Stat_t{
		Dev: a.dev, Ino: a.ino, Rdev: a.rdev, Nlink: uint64(a.nlink), Mode: a.mode, Uid: uid, Gid: gid,
		Blksize: blockSize,
		Atim:    unix.NsecToTimespec(a.atime), Mtim: unix.NsecToTimespec(a.mtime), Ctim: unix.NsecToTimespec(a.ctime),
	}
}

// nowNS is the time in ns since 1970.
func nowNS() int64 { return time.Now().UnixNano() }

// init sets the attributes of a new node.
func (a *inode) init(fs *FS, dev uint64, mode uint32) {
	now := time.Now().UnixNano()
	a.fs, a.dev, a.ino = fs, dev, fs.lastInode.Add(1)
	a.mode, a.nlink = mode, 1
	a.atime, a.mtime, a.ctime = now, now, now
}

// touch sets the times of a change of the contents.
func (a *inode) touch() {
	now := time.Now().UnixNano()
	a.mu.Lock()
	a.mtime, a.ctime = now, now
	a.mu.Unlock()
}

// link changes the link count and returns it.
func (a *inode) link(by int) uint32 {
	now := time.Now().UnixNano()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nlink = uint32(int(a.nlink) + by)
	a.ctime = now
	return a.nlink
}

func (a *inode) permissions() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mode & 0o7777
}

// Symlink is a symbolic link. The ones of /proc know what they lead to when they are asked.
type Symlink struct {
	inode
	target string
	read   func(p *Paths) (string, error) // not nil: instead of target
	jump   func(p *Paths) (place, error)  // not nil: where to go, whatever the text of the link
}

// Target returns the text of the link, for a process. A link without a jump is asked with FS.mu held, the
// others without.
func (s *Symlink) Target(p *Paths) (string, error) {
	if s.read != nil {
		return s.read(p)
	}
	return s.target, nil
}

// Stat implements Node.
func (s *Symlink) Stat() unix.Stat_t {
	st := s.inode.Stat()
	st.Size = int64(len(s.target))
	return st
}

// Special is a node that is what open makes of it: a device, or a generated file of /proc.
type Special struct {
	inode
	open func(o *opening) (File, error)
}

// opening is what the file of a Special is told when it is opened.
type opening struct {
	paths *Paths
	node  *Special
	dir   *Dir // where it was found; nil: nowhere
	name  string
	flags uint32 // of open(2)
}

// opened is what the open files of a Special have in common.
type opened struct {
	node *Special
	dir  *Dir
	name string
}

func (o *opening) file() opened { return opened{o.node, o.dir, o.name} }

// Stat implements File.
func (o *opened) Stat() (unix.Stat_t, error) { return o.node.Stat(), nil }

// Node implements NodeHolder.
func (o *opened) Node() Node { return o.node }

// Path implements PathHolder.
func (o *opened) Path() string { return entryPath(o.dir, o.name, o.node) }

func (o *opened) foundAt() (*Dir, string) { return o.dir, o.name }

// fileNode is an open file that /proc/self/fd/N leads to and that has no node.
type fileNode struct{ file File }

func (n fileNode) Stat() unix.Stat_t {
	st, _ := n.file.Stat()
	return st
}

func (n fileNode) meta() *inode { return nil }

// NodeOf returns the node of an open file, or for one that has none (a pipe, a socket) a stand-in that
// has its Stat and ignores changes.
func NodeOf(f File) Node {
	if h, ok := f.(NodeHolder); ok {
		return h.Node()
	}
	return fileNode{f}
}
