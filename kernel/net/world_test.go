package net

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// world is a machine with sockets: Linux's own, or ours. A test body that runs in both must see the same.
type world interface {
	socket(family, typ, proto int) (int, error)
	pair(family, typ, proto int) (int, int, error)
	bind(fd int, sa []byte) error
	listen(fd, backlog int) error
	accept(fd int) (int, []byte, error)
	connect(fd int, sa []byte) error
	name(fd int) ([]byte, error)
	peer(fd int) ([]byte, error)
	sendmsg(fd int, b, to, control []byte, flags int) (int, error)
	recvmsg(fd, room, control, flags int) (recvResult, error)
	read(fd, room int) ([]byte, error)
	write(fd int, b []byte) (int, error)
	shutdown(fd, how int) error
	close(fd int)
	nonblock(fd int)
	setopt(fd, level, name int, v []byte) error
	getopt(fd, level, name, room int) ([]byte, error)
	poll(fd int, events int16, timeoutMS int) int16
	fionread(fd int) (int, error)
}

type recvResult struct {
	data, from, control []byte
	flags               int
	n                   int
}

// native is the machine that the test runs on.
type native struct{ t *testing.T }

func (w native) socket(family, typ, proto int) (int, error) { return unix.Socket(family, typ, proto) }

func (w native) pair(family, typ, proto int) (int, int, error) {
	p, err := unix.Socketpair(family, typ, proto)
	return p[0], p[1], err
}

func rawErr(e unix.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

func (w native) listen(fd, backlog int) error { return unix.Listen(fd, backlog) }
func (w native) shutdown(fd, how int) error   { return unix.Shutdown(fd, how) }
func (w native) close(fd int)                 { unix.Close(fd) }
func (w native) nonblock(fd int)              { unix.SetNonblock(fd, true) }

func (w native) read(fd, room int) ([]byte, error) {
	b := make([]byte, room)
	n, err := unix.Read(fd, b)
	return b[:max(n, 0)], err
}

func (w native) write(fd int, b []byte) (int, error) {
	n, err := unix.Write(fd, b)
	return max(n, 0), err
}

func (w native) poll(fd int, events int16, timeoutMS int) int16 {
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		if _, err := unix.Poll(p, timeoutMS); err != unix.EINTR {
			return p[0].Revents
		}
	}
}

func (w native) fionread(fd int) (int, error) { return unix.IoctlGetInt(fd, fionread) }

// ours is a Stack with a descriptor table.
type ours struct {
	t   testing.TB
	s   *Stack
	fds []*oursFD
}

type oursFD struct {
	Socket
	nonblocking bool
}

func newOurs(t *testing.T) *ours { return newOursWith(t, Options{}) }

func newOursWith(t *testing.T, o Options) *ours {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &ours{t: t, s: s}
	t.Cleanup(func() {
		for fd := range w.fds {
			w.close(fd)
		}
		s.Close()
	})
	return w
}

func (w *ours) add(s Socket) int {
	w.fds = append(w.fds, &oursFD{Socket: s})
	return len(w.fds) - 1
}

func (w *ours) socket(family, typ, proto int) (int, error) {
	s, err := w.s.NewSocket(family, typ, proto)
	if err != nil {
		return -1, err
	}
	return w.add(s), nil
}

func (w *ours) pair(family, typ, proto int) (int, int, error) {
	a, b, err := w.s.Pair(family, typ, proto)
	if err != nil {
		return -1, -1, err
	}
	return w.add(a), w.add(b), nil
}

// testSleeper is a thread of a test.
type testSleeper chan struct{}

func newTestSleeper() testSleeper { return make(testSleeper, 1) }

func (s testSleeper) Wakeup() chan struct{} { return s }

func (s testSleeper) Sleep(deadline time.Time) error {
	var late <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		late = t.C
	}
	select {
	case <-s:
		return nil
	case <-late:
		return unix.ETIMEDOUT
	}
}

// testPatience bounds how long a blocking call of a test may take.
const testPatience = time.Minute

// block does try as a system call on a blocking descriptor does.
func block(f waiter.Waitable, mask waiter.EventMask, timeout time.Duration, try func() error) error {
	limit := timeout
	if limit == 0 {
		limit = testPatience
	}
	err := vfs.Wait(newTestSleeper(), f, mask, time.Now().Add(limit), try)
	if err == unix.ETIMEDOUT && timeout != 0 {
		err = unix.EAGAIN
	}
	return err
}

func (f *oursFD) wait(mask waiter.EventMask, timeout time.Duration, try func() error) error {
	if f.nonblocking {
		return try()
	}
	return block(f, mask, timeout, try)
}

func (w *ours) bind(fd int, sa []byte) error { return w.fds[fd].Bind(sa) }
func (w *ours) listen(fd, backlog int) error { return w.fds[fd].Listen(backlog) }
func (w *ours) shutdown(fd, how int) error   { return w.fds[fd].Shutdown(how) }
func (w *ours) nonblock(fd int)              { w.fds[fd].nonblocking = true }

func (w *ours) close(fd int) {
	if f := w.fds[fd]; f != nil {
		f.Close()
		w.fds[fd] = nil
	}
}

func (w *ours) accept(fd int) (int, []byte, error) {
	f := w.fds[fd]
	var k Socket
	err := f.wait(waiter.ReadableEvents, f.RecvTimeout(), func() (err error) {
		k, _, err = f.Accept(nil)
		return err
	})
	if err != nil {
		return -1, nil, err
	}
	sa, _ := k.PeerAddr(nil)
	return w.add(k), sa, nil
}

func (w *ours) connect(fd int, sa []byte) error {
	f := w.fds[fd]
	err := f.Connect(sa)
	if err != unix.EINPROGRESS || f.nonblocking {
		return err
	}
	err = block(f, waiter.WritableEvents, f.SendTimeout(), f.FinishConnect)
	if err == unix.EAGAIN {
		err = unix.EINPROGRESS
	}
	return err
}

func (w *ours) name(fd int) ([]byte, error) { return w.fds[fd].LocalAddr(nil) }

func (w *ours) peer(fd int) ([]byte, error) {
	b, err := w.fds[fd].PeerAddr(nil)
	if err != nil {
		b = nil
	}
	return b, err
}

func (w *ours) read(fd, room int) ([]byte, error) {
	f := w.fds[fd]
	b := make([]byte, room)
	var n int64
	err := f.wait(waiter.ReadableEvents, f.RecvTimeout(), func() (err error) {
		dst := vfs.Bytes(b)
		n, err = f.Read(&dst, 0)
		return err
	})
	return b[:n], err
}

func (w *ours) write(fd int, b []byte) (int, error) {
	return w.sendmsg(fd, b, nil, nil, 0)
}

func (w *ours) sendmsg(fd int, b, to, control []byte, flags int) (int, error) {
	f := w.fds[fd]
	src := vfs.Bytes(b)
	total := 0
	m := Message{Flags: flags, Addr: to, Control: control}
	for {
		var n int64
		try := func() (err error) {
			n, err = f.Send(&src, &m)
			return err
		}
		var err error
		if flags&unix.MSG_DONTWAIT != 0 {
			err = try()
		} else {
			err = f.wait(waiter.WritableEvents, f.SendTimeout(), try)
		}
		total += int(n)
		if total > 0 && err != nil {
			return total, nil
		}
		if err != nil || total >= len(b) || f.nonblocking || flags&unix.MSG_DONTWAIT != 0 {
			return total, err
		}
	}
}

func (w *ours) recvmsg(fd, room, control, flags int) (recvResult, error) {
	f := w.fds[fd]
	b := make([]byte, room)
	m := Message{WantAddr: true}
	var n int64
	try := func() (err error) {
		m.Flags, m.Addr, m.Control = flags, nil, make([]byte, 0, control)
		dst := vfs.Bytes(b)
		n, err = f.Recv(&dst, &m)
		return err
	}
	var err error
	if flags&(unix.MSG_DONTWAIT|unix.MSG_ERRQUEUE) != 0 {
		err = try()
	} else {
		err = f.wait(waiter.ReadableEvents, f.RecvTimeout(), try)
	}
	if err != nil {
		return recvResult{}, err
	}
	return recvResult{b[:min(int(n), room)], m.Addr, m.Control, m.Flags, int(n)}, nil
}

func (w *ours) setopt(fd, level, name int, v []byte) error {
	return w.fds[fd].SetOption(level, name, v)
}

func (w *ours) getopt(fd, level, name, room int) ([]byte, error) {
	b := make([]byte, room)
	n, err := w.fds[fd].Option(level, name, b)
	return b[:n], err
}

func (w *ours) poll(fd int, events int16, timeoutMS int) int16 {
	f := w.fds[fd]
	mask := waiter.EventMask(uint16(events)) | waiter.EventErr | waiter.EventHUp
	var r waiter.EventMask
	vfs.Wait(newTestSleeper(), f, mask, time.Now().Add(time.Duration(timeoutMS)*time.Millisecond), func() error {
		if r = f.Readiness(mask); r == 0 {
			return unix.EAGAIN
		}
		return nil
	})
	return int16(r)
}

// testMemory is program memory at addresses that are offsets.
type testMemory []byte

func (m testMemory) CopyIn(dst []byte, va uint64) error {
	if va > uint64(len(m)) || uint64(len(m))-va < uint64(len(dst)) {
		return unix.EFAULT
	}
	copy(dst, m[va:])
	return nil
}

func (m testMemory) CopyOut(va uint64, src []byte) error {
	if va > uint64(len(m)) || uint64(len(m))-va < uint64(len(src)) {
		return unix.EFAULT
	}
	copy(m[va:], src)
	return nil
}

func (w *ours) fionread(fd int) (int, error) {
	mem := make(testMemory, 4)
	_, err := w.fds[fd].Ioctl(mem, fionread, 0)
	return int(mem[0]) | int(mem[1])<<8 | int(mem[2])<<16, err
}

// sa4 and sa6 make socket addresses.
func sa4(addr string, port int) []byte {
	return appendSockaddr(nil, unix.AF_INET, endpoint{addr: netip.MustParseAddr(addr), port: uint16(port)})
}

func sa6(addr string, port int) []byte {
	return appendSockaddr(nil, unix.AF_INET6, endpoint{addr: netip.MustParseAddr(addr), port: uint16(port)})
}

// portOf is the port of a socket address.
func portOf(sa []byte) int {
	if len(sa) < 4 {
		return 0
	}
	return int(sa[2])<<8 | int(sa[3])
}

// goroutineDump is the stacks of all goroutines.
func goroutineDump() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

// errName is an error as a test prints it.
func errName(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := err.(unix.Errno); ok {
		return unix.ErrnoName(e)
	}
	return fmt.Sprintf("%T(%v)", err, err)
}
