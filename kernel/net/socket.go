package net

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"wick/kernel/vfs"
)

// Socket is a socket of any family, as a file. Like all files it never blocks: unix.EAGAIN (and unix.EINPROGRESS of
// Connect) say that the caller has to wait for the file's events.
type Socket interface {
	vfs.File
	vfs.Ioctler

	// Bind gives the socket the local address, a struct sockaddr.
	Bind(addr []byte) error
	// Connect connects to the address. unix.EINPROGRESS: it has begun; wait for waiter.EventOut, then ask FinishConnect.
	Connect(addr []byte) error
	// FinishConnect tells how a connection attempt has ended; unix.EAGAIN: not yet.
	FinishConnect() error
	Listen(backlog int) error
	// Accept takes the first connection that has come and appends its peer's struct sockaddr to dst. The peer may have closed or
	// reset the connection since: that is for the program to find out when it reads [accept(2)]. unix.EAGAIN: there is none.
	Accept(dst []byte) (s Socket, peer []byte, err error)
	// LocalAddr and PeerAddr append a struct sockaddr to dst.
	LocalAddr(dst []byte) ([]byte, error)
	PeerAddr(dst []byte) ([]byte, error)

	// Send sends the message's data from src. Recv stores received data in dst, and the result of the call
	// in m; it returns what recvmsg(2) returns.
	Send(src vfs.Src, m *Message) (int64, error)
	Recv(dst vfs.Dst, m *Message) (int64, error)

	// Shutdown shuts halves down: unix.SHUT_RD, SHUT_WR, SHUT_RDWR.
	Shutdown(how int) error

	SetOption(level, name int, value []byte) error
	// Option stores the value of an option in dst and returns its length, which may be less than the
	// caller asked for.
	Option(level, name int, dst []byte) (int, error)

	// Kind tells what socket(2) was told.
	Kind() (family, typ, protocol int)

	// RecvLowat is SO_RCVLOWAT of a stream, in bytes: what a read that may wait waits for, unless it asks for less. It is 1 of
	// other sockets.
	RecvLowat() int

	// RecvTimeout and SendTimeout are SO_RCVTIMEO and SO_SNDTIMEO; 0 is for ever.
	RecvTimeout() time.Duration
	SendTimeout() time.Duration
}

// Message is what goes with the data of a Send or Recv.
type Message struct {
	// Flags are MSG_ flags of the call; after Recv they are the msg_flags of the message.
	Flags int
	// Addr is the destination of a Send, if not empty. Recv appends the source to it, if WantAddr.
	Addr     []byte
	WantAddr bool
	// Files are passed along (SCM_RIGHTS), with a reference each: a Send takes them, and leaves nil, if it succeeds; after
	// a Recv they are the caller's.
	Files []*vfs.OpenFile
	// Control is the ancillary data of a Send (cmsg(3)). Recv appends to it, at most up to its capacity.
	Control []byte
	// Sender is the process that sends, for SCM_CREDENTIALS.
	Sender Ucred
}

// base is what all sockets share.
type base struct {
	stack         *Stack
	family        int
	typ           int
	protocol      int
	inode         uint64
	rcvTimeoutNS  atomic.Int64
	sndTimeoutNS  atomic.Int64
	rcvLowat      atomic.Int32 // SO_RCVLOWAT, 0: 1
	timestamp     atomic.Int32 // SO_TIMESTAMP or SO_TIMESTAMPNS, 0: off
	passedOptions              // options that are stored and given back, but change nothing
}

// init registers a socket with the stack.
func (b *base) init(s *Stack, family, typ, protocol int) error {
	if s.open.Add(1) > int64(s.options.MaxSockets) || s.shortage.lasts() {
		s.open.Add(-1)
		return unix.ENFILE
	}
	b.stack, b.family, b.typ, b.protocol, b.inode = s, family, typ, protocol, s.inodes.Add(1)
	return nil
}

// closed unregisters the socket.
func (b *base) closed() { b.stack.open.Add(-1) }

// Kind implements Socket.
func (b *base) Kind() (family, typ, protocol int) { return b.family, b.typ, b.protocol }

// RecvLowat implements Socket. Linux stores the option for datagrams too, which have no use for it.
func (b *base) RecvLowat() int {
	if b.typ != unix.SOCK_STREAM {
		return 1
	}
	return int(max(b.rcvLowat.Load(), 1))
}

// RecvTimeout implements Socket.
func (b *base) RecvTimeout() time.Duration { return time.Duration(b.rcvTimeoutNS.Load()) }

// SendTimeout implements Socket.
func (b *base) SendTimeout() time.Duration { return time.Duration(b.sndTimeoutNS.Load()) }

// Stat implements vfs.File.
func (b *base) Stat() (unix.Stat_t, error) {
	return unix.Stat_t{Mode: unix.S_IFSOCK | 0777, Ino: b.inode, Nlink: 1, Blksize: 4096}, nil
}
