package net

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// netlinkSocket is a NETLINK_ROUTE socket that answers the questions of getifaddrs(3) and the like [netlink(7),
// rtnetlink(7)]. A request is answered at once, into the socket's queue.
//
// DEVIATION: the configuration can't be changed (EPERM), and subscribers of multicast groups hear of no changes.
type netlinkSocket struct {
	base
	wait  *waiter.Queue
	queue datagramQueue
	port  portID
}

// sizeofSockaddrNl is the size of struct sockaddr_nl: family 2, padding 2, port 4, groups 4.
const sizeofSockaddrNl = 12

// maxNetlinkRequest bounds a request, in bytes.
const maxNetlinkRequest = 32 << 10

func (s *Stack) newNetlink(typ, protocol int) (Socket, error) {
	if typ != unix.SOCK_RAW && typ != unix.SOCK_DGRAM {
		return nil, unix.ESOCKTNOSUPPORT
	}
	if protocol != unix.NETLINK_ROUTE {
		return nil, unix.EPROTONOSUPPORT
	}
	n := new(netlinkSocket)
	if err := n.init(s, unix.AF_NETLINK, typ, protocol); err != nil {
		return nil, err
	}
	n.wait = newQueue()
	n.queue = datagramQueue{wait: n.wait, stack: s, limit: defaultDatagramBuffer}
	return n, nil
}

// Close implements vfs.File.
func (s *netlinkSocket) Close() error {
	s.queue.drop()
	s.closed()
	return nil
}

// Readiness implements waiter.Waitable.
func (s *netlinkSocket) Readiness(mask waiter.EventMask) waiter.EventMask {
	r := waiter.WritableEvents
	if readable, _ := s.queue.state(); readable {
		r |= waiter.ReadableEvents
	}
	return r & mask
}

// EventRegister implements waiter.Waitable.
func (s *netlinkSocket) EventRegister(e *waiter.Entry) error {
	s.wait.EventRegister(e)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (s *netlinkSocket) EventUnregister(e *waiter.Entry) { s.wait.EventUnregister(e) }

// parseNl reads a struct sockaddr_nl.
func parseNl(b []byte) (port uint32, err error) {
	if len(b) < sizeofSockaddrNl {
		return 0, unix.EINVAL
	}
	if family, _ := sockaddrFamily(b); family != unix.AF_NETLINK {
		return 0, unix.EINVAL
	}
	return binary.NativeEndian.Uint32(b[4:]), nil
}

// appendNl appends a struct sockaddr_nl.
func appendNl(b []byte, port uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, unix.AF_NETLINK)
	b = binary.NativeEndian.AppendUint32(b, port)
	return append(b, 0, 0, 0, 0)
}

// Bind implements Socket. The groups are accepted, but nothing is ever sent to them.
func (s *netlinkSocket) Bind(addr []byte) error {
	port, err := parseNl(addr)
	if err != nil {
		return err
	}
	if !s.port.claim(port, &s.stack.netlinkPorts) {
		return unix.EINVAL
	}
	return nil
}

// Connect implements Socket: to the kernel, which is the peer anyway.
func (s *netlinkSocket) Connect(addr []byte) error {
	if family, err := sockaddrFamily(addr); err != nil || family == unix.AF_UNSPEC {
		return err
	}
	port, err := parseNl(addr)
	if err != nil {
		return err
	}
	if port != 0 {
		return unix.ECONNREFUSED
	}
	s.port.claim(0, &s.stack.netlinkPorts)
	return nil
}

// FinishConnect implements Socket.
func (s *netlinkSocket) FinishConnect() error { return nil }

// Listen implements Socket.
func (s *netlinkSocket) Listen(int) error { return unix.EOPNOTSUPP }

// Accept implements Socket.
func (s *netlinkSocket) Accept([]byte) (Socket, []byte, error) { return nil, nil, unix.EOPNOTSUPP }

// Shutdown implements Socket.
func (s *netlinkSocket) Shutdown(int) error { return unix.EOPNOTSUPP }

// LocalAddr implements Socket.
func (s *netlinkSocket) LocalAddr(dst []byte) ([]byte, error) {
	return appendNl(dst, s.port.get()), nil
}

// PeerAddr implements Socket.
func (s *netlinkSocket) PeerAddr(dst []byte) ([]byte, error) { return appendNl(dst, 0), nil }

// Read implements vfs.File.
func (s *netlinkSocket) Read(dst vfs.Dst, _ int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil
	}
	var m Message
	return s.Recv(dst, &m)
}

// Write implements vfs.File.
func (s *netlinkSocket) Write(src vfs.Src, _ int64) (int64, error) {
	var m Message
	return s.Send(src, &m)
}

// Recv implements Socket.
func (s *netlinkSocket) Recv(dst vfs.Dst, m *Message) (int64, error) {
	flags := m.Flags
	m.Flags = 0
	if flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP
	}
	d, ok, err := s.queue.take(flags&unix.MSG_PEEK != 0)
	if err != nil || !ok {
		return 0, err
	}
	size := d.payload.Len()
	n, err := d.payload.CopyTo(dst)
	d.payload.Release()
	if err != nil && dst.Len() > 0 {
		return 0, unix.EFAULT
	}
	if m.WantAddr {
		m.Addr = appendNl(m.Addr, 0)
	}
	if n < size {
		m.Flags |= unix.MSG_TRUNC
		if flags&unix.MSG_TRUNC != 0 {
			n = size
		}
	}
	return int64(n), nil
}

// Send implements Socket: requests to the kernel.
func (s *netlinkSocket) Send(src vfs.Src, m *Message) (int64, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP
	}
	if len(m.Addr) > 0 {
		port, err := parseNl(m.Addr)
		if err != nil {
			return 0, err
		}
		if port != 0 {
			return 0, unix.ECONNREFUSED // nobody but the kernel is there
		}
	}
	if s.stack.shortage.now() {
		return 0, unix.ENOBUFS // the answer would be lost, and waited for
	}
	size := src.Len()
	if size > maxNetlinkRequest {
		return 0, unix.EMSGSIZE
	}
	req := make([]byte, size)
	for n := 0; n < size; {
		k, err := src.Read(req[n:])
		if err != nil || k == 0 {
			return 0, unix.EFAULT
		}
		n += k
	}
	s.port.claim(0, &s.stack.netlinkPorts)
	s.handle(req)
	return int64(size), nil
}

// Ioctl implements vfs.Ioctler.
func (s *netlinkSocket) Ioctl(mem vfs.Memory, cmd, arg uint64) (uint64, error) {
	if cmd == fionread {
		return 0, putWord(mem, arg, s.queue.next())
	}
	return s.ioctl(mem, cmd, arg)
}

// SetOption implements Socket. Options of the netlink level tune what isn't there, or only how errors are told.
func (s *netlinkSocket) SetOption(level, name int, v []byte) error {
	switch level {
	case unix.SOL_SOCKET:
		if ok, err := s.setCommon(name, v); ok {
			return err
		}
		i, err := intOption(v)
		if err != nil {
			return err
		}
		switch name {
		case unix.SO_RCVBUF, unix.SO_RCVBUFFORCE:
			s.queue.setLimit(bufferSize(i, s.stack.options.MaxBuffer, minRecvBuffer, name == unix.SO_RCVBUFFORCE))
			return nil
		case unix.SO_SNDBUF, unix.SO_SNDBUFFORCE:
			return s.keep(level, unix.SO_SNDBUF, bufferSize(i, s.stack.options.MaxBuffer, minSendBuffer, false))
		case unix.SO_PASSCRED, unix.SO_REUSEADDR, unix.SO_TIMESTAMP_OLD:
			return s.keep(level, name, i)
		}
	case unix.SOL_NETLINK:
		if i, err := intOption(v); err == nil && name >= unix.NETLINK_ADD_MEMBERSHIP && name <= unix.NETLINK_GET_STRICT_CHK {
			return s.keep(level, name, i)
		}
	}
	return unix.ENOPROTOOPT
}

// Option implements Socket.
func (s *netlinkSocket) Option(level, name int, dst []byte) (int, error) {
	switch level {
	case unix.SOL_SOCKET:
		if n, ok, err := s.common(name, dst); ok {
			return n, err
		}
		switch name {
		case unix.SO_ERROR:
			return putErrno(dst, s.queue.takeError())
		case unix.SO_RCVBUF:
			return putInt(dst, s.queue.getLimit())
		case unix.SO_ACCEPTCONN:
			return putInt(dst, 0)
		case unix.SO_SNDBUF:
			if v := s.recall(level, name); v != 0 {
				return putInt(dst, v)
			}
			return putInt(dst, defaultDatagramBuffer)
		case unix.SO_PASSCRED, unix.SO_REUSEADDR, unix.SO_TIMESTAMP_OLD:
			return putInt(dst, s.recall(level, name))
		}
	case unix.SOL_NETLINK:
		if name >= unix.NETLINK_ADD_MEMBERSHIP && name <= unix.NETLINK_GET_STRICT_CHK {
			return putInt(dst, s.recall(level, name))
		}
	}
	return 0, unix.ENOPROTOOPT
}
