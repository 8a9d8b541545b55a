package net

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// unixSocket is an AF_UNIX socket [unix(7)]: stream, datagram or sequenced packets, in the kernel's memory.
//
// A path leads to a node of the tree, and that to the socket; an abstract name leads to it directly.
// DEVIATION: sockets that are on their way to each other, and to nobody else, are never given back.
//
// Lock order: unixNames.mu, then unixSocket.mu of one socket at a time; of two only with unixNames.mu.
type unixSocket struct {
	base
	wait *waiter.Queue

	paths *vfs.Paths            // of the process that made the socket: where paths lead from, and who asks; nil: nowhere
	umask func() uint32         // of new nodes
	user  atomic.Pointer[Ucred] // process that made the socket, or has connected it or had it listen

	sendBuffer atomic.Int32 // SO_SNDBUF: how much may wait for a reader when we send, and how long our messages may be, in bytes

	mu        sync.Mutex
	key       any                      // guarded by mu, as all below: the name that the socket is bound to, a string or a vfs.Node
	name      string                   // as the address tells it
	state     unixState                //
	peer      *unixSocket              // whom we send to; a stream's is also whom we hear from
	peerName  string                   // survives the peer
	peerCred  Ucred                    // of a connection's other end, as it was when it was made
	backlog   []*unixSocket            // connections to accept
	maxQueue  int                      // of backlog
	chunks    []unixChunk              // what has come
	queued    int                      // bytes in chunks, with overhead
	readShut  bool                     // nothing more is taken in
	writeShut bool                     // nothing more is sent
	eof       bool                     // the peer sends nothing more
	reset     bool                     // the peer was closed with unread data
	blocked   map[*unixSocket]struct{} // senders that found us full
}

type unixState int

const (
	unixIdle unixState = iota
	unixListening
	unixConnected
	unixClosed
)

// unixChunk is a message, or a piece of a stream.
type unixChunk struct {
	data  []byte
	from  string
	files []*vfs.OpenFile // SCM_RIGHTS
	cred  Ucred           // of the sender
}

// unixChunkCost is what a chunk costs besides its data, in bytes.
const unixChunkCost = 64

// unixNames are the bound addresses.
type unixNames struct {
	mu     sync.Mutex
	bound  map[any]*unixSocket // guarded by mu; by abstract name or node
	chosen uint32              // guarded by mu: of the names that autobind gives

	passed passedFiles
}

func (s *Stack) newUnix(typ, protocol int) (Socket, error) {
	k, err := s.makeUnix(typ, protocol)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (s *Stack) makeUnix(typ, protocol int) (*unixSocket, error) {
	if protocol != 0 && protocol != unix.AF_UNIX {
		return nil, unix.EPROTONOSUPPORT
	}
	switch typ {
	case unix.SOCK_RAW: // compatibility [unix_create]
		typ = unix.SOCK_DGRAM
	case unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET:
	default:
		return nil, unix.ESOCKTNOSUPPORT
	}
	u := &unixSocket{wait: newQueue()}
	u.user.Store(new(Ucred))
	u.sendBuffer.Store(defaultDatagramBuffer)
	if err := u.init(s, unix.AF_UNIX, typ, 0); err != nil {
		return nil, err
	}
	return u, nil
}

// newUnixPair makes two connected sockets.
func (s *Stack) newUnixPair(typ, protocol int) (Socket, Socket, error) {
	a, err := s.makeUnix(typ, protocol)
	if err != nil {
		return nil, nil, err
	}
	b, err := s.makeUnix(typ, protocol)
	if err != nil {
		a.Close()
		return nil, nil, err
	}
	a.peer, b.peer = b, a
	a.state, b.state = unixConnected, unixConnected
	return a, b, nil
}

// connectionOriented tells whether the socket listens and accepts.
func (s *unixSocket) connectionOriented() bool { return s.typ != unix.SOCK_DGRAM }

// EventRegister implements waiter.Waitable.
func (s *unixSocket) EventRegister(e *waiter.Entry) error {
	s.wait.EventRegister(e)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (s *unixSocket) EventUnregister(e *waiter.Entry) { s.wait.EventUnregister(e) }

// Readiness implements waiter.Waitable.
func (s *unixSocket) Readiness(mask waiter.EventMask) waiter.EventMask {
	s.mu.Lock()
	peer := s.peer
	var r waiter.EventMask
	if len(s.chunks) > 0 || len(s.backlog) > 0 || s.readShut || s.eof || s.reset {
		r |= waiter.ReadableEvents
	}
	if s.readShut || s.eof {
		r |= waiter.EventRdHUp
		if s.writeShut || s.eof && s.peer == nil {
			r |= waiter.EventHUp
		}
	}
	if s.reset {
		r |= waiter.EventErr
	}
	writable := s.writeShut || s.state != unixListening
	if s.connectionOriented() && s.state == unixIdle {
		r |= waiter.EventHUp
	}
	s.mu.Unlock()
	if writable && (peer == nil || peer.hasRoom(s) && !s.stack.shortage.holds(s.wait)) {
		r |= waiter.WritableEvents
	}
	return r & (mask | waiter.EventErr | waiter.EventHUp)
}

// hasRoom tells whether a message from a sender finds room; if not, the sender is told later.
func (s *unixSocket) hasRoom(sender *unixSocket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasRoomLocked(sender)
}

func (s *unixSocket) hasRoomLocked(sender *unixSocket) bool {
	if s.queued < int(sender.sendBuffer.Load()) || s.state == unixClosed || s.readShut {
		return true
	}
	if s.blocked == nil {
		s.blocked = make(map[*unixSocket]struct{})
	}
	s.blocked[sender] = struct{}{}
	return false
}

// wakeBlocked wakes the senders that found the socket full, who are given by takeBlockedLocked.
func wakeBlocked(senders map[*unixSocket]struct{}) {
	for k := range senders {
		k.wait.Notify(waiter.WritableEvents)
	}
}

func (s *unixSocket) takeBlockedLocked() map[*unixSocket]struct{} {
	b := s.blocked
	s.blocked = nil
	return b
}

// Close implements vfs.File.
func (s *unixSocket) Close() error {
	s.end(true)
	return nil
}

// end closes the socket. One that nobody has accepted is reset [unix_release_sock].
func (s *unixSocket) end(accepted bool) {
	names := &s.stack.unix
	names.mu.Lock()
	s.mu.Lock()
	if names.bound[s.key] == s {
		delete(names.bound, s.key)
	}
	peer, backlog, chunks := s.peer, s.backlog, s.chunks
	blocked := s.takeBlockedLocked()
	s.state, s.peer, s.backlog, s.chunks, s.queued = unixClosed, nil, nil, nil, 0
	s.mu.Unlock()
	names.mu.Unlock()
	wakeBlocked(blocked)
	if peer != nil && s.connectionOriented() {
		peer.peerClosed(s, len(chunks) > 0 || !accepted)
	}
	for _, c := range chunks {
		names.passed.release(c.files)
	}
	for _, k := range backlog {
		k.end(false)
	}
	s.closed()
}

// UsePaths gives AF_UNIX sockets the file system that their paths are of, and the umask of new nodes.
func (s *unixSocket) UsePaths(p *vfs.Paths, umask func() uint32) { s.paths, s.umask = p, umask }

// PathUser is implemented by sockets whose addresses can be paths. Whoever makes one calls UsePaths and UsedBy.
type PathUser interface {
	UsePaths(p *vfs.Paths, umask func() uint32)
	// UsedBy tells which process makes a pair, connects the socket, or has it listen: SO_PEERCRED tells the other end.
	UsedBy(who Ucred)
}

// UsedBy implements PathUser.
func (s *unixSocket) UsedBy(who Ucred) {
	s.user.Store(&who)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == unixConnected && s.peerCred.PID == 0 {
		s.peerCred = who // a pair
	}
}

// passedFiles gives up files that lie in sockets which have been closed. Among them may be such sockets again, and so on: they are
// closed one after the other, not each within the other's close.
type passedFiles struct {
	mu        sync.Mutex
	files     []*vfs.OpenFile // guarded by mu: to be given up
	releasing bool            // guarded by mu: somebody does so
}

func (p *passedFiles) release(files []*vfs.OpenFile) {
	if len(files) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files = append(p.files, files...)
	if p.releasing {
		return
	}
	p.releasing = true
	for n := len(p.files); n > 0; n = len(p.files) {
		f := p.files[n-1]
		p.files = p.files[:n-1]
		p.mu.Unlock()
		f.Release()
		p.mu.Lock()
	}
	p.files, p.releasing = nil, false
}

// releaseFiles gives up files that were passed and nobody has taken.
func releaseFiles(files []*vfs.OpenFile) {
	for _, f := range files {
		f.Release()
	}
}

// peerClosed is told that the other end is gone.
func (s *unixSocket) peerClosed(peer *unixSocket, reset bool) {
	s.mu.Lock()
	if s.peer == peer {
		s.peer = nil
		s.eof = true
		s.writeShut = true
		s.reset = s.reset || reset
	}
	s.mu.Unlock()
	s.wait.Notify(waiter.AllEvents)
}

// Shutdown implements Socket.
func (s *unixSocket) Shutdown(how int) error {
	read, write, err := halves(how)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.readShut = s.readShut || read
	s.writeShut = s.writeShut || write
	peer := s.peer
	blocked := s.takeBlockedLocked()
	s.mu.Unlock()
	wakeBlocked(blocked)
	s.wait.Notify(waiter.AllEvents)
	if peer != nil && s.connectionOriented() {
		peer.mu.Lock()
		peer.eof = peer.eof || write
		peer.writeShut = peer.writeShut || read
		peer.mu.Unlock()
		peer.wait.Notify(waiter.AllEvents)
	}
	return nil
}

// Read implements vfs.File.
func (s *unixSocket) Read(dst vfs.Dst, _ int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil
	}
	var m Message
	n, err := s.Recv(dst, &m)
	releaseFiles(m.Files) // nobody asked for them
	return n, err
}

// Write implements vfs.File.
func (s *unixSocket) Write(src vfs.Src, _ int64) (int64, error) {
	var m Message
	return s.Send(src, &m)
}

// Ioctl implements vfs.Ioctler.
func (s *unixSocket) Ioctl(mem vfs.Memory, cmd, arg uint64) (uint64, error) {
	if cmd == fionread {
		s.mu.Lock()
		n := 0
		for i, c := range s.chunks {
			if i == 0 || s.connectionOriented() {
				n += len(c.data)
			}
		}
		listening := s.state == unixListening
		s.mu.Unlock()
		if listening {
			return 0, unix.EINVAL
		}
		return 0, putWord(mem, arg, n)
	}
	return s.ioctl(mem, cmd, arg)
}
