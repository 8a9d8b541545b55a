package vfs

import (
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Limits of path_resolution(7).
const (
	nameMax  = 255  // bytes of a component
	pathMax  = 4096 // bytes of a path, its NUL included
	maxLinks = 40   // symbolic links followed
)

// Paths resolves paths for one process: it knows what they are relative to.
type Paths struct {
	fs  *FS
	who atomic.Pointer[Credentials]

	mu   sync.Mutex
	cwd  *Dir         // guarded by mu
	self *ProcessInfo // guarded by mu; nil: there is no /proc/self
}

// NewPaths returns the path context of a new process of root's, with the working directory at the root.
func (fs *FS) NewPaths() *Paths {
	p := &Paths{fs: fs, cwd: fs.root}
	p.SetCredentials(Root())
	return p
}

// FS returns the tree.
func (p *Paths) FS() *FS { return p.fs }

// SetProcess sets whose /proc/self this is. The first process has the terminal.
func (p *Paths) SetProcess(info *ProcessInfo) {
	p.fs.console.setForeground(info.PID)
	info.paths = p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.self = info
}

// Fork returns the path context of a child: with the same working directory, and no /proc/self yet.
func (p *Paths) Fork() *Paths {
	child := &Paths{fs: p.fs, cwd: p.Cwd()}
	child.SetCredentials(p.Credentials())
	return child
}

// Cwd returns the working directory.
func (p *Paths) Cwd() *Dir {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cwd
}

// Getcwd returns the path of the working directory: unix.ENOENT if it has been removed.
func (p *Paths) Getcwd() (string, error) {
	path, ok := p.Cwd().Path()
	if !ok {
		return "", unix.ENOENT
	}
	return path, nil
}

// Chdir makes n the working directory: unix.ENOTDIR, unix.EACCES.
func (p *Paths) Chdir(n Node) error {
	d, ok := n.(*Dir)
	if !ok {
		return unix.ENOTDIR
	}
	if err := p.maySearch(d); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cwd = d
	return nil
}

// follow says what a walk does with the last component.
type follow int

const (
	followLink  follow = 1 << iota // go on to where a symbolic link leads
	followSlash                    // so if a slash is behind it
	creating                       // for O_CREAT: a slash behind a name is refused, whatever it names

	followLast = followLink | followSlash
	followDirs = followSlash // lstat(2), open(2) with O_NOFOLLOW
	parentOnly = follow(0)   // the calls that make, remove or rename what the component names
)

// place is where a walk ended.
type place struct {
	dir   *Dir   // the directory of the last component; nil: none, as of a file without a name
	name  string // the last component, also "." or ".."; "" if the path was the root
	node  Node   // what it stands for; nil: nothing
	slash bool   // the path ended in a slash
	long  bool   // the last component is longer than a name can be (parentOnly)
}

// proper tells whether the last component is a name that something could be made by.
func (l *place) proper() bool { return l.name != "" && l.name != "." && l.name != ".." }

// walk resolves path from the directory at. The caller holds fs.mu.
func (p *Paths) walk(at *Dir, path string, mode follow) (place, error) {
	if path == "" {
		return place{}, unix.ENOENT
	}
	if len(path) >= pathMax {
		return place{}, unix.ENAMETOOLONG
	}
	rest, links := path, 0
	for {
		if rest[0] == '/' {
			at = p.fs.root
			rest = strings.TrimLeft(rest, "/")
			if rest == "" {
				return place{dir: at, node: at}, nil
			}
		}
		name, tail := rest, ""
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			name, tail = rest[:i], rest[i:]
		}
		next := strings.TrimLeft(tail, "/")
		last := next == ""
		found := place{dir: at, name: name, slash: tail != ""}
		if last && found.slash && mode&creating != 0 && found.proper() {
			return place{}, unix.EISDIR
		}
		if err := p.find(&found, last && mode == parentOnly); err != nil {
			return place{}, err
		}
		if last && mode == parentOnly {
			return found, nil
		}
		link, isLink := found.node.(*Symlink)
		if last && !(isLink && (mode&followLink != 0 || found.slash)) {
			return found, found.check()
		}
		if found.node == nil {
			return place{}, unix.ENOENT
		}
		if isLink {
			if links++; links > maxLinks {
				return place{}, unix.ELOOP
			}
			if link.jump == nil {
				target, err := link.Target(p)
				if err != nil {
					return place{}, err
				}
				if target == "" {
					return place{}, unix.ENOENT
				}
				rest = target + tail
				continue
			}
			slash := found.slash
			var err error
			if found, err = link.jump(p); err != nil {
				return place{}, err
			}
			found.slash = slash
			if last {
				return found, found.check()
			}
		}
		d, ok := found.node.(*Dir)
		if !ok {
			return place{}, unix.ENOTDIR
		}
		at, rest = d, next
	}
}

// find looks up l.name in l.dir. A name that is too long is an error unless marked is set: then that is noted in l.
func (p *Paths) find(l *place, marked bool) error {
	if err := p.maySearch(l.dir); err != nil {
		return err
	}
	switch {
	case l.name == ".":
		l.node = l.dir
	case l.name == "..":
		l.node = l.dir.parent
	case l.dir.removed: // there is nothing in it, whatever the name
	case len(l.name) > nameMax:
		l.long = true
		if !marked {
			return unix.ENAMETOOLONG
		}
	default:
		l.node = l.dir.lookupLocked(p, l.name)
	}
	return nil
}

// check refuses a path with a slash at its end if it leads to something other than a directory.
func (l *place) check() error {
	if l.slash && l.node != nil {
		if _, ok := l.node.(*Dir); !ok {
			return unix.ENOTDIR
		}
	}
	return nil
}

// start returns where a path begins: at, or the working directory if at is nil.
func (p *Paths) start(at *Dir) *Dir {
	if at == nil {
		return p.Cwd()
	}
	return at
}

// Lookup returns what a path leads to, from the directory at (nil: the working directory).
// A symbolic link at its end is followed or not.
func (p *Paths) Lookup(at *Dir, path string, followLink bool) (Node, error) {
	mode := followDirs
	if followLink {
		mode = followLast
	}
	at = p.start(at)
	p.fs.mu.RLock()
	defer p.fs.mu.RUnlock()
	l, err := p.walk(at, path, mode)
	if err != nil {
		return nil, err
	}
	if l.node == nil {
		return nil, unix.ENOENT
	}
	return l.node, nil
}

// Readlink returns the text of a symbolic link; unix.EINVAL if it is something else.
func (p *Paths) Readlink(at *Dir, path string) (string, error) {
	n, err := p.Lookup(at, path, false)
	if err != nil {
		return "", err
	}
	link, ok := n.(*Symlink)
	if !ok {
		return "", unix.EINVAL
	}
	return link.Target(p)
}
