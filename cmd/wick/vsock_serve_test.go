package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/vmm/vhostuser/vhosttest"
	"wick/vsock"
	"wick/vsock/hybrid"
)

// daemon is a serve with two machines, 3 and 4.
type daemon struct {
	t    *testing.T
	dir  string
	log  chan string
	seen []string // lines of the log that nothing has been wanted of yet
}

func startDaemon(t *testing.T, change func(*serveOptions)) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: t.TempDir(), log: make(chan string, 1000)}
	guests, err := parseGuests([]string{
		fmt.Sprintf("cid=3,socket=%s,path=%s", d.at("q3"), d.at("v3")), fmt.Sprintf("cid=4,socket=%s,path=%s", d.at("q4"), d.at("v4")),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions(t)
	o.print = func(cid uint32, line string) { d.log <- fmt.Sprintf("%d: %s", cid, line) }
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- serveGuests(ctx, guests, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serveGuests: %v", err)
		}
		if left, err := os.ReadDir(d.dir); len(left) > 0 || err != nil {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	d.want("3: waiting for QEMU")
	return d
}

func (d *daemon) at(name string) string { return filepath.Join(d.dir, name) }

// want waits for a line of the log. Lines may come in any order.
func (d *daemon) want(part string) {
	d.t.Helper()
	d.wantOne(part)
}

// wantOne waits for a line with one of some parts, and returns which.
func (d *daemon) wantOne(parts ...string) string {
	d.t.Helper()
	end := time.After(time.Minute)
	for at := 0; ; at++ {
		for at == len(d.seen) {
			select {
			case line := <-d.log:
				d.seen = append(d.seen, line)
			case <-end:
				d.t.Fatalf("no line with one of %q in the log: %q", parts, d.seen)
			}
		}
		for _, part := range parts {
			if strings.Contains(d.seen[at], part) {
				d.seen = slices.Delete(d.seen, at, at+1)
				return part
			}
		}
	}
}

// boot starts a machine whose ports say hello.
func (d *daemon) boot(cid uint32) (g *vhosttest.Guest, stop func()) {
	d.t.Helper()
	conn := dialWhenThere(d.t, d.at(fmt.Sprint("q", cid)))
	g = vhosttest.NewGuest(d.t, conn, cid, 0, func(c *vsock.Config) {
		c.Request = func(c *vsock.Conn) {
			c.Accept()
			fmt.Fprint(writer{c}, "hello")
			c.Shutdown(vsock.ShutSend)
		}
	})
	return g, func() {
		g.Halt()
		conn.Close()
	}
}

// works wants a machine to be reached.
func (d *daemon) works(cid uint32) {
	d.t.Helper()
	c, err := hybrid.Dial(d.at(fmt.Sprint("v", cid)), 77)
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); string(b) != "hello" || err != nil {
		d.t.Errorf("machine %d: %q, %v", cid, b, err)
	}
}

// TestVsockServeWithoutQEMU: clients wait for a machine that isn't there no longer than they may, and are told.
func TestVsockServeWithoutQEMU(t *testing.T) {
	d := startDaemon(t, func(o *serveOptions) { o.wait = 50 * time.Millisecond })
	_, err := hybrid.Dial(d.at("v3"), 77)
	if refused := new(hybrid.RefusedError); !errors.As(err, &refused) || refused.Reason != "guest port 77: the machine is not running; waited 50ms" {
		t.Errorf("%v", err)
	}
	d.want("3: refused a connection: guest port 77: the machine is not running")
}

// TestVsockServeSilentClients: clients that are no QEMU don't keep it out.
func TestVsockServeSilentClients(t *testing.T) {
	d := startDaemon(t, nil)
	silent := dialWhenThere(t, d.at("q3"))
	defer silent.Close()
	garbage := dialWhenThere(t, d.at("q3"))
	defer garbage.Close()
	io.WriteString(garbage, "GET / HTTP/1.0\r\n\r\n")
	d.want("3: a client of " + d.at("q3") + ` is no QEMU: it does not speak vhost-user: "GET / HTTP/1`)
	dialWhenThere(t, d.at("q3")).Close()
	d.want("is no QEMU: it has ended without a word")

	_, stop := d.boot(3)
	d.works(3) // while the first client is silent
	stop()
}

// TestVsockServeSlowClients: clients that say nothing in time, or no more than the first word, have to go.
func TestVsockServeSlowClients(t *testing.T) {
	d := startDaemon(t, func(o *serveOptions) { o.hello = 50 * time.Millisecond })
	silent := dialWhenThere(t, d.at("q3"))
	defer silent.Close()
	d.want("is no QEMU: it has said nothing in 50ms")
	if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the silent client: %v", err)
	}
	const nothing, noMore = "it has said nothing in 50ms", "it did not take the device in 50ms"
	for said := nothing; said == nothing; { // as long as this test is itself too slow for the first word
		half := dialWhenThere(t, d.at("q3"))
		vhosttest.New(t, half, 0, 0).TrySend(vhosttest.GetFeatures, 1, nil)
		said = d.wantOne(nothing, noMore)
		half.Close()
	}
}

// TestVsockServeSecondQEMU waits for the end of the first, which is in the log.
func TestVsockServeSecondQEMU(t *testing.T) {
	d := startDaemon(t, nil)
	_, stop := d.boot(3)
	d.works(3)
	booted := make(chan func())
	go func() {
		_, stop := d.boot(3)
		booted <- stop
	}()
	d.want("3: another QEMU waits at " + d.at("q3"))
	d.works(3)
	stop()
	stop = <-booted
	d.works(3)
	stop()
}

// TestVsockServeBadMachine: one that breaks the protocol or its rings loses its device, and nobody else anything.
func TestVsockServeBadMachine(t *testing.T) {
	d := startDaemon(t, nil)
	_, stop := d.boot(4)
	defer stop()
	bad := dialWhenThere(t, d.at("q3"))
	defer bad.Close()
	f := vhosttest.New(t, bad, 2, 16)
	f.Handshake()
	f.Send(99, nil)
	d.want("3: vhost-user: the front-end violates the protocol: request 99")
	d.works(4)

	g, stop3 := d.boot(3)
	d.works(3)
	var breaking sync.WaitGroup
	broken := make(chan struct{})
	breaking.Go(func() { // again and again, as the driver may still have had something to send, and set the index itself
		for {
			g.Queues[1].SetIndex(1000) // a ring of 16 entries
			g.Queues[1].Kick.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
			select {
			case <-broken:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	d.want("3: the device has stopped until the guest resets it")
	close(broken)
	breaking.Wait()
	d.works(4)
	g.Halt()
	g.Run(0) // which a reset does
	d.works(3)
	d.works(4)
	stop3()
}

// TestVsockServeWithoutDescriptors: when the process can have no more files, clients wait until it can; nothing ends.
func TestVsockServeWithoutDescriptors(t *testing.T) {
	d := startDaemon(t, nil)
	_, stop := d.boot(3)
	defer stop()
	d.works(3)
	var clients []int
	for range 2 { // sockets that need no descriptor later
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		clients = append(clients, fd)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = 3 // there are more already
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	restore := func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }
	defer restore()
	for i, name := range []string{"q4", "v3"} {
		if err := unix.Connect(clients[i], &unix.SockaddrUnix{Name: d.at(name)}); err != nil {
			t.Fatal(err)
		}
		d.want("too many open files")
	}
	restore()
	d.works(3)
	_, stop4 := d.boot(4)
	d.works(4)
	stop4()
}

// TestVsockServePeers: an unknown CID and a machine that may not be reached are told apart.
func TestVsockServePeers(t *testing.T) {
	all := services{
		3: {servedGuest: servedGuest{cid: 3, group: "a"}}, 4: {servedGuest: servedGuest{cid: 4, group: "a"}},
		5: {servedGuest: servedGuest{cid: 5, group: "b"}}, 6: {servedGuest: servedGuest{cid: 6}}, 7: {servedGuest: servedGuest{cid: 7}},
	}
	for _, c := range []struct {
		from, to uint32
		want     string
	}{
		{3, 4, ""},
		{3, 3, "that is the guest itself"},
		{3, 5, "not allowed: machine 5 is in no group with machine 3"},
		{6, 7, "not allowed: machine 7 is in no group with machine 6"},
		{3, 99, "no machine here has the CID 99"},
	} {
		if _, err := all.peer(c.from, c.to); fmt.Sprint(err) != c.want && (err != nil || c.want != "") {
			t.Errorf("%d to %d: %v", c.from, c.to, err)
		}
	}
}
