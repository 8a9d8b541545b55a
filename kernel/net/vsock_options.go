package net

import (
	"encoding/binary"
	"math"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// solVsock is SOL_VSOCK, the level of the options since Linux 6.7; AF_VSOCK, which was it before, still is.
const solVsock = 287

// SetOption implements Socket.
func (s *vsockSocket) SetOption(level, name int, v []byte) error {
	switch level {
	case unix.SOL_SOCKET:
		return s.setSocketOption(name, v)
	case unix.AF_VSOCK, solVsock:
	default:
		return unix.ENOPROTOOPT
	}
	switch name {
	case unix.SO_VM_SOCKETS_BUFFER_SIZE, unix.SO_VM_SOCKETS_BUFFER_MIN_SIZE, unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE:
		if len(v) < 8 {
			return unix.EINVAL
		}
		s.setBuffer(name, binary.NativeEndian.Uint64(v))
		return nil
	case unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW:
		if len(v) < 16 {
			return unix.EINVAL
		}
		sec, usec := int64(binary.NativeEndian.Uint64(v)), int64(binary.NativeEndian.Uint64(v[8:]))
		if sec < 0 || usec < 0 || usec >= 1e6 || sec >= math.MaxInt64/int64(time.Second) {
			return unix.ERANGE
		}
		d := time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond
		if d == 0 {
			d = defaultVsockConnect
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.connectTimeout = d
		return nil
	}
	return unix.ENOPROTOOPT
}

// setBuffer sets the size of the receive buffer or one of its bounds. If they contradict each other the upper one wins.
func (s *vsockSocket) setBuffer(name int, v uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case unix.SO_VM_SOCKETS_BUFFER_MIN_SIZE:
		s.bufferLeast = v
	case unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE:
		s.bufferMost = v
	default:
		s.buffer = v
	}
	s.buffer = min(max(s.buffer, s.bufferLeast), s.bufferMost)
	if s.conn != nil {
		s.conn.SetBufAlloc(s.bufAllocLocked())
	}
}

// bufAllocLocked is what a peer is told of the buffer.
//
// DEVIATION: what the kernel keeps is bounded by Options.MaxBuffer, whatever the option says.
func (s *vsockSocket) bufAllocLocked() uint32 {
	return uint32(min(s.buffer, uint64(s.stack.options.MaxBuffer), math.MaxUint32))
}

// setRecvLowat is SO_RCVLOWAT, which can't be more than the peer may send [vsock_set_rcvlowat].
func (s *vsockSocket) setRecvLowat(n int) error {
	s.mu.Lock()
	most := int(s.bufAllocLocked())
	s.mu.Unlock()
	if n > most {
		return unix.EINVAL
	}
	s.rcvLowat.Store(int32(n))
	s.wait.Notify(waiter.ReadableEvents)
	return nil
}

func (s *vsockSocket) setSocketOption(name int, v []byte) error {
	if i, err := intOption(v); name == unix.SO_RCVLOWAT && err == nil {
		return s.setRecvLowat(lowat(i))
	}
	if ok, err := s.setCommon(name, v); ok {
		return err
	}
	i, err := intOption(v)
	if err != nil {
		return err
	}
	switch name {
	case unix.SO_LINGER:
		return s.keepLinger(v)
	case unix.SO_RCVBUF, unix.SO_RCVBUFFORCE: // without effect, as on Linux: the buffer has options of its own
		return s.keep(unix.SOL_SOCKET, unix.SO_RCVBUF, bufferSize(i, s.stack.options.MaxBuffer, minSendBuffer, name == unix.SO_RCVBUFFORCE))
	case unix.SO_SNDBUF, unix.SO_SNDBUFFORCE:
		return s.keep(unix.SOL_SOCKET, unix.SO_SNDBUF, bufferSize(i, s.stack.options.MaxBuffer, minSendBuffer, name == unix.SO_SNDBUFFORCE))
	case unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_TIMESTAMP_OLD, unix.SO_TIMESTAMPNS_OLD:
		return s.keep(unix.SOL_SOCKET, name, boolOption(i != 0))
	}
	return unix.ENOPROTOOPT
}

// Option implements Socket.
func (s *vsockSocket) Option(level, name int, dst []byte) (int, error) {
	switch level {
	case unix.SOL_SOCKET:
		return s.socketOption(name, dst)
	case unix.AF_VSOCK, solVsock:
	default:
		return 0, unix.ENOPROTOOPT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var v uint64
	switch name {
	case unix.SO_VM_SOCKETS_BUFFER_SIZE:
		v = s.buffer
	case unix.SO_VM_SOCKETS_BUFFER_MIN_SIZE:
		v = s.bufferLeast
	case unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE:
		v = s.bufferMost
	case unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW:
		if len(dst) < 16 {
			return 0, unix.EINVAL
		}
		return putTimeval(dst, s.connectTimeout)
	default:
		return 0, unix.ENOPROTOOPT
	}
	if len(dst) < 8 {
		return 0, unix.EINVAL
	}
	binary.NativeEndian.PutUint64(dst, v)
	return 8, nil
}

func (s *vsockSocket) socketOption(name int, dst []byte) (int, error) {
	if n, ok, err := s.common(name, dst); ok {
		return n, err
	}
	switch name {
	case unix.SO_ERROR:
		return putErrno(dst, s.takeError())
	case unix.SO_ACCEPTCONN:
		s.mu.Lock()
		defer s.mu.Unlock()
		return putInt(dst, boolOption(s.state == vsockListening))
	case unix.SO_LINGER:
		return s.putLinger(dst)
	case unix.SO_RCVBUF, unix.SO_SNDBUF:
		if v := s.recall(unix.SOL_SOCKET, name); v != 0 {
			return putInt(dst, v)
		}
		return putInt(dst, defaultDatagramBuffer)
	case unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_TIMESTAMP_OLD, unix.SO_TIMESTAMPNS_OLD:
		return putInt(dst, s.recall(unix.SOL_SOCKET, name))
	}
	return 0, unix.ENOPROTOOPT
}
