package net

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProcFiles checks lines of /proc/net against what Linux writes of the same sockets.
func TestProcFiles(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at := func(a string, port uint16) []byte {
		ip := netip.MustParseAddr(a)
		if ip.Is4() {
			return append([]byte{unix.AF_INET, 0, byte(port >> 8), byte(port)}, append(ip.AsSlice(), make([]byte, 8)...)...)
		}
		return append([]byte{unix.AF_INET6, 0, byte(port >> 8), byte(port), 0, 0, 0, 0}, append(ip.AsSlice(), make([]byte, 4)...)...)
	}
	open := func(family, typ int, addr []byte) Socket {
		k, err := s.NewSocket(family, typ, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { k.Close() })
		if err := k.Bind(addr); err != nil {
			t.Fatal(err)
		}
		return k
	}
	listener := open(unix.AF_INET, unix.SOCK_STREAM, at("127.0.0.1", 8080))
	if err := listener.Listen(1); err != nil {
		t.Fatal(err)
	}
	if err := open(unix.AF_INET6, unix.SOCK_STREAM, at("::", 81)).Listen(1); err != nil {
		t.Fatal(err)
	}
	open(unix.AF_INET, unix.SOCK_DGRAM, at("0.0.0.0", 53))
	if err := open(unix.AF_INET, unix.SOCK_DGRAM, at("127.0.0.1", 1)).Connect(at("127.0.0.1", 2)); err != nil {
		t.Fatal(err)
	}
	open(unix.AF_UNIX, unix.SOCK_STREAM, append([]byte{unix.AF_UNIX, 0, 0}, "name"...))
	const zeros6 = "00000000000000000000000000000000:"
	for _, want := range []struct{ file, text string }{
		{"tcp", " 0100007F:1F90 00000000:0000 0A 00000000:00000000 "},
		{"tcp6", " " + zeros6 + "0051 " + zeros6 + "0000 0A "},
		{"udp", " 00000000:0035 00000000:0000 07 "},
		{"udp", " 0100007F:0001 0100007F:0002 01 "},
		{"unix", " 0001 01 "}, {"unix", " @name\n"},
		{"dev", "    lo: "},
		{"if_inet6", "00000000000000000000000000000001 01 80 10 80       lo\n"},
		{"sockstat", "sockets: used 5\nTCP: inuse 1 "},
		{"route", "Iface\tDestination"},
	} {
		if got := string(s.ProcFile(want.file)()); !strings.Contains(got, want.text) {
			t.Errorf("%s without %q:\n%s", want.file, want.text, got)
		}
	}
	if s.ProcFile("no-such-file") != nil {
		t.Error("a file that doesn't exist")
	}
}
