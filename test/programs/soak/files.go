package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"wick/test/programs/peer"
)

// content is what a file or stream of this seed holds.
func content(seed uint64, size int) []byte {
	b := make([]byte, size)
	io.ReadFull(peer.NewStream(seed), b) // never fails
	return b
}

// files writes, renames, cuts and reads files in a folder of its own.
func files(seed uint64) error {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for i := range 4 {
		want := content(seed+uint64(i), 1+int(seed*7919+uint64(i)*4099)%100000)
		name := filepath.Join(dir, fmt.Sprint("a", i))
		if err := os.WriteFile(name, want, 0o600); err != nil {
			return err
		}
		if err := os.Rename(name, name+".new"); err != nil {
			return err
		}
		want = want[:len(want)-len(want)/3]
		if err := os.Truncate(name+".new", int64(len(want))); err != nil {
			return err
		}
		got, err := os.ReadFile(name + ".new")
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("a file of %d bytes differs", len(want))
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) != 4 {
		return differ("files in the folder", len(entries), 4)
	}
	time.Sleep(10 * time.Millisecond)
	return nil
}

// through sends content one way and checks what comes out.
func through(r io.Reader, w io.WriteCloser, seed uint64, size int) error {
	sent := make(chan error, 1)
	go func() {
		_, err := w.Write(content(seed, size))
		if closeErr := w.Close(); err == nil {
			err = closeErr
		}
		sent <- err
	}()
	got, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := <-sent; err != nil {
		return err
	}
	if !bytes.Equal(got, content(seed, size)) {
		return fmt.Errorf("a stream of %d bytes differs; %d have come", size, len(got))
	}
	return nil
}

func pipes(seed uint64) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer time.Sleep(5 * time.Millisecond)
	return through(r, w, seed, 1+int(seed*104729)%200000)
}

func loopback(seed uint64) error { return stream("tcp", "127.0.0.1:0", seed) }

func local(seed uint64) error {
	return stream("unix", fmt.Sprintf("@soak-%d-%d", os.Getpid(), seed), seed)
}

// stream sends content through a connection within this machine.
func stream(network, address string, seed uint64) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	defer l.Close()
	client, err := net.Dial(network, l.Addr().String())
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return err
	}
	defer server.Close()
	defer time.Sleep(50 * time.Millisecond)
	return through(server, client, seed, 1+int(seed*15485863)%100000)
}

// tcp talks with the server outside. It takes its time, so that a capture of it all doesn't get too large.
func tcp(seed uint64) error {
	n := int64(seed*7919%20000) + 1
	defer time.Sleep(300 * time.Millisecond)
	switch seed % 3 {
	case 0:
		return peer.Download(*tcpPeer, n, seed)
	case 1:
		return peer.Upload(*tcpPeer, n, seed)
	}
	return peer.Echo(*tcpPeer, n, seed)
}

// udp sends datagrams, and repeats those that get lost, which a full queue on the way may cause.
func udp(seed uint64) error {
	conn, err := net.Dial("udp", *udpPeer)
	if err != nil {
		return err
	}
	defer conn.Close()
	want := content(seed, 16+int(seed*31%1200))
	buf := make([]byte, 2048)
	for range 10 {
		if _, err = conn.Write(want); err != nil {
			return err
		}
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		var n int
		if n, err = conn.Read(buf); err != nil {
			continue
		}
		if !bytes.Equal(buf[:n], want) {
			return fmt.Errorf("a datagram of %d bytes differs; %d have come", len(want), n)
		}
		time.Sleep(50 * time.Millisecond)
		return nil
	}
	return fmt.Errorf("no answer to 10 datagrams: %w", err)
}
