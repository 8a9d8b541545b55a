package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// start serves on free ports until the test ends, and checks that the end is orderly.
func start(t *testing.T) *server {
	t.Helper()
	s, err := listen(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func TestUDP(t *testing.T) {
	s := start(t)
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", s.udpPort()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	for _, size := range []int{0, 1, 12, 1472, 8000} {
		want := bytes.Repeat([]byte{byte(size)}, size)
		if _, err := conn.Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 64<<10)
		n, err := conn.Read(got)
		if err != nil || !bytes.Equal(got[:n], want) {
			t.Fatalf("datagram of %d bytes came back as %d bytes, %v", size, n, err)
		}
	}
}

func TestTCP(t *testing.T) {
	s := start(t)
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.tcpPort()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		conn.Write(want)
		conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestEndWithOpenConnection(t *testing.T) {
	s := start(t)
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.tcpPort()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) // runs before start's: the server ends at once
	conn.Write([]byte("x"))
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestWeb(t *testing.T) {
	s := start(t)
	url := fmt.Sprintf("http://127.0.0.1:%d/a<b", s.webPort())
	for n := 1; n <= 2; n++ {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("status %s, %v", resp.Status, err)
		}
		for _, want := range []string{"/a&lt;b", fmt.Sprintf("request number %d.", n)} {
			if !strings.Contains(string(body), want) {
				t.Errorf("the page does not hold %q:\n%s", want, body)
			}
		}
	}
	resp, err := http.Post(url, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %s", resp.Status)
	}
}

func TestPortTaken(t *testing.T) {
	s := start(t)
	if _, err := listen(0, s.webPort()); err == nil {
		t.Error("listening on a port that is taken succeeded")
	}
}
