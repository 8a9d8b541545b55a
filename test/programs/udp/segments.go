package main

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// pair returns two sockets, of which the second is connected to the first.
func pair(t *check.T) (to, from int) {
	for _, fd := range []*int{&to, &from} {
		var err error
		*fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		t.Must(err)
		t.Cleanup(func() { unix.Close(*fd) })
		t.Must(unix.SetsockoptTimeval(*fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}))
	}
	t.Must(unix.Bind(to, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := unix.Getsockname(to)
	t.Must(err)
	t.Must(unix.Connect(from, name))
	return to, from
}

// wantPieces receives what a send of p became, size bytes at a time.
func wantPieces(t *check.T, fd int, p []byte, size int) {
	buf := make([]byte, 1<<16)
	for first := true; first || len(p) > 0; first = false {
		n, err := unix.Read(fd, buf)
		for err == unix.EINTR {
			n, err = unix.Read(fd, buf)
		}
		t.Must(err)
		want := p[:min(size, len(p))]
		p = p[len(want):]
		if string(buf[:n]) != string(want) {
			t.Fatalf("received %d bytes, want %d with %d to come", n, len(want), len(p))
		}
	}
}

func numbered(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}

// segments has one write become several datagrams [udp(7), UDP_SEGMENT].
func segments(t *check.T) {
	to, from := pair(t)
	v, err := unix.GetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT)
	t.Must(err)
	check.Equal(t, "UDP_SEGMENT at first", v, 0)
	t.Must(unix.SetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT, 1000))
	v, err = unix.GetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT)
	t.Must(err)
	check.Equal(t, "UDP_SEGMENT", v, 1000)
	for _, size := range []int{0, 1, 999, 1000, 1001, 2000, 10500} {
		n, err := unix.Write(from, numbered(size))
		t.Must(err)
		check.Equal(t, "bytes written", n, size)
		wantPieces(t, to, numbered(size), 1000)
	}
	t.Must(unix.SetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT, 100))
	_, err = unix.Write(from, numbered(64*100))
	t.Must(err)
	wantPieces(t, to, numbered(64*100), 100)
	t.Must(unix.SetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT, 0))
	_, err = unix.Write(from, numbered(5000))
	t.Must(err)
	wantPieces(t, to, numbered(5000), 5000)

	// What has asked for it may get several as one, but only if they came so: these didn't.
	t.Must(unix.SetsockoptInt(to, unix.SOL_UDP, unix.UDP_GRO, 1))
	v, err = unix.GetsockoptInt(to, unix.SOL_UDP, unix.UDP_GRO)
	t.Must(err)
	check.Equal(t, "UDP_GRO", v, 1)
	for range 2 {
		_, err = unix.Write(from, numbered(10))
		t.Must(err)
	}
	wantPieces(t, to, numbered(10), 10)
	wantPieces(t, to, numbered(10), 10)
}

// segmentMessage is the ancillary data that asks for datagrams of a size.
func segmentMessage(kind int, size uint16, length int) []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(unix.CmsgLen(length))) // struct cmsghdr
	b = binary.NativeEndian.AppendUint32(b, unix.SOL_UDP)
	b = binary.NativeEndian.AppendUint32(b, uint32(kind))
	b = binary.NativeEndian.AppendUint64(b, uint64(size))
	return b
}

func segmentsByMessage(t *check.T) {
	to, from := pair(t)
	_, err := unix.SendmsgN(from, numbered(3500), segmentMessage(unix.UDP_SEGMENT, 1200, 2), nil, 0)
	t.Must(err)
	wantPieces(t, to, numbered(3500), 1200)
	t.Must(unix.SetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT, 100))
	_, err = unix.SendmsgN(from, numbered(3500), segmentMessage(unix.UDP_SEGMENT, 2000, 2), nil, 0)
	t.Must(err)
	wantPieces(t, to, numbered(3500), 2000)
	_, err = unix.SendmsgN(from, numbered(300), segmentMessage(unix.UDP_SEGMENT, 0, 2), nil, 0)
	t.Must(err)
	wantPieces(t, to, numbered(300), 300)
	_, err = unix.SendmsgN(from, numbered(300), segmentMessage(unix.UDP_SEGMENT, 100, 4), nil, 0)
	t.WantErr("a message that is too long", err, unix.EINVAL)
	_, err = unix.SendmsgN(from, numbered(300), segmentMessage(unix.UDP_GRO, 100, 2), nil, 0)
	t.WantErr("another message", err, unix.EINVAL)
}

func segmentsRefused(t *check.T) {
	to, from := pair(t)
	for _, v := range []int{-1, 1 << 16} {
		t.WantErr("UDP_SEGMENT out of range", unix.SetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT, v), unix.EINVAL)
	}
	t.Must(unix.SetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT, 10))
	_, err := unix.Write(from, numbered(10*200)) // Linux has had 64 and 128 for the most
	t.WantErr("too many", err, unix.EINVAL)
	t.Must(unix.SetsockoptInt(from, unix.SOL_UDP, unix.UDP_SEGMENT, 1400))
	_, err = unix.Write(from, numbered(65508))
	t.WantErr("more than a datagram may have", err, unix.EMSGSIZE)
	_, err = unix.Write(from, numbered(14))
	t.Must(err)
	wantPieces(t, to, numbered(14), 14) // nothing of the others
	tcp, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	t.Must(err)
	defer unix.Close(tcp)
	if unix.SetsockoptInt(tcp, unix.SOL_UDP, unix.UDP_SEGMENT, 10) == nil {
		t.Errorf("TCP has UDP_SEGMENT")
	}
}

// peerSegments has the peer echo segments; one that doesn't fit into the interface's MTU is refused.
func peerSegments(t *check.T) {
	c := toPeer(t)
	raw, err := c.SyscallConn()
	t.Must(err)
	var mtu int
	control := func(do func(fd int) error) {
		var failed error
		t.Must(raw.Control(func(fd uintptr) { failed = do(int(fd)) }))
		t.Must(failed)
	}
	control(func(fd int) (err error) {
		mtu, err = unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU)
		return err
	})
	control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, 1200) })
	_, err = c.Write(numbered(5 * 1200))
	t.Must(err)
	buf := make([]byte, 1<<16)
	for range 5 {
		n, err := c.Read(buf)
		t.Must(err)
		check.Equal(t, "bytes of the echo", n, 1200)
	}
	if mtu > 60000 {
		return
	}
	control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, mtu) })
	_, err = c.Write(numbered(2 * mtu))
	t.WantErr("segments that don't fit", err, unix.EMSGSIZE)
}
