package net

import (
	"errors"
	"io"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
	"wick/vsock"
)

// vsockErrno is what Linux calls the end of a connection, or of an attempt to make one.
func vsockErrno(err error) error {
	switch {
	case errors.Is(err, vsock.ErrTimeout):
		return unix.ETIMEDOUT
	case errors.Is(err, vsock.ErrProtocol):
		return unix.EPROTO
	case errors.Is(err, vsock.ErrInUse):
		return unix.EADDRINUSE
	case errors.Is(err, vsock.ErrTooMany):
		return unix.ENOBUFS
	case errors.Is(err, vsock.ErrNotYet):
		return unix.ENOTCONN
	}
	return unix.ECONNRESET // that is also what a refusal is called
}

// lost tells whether a connection was lost. RST of the peer is no loss to Linux but the end of both directions.
func lost(err error) bool {
	return errors.Is(err, vsock.ErrTransport) || errors.Is(err, vsock.ErrProtocol)
}

// vsockEnd is how poll(2) shows that a connection is in another state.
const vsockEnd = waiter.ReadableEvents | waiter.WritableEvents | waiter.EventRdHUp | waiter.EventHUp | waiter.EventErr

// changed tells the socket's queue what is new with its connection, and no more than that: edge-triggered epoll shows
// each as an event.
func (s *vsockSocket) changed(c *vsock.Conn) {
	s.told.mu.Lock()
	now, before := c.Status(), s.told.status
	s.told.status = now
	s.told.mu.Unlock()
	var events waiter.EventMask
	if now.Received != before.Received {
		events |= waiter.ReadableEvents
	}
	if now.Writable && s.full.Swap(false) {
		events |= waiter.WritableEvents
	}
	if now.Established != before.Established || now.Over != before.Over || now.EOF != before.EOF || now.Broken != before.Broken {
		events |= vsockEnd
	}
	if events != 0 {
		s.wait.Notify(events)
	}
}

// Readiness implements waiter.Waitable: vsock_poll of Linux.
func (s *vsockSocket) Readiness(mask waiter.EventMask) waiter.EventMask {
	s.mu.Lock()
	s.settleLocked()
	state, c, waiting, err, failed := s.state, s.conn, len(s.backlog), s.err, s.failed
	s.mu.Unlock()
	var r waiter.EventMask
	switch state {
	case vsockIdle:
		r = waiter.WritableEvents
	case vsockListening:
		if waiting > 0 {
			r = waiter.ReadableEvents
		}
	case vsockConnected, vsockDisconnecting:
		r = s.connReadiness(c)
		if !failed && lost(c.Err()) {
			r |= waiter.EventErr
		}
	}
	if err != nil {
		r |= waiter.EventErr
	}
	return r & (mask | waiter.EventErr | waiter.EventHUp)
}

// connReadiness is Readiness of a connection.
func (s *vsockSocket) connReadiness(c *vsock.Conn) (r waiter.EventMask) {
	s.full.Store(true) // before the look: changed tells of room that comes after it
	status := c.Status()
	if status.EOF {
		r |= waiter.ReadableEvents | waiter.EventRdHUp
		if s.shut.write() {
			r |= waiter.EventHUp
		}
	}
	if status.Readable >= s.RecvLowat() {
		r |= waiter.ReadableEvents
	}
	if !s.shut.write() && (status.Broken || status.Writable && !s.stack.shortage.holds(s.wait)) {
		r |= waiter.WritableEvents
	}
	return r
}

// connected returns the connection of a socket that has one, unix.ENOTCONN if it hasn't.
func (s *vsockSocket) connected() (*vsock.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settleLocked(); s.state != vsockConnected && s.state != vsockDisconnecting {
		return nil, unix.ENOTCONN
	}
	return s.conn, nil
}

// takeError is SO_ERROR.
func (s *vsockSocket) takeError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked()
	err := s.err
	s.err = nil
	if err == nil && s.conn != nil && s.state != vsockConnecting && lost(s.conn.Err()) && !s.failed {
		s.failed = true
		err = unix.ECONNRESET
	}
	return err
}

// vsockPiece is how much is moved between a program's memory and a connection in one go, in bytes.
const vsockPiece = 64 << 10

var vsockPieces = sync.Pool{New: func() any { return new([vsockPiece]byte) }}

// Read implements vfs.File.
func (s *vsockSocket) Read(dst vfs.Dst, _ int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil
	}
	return s.recv(dst, false)
}

// Write implements vfs.File.
func (s *vsockSocket) Write(src vfs.Src, _ int64) (int64, error) { return s.Send(src, new(Message)) }

// Recv implements Socket.
func (s *vsockSocket) Recv(dst vfs.Dst, m *Message) (int64, error) {
	flags := m.Flags
	m.Flags = 0
	if flags&unix.MSG_ERRQUEUE != 0 {
		return 0, unix.EAGAIN
	}
	if flags&unix.MSG_OOB != 0 {
		if _, err := s.connected(); err != nil {
			return 0, err
		}
		return 0, unix.EOPNOTSUPP
	}
	return s.recv(dst, flags&unix.MSG_PEEK != 0)
}

func (s *vsockSocket) recv(dst vfs.Dst, peek bool) (total int64, err error) {
	c, err := s.connected()
	if err != nil {
		return 0, err
	}
	if s.shut.read() || dst.Len() == 0 {
		return 0, nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	bounce := vsockPieces.Get().(*[vsockPiece]byte)
	defer vsockPieces.Put(bounce)
	for dst.Len() > 0 {
		at := 0
		if peek {
			at = int(total)
		}
		n, err := c.Peek(bounce[:min(len(bounce), dst.Len())], at)
		if err != nil {
			return s.received(total, err)
		}
		n, err = dst.Write(bounce[:n])
		total += int64(n)
		if !peek {
			c.Discard(n)
		}
		if err != nil {
			return s.received(total, err)
		}
	}
	return total, nil
}

// received is what a read says that has moved so many bytes, and then met an error.
//
// DEVIATION: after the transport was reset all calls say unix.ECONNRESET, not only those that were waiting.
func (s *vsockSocket) received(total int64, err error) (int64, error) {
	switch {
	case total > 0:
		return total, nil
	case err == io.EOF, errors.Is(err, vsock.ErrReset):
		return 0, nil
	case err == vsock.ErrWait:
		return 0, unix.EAGAIN
	case lost(err):
		return 0, unix.ECONNRESET
	case errors.Is(err, vsock.ErrAborted): // closed by another thread
		return 0, nil
	}
	return 0, unix.EFAULT
}

// Send implements Socket. Ancillary data has no meaning.
func (s *vsockSocket) Send(src vfs.Src, m *Message) (int64, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP
	}
	c, err := s.connected()
	switch {
	case len(m.Addr) > 0 && err == nil && !s.shut.write() && !s.shut.read():
		return 0, unix.EISCONN
	case len(m.Addr) > 0:
		return 0, unix.EOPNOTSUPP
	case err != nil:
		return 0, err
	case s.shut.write():
		return 0, unix.EPIPE
	case !c.Status().Broken && s.stack.shortage.holds(s.wait): // one that is broken is told so, and gives its memory up
		return 0, unix.EAGAIN
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	bounce := vsockPieces.Get().(*[vsockPiece]byte)
	defer vsockPieces.Put(bounce)
	total := int64(0)
	for src.Len() > 0 {
		s.full.Store(true) // before the look: changed tells of room that comes after it
		n, err := c.Space()
		fetched := 0
		if err == nil {
			fetched, err = src.Read(bounce[:min(len(bounce), src.Len(), n)])
			if fetched == 0 {
				err = unix.EFAULT
			} else if n, err = c.Write(bounce[:fetched]); n > 0 {
				total += int64(n)
			}
		}
		if err != nil && total == 0 {
			return 0, sendErrno(err)
		}
		if err != nil || n < fetched { // the peer has made its buffer smaller meanwhile: the rest is to be fetched again
			break
		}
	}
	return total, nil
}

// sendErrno is what a write says that has moved nothing.
func sendErrno(err error) error {
	switch {
	case err == vsock.ErrWait:
		return unix.EAGAIN
	case err == unix.EFAULT:
		return err
	case lost(err):
		return unix.ECONNRESET
	}
	return unix.EPIPE
}
