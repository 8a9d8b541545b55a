package linux

import (
	"golang.org/x/sys/unix"

	"wick/kernel/mm"
	"wick/kernel/vfs"
)

// mappable is a file that can be mapped into memory. A vfs.File without it is ENODEV.
type mappable interface {
	// Mapping returns the contents; see mm.Backing for what its methods must not do. Only a mm.SharedBacking can be
	// mapped shared and writable.
	// A nil Backing without an error means anonymous memory, as for /dev/zero.
	Mapping() (mm.Backing, error)
}

// mmap(2): addr, length, prot, flags, fd, offset.
func mmap(c *Call) (uint64, error) {
	m := mm.Mapping{
		Addr: c.Args[0], Length: c.Args[1],
		Prot: int(c.Args[2]), Flags: int(c.Args[3]),
		Offset: c.Args[5],
	}
	if m.Offset%mm.PageSize != 0 {
		return 0, unix.EINVAL
	}
	if m.Flags&unix.MAP_ANONYMOUS != 0 {
		m.Offset = 0
		return c.Space.Mmap(m)
	}
	o, err := c.FDs.Get(int(int32(c.Args[4])))
	if err != nil {
		return 0, err
	}
	defer o.Release()
	if err := mapFile(&m, o); err != nil {
		return 0, err
	}
	return c.Space.Mmap(m)
}

// mapFile fills in what m has from an open file. Its checks are those of mmap(2) that concern the descriptor.
func mapFile(m *mm.Mapping, o *vfs.OpenFile) error {
	kind := m.Flags & unix.MAP_TYPE
	shared := kind == unix.MAP_SHARED || kind == unix.MAP_SHARED_VALIDATE
	switch {
	case o.Flags()&unix.O_PATH != 0:
		return unix.EBADF
	case m.Length == 0:
		return unix.EINVAL
	case shared && m.Prot&unix.PROT_WRITE != 0 && !o.Writable(), !o.Readable():
		return unix.EACCES
	}
	file, ok := o.File().(mappable)
	if !ok {
		return unix.ENODEV
	}
	backing, err := file.Mapping()
	if err != nil {
		return err
	}
	m.Backing, m.MayWrite = backing, o.Writable()
	if backing == nil {
		m.Offset = 0
	} else if p, ok := o.File().(vfs.PathHolder); ok {
		m.Name = p.Path()
	}
	return nil
}

func munmap(c *Call) (uint64, error) {
	return 0, c.Space.Munmap(c.Args[0], c.Args[1])
}

func mprotect(c *Call) (uint64, error) {
	return 0, c.Space.Mprotect(c.Args[0], c.Args[1], int(c.Args[2]))
}

func madvise(c *Call) (uint64, error) {
	return 0, c.Space.Madvise(c.Args[0], c.Args[1], int(int32(c.Args[2])))
}

// mremap(2): old address, old size, new size, flags, new address.
func mremap(c *Call) (uint64, error) {
	return c.Space.Mremap(c.Args[0], c.Args[1], c.Args[2], int(c.Args[3]), c.Args[4])
}

// brk is the system call of brk(2), which returns the break whether it could be moved or not.
func brk(c *Call) (uint64, error) {
	return c.Space.Brk(c.Args[0]), nil
}

func msync(c *Call) (uint64, error) {
	return 0, c.Space.Msync(c.Args[0], c.Args[1], int(int32(c.Args[2])))
}

// mincore(2): addr, length, vec.
func mincore(c *Call) (uint64, error) {
	return 0, c.Space.Mincore(c.Args[0], c.Args[1], c.Args[2])
}

func mlock(c *Call) (uint64, error) {
	return 0, c.Space.Mlock(c.Args[0], c.Args[1], false)
}

// mlockOnFault is MLOCK_ONFAULT of mlock2(2).
const mlockOnFault = 1

func mlock2(c *Call) (uint64, error) {
	flags := c.Args[2]
	if flags&^mlockOnFault != 0 {
		return 0, unix.EINVAL
	}
	return 0, c.Space.Mlock(c.Args[0], c.Args[1], flags != 0)
}

func munlock(c *Call) (uint64, error) {
	return 0, c.Space.Munlock(c.Args[0], c.Args[1])
}

func mlockall(c *Call) (uint64, error) {
	return 0, c.Space.Mlockall(int(int32(c.Args[0])))
}

func munlockall(c *Call) (uint64, error) {
	c.Space.Munlockall()
	return 0, nil
}
