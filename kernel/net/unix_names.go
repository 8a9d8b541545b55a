package net

import (
	"encoding/binary"
	"strconv"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// A struct sockaddr_un is family 2 and a path of up to 108 bytes. A path that begins with a zero byte is an abstract name, of
// the length that the address has; others end at their zero byte. In the maps here an abstract name keeps its zero byte.
const maxUnixPath = 108

// Ucred says who a process is, unix(7). PID 0: nobody has said.
type Ucred struct {
	PID      int
	UID, GID uint32
}

// encode makes the struct ucred: pid, uid, gid. Of nobody the ids are unknown (-1).
func (c Ucred) encode() []byte {
	if c.PID == 0 {
		c.UID, c.GID = ^uint32(0), ^uint32(0)
	}
	var b [12]byte
	binary.LittleEndian.PutUint32(b[0:], uint32(c.PID))
	binary.LittleEndian.PutUint32(b[4:], c.UID)
	binary.LittleEndian.PutUint32(b[8:], c.GID)
	return b[:]
}

// parseUnixName reads the name of an address; "" is the unnamed address.
func parseUnixName(b []byte) (string, error) {
	family, err := sockaddrFamily(b)
	if err != nil {
		return "", err
	}
	if family != unix.AF_UNIX || len(b) > 2+maxUnixPath {
		return "", unix.EINVAL
	}
	p := b[2:]
	if len(p) == 0 || p[0] == 0 {
		return string(p), nil
	}
	return unix.ByteSliceToString(p), nil
}

// appendUnixName appends a struct sockaddr_un.
func appendUnixName(b []byte, name string) []byte {
	b = binary.NativeEndian.AppendUint16(b, unix.AF_UNIX)
	b = append(b, name...)
	if name != "" && name[0] != 0 {
		b = append(b, 0)
	}
	return b
}

// find returns the socket that is bound to an address, of the same type as s.
func (s *unixSocket) find(addr []byte) (*unixSocket, error) {
	name, err := parseUnixName(addr)
	if err != nil {
		return nil, err
	}
	var key any = name
	switch {
	case name == "":
		return nil, unix.EINVAL
	case name[0] != 0 && s.paths == nil:
		return nil, unix.ENOENT
	case name[0] != 0:
		n, err := s.paths.Lookup(nil, name, true)
		if err == nil {
			err = vfs.Access(s.paths.Credentials(), n, unix.W_OK)
		}
		if err != nil {
			return nil, err
		}
		key = n
	}
	u := &s.stack.unix
	u.mu.Lock()
	defer u.mu.Unlock()
	to := u.bound[key]
	switch {
	case to == nil:
		return nil, unix.ECONNREFUSED
	case to.typ != s.typ:
		return nil, unix.EPROTOTYPE
	}
	return to, nil
}

// makeNode makes the node of a path.
func (s *unixSocket) makeNode(path string) (vfs.Node, error) {
	if s.paths == nil {
		return nil, unix.EPERM
	}
	const all = 0o777
	n, err := s.paths.MakeSocket(nil, path, all&^s.umask())
	if err == unix.EEXIST {
		err = unix.EADDRINUSE
	}
	return n, err
}

// Bind implements Socket. An address that is only a family has a name chosen [unix(7): autobind].
func (s *unixSocket) Bind(addr []byte) error {
	name, err := parseUnixName(addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	taken := s.name != "" || s.state == unixClosed
	s.mu.Unlock()
	if taken {
		return unix.EINVAL
	}
	var key any
	if name != "" && name[0] != 0 {
		// The tree's lock comes before ours.
		if key, err = s.makeNode(name); err != nil {
			return err
		}
	}
	u := &s.stack.unix
	u.mu.Lock()
	defer u.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.name != "" {
		return unix.EINVAL
	}
	if name == "" {
		u.chosen++
		name = "\x00" + strconv.FormatUint(uint64(u.chosen)&0xfffff|1<<20, 16)[1:]
	}
	if key == nil {
		key = name
	}
	if u.bound == nil {
		u.bound = make(map[any]*unixSocket)
	}
	if u.bound[key] != nil {
		return unix.EADDRINUSE
	}
	u.bound[key] = s
	s.key, s.name = key, name
	return nil
}

// Listen implements Socket.
func (s *unixSocket) Listen(backlog int) error {
	if !s.connectionOriented() {
		return unix.EOPNOTSUPP
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.name == "" || s.state != unixIdle && s.state != unixListening {
		return unix.EINVAL
	}
	if backlog < 0 || backlog > maxBacklog {
		backlog = maxBacklog
	}
	s.state, s.maxQueue = unixListening, backlog
	return nil
}

// Connect implements Socket; it is done at once.
func (s *unixSocket) Connect(addr []byte) error {
	if family, err := sockaddrFamily(addr); err != nil {
		return err
	} else if family == unix.AF_UNSPEC && !s.connectionOriented() {
		s.mu.Lock()
		s.peer, s.peerName, s.state = nil, "", unixIdle
		s.mu.Unlock()
		return nil
	}
	to, err := s.find(addr)
	if err != nil {
		return err
	}
	if s.connectionOriented() {
		return s.connectStream(to)
	}
	to.mu.Lock()
	name := to.name
	denied := to.peer != nil && to.peer != s
	to.mu.Unlock()
	if denied {
		return unix.EPERM
	}
	s.mu.Lock()
	s.peer, s.peerName, s.state = to, name, unixConnected
	s.mu.Unlock()
	return nil
}

// connectStream makes the other end of a connection and puts it into the listener's backlog.
func (s *unixSocket) connectStream(listener *unixSocket) error {
	s.mu.Lock()
	state, name := s.state, s.name
	s.mu.Unlock()
	if state != unixIdle && !listener.listening() {
		return unix.ECONNREFUSED
	}
	switch state {
	case unixConnected:
		return unix.EISCONN
	case unixListening, unixClosed:
		return unix.EINVAL
	}
	end, err := s.stack.makeUnix(s.typ, 0)
	if err != nil {
		return err
	}
	end.state, end.peer, end.peerName, end.peerCred = unixConnected, s, name, *s.user.Load()
	end.UsePaths(s.paths, s.umask)
	if err := s.join(listener, end); err != nil {
		end.closed()
		return err
	}
	listener.wait.Notify(waiter.ReadableEvents)
	return nil
}

// join makes end the other end of s, and puts it into the listener's backlog, in one step: whoever accepts it may close it at once,
// and another thread may connect s.
func (s *unixSocket) join(listener, end *unixSocket) error {
	s.stack.unix.mu.Lock()
	defer s.stack.unix.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == unixConnected:
		return unix.EISCONN
	case s.state != unixIdle:
		return unix.EINVAL
	case s == listener:
		return unix.ECONNREFUSED
	}
	listener.mu.Lock()
	defer listener.mu.Unlock()
	switch {
	case listener.state != unixListening || listener.readShut:
		return unix.ECONNREFUSED
	case len(listener.backlog) > listener.maxQueue:
		listener.hasRoomForConnectionLocked(s)
		return unix.EAGAIN
	}
	end.name = listener.name
	listener.backlog = append(listener.backlog, end)
	s.state, s.peer, s.peerName, s.peerCred = unixConnected, end, listener.name, *listener.user.Load()
	return nil
}

// listening tells whether connections are taken.
func (s *unixSocket) listening() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == unixListening && !s.readShut
}

// hasRoomForConnectionLocked has s told when the backlog gets shorter.
func (s *unixSocket) hasRoomForConnectionLocked(who *unixSocket) {
	if s.blocked == nil {
		s.blocked = make(map[*unixSocket]struct{})
	}
	s.blocked[who] = struct{}{}
}

// FinishConnect implements Socket.
func (s *unixSocket) FinishConnect() error { return nil }

// Accept implements Socket.
func (s *unixSocket) Accept(dst []byte) (Socket, []byte, error) {
	if !s.connectionOriented() {
		return nil, nil, unix.EOPNOTSUPP
	}
	s.mu.Lock()
	if s.state != unixListening {
		s.mu.Unlock()
		return nil, nil, unix.EINVAL
	}
	if len(s.backlog) == 0 {
		shut := s.readShut
		s.mu.Unlock()
		if shut {
			return nil, nil, unix.EINVAL
		}
		return nil, nil, unix.EAGAIN
	}
	end := s.backlog[0]
	s.backlog = s.backlog[1:]
	blocked := s.takeBlockedLocked()
	s.mu.Unlock()
	wakeBlocked(blocked)
	return end, appendUnixName(dst, end.peerName), nil // which doesn't change any more
}

// LocalAddr implements Socket.
func (s *unixSocket) LocalAddr(dst []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return appendUnixName(dst, s.name), nil
}

// PeerAddr implements Socket.
func (s *unixSocket) PeerAddr(dst []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != unixConnected {
		return dst, unix.ENOTCONN
	}
	return appendUnixName(dst, s.peerName), nil // also of a peer that has closed
}

// SetOption implements Socket.
func (s *unixSocket) SetOption(level, name int, v []byte) error {
	if level != unix.SOL_SOCKET {
		return unix.EOPNOTSUPP
	}
	if name == unix.SO_ZEROCOPY {
		return unix.EOPNOTSUPP
	}
	if ok, err := s.setCommon(name, v); ok {
		return err
	}
	switch name {
	case unix.SO_LINGER:
		return s.keepLinger(v)
	case unix.SO_RCVBUF, unix.SO_RCVBUFFORCE: // it changes nothing [unix(7)]
		i, err := intOption(v)
		if err != nil {
			return err
		}
		return s.keep(level, unix.SO_RCVBUF, bufferSize(i, s.stack.options.MaxBuffer, minRecvBuffer, name == unix.SO_RCVBUFFORCE))
	case unix.SO_SNDBUF, unix.SO_SNDBUFFORCE: // DEVIATION: the bounds are the same, as messages lie in the kernel's memory
		i, err := intOption(v)
		if err != nil {
			return err
		}
		s.sendBuffer.Store(int32(bufferSize(i, s.stack.options.MaxBuffer, minSendBuffer, false)))
		s.wait.Notify(waiter.WritableEvents) // there may be room now
		return nil
	case unix.SO_REUSEPORT:
		return onlyValue(v, 0, unix.EOPNOTSUPP)
	case unix.SO_REUSEADDR, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_PASSCRED,
		unix.SO_TIMESTAMP_OLD, unix.SO_TIMESTAMPNS_OLD:
		i, err := intOption(v)
		if err != nil {
			return err
		}
		return s.keep(level, name, boolOption(i != 0))
	}
	return unix.ENOPROTOOPT
}

// Option implements Socket.
func (s *unixSocket) Option(level, name int, dst []byte) (int, error) {
	if level != unix.SOL_SOCKET {
		return 0, unix.EOPNOTSUPP
	}
	if n, ok, err := s.common(name, dst); ok {
		return n, err
	}
	switch name {
	case unix.SO_ERROR:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.reset {
			s.reset = false
			return putErrno(dst, unix.ECONNRESET)
		}
		return putInt(dst, 0)
	case unix.SO_ACCEPTCONN:
		s.mu.Lock()
		defer s.mu.Unlock()
		return putInt(dst, boolOption(s.state == unixListening))
	case unix.SO_LINGER:
		return s.putLinger(dst)
	case unix.SO_SNDBUF:
		return putInt(dst, int(s.sendBuffer.Load()))
	case unix.SO_RCVBUF:
		if v := s.recall(level, name); v != 0 {
			return putInt(dst, v)
		}
		return putInt(dst, defaultDatagramBuffer)
	case unix.SO_PEERCRED:
		s.mu.Lock()
		defer s.mu.Unlock()
		return copy(dst, s.peerCred.encode()), nil
	case unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_PASSCRED,
		unix.SO_TIMESTAMP_OLD, unix.SO_TIMESTAMPNS_OLD:
		return putInt(dst, s.recall(level, name))
	}
	return 0, unix.ENOPROTOOPT
}
