package vfs

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// tmpfileBit is O_TMPFILE without the O_DIRECTORY that must go with it.
const tmpfileBit = unix.O_TMPFILE &^ unix.O_DIRECTORY

// pathFile is what O_PATH opens: a place in the tree that can only be named.
type pathFile struct {
	alwaysReady
	node Node
	dir  *Dir
	name string
}

// Read implements File.
func (f *pathFile) Read(Dst, int64) (int64, error) { return 0, unix.EBADF }

// Write implements File.
func (f *pathFile) Write(Src, int64) (int64, error) { return 0, unix.EBADF }

// Stat implements File.
func (f *pathFile) Stat() (unix.Stat_t, error) { return f.node.Stat(), nil }

// Node implements NodeHolder.
func (f *pathFile) Node() Node { return f.node }

// Path implements PathHolder.
func (f *pathFile) Path() string {
	if d, ok := f.node.(*Dir); ok {
		return (&dirFile{dir: d}).Path()
	}
	return entryPath(f.dir, f.name, f.node)
}

func (f *pathFile) foundAt() (*Dir, string) { return f.dir, f.name }

// entryPath returns the path of the name in dir, marked as removed if it stands for node no more.
// Without a dir the node never had a name there.
func entryPath(dir *Dir, name string, node Node) string {
	if dir == nil {
		return name + deletedSuffix
	}
	dir.fs.mu.RLock()
	defer dir.fs.mu.RUnlock()
	path, ok := dir.pathLocked()
	if path != "/" {
		path += "/"
	}
	path += name
	if !ok || dir.lookupLocked(nil, name) != node {
		path += deletedSuffix
	}
	return path
}

// Open opens a path with the flags of open(2), from the directory at (nil: the working directory). perm are the
// permissions of a file that it creates; the umask is the caller's business.
func (p *Paths) Open(at *Dir, path string, flags, perm uint32) (*OpenFile, error) {
	if flags&unix.O_PATH != 0 {
		flags &= unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	}
	if flags&tmpfileBit != 0 {
		return p.openTemporary(at, path, flags, perm)
	}
	if flags&unix.O_CREAT != 0 {
		return p.create(at, path, flags, perm)
	}
	mode := followLast
	if flags&unix.O_NOFOLLOW != 0 {
		mode = followDirs
	}
	at = p.start(at)
	p.fs.mu.RLock()
	l, err := p.walk(at, path, mode)
	if err == nil && l.node == nil {
		err = unix.ENOENT
	}
	if err != nil {
		p.fs.mu.RUnlock()
		return nil, err
	}
	return p.openFound(&l, flags, p.fs.mu.RUnlock)
}

// ForExec is a flag of Open by which the file is opened to be executed: it needs that right, and no other. Linux has the same
// flag (__FMODE_EXEC).
const ForExec = 0x20

// mayOpen tells whether the process may open the node with these flags: unix.EACCES. Links and what is refused anyway are left to
// the caller.
func (p *Paths) mayOpen(n Node, flags uint32) error {
	rights := uint32(mayRead)
	switch {
	case flags&ForExec != 0:
		rights = mayExecute
	case flags&unix.O_ACCMODE == unix.O_WRONLY:
		rights = mayWrite
	case flags&unix.O_ACCMODE != unix.O_RDONLY:
		rights = mayRead | mayWrite
	}
	if flags&unix.O_TRUNC != 0 {
		rights |= mayWrite
	}
	switch n.(type) {
	case *Symlink:
		return nil
	case *Dir:
		if rights&mayWrite != 0 {
			return nil // EISDIR
		}
	}
	return p.may(n, rights)
}

// openFound opens the node that a walk has found, and calls unlock, which ends the walk's hold of fs.mu, as soon
// as it may.
func (p *Paths) openFound(l *place, flags uint32, unlock func()) (*OpenFile, error) {
	if flags&unix.O_DIRECTORY != 0 {
		if _, ok := l.node.(*Dir); !ok {
			unlock()
			return nil, unix.ENOTDIR
		}
	}
	if flags&unix.O_PATH != 0 {
		unlock()
		return NewOpenFile(&pathFile{node: l.node, dir: l.dir, name: l.name}, flags), nil
	}
	if err := p.mayOpen(l.node, flags); err != nil {
		unlock()
		return nil, err
	}
	switch n := l.node.(type) {
	case *Regular:
		if n.executing.Load() > 0 && (flags&unix.O_ACCMODE != unix.O_RDONLY || flags&unix.O_TRUNC != 0) {
			unlock()
			return nil, unix.ETXTBSY
		}
		// Under the lock, lest the last name go away and the file with it.
		f := n.open(l.dir, l.name)
		unlock()
		if flags&unix.O_TRUNC != 0 {
			if err := n.Truncate(0); err != nil {
				f.Close()
				return nil, err
			}
		}
		return NewOpenFile(f, flags).opens(), nil
	case *Dir:
		unlock()
		if flags&unix.O_ACCMODE != unix.O_RDONLY || flags&unix.O_TRUNC != 0 {
			return nil, unix.EISDIR
		}
		return NewOpenFile(&dirFile{dir: n, paths: p}, flags).opens(), nil
	case *Symlink:
		unlock()
		return nil, unix.ELOOP
	case *Special:
		unlock()
		f, err := n.open(&opening{paths: p, node: n, dir: l.dir, name: l.name, flags: flags})
		if err != nil {
			return nil, err
		}
		return NewOpenFile(f, flags), nil
	case fileNode:
		unlock()
		r, ok := n.file.(Reopener)
		if !ok {
			return nil, unix.ENXIO
		}
		f, err := r.Reopen(flags)
		if err != nil {
			return nil, err
		}
		return NewOpenFile(f, flags), nil
	}
	unlock()
	return nil, unix.ENXIO
}

// create opens a path with O_CREAT.
func (p *Paths) create(at *Dir, path string, flags, perm uint32) (*OpenFile, error) {
	if flags&unix.O_DIRECTORY != 0 {
		return nil, unix.EINVAL
	}
	mode := followLast
	if flags&(unix.O_NOFOLLOW|unix.O_EXCL) != 0 {
		mode = followDirs
	}
	at = p.start(at)
	p.fs.mu.Lock()
	l, err := p.walk(at, path, mode|creating)
	switch {
	case err != nil:
	case l.node != nil && flags&unix.O_EXCL != 0:
		err = unix.EEXIST
	case l.node != nil:
		if _, ok := l.node.(*Dir); ok {
			err = unix.EISDIR
			break
		}
		return p.openFound(&l, flags, p.fs.mu.Unlock)
	default:
		if err = l.dir.mutableLocked(); err == nil {
			err = p.mayChange(l.dir)
		}
	}
	if err != nil {
		p.fs.mu.Unlock()
		return nil, err
	}
	defer p.fs.mu.Unlock()
	if err := p.fs.takeName(); err != nil {
		return nil, err
	}
	n := p.fs.newRegular(perm & 0o7777)
	p.own(l.dir, &n.inode)
	l.dir.addLocked(l.name, n)
	l.dir.entryHappened(unix.IN_CREATE, 0, l.name)
	return NewOpenFile(n.open(l.dir, l.name), flags).opens(), nil
}

// openTemporary opens a file without a name, as O_TMPFILE does.
func (p *Paths) openTemporary(at *Dir, path string, flags, perm uint32) (*OpenFile, error) {
	if flags&unix.O_DIRECTORY == 0 || flags&unix.O_ACCMODE == unix.O_RDONLY || flags&unix.O_CREAT != 0 {
		return nil, unix.EINVAL
	}
	n, err := p.Lookup(at, path, flags&unix.O_NOFOLLOW == 0)
	if err != nil {
		return nil, err
	}
	d, ok := n.(*Dir)
	if !ok {
		return nil, unix.ENOTDIR
	}
	if d.fixed {
		return nil, unix.EOPNOTSUPP
	}
	if err := p.mayChange(d); err != nil {
		return nil, err
	}
	f := p.fs.newRegular(perm & 0o7777)
	p.own(d, &f.inode)
	f.nlink, f.temporary = 0, flags&unix.O_EXCL == 0
	path, _ = d.Path()
	return NewOpenFile(f.open(nil, path+"/#"+strconv.FormatUint(f.ino, 10)), flags&^unix.O_DIRECTORY), nil
}

// NewMemfd returns a file in memory without a name, see memfd_create(2).
func (p *Paths) NewMemfd(name string, sealable bool) File {
	f := p.fs.newRegular(0o777)
	p.own(nil, &f.inode)
	f.nlink = 0
	if sealable {
		f.seals = 0
	}
	return f.open(nil, "/memfd:"+name)
}
