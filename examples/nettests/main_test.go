package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

// answer is a server that sends back what reply makes of each datagram; nil is no answer.
func answer(t *testing.T, reply func(n int, msg []byte) []byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2048)
		for n := 1; ; n++ {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if msg := reply(n, buf[:size]); msg != nil {
				conn.WriteTo(msg, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func TestAllPass(t *testing.T) {
	addr := answer(t, func(_ int, msg []byte) []byte { return msg })
	var out bytes.Buffer
	if err := (tests{addr, time.Minute}).run(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), "all tests passed\n") || strings.Count(out.String(), "OK\n") != 3 {
		t.Errorf("output:\n%s", &out)
	}
}

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name    string
		reply   func(n int, msg []byte) []byte
		want    string
		timeout time.Duration
	}{
		{"wrong reply", func(int, []byte) []byte { return []byte("good bye") }, `one ping: sent "hello world!", got "good bye"`, time.Minute},
		{"no reply", func(int, []byte) []byte { return nil }, "one ping: ", 200 * time.Millisecond},
		{"wrong in the row", func(n int, msg []byte) []byte {
			if n == 51 {
				return []byte("x")
			}
			return msg
		}, "ping 50 of 100: ", time.Minute},
		{"wrong at once", func(n int, msg []byte) []byte {
			if n > 105 {
				return []byte("x")
			}
			return msg
		}, "10 pings at once: ", time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := (tests{answer(t, test.reply), test.timeout}).run(&out)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
			if !strings.HasSuffix(out.String(), "FAILED\n") {
				t.Errorf("output:\n%s", &out)
			}
		})
	}
}
