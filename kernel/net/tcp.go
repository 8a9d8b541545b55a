package net

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// streamSocket is a TCP socket [tcp(7)].
type streamSocket struct {
	inet
	ep       atomic.Pointer[streamBox]
	shut     shutState
	gone     atomic.Bool // the failure of the connection has been told
	accepted bool
	arrived  arrivals // counted while SO_RCVLOWAT is set

	mu         sync.Mutex       // serialises what replaces ep
	bound      endpoint         // guarded by mu: what bind was told, if isBound
	isBound    bool             // guarded by mu
	set        []recordedOption // guarded by mu
	congestion string           // guarded by mu: TCP_CONGESTION, if the program has set it
}

// streamBox holds a stream, whose pointer is swapped atomically.
type streamBox struct{ stream }

// recordedOption is an option that the program has set, to be set again on another endpoint.
type recordedOption struct {
	o option
	v int
}

// newStreamSocket makes a socket.
func (s *Stack) newStreamSocket(family int) (Socket, error) {
	t := new(streamSocket)
	if err := t.init(s, family, unix.SOCK_STREAM, unix.IPPROTO_TCP); err != nil {
		return nil, err
	}
	t.wait = newQueue()
	t.ep.Store(&streamBox{s.engine.newStream(family == unix.AF_INET6, t.wait)})
	return t, nil
}

func (s *streamSocket) stream() stream { return s.ep.Load().stream }

// Close implements vfs.File. What has been written is still delivered, and the connection closed, in the background.
func (s *streamSocket) Close() error {
	s.stream().close()
	s.closed()
	return nil
}

// Readiness implements waiter.Waitable: tcp_poll of Linux.
func (s *streamSocket) Readiness(mask waiter.EventMask) waiter.EventMask {
	const (
		in  = waiter.ReadableEvents
		out = waiter.WritableEvents
	)
	ep := s.stream()
	var r waiter.EventMask
	switch st := ep.state(); st {
	case streamInitial:
		r = out | waiter.EventHUp
	case streamListening:
		if readable, _, _ := ep.ready(); readable {
			r = in
		}
	case streamConnecting:
	case streamClosing, streamDone, streamFailed:
		r = in | out | waiter.EventHUp | waiter.EventRdHUp
		if s.broken(st) && !s.gone.Load() {
			r |= waiter.EventErr
		}
	default:
		readable, writable, ended := ep.ready()
		if readable && s.readableLowat(ep) {
			r |= in
		}
		if s.shut.write() || writable && !s.stack.shortage.holds(s.wait) {
			r |= out
		}
		if ended || st == streamCloseWait || s.shut.read() {
			r |= in | waiter.EventRdHUp
			if s.shut.write() {
				r |= waiter.EventHUp
			}
		}
	}
	return r & (mask | waiter.EventErr | waiter.EventHUp)
}

// broken tells whether it was an error that ended the connection. The engine has no error for a reset that comes after the
// peer's half was closed; Linux calls that a broken pipe.
func (s *streamSocket) broken(st streamState) bool {
	return st == streamFailed || st == streamDone && !s.shut.write()
}

// told notes that the program has been told of err, which ended the connection.
func (s *streamSocket) told(err error) error {
	if err == nil || err == unix.EAGAIN {
		return err
	}
	if ep := s.stream(); s.broken(ep.state()) {
		s.gone.Store(true)
		ep.takeError()
	}
	return err
}

// takeError is SO_ERROR.
func (s *streamSocket) takeError() error {
	ep := s.stream()
	st := ep.state()
	err := ep.takeError()
	if err == nil && st == streamDone && s.broken(st) && !s.gone.Load() {
		err = unix.EPIPE
	}
	return s.told(err)
}

// Bind implements Socket.
func (s *streamSocket) Bind(addr []byte) error {
	e, err := s.parseBind(addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.addr.IsMulticast() || e.addr == ipv4Broadcast {
		return unix.EADDRNOTAVAIL
	}
	if e.addr.Is4In6() {
		if v, err := s.stream().option(optV6Only); err == nil && v != 0 {
			return unix.EINVAL
		}
	}
	if err := s.stream().bind(e); err != nil {
		if !s.isBound && s.stream().state() == streamInitial {
			s.replaceLocked() // the engine's endpoint keeps the address, and would not give back a port that listen finds
		}
		return err
	}
	s.bound, s.isBound = e, true
	s.bound.port = s.stream().local().port
	return nil
}

// bindSourceLocked binds an endpoint that is bound to a port, but to no address, to the one that its connection will have. The engine
// gives the port back by that address, so it would not give back the port of no address.
func (s *streamSocket) bindSourceLocked(peer endpoint) error {
	if !s.isBound || !s.bound.addr.IsUnspecified() || s.stream().state() != streamInitial {
		return nil
	}
	from := endpoint{addr: s.stream().source(peer), port: s.bound.port, scope: peer.scope}
	if !from.addr.IsValid() {
		return nil // nor can it connect
	}
	if s.family == unix.AF_INET6 {
		from.addr = netip.AddrFrom16(from.addr.As16())
	}
	return s.replaceWithLocked(from)
}

// Connect implements Socket.
func (s *streamSocket) Connect(addr []byte) error {
	family, err := sockaddrFamily(addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if family == unix.AF_UNSPEC {
		return s.disconnectLocked()
	}
	switch s.stream().state() {
	case streamListening:
		return unix.EISCONN
	case streamFailed:
		if err := s.stream().takeError(); err != nil {
			return s.failedLocked(err)
		}
		if err := s.replaceLocked(); err != nil {
			return err
		}
	}
	e, err := s.parse(addr, false)
	if err != nil {
		return err
	}
	if s.stream().state() == streamInitial && s.stack.shortage.refuses(e) {
		return unix.ENOBUFS
	}
	if e.addr.IsMulticast() || e.addr == ipv4Broadcast {
		return unix.ENETUNREACH
	}
	if e.addr.Is4In6() {
		if v, err := s.stream().option(optV6Only); err == nil && v != 0 {
			return unix.ENETUNREACH
		}
	}
	if err := s.bindSourceLocked(e); err != nil {
		return err
	}
	err = s.stream().connect(e)
	// The refusal of an attempt that is under way may have come already: that is for poll and SO_ERROR to tell.
	if err != unix.EINPROGRESS && s.stream().state() == streamFailed {
		return s.failedLocked(err)
	}
	return err
}

// failedLocked tells of a failed attempt to connect. Linux's socket is as new after that, to try again; the
// engine's endpoint is spent.
func (s *streamSocket) failedLocked(err error) error {
	s.replaceLocked()
	return err
}

// FinishConnect implements Socket.
func (s *streamSocket) FinishConnect() error {
	ep := s.stream()
	switch ep.state() {
	case streamConnecting:
		return unix.EAGAIN
	case streamInitial, streamListening: // another thread has disconnected the socket
		return unix.ECONNABORTED
	}
	if err := ep.takeError(); err != nil || ep.state() == streamFailed {
		if err == nil {
			err = unix.ECONNABORTED
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.stream() != ep { // another thread was faster
			return err
		}
		return s.failedLocked(err)
	}
	// The engine wants to tell the success once; whoever asks next hears EISCONN.
	if p, err := ep.peer(); err == nil {
		ep.connect(p)
	}
	return nil
}

// disconnectLocked makes the socket as it was when it was new [connect(2): AF_UNSPEC].
func (s *streamSocket) disconnectLocked() error {
	if s.stream().state() == streamInitial {
		return nil
	}
	s.stream().setOption(optLingerMS, 0) // a disconnected peer gets a reset
	return s.replaceLocked()
}

// replaceLocked puts a new endpoint with the same options, bound to the same address, in the place of the old one.
func (s *streamSocket) replaceLocked() error { return s.replaceWithLocked(s.bound) }

// replaceWithLocked is replaceLocked; if the socket is bound, the endpoint is bound to bound.
func (s *streamSocket) replaceWithLocked(bound endpoint) error {
	ep := s.stack.engine.newStream(s.family == unix.AF_INET6, s.wait)
	for _, r := range s.set {
		ep.setOption(r.o, r.v)
	}
	if s.congestion != "" {
		ep.setCongestion(s.congestion)
	}
	old := s.ep.Swap(&streamBox{ep})
	old.close()
	s.shut.clear()
	s.gone.Store(false)
	if s.isBound {
		return ep.bind(bound)
	}
	return nil
}

// maxBacklog is Linux's default net.core.somaxconn.
const maxBacklog = 4096

// Listen implements Socket.
func (s *streamSocket) Listen(backlog int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.stream().state() {
	case streamInitial:
	case streamListening:
	case streamFailed, streamDone:
		if err := s.replaceLocked(); err != nil {
			return err
		}
	default:
		return unix.EINVAL
	}
	if backlog < 0 || backlog > maxBacklog {
		backlog = maxBacklog
	}
	return s.stream().listen(backlog + 1) // Linux takes one more than it was told
}

// Accept implements Socket.
func (s *streamSocket) Accept(dst []byte) (Socket, []byte, error) {
	ep := s.stream()
	if ep.state() != streamListening {
		return nil, nil, unix.EINVAL
	}
	t := &streamSocket{accepted: true}
	if err := t.init(s.stack, s.family, unix.SOCK_STREAM, unix.IPPROTO_TCP); err != nil {
		return nil, nil, err
	}
	conn, peer, err := ep.accept()
	if err != nil {
		t.closed()
		return nil, nil, err
	}
	t.wait = conn.queue()
	t.ep.Store(&streamBox{conn})
	s.inherit(t)
	peer.addr = s.recvAddress(peer.addr)
	return t, s.appendAddr(dst, peer), nil
}

// inherit gives a connection the options that were set on its listener [sk_clone_lock]. The engine passes few of them on.
func (s *streamSocket) inherit(t *streamSocket) {
	s.mu.Lock()
	set, congestion := slices.Clone(s.set), s.congestion
	s.mu.Unlock()
	for _, r := range set {
		switch r.o {
		case optQuickAck, optDeferAcceptMS: // a connection's own
		default:
			t.setRecorded(r.o, r.v)
		}
	}
	if congestion != "" {
		t.recordCongestion(congestion)
	}
	t.passedOptions.inherit(&s.passedOptions)
	t.rcvTimeoutNS.Store(s.rcvTimeoutNS.Load())
	t.sndTimeoutNS.Store(s.sndTimeoutNS.Load())
	if n := s.RecvLowat(); n > 1 {
		t.setRecvLowat(n)
	}
}

// LocalAddr implements Socket.
func (s *streamSocket) LocalAddr(dst []byte) ([]byte, error) {
	e := s.stream().local()
	e.addr = s.recvAddress(e.addr)
	return s.appendAddr(dst, e), nil
}

// PeerAddr implements Socket.
func (s *streamSocket) PeerAddr(dst []byte) ([]byte, error) {
	switch s.stream().state() {
	case streamInitial, streamListening, streamConnecting, streamDone, streamFailed:
		return dst, unix.ENOTCONN
	}
	e, err := s.stream().peer()
	if err != nil {
		return dst, unix.ENOTCONN
	}
	e.addr = s.recvAddress(e.addr)
	return s.appendAddr(dst, e), nil
}

// Read implements vfs.File.
func (s *streamSocket) Read(dst vfs.Dst, _ int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil
	}
	return s.recv(dst, false)
}

// recv reads, or looks at, what has come.
func (s *streamSocket) recv(dst vfs.Dst, peek bool) (int64, error) {
	ep := s.stream()
	if dst.Len() == 0 && ep.readable() > 0 {
		return 0, nil
	}
	if !peek {
		s.arrived.n.Store(0) // before the read: what comes during it counts
	}
	n, err := ep.read(dst, peek)
	if err == unix.EAGAIN && s.shut.read() {
		return 0, nil
	}
	return int64(n), s.told(err)
}

// Write implements vfs.File.
func (s *streamSocket) Write(src vfs.Src, _ int64) (int64, error) { return s.send(src, false) }

func (s *streamSocket) send(src vfs.Src, more bool) (int64, error) {
	ep := s.stream()
	if s.shut.write() {
		return 0, unix.EPIPE
	}
	defer s.stack.shortage.send(src.Len())()
	if s.stack.shortage.holds(s.wait) {
		return 0, unix.EAGAIN
	}
	n, err := ep.write(src, more)
	if err == unix.ENOTCONN {
		err = unix.EPIPE
	}
	return int64(n), s.told(err)
}

// Recv implements Socket.
func (s *streamSocket) Recv(dst vfs.Dst, m *Message) (int64, error) {
	flags := m.Flags
	m.Flags = 0
	switch {
	case flags&unix.MSG_OOB != 0:
		return 0, unix.EINVAL // there is never urgent data to fetch
	case flags&unix.MSG_ERRQUEUE != 0:
		return 0, unix.EAGAIN
	case flags&unix.MSG_TRUNC != 0: // throws the data away [tcp(7)]
		n, err := s.recv(&discard{n: dst.Len()}, flags&unix.MSG_PEEK != 0)
		return n, err
	}
	return s.recv(dst, flags&unix.MSG_PEEK != 0)
}

// discard is memory for n bytes that nobody wants.
type discard struct{ n int }

// Len implements vfs.Dst.
func (d *discard) Len() int { return d.n }

// Write implements vfs.Dst.
func (d *discard) Write(b []byte) (int, error) {
	n := min(len(b), d.n)
	d.n -= n
	if n < len(b) {
		return n, unix.EFAULT
	}
	return n, nil
}

// Send implements Socket. A destination is ignored, as is ancillary data that has no meaning for a stream.
func (s *streamSocket) Send(src vfs.Src, m *Message) (int64, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP // DEVIATION: no urgent data; a peer's stays in the stream, whatever SO_OOBINLINE says
	}
	if len(m.Addr) > 0 && s.stream().state() == streamEstablished && m.Flags&unix.MSG_FASTOPEN != 0 {
		return 0, unix.EISCONN
	}
	return s.send(src, m.Flags&unix.MSG_MORE != 0)
}

// Shutdown implements Socket.
func (s *streamSocket) Shutdown(how int) error {
	read, write, err := halves(how)
	if err != nil {
		return err
	}
	ep := s.stream()
	switch ep.state() {
	case streamInitial, streamDone, streamFailed:
		return unix.ENOTCONN
	case streamListening:
		if !read {
			return nil
		}
		// A listener becomes a socket that is only bound.
		s.mu.Lock()
		err := s.replaceLocked()
		s.mu.Unlock()
		s.wait.Notify(waiter.ReadableEvents | waiter.WritableEvents | waiter.EventHUp)
		return err
	}
	// With unread data the engine would reset a connection that is shut for both, before it is closed. Data that comes after
	// the end of reading resets it only if both halves are shut.
	both := (read || s.shut.read()) && (write || s.shut.write())
	if err := ep.shutdown(both && ep.readable() == 0, write); err != nil {
		return err
	}
	s.shut.set(how)
	s.wait.Notify(waiter.ReadableEvents | waiter.WritableEvents | waiter.EventHUp | waiter.EventRdHUp)
	return nil
}
