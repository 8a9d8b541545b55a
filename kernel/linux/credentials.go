package linux

import (
	"slices"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// who returns what the process is.
func (p *Process) who() *vfs.Credentials { return p.Paths.Credentials() }

// capable tells whether the process has a capability in effect.
func (p *Process) capable(capability int) bool { return p.who().Effective.Has(capability) }

// changeWho replaces what the process is by what change makes of it, if that returns nil.
func (p *Process) changeWho(change func(c *vfs.Credentials) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.who()
	who := *old
	if err := change(&who); err != nil {
		return err
	}
	if who.EUID != old.EUID || who.EGID != old.EGID || who.FSUID != old.FSUID || who.FSGID != old.FSGID {
		p.undumpable.Store(true) // PR_SET_DUMPABLE of prctl(2)
	}
	p.Paths.SetCredentials(&who)
	return nil
}

func (c *Call) getresuid() (uint64, error) {
	who := c.who()
	return 0, c.putIDs(who.UID, who.EUID, who.SUID)
}

func (c *Call) getresgid() (uint64, error) {
	who := c.who()
	return 0, c.putIDs(who.GID, who.EGID, who.SGID)
}

// putIDs stores ids where the arguments say.
func (c *Call) putIDs(ids ...uint32) error {
	for i, id := range ids {
		if err := c.Space.PutUint32(c.Args[i], id); err != nil {
			return err
		}
	}
	return nil
}

// unchanged is the id that leaves an id as it is.
const unchanged = ^uint32(0)

// ids are the real, the effective and the saved id, of users or groups.
type ids struct{ real, effective, saved uint32 }

// has tells whether id is one of them, or stands for none.
func (s ids) has(id uint32) bool {
	return id == unchanged || id == s.real || id == s.effective || id == s.saved
}

// set is setuid(2) and setgid(2).
func (s ids) set(id uint32, capable bool) (ids, error) {
	switch {
	case id == unchanged:
		return s, unix.EINVAL
	case capable:
		return ids{id, id, id}, nil
	case id == s.real || id == s.saved:
		s.effective = id
		return s, nil
	}
	return s, unix.EPERM
}

// setTwo is setreuid(2) and setregid(2).
func (s ids) setTwo(real, effective uint32, capable bool) (ids, error) {
	old := s
	if real != unchanged {
		if !capable && real != old.real && real != old.effective {
			return old, unix.EPERM
		}
		s.real = real
	}
	if effective != unchanged {
		if !capable && !old.has(effective) {
			return old, unix.EPERM
		}
		s.effective = effective
	}
	if real != unchanged || effective != unchanged && effective != old.real {
		s.saved = s.effective
	}
	return s, nil
}

// setThree is setresuid(2) and setresgid(2).
func (s ids) setThree(real, effective, saved uint32, capable bool) (ids, error) {
	if !capable && !(s.has(real) && s.has(effective) && s.has(saved)) {
		return s, unix.EPERM
	}
	for _, f := range [...]struct {
		to *uint32
		id uint32
	}{{&s.real, real}, {&s.effective, effective}, {&s.saved, saved}} {
		if f.id != unchanged {
			*f.to = f.id
		}
	}
	return s, nil
}

// changeUsers gives the process other user ids, and takes or gives capabilities, capabilities(7).
func (c *Call) changeUsers(change func(old ids, capable bool) (ids, error)) (uint64, error) {
	return 0, c.changeWho(func(who *vfs.Credentials) error {
		old := ids{who.UID, who.EUID, who.SUID}
		s, err := change(old, who.Effective.Has(unix.CAP_SETUID))
		if err != nil {
			return err
		}
		who.UID, who.EUID, who.SUID, who.FSUID = s.real, s.effective, s.saved, s.effective
		root := func(s ids) bool { return s.real == 0 || s.effective == 0 || s.saved == 0 }
		if root(old) && !root(s) && !c.keepCaps.Load() {
			who.Permitted, who.Effective = 0, 0
		}
		switch {
		case old.effective == 0 && s.effective != 0:
			who.Effective = 0
		case old.effective != 0 && s.effective == 0:
			who.Effective = who.Permitted
		}
		return nil
	})
}

func (c *Call) setuid() (uint64, error) {
	return c.changeUsers(func(old ids, capable bool) (ids, error) { return old.set(uint32(c.Args[0]), capable) })
}

func (c *Call) setreuid() (uint64, error) {
	return c.changeUsers(func(old ids, capable bool) (ids, error) {
		return old.setTwo(uint32(c.Args[0]), uint32(c.Args[1]), capable)
	})
}

func (c *Call) setresuid() (uint64, error) {
	return c.changeUsers(func(old ids, capable bool) (ids, error) {
		return old.setThree(uint32(c.Args[0]), uint32(c.Args[1]), uint32(c.Args[2]), capable)
	})
}

// changeGroups gives the process other group ids.
func (c *Call) changeGroups(change func(old ids, capable bool) (ids, error)) (uint64, error) {
	return 0, c.changeWho(func(who *vfs.Credentials) error {
		s, err := change(ids{who.GID, who.EGID, who.SGID}, who.Effective.Has(unix.CAP_SETGID))
		if err == nil {
			who.GID, who.EGID, who.SGID, who.FSGID = s.real, s.effective, s.saved, s.effective
		}
		return err
	})
}

func (c *Call) setgid() (uint64, error) {
	return c.changeGroups(func(old ids, capable bool) (ids, error) { return old.set(uint32(c.Args[0]), capable) })
}

func (c *Call) setregid() (uint64, error) {
	return c.changeGroups(func(old ids, capable bool) (ids, error) {
		return old.setTwo(uint32(c.Args[0]), uint32(c.Args[1]), capable)
	})
}

func (c *Call) setresgid() (uint64, error) {
	return c.changeGroups(func(old ids, capable bool) (ids, error) {
		return old.setThree(uint32(c.Args[0]), uint32(c.Args[1]), uint32(c.Args[2]), capable)
	})
}

// fileCaps are the capabilities that go and come with user 0 for files, setfsuid(2).
var fileCaps = vfs.CapOf(unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_FSETID,
	unix.CAP_LINUX_IMMUTABLE, unix.CAP_MKNOD, unix.CAP_MAC_OVERRIDE)

// setfsuid is setfsuid(2): it returns the old id, and never an error.
func (c *Call) setfsuid() (uint64, error) {
	id, old := uint32(c.Args[0]), uint32(0)
	err := c.changeWho(func(who *vfs.Credentials) error {
		old = who.FSUID
		if id == unchanged || id != old && !(ids{who.UID, who.EUID, who.SUID}).has(id) && !who.Effective.Has(unix.CAP_SETUID) {
			return nil
		}
		who.FSUID = id
		switch {
		case old == 0 && id != 0:
			who.Effective &^= fileCaps
		case old != 0 && id == 0:
			who.Effective |= who.Permitted & fileCaps
		}
		return nil
	})
	return uint64(old), err
}

// setfsgid is setfsgid(2): it returns the old id, and never an error.
func (c *Call) setfsgid() (uint64, error) {
	id, old := uint32(c.Args[0]), uint32(0)
	err := c.changeWho(func(who *vfs.Credentials) error {
		old = who.FSGID
		if id != unchanged && (id == old || (ids{who.GID, who.EGID, who.SGID}).has(id) || who.Effective.Has(unix.CAP_SETGID)) {
			who.FSGID = id
		}
		return nil
	})
	return uint64(old), err
}

// maxGroups is NGROUPS_MAX.
const maxGroups = 65536

// getgroups is getgroups(2): size, list.
func (c *Call) getgroups() (uint64, error) {
	groups, size := c.who().Groups, int32(c.Args[0])
	switch {
	case size < 0, size != 0 && int(size) < len(groups):
		return 0, unix.EINVAL
	case size == 0:
		return uint64(len(groups)), nil
	}
	b := make([]byte, 0, 4*len(groups))
	for _, gid := range groups {
		b = le.AppendUint32(b, gid)
	}
	return uint64(len(groups)), c.Space.CopyOut(c.Args[1], b)
}

// setgroups is setgroups(2): size, list.
func (c *Call) setgroups() (uint64, error) {
	n := uint32(c.Args[0])
	switch {
	case !c.capable(unix.CAP_SETGID):
		return 0, unix.EPERM
	case n > maxGroups:
		return 0, unix.EINVAL
	}
	b := make([]byte, 4*n)
	if err := c.Space.CopyIn(b, c.Args[1]); err != nil {
		return 0, err
	}
	groups := make([]uint32, n)
	for i := range groups {
		if groups[i] = le.Uint32(b[4*i:]); groups[i] == unchanged {
			return 0, unix.EINVAL
		}
	}
	slices.Sort(groups) // as Linux keeps and returns them
	return 0, c.changeWho(func(who *vfs.Credentials) error {
		who.Groups = groups
		return nil
	})
}

// maySignal tells whether the process may send a signal to another: unix.EPERM, kill(2).
func (p *Process) maySignal(to *task.Process, sig unix.Signal) error {
	me, it := p.who(), to.Local.(*Process).who()
	if me.EUID == it.UID || me.EUID == it.SUID || me.UID == it.UID || me.UID == it.SUID || me.Effective.Has(unix.CAP_KILL) ||
		to == p.Process {
		return nil
	}
	if sig == unix.SIGCONT {
		_, mine := p.Process.Group()
		if _, its := to.Group(); mine == its {
			return nil
		}
	}
	return unix.EPERM
}

// mayControl tells whether the process may look at another, and set what it has, with a capability or as the same user: prlimit(2).
func (p *Process) mayControl(other *Process, capability int) bool {
	me, it := p.who(), other.who()
	return other == p || me.Effective.Has(capability) ||
		me.UID == it.UID && me.UID == it.EUID && me.UID == it.SUID && me.GID == it.GID && me.GID == it.EGID && me.GID == it.SGID
}
