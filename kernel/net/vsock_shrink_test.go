package net

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"wick/kernel/vfs"
	"wick/vsock"
)

// shrinkingSource calls shrink when it is read for the first time.
type shrinkingSource struct {
	vfs.Bytes
	shrink func()
}

// Read implements vfs.Src.
func (s *shrinkingSource) Read(p []byte) (int, error) {
	if s.shrink != nil {
		s.shrink()
		s.shrink = nil
	}
	return s.Bytes.Read(p)
}

// TestVsockPeerTakesRoomBackDuringWrite checks that no byte is left out when the peer makes its buffer smaller after a write has
// looked for room, and larger again.
func TestVsockPeerTakesRoomBackDuringWrite(t *testing.T) {
	const small, large = 1000, 1 << 18
	w := newOurs(t)
	var guest, host *vsock.Endpoint
	var peer *vsock.Conn // the host's end
	var received []byte
	// carry takes all packets to the other side at once, so that both know everything when a call returns.
	carrying := false
	carry := func() {
		if carrying || guest == nil {
			return
		}
		carrying = true
		defer func() { carrying = false }()
		buffer := make([]byte, vsock.HeaderSize+vsock.MaxData)
		for some := true; some; {
			some = false
			for from, to := range map[*vsock.Endpoint]*vsock.Endpoint{guest: host, host: guest} {
				n, err := from.Output(buffer)
				check(t, err)
				if n == 0 {
					continue
				}
				some = true
				h, err := vsock.ParseHeader(buffer[:n])
				check(t, err)
				to.Input(&h, buffer[vsock.HeaderSize:n])
			}
			if peer == nil || peer.Status().Readable == 0 {
				continue
			}
			n, _ := peer.Read(buffer)
			received = append(received, buffer[:n]...)
			peer.SetBufAlloc(large)
		}
	}
	host = vsock.New(vsock.Config{
		Addressed: func(from, to uint32) bool { return from == guestCID && to == vsock.Host },
		Request: func(c *vsock.Conn) {
			peer = c
			check(t, c.Accept())
		},
		Ready: carry,
	})
	guest = w.s.AttachVsock(func() uint32 { return guestCID }, carry)

	fd := w.stream()
	check(t, w.connect(fd, savm(vsock.Host, 1234)))
	data := make([]byte, 3*vsockPiece)
	for i := range data {
		data[i] = byte(i >> 8) // each page of 256 bytes has its number
	}
	for sent := 0; sent < len(data); {
		source := &shrinkingSource{Bytes: data[sent:], shrink: func() { peer.SetBufAlloc(small) }}
		n, err := w.fds[fd].Write(source, 0)
		if err == unix.EAGAIN {
			continue
		}
		check(t, err)
		sent += int(n)
	}
	if !bytes.Equal(received, data) {
		t.Errorf("%d bytes were received, want %d; they are other ones", len(received), len(data))
	}
}
