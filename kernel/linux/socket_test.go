package linux

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/net"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// newSocketProgram is a program on a machine with a loopback interface.
func newSocketProgram(tb testing.TB) *fileProgram {
	p := newFileProgram(tb)
	stack, err := net.New(net.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(stack.Close)
	p.proc.Kernel.Net = stack
	return p
}

// sockaddrIn is a struct sockaddr_in of the loopback.
func sockaddrIn(port uint16) string {
	b := binary.NativeEndian.AppendUint16(nil, unix.AF_INET)
	b = binary.BigEndian.AppendUint16(b, port)
	return string(append(append(b, netip.AddrFrom4([4]byte{127, 0, 0, 1}).AsSlice()...), make([]byte, 8)...))
}

const anyPortAt = dataAt + 0x6000 // where the tests keep addresses

func TestSocketCalls(t *testing.T) {
	p := newSocketProgram(t)
	sa := p.str(sockaddrIn(80))
	p.returns(unix.EINVAL, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|0x100, 0)
	p.returns(unix.EAFNOSUPPORT, unix.SYS_SOCKET, 99, unix.SOCK_STREAM, 0)
	p.returns(0, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	p.returns(unix.FD_CLOEXEC, unix.SYS_FCNTL, 0, unix.F_GETFD)
	p.returns(unix.O_RDWR|unix.O_NONBLOCK, unix.SYS_FCNTL, 0, unix.F_GETFL)
	p.open(1, "/f", unix.O_RDONLY)
	for _, call := range []int{unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_CONNECT, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
		unix.SYS_SHUTDOWN, unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_SENDMMSG, unix.SYS_RECVMMSG,
		unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKOPT} {
		p.returns(unix.ENOTSOCK, call, 1, bad, 0, 0, 0, 0)
		p.returns(unix.EBADF, call, 77, bad, 0, 0, 0, 0)
	}
	for _, call := range []int{unix.SYS_BIND, unix.SYS_CONNECT} {
		p.returns(unix.EINVAL, call, 0, sa, minus1)
		p.returns(unix.EINVAL, call, 0, sa, 129)
		p.returns(unix.EINVAL, call, 0, sa, 15)
		p.returns(unix.EFAULT, call, 0, bad, 16)
	}
	p.returns(0, unix.SYS_BIND, 0, sa, 16)
	p.returns(0, unix.SYS_LISTEN, 0, 5)
	p.returns(unix.EAGAIN, unix.SYS_ACCEPT, 0, 0, 0)
	p.returns(unix.EINVAL, unix.SYS_ACCEPT4, 0, 0, 0, 1)
	// The length is the room, then what the address needs.
	p.store(dataAt, 100)
	p.returns(0, unix.SYS_GETSOCKNAME, 0, anyPortAt, dataAt)
	p.holds(anyPortAt, sockaddrIn(80))
	p.holds(dataAt, "\x10\x00\x00\x00")
	p.store(dataAt, 6)
	p.store(anyPortAt, 0, 0)
	p.returns(0, unix.SYS_GETSOCKNAME, 0, anyPortAt, dataAt)
	p.holds(anyPortAt, sockaddrIn(80)[:6]+"\x00\x00")
	p.holds(dataAt, "\x10\x00\x00\x00")
	p.store(dataAt, 0xffffffff)
	p.returns(unix.EINVAL, unix.SYS_GETSOCKNAME, 0, anyPortAt, dataAt)
	p.returns(unix.EFAULT, unix.SYS_GETSOCKNAME, 0, anyPortAt, bad)
	p.store(dataAt, 16)
	p.returns(unix.EFAULT, unix.SYS_GETSOCKNAME, 0, bad, dataAt)
	p.returns(unix.ENOTCONN, unix.SYS_GETPEERNAME, 0, anyPortAt, dataAt)
	p.returns(unix.EINVAL, unix.SYS_SHUTDOWN, 0, 7)
	p.run()
}

func TestBlockingConnection(t *testing.T) {
	p := newSocketProgram(t)
	sa := p.str(sockaddrIn(80))
	hello := p.str("hello")
	p.returns(0, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
	p.returns(0, unix.SYS_BIND, 0, sa, 16)
	p.returns(0, unix.SYS_LISTEN, 0, 5)
	p.returns(1, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
	p.returns(0, unix.SYS_CONNECT, 1, sa, 16) // waits for the handshake
	p.store(dataAt, 16)
	p.returns(2, unix.SYS_ACCEPT4, 0, anyPortAt, dataAt, unix.SOCK_CLOEXEC)
	p.holds(anyPortAt, sockaddrIn(0)[:2])
	p.returns(unix.FD_CLOEXEC, unix.SYS_FCNTL, 2, unix.F_GETFD)
	p.returns(5, unix.SYS_SENDTO, 1, hello, 5, 0, 0, 0)
	p.returns(2, unix.SYS_RECVFROM, 2, dataAt, 2, unix.MSG_PEEK, 0, 0)
	p.store(anyPortAt+64, 16)
	p.returns(5, unix.SYS_RECVFROM, 2, dataAt, 5, unix.MSG_WAITALL, anyPortAt, anyPortAt+64)
	p.holds(dataAt, "hello")
	p.holds(anyPortAt+64, "\x00\x00\x00\x00") // a stream tells no source
	p.returns(unix.EAGAIN, unix.SYS_RECVFROM, 2, dataAt, 5, unix.MSG_DONTWAIT, 0, 0)
	p.returns(unix.EFAULT, unix.SYS_SENDTO, 1, bad, 5, 0, 0, 0)
	p.returns(unix.EISCONN, unix.SYS_CONNECT, 1, sa, 16)
	// What waits is woken: by data in pieces, with MSG_WAITALL, and by the end.
	p.later(func() {
		f := p.file(1).File()
		for _, s := range []string{"a", "bc", "def"} {
			src := vfs.Bytes(s)
			if _, err := f.Write(&src, 0); err != nil {
				t.Error(err)
			}
		}
		f.(net.Socket).Shutdown(unix.SHUT_WR)
	})
	p.returns(6, unix.SYS_RECVFROM, 2, dataAt, 6, unix.MSG_WAITALL, 0, 0)
	p.holds(dataAt, "abcdef")
	p.returns(0, unix.SYS_RECVFROM, 2, dataAt, 100, 0, 0, 0)
	p.returns(0, unix.SYS_CLOSE, 0)
	p.returns(0, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
	p.returns(unix.ECONNREFUSED, unix.SYS_CONNECT, 0, sa, 16)
	p.run()
}

func TestSocketTimeouts(t *testing.T) {
	p := newSocketProgram(t)
	p.returns(0, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0)
	p.store(dataAt, 0, 1000)
	p.returns(0, unix.SYS_SETSOCKOPT, 0, unix.SOL_SOCKET, unix.SO_RCVTIMEO, dataAt, 16)
	p.store(dataAt+16, 100)
	p.returns(0, unix.SYS_GETSOCKOPT, 0, unix.SOL_SOCKET, unix.SO_RCVTIMEO, dataAt, dataAt+16)
	p.holds(dataAt+16, "\x10\x00\x00\x00")
	p.returns(unix.EAGAIN, unix.SYS_RECVFROM, 0, dataAt, 1, 0, 0, 0)
	p.returns(unix.EAGAIN, unix.SYS_READ, 0, dataAt, 1)
	p.store(dataAt, 1<<32) // one header, no room
	p.returns(unix.EAGAIN, unix.SYS_RECVMSG, 0, p.msghdr(dataAt+0x100, 0, 0, 0, 0, 0, 0), 0)
	p.run()
}

// msghdr puts a struct msghdr into the program's memory.
func (p *fileProgram) msghdr(at, name, nameLen, iov, iovLen, control, controlLen uint64) uint64 {
	p.put(at, name, nameLen, iov, iovLen, control, controlLen, 0)
	return at
}

func TestMessageCalls(t *testing.T) {
	p := newSocketProgram(t)
	sa, one, two := p.str(sockaddrIn(7)), p.str("one"), p.str("two2")
	const (
		iov     = dataAt + 0x100
		in      = dataAt + 0x200 // struct iovec of what is received
		header  = dataAt + 0x300
		control = dataAt + 0x400
		buffer  = dataAt + 0x800
		name    = dataAt + 0xc00
	)
	p.put(iov, one, 3, two, 4)
	p.put(in, buffer, 2, buffer+100, 100)
	p.returns(0, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0)
	p.returns(0, unix.SYS_BIND, 0, sa, 16)
	p.returns(1, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0)
	p.store(dataAt, 1)
	p.returns(0, unix.SYS_SETSOCKOPT, 0, unix.IPPROTO_IP, unix.IP_RECVTTL, dataAt, 4)

	send := func(want any, nameAt, nameLen, n, controlAt, controlLen uint64) {
		p.check(func() { p.msghdr(header, nameAt, nameLen, iov, n, controlAt, controlLen) })
		p.returns(want, unix.SYS_SENDMSG, 1, header, 0)
	}
	send(7, sa, 16, 2, 0, 0)
	send(unix.EDESTADDRREQ, 0, 16, 2, 0, 0)
	send(unix.EMSGSIZE, sa, 16, 1025, 0, 0)
	send(unix.EINVAL, sa, 0xffffffff, 2, 0, 0)
	send(unix.EFAULT, bad, 16, 2, 0, 0)
	send(unix.ENOBUFS, sa, 16, 2, control, 1<<31)
	send(unix.ENOBUFS, sa, 16, 2, control, 1<<20)
	send(unix.EFAULT, sa, 16, 2, bad, 24)
	send(unix.EINVAL, sa, 16, 2, control, 16) // a control message of length 0
	p.returns(unix.EFAULT, unix.SYS_SENDMSG, 1, bad, 0)

	p.check(func() { p.msghdr(header, name, 8, in, 2, control, 100) })
	p.returns(7, unix.SYS_RECVMSG, 0, header, unix.MSG_CMSG_CLOEXEC)
	p.holds(buffer, "on")
	p.holds(buffer+100, "etwo2")
	p.holds(header+8, "\x10\x00\x00\x00") // the whole length of the name
	p.holds(name, sockaddrIn(0)[:2])
	p.holds(header+40, "\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40") // a TTL came, MSG_CMSG_CLOEXEC stays
	p.holds(control, "\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x40\x00\x00\x00")

	// Two messages by one call, and back; the third isn't there.
	p.check(func() {
		p.msghdr(header, sa, 16, iov, 1, 0, 0)
		p.msghdr(header+64, sa, 16, iov+16, 1, 0, 0)
		p.msghdr(header+128, bad, 16, iov, 1, 0, 0)
	})
	p.returns(2, unix.SYS_SENDMMSG, 1, header, 3, 0)
	p.holds(header+56, "\x03\x00\x00\x00")
	p.holds(header+64+56, "\x04\x00\x00\x00")
	p.check(func() {
		for i := range uint64(3) {
			p.msghdr(header+64*i, 0, 0, in, 2, 0, 0)
		}
	})
	p.returns(2, unix.SYS_RECVMMSG, 0, header, 3, unix.MSG_WAITFORONE, 0)
	p.holds(header+56, "\x03\x00\x00\x00")
	p.holds(header+64+56, "\x04\x00\x00\x00")
	p.returns(unix.EAGAIN, unix.SYS_RECVMMSG, 0, header, 3, unix.MSG_DONTWAIT, 0)
	p.run()
}

func TestSocketpairCall(t *testing.T) {
	p := newSocketProgram(t)
	hello := p.str("hello")
	p.returns(unix.EFAULT, unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, bad)
	p.returns(unix.EOPNOTSUPP, unix.SYS_SOCKETPAIR, unix.AF_INET, unix.SOCK_STREAM, 0, dataAt)
	p.returns(0, unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, dataAt)
	p.holds(dataAt, "\x00\x00\x00\x00\x01\x00\x00\x00")
	p.returns(5, unix.SYS_WRITE, 0, hello, 5)
	p.returns(5, unix.SYS_READ, 1, dataAt, 100)
	p.later(func() {
		src := vfs.Bytes("late")
		if _, err := p.file(0).File().Write(&src, 0); err != nil {
			t.Error(err)
		}
	})
	p.returns(4, unix.SYS_READ, 1, dataAt, 100)
	p.returns(0, unix.SYS_CLOSE, 0)
	p.returns(0, unix.SYS_READ, 1, dataAt, 100)
	p.returns(unix.EPIPE, unix.SYS_SENDTO, 1, hello, 5, unix.MSG_NOSIGNAL, 0, 0)
	p.run()
}

// sockaddrUn is a struct sockaddr_un of a path.
func sockaddrUn(path string) string { return "\x01\x00" + path + "\x00" }

func TestUnixSocketsOfPaths(t *testing.T) {
	p := newSocketProgram(t)
	path := p.str("/d/socket")
	sa, file := p.str(sockaddrUn("/d/socket")), p.str(sockaddrUn("/f"))
	none := p.str(sockaddrUn("/none/socket"))
	relative := p.str(sockaddrUn("d/../d/socket"))
	p.returns(0, unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	p.returns(1, unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	p.returns(unix.ENOENT, unix.SYS_CONNECT, 1, sa, 12)
	p.returns(unix.ECONNREFUSED, unix.SYS_CONNECT, 1, file, 5)
	p.returns(unix.ENOENT, unix.SYS_BIND, 0, none, 15)
	p.returns(unix.EADDRINUSE, unix.SYS_BIND, 0, file, 5)
	p.returns(0, unix.SYS_BIND, 0, sa, 12)
	p.returns(unix.EADDRINUSE, unix.SYS_BIND, 1, sa, 12)
	p.returns(0, unix.SYS_STAT, path, dataAt)
	p.check(func() {
		if mode := uint32(p.word(dataAt + 24)); mode != unix.S_IFSOCK|0o755 {
			t.Errorf("mode %o", mode)
		}
	})
	p.returns(0, unix.SYS_CHMOD, path, 0o600)
	p.open(unix.ENXIO, "/d/socket", unix.O_RDWR)
	p.returns(unix.ECONNREFUSED, unix.SYS_CONNECT, 1, sa, 12) // it doesn't listen
	p.returns(0, unix.SYS_LISTEN, 0, 1)
	p.returns(0, unix.SYS_CONNECT, 1, relative, 16)
	p.store(dataAt, 100)
	p.returns(2, unix.SYS_ACCEPT, 0, 0, 0)
	p.returns(0, unix.SYS_GETSOCKNAME, 2, anyPortAt, dataAt)
	p.holds(anyPortAt, sockaddrUn("/d/socket"))
	p.returns(0, unix.SYS_UNLINK, path)
	p.returns(3, unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	p.returns(unix.ENOENT, unix.SYS_CONNECT, 3, sa, 12)
	p.returns(0, unix.SYS_BIND, 3, sa, 12) // the name is free again
	p.returns(0, unix.SYS_CLOSE, 3)
	p.returns(3, unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	p.returns(unix.ECONNREFUSED, unix.SYS_CONNECT, 3, sa, 12) // nobody is behind it
	p.run()
}

func TestPassingDescriptors(t *testing.T) {
	p := newSocketProgram(t)
	const iov, header, control = dataAt + 0x100, dataAt + 0x300, dataAt + 0x400
	p.put(iov, dataAt, 3)
	rights := func(fds ...uint32) uint64 {
		b := le.AppendUint64(nil, uint64(16+4*len(fds)))
		b = le.AppendUint64(b, uint64(unix.SCM_RIGHTS)<<32|unix.SOL_SOCKET)
		for _, fd := range fds {
			b = le.AppendUint32(b, fd)
		}
		if err := p.proc.Space.CopyOut(control, b); err != nil {
			t.Error(err)
		}
		return uint64(len(b))
	}
	send := func(want any, fds ...uint32) {
		p.check(func() { p.msghdr(header, 0, 0, iov, 1, control, rights(fds...)) })
		p.returns(want, unix.SYS_SENDMSG, 0, header, 0)
	}
	receive := func(want any, room uint64, flags uint64) {
		p.check(func() { p.msghdr(header, 0, 0, iov, 1, control, room) })
		p.returns(want, unix.SYS_RECVMSG, 1, header, flags)
	}
	p.returns(0, unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, dataAt+0x800)
	p.open(2, "/f", unix.O_RDONLY)
	send(unix.EBADF, 2, 99)
	send(3, 2, 2)
	p.returns(3, unix.SYS_WRITE, 0, dataAt, 3)
	p.returns(0, unix.SYS_CLOSE, 2)
	receive(3, 100, unix.MSG_CMSG_CLOEXEC)
	p.holds(control, "\x18\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00")
	p.returns(unix.FD_CLOEXEC, unix.SYS_FCNTL, 3, unix.F_GETFD)
	p.returns(3, unix.SYS_READ, 3, dataAt, 3)
	p.holds(dataAt, "012")
	receive(3, 100, 0) // what came without
	p.holds(header+40, "\x00\x00")
	send(3, 2, 3)
	receive(3, 20, 0) // room for one of two
	p.returns(unix.EBADF, unix.SYS_FCNTL, 5, unix.F_GETFD)
	p.holds(header+48, "\x08\x00\x00\x00") // MSG_CTRUNC
	send(3, 2)
	p.returns(3, unix.SYS_READ, 1, dataAt, 3) // the file is given up
	send(3, 2)                                // and this one with the sockets
	p.run()
	if n := p.proc.Kernel.Net.Sockets(); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
}

func TestSendRaisesSIGPIPE(t *testing.T) {
	p := newSocketProgram(t)
	p.returns(0, unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, dataAt)
	p.returns(0, unix.SYS_CLOSE, 0)
	p.Call(unix.SYS_SENDTO, 1, dataAt, 5, 0, 0, 0)
	p.start()
	p.wait(task.Status{Signal: unix.SIGPIPE})
}

func TestSocketsLeaveNothingBehind(t *testing.T) {
	p := newSocketProgram(t)
	p.returns(0, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
	p.returns(1, unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, 0)
	p.returns(0, unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_DGRAM, 0, dataAt)
	p.run()
	if n := p.proc.Kernel.Net.Sockets(); n != 0 {
		t.Errorf("%d sockets are left after the process", n)
	}
}

// TestSendAndReceiveDoNotAllocate measures the calls on a UDP socket that talks to itself; what the engine needs
// of its pools isn't counted.
func TestSendAndReceiveDoNotAllocate(t *testing.T) {
	p := newSocketProgram(t)
	s, err := p.proc.Kernel.Net.NewSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind([]byte(sockaddrIn(7))); err != nil {
		t.Fatal(err)
	}
	p.proc.FDs.Open(s, unix.O_RDWR)
	sa := p.str(sockaddrIn(7))
	p.put(anyPortAt, 16)
	c := &Call{Process: p.proc}
	call := func(do func() (uint64, error), args ...uint64) {
		c.Args = [6]uint64{}
		copy(c.Args[:], args)
		if n, err := do(); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	n := testing.AllocsPerRun(1000, func() {
		call(c.sendto, 0, dataAt, 100, 0, sa, 16)
		call(c.recvfrom, 0, dataAt+200, 100, 0, anyPortAt+64, anyPortAt)
	})
	const engine = 8 // packet lists and headers boxed by the engine on the way over its loopback
	if n > engine {
		t.Errorf("%v allocations, want at most the engine's %d", n, engine)
	}
	t.Logf("%v allocations", n)
	p.run()
}

func FuzzSocketAddresses(f *testing.F) {
	f.Add([]byte(sockaddrIn(7)), uint8(0))
	f.Add(append([]byte{unix.AF_UNIX, 0}, "\x00name"...), uint8(2))
	f.Fuzz(func(t *testing.T, sa []byte, kind uint8) {
		stack, err := net.New(net.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer stack.Close()
		family := []int{unix.AF_INET, unix.AF_INET6, unix.AF_UNIX, unix.AF_NETLINK}[kind%4]
		typ := []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_RAW}[kind/4%3]
		s, err := stack.NewSocket(family, typ, 0)
		if err != nil {
			return
		}
		defer s.Close()
		sa = sa[:min(len(sa), net.MaxSockaddr)]
		_ = s.Bind(sa)
		_ = s.Connect(sa)
		src := vfs.Bytes("data")
		_, _ = s.Send(&src, &net.Message{Addr: sa, Control: sa})
		_, _ = s.LocalAddr(nil)
		_, _ = s.PeerAddr(nil)
	})
}
