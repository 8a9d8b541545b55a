package vsockhost

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"wick/vsock"
)

// socket is a stream socket of the host: *net.UnixConn or *net.TCPConn.
type socket interface {
	net.Conn
	syscall.Conn
	CloseRead() error
	CloseWrite() error
}

// bufferSize is how much is moved at a time, in bytes.
const bufferSize = 64 << 10

// buffers are taken only for the moment of moving: connections on which nothing happens hold none.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// relay connects a vsock connection with a socket of the host until both are over. Each direction ends by itself:
//
//	guest                       host
//	SHUTDOWN, send          ->  shutdown(SHUT_WR)
//	SHUTDOWN, receive       ->  shutdown(SHUT_RD)
//	SHUTDOWN, send          <-  end of file
//	SHUTDOWN, receive       <-  EPIPE, or the socket is closed on the other side, which poll(2) calls a hang-up
//	RST                    <->  RST, if the socket is TCP's; else the end
//
// Neither direction takes more than the other side has room for, and none waits for the other.
type relay struct {
	conn *vsock.Conn
	sock socket
	raw  syscall.RawConn

	changed [3]chan struct{} // of conn, for each goroutine

	read chan struct{} // closed when the socket has no more for the guest
}

// waiters of a relay
const (
	byRun = iota
	byToSocket
	byToGuest
)

// run moves data until the end. What is in first has been read from the socket before.
func run(conn *vsock.Conn, sock socket, first []byte) {
	r := &relay{conn: conn, sock: sock, read: make(chan struct{})}
	var err error
	if r.raw, err = sock.SyscallConn(); err != nil { // it is closed
		conn.Reset()
		return
	}
	for i := range r.changed {
		r.changed[i] = make(chan struct{}, 1)
	}
	conn.Notify(r.notify)

	var done sync.WaitGroup
	written := make(chan struct{})
	done.Go(func() {
		r.toSocket()
		close(written)
	})
	done.Go(func() { r.toGuest(first) })

	for read := r.read; written != nil || read != nil; {
		select {
		case <-r.changed[byRun]:
			if conn.Status().Broken {
				sock.CloseRead() // there is nobody to read for
			}
		case <-written:
			written = nil
		case <-read:
			read = nil
		}
	}
	if conn.Err() == nil {
		conn.Close()
	} else if tcp, ok := sock.(*net.TCPConn); ok {
		tcp.SetLinger(0) // RST for RST
	}
	sock.Close() // and toGuest does not wait for a hang-up any more
	done.Wait()
}

// notify is the hook of the connection.
func (r *relay) notify() {
	for _, c := range r.changed {
		poke(c)
	}
}

// toSocket moves what the guest sends.
func (r *relay) toSocket() {
	for {
		var err error
		broken := r.raw.Write(func(fd uintptr) bool {
			b := buffers.Get().(*[bufferSize]byte)
			defer buffers.Put(b)
			var n int
			if n, err = r.conn.Peek(b[:], 0); n == 0 {
				return true
			}
			n, err = unix.SendmsgN(int(fd), b[:n], nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			if err == unix.EAGAIN {
				return false
			}
			r.conn.Discard(max(n, 0))
			return true
		})
		switch {
		case broken != nil:
			return
		case err == nil, err == unix.EINTR:
		case err == vsock.ErrWait:
			<-r.changed[byToSocket]
		case errors.As(err, new(unix.Errno)):
			r.failed(err, vsock.ShutReceive)
			return
		default: // the end, or a reset
			r.sock.CloseWrite()
			return
		}
	}
}

// toGuest moves what the socket has for the guest, then waits for the socket to be closed on the other side.
func (r *relay) toGuest(first []byte) {
	err := r.write(first)
	for err == nil {
		err = r.readOnce()
	}
	switch {
	case err == errEOF:
		r.conn.Shutdown(vsock.ShutSend)
	case errors.As(err, new(unix.Errno)):
		r.failed(err, vsock.ShutBoth)
	default: // the guest does not read, or is gone
		r.sock.CloseRead()
		r.raw.Read(discard)
	}
	close(r.read)
	// Who has closed his socket will not read either, which the guest should know though it sends nothing.
	if r.raw.Read(hungUp) == nil {
		r.conn.Shutdown(vsock.ShutBoth)
	}
}

// failed handles an error of the socket. Of TCP it is a reset, unless it only says that nobody reads. A Unix-domain socket
// has one, ECONNRESET, if it was closed before everything was read: what it has sent before is good.
func (r *relay) failed(err error, flags uint32) {
	if _, tcp := r.sock.(*net.TCPConn); tcp && err != unix.EPIPE {
		r.conn.Reset()
	} else {
		r.conn.Shutdown(flags)
	}
}

var errEOF = errors.New("end of file")

// readOnce moves as much as is there and the guest has room for.
func (r *relay) readOnce() error {
	space, err := r.conn.Space()
	if err == vsock.ErrWait {
		<-r.changed[byToGuest]
		return nil
	}
	if err != nil {
		return err
	}
	var n int
	broken := r.raw.Read(func(fd uintptr) bool {
		b := buffers.Get().(*[bufferSize]byte)
		defer buffers.Put(b)
		n, err = unix.Read(int(fd), b[:min(space, bufferSize)])
		if err == unix.EAGAIN {
			return false
		}
		if n > 0 {
			err = r.write(b[:n])
		}
		return true
	})
	switch {
	case broken != nil:
		return broken
	case err == unix.EINTR:
		return nil
	case err == nil && n == 0:
		return errEOF
	}
	return err
}

// write writes all of p, which waits only if the guest has taken room back.
func (r *relay) write(p []byte) error {
	for len(p) > 0 {
		n, err := r.conn.Write(p)
		p = p[n:]
		if err == vsock.ErrWait {
			<-r.changed[byToGuest]
		} else if err != nil {
			return err
		}
	}
	return nil
}

// discard throws away what a socket has that was shut down for reading. Until then whoever waits for room to write, by
// poll(2), is not told that nobody reads.
func discard(fd uintptr) bool {
	b := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(b)
	for {
		if n, err := unix.Read(int(fd), b[:]); n <= 0 && err != unix.EINTR {
			return true
		}
	}
}

// hungUp tells whether both directions of a socket have been ended by the other side.
func hungUp(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	unix.Poll(p, 0)
	return p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}
