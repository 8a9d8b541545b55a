package vfs

import (
	"golang.org/x/sys/unix"
)

// MakeSocket makes the node of a socket's address, as bind(2) of a path does [unix(7)]. It has no
// contents, and open(2) of it is ENXIO; connections find the socket by the identity of the node.
func (p *Paths) MakeSocket(at *Dir, path string, perm uint32) (Node, error) {
	at = p.start(at)
	p.fs.mu.Lock()
	defer p.fs.mu.Unlock()
	l, err := p.newName(at, path, false)
	if err != nil {
		return nil, err
	}
	if err := p.fs.takeName(); err != nil {
		return nil, err
	}
	n := p.fs.newSpecial(devRoot, unix.S_IFSOCK|perm&0o777, func(*opening) (File, error) { return nil, unix.ENXIO })
	p.own(l.dir, &n.inode)
	l.dir.addLocked(l.name, n)
	return n, nil
}
