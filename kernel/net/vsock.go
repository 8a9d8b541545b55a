package net

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
	"wick/vsock"
)

// vsockSocket is an AF_VSOCK stream socket [vsock(7)], over a connection of package vsock.
//
// Lock order: vsockSpace.mu, vsockSocket.mu of one socket at a time, then those of package vsock, whose hooks run without
// any of its own but maybe with ours held: what they call here takes only told.mu.
type vsockSocket struct {
	base
	wait *waiter.Queue
	shut shutState
	full atomic.Bool // somebody may be waiting for room to write

	reading sync.Mutex // serialises what looks at received data and then takes it
	writing sync.Mutex // serialises what looks for room and then fills it

	mu      sync.Mutex
	local   vsock.Addr     // guarded by mu, as all below; Any and AnyPort: not bound
	bound   bool           // in vsockSpace.bound: not so for accepted ones
	state   vsockState     //
	conn    *vsock.Conn    // nil if there was none
	err     error          // SO_ERROR
	failed  bool           // the program has been told how the connection was lost
	backlog []*vsockSocket // connections to accept
	most    int            // of backlog
	gone    bool           // closed

	connectTimeout                  time.Duration
	buffer, bufferLeast, bufferMost uint64 // SO_VM_SOCKETS_BUFFER_…, bytes

	told struct {
		mu     sync.Mutex
		status vsock.Status // guarded by mu: of which the queue was told last
	}
}

// vsockState is socket_state of Linux, by which it chooses its answers.
type vsockState int

const (
	vsockIdle vsockState = iota
	vsockListening
	vsockConnecting
	vsockConnected
	vsockDisconnecting // after shutdown(2), of whatever direction
)

// Defaults of the options [net/vmw_vsock/af_vsock.c].
const (
	defaultVsockConnect     = 2 * time.Second
	defaultVsockBuffer      = 256 << 10
	defaultVsockBufferLeast = 128
)

// newVsock makes a socket.
//
// DEVIATION: SOCK_SEQPACKET is refused here. Linux refuses it in connect(2), with the same error, if the host doesn't offer it.
func (s *Stack) newVsock(typ, protocol int) (Socket, error) {
	if protocol != 0 && protocol != unix.AF_VSOCK {
		return nil, unix.EPROTONOSUPPORT
	}
	switch typ {
	case unix.SOCK_STREAM:
	case unix.SOCK_DGRAM:
		return nil, unix.ENODEV // only VMware's transport has them
	default:
		return nil, unix.ESOCKTNOSUPPORT
	}
	k, err := s.makeVsock(protocol)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (s *Stack) makeVsock(protocol int) (*vsockSocket, error) {
	k := &vsockSocket{
		wait: newQueue(), local: vsock.Addr{CID: vsock.Any, Port: vsock.AnyPort}, connectTimeout: defaultVsockConnect,
		buffer: defaultVsockBuffer, bufferLeast: defaultVsockBufferLeast, bufferMost: defaultVsockBuffer,
	}
	if err := k.init(s, unix.AF_VSOCK, unix.SOCK_STREAM, protocol); err != nil {
		return nil, err
	}
	return k, nil
}

// sizeofSockaddrVM is the size of a struct sockaddr_vm: family, 2 reserved bytes, port, CID, flags, 3 bytes of zero.
const sizeofSockaddrVM = 16

// parseSockaddrVM reads a struct sockaddr_vm. Whatever is wrong with it is unix.EINVAL to bind and connect.
func parseSockaddrVM(b []byte) (vsock.Addr, error) {
	const toHost = 1 // VMADDR_FLAG_TO_HOST: all that isn't for this machine goes there anyway
	family, err := sockaddrFamily(b)
	if err != nil || len(b) < sizeofSockaddrVM || family != unix.AF_VSOCK || b[12]&^toHost != 0 {
		return vsock.Addr{}, unix.EINVAL
	}
	return vsock.Addr{Port: binary.NativeEndian.Uint32(b[4:]), CID: binary.NativeEndian.Uint32(b[8:])}, nil
}

// appendSockaddrVM appends a struct sockaddr_vm.
func appendSockaddrVM(b []byte, a vsock.Addr) []byte {
	b = binary.NativeEndian.AppendUint32(b, unix.AF_VSOCK) // and the reserved bytes: x86 is little-endian
	b = binary.NativeEndian.AppendUint32(b, a.Port)
	b = binary.NativeEndian.AppendUint32(b, a.CID)
	return append(b, 0, 0, 0, 0)
}

// EventRegister implements waiter.Waitable.
func (s *vsockSocket) EventRegister(e *waiter.Entry) error {
	s.wait.EventRegister(e)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (s *vsockSocket) EventUnregister(e *waiter.Entry) { s.wait.EventUnregister(e) }

// Bind implements Socket.
func (s *vsockSocket) Bind(addr []byte) error {
	a, err := parseSockaddrVM(addr)
	if err != nil {
		return err
	}
	return s.stack.vsock.bind(s, a)
}

// LocalAddr implements Socket. A socket that was bound by connecting has VMADDR_CID_ANY, as on Linux.
func (s *vsockSocket) LocalAddr(dst []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return appendSockaddrVM(dst, s.local), nil
}

// PeerAddr implements Socket.
func (s *vsockSocket) PeerAddr(dst []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settleLocked(); s.state != vsockConnected {
		return dst, unix.ENOTCONN
	}
	return appendSockaddrVM(dst, s.conn.Peer()), nil
}

// Listen implements Socket.
func (s *vsockSocket) Listen(backlog int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settleLocked(); s.state != vsockIdle && s.state != vsockListening || s.local.Port == vsock.AnyPort {
		return unix.EINVAL
	}
	if backlog < 0 || backlog > maxBacklog {
		backlog = maxBacklog
	}
	s.state, s.most = vsockListening, backlog+1 // Linux takes one more than it was told
	return nil
}

// Accept implements Socket.
func (s *vsockSocket) Accept(dst []byte) (Socket, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != vsockListening:
		return nil, nil, unix.EINVAL
	case len(s.backlog) == 0:
		return nil, nil, unix.EAGAIN
	}
	k := s.backlog[0]
	s.backlog[0] = nil
	s.backlog = s.backlog[1:]
	return k, appendSockaddrVM(dst, k.conn.Peer()), nil
}

// requested takes in a connection that a peer asks for. It is established at once, and waits to be accepted.
func (s *vsockSocket) requested(c *vsock.Conn) {
	k, err := s.stack.makeVsock(s.protocol)
	if err != nil {
		why := vsock.DropTooMany
		if s.stack.shortage.now() {
			why = vsock.DropNoMemory
		}
		c.Refuse(why)
		return
	}
	s.mu.Lock()
	why := ""
	switch {
	case s.gone || s.state != vsockListening:
		why = vsock.DropNoListener
	case len(s.backlog) >= s.most:
		why = vsock.DropBacklogFull
	}
	if why != "" || c.Accept() != nil {
		s.mu.Unlock()
		k.Close()
		c.Refuse(why)
		return
	}
	k.local, k.state, k.conn, k.connectTimeout = c.Local(), vsockConnected, c, s.connectTimeout
	k.buffer, k.bufferLeast, k.bufferMost = s.buffer, s.bufferLeast, s.bufferMost
	if k.buffer != defaultVsockBuffer {
		c.SetBufAlloc(k.bufAllocLocked())
	}
	s.backlog = append(s.backlog, k)
	s.mu.Unlock()
	c.Notify(func() { k.changed(c) })
	s.wait.Notify(waiter.ReadableEvents)
}

// Connect implements Socket.
func (s *vsockSocket) Connect(addr []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	switch s.state {
	case vsockConnected:
		return unix.EISCONN
	case vsockDisconnecting, vsockListening:
		return unix.EINVAL
	case vsockConnecting:
		return unix.EALREADY
	}
	peer, err := parseSockaddrVM(addr)
	if err != nil {
		return err
	}
	e, cid, err := s.stack.vsock.route(peer.CID)
	if err != nil {
		return err
	}
	if s.local.Port == vsock.AnyPort {
		// Without the lock, which comes after that of the ports.
		s.mu.Unlock()
		err = s.stack.vsock.bind(s, s.local)
		s.mu.Lock()
		if err != nil || s.state != vsockIdle || s.gone {
			return unix.EINVAL // another thread was faster
		}
	}
	if s.stack.shortage.now() {
		return unix.ENOBUFS
	}
	c, err := e.Connect(vsock.Addr{CID: cid, Port: s.local.Port}, peer, s.connectTimeout, nil)
	if err != nil {
		return vsockErrno(err)
	}
	if s.buffer != defaultVsockBuffer {
		c.SetBufAlloc(s.bufAllocLocked())
	}
	s.conn, s.state, s.err, s.failed = c, vsockConnecting, nil, false
	c.Notify(func() { s.changed(c) })
	return unix.EINPROGRESS
}

// settleLocked looks how an attempt to connect goes.
func (s *vsockSocket) settleLocked() {
	if s.state != vsockConnecting {
		return
	}
	switch err := s.conn.Err(); err {
	case vsock.ErrNotYet:
	case nil, vsock.ErrReset:
		s.state = vsockConnected
	default:
		s.state, s.conn, s.err = vsockIdle, nil, vsockErrno(err)
	}
}

// FinishConnect implements Socket.
func (s *vsockSocket) FinishConnect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	switch {
	case s.state == vsockConnecting:
		return unix.EAGAIN
	case s.state != vsockIdle:
		return nil
	case s.err == nil: // another thread has fetched it
		return unix.ECONNABORTED
	}
	return s.err
}

// Shutdown implements Socket.
func (s *vsockSocket) Shutdown(how int) error {
	read, write, err := halves(how)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.settleLocked()
	if s.state != vsockConnected && s.state != vsockDisconnecting {
		s.mu.Unlock()
		return unix.ENOTCONN
	}
	s.state = vsockDisconnecting
	c := s.conn
	s.shut.set(how)
	s.mu.Unlock()
	var flags uint32
	if read {
		flags |= vsock.ShutReceive
	}
	if write {
		flags |= vsock.ShutSend
	}
	_ = c.Shutdown(flags) // one that is over already needs none
	s.wait.Notify(waiter.AllEvents)
	return nil
}

// Close implements vfs.File. What has been written is still delivered in the background.
func (s *vsockSocket) Close() error {
	s.stack.vsock.unbind(s)
	s.mu.Lock()
	c, backlog := s.conn, s.backlog
	s.gone, s.backlog = true, nil
	s.mu.Unlock()
	if c != nil {
		c.Notify(nil)
		c.Close()
	}
	for _, k := range backlog { // connections that nobody accepted
		k.Close()
	}
	s.base.closed()
	return nil
}

// Ioctl implements vfs.Ioctler.
func (s *vsockSocket) Ioctl(mem vfs.Memory, cmd, arg uint64) (uint64, error) {
	if cmd != fionread && cmd != siocoutq {
		return s.ioctl(mem, cmd, arg)
	}
	s.mu.Lock()
	c, listening := s.conn, s.state == vsockListening
	s.mu.Unlock()
	switch {
	case listening:
		return 0, unix.EINVAL
	case c == nil:
		return 0, unix.EOPNOTSUPP // there is no transport yet
	case cmd == fionread:
		return 0, putWord(mem, arg, c.Status().Readable)
	}
	return 0, putWord(mem, arg, c.Status().Unsent)
}
