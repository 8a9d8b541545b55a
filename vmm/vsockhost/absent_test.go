package vsockhost

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/vmm/vhostuser/vhosttest"
	"wick/vsock"
	"wick/vsock/hybrid"
)

// lines is a log that can be waited for.
type lines chan string

func newLines() lines { return make(lines, 1000) }

func (l lines) print(line string) { l <- line }

func (l lines) want(t *testing.T, part string) {
	t.Helper()
	end := time.After(20 * time.Second)
	var seen []string
	for {
		select {
		case line := <-l:
			if seen = append(seen, line); strings.Contains(line, part) {
				return
			}
		case <-end:
			t.Fatalf("no line with %q in the log: %q", part, seen)
		}
	}
}

// open makes a Host without a guest.
func open(t *testing.T, c Config) (*Host, lines) {
	t.Helper()
	log := newLines()
	c.Path, c.Log = filepath.Join(t.TempDir(), "v"), log.print
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, log
}

// start starts a guest of a Host, which ends by stop.
func start(t *testing.T, h *Host, change func(*vsock.Config)) (g *vhosttest.Guest, stop func()) {
	t.Helper()
	ours, theirs := vhosttest.Pair(t)
	served := make(chan error)
	go func() { served <- h.Serve(ours) }()
	g = vhosttest.NewGuest(t, theirs, h.config.CID, 0, change)
	return g, func() {
		t.Helper()
		g.Halt()
		theirs.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// Clients of a machine that isn't there wait as long as for a program that does not listen, and are told why there is nothing.
func TestMachineIsNotThere(t *testing.T) {
	h, log := open(t, Config{CID: cid, Wait: 50 * time.Millisecond})
	_, err := hybrid.Dial(h.config.Path, 52)
	const why = "guest port 52: the machine is not running; waited 50ms"
	if refused := new(hybrid.RefusedError); !errors.As(err, &refused) || refused.Reason != why {
		t.Errorf("%v", err)
	}
	log.want(t, "refused a connection: "+why)
}

// A client that has connected before the machine came gets its connection, and clients of the next machine get theirs.
func TestMachinesComeAndGo(t *testing.T) {
	h, _ := open(t, Config{CID: cid, Wait: time.Minute})
	for i := range 3 {
		got := make(chan error)
		go func() {
			c, err := hybrid.Dial(h.config.Path, 52)
			if err == nil {
				var b []byte
				b, err = io.ReadAll(c)
				if err == nil && string(b) != fmt.Sprint("machine ", i) {
					err = fmt.Errorf("%q", b)
				}
				c.Close()
			}
			got <- err
		}()
		for len(h.slots) == 0 { // it waits
			time.Sleep(time.Millisecond)
		}
		_, stop := start(t, h, func(c *vsock.Config) {
			c.Request = func(c *vsock.Conn) {
				c.Accept()
				c.Write(fmt.Append(nil, "machine ", i))
				c.Shutdown(vsock.ShutSend)
			}
		})
		if err := <-got; err != nil {
			t.Error(err)
		}
		stop()
		for len(h.slots) > 0 { // nothing is left of a machine that has ended
			time.Sleep(time.Millisecond)
		}
	}
}

// TestPublishRefused: of a port that leads to a machine that isn't there a TCP client gets RST, not an end that looks like an answer.
func TestPublishRefused(t *testing.T) {
	p, err := ParsePublish("tcp:127.0.0.1:0=80")
	if err != nil {
		t.Fatal(err)
	}
	h, log := open(t, Config{CID: cid, Wait: time.Millisecond, Publishes: []Publish{p}})
	var b []byte
	c, err := net.Dial("tcp", h.Publishes()[0].Target.TCP.String())
	if err == nil { // else RST was there before the connection was seen to be
		defer c.Close()
		b, err = io.ReadAll(c)
	}
	if len(b) > 0 || !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("%q, %v", b, err)
	}
	log.want(t, "refused a connection to tcp:127.0.0.1:")
}

// Clients that come and go while nobody answers them take no room from others.
func TestClientsThatGoFreeTheirRoom(t *testing.T) {
	h, log := open(t, Config{CID: cid, Wait: time.Minute, MaxConns: 3})
	storm := func() {
		for range 3 {
			c, err := net.Dial("unix", h.config.Path)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "CONNECT 52\n")
			for len(h.slots) == 0 {
				time.Sleep(time.Millisecond)
			}
			c.Close()
		}
		for len(h.slots) > 0 || len(h.waiting) > 0 {
			time.Sleep(time.Millisecond)
		}
		log.want(t, errClientGone.Error())
	}
	storm() // without a machine
	_, stop := start(t, h, func(c *vsock.Config) { c.Request = func(*vsock.Conn) {} })
	storm() // with one that does not answer
	stop()
}

// A client may send on while it waits, and end its direction: it is still there.
func TestWaitingClientHasSentAll(t *testing.T) {
	h, _ := open(t, Config{CID: cid, Wait: time.Minute})
	c, err := net.Dial("unix", h.config.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "CONNECT 52\nhello")
	c.(*net.UnixConn).CloseWrite()
	for len(h.slots) == 0 {
		time.Sleep(time.Millisecond)
	}
	_, stop := start(t, h, func(c *vsock.Config) {
		c.Request = func(c *vsock.Conn) {
			if c.Accept() == nil {
				go echo(newStream(c))
			}
		}
	})
	r := bufio.NewReader(c)
	r.ReadString('\n')
	if b, err := io.ReadAll(r); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	stop()
}

// fullBacklog listens at a path, and has as many wait there as may.
func fullBacklog(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), path)
	l, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for {
		c, err := net.Dial("unix", path)
		if errors.Is(err, unix.EAGAIN) {
			return l.(*net.UnixListener)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

// A service of the host that is slow to accept is waited for.
func TestFullBacklogIsWaitedFor(t *testing.T) {
	w := newWorld(t, 0, Config{})
	l := fullBacklog(t, w.path+"_7")
	got := make(chan error)
	go func() {
		_, err := w.dial(1, 7)
		got <- err
	}()
	for len(w.host.slots) == 0 {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-got:
		t.Fatalf("it was answered at once: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	for range 2 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// A guest that stops waiting frees its room at the host, and the log says what was waited for. It may ask again from the same port.
func TestGuestStopsWaiting(t *testing.T) {
	w := newWorld(t, 0, Config{})
	l := fullBacklog(t, w.path+"_7")
	for i := range 2 {
		c, err := w.guest.Connect(vsock.Addr{CID: cid, Port: 1}, vsock.Addr{CID: vsock.Host, Port: 7}, time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		for len(w.host.slots) == 0 { // until the host has begun to wait
			time.Sleep(time.Millisecond)
		}
		c.Reset() // as when its time is over
		w.wantLogs(": the guest has stopped waiting for it", i+1)
		for len(w.host.slots) > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := w.dial(1, 7); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}

// TestConnsAreBounded: each connection more than there may be is refused, with a line in the log.
func TestConnsAreBounded(t *testing.T) {
	w := newWorld(t, 0, Config{MaxConns: 2})
	w.listen(52, echo)
	w.mustConnect(52)
	w.mustConnect(52)
	if _, _, err := w.connect(52); err == nil || err.Error() != "ERR 2 connections are open" {
		t.Errorf("the third of the host: %v", err)
	}
	w.wantLog("refused a connection: 2 connections are open")
	if _, err := w.dial(1, 7); err != vsock.ErrRefused {
		t.Errorf("one of the guest: %v", err)
	}
	w.wantLog("refused the guest's connection to port 7: 2 connections are open")
}
