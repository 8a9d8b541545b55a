package vfs

import (
	"golang.org/x/sys/unix"
)

// MakeSocket makes the node of a socket's address, as bind(2) of a path does [unix(7)]. It has no
// contents, and open(2) of it is ENXIO; connections find the socket by the identity of the node.
func (p *Paths) MakeSocket(at *Dir, path string, perm uint32) (n Node, err error) {
	err = p.addNew(at, path, false, func() (Node, error) {
		n = p.fs.newSpecial(devRoot, unix.S_IFSOCK|perm&0o777, func(*opening) (File, error) { return nil, unix.ENXIO })
		return n, p.fs.takeName()
	})
	return n, err
}
