package linux

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/mm"
	"wick/kernel/net"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// sendto is sendto(2): fd, buffer, length, flags, address, its length.
func (c *Call) sendto() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.memory(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	m := &c.sock.message
	*m = net.Message{Sender: c.sender()}
	if c.Args[4] != 0 {
		if m.Addr, err = c.sockaddr(c.Args[4], c.Args[5]); err != nil {
			return 0, err
		}
	}
	return c.send(o, s, b, int(int32(c.Args[3])))
}

// send sends b with the thread's message. It waits until everything is sent, unless it may not wait.
func (c *Call) send(o *vfs.OpenFile, s net.Socket, b *mm.Buffer, flags int) (uint64, error) {
	m := &c.sock.message
	m.Flags = flags
	total, err := sendSome(s, b, m)
	if err == unix.EAGAIN && flags&unix.MSG_DONTWAIT == 0 && !o.Nonblock() {
		limit := s.SendTimeout()
		err = vfs.Wait(c.Thread, s, waiter.WritableEvents, c.until(limit), func() error {
			n, err := sendSome(s, b, m)
			total += n
			return err
		})
		err = waitError(err, limit)
	}
	if total > 0 {
		return total, nil
	}
	if err == unix.EPIPE && flags&unix.MSG_NOSIGNAL == 0 {
		if _, typ, _ := s.Kind(); typ != unix.SOCK_DGRAM {
			// A signal that is pending already, or ignored, is no error.
			_ = c.Thread.SendInfo(task.Info{Signo: int32(unix.SIGPIPE), Code: task.SiUser})
		}
	}
	return 0, err
}

// sendSome sends as much of b as goes without waiting; what is left in b is not sent. The error
// tells why that isn't everything.
func sendSome(s net.Socket, b *mm.Buffer, m *net.Message) (total uint64, err error) {
	for {
		start := *b
		n, err := s.Send(b, m)
		if int64(start.Len()-b.Len()) != n { // a file may fetch more than it takes
			*b = start
			b.Skip(int(n))
		}
		total += uint64(n)
		if err != nil || n == 0 || b.Len() == 0 {
			return total, err
		}
	}
}

// recvfrom is recvfrom(2): fd, buffer, length, flags, address, its length.
func (c *Call) recvfrom() (uint64, error) {
	o, s, err := c.socket()
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.memory(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	m := &c.sock.message
	*m = net.Message{WantAddr: c.Args[4] != 0, Addr: c.sock.addr[:0]}
	n, err := c.recv(o, s, b, int(int32(c.Args[3])))
	releaseAll(m) // nobody asked for files
	if err != nil || c.Args[4] == 0 {
		return n, err
	}
	return n, c.putSockaddr(c.Args[4], c.Args[5], m.Addr)
}

// recv receives into b and the thread's message, waiting for something unless it may not wait; a stream is waited for until
// there is as much as SO_RCVLOWAT says, or, with MSG_WAITALL, until b is full.
//
// DEVIATION: MSG_TRUNC of TCP, and MSG_PEEK of other streams, are satisfied with less.
func (c *Call) recv(o *vfs.OpenFile, s net.Socket, b *mm.Buffer, flags int) (uint64, error) {
	const notAll = unix.MSG_PEEK | unix.MSG_TRUNC | unix.MSG_OOB | unix.MSG_ERRQUEUE
	m := &c.sock.message
	family, typ, _ := s.Kind()
	least, room, some := 1, b.Len(), recvSome
	peeks := typ == unix.SOCK_STREAM && flags&notAll == unix.MSG_PEEK && (family == unix.AF_INET || family == unix.AF_INET6)
	if peeks {
		some = peekSome
	}
	if typ == unix.SOCK_STREAM && flags&notAll == 0 || peeks {
		least = b.Len()
		if flags&unix.MSG_WAITALL == 0 {
			least = min(least, s.RecvLowat())
		}
	}
	var total uint64
	err := some(s, b, m, flags, least, &total)
	if err == unix.EAGAIN && flags&(unix.MSG_DONTWAIT|unix.MSG_ERRQUEUE) == 0 && !o.Nonblock() {
		limit := s.RecvTimeout()
		err = vfs.Wait(c.Thread, s, waiter.ReadableEvents, c.until(limit), func() error {
			return some(s, b, m, flags, least, &total)
		})
		if room == 0 && err != nil && typ == unix.SOCK_STREAM && family != unix.AF_UNIX && family != unix.AF_VSOCK {
			err = nil // tcp_recvmsg waits once for nothing, however the wait ends
		}
		err = waitError(err, limit)
	}
	if total > 0 {
		return total, nil
	}
	return 0, err
}

// recvSome receives until total is at least least, or the stream at its end. An error that comes after data is left for
// the next call to tell.
func recvSome(s net.Socket, b *mm.Buffer, m *net.Message, flags, least int, total *uint64) error {
	for {
		if *total > 0 && s.Readiness(waiter.EventErr)&waiter.EventErr != 0 {
			return nil
		}
		m.Flags = flags
		n, err := s.Recv(b, m)
		*total += uint64(n)
		if err != nil || n == 0 || *total >= uint64(least) {
			return err
		}
	}
}

// peekSome is recvSome for MSG_PEEK, which begins anew each time.
func peekSome(s net.Socket, b *mm.Buffer, m *net.Message, flags, least int, total *uint64) error {
	const ended = waiter.EventErr | waiter.EventRdHUp
	start, last := *b, s.Readiness(ended)&ended != 0 // what comes before the end is seen by the look after it
	m.Flags = flags
	n, err := s.Recv(b, m)
	*total = uint64(n)
	if err == nil && n > 0 && n < int64(least) && !last {
		*b = start
		err = unix.EAGAIN
	}
	return err
}
