package linux

import (
	"golang.org/x/sys/unix"
	"wick/kernel/vfs"
)

// Versions of the capability interface, capget(2).
const (
	capVersion1 = 0x19980330
	capVersion2 = 0x20071026
	capVersion3 = 0x20080522
)

// capHeader reads a struct __user_cap_header_struct: for whom, and in how many words of 32 bits. With a version that isn't known,
// the newest is stored in it.
func (c *Call) capHeader() (pid int32, words int, err error) {
	var head [8]byte // version, pid
	if err := c.Space.CopyIn(head[:], c.Args[0]); err != nil {
		return 0, 0, err
	}
	words = 2
	switch le.Uint32(head[0:]) {
	case capVersion1:
		words = 1
	case capVersion2, capVersion3:
	default:
		if err := c.Space.PutUint32(c.Args[0], capVersion3); err != nil {
			return 0, 0, err
		}
		return 0, 0, unix.EINVAL
	}
	return int32(le.Uint32(head[4:])), words, nil
}

// capget is capget(2): header, data.
func (c *Call) capget() (uint64, error) {
	pid, words, err := c.capHeader()
	p := c.Process
	switch {
	case err == unix.EINVAL && c.Args[1] == 0: // the caller asks for the version
		return 0, nil
	case err != nil:
		return 0, err
	case pid < 0:
		return 0, unix.EINVAL
	case pid != 0:
		t := c.Family().Thread(int(pid))
		if t == nil {
			return 0, unix.ESRCH
		}
		p = t.Process.Local.(*Process)
	}
	if c.Args[1] == 0 {
		return 0, nil
	}
	var data [24]byte // for each word: effective, permitted, inheritable
	who := p.who()
	for w := range words {
		for i, set := range [...]vfs.Caps{who.Effective, who.Permitted, who.Inheritable} {
			le.PutUint32(data[12*w+4*i:], uint32(set>>(32*w)))
		}
	}
	return 0, c.Space.CopyOut(c.Args[1], data[:12*words])
}

// capset is capset(2): header, data.
func (c *Call) capset() (uint64, error) {
	pid, words, err := c.capHeader()
	switch {
	case err != nil:
		return 0, err
	case pid != 0 && pid != int32(c.Thread.TID):
		return 0, unix.EPERM
	}
	var data [24]byte
	if err := c.Space.CopyIn(data[:12*words], c.Args[1]); err != nil {
		return 0, err
	}
	var sets [3]vfs.Caps // effective, permitted, inheritable
	for w := range words {
		for i := range sets {
			sets[i] |= vfs.Caps(le.Uint32(data[12*w+4*i:])) << (32 * w) & vfs.AllCaps
		}
	}
	effective, permitted, inheritable := sets[0], sets[1], sets[2]
	return 0, c.changeWho(func(who *vfs.Credentials) error {
		addable := who.Bounding
		if !who.Effective.Has(unix.CAP_SETPCAP) {
			addable &= who.Permitted
		}
		if permitted&^who.Permitted != 0 || effective&^permitted != 0 || inheritable&^(who.Inheritable|addable) != 0 {
			return unix.EPERM
		}
		who.Effective, who.Permitted, who.Inheritable = effective, permitted, inheritable
		return nil
	})
}

// dropBounding is PR_CAPBSET_DROP of prctl(2).
func (c *Call) dropBounding(capability uint64) error {
	return c.changeWho(func(who *vfs.Credentials) error {
		switch {
		case !who.Effective.Has(unix.CAP_SETPCAP):
			return unix.EPERM
		case capability > unix.CAP_LAST_CAP:
			return unix.EINVAL
		}
		who.Bounding &^= vfs.CapOf(int(capability))
		return nil
	})
}

// executeAs gives the process the ids and capabilities with which it executes a program, capabilities(7).
//
// DEVIATION: the set-user-ID and set-group-ID bits of files mean nothing, as on a file system mounted with nosuid, and there are no
// ambient capabilities.
func (p *Process) executeAs() {
	_ = p.changeWho(func(who *vfs.Credentials) error { // it refuses nothing
		who.SUID, who.FSUID, who.SGID, who.FSGID = who.EUID, who.EUID, who.EGID, who.EGID
		who.Permitted, who.Effective = 0, 0
		if who.UID == 0 || who.EUID == 0 {
			who.Permitted = who.Inheritable | who.Bounding
		}
		if who.EUID == 0 {
			who.Effective = who.Permitted
		}
		return nil
	})
	p.keepCaps.Store(false)
	who := p.who()
	p.undumpable.Store(who.EUID != who.UID || who.EGID != who.GID)
}
