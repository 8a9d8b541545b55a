package measure

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/bench/guest"
)

// record measures with a shell script in place of QEMU and returns what is recorded.
func record(t *testing.T, script string, measure func(*Options, guest.Guest)) []Record {
	t.Helper()
	qemu := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(qemu, []byte("#!/bin/sh\n"+script), 0o777); err != nil {
		t.Fatal(err)
	}
	var records []Record
	o := &Options{QEMU: qemu, Record: func(r Record) { records = append(records, r) }}
	measure(o, guest.Guest{Kernel: &guest.Kernel{Name: "fake"}, Machine: guest.Machines[0], CPUs: 1})
	return records
}

func TestGuestThatDoesNotBoot(t *testing.T) {
	for _, c := range []struct{ group, what string }{{"boot", Boot}, {"micro", Getpid}, {"memory", Memory}} {
		got := record(t, "echo no room; exit 1\n", func(o *Options, g guest.Guest) {
			o.Groups = map[string]bool{c.group: true}
			o.Once(g)
			o.Round(g, 1)
		})
		if len(got) == 0 || got[0].What != c.what {
			t.Fatalf("%s: %+v", c.group, got)
		}
		for _, r := range got {
			if r.Error == "" || r.Values != nil {
				t.Errorf("%s: %+v", c.group, r)
			}
		}
	}
}

// TestMicroLines: a host that is stopped between two lines of the guest makes a wrong difference of its own, but not each time.
func TestMicroLines(t *testing.T) {
	for tries := 20; ; tries-- {
		why := tryMicroLines(t)
		if why == "" {
			return
		}
		if tries == 1 {
			t.Fatal(why)
		}
		t.Log(why)
	}
}

// tryMicroLines says what is wrong with what is recorded.
func tryMicroLines(t *testing.T) string {
	got := record(t, `
for what in getpid read switch; do echo "begin $what"; sleep 0.3; echo "end $what 1000 300000000"; done
echo "begin fault"; sleep 0.6; echo "end fault 1000 1000000"
echo "begin compute"; sleep 0.3; echo "end compute 1000 300000000"; sleep 1000`, func(o *Options, g guest.Guest) {
		o.Groups = map[string]bool{"micro": true}
		o.Round(g, 3)
	})
	if len(got) != 5 {
		t.Fatalf("%+v", got)
	}
	for _, r := range got[:3] {
		if r.Error != "" || r.Values["ns"] != 300_000 || r.Round != 3 {
			return fmt.Sprintf("%+v", r)
		}
	}
	if got[3].Error == "" {
		return fmt.Sprintf("a clock that is slow by a factor of 600 was believed: %+v", got[3])
	}
	return ""
}

// An echo that loses or changes something is an error, not a fast one.
func TestEchoesAreChecked(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		buf := make([]byte, 2048)
		for n := 0; ; n++ {
			size, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if n == 500 {
				buf[0]++
			}
			c.WriteToUDPAddrPort(buf[:size], from)
		}
	}()
	if out, err := udpEcho(c.LocalAddr().(*net.UDPAddr).AddrPort().Port()); err == nil {
		t.Errorf("no error: %+v", out)
	}
	if _, err := streamEcho(tcp(1)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("a closed port: %v", err)
	}
}

// A connection whose end does not come as it should is an error, not a fast one.
func TestConnectionsAreChecked(t *testing.T) {
	for _, c := range []struct {
		answer string
		good   bool
	}{{"", true}, {"x", false}} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				io.Copy(io.Discard, conn)
				io.WriteString(conn, c.answer)
				conn.Close()
			}
		}()
		out, err := connectRate(tcp(l.Addr().(*net.TCPAddr).AddrPort().Port()))
		if (err == nil) != c.good || c.good && out.operations < fewest {
			t.Errorf("%q: %+v, %v", c.answer, out, err)
		}
	}
}

// A guest without drivers for vsock is not measured.
func TestGuestWithoutVsock(t *testing.T) {
	got := record(t, "exit 1\n", func(o *Options, g guest.Guest) {
		o.Groups = map[string]bool{"vsock": true}
		o.Round(g, 1)
	})
	if len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestNoise(t *testing.T) {
	start := time.Now()
	from := usage{at: start, busy: 100 * time.Second, ours: 10 * time.Second}
	to := usage{at: start.Add(time.Second), busy: 100*time.Second + 800*time.Millisecond, ours: 10*time.Second + 500*time.Millisecond, steal: 200 * time.Millisecond}
	n := noise(from, to)
	if want := 1.5; n.Other/n.Steal < want-0.01 || n.Other/n.Steal > want+0.01 {
		t.Errorf("%+v: 300 ms of others to 200 ms stolen", n)
	}
}
