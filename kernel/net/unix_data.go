package net

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// Send implements Socket.
func (s *unixSocket) Send(src vfs.Src, m *Message) (int64, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP
	}
	if err := eachControl(m.Control, checkUnixControl); err != nil {
		return 0, err
	}
	to, name, err := s.destination(m.Addr)
	if err != nil {
		return 0, err
	}
	size := src.Len()
	if s.typ != unix.SOCK_STREAM && size > int(s.sendBuffer.Load())-unixSendReserve {
		return 0, unix.EMSGSIZE
	}
	for sent := 0; ; {
		n, err := to.push(s, src, name, size-sent, m)
		if err == unix.ECONNREFUSED {
			s.disconnect(to)
		}
		sent += n
		if err != nil {
			if sent > 0 {
				return int64(sent), nil
			}
			return 0, err
		}
		if sent >= size || s.typ != unix.SOCK_STREAM {
			return int64(sent), nil
		}
	}
}

// unixSendReserve is how much less than SO_SNDBUF a message may have, in bytes [unix_dgram_sendmsg].
const unixSendReserve = 32

// checkUnixControl refuses what means nothing. The files of SCM_RIGHTS come as Message.Files.
func checkUnixControl(level, kind int, data []byte) error {
	if level == unix.SOL_SOCKET && kind != unix.SCM_RIGHTS && (kind != unix.SCM_CREDENTIALS || len(data) != unix.SizeofUcred) {
		return unix.EINVAL
	}
	return nil
}

// destination finds whom a message goes to, and the name that it comes from.
func (s *unixSocket) destination(addr []byte) (to *unixSocket, from string, err error) {
	s.mu.Lock()
	peer, shut, state := s.peer, s.writeShut, s.state
	from = s.name
	s.mu.Unlock()
	if shut {
		return nil, "", unix.EPIPE
	}
	if s.connectionOriented() {
		if len(addr) > 0 && s.typ == unix.SOCK_STREAM {
			if state == unixConnected {
				return nil, "", unix.EISCONN
			}
			return nil, "", unix.EOPNOTSUPP
		}
		if peer == nil {
			return nil, "", unix.ENOTCONN
		}
		return peer, from, nil
	}
	if len(addr) > 0 {
		to, err := s.find(addr)
		return to, from, err
	}
	if peer == nil {
		return nil, "", unix.ENOTCONN
	}
	return peer, from, nil
}

// disconnect takes a datagram socket's peer away, which has been closed: that is told once [unix_dgram_sendmsg].
func (s *unixSocket) disconnect(peer *unixSocket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peer == peer {
		s.peer, s.peerName, s.state = nil, "", unixIdle
	}
}

// unixPiece is the most that one chunk of a stream holds, in bytes.
const unixPiece = 16 << 10

// push takes a message, or the next piece of a stream, from src into the receive queue of s.
func (s *unixSocket) push(sender *unixSocket, src vfs.Src, from string, size int, m *Message) (int, error) {
	if s.typ == unix.SOCK_STREAM {
		if size == 0 {
			return 0, nil
		}
		size = min(size, unixPiece)
	}
	cred := m.Sender
	if cred.PID == 0 { // DEVIATION: what write(2) sends comes from the process that has made or connected the socket
		cred = *sender.user.Load()
	}
	s.mu.Lock()
	switch {
	case s.state == unixClosed || s.readShut && !s.connectionOriented():
		closed := s.state == unixClosed
		s.mu.Unlock()
		if closed && !s.connectionOriented() {
			return 0, unix.ECONNREFUSED
		}
		return 0, unix.EPIPE
	case !s.connectionOriented() && s.peer != nil && s.peer != sender:
		s.mu.Unlock()
		return 0, unix.EPERM // a connected datagram socket hears its peer only
	case !s.hasRoomLocked(sender):
		s.mu.Unlock()
		return 0, unix.EAGAIN
	}
	s.mu.Unlock()
	data, err := s.stack.shortage.copy(src, size, sender.wait)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	if s.state == unixClosed {
		s.mu.Unlock()
		return 0, unix.EPIPE
	}
	if last := len(s.chunks) - 1; s.typ == unix.SOCK_STREAM && last >= 0 && len(m.Files) == 0 &&
		len(s.chunks[last].files) == 0 && s.chunks[last].cred == cred && len(s.chunks[last].data)+size <= unixPiece {
		s.chunks[last].data = append(s.chunks[last].data, data...)
		s.queued += size
	} else {
		s.chunks = append(s.chunks, unixChunk{data, from, m.Files, cred})
		m.Files = nil
		s.queued += size + unixChunkCost
	}
	s.mu.Unlock()
	s.wait.Notify(waiter.ReadableEvents)
	return size, nil
}

// Recv implements Socket.
func (s *unixSocket) Recv(dst vfs.Dst, m *Message) (int64, error) {
	flags := m.Flags
	m.Flags = 0
	if flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readableLocked(); err != nil || len(s.chunks) == 0 {
		return 0, err
	}
	c := s.chunks[0]
	if m.WantAddr && c.from != "" {
		m.Addr = appendUnixName(m.Addr, c.from)
	}
	if s.recall(unix.SOL_SOCKET, unix.SO_PASSCRED) != 0 {
		m.put(unix.SOL_SOCKET, unix.SCM_CREDENTIALS, c.cred.encode())
	}
	if s.typ == unix.SOCK_STREAM {
		return s.recvStreamLocked(dst, flags&unix.MSG_PEEK != 0, m)
	}
	n, err := dst.Write(c.data)
	if err != nil && dst.Len() > 0 {
		return 0, unix.EFAULT
	}
	if flags&unix.MSG_PEEK == 0 { // DEVIATION: a look at a message doesn't show its files
		m.Files = c.files
		s.popLocked()
	}
	if n < len(c.data) {
		m.Flags |= unix.MSG_TRUNC
		if flags&unix.MSG_TRUNC != 0 {
			n = len(c.data)
		}
	}
	return int64(n), nil
}

// readableLocked tells what a read of an empty queue says: nil with nothing queued is the end.
func (s *unixSocket) readableLocked() error {
	if s.connectionOriented() && s.state != unixConnected {
		if s.typ == unix.SOCK_SEQPACKET {
			return unix.ENOTCONN
		}
		return unix.EINVAL
	}
	if len(s.chunks) > 0 && (s.typ == unix.SOCK_STREAM || !s.reset) { // of packets the error goes first
		return nil
	}
	switch {
	case s.reset:
		s.reset = false
		return unix.ECONNRESET
	case s.eof || s.readShut:
		return nil
	}
	return unix.EAGAIN
}

// recvStreamLocked stores as much of the stream as dst takes. It stops behind a piece that came with files [unix(7)].
func (s *unixSocket) recvStreamLocked(dst vfs.Dst, peek bool, m *Message) (int64, error) {
	total := 0
	for i := 0; i < len(s.chunks) && dst.Len() > 0 && len(m.Files) == 0; {
		c := &s.chunks[i]
		n, err := dst.Write(c.data)
		if err != nil && dst.Len() > 0 {
			if total == 0 {
				return 0, unix.EFAULT
			}
			break
		}
		total += n
		if !peek {
			m.Files, c.files = c.files, nil
		}
		switch {
		case peek:
			i++
		case n == len(c.data):
			c.data = nil
			s.queued -= n
			s.popLocked()
		default:
			c.data = c.data[n:]
			s.queued -= n
		}
		if err != nil {
			break
		}
	}
	return int64(total), nil
}

// popLocked removes the first chunk and wakes whom it kept waiting. The queue's waiters may look at
// the socket only after mu is free, which is all they do: a notification only sets flags.
func (s *unixSocket) popLocked() {
	s.queued -= len(s.chunks[0].data) + unixChunkCost
	s.chunks[0] = unixChunk{}
	s.chunks = s.chunks[1:]
	var senders []*unixSocket
	for k := range s.blocked {
		if s.queued <= int(k.sendBuffer.Load())/2 {
			senders = append(senders, k)
			delete(s.blocked, k)
		}
	}
	if senders != nil {
		s.mu.Unlock()
		for _, k := range senders {
			k.wait.Notify(waiter.WritableEvents)
		}
		s.mu.Lock()
	}
}
