package vfs

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Caps is a set of capabilities, capabilities(7): bit N is capability N.
type Caps uint64

// AllCaps are the capabilities that there are, up to CAP_CHECKPOINT_RESTORE.
const AllCaps Caps = 1<<(unix.CAP_LAST_CAP+1) - 1

// CapOf returns the set of the given capabilities.
func CapOf(caps ...int) (s Caps) {
	for _, c := range caps {
		s |= 1 << c
	}
	return s
}

// Has tells whether the capability is in the set.
func (s Caps) Has(capability int) bool { return s>>capability&1 != 0 }

// Credentials are the ids and capabilities of a process, credentials(7). They are changed by replacing them.
//
// DEVIATION: threads of a process share them, as POSIX has it and C libraries make it. They hold back nothing in /proc/self/fd of
// what has no name.
type Credentials struct {
	UID, EUID, SUID, FSUID uint32
	GID, EGID, SGID, FSGID uint32

	Groups []uint32 // the supplementary ones, in ascending order

	Permitted, Effective, Inheritable, Bounding Caps
}

// Root returns what the first process begins with.
func Root() *Credentials {
	return &Credentials{Permitted: AllCaps, Effective: AllCaps, Bounding: AllCaps}
}

// InGroup tells whether files of the group are those of the process's group.
func (c *Credentials) InGroup(gid uint32) bool {
	_, found := slices.BinarySearch(c.Groups, gid) // there may be 65,536
	return found || c.FSGID == gid
}

// AsReal returns the credentials with which access(2) looks at files: those of the real ids.
func (c *Credentials) AsReal() *Credentials {
	real := *c
	real.FSUID, real.FSGID = c.UID, c.GID
	if real.Effective = 0; c.UID == 0 {
		real.Effective = c.Permitted
	}
	return &real
}

// Rights to a file, in the bits of access(2).
const (
	mayExecute = unix.X_OK // of a directory: search it
	mayWrite   = unix.W_OK
	mayRead    = unix.R_OK
)

// may tells whether a process has all the rights to the node: unix.EACCES, path_resolution(7).
func (c *Credentials) may(a *inode, rights uint32) error {
	a.mu.Lock()
	mode, uid, gid := a.mode, a.uid, a.gid
	a.mu.Unlock()
	if a.owner != nil {
		who := a.owner.Credentials()
		uid, gid = who.EUID, who.EGID
	}
	granted := mode & 7
	switch {
	case c.FSUID == uid:
		granted = mode >> 6 & 7
	case c.InGroup(gid):
		granted = mode >> 3 & 7
	}
	if rights&^granted == 0 {
		return nil
	}
	dir := mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case c.Effective.Has(unix.CAP_DAC_OVERRIDE) && (dir || rights&mayExecute == 0 || mode&0o111 != 0):
		return nil
	case c.Effective.Has(unix.CAP_DAC_READ_SEARCH) && (rights == mayRead || dir && rights&mayWrite == 0):
		return nil
	}
	return unix.EACCES
}

// may tells whether the process has all the rights to the node. Nodes of no tree have no rules.
func (p *Paths) may(n Node, rights uint32) error {
	if a := n.meta(); a != nil {
		return p.Credentials().may(a, rights)
	}
	return nil
}

// maySearch is may(d, mayExecute), quickly for who may do all.
func (p *Paths) maySearch(d *Dir) error {
	if c := p.Credentials(); !c.Effective.Has(unix.CAP_DAC_OVERRIDE) {
		return c.may(&d.inode, mayExecute)
	}
	return nil
}

// mayChange tells whether the process may make names in the directory.
func (p *Paths) mayChange(d *Dir) error { return p.may(d, mayWrite|mayExecute) }

// mayRemove tells whether the process may remove the name of n from the directory: unix.EACCES, or unix.EPERM if the directory's
// sticky bit leaves that to the owners, unlink(2).
func (p *Paths) mayRemove(d *Dir, n Node) error {
	if err := p.mayChange(d); err != nil {
		return err
	}
	st := d.inode.Stat()
	c := p.Credentials()
	if st.Mode&unix.S_ISVTX == 0 || st.Uid == c.FSUID || n.meta().Stat().Uid == c.FSUID || c.Effective.Has(unix.CAP_FOWNER) {
		return nil
	}
	return unix.EPERM
}

// own gives a new node of the directory to the process, and to the directory's group if that has the set-group-ID bit, inode(7).
func (p *Paths) own(d *Dir, a *inode) {
	c := p.Credentials()
	a.uid, a.gid = c.FSUID, c.FSGID
	if d == nil {
		return
	}
	if st := d.inode.Stat(); st.Mode&unix.S_ISGID != 0 {
		a.gid = st.Gid
		if a.mode&unix.S_IFMT == unix.S_IFDIR {
			a.mode |= unix.S_ISGID
		}
	}
}

// isOwner tells whether the process has the rights of the node's owner.
func (c *Credentials) isOwner(uid uint32) bool {
	return c.FSUID == uid || c.Effective.Has(unix.CAP_FOWNER)
}

// Access tells whether a process may do what mode asks for, in the bits of access(2).
func Access(who *Credentials, n Node, mode uint32) error {
	if a := n.meta(); a != nil {
		return who.may(a, mode)
	}
	if mode&unix.X_OK != 0 {
		return unix.EACCES
	}
	return nil
}

// Chmod sets the permissions of a node: unix.EPERM if it isn't the process's.
func Chmod(who *Credentials, n Node, mode uint32) (err error) {
	if _, ok := n.(*Symlink); ok {
		return unix.EOPNOTSUPP
	}
	a := n.meta()
	if a == nil {
		return nil // DEVIATION: pipes and sockets keep their mode; nothing checks it
	}
	defer changed(n, unix.IN_ATTRIB, &err)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !who.isOwner(a.uid) {
		return unix.EPERM
	}
	if !who.InGroup(a.gid) && !who.Effective.Has(unix.CAP_FSETID) {
		mode &^= unix.S_ISGID
	}
	a.mode = a.mode&unix.S_IFMT | mode&0o7777
	a.ctime = nowNS()
	return nil
}

// Chown sets the owners of a node; an id of -1 stays as it is. unix.EPERM: chown(2).
func Chown(who *Credentials, n Node, uid, gid int32) (err error) {
	a := n.meta()
	if a == nil {
		return nil
	}
	if uid != -1 || gid != -1 {
		defer changed(n, unix.IN_ATTRIB, &err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !who.Effective.Has(unix.CAP_CHOWN) {
		mine := who.FSUID == a.uid
		switch {
		case uid != -1 && (!mine || uint32(uid) != a.uid):
			return unix.EPERM
		case gid != -1 && (!mine || uint32(gid) != a.gid && !who.InGroup(uint32(gid))):
			return unix.EPERM
		}
	}
	if uid != -1 {
		a.uid = uint32(uid)
	}
	if gid != -1 {
		a.gid = uint32(gid)
	}
	if uid != -1 || gid != -1 {
		if a.mode&unix.S_IFMT == unix.S_IFREG && a.mode&0o111 != 0 {
			a.mode &^= unix.S_ISUID
			if a.mode&unix.S_IXGRP != 0 {
				a.mode &^= unix.S_ISGID
			}
		}
		a.ctime = nowNS()
	}
	return nil
}

// SetTimes sets the times of a node, in ns since 1970; nil leaves one as it is. now tells that they are the present, which who may
// write to the file may set too: unix.EACCES, else unix.EPERM.
func SetTimes(who *Credentials, n Node, atime, mtime *int64, now bool) (err error) {
	a := n.meta()
	if a == nil {
		return nil
	}
	if !who.isOwner(a.Stat().Uid) {
		if !now {
			return unix.EPERM
		}
		if err := who.may(a, mayWrite); err != nil {
			return err
		}
	}
	event := uint32(unix.IN_ATTRIB)
	switch {
	case atime == nil:
		event = unix.IN_MODIFY
	case mtime == nil:
		event = unix.IN_ACCESS
	}
	defer changed(n, event, &err)
	a.mu.Lock()
	defer a.mu.Unlock()
	if atime != nil {
		a.atime = *atime
	}
	if mtime != nil {
		a.mtime = *mtime
	}
	a.ctime = nowNS()
	return nil
}

// Credentials returns what the process is.
func (p *Paths) Credentials() *Credentials { return p.who.Load() }

// SetCredentials says what the process is from now on.
func (p *Paths) SetCredentials(c *Credentials) { p.who.Store(c) }
