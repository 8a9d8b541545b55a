package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wick/vmm/vhostuser/vhosttest"
	"wick/vsock"
	"wick/vsock/hybrid"
)

// vsockCommand runs wick vsock with an input, and returns its output.
func vsockCommand(in io.Reader, args ...string) (string, error) {
	root := newRoot()
	root.SetArgs(append([]string{"vsock"}, args...))
	var out bytes.Buffer
	root.SetIn(in)
	root.SetOut(&out)
	err := root.Execute()
	return out.String(), err
}

// guestSocket is the socket of a device whose guest serves all ports.
func guestSocket(t *testing.T, serve func(c *net.UnixConn, port uint32)) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "v")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var port uint32
				fmt.Fscanf(c, "CONNECT %d\n", &port)
				if port == 1 {
					fmt.Fprintln(c, "ERR guest port 1: nothing in the guest listens there")
					return
				}
				fmt.Fprintln(c, "OK 1073741824")
				serve(c.(*net.UnixConn), port)
			}()
		}
	}()
	return path
}

func TestVsockConnect(t *testing.T) {
	path := guestSocket(t, func(c *net.UnixConn, port uint32) {
		b, _ := io.ReadAll(c) // the answer comes after the end of the question
		fmt.Fprintf(c, "port %d: %s", port, b)
	})
	out, err := vsockCommand(strings.NewReader("question"), "connect", path, "80")
	if out != "port 80: question" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := vsockCommand(strings.NewReader(""), "connect", path, "1"); err == nil || !strings.Contains(err.Error(), "nothing in the guest listens there") {
		t.Errorf("refused: %v", err)
	}
}

// TestVsockConnectEndsWithTheGuest: a standard input that never ends keeps nothing alive.
func TestVsockConnectEndsWithTheGuest(t *testing.T) {
	path := guestSocket(t, func(c *net.UnixConn, _ uint32) { io.WriteString(c, "bye") })
	in, _ := io.Pipe()
	if out, err := vsockCommand(in, "connect", path, "80"); out != "bye" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}

// TestVsockConnectSendsOn: a guest that ends its direction may still read.
func TestVsockConnectSendsOn(t *testing.T) {
	got := make(chan int, 1)
	path := guestSocket(t, func(c *net.UnixConn, _ uint32) {
		c.CloseWrite()
		b, _ := io.ReadAll(c)
		got <- len(b)
	})
	const size = 3 << 20
	if _, err := vsockCommand(bytes.NewReader(make([]byte, size)), "connect", path, "80"); err != nil {
		t.Error(err)
	}
	if n := <-got; n != size {
		t.Errorf("%d bytes came", n)
	}
}

// TestVsockConnectTellsWhatIsUnsent: who closes before the end of standard input has not got all of it.
func TestVsockConnectTellsWhatIsUnsent(t *testing.T) {
	path := guestSocket(t, func(c *net.UnixConn, _ uint32) { io.ReadFull(c, make([]byte, 1000)) })
	if _, err := vsockCommand(bytes.NewReader(make([]byte, 64<<20)), "connect", path, "80"); !errors.Is(err, errUnsent) {
		t.Errorf("got %v", err)
	}
}

// TestSourceIsAtWorkUnlessItWaits: between what it has read and the next Read there is something to be sent.
func TestSourceIsAtWorkUnlessItWaits(t *testing.T) {
	in, out := io.Pipe()
	s := &source{Reader: in}
	s.work.Lock()
	waits := make(chan struct{})
	go func() {
		s.work.Lock() // while Read waits
		close(waits)
		s.work.Unlock()
		out.Write([]byte("x"))
	}()
	if n, err := s.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	<-waits
	if s.work.TryLock() {
		t.Error("what was read is taken for sent")
	}
}

// TestVsockServeSeesThroughLinks: a socket has one place, by whatever folder it is named.
func TestVsockServeSeesThroughLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(".", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"link/p", "link/p_7"} {
		_, err := parseGuests([]string{"cid=8,socket=" + dir + "/q8,path=" + dir + "/p", "cid=9,socket=" + dir + "/q9,path=" + dir + "/" + other})
		if err == nil {
			t.Errorf("%s is taken", other)
		}
	}
}

// dialWhenThere connects to a socket that is about to be made.
func dialWhenThere(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.SetDeadline(end)
			return c.(*net.UnixConn)
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestVsockListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	type result struct {
		out string
		err error
	}
	ended := make(chan result)
	go func() {
		out, err := vsockCommand(strings.NewReader("answer"), "listen", path, "1024")
		ended <- result{out, err}
	}()
	c := dialWhenThere(t, path+"_1024")
	defer c.Close()
	io.WriteString(c, "question")
	c.CloseWrite()
	if b, err := io.ReadAll(c); string(b) != "answer" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if r := <-ended; r.out != "question" || r.err != nil {
		t.Errorf("%q, %v", r.out, r.err)
	}
	if _, err := os.Lstat(path + "_1024"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestVsockListenRunsCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	l, err := hybrid.Listen(path, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	context.AfterFunc(ctx, func() { l.Close() })
	ended := make(chan error)
	go func() { ended <- serveCommand(ctx, l, []string{"cat"}) }()
	for i := range 5 {
		c := dialWhenThere(t, path+"_1024")
		want := fmt.Sprint("connection ", i)
		io.WriteString(c, want)
		c.CloseWrite()
		if b, err := io.ReadAll(c); string(b) != want || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		c.Close()
	}
	open := dialWhenThere(t, path+"_1024") // whose cat has to be told to end
	defer open.Close()
	io.WriteString(open, "x")
	io.ReadFull(open, make([]byte, 1))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestVsockArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"connect", "v"}, "accepts 2 arg(s)"},
		{[]string{"connect", "v", "http"}, "not a vsock port"},
		{[]string{"connect", "v", "4294967295"}, "not a vsock port"},
		{[]string{"connect", "/nonexistent/v", "1"}, "no such file"},
		{[]string{"listen", "v"}, "want PATH PORT"},
		{[]string{"listen", "v", "1", "cat"}, "want PATH PORT"},
		{[]string{"listen", "v", "1", "--"}, "want PATH PORT"},
		{[]string{"listen", "v", "--", "1", "cat"}, "want PATH PORT"},
		{[]string{"connect", "", "1"}, "the path of the socket is empty"},
		{[]string{"listen", "", "1"}, "the path of the socket is empty"},
		{[]string{"serve"}, "which machines"},
		{[]string{"serve", "--guest", ""}, "none of cid, socket"},
		{[]string{"serve", "--guest", "cid=3,cid=4,socket=a,path=b"}, "cid is there twice"},
		{[]string{"serve", "--guest", "cid=4294967295,socket=a,path=b"}, "not between 3"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b,group="}, "group has no name"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=./a"}, "socket ./a is there twice"},
		{[]string{"serve", "--guest", "cid=3,socket=,path=b"}, "is empty"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b,map=1=/x,map=1=/y"}, "port 1 is mapped twice"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b,map=1=tcp:127.0.0.1:0"}, "TCP port 0"},
		{[]string{"serve", "--guest", "cid=3,socket=b_7,path=b"}, "b_7 would be a port of the host for the guest of b"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b", "--guest", "cid=4,socket=c,path=b_80"}, "b_80 would be a port of the host for the guest of b"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b", "--wait", "-1s"}, "--wait: -1s is negative"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b", "--conns", "0"}, "--conns: 0 is not between 1 and 65536"},
		{[]string{"serve", "--guest", "cid=3,socket=/nonexistent/a,path=/nonexistent/b"}, "--guest cid=3: listen unix /nonexistent/b: bind: no such file"},
		{[]string{"serve", "--guest", "cid=3"}, "want cid, socket and path"},
		{[]string{"serve", "--guest", "cid=2,socket=a,path=b"}, "not between 3"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b,uid=0"}, "none of cid, socket"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b,map=x"}, "want PORT="},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b", "--guest", "cid=3,socket=c,path=d"}, "CID 3 is there twice"},
		{[]string{"serve", "--guest", "cid=3,socket=a,path=b", "--guest", "cid=4,socket=b,path=d"}, "socket b is there twice"},
	} {
		if _, err := vsockCommand(strings.NewReader(""), c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}

// testOptions are those of a serve in a test.
func testOptions(t *testing.T) serveOptions {
	return serveOptions{wait: time.Minute, conns: 100, hello: time.Minute, print: func(cid uint32, line string) { t.Logf("%d: %s", cid, line) }}
}

// TestVsockServe has two machines, one of which is started twice.
func TestVsockServe(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	guests, err := parseGuests([]string{
		fmt.Sprintf("cid=3,socket=%s,path=%s,map=9=%s", at("q3"), at("v3"), at("nine")), fmt.Sprintf("cid=4,socket=%s,path=%s", at("q4"), at("v4")),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- serveGuests(ctx, guests, testOptions(t)) }()
	greet := func(cid uint32) func(*vsock.Config) {
		return func(c *vsock.Config) {
			c.Request = func(c *vsock.Conn) {
				c.Accept()
				fmt.Fprintf(writer{c}, "guest %d, port %d", cid, c.Local().Port)
				c.Shutdown(vsock.ShutSend)
			}
		}
	}
	conn := dialWhenThere(t, at("q4"))
	defer conn.Close()
	four := vhosttest.NewGuest(t, conn, 4, 0, greet(4))
	for range 2 {
		conn := dialWhenThere(t, at("q3"))
		three := vhosttest.NewGuest(t, conn, 3, 0, greet(3))
		for cid := range 2 {
			c, err := hybrid.Dial(at(fmt.Sprint("v", 3+cid)), 77)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(c); string(b) != fmt.Sprintf("guest %d, port 77", 3+cid) || err != nil {
				t.Errorf("%q, %v", b, err)
			}
			c.Close()
		}
		three.Halt()
		conn.Close()
	}
	four.Halt()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, name := range []string{"q3", "q4", "v3", "v4"} {
		if _, err := os.Lstat(at(name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}

// writer is a connection with room for what is written.
type writer struct{ *vsock.Conn }

// TestVsockServeGroups: machines of a group reach each other, others don't.
func TestVsockServeGroups(t *testing.T) {
	dir := t.TempDir()
	var list []string
	for cid, group := range map[int]string{3: ",group=a", 4: ",group=a", 5: ",group=b", 6: ""} {
		list = append(list, fmt.Sprintf("cid=%d,socket=%s/q%d,path=%s/v%d%s", cid, dir, cid, dir, cid, group))
	}
	all, err := parseGuests(list)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- serveGuests(ctx, all, testOptions(t)) }()
	guests := make(map[uint32]*vhosttest.Guest)
	asked := make(chan *vsock.Conn, 10)
	for _, g := range all {
		conn := dialWhenThere(t, g.socket)
		defer conn.Close()
		guests[g.cid] = vhosttest.NewGuest(t, conn, g.cid, 0, func(c *vsock.Config) {
			c.Request = func(c *vsock.Conn) {
				if c.Local().Port == 1 {
					c.Refuse(vsock.DropNoListener)
					return
				}
				c.Accept()
				asked <- c
			}
		})
	}
	// connect connects from one machine to another, and returns both ends, or the error.
	connect := func(from, to, port uint32) (mine, its *vsock.Conn, err error) {
		changed := make(chan struct{}, 1)
		c, err := guests[from].Connect(vsock.Addr{CID: from, Port: 1000 + to}, vsock.Addr{CID: to, Port: port}, 20*time.Second, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for c.Err() == vsock.ErrNotYet {
			<-changed
		}
		if c.Err() != nil {
			return nil, nil, c.Err()
		}
		return c, <-asked, nil
	}
	for range 2 {
		three, four, err := connect(3, 4, 99)
		if err != nil {
			t.Fatal(err)
		}
		if four.Peer() != three.Local() || four.Local() != three.Peer() {
			t.Errorf("%v-%v is %v-%v at the other end", three.Local(), three.Peer(), four.Local(), four.Peer())
		}
		sent := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
		for _, ends := range [][2]*vsock.Conn{{three, four}, {four, three}} {
			go func() {
				writeAll(ends[0], sent)
				ends[0].Shutdown(vsock.ShutSend)
			}()
			if got, err := readToEnd(ends[1]); !bytes.Equal(got, sent) || err != io.EOF {
				t.Errorf("%d bytes came, %v", len(got), err)
			}
		}
		three.Close()
		four.Close()
		for guests[3].Len()+guests[4].Len() > 0 { // the ports are free again
			time.Sleep(time.Millisecond)
		}
	}
	if _, _, err := connect(3, 4, 1); err != vsock.ErrRefused {
		t.Errorf("a port that is not served: %v", err)
	}
	for _, pair := range [][2]uint32{{3, 5}, {5, 3}, {6, 3}, {3, 6}, {3, 77}} {
		if _, _, err := connect(pair[0], pair[1], 99); err != vsock.ErrRefused {
			t.Errorf("%d to %d: %v", pair[0], pair[1], err)
		}
	}
	three, four, err := connect(3, 4, 99)
	if err != nil {
		t.Fatal(err)
	}
	guests[4].Halt()
	if _, err := readToEnd(three); !errors.Is(err, vsock.ErrReset) {
		t.Errorf("a machine that has ended: %v, %v", err, four.Err())
	}
	for _, g := range guests {
		g.Halt()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// readToEnd reads until there is no more, and returns why.
func readToEnd(c *vsock.Conn) (all []byte, err error) {
	for b := make([]byte, 64<<10); ; {
		n, err := c.Read(b)
		all = append(all, b[:n]...)
		if err == vsock.ErrWait {
			time.Sleep(100 * time.Microsecond)
		} else if err != nil {
			return all, err
		}
	}
}

func writeAll(c *vsock.Conn, p []byte) {
	for len(p) > 0 {
		n, err := c.Write(p)
		if p = p[n:]; err == vsock.ErrWait {
			time.Sleep(100 * time.Microsecond)
		} else if err != nil {
			return
		}
	}
}
