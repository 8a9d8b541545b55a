package peer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTCP(t *testing.T) {
	s, err := ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", s.Port())
	for _, n := range []int64{0, 1, 7, 1 << 10, 1<<20 + 3} {
		for name, exchange := range map[string]func(string, int64, uint64) error{"download": Download, "upload": Upload, "echo": Echo} {
			if err := exchange(addr, n, uint64(n)); err != nil {
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
		}
	}
	port, err := FreePort(addr)
	if err != nil || port == 0 {
		t.Errorf("free port: %d, %v", port, err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if c, err := net.Dial("tcp", address); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("a connection to the free port: %v, %v", c, err)
	}
	if l, err := net.Listen("tcp", address); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("somebody else listens at the free port: %v, %v", l, err)
	}
	if err := Quit(addr); err != nil {
		t.Error(err)
	}
	<-s.Quit()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A change anywhere must be found, and both sides must say so.
func TestDamage(t *testing.T) {
	var stream bytes.Buffer
	if err := Send(&stream, 100000, 1); err != nil {
		t.Fatal(err)
	}
	good := stream.Bytes()
	for _, damage := range []struct {
		name string
		data []byte
	}{
		{"bit", append(append(bytes.Clone(good[:70000]), good[70000]^1), good[70001:]...)},
		{"lost byte", append(bytes.Clone(good[:500]), good[501:]...)},
		{"doubled byte", append(append(bytes.Clone(good[:500]), good[499]), good[500:]...)},
		{"short", good[:99999]},
	} {
		if err := Take(bytes.NewReader(damage.data), 100000, 1); err == nil {
			t.Errorf("%s: not found", damage.name)
		}
	}
	if err := Take(bytes.NewReader(good), 100000, 2); err == nil {
		t.Error("another stream: not found")
	}

	s, err := ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port()))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "take 5 1\nwrong")
	answer, _ := io.ReadAll(conn)
	conn.Close()
	if !strings.HasPrefix(string(answer), "byte 0 of 5") {
		t.Errorf("the server's verdict is %q", answer)
	}
	if err := s.Close(); err == nil {
		t.Error("the server has noted no error")
	}
}

func TestUDP(t *testing.T) {
	s, err := ListenUDP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	for _, exchange := range []struct {
		send string
		want []string
	}{
		{"hello", []string{"hello"}},
		{"", []string{""}},
		{"stranger to me", []string{"stranger", "to me"}},
		{"burst 3 10", []string{"00000000xx", "00000001xx", "00000002xx"}},
		{"from", []string{conn.LocalAddr().String()}},
	} {
		if _, err := conn.WriteTo([]byte(exchange.send), s.conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		for _, want := range exchange.want {
			buf := make([]byte, 100)
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(buf[:n]); got != want {
				t.Errorf("%q: got %q, want %q", exchange.send, got, want)
			}
			if want != "stranger" && from.Port != s.Port() || want == "stranger" && from.Port == s.Port() {
				t.Errorf("%q came from %v", want, from)
			}
		}
	}
}
