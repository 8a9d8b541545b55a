package net

import (
	"testing"

	"golang.org/x/sys/unix"

	"wick/packet"
	"wick/vsock"
)

// TestVsockConnectAgain: after a time-out a socket may try again, from the same port, which is the same to it each time; and when the
// host answers, it is connected.
func TestVsockConnectAgain(t *testing.T) {
	w := newWired(t)
	c := w.stream()
	var port uint32
	for i := range 3 {
		k := w.timesOut(c, 9)
		if i > 0 && k.Peer().Port != port {
			t.Errorf("attempt %d is from port %d, the first was from %d", i, k.Peer().Port, port)
		}
		port = k.Peer().Port
	}
	go func() { (<-w.asked).Accept() }()
	w.connectTimeout(c, testPatience)
	if err := w.connect(c, savm(vsock.Host, 9)); err != nil {
		t.Errorf("when it is answered: %v", err)
	}
}

// TestVsockRefusalsTellWhy: a request that nobody listens for, one that is served too slowly, and one too many are not the same.
func TestVsockRefusalsTellWhy(t *testing.T) {
	s, err := New(Options{MaxSockets: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := s.AttachVsock(func() uint32 { return guestCID }, func() {})
	from := uint32(1000)
	request := func(port uint32) string {
		from++
		return e.Input(&vsock.Header{From: vsock.Addr{CID: vsock.Host, Port: from}, To: vsock.Addr{CID: guestCID, Port: port},
			Type: packet.VsockStream, Op: packet.VsockRequest, BufAlloc: 1 << 16})
	}
	k, err := s.NewSocket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	check(t, k.Bind(appendSockaddrVM(nil, vsock.Addr{CID: vsock.Any, Port: 7})))
	if why := request(7); why != vsock.DropNoListener {
		t.Errorf("bound only: %q", why)
	}
	check(t, k.Listen(0))
	for i, want := range []string{"", vsock.DropBacklogFull} {
		if why := request(7); why != want {
			t.Errorf("request %d: %q, want %q", i, why, want)
		}
	}
	check(t, k.Listen(5))
	for i, want := range []string{"", vsock.DropTooMany} { // three sockets
		if why := request(7); why != want {
			t.Errorf("request %d of a longer backlog: %q, want %q", i, why, want)
		}
	}
	if why := request(8); why != vsock.DropNoListener {
		t.Errorf("nobody: %q", why)
	}
}
