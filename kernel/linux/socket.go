package linux

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/net"
	"wick/kernel/vfs"
)

// socketState is what a thread's calls on sockets reuse, so that they don't allocate.
type socketState struct {
	addr    [net.MaxSockaddr]byte
	control []byte
	message net.Message
}

// socket returns the socket open as the descriptor in the first argument, with a reference to be released.
// Errors: unix.EBADF, unix.ENOTSOCK.
func (c *Call) socket() (*vfs.OpenFile, net.Socket, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return nil, nil, err
	}
	s, ok := o.File().(net.Socket)
	if !ok {
		o.Release()
		return nil, nil, unix.ENOTSOCK
	}
	return o, s, nil
}

// socketFlags splits the type argument of socket(2).
func socketFlags(typ int) (kind int, flags uint32, err error) {
	const (
		typeMask = 0xf
		known    = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	)
	if typ&^(typeMask|known) != 0 {
		return 0, 0, unix.EINVAL
	}
	return typ & typeMask, unix.O_RDWR | uint32(typ&known), nil // SOCK_NONBLOCK is O_NONBLOCK, SOCK_CLOEXEC O_CLOEXEC
}

func (c *Call) newSocket() (uint64, error) {
	kind, flags, err := socketFlags(int(int32(c.Args[1])))
	if err != nil {
		return 0, err
	}
	s, err := c.Kernel.Net.NewSocket(int(int32(c.Args[0])), kind, int(int32(c.Args[2])))
	if err != nil {
		return 0, err
	}
	c.usePaths(s)
	fd, err := c.FDs.Open(s, flags)
	return uint64(fd), err
}

// usePaths tells a new socket where paths lead, if its addresses can be paths.
func (c *Call) usePaths(s net.Socket) {
	if u, ok := s.(net.PathUser); ok {
		u.UsePaths(c.Paths, c.Umask)
	}
	c.usedBy(s)
}

// usedBy tells a socket that the process connects it, or has it listen.
func (c *Call) usedBy(s net.Socket) {
	if u, ok := s.(net.PathUser); ok {
		who := c.who()
		u.UsedBy(net.Ucred{PID: c.PID, UID: who.EUID, GID: who.EGID})
	}
}

// socketpair is socketpair(2): domain, type, protocol, int[2]. It makes both sockets or nothing.
func (c *Call) socketpair() (uint64, error) {
	kind, flags, err := socketFlags(int(int32(c.Args[1])))
	if err != nil {
		return 0, err
	}
	var fds [2]int
	for i := range fds {
		if fds[i], err = c.FDs.Reserve(); err != nil {
			if i == 1 {
				c.FDs.Unreserve(fds[0])
			}
			return 0, err
		}
	}
	var b [8]byte
	le.PutUint32(b[0:], uint32(fds[0]))
	le.PutUint32(b[4:], uint32(fds[1]))
	err = c.Space.CopyOut(c.Args[3], b[:])
	var x, y net.Socket
	if err == nil {
		x, y, err = c.Kernel.Net.Pair(int(int32(c.Args[0])), kind, int(int32(c.Args[2])))
	}
	if err != nil {
		c.FDs.Unreserve(fds[0])
		c.FDs.Unreserve(fds[1])
		return 0, err
	}
	c.usePaths(x)
	c.usePaths(y)
	cloexec := flags&unix.O_CLOEXEC != 0
	c.FDs.Fill(fds[0], vfs.NewOpenFile(x, flags), cloexec)
	c.FDs.Fill(fds[1], vfs.NewOpenFile(y, flags), cloexec)
	return 0, nil
}

// sockaddr reads a socket address of n bytes into the thread's buffer. Errors: unix.EINVAL, unix.EFAULT.
func (c *Call) sockaddr(addr, n uint64) ([]byte, error) {
	if l := int32(n); l < 0 || l > net.MaxSockaddr {
		return nil, unix.EINVAL
	}
	b := c.sock.addr[:uint32(n)]
	return b, c.Space.CopyIn(b, addr)
}

// putSockaddr stores a socket address where the program wants it, cut to the room of which lenAddr
// tells, and its whole length at lenAddr.
func (c *Call) putSockaddr(addr, lenAddr uint64, sa []byte) error {
	room, err := c.Space.Uint32(lenAddr)
	if err != nil {
		return err
	}
	if int32(room) < 0 {
		return unix.EINVAL
	}
	if err := c.Space.CopyOut(addr, sa[:min(int(room), len(sa))]); err != nil {
		return err
	}
	return c.Space.PutUint32(lenAddr, uint32(len(sa)))
}

func (c *Call) bind() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	sa, err := c.sockaddr(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	return 0, s.Bind(sa)
}

func (c *Call) listen() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	c.usedBy(s)
	return 0, s.Listen(int(int32(c.Args[1])))
}

// accept is accept4(2): fd, address, its length, flags.
func (c *Call) accept(flags int) (uint64, error) {
	const known = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	if flags&^known != 0 {
		return 0, unix.EINVAL
	}
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	fd, err := c.FDs.Reserve()
	if err != nil {
		return 0, err
	}
	k, peer, err := c.acceptFrom(o, s)
	if err != nil {
		c.FDs.Unreserve(fd)
		return 0, err
	}
	if c.Args[1] != 0 {
		if err := c.putSockaddr(c.Args[1], c.Args[2], peer); err != nil {
			c.FDs.Unreserve(fd)
			_ = k.Close() // nobody is there to be told
			return 0, err
		}
	}
	c.FDs.Fill(fd, vfs.NewOpenFile(k, unix.O_RDWR|uint32(flags)), flags&unix.SOCK_CLOEXEC != 0)
	return uint64(fd), nil
}

// acceptFrom takes a connection, waiting for one unless O_NONBLOCK is set.
func (c *Call) acceptFrom(o *vfs.OpenFile, s net.Socket) (k net.Socket, peer []byte, err error) {
	k, peer, err = s.Accept(c.sock.addr[:0])
	if err != unix.EAGAIN || o.Nonblock() {
		return k, peer, err
	}
	limit := s.RecvTimeout()
	err = vfs.Wait(c.Thread, s, waiter.ReadableEvents, c.until(limit), func() (err error) {
		k, peer, err = s.Accept(c.sock.addr[:0])
		return err
	})
	return k, peer, waitError(err, limit)
}

// connect is connect(2): fd, address, its length. Called again while a connection is being made, it
// goes on waiting for it.
func (c *Call) connect() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	sa, err := c.sockaddr(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	c.usedBy(s)
	first := s.Connect(sa)
	if o.Nonblock() {
		return 0, first
	}
	try := s.FinishConnect
	switch first {
	case unix.EINPROGRESS, unix.EALREADY:
	case unix.EAGAIN: // the backlog of a unix(7) listener is full
		try = func() error { return s.Connect(sa) }
	default:
		return 0, first
	}
	limit := s.SendTimeout()
	err = vfs.Wait(c.Thread, s, waiter.WritableEvents, c.until(limit), try)
	if err == unix.ETIMEDOUT && limit != 0 && s.FinishConnect() == unix.EAGAIN {
		return 0, first
	}
	return 0, waitError(err, limit)
}

// socketName is getsockname(2) and getpeername(2): fd, address, its length.
func (c *Call) socketName(get func(net.Socket, []byte) ([]byte, error)) (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	sa, err := get(s, c.sock.addr[:0])
	if err != nil {
		return 0, err
	}
	return 0, c.putSockaddr(c.Args[1], c.Args[2], sa)
}

func (c *Call) shutdown() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	return 0, s.Shutdown(int(int32(c.Args[1])))
}
