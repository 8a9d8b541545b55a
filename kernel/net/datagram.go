package net

import (
	"errors"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// datagramSocket is a UDP, ping or raw socket [udp(7), icmp(7), raw(7)].
type datagramSocket struct {
	inet
	ep    datagram
	queue datagramQueue
	shut  shutState
	ctl   controlOptions
}

// Linux's defaults: net.core.rmem_default and wmem_default, and the least that can be set.
const (
	defaultDatagramBuffer = 212992
	minRecvBuffer         = 2304
	minSendBuffer         = 4608
)

// newDatagramSocket makes a socket.
func (s *Stack) newDatagramSocket(family, typ, number int, p protocol) (Socket, error) {
	d := new(datagramSocket)
	if err := d.init(s, family, typ, number); err != nil {
		return nil, err
	}
	d.wait = newQueue()
	d.queue = datagramQueue{wait: d.wait, stack: s, limit: defaultDatagramBuffer}
	var err error
	if d.ep, err = s.engine.newDatagram(p, uint8(number), family == unix.AF_INET6, &d.queue); err != nil {
		d.closed()
		return nil, err
	}
	return d, nil
}

// Close implements vfs.File.
func (s *datagramSocket) Close() error {
	s.ep.close()
	s.queue.drop()
	s.closed()
	return nil
}

// Readiness implements waiter.Waitable [poll(2)].
func (s *datagramSocket) Readiness(mask waiter.EventMask) waiter.EventMask {
	r := waiter.WritableEvents
	readable, failed := s.queue.state()
	if readable {
		r |= waiter.ReadableEvents
	}
	if failed {
		r |= waiter.EventErr
		if s.recall(unix.SOL_SOCKET, unix.SO_SELECT_ERR_QUEUE) != 0 {
			r |= waiter.EventPri
		}
	}
	if s.shut.read() {
		r |= waiter.ReadableEvents | waiter.EventRdHUp
		if s.shut.write() {
			r |= waiter.EventHUp
		}
	}
	return r & (mask | waiter.EventErr | waiter.EventHUp)
}

// Bind implements Socket.
func (s *datagramSocket) Bind(addr []byte) error {
	e, err := s.parseBind(addr)
	if err != nil {
		return err
	}
	if s.typ == unix.SOCK_RAW {
		e.port = 0
	}
	return s.ep.bind(e)
}

// Connect implements Socket; it is done at once.
func (s *datagramSocket) Connect(addr []byte) error {
	if family, err := sockaddrFamily(addr); err != nil {
		return err
	} else if family == unix.AF_UNSPEC {
		return s.ep.disconnect()
	}
	e, err := s.parse(addr, true)
	if err != nil {
		return err
	}
	return s.ep.connect(e)
}

// FinishConnect implements Socket.
func (s *datagramSocket) FinishConnect() error { return nil }

// Listen implements Socket.
func (s *datagramSocket) Listen(int) error { return unix.EOPNOTSUPP }

// Accept implements Socket.
func (s *datagramSocket) Accept([]byte) (Socket, []byte, error) { return nil, nil, unix.EOPNOTSUPP }

// LocalAddr implements Socket.
func (s *datagramSocket) LocalAddr(dst []byte) ([]byte, error) {
	return s.appendAddr(dst, s.ep.local()), nil
}

// PeerAddr implements Socket.
func (s *datagramSocket) PeerAddr(dst []byte) ([]byte, error) {
	e, err := s.ep.peer()
	if err != nil {
		return dst, err
	}
	return s.appendAddr(dst, e), nil
}

// Read implements vfs.File.
func (s *datagramSocket) Read(dst vfs.Dst, _ int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil
	}
	d, ok, err := s.queue.take(false)
	if err != nil || !ok {
		return 0, err
	}
	n, err := d.payload.CopyTo(dst)
	d.payload.Release()
	return s.stored(n, dst, err)
}

// Write implements vfs.File.
func (s *datagramSocket) Write(src vfs.Src, _ int64) (int64, error) {
	return s.send(src, endpoint{}, nil)
}

// Recv implements Socket.
func (s *datagramSocket) Recv(dst vfs.Dst, m *Message) (int64, error) {
	flags := m.Flags
	m.Flags = 0
	if flags&unix.MSG_ERRQUEUE != 0 {
		return s.recvError(dst, m)
	}
	d, ok, err := s.queue.take(flags&unix.MSG_PEEK != 0)
	if err != nil || !ok {
		return 0, err
	}
	size := d.payload.Len()
	n, err := d.payload.CopyTo(dst)
	d.payload.Release()
	stored, err := s.stored(n, dst, err)
	if err != nil {
		return 0, err
	}
	if int(stored) < size {
		m.Flags |= unix.MSG_TRUNC
		if flags&unix.MSG_TRUNC != 0 {
			stored = int64(size)
		}
	}
	if m.WantAddr {
		m.Addr = s.appendAddr(m.Addr, d.from)
	}
	s.appendControl(m, &d)
	return stored, nil
}

// stored is the answer for n bytes of a datagram that went into dst, where the rest of it found no room (which is
// no error) or bad memory (which is one).
func (s *datagramSocket) stored(n int, dst vfs.Dst, err error) (int64, error) {
	if err != nil && dst.Len() > 0 {
		return 0, unix.EFAULT
	}
	return int64(n), nil
}

// Send implements Socket.
func (s *datagramSocket) Send(src vfs.Src, m *Message) (int64, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP
	}
	var to endpoint
	if len(m.Addr) > 0 {
		var err error
		if to, err = s.parseDestination(m.Addr); err != nil {
			return 0, err
		}
	}
	if len(m.Control) == 0 {
		return s.send(src, to, nil)
	}
	c, err := s.parseControl(m.Control)
	if err != nil {
		return 0, err
	}
	return s.send(src, to, &c)
}

// parseDestination reads the address of a Send. For old programs AF_UNSPEC is AF_INET for UDP over IPv4 [udp_sendmsg].
func (s *datagramSocket) parseDestination(b []byte) (endpoint, error) {
	family, err := sockaddrFamily(b)
	if err == nil && family == unix.AF_UNSPEC && s.family == unix.AF_INET && s.protocol == unix.IPPROTO_UDP {
		return parseSockaddrIn(b)
	}
	return s.parse(b, true)
}

func (s *datagramSocket) send(src vfs.Src, to endpoint, c *sendControl) (int64, error) {
	if s.shut.write() {
		return 0, unix.EPIPE
	}
	if err := s.queue.takeError(); err != nil {
		return 0, err
	}
	defer s.stack.shortage.send(src.Len())()
	n, err := s.ep.send(src, to, c)
	if errors.Is(err, unix.EADDRNOTAVAIL) { // no source address on the way there
		err = unix.ENETUNREACH
	}
	return int64(n), err
}

// Shutdown implements Socket. Like Linux it works on sockets without a peer too, and says ENOTCONN.
func (s *datagramSocket) Shutdown(how int) error {
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return unix.EINVAL
	}
	_, err := s.ep.peer()
	s.shut.set(how)
	if s.shut.read() {
		s.queue.shut()
	}
	s.wait.Notify(waiter.WritableEvents | waiter.EventHUp)
	return err
}
