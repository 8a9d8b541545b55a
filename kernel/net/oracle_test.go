package net

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The best oracle is the machine itself: each sequence runs on Linux's sockets over loopback and on ours, and what both
// see must be equal.

// trace is what a sequence has seen.
type trace struct {
	world
	t     *testing.T
	lines []string
	fds   []int
	ports map[int]string // names for the ports that the system has chosen
}

func (r *trace) log(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// port names a port in the trace.
func (r *trace) port(p int) string {
	if p < 1024 {
		return fmt.Sprint(p)
	}
	if r.ports[p] == "" {
		r.ports[p] = fmt.Sprintf("port%d", len(r.ports))
	}
	return r.ports[p]
}

// addr prints a socket address, with ports by name.
func (r *trace) addr(sa []byte) string {
	if len(sa) == 0 {
		return "none"
	}
	switch family, _ := sockaddrFamily(sa); family {
	case unix.AF_INET:
		e, _ := parseSockaddrIn(sa)
		return fmt.Sprintf("%s:%s/%d", e.addr, r.port(int(e.port)), len(sa))
	case unix.AF_INET6:
		e, _ := parseSockaddrIn6(sa)
		return fmt.Sprintf("[%s%%%d]:%s/%d", e.addr, e.scope, r.port(int(e.port)), len(sa))
	}
	if a, err := parseSockaddrVM(sa); err == nil {
		return fmt.Sprintf("%d:%s/%d", a.CID, r.port(int(a.Port)), len(sa))
	}
	return fmt.Sprintf("%q", sa)
}

// The steps of sequences: each does a call and notes its result.

func (r *trace) Socket(family, typ, proto int) int {
	fd, err := r.socket(family, typ, proto)
	r.log("socket(%d, %d, %d) = %s", family, typ, proto, errName(err))
	if err == nil {
		r.fds = append(r.fds, fd)
	}
	return fd
}

func (r *trace) Pair(family, typ, proto int) (int, int) {
	a, b, err := r.pair(family, typ, proto)
	r.log("socketpair(%d, %d, %d) = %s", family, typ, proto, errName(err))
	if err == nil {
		r.fds = append(r.fds, a, b)
	}
	return a, b
}

func (r *trace) Bind(fd int, sa []byte) { r.log("bind(%s) = %s", r.addr(sa), errName(r.bind(fd, sa))) }
func (r *trace) Listen(fd, backlog int) {
	r.log("listen(%d) = %s", backlog, errName(r.listen(fd, backlog)))
}

func (r *trace) Accept(fd int) int {
	c, sa, err := r.accept(fd)
	r.log("accept = %s from %s", errName(err), r.addr(sa))
	if err == nil {
		r.fds = append(r.fds, c)
	}
	return c
}

func (r *trace) Connect(fd int, sa []byte) {
	r.log("connect(%s) = %s", r.addr(sa), errName(r.connect(fd, sa)))
}

func (r *trace) Name(fd int) []byte {
	sa, err := r.name(fd)
	r.log("getsockname = %s %s", errName(err), r.addr(sa))
	return sa
}

func (r *trace) Peer(fd int) {
	sa, err := r.peer(fd)
	r.log("getpeername = %s %s", errName(err), r.addr(sa))
}

func (r *trace) Send(fd int, data string, to []byte, flags int) {
	n, err := r.sendmsg(fd, []byte(data), to, nil, flags)
	r.log("send(%d bytes, %s, %#x) = %d %s", len(data), r.addr(to), flags, n, errName(err))
}

func (r *trace) Recv(fd, room, flags int) {
	x, err := r.recvmsg(fd, room, 0, flags)
	r.log("recv(%d, %#x) = %d %.40q from %s flags %#x %s", room, flags, x.n, x.data, r.addr(x.from), x.flags, errName(err))
}

func (r *trace) Read(fd, room int) {
	b, err := r.read(fd, room)
	r.log("read(%d) = %.40q %s", room, b, errName(err))
}

func (r *trace) Shutdown(fd, how int) { r.log("shutdown(%d) = %s", how, errName(r.shutdown(fd, how))) }

func (r *trace) Close(fd int) {
	r.close(fd)
	for i, f := range r.fds {
		if f == fd {
			r.fds = append(r.fds[:i], r.fds[i+1:]...)
			break
		}
	}
	r.log("close")
}

func (r *trace) Poll(fd int, events int16) {
	r.log("poll(%#x) = %#x", events, uint16(r.poll(fd, events, 0)))
}

// Await waits for events, and notes nothing.
func (r *trace) Await(fd int, events int16) {
	if r.poll(fd, events, int(testPatience.Milliseconds())) == 0 {
		r.log("event %#x never came", events)
	}
}

// await waits until a condition holds that no event tells of.
func (r *trace) await(what string, holds func() bool) {
	for end := time.Now().Add(testPatience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.log("%s never came", what)
			return
		}
	}
}

func (r *trace) SetInt(fd, level, name, v int) {
	err := r.setopt(fd, level, name, binary.NativeEndian.AppendUint32(nil, uint32(v)))
	r.log("setsockopt(%d, %d, %d) = %s", level, name, v, errName(err))
}

func (r *trace) GetInt(fd, level, name int) {
	b, err := r.getopt(fd, level, name, 4)
	r.log("getsockopt(%d, %d) = %v %s", level, name, b, errName(err))
}

func (r *trace) SetBytes(fd, level, name int, v []byte) {
	r.log("setsockopt(%d, %d, %v) = %s", level, name, v, errName(r.setopt(fd, level, name, v)))
}

func (r *trace) GetBytes(fd, level, name, room int) {
	b, err := r.getopt(fd, level, name, room)
	r.log("getsockopt(%d, %d, room %d) = %v %s", level, name, room, b, errName(err))
}

func (r *trace) Available(fd int) {
	n, err := r.fionread(fd)
	r.log("FIONREAD = %d %s", n, errName(err))
}

// compare runs the sequence in both worlds.
func compare(t *testing.T, name string, body func(r *trace)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		run := func(w world) []string {
			r := &trace{world: w, t: t, ports: make(map[int]string)}
			body(r)
			for _, fd := range r.fds {
				w.close(fd)
			}
			return r.lines
		}
		want := run(native{t})
		got := run(newOurs(t))
		for i := range max(len(want), len(got)) {
			switch {
			case i >= len(want):
				t.Errorf("%d: ours has %s", i, got[i])
			case i >= len(got):
				t.Errorf("%d: ours lacks %s", i, want[i])
			case want[i] != got[i]:
				t.Errorf("%d: ours  %s\n     linux %s", i, got[i], want[i])
			}
		}
	})
}

// listener makes a listening TCP socket on the loopback and returns its address.
func (r *trace) listener(backlog int) (fd int, sa []byte) {
	fd = r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	r.Bind(fd, sa4("127.0.0.1", 0))
	r.Listen(fd, backlog)
	return fd, r.Name(fd)
}

// connection makes a connected pair of TCP sockets.
func (r *trace) connection() (client, server int) {
	l, sa := r.listener(5)
	client = r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	r.Connect(client, sa)
	r.Await(l, unix.POLLIN)
	server = r.Accept(l)
	r.Close(l)
	return client, server
}

// boundUDP makes a UDP socket on the loopback.
func (r *trace) boundUDP() (fd int, sa []byte) {
	fd = r.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	r.Bind(fd, sa4("127.0.0.1", 0))
	return fd, r.Name(fd)
}

const (
	// with POLLRDNORM and POLLWRNORM
	pollIn  = unix.POLLIN | 0x40
	pollOut = unix.POLLOUT | 0x100
	pollAll = pollIn | pollOut | unix.POLLPRI | unix.POLLRDHUP
)
