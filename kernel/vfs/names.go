package vfs

import (
	"golang.org/x/sys/unix"
)

// mutableLocked tells whether names can be made in the directory.
func (d *Dir) mutableLocked() error {
	switch {
	case d.removed:
		return unix.ENOENT
	case d.fixed && d.dev == devProc:
		return unix.ENOENT // what Linux answers for procfs, which has no operation to create
	case d.fixed:
		return unix.EPERM
	}
	return nil
}

// newName finds the place for a new name. dir tells that it will be a directory, whose name may
// end in a slash. The caller holds fs.mu for writing.
func (p *Paths) newName(at *Dir, path string, dir bool) (place, error) {
	l, err := p.walk(at, path, parentOnly)
	switch {
	case err != nil:
		return l, err
	case !l.proper() || l.node != nil:
		return l, unix.EEXIST
	case l.long:
		return l, unix.ENAMETOOLONG
	case l.slash && !dir:
		return l, unix.ENOENT
	}
	if err := l.dir.mutableLocked(); err != nil {
		return l, err
	}
	return l, p.mayChange(l.dir)
}

// addNew gives the node that makeNode returns a new name, and to the process. makeNode also takes the name from the file system's share.
// dir is as for newName.
func (p *Paths) addNew(at *Dir, path string, dir bool, makeNode func() (Node, error)) error {
	at = p.start(at)
	p.fs.mu.Lock()
	defer p.fs.mu.Unlock()
	l, err := p.newName(at, path, dir)
	if err != nil {
		return err
	}
	n, err := makeNode()
	if err != nil {
		return err
	}
	p.own(l.dir, n.meta())
	l.dir.addLocked(l.name, n)
	l.dir.entryHappened(unix.IN_CREATE|dirBit(n), 0, l.name)
	return nil
}

// Mkdir makes a directory, see mkdir(2).
func (p *Paths) Mkdir(at *Dir, path string, perm uint32) error {
	return p.addNew(at, path, true, func() (Node, error) { return p.fs.newTmpDir(perm & 0o1777) })
}

// MakeFile makes an empty regular file, as mknod(2) with S_IFREG does.
func (p *Paths) MakeFile(at *Dir, path string, perm uint32) error {
	return p.addNew(at, path, false, func() (Node, error) { return p.fs.newRegular(perm & 0o7777), p.fs.takeName() })
}

// Symlink makes a symbolic link, see symlink(2).
func (p *Paths) Symlink(target string, at *Dir, path string) error {
	if target == "" {
		return unix.ENOENT
	}
	return p.addNew(at, path, false, func() (Node, error) { return p.fs.newSymlink(target) })
}

// Link makes another name for the node old, see link(2).
func (p *Paths) Link(old Node, at *Dir, path string) error {
	at = p.start(at)
	p.fs.mu.Lock()
	defer p.fs.mu.Unlock()
	l, err := p.newName(at, path, false)
	if err != nil {
		return err
	}
	a := old.meta()
	if a == nil || a.dev != l.dir.dev {
		return unix.EXDEV
	}
	if _, ok := old.(*Dir); ok {
		return unix.EPERM
	}
	a.mu.Lock()
	gone := a.nlink == 0
	if f, ok := old.(*Regular); ok && gone && f.linkable() {
		gone = false
	}
	a.mu.Unlock()
	if gone {
		return unix.ENOENT
	}
	if err := p.fs.takeName(); err != nil {
		return err
	}
	a.link(+1)
	l.dir.addLocked(l.name, old)
	a.itself(unix.IN_ATTRIB)
	l.dir.entryHappened(unix.IN_CREATE, 0, l.name)
	return nil
}

// Unlink removes a name that is not a directory's, see unlink(2).
func (p *Paths) Unlink(at *Dir, path string) error {
	at = p.start(at)
	p.fs.mu.Lock()
	defer p.fs.mu.Unlock()
	l, err := p.walk(at, path, parentOnly)
	if err != nil {
		return err
	}
	if !l.proper() {
		return unix.EISDIR
	}
	_, dir := l.node.(*Dir)
	switch {
	case l.long:
		return unix.ENAMETOOLONG
	case l.node == nil:
		return unix.ENOENT
	case l.slash && dir:
		return unix.EISDIR
	case l.slash:
		return unix.ENOTDIR
	}
	err = p.mayRemove(l.dir, l.node)
	switch {
	case err != nil:
		return err
	case dir:
		return unix.EISDIR
	case l.dir.fixed:
		return unix.EPERM
	}
	l.dir.dropLocked(l.name)
	l.node.meta().itself(unix.IN_ATTRIB)
	dropName(l.node)
	l.dir.entryHappened(unix.IN_DELETE, 0, l.name)
	return nil
}

// dropName counts down the names of a node that is not a directory, and gives it back with the last one.
func dropName(n Node) {
	fs := n.meta().fs
	fs.names.give(1)
	left := n.meta().link(-1)
	switch n := n.(type) {
	case *Regular:
		n.reap()
	case *Symlink:
		if left == 0 {
			fs.names.give(linkText(n.target))
			n.gone()
		}
	case *Special:
		if left == 0 {
			n.gone()
		}
	}
}

// Rmdir removes an empty directory, see rmdir(2).
func (p *Paths) Rmdir(at *Dir, path string) error {
	at = p.start(at)
	p.fs.mu.Lock()
	defer p.fs.mu.Unlock()
	l, err := p.walk(at, path, parentOnly)
	switch {
	case err != nil:
		return err
	case l.name == "":
		return unix.EBUSY
	case l.name == ".":
		return unix.EINVAL
	case l.name == "..":
		return unix.ENOTEMPTY
	case l.long:
		return unix.ENAMETOOLONG
	case l.node == nil:
		return unix.ENOENT
	}
	if err := p.mayRemove(l.dir, l.node); err != nil {
		return err
	}
	d, ok := l.node.(*Dir)
	switch {
	case l.dir.fixed:
		return unix.EPERM
	case !ok:
		return unix.ENOTDIR
	case d.mount:
		return unix.EBUSY
	case len(d.entries) > 0:
		return unix.ENOTEMPTY
	}
	l.dir.dropLocked(l.name)
	d.removeLocked()
	l.dir.entryHappened(unix.IN_DELETE|unix.IN_ISDIR, 0, l.name)
	return nil
}

// removeLocked ends a directory that is in no other one any more.
func (d *Dir) removeLocked() {
	d.removed = true
	d.link(-2)
	d.fs.names.give(1)
	d.gone()
}

// Rename moves a name, see rename(2). flags are those of renameat2(2).
func (p *Paths) Rename(oldAt *Dir, oldPath string, newAt *Dir, newPath string, flags uint32) error {
	const known = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE
	if flags&^known != 0 || flags == known {
		return unix.EINVAL
	}
	exchange := flags&unix.RENAME_EXCHANGE != 0
	oldAt, newAt = p.start(oldAt), p.start(newAt)
	p.fs.mu.Lock()
	defer p.fs.mu.Unlock()
	from, err := p.walk(oldAt, oldPath, parentOnly)
	if err != nil {
		return err
	}
	to, err := p.walk(newAt, newPath, parentOnly)
	if err != nil {
		return err
	}
	if err := checkRename(&from, &to, flags); err != nil {
		return err
	}
	if from.node == to.node {
		return nil // two names of one file: nothing to do, says rename(2)
	}
	if err := p.mayRename(&from, &to, exchange); err != nil {
		return err
	}
	oldDir, _ := from.node.(*Dir)
	newDir, _ := to.node.(*Dir)
	if err := checkReplace(from.node, oldDir, to.node, newDir, exchange); err != nil {
		return err
	}
	if exchange {
		from.dir.replaceLocked(from.name, to.node)
		to.dir.replaceLocked(to.name, from.node)
		to.node.meta().link(0)
		p.fs.moved(&from, &to, from.node, nil)
		p.fs.moved(&to, &from, to.node, nil)
	} else {
		from.dir.dropLocked(from.name)
		if to.node == nil {
			to.dir.addLocked(to.name, from.node)
		} else {
			to.dir.replaceLocked(to.name, from.node)
		}
		p.fs.moved(&from, &to, from.node, to.node)
		if newDir != nil {
			newDir.removeLocked()
		} else if to.node != nil {
			dropName(to.node)
		}
	}
	from.node.meta().link(0)
	return nil
}

// mayRename tells whether the process may move from to to. A directory that gets another parent changes itself.
func (p *Paths) mayRename(from, to *place, exchange bool) error {
	err := p.mayRemove(from.dir, from.node)
	if err == nil && to.node == nil {
		err = p.mayChange(to.dir)
	} else if err == nil {
		err = p.mayRemove(to.dir, to.node)
	}
	if from.dir == to.dir {
		return err
	}
	if d, ok := from.node.(*Dir); ok && err == nil {
		err = p.may(d, mayWrite)
	}
	if d, ok := to.node.(*Dir); ok && err == nil && exchange {
		err = p.may(d, mayWrite)
	}
	return err
}

// checkRename makes the checks of rename(2) in the order of Linux's do_renameat2.
func checkRename(from, to *place, flags uint32) error {
	exchange := flags&unix.RENAME_EXCHANGE != 0
	_, fromDir := from.node.(*Dir)
	_, toDir := to.node.(*Dir)
	switch {
	case from.dir.dev != to.dir.dev:
		return unix.EXDEV
	case !from.proper():
		return unix.EBUSY
	case !to.proper() && flags&unix.RENAME_NOREPLACE != 0:
		return unix.EEXIST
	case !to.proper():
		return unix.EBUSY
	case from.long:
		return unix.ENAMETOOLONG
	case from.node == nil:
		return unix.ENOENT
	case to.long:
		return unix.ENAMETOOLONG
	case to.dir.removed:
		return unix.ENOENT
	case to.node != nil && flags&unix.RENAME_NOREPLACE != 0:
		return unix.EEXIST
	case exchange && to.node == nil:
		return unix.ENOENT
	case exchange && !toDir && to.slash:
		return unix.ENOTDIR
	case !fromDir && (from.slash || !exchange && to.slash):
		return unix.ENOTDIR
	}
	if d, ok := from.node.(*Dir); ok && to.dir.withinLocked(d) {
		return unix.EINVAL
	}
	if d, ok := to.node.(*Dir); ok && from.dir.withinLocked(d) {
		if exchange {
			return unix.EINVAL
		}
		return unix.ENOTEMPTY
	}
	if from.dir.fixed || to.dir.fixed {
		return unix.EPERM
	}
	if to.node == nil {
		return to.dir.mutableLocked()
	}
	return nil
}

// checkReplace tells whether a node may take another one's place: Linux's vfs_rename.
func checkReplace(old Node, oldDir *Dir, replaced Node, newDir *Dir, exchange bool) error {
	if oldDir != nil && oldDir.mount || newDir != nil && newDir.mount {
		return unix.EBUSY
	}
	if replaced == nil || exchange {
		return nil
	}
	switch {
	case oldDir != nil && newDir == nil:
		return unix.ENOTDIR
	case oldDir == nil && newDir != nil:
		return unix.EISDIR
	case newDir != nil && len(newDir.entries) > 0:
		return unix.ENOTEMPTY
	}
	return nil
}
