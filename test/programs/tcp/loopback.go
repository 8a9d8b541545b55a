package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
	"wick/test/programs/peer"
)

// patience is a deadline for what should happen soon.
const patience = time.Minute

// server starts a peer on an address and returns where it is.
func server(t *check.T, address string) string {
	s, err := peer.ListenTCP(address)
	t.Must(err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	host, _, err := net.SplitHostPort(address)
	t.Must(err)
	return net.JoinHostPort(host, fmt.Sprint(s.Port()))
}

// pair returns both ends of a connection over an interface's own address.
func pair(t *check.T, network, address string) (a, b *net.TCPConn) {
	l, err := net.Listen(network, address)
	t.Must(err)
	defer l.Close()
	dialed, err := net.Dial(network, l.Addr().String())
	t.Must(err)
	accepted, err := l.Accept()
	t.Must(err)
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	for _, c := range []net.Conn{dialed, accepted} {
		c.SetDeadline(time.Now().Add(patience))
	}
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

func loopback(t *check.T) {
	addr := server(t, "127.0.0.1:0")
	for _, n := range []int64{1, 1 << 10, 1 << 20, 4 << 20} {
		exchange(t, addr, n, uint64(n))
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { exchange(t, addr, 3000, uint64(i)) })
	}
	wg.Wait()
}

// loopback64M moves much more than all buffers hold.
func loopback64M(t *check.T) { exchange(t, server(t, "127.0.0.1:0"), 64<<20, 64) }

func addresses(t *check.T) {
	a, b := pair(t, "tcp4", "127.0.0.1:0")
	check.Equal(t, "remote of a", a.RemoteAddr().String(), b.LocalAddr().String())
	check.Equal(t, "local of a", a.LocalAddr().String(), b.RemoteAddr().String())

	// A socket for both families shows an IPv4 peer as a mapped address, which package net unmaps.
	l, err := net.Listen("tcp", ":0")
	t.Must(err)
	defer l.Close()
	c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.2:%d", l.Addr().(*net.TCPAddr).Port))
	t.Must(err)
	defer c.Close()
	d, err := l.Accept()
	t.Must(err)
	defer d.Close()
	check.Equal(t, "local address", d.LocalAddr().String(), c.RemoteAddr().String())
	check.Equal(t, "remote address", d.RemoteAddr().String(), c.LocalAddr().String())
}

func ipv6Loopback(t *check.T) {
	exchange(t, server(t, "[::1]:0"), 100_000, 6)
	a, b := pair(t, "tcp6", "[::1]:0")
	check.Equal(t, "remote of a", a.RemoteAddr().String(), b.LocalAddr().String())
}

func halfClose(t *check.T) {
	a, b := pair(t, "tcp", "127.0.0.1:0")
	t.Must(a.CloseWrite())
	t.Must(peer.TakeEnd(b))
	go peer.Send(b, 300_000, 1) // the other direction goes on
	t.Must(peer.Take(a, 300_000, 1))
	_, err := a.Write([]byte("x"))
	t.WantErr("write after shutdown", err, unix.EPIPE)
	t.Must(b.Close())
	t.Must(peer.TakeEnd(a))
}

func reset(t *check.T) {
	a, b := pair(t, "tcp", "127.0.0.1:0")
	t.Must(a.SetLinger(0))
	t.Must(a.Close())
	_, err := b.Read(make([]byte, 1))
	t.WantErr("read after a reset", err, unix.ECONNRESET)
	_, err = b.Write([]byte("x"))
	t.WantErr("write after a reset", err, unix.EPIPE)

	// Closing with unread data resets too [RFC 1122 4.2.2.13].
	a, b = pair(t, "tcp", "127.0.0.1:0")
	_, err = b.Write([]byte("unread"))
	t.Must(err)
	waitReadable(t, a)
	t.Must(a.Close())
	_, err = b.Read(make([]byte, 1))
	t.WantErr("read after a close with unread data", err, unix.ECONNRESET)
}

// waitReadable returns when data has come, and leaves it there.
func waitReadable(t *check.T, c *net.TCPConn) {
	raw, err := c.SyscallConn()
	t.Must(err)
	t.Must(raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK)
		return err != unix.EAGAIN
	}))
}

func refused(t *check.T) {
	r, err := peer.NewRefuser(net.IPv4(127, 0, 0, 1))
	t.Must(err)
	defer r.Close()
	_, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.Port))
	t.WantErr("connect", err, unix.ECONNREFUSED)
}

func deadlines(t *check.T) {
	a, b := pair(t, "tcp", "127.0.0.1:0")
	start := time.Now()
	t.Must(a.SetReadDeadline(start.Add(20 * time.Millisecond)))
	_, err := a.Read(make([]byte, 1))
	t.WantErr("read", err, os.ErrDeadlineExceeded)
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("20 ms took %v", took)
	}
	t.Must(a.SetReadDeadline(time.Now().Add(patience)))
	_, err = b.Write([]byte("x"))
	t.Must(err)
	_, err = a.Read(make([]byte, 1))
	t.Must(err)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	t.Must(err)
	defer l.Close()
	t.Must(l.SetDeadline(time.Now().Add(5 * time.Millisecond)))
	_, err = l.Accept()
	t.WantErr("accept", err, os.ErrDeadlineExceeded)
}

// flowControl writes until the other side's silence stops it, and then checks that nothing was lost.
func flowControl(t *check.T) {
	a, b := pair(t, "tcp", "127.0.0.1:0")
	t.Must(a.SetReadBuffer(16 << 10))
	t.Must(b.SetWriteBuffer(16 << 10))
	t.Must(b.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)))
	sent := int64(0)
	s := peer.NewStream(3)
	buf := make([]byte, 8<<10)
	for {
		s.Read(buf)
		n, err := b.Write(buf)
		sent += int64(n)
		if err != nil {
			t.WantErr("write", err, os.ErrDeadlineExceeded)
			break
		}
		if sent > 64<<20 {
			t.Fatalf("64 MiB were taken for a reader that doesn't read")
		}
	}
	t.Must(b.CloseWrite())
	t.Must(peer.Take(a, sent, 3))
	t.Must(peer.TakeEnd(a))
}

func closeUnblocks(t *check.T) {
	a, _ := pair(t, "tcp", "127.0.0.1:0")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	t.Must(err)
	errs := make(chan error)
	go func() { _, err := a.Read(make([]byte, 1)); errs <- err }()
	go func() { _, err := l.Accept(); errs <- err }()
	time.Sleep(5 * time.Millisecond)
	t.Must(a.Close())
	t.Must(l.Close())
	for range 2 {
		t.WantErr("blocked call", <-errs, net.ErrClosed)
	}
}

func portInUse(t *check.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	t.Must(err)
	addr := l.Addr().String()
	_, err = net.Listen("tcp", addr)
	t.WantErr("listen twice", err, unix.EADDRINUSE)
	c, err := net.Dial("tcp", addr)
	t.Must(err)
	d, err := l.Accept()
	t.Must(err)
	t.Must(d.Close()) // leaves TIME-WAIT at the server's port
	t.Must(c.Close())
	t.Must(l.Close())
	l, err = net.Listen("tcp", addr) // package net sets SO_REUSEADDR
	t.Must(err)
	l.Close()
	_, err = net.Listen("tcp", "192.0.2.1:0")
	t.WantErr("an address that isn't ours", err, unix.EADDRNOTAVAIL)
}

func options(t *check.T) {
	a, _ := pair(t, "tcp", "127.0.0.1:0")
	t.Must(a.SetNoDelay(true))
	t.Must(a.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 4}))
	raw, err := a.SyscallConn()
	t.Must(err)
	t.Must(raw.Control(func(fd uintptr) {
		for _, o := range []struct {
			name        string
			level, opt  int
			want, atMin int
		}{
			{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, 0},
			{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 30, 0},
			{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5, 0},
			{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 4, 0},
			{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1, 0},
			{"SO_TYPE", unix.SOL_SOCKET, unix.SO_TYPE, unix.SOCK_STREAM, 0},
			{"SO_ERROR", unix.SOL_SOCKET, unix.SO_ERROR, 0, 0},
			{"SO_ACCEPTCONN", unix.SOL_SOCKET, unix.SO_ACCEPTCONN, 0, 0},
			{"SO_DOMAIN", unix.SOL_SOCKET, unix.SO_DOMAIN, unix.AF_INET, 0},
			{"SO_PROTOCOL", unix.SOL_SOCKET, unix.SO_PROTOCOL, unix.IPPROTO_TCP, 0},
			{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, -1, 2048},
			{"SO_SNDBUF", unix.SOL_SOCKET, unix.SO_SNDBUF, -1, 2048},
			{"TCP_MAXSEG", unix.IPPROTO_TCP, unix.TCP_MAXSEG, -1, 500},
		} {
			got, err := unix.GetsockoptInt(int(fd), o.level, o.opt)
			if err != nil || o.want >= 0 && got != o.want || got < o.atMin {
				t.Errorf("%s: got %d, %v; want %d", o.name, got, err, max(o.want, o.atMin))
			}
		}
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || info.State != unix.BPF_TCP_ESTABLISHED {
			t.Errorf("TCP_INFO: state %v, %v", info, err)
		}
		_, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, 9999)
		t.WantErr("an unknown option", err, unix.ENOPROTOOPT)
		t.WantErr("an option that is too short", unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, "x"), unix.EINVAL)
	}))
}

// sendfile goes from a file to a socket, as io.Copy does it.
func sendfile(t *check.T) {
	f, err := os.CreateTemp("", "tcp-")
	t.Must(err)
	defer os.Remove(f.Name())
	defer f.Close()
	const size = 3<<20 + 5
	t.Must(peer.Send(f, size, 9))
	_, err = f.Seek(0, io.SeekStart)
	t.Must(err)
	a, b := pair(t, "tcp", "127.0.0.1:0")
	go func() {
		if n, err := io.Copy(b, f); n != size || err != nil {
			t.Errorf("copied %d bytes, %v", n, err)
		}
		b.Close()
	}()
	t.Must(peer.Take(a, size, 9))
	t.Must(peer.TakeEnd(a))
}

// splice goes from a socket to a socket, as io.Copy does it: this is what a proxy does.
func splice(t *check.T) {
	const size = 2<<20 + 3
	in, middle := pair(t, "tcp", "127.0.0.1:0")
	other, out := pair(t, "tcp", "127.0.0.1:0")
	go func() {
		peer.Send(in, size, 4)
		in.CloseWrite()
	}()
	go func() {
		if n, err := io.Copy(other, middle); n != size || err != nil {
			t.Errorf("copied %d bytes, %v", n, err)
		}
		other.CloseWrite()
	}()
	t.Must(peer.Take(out, size, 4))
	t.Must(peer.TakeEnd(out))
}

// writev sends many pieces with few calls.
func writev(t *check.T) {
	a, b := pair(t, "tcp", "127.0.0.1:0")
	var whole []byte
	var pieces net.Buffers
	for i := range 3000 {
		piece := bytes.Repeat([]byte{byte(i)}, i%700)
		whole = append(whole, piece...)
		pieces = append(pieces, piece)
	}
	go func() {
		if n, err := pieces.WriteTo(b); n != int64(len(whole)) || err != nil {
			t.Errorf("wrote %d of %d bytes, %v", n, len(whole), err)
		}
		b.CloseWrite()
	}()
	got, err := io.ReadAll(a)
	t.Must(err)
	if !bytes.Equal(got, whole) {
		t.Errorf("got %d bytes, and not those that were sent", len(got))
	}
}

func backlog(t *check.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	t.Must(err)
	defer l.Close()
	var conns []net.Conn
	for i := range 100 { // nobody has accepted yet
		c, err := net.DialTimeout("tcp", l.Addr().String(), patience)
		t.Must(err)
		_, err = c.Write([]byte{byte(i)})
		t.Must(err)
		conns = append(conns, c)
	}
	seen := make(map[byte]bool)
	for range conns {
		c, err := l.Accept()
		t.Must(err)
		buf := make([]byte, 1)
		_, err = c.Read(buf)
		t.Must(err)
		seen[buf[0]] = true
		c.Close()
	}
	check.Equal(t, "different connections", len(seen), len(conns))
	for _, c := range conns {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read: %v, want EOF", err)
		}
		c.Close()
	}
}
