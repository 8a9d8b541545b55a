package net

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/packet"
	"wick/vsock"
)

// savm makes a socket address.
func savm(cid, port uint32) []byte { return appendSockaddrVM(nil, vsock.Addr{CID: cid, Port: port}) }

// TestVsockOracle compares what needs no connection with Linux's sockets, if the machine has them. It sends nothing: the
// machine's own vsock device may lead anywhere.
func TestVsockOracle(t *testing.T) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Skip("this machine has no AF_VSOCK: ", err)
	}
	unix.Close(fd)
	stream := func(r *trace) int { return r.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) }
	compare(t, "kinds", func(r *trace) {
		r.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 1)
		r.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, unix.AF_VSOCK)
		r.Socket(unix.AF_VSOCK, unix.SOCK_RAW, 0)
		r.Socket(unix.AF_VSOCK, unix.SOCK_DGRAM, 0)
		r.Pair(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
		fd := stream(r)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	})
	compare(t, "new", func(r *trace) {
		fd := stream(r)
		r.Name(fd)
		r.Peer(fd)
		r.Poll(fd, pollAll)
		r.Send(fd, "data", nil, unix.MSG_NOSIGNAL)
		r.Send(fd, "data", savm(vsock.Local, 1), unix.MSG_NOSIGNAL)
		r.Send(fd, "data", nil, unix.MSG_OOB)
		r.Recv(fd, 10, 0)
		r.Recv(fd, 0, 0)
		r.Recv(fd, 10, unix.MSG_OOB)
		r.Recv(fd, 10, unix.MSG_ERRQUEUE)
		r.Read(fd, 10)
		r.Read(fd, 0)
		for how := range 4 {
			r.Shutdown(fd, how)
		}
		r.Accept(fd)
		r.Listen(fd, 1) // not bound
		r.Connect(fd, sa4("127.0.0.1", 1))
		r.Connect(fd, savm(vsock.Local, 1)[:8])
		r.Connect(fd, nil)
	})
	compare(t, "bind", func(r *trace) {
		a, b := stream(r), stream(r)
		r.Bind(a, sa4("127.0.0.1", 1))
		r.Bind(a, savm(vsock.Any, 1)[:12])
		bad := savm(vsock.Any, 1)
		bad[12] = 2
		r.Bind(a, bad)
		r.Bind(a, savm(77777, 1))
		r.Bind(a, savm(vsock.Host, 1))
		r.Bind(a, savm(vsock.Any, vsock.AnyPort))
		name := r.Name(a)
		r.Bind(a, savm(vsock.Any, vsock.AnyPort))
		r.Bind(b, name)
		r.Close(a)
		r.Bind(b, name)
		r.Name(b)
		r.Poll(b, pollAll)
		r.Connect(b, sa4("127.0.0.1", 1))
	})
	compare(t, "listen", func(r *trace) {
		fd := stream(r)
		r.Bind(fd, savm(vsock.Any, vsock.AnyPort))
		r.Listen(fd, 1)
		r.Listen(fd, 0)
		r.Poll(fd, pollAll)
		r.GetInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		r.nonblock(fd)
		r.Accept(fd)
		r.Connect(fd, savm(vsock.Local, 1))
		r.Recv(fd, 10, 0)
		r.Send(fd, "data", nil, unix.MSG_NOSIGNAL)
		r.Shutdown(fd, unix.SHUT_RDWR)
		r.Peer(fd)
	})
	compare(t, "options", vsockOptions)
}

func vsockOptions(r *trace) {
	fd := r.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	size := func(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }
	sizes := func() {
		for _, name := range []int{unix.SO_VM_SOCKETS_BUFFER_SIZE, unix.SO_VM_SOCKETS_BUFFER_MIN_SIZE, unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE} {
			r.GetBytes(fd, unix.AF_VSOCK, name, 8)
			r.GetBytes(fd, unix.AF_VSOCK, name, 16)
			r.GetBytes(fd, unix.AF_VSOCK, name, 4)
		}
	}
	sizes()
	r.SetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_BUFFER_SIZE, size(1<<20)) // beyond the maximum
	sizes()
	r.SetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE, size(1<<20))
	r.SetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_BUFFER_SIZE, size(1<<19))
	r.SetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_BUFFER_SIZE, size(1))
	sizes()
	r.SetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_BUFFER_MIN_SIZE, size(5000))
	sizes()
	r.SetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_BUFFER_MAX_SIZE, size(1000)) // below the minimum
	sizes()
	r.SetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_BUFFER_SIZE, size(1)[:4])
	r.GetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, 16)
	for _, tv := range [][2]uint64{{5, 0}, {0, 500_000}, {0, 0}, {1 << 63, 0}, {1, 1_000_000}} {
		r.SetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, append(size(tv[0]), size(tv[1])...))
		r.GetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW, 16)
	}
	r.GetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, 8)
	r.GetBytes(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_TRUSTED, 8)
	r.SetBytes(fd, unix.AF_VSOCK, 99, size(1))
	r.GetInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
	r.SetInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	r.GetInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
}

// wired is a machine with a vsock device, and its host.
type wired struct {
	*ours
	guest, host *vsock.Endpoint
	asked       chan *vsock.Conn // by the guest, of the host
	resets      chan struct{}    // receives when RST has come to the host, if there is room
}

const guestCID = 3

// newWired makes both, with a wire that carries packets until the test ends.
func newWired(t *testing.T) *wired {
	w := &wired{ours: newOurs(t), asked: make(chan *vsock.Conn, 16), resets: make(chan struct{}, 16)}
	fromGuest, fromHost := make(chan struct{}, 1), make(chan struct{}, 1)
	wake := func(c chan struct{}) func() {
		return func() {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
	w.guest = w.s.AttachVsock(func() uint32 { return guestCID }, wake(fromGuest))
	w.host = vsock.New(vsock.Config{
		Addressed: func(from, to uint32) bool { return from == guestCID && to == vsock.Host },
		Request: func(c *vsock.Conn) {
			if c.Local().Port == 1 {
				c.Refuse(vsock.DropNoListener)
			} else {
				w.asked <- c // and it is for the test to answer
			}
		},
		Ready: wake(fromHost),
	})
	done := make(chan struct{})
	var carriers sync.WaitGroup
	carry := func(from, to *vsock.Endpoint, more chan struct{}) {
		buffer := make([]byte, vsock.HeaderSize+vsock.MaxData)
		for {
			n, err := from.Output(buffer)
			if err != nil {
				t.Error(err)
				return
			}
			if n == 0 {
				select {
				case <-more:
					continue
				case <-done:
					return
				}
			}
			h, err := vsock.ParseHeader(buffer[:n])
			if err != nil {
				t.Error(err)
			}
			to.Input(&h, buffer[vsock.HeaderSize:n])
			if to == w.host && h.Op == packet.VsockReset {
				select {
				case w.resets <- struct{}{}:
				default:
				}
			}
		}
	}
	carriers.Go(func() { carry(w.guest, w.host, fromGuest) })
	carriers.Go(func() { carry(w.host, w.guest, fromHost) })
	t.Cleanup(func() {
		close(done)
		carriers.Wait()
	})
	return w
}

// stream makes a socket, which waits for a connection as long as any test does.
func (w *ours) stream() int {
	fd, err := w.socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	check(w.t, err)
	w.connectTimeout(fd, testPatience)
	return fd
}

func (w *ours) connectTimeout(fd int, d time.Duration) {
	tv := binary.NativeEndian.AppendUint64(nil, uint64(d/time.Second))
	tv = binary.NativeEndian.AppendUint64(tv, uint64(d%time.Second/time.Microsecond))
	check(w.t, w.setopt(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, tv))
}

// timesOut connects a socket to a port of the host that doesn't answer, and returns what the host was asked for.
func (w *wired) timesOut(fd int, port uint32) *vsock.Conn {
	w.t.Helper()
	for d := 20 * time.Millisecond; ; d *= 2 {
		w.connectTimeout(fd, d)
		wantErr(w.t.(*testing.T), "no answer", w.connect(fd, savm(vsock.Host, port)), unix.ETIMEDOUT)
		<-w.resets
		select {
		case k := <-w.asked:
			return k
		default: // the wire was so slow that it was over before the request had gone
		}
	}
}

// listening makes a listening socket and returns its address too.
func (w *ours) listening(cid, port uint32, backlog int) (fd int, port2 uint32) {
	fd = w.stream()
	check(w.t, w.bind(fd, savm(cid, port)))
	check(w.t, w.listen(fd, backlog))
	sa, err := w.name(fd)
	check(w.t, err)
	a, err := parseSockaddrVM(sa)
	check(w.t, err)
	return fd, a.Port
}

// vsockPair makes a connection within the machine.
func (w *ours) vsockPair() (client, server int) {
	l, port := w.listening(vsock.Any, vsock.AnyPort, 1)
	client = w.stream()
	check(w.t, w.connect(client, savm(vsock.Local, port)))
	server, _, err := w.accept(l)
	check(w.t, err)
	w.close(l)
	return client, server
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, errName(got), errName(want))
	}
}

func wantAddr(t *testing.T, what string, sa []byte, err error, want vsock.Addr) {
	t.Helper()
	got, parse := parseSockaddrVM(sa)
	if err != nil || parse != nil || got != want {
		t.Errorf("%s: %v, %s, want %v", what, got, errName(err), want)
	}
}

func TestVsockLoopback(t *testing.T) {
	w := newWired(t)
	l, port := w.listening(vsock.Any, 5000, 1)
	if port != 5000 {
		t.Fatalf("bound to port %d", port)
	}
	for _, cid := range []uint32{vsock.Local, guestCID} {
		c := w.stream()
		check(t, w.connect(c, savm(cid, port)))
		s, from, err := w.accept(l)
		check(t, err)
		name, err := w.name(c)
		mine, _ := parseSockaddrVM(name)
		wantAddr(t, "client's name", name, err, vsock.Addr{CID: vsock.Any, Port: mine.Port})
		wantAddr(t, "accept", from, nil, vsock.Addr{CID: vsock.Local, Port: mine.Port})
		sa, err := w.peer(c)
		wantAddr(t, "client's peer", sa, err, vsock.Addr{CID: cid, Port: port})
		sa, err = w.name(s)
		wantAddr(t, "server's name", sa, err, vsock.Addr{CID: cid, Port: port})
		wantErr(t, "second connect", w.connect(c, savm(cid, port)), unix.EISCONN)
		_, err = w.write(c, []byte("question"))
		check(t, err)
		b, err := w.read(s, 100)
		if string(b) != "question" || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
		w.close(c)
		w.close(s)
	}
	refused := w.stream()
	wantErr(t, "connect to nobody", w.connect(refused, savm(vsock.Local, 6000)), unix.ECONNRESET)
	check(t, w.connect(refused, savm(vsock.Local, port))) // it can be tried again
}

func TestVsockCIDsOfListeners(t *testing.T) {
	w := newWired(t)
	w.listening(vsock.Local, 5000, 1)
	w.listening(guestCID, 5000, 1)
	any := w.stream()
	wantErr(t, "bind of all", w.bind(any, savm(vsock.Any, 5000)), unix.EADDRINUSE)
	w.listening(guestCID, 6000, 1)
	c := w.stream()
	wantErr(t, "connect by the other name", w.connect(c, savm(vsock.Local, 6000)), unix.ECONNRESET)
	check(t, w.connect(c, savm(guestCID, 6000)))
}

func TestVsockWithoutDevice(t *testing.T) {
	w := newOurs(t)
	c := w.stream()
	wantErr(t, "connect to the host", w.connect(c, savm(vsock.Host, 1)), unix.ENODEV)
	if cid := w.s.CID(); cid != vsock.Local {
		t.Errorf("CID %d", cid)
	}
	a, b := w.vsockPair()
	_, err := w.write(a, []byte("x"))
	check(t, err)
	if got, err := w.read(b, 10); string(got) != "x" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestVsockHalfClose(t *testing.T) {
	w := newOurs(t)
	a, b := w.vsockPair()
	_, err := w.write(a, []byte("last"))
	check(t, err)
	check(t, w.shutdown(a, unix.SHUT_WR))
	_, err = w.write(a, []byte("x"))
	wantErr(t, "write after shutdown", err, unix.EPIPE)
	_, err = w.peer(a)
	wantErr(t, "peer after shutdown", err, unix.ENOTCONN) // Linux's SS_DISCONNECTING
	wantErr(t, "connect after shutdown", w.connect(a, savm(vsock.Local, 1)), unix.EINVAL)
	for _, want := range []string{"last", ""} {
		if got, err := w.read(b, 100); string(got) != want || err != nil {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
	}
	if got := w.poll(b, pollAll, 0); got != pollIn|pollOut|unix.POLLRDHUP {
		t.Errorf("poll of the reader: %#x", got)
	}
	if got := w.poll(a, pollAll, 0); got != 0 {
		t.Errorf("poll of the writer: %#x", got)
	}
	_, err = w.write(b, []byte("answer"))
	check(t, err)
	if got, err := w.read(a, 100); string(got) != "answer" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	w.close(b)
	if got := w.poll(a, unix.POLLHUP, 10_000); got&unix.POLLHUP == 0 {
		t.Errorf("poll at the end: %#x", got)
	}
	if got, err := w.read(a, 100); len(got) != 0 || err != nil {
		t.Errorf("read %q, %v at the end", got, err)
	}
}

func TestVsockShutdownOfReading(t *testing.T) {
	w := newOurs(t)
	a, b := w.vsockPair()
	check(t, w.shutdown(a, unix.SHUT_RD))
	if got, err := w.read(a, 10); len(got) != 0 || err != nil {
		t.Errorf("read %q, %v after SHUT_RD", got, err)
	}
	// The peer learns of it when it gets there.
	f := w.fds[b]
	check(t, block(f, waiter.WritableEvents, 0, func() error {
		if _, err := f.Send(new(emptySource), new(Message)); err != nil {
			return err
		}
		if s := f.Socket.(*vsockSocket).conn.Status(); !s.Broken {
			return unix.EAGAIN
		}
		return nil
	}))
	_, err := w.write(b, []byte("x"))
	wantErr(t, "write to who doesn't read", err, unix.EPIPE)
}

type emptySource struct{}

func (*emptySource) Len() int                 { return 0 }
func (*emptySource) Read([]byte) (int, error) { return 0, io.EOF }

func TestVsockPeekAndIoctl(t *testing.T) {
	w := newOurs(t)
	a, b := w.vsockPair()
	sent := make([]byte, 40_000) // more than a piece
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	_, err := w.write(a, sent)
	check(t, err)
	check(t, block(w.fds[b], waiter.ReadableEvents, 0, func() error {
		if n, err := w.fionread(b); n < len(sent) {
			return cmpErr(err, unix.EAGAIN)
		}
		return nil
	}))
	x, err := w.recvmsg(b, len(sent), 0, unix.MSG_PEEK)
	if err != nil || !bytes.Equal(x.data, sent) {
		t.Errorf("peek: %d bytes, %v", x.n, err)
	}
	got, err := w.read(b, len(sent))
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read: %d bytes, %v", len(got), err)
	}
	if n, err := w.fionread(b); n != 0 || err != nil {
		t.Errorf("FIONREAD: %d, %v", n, err)
	}
}

// cmpErr returns err, or what is to be said instead of nil.
func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func TestVsockBacklog(t *testing.T) {
	w := newOurs(t)
	l, port := w.listening(vsock.Any, vsock.AnyPort, 1)
	var clients []int
	for range 2 {
		c := w.stream()
		check(t, w.connect(c, savm(vsock.Local, port)))
		clients = append(clients, c)
	}
	c := w.stream()
	wantErr(t, "connect beyond the backlog", w.connect(c, savm(vsock.Local, port)), unix.ECONNRESET)
	w.close(l) // nobody accepts them any more
	for _, c := range clients {
		if got, err := w.read(c, 10); len(got) != 0 || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	}
	settle(t, "connections", func() bool { w.close(c); return w.s.vsock.loop.Len() == 0 })
}

func TestVsockSlowReaderStopsOnlyItsPeer(t *testing.T) {
	w := newOurs(t)
	a, b := w.vsockPair()
	c, d := w.vsockPair()
	w.nonblock(a)
	total := 0
	for block := make([]byte, 16<<10); ; {
		n, err := w.write(a, block)
		total += n
		if err == unix.EAGAIN {
			patience := 100 // of those who look whether it stays so, in ms
			if total < defaultVsockBuffer {
				patience = int(testPatience.Milliseconds())
			}
			if w.poll(a, unix.POLLOUT, patience) == 0 {
				break
			}
			continue
		}
		check(t, err)
	}
	if total < defaultVsockBuffer || total > defaultVsockBuffer+64<<10 {
		t.Errorf("%d bytes went to somebody who doesn't read", total)
	}
	for range 100 {
		_, err := w.write(c, []byte("x"))
		check(t, err)
		if got, err := w.read(d, 1); len(got) != 1 || err != nil {
			t.Fatalf("read %q, %v of another connection", got, err)
		}
	}
	for got := 0; got < total; {
		p, err := w.read(b, 64<<10)
		if err != nil || len(p) == 0 {
			t.Fatalf("read %d bytes, %v", len(p), err)
		}
		got += len(p)
	}
	if w.poll(a, unix.POLLOUT, 10_000) == 0 {
		t.Error("nobody told the writer of room")
	}
}

// TestVsockStream has a host and a guest send each other 8 MiB at a time.
func TestVsockStream(t *testing.T) {
	w := newWired(t)
	c := w.stream()
	done := make(chan *vsock.Conn)
	go func() {
		k := <-w.asked
		k.Accept()
		done <- k
	}()
	check(t, w.connect(c, savm(vsock.Host, 9)))
	k := <-done
	if k.Peer().CID != guestCID {
		t.Errorf("the host sees %v", k.Peer())
	}
	changed := make(chan struct{}, 1)
	k.Notify(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	const size = 8 << 20
	block := bytes.Repeat([]byte("0123456789abcdef"), 2<<10)
	var work sync.WaitGroup
	work.Go(func() { // the host echoes
		buffer := make([]byte, 50_000)
		for left := size; left > 0; {
			n, err := k.Read(buffer)
			if err == vsock.ErrWait {
				<-changed
				continue
			}
			if err != nil {
				t.Error(err)
				return
			}
			for p := buffer[:n]; len(p) > 0; {
				n, err := k.Write(p)
				if err == vsock.ErrWait {
					<-changed
				} else if err != nil {
					t.Error(err)
					return
				}
				p = p[n:]
			}
			left -= n
		}
	})
	sum := sha256.New()
	work.Go(func() {
		for n := 0; n < size; n += len(block) {
			if _, err := w.write(c, block); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for n := 0; n < size; {
		p, err := w.read(c, 30_000)
		if err != nil || len(p) == 0 {
			t.Fatalf("read %d bytes, %v, after %d", len(p), err, n)
		}
		sum.Write(p)
		n += len(p)
	}
	work.Wait()
	want := sha256.New()
	for n := 0; n < size; n += len(block) {
		want.Write(block)
	}
	if !bytes.Equal(sum.Sum(nil), want.Sum(nil)) {
		t.Error("what has come is not what was sent")
	}
}

func TestVsockConnectErrors(t *testing.T) {
	w := newWired(t)
	c := w.stream()
	wantErr(t, "refused", w.connect(c, savm(vsock.Host, 1)), unix.ECONNRESET)
	w.timesOut(c, 9)
	n := w.stream()
	w.nonblock(n)
	wantErr(t, "nonblocking", w.connect(n, savm(vsock.Host, 9)), unix.EINPROGRESS)
	wantErr(t, "again", w.connect(n, savm(vsock.Host, 9)), unix.EALREADY)
	_, err := w.write(n, []byte("x"))
	wantErr(t, "write before", err, unix.ENOTCONN)
	_, err = w.read(n, 1)
	wantErr(t, "read before", err, unix.ENOTCONN)
	if got := w.poll(n, pollAll, 0); got != 0 {
		t.Errorf("poll: %#x", got)
	}
	k := <-w.asked
	k.Refuse(vsock.DropNoListener)
	if got := w.poll(n, pollAll, 10_000); got != pollOut|unix.POLLERR {
		t.Errorf("poll: %#x", got)
	}
	for _, want := range []unix.Errno{unix.ECONNRESET, 0} {
		b, err := w.getopt(n, unix.SOL_SOCKET, unix.SO_ERROR, 4)
		if err != nil || binary.NativeEndian.Uint32(b) != uint32(want) {
			t.Errorf("SO_ERROR %v, %v, want %d", b, err, want)
		}
	}
}

// TestVsockResetByPeer: Linux takes RST for the end of both directions.
func TestVsockResetByPeer(t *testing.T) {
	w := newWired(t)
	c := w.stream()
	go func() { k := <-w.asked; k.Accept(); w.asked <- k }()
	check(t, w.connect(c, savm(vsock.Host, 9)))
	(<-w.asked).Reset()
	if got := w.poll(c, unix.POLLRDHUP, 10_000); got&unix.POLLERR != 0 || got&unix.POLLRDHUP == 0 {
		t.Errorf("poll %#x", got)
	}
	if got, err := w.read(c, 10); len(got) != 0 || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	_, err := w.write(c, []byte("x"))
	wantErr(t, "write", err, unix.EPIPE)
}

func TestVsockTransportResetWakesAll(t *testing.T) {
	w := newWired(t)
	var readers []int
	go func() {
		for range 2 {
			k := <-w.asked
			k.Accept()
		}
	}()
	for range 2 {
		c := w.stream()
		check(t, w.connect(c, savm(vsock.Host, 9)))
		readers = append(readers, c)
	}
	errs := make(chan error)
	blocked := make(chan struct{})
	watch := func(f *oursFD, mask waiter.EventMask, try func() error) {
		e := &announced{Waitable: f, registered: blocked}
		errs <- block(e, mask, 0, try)
	}
	f := w.fds[readers[0]]
	go watch(f, waiter.ReadableEvents, func() error { _, err := f.Recv(&discard{n: 1}, new(Message)); return err })
	g := w.fds[readers[1]]
	go watch(g, waiter.WritableEvents, func() error { // never ready: the peer doesn't read
		src := &zeros{n: 1 << 20}
		for {
			if _, err := g.Send(src, new(Message)); err != nil {
				return err
			}
		}
	})
	c := w.stream()
	h := w.fds[c]
	wantErr(t, "connect", h.Connect(savm(vsock.Host, 9)), unix.EINPROGRESS)
	go watch(h, waiter.WritableEvents, h.FinishConnect)
	for range 3 {
		<-blocked
	}
	<-w.asked
	w.guest.Abort()
	for range 3 {
		select {
		case err := <-errs:
			wantErr(t, "woken", err, unix.ECONNRESET)
		case <-time.After(testPatience):
			t.Fatal("a blocked call was not woken")
		}
	}
	if got := w.poll(readers[0], pollAll, 0); got&unix.POLLERR == 0 {
		t.Errorf("poll %#x", got)
	}
	for _, want := range []unix.Errno{unix.ECONNRESET, 0} {
		b, _ := w.getopt(readers[0], unix.SOL_SOCKET, unix.SO_ERROR, 4)
		if binary.NativeEndian.Uint32(b) != uint32(want) {
			t.Errorf("SO_ERROR %v, want %d", b, want)
		}
	}
}

// announced is a file that tells when somebody waits for it.
type announced struct {
	waiter.Waitable
	registered chan struct{}
}

func (a *announced) EventRegister(e *waiter.Entry) error {
	err := a.Waitable.EventRegister(e)
	a.registered <- struct{}{}
	return err
}

// zeros is memory full of zeros.
type zeros struct{ n int }

func (z *zeros) Len() int { return z.n }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(len(p), z.n)
	clear(p[:n])
	return n, nil
}

// TestVsockEdges checks that the queue tells of each thing that comes, and of nothing else.
func TestVsockEdges(t *testing.T) {
	w := newOurs(t)
	a, b := w.vsockPair()
	events := make(chan waiter.EventMask, 100)
	entry := func(mask waiter.EventMask) *waiter.Entry {
		e := waiter.NewFunctionEntry(mask, func(m waiter.EventMask) { events <- m })
		return &e
	}
	in := entry(waiter.ReadableEvents)
	w.fds[b].EventRegister(in)
	for range 3 { // without reading: each is an edge
		_, err := w.write(a, []byte("x"))
		check(t, err)
		select {
		case <-events:
		case <-time.After(testPatience):
			t.Fatal("nobody told of data")
		}
	}
	w.fds[b].EventUnregister(in)
	// What b sends and a answers with credit is no edge for a reader at a.
	in = entry(waiter.ReadableEvents)
	w.fds[a].EventRegister(in)
	got := 0
	for got < 3 {
		p, err := w.read(b, 10)
		check(t, err)
		got += len(p)
	}
	_, err := w.write(a, make([]byte, defaultVsockBuffer/2))
	check(t, err)
	for left := defaultVsockBuffer / 2; left > 0; {
		p, err := w.read(b, 64<<10)
		check(t, err)
		left -= len(p)
	}
	_, err = w.write(b, []byte("x")) // after the credit
	check(t, err)
	if p, err := w.read(a, 1); len(p) != 1 || err != nil {
		t.Errorf("read %q, %v", p, err)
	}
	select {
	case <-events: // after the byte can be read
	case <-time.After(testPatience):
		t.Error("nobody told of data")
	}
	w.fds[a].EventUnregister(in)
	if n := len(events); n != 0 {
		t.Errorf("%d edges for a reader, want 1", 1+n)
	}
}

func TestVsockManyAtOnce(t *testing.T) {
	w := newOurs(t)
	l, port := w.listening(vsock.Any, vsock.AnyPort, 200)
	const many = 100
	fds := make([][2]int, many)
	for i := range fds {
		fds[i][0] = w.stream()
		check(t, w.connect(fds[i][0], savm(vsock.Local, port)))
		s, _, err := w.accept(l)
		check(t, err)
		fds[i][1] = s
	}
	var work sync.WaitGroup
	for i := range fds {
		work.Go(func() {
			for range 20 {
				if _, err := w.write(fds[i][0], []byte{byte(i)}); err != nil {
					t.Error(err)
				}
				if p, err := w.read(fds[i][1], 1); err != nil || len(p) != 1 || p[0] != byte(i) {
					t.Errorf("connection %d read %v, %v", i, p, err)
				}
			}
		})
	}
	work.Wait()
	for i := range fds {
		w.close(fds[i][0])
		w.close(fds[i][1])
	}
	w.close(l)
	settle(t, "connections", func() bool { return w.s.vsock.unfinished() == 0 })
	if n := w.s.Sockets(); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
	if n := len(w.s.vsock.ports); n != 0 {
		t.Errorf("%d ports are left", n)
	}
}
