package vsockhost

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wick/vmm/vhostuser/vhosttest"
	"wick/vsock"
	"wick/vsock/hybrid"
)

// world is a host with a guest, whose driver behaves.
type world struct {
	t     *testing.T
	host  *Host
	guest *vhosttest.Guest
	path  string

	mu    sync.Mutex
	log   []string                 // guarded by mu, as all below
	ports map[uint32]func(*stream) // what listens in the guest
	asked chan struct{}            // of the log
}

const cid = 5

func newWorld(t *testing.T, features uint64, c Config) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "v"), ports: make(map[uint32]func(*stream)), asked: make(chan struct{}, 1000)}
	c.CID, c.Path = cid, w.path
	c.Log = func(line string) {
		w.mu.Lock()
		w.log = append(w.log, line)
		w.mu.Unlock()
		w.asked <- struct{}{}
	}
	var err error
	if w.host, err = New(c); err != nil {
		t.Fatal(err)
	}
	ours, theirs := vhosttest.Pair(t)
	served := make(chan error)
	go func() { served <- w.host.Serve(ours) }()
	t.Cleanup(func() {
		theirs.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		w.host.Close()
	})
	w.guest = vhosttest.NewGuest(t, theirs, cid, features, func(c *vsock.Config) { c.Request = w.request })
	return w
}

// listen has a port of the guest served.
func (w *world) listen(port uint32, serve func(*stream)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ports[port] = serve
}

func (w *world) request(c *vsock.Conn) {
	w.mu.Lock()
	serve := w.ports[c.Local().Port]
	w.mu.Unlock()
	if serve == nil {
		c.Refuse(vsock.DropNoListener)
		return
	}
	if c.Accept() == nil {
		go serve(newStream(c))
	}
}

// wantLog waits for a line of the log.
func (w *world) wantLog(want string) {
	w.t.Helper()
	w.wantLogs(want, 1)
}

// wantLogs waits for n such lines.
func (w *world) wantLogs(want string, n int) {
	w.t.Helper()
	for {
		w.mu.Lock()
		log := slices.Clone(w.log)
		w.mu.Unlock()
		found := 0
		for _, line := range log {
			if strings.Contains(line, want) {
				found++
			}
		}
		if found >= n {
			return
		}
		select {
		case <-w.asked:
		case <-time.After(20 * time.Second):
			w.t.Fatalf("%d lines with %q in the log, want %d: %q", found, want, n, log)
		}
	}
}

// stream is a vsock connection of the guest with calls that block.
type stream struct {
	*vsock.Conn
	changed chan struct{}
}

func newStream(c *vsock.Conn) *stream {
	s := &stream{c, make(chan struct{}, 1)}
	c.Notify(func() {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	})
	return s
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		if n, err := s.Conn.Read(p); err != vsock.ErrWait {
			return n, err
		}
		<-s.changed
	}
}

func (s *stream) Write(p []byte) (done int, err error) {
	for done < len(p) {
		n, err := s.Conn.Write(p[done:])
		done += n
		if err == vsock.ErrWait {
			<-s.changed
		} else if err != nil {
			return done, err
		}
	}
	return done, nil
}

// dial connects the guest to a port of the host.
func (w *world) dial(local, port uint32) (*stream, error) {
	return w.dialTo(vsock.Addr{CID: vsock.Host, Port: port}, local)
}

func (w *world) dialTo(to vsock.Addr, local uint32) (*stream, error) {
	changed := make(chan struct{}, 1)
	c, err := w.guest.Connect(vsock.Addr{CID: cid, Port: local}, to, 20*time.Second, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	for c.Err() == vsock.ErrNotYet {
		<-changed
	}
	return newStream(c), c.Err()
}

// connect connects a client of the host to a port of the guest.
func (w *world) connect(port uint32) (*net.UnixConn, *bufio.Reader, error) {
	c, err := net.Dial("unix", w.path)
	if err != nil {
		return nil, nil, err
	}
	w.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "CONNECT %d\n", port)
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "OK ") {
		err = errors.New(strings.TrimSpace(line))
	}
	return c.(*net.UnixConn), r, err
}

func (w *world) mustConnect(port uint32) (*net.UnixConn, *bufio.Reader) {
	w.t.Helper()
	c, r, err := w.connect(port)
	if err != nil {
		w.t.Fatal(err)
	}
	return c, r
}

func echo(s *stream) {
	io.Copy(s, s)
	s.Shutdown(vsock.ShutSend)
	s.Close()
}

// kinds of drivers
var drivers = map[string]uint64{"plain": 0, "event-idx": vhosttest.EventIdx}

func TestHostToGuest(t *testing.T) {
	for name, features := range drivers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, features, Config{})
			w.listen(52, echo)
			for range 50 {
				c, r := w.mustConnect(52)
				c.Write([]byte("hello"))
				c.CloseWrite()
				if got, err := io.ReadAll(r); string(got) != "hello" || err != nil {
					t.Fatalf("%q, %v", got, err)
				}
				c.Close()
			}
		})
	}
}

// Sockets that are the guest's are PATH_PORT.
func TestGuestToHost(t *testing.T) {
	for name, features := range drivers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, features, Config{})
			l, err := net.Listen("unix", w.path+"_9")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go serveEcho(l)
			for i := range uint32(50) {
				s, err := w.dial(1000+i, 9)
				if err != nil {
					t.Fatal(err)
				}
				s.Write([]byte("hello"))
				s.Shutdown(vsock.ShutSend)
				if got, err := io.ReadAll(s); string(got) != "hello" || err != nil {
					t.Fatalf("%q, %v", got, err)
				}
				s.Close()
			}
		})
	}
}

func serveEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			io.Copy(c, c)
			c.(interface{ CloseWrite() error }).CloseWrite()
			io.Copy(io.Discard, c)
			c.Close()
		}()
	}
}

// pattern returns bytes that are everywhere different.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func TestBulkBothWays(t *testing.T) {
	for name, features := range drivers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, features, Config{})
			data := pattern(8 << 20)
			sum := make(chan [32]byte, 1)
			w.listen(1, func(s *stream) {
				in, out := ends(s.Conn)
				var writer sync.WaitGroup
				writer.Go(func() {
					out.Write(data)
					s.Shutdown(vsock.ShutSend)
				})
				h := sha256.New()
				io.Copy(h, in)
				sum <- [32]byte(h.Sum(nil))
				writer.Wait()
				s.Close()
			})
			c, r := w.mustConnect(1)
			go func() {
				c.Write(data)
				c.CloseWrite()
			}()
			got, err := io.ReadAll(r)
			if !bytes.Equal(got, data) || err != nil {
				t.Errorf("from the guest: %d bytes, %v", len(got), err)
			}
			if <-sum != sha256.Sum256(data) {
				t.Error("to the guest: something else")
			}
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, vhosttest.EventIdx, Config{Wait: time.Minute}) // of a busy machine the last may not be answered in requestTime
	w.listen(52, echo)
	var work sync.WaitGroup
	for i := range 200 {
		work.Go(func() {
			c, r, err := w.connect(52)
			if err != nil {
				t.Error(err)
				return
			}
			want := strings.Repeat(fmt.Sprint(i, " "), 2000)
			go func() {
				io.WriteString(c, want)
				c.CloseWrite()
			}()
			if got, err := io.ReadAll(r); string(got) != want || err != nil {
				t.Errorf("connection %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	work.Wait()
}

// A program of the host that does not read stops its own connection only, and what is kept for it is bounded.
func TestSlowReaders(t *testing.T) {
	w := newWorld(t, 0, Config{})
	w.listen(52, echo)
	stuck := make(chan int, 1)
	w.listen(1, func(s *stream) {
		n := 0
		for {
			m, err := s.Conn.Write(make([]byte, 4096))
			if n += m; err == vsock.ErrWait {
				select {
				case <-s.changed:
					continue
				case <-time.After(200 * time.Millisecond):
				}
			}
			if err != nil {
				break
			}
		}
		stuck <- n
	})
	slow, _ := w.mustConnect(1)
	n := <-stuck
	if n > 1<<20 { // the buffers of two Unix-domain sockets, and ours
		t.Errorf("%d bytes were taken though nobody reads", n)
	}
	c, r := w.mustConnect(52)
	c.Write([]byte("x\n"))
	if line, err := r.ReadString('\n'); line != "x\n" || err != nil {
		t.Errorf("another connection: %q, %v", line, err)
	}
	slow.Close()
}

func TestConnectInPieces(t *testing.T) {
	w := newWorld(t, 0, Config{})
	w.listen(52, echo)
	c, err := net.Dial("unix", w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, piece := range []string{"co", "NNEC", "t 5", "2", "\r", "\nand what", " follows"} {
		c.Write([]byte(piece))
	}
	c.(*net.UnixConn).CloseWrite()
	got, err := io.ReadAll(c)
	ok, rest, _ := strings.Cut(string(got), "\n")
	if ok != fmt.Sprint("OK ", firstPort) || rest != "and what follows" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ send, answer string }{
		{"CONNECT 53\n", "guest port 53: the guest refuses it: nothing listens there, or there is no room for more"},
		{"HELLO 53\n", `"HELLO 53" is not CONNECT and a port`},
		{"CONNECT\n", `"CONNECT" is not CONNECT and a port`},
		{"CONNECT x\n", `"x" is not a vsock port (0 to 4294967294)`},
		{"CONNECT 4294967295\n", `"4294967295" is not a vsock port (0 to 4294967294)`},
		{"CONNECT 00000000000000000000000000000000053\n", "no newline in the first 32 bytes"},
		{"CONN", `the client ended after "CONN"`},
	} {
		w := newWorld(t, 0, Config{})
		conn, err := net.Dial("unix", w.path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.send)
		conn.(*net.UnixConn).CloseWrite()
		if got, _ := io.ReadAll(conn); !strings.HasPrefix(string(got), "ERR "+c.answer) {
			t.Errorf("%q: %q", c.send, got)
		}
		w.wantLog(c.answer)
		conn.Close()
	}
}

func TestGuestIsRefused(t *testing.T) {
	w := newWorld(t, 0, Config{})
	if _, err := w.dial(1, 7); err != vsock.ErrRefused {
		t.Errorf("%v", err)
	}
	w.wantLog("refused the guest's connection to port 7: dial unix " + w.path + "_7: connect: no such file or directory")
}

// A guest that connects to a machine that isn't there, or that it may not reach, is told at once.
func TestUnreachableMachineIsRefused(t *testing.T) {
	w := newWorld(t, 0, Config{})
	if _, err := w.dialTo(vsock.Addr{CID: 99, Port: 5}, 1); err != vsock.ErrRefused {
		t.Errorf("%v", err)
	}
	w.wantLog("refused the guest's connection to guest(99):5: there are no machines with CIDs here but the guest's, 5, and the host, 2")
}

// A connection waits for a guest that begins to listen later.
func TestWaitForListener(t *testing.T) {
	w := newWorld(t, 0, Config{Wait: time.Minute})
	asked := make(chan struct{})
	w.listen(51, echo)
	go func() {
		w.connect(51) // so that the next has been asked for already, or soon is
		close(asked)
	}()
	done := make(chan error)
	go func() {
		_, _, err := w.connect(52)
		done <- err
	}()
	<-asked
	w.listen(52, echo)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestWaitEnds: a client is told why the guest was not reached when it has waited as long as it may; a guest that refuses does not
// become one that does not answer because the last attempt is short.
func TestWaitEnds(t *testing.T) {
	for name, late := range map[string][]time.Duration{"refused in the end": {time.Minute}, "no answer in the end": {time.Minute - 1, time.Minute}} {
		t.Run(name, func(t *testing.T) {
			h, _ := open(t, Config{CID: cid, Wait: time.Minute})
			var passed atomic.Int64 // time, which passes when the guest is asked
			h.now = func() time.Time { return time.Unix(0, passed.Load()) }
			asked := 0
			_, stop := start(t, h, func(c *vsock.Config) {
				c.Request = func(c *vsock.Conn) {
					passed.Store(int64(late[min(asked, len(late)-1)]))
					if asked++; asked == 1 {
						c.Refuse(vsock.DropNoListener)
					}
				}
			})
			_, err := hybrid.Dial(h.config.Path, 52)
			const why = "guest port 52: the guest refuses it: nothing listens there, or there is no room for more; waited 1m0s"
			if refused := new(hybrid.RefusedError); !errors.As(err, &refused) || refused.Reason != why {
				t.Errorf("%v", err)
			}
			stop()
		})
	}
}

// TestWantOfRoomIsNotWaitedFor, so no client is told that it was.
func TestWantOfRoomIsNotWaitedFor(t *testing.T) {
	h, _ := open(t, Config{CID: cid, Wait: time.Minute})
	if err := h.waited(vsock.ErrTooMany); err != vsock.ErrTooMany {
		t.Errorf("%v", err)
	}
}

func TestMaps(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	go serveEcho(tcp)
	dir := t.TempDir()
	l, err := net.Listen("unix", dir+"/sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go serveEcho(l)
	var maps []Map
	for _, s := range []string{"80=tcp:" + tcp.Addr().String(), "81=" + dir + "/sock"} {
		m, err := ParseMap(s)
		if err != nil {
			t.Fatal(err)
		}
		maps = append(maps, m)
	}
	w := newWorld(t, 0, Config{Maps: maps})
	for port := uint32(80); port < 82; port++ {
		s, err := w.dial(1000, port)
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte("hello"))
		s.Shutdown(vsock.ShutSend)
		if got, err := io.ReadAll(s); string(got) != "hello" || err != nil {
			t.Fatalf("port %d: %q, %v", port, got, err)
		}
		s.Close()
	}
}

func TestPublish(t *testing.T) {
	p, err := ParsePublish("tcp:127.0.0.1:0=52")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, 0, Config{Publishes: []Publish{p}})
	w.listen(52, echo)
	published := w.host.Publishes()[0]
	if published.Target.TCP.Port() == 0 || !strings.HasPrefix(published.String(), "127.0.0.1:") || !strings.HasSuffix(published.String(), " -> guest vsock port 52") {
		t.Errorf("%v", published)
	}
	c, err := net.Dial("tcp", published.Target.TCP.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("hello"))
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// How one end closes is how the other sees it.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		guest func(s *stream, result chan<- error)
		host  func(c *net.UnixConn) error
		want  error // of the guest
	}{
		{"the guest writes no more, and reads on", func(s *stream, result chan<- error) {
			s.Shutdown(vsock.ShutSend)
			b, err := io.ReadAll(s)
			if string(b) != "after the end" {
				err = fmt.Errorf("%q, %w", b, err)
			}
			result <- err
		}, func(c *net.UnixConn) error {
			if _, err := io.Copy(io.Discard, c); err != nil {
				return err
			}
			_, err := io.WriteString(c, "after the end")
			c.CloseWrite()
			return err
		}, nil},
		{"the host writes no more, and reads on", func(s *stream, result chan<- error) {
			_, err := io.Copy(io.Discard, s)
			s.Write([]byte("after the end"))
			s.Close()
			result <- err
		}, func(c *net.UnixConn) error {
			c.CloseWrite()
			b, err := io.ReadAll(c)
			if string(b) != "after the end" {
				err = fmt.Errorf("%q, %w", b, err)
			}
			return err
		}, nil},
		{"the guest reads no more", func(s *stream, result chan<- error) {
			s.Shutdown(vsock.ShutReceive)
			result <- nil
		}, func(c *net.UnixConn) error {
			for {
				if _, err := c.Write(make([]byte, 1000)); err != nil {
					if strings.Contains(err.Error(), "broken pipe") {
						err = nil
					}
					return err
				}
			}
		}, nil},
		{"the host closes, and the guest, which only writes, learns it", func(s *stream, result chan<- error) {
			for {
				if _, err := s.Write(make([]byte, 1000)); err != nil {
					result <- err
					return
				}
			}
		}, func(c *net.UnixConn) error { return c.Close() }, vsock.ErrShutdown},
		{"the host closes, and the guest, which only waits, learns it", func(s *stream, result chan<- error) {
			for !s.Status().Broken {
				<-s.changed
			}
			result <- s.Err()
		}, func(c *net.UnixConn) error { return c.Close() }, nil},
		{"the guest resets", func(s *stream, result chan<- error) {
			_, err := s.Read(make([]byte, 1))
			s.Reset()
			result <- err
		}, func(c *net.UnixConn) error {
			c.Write([]byte("x"))
			_, err := io.Copy(io.Discard, c)
			return err
		}, nil},
		{"the guest closes and the host never does", func(s *stream, result chan<- error) {
			s.Write([]byte("bye"))
			s.Close()
			result <- nil
		}, func(c *net.UnixConn) error {
			_, err := io.Copy(io.Discard, c)
			return err
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 0, Config{})
			result := make(chan error, 1)
			w.listen(52, func(s *stream) { c.guest(s, result) })
			conn, _ := w.mustConnect(52)
			if err := c.host(conn); err != nil {
				t.Errorf("the host: %v", err)
			}
			if err := <-result; !errors.Is(err, c.want) {
				t.Errorf("the guest: %v, want %v", err, c.want)
			}
		})
	}
}

// TestWaitingWriterLearnsThatNobodyReads: a client for whose data there is no room any more when the guest ends its reading.
func TestWaitingWriterLearnsThatNobodyReads(t *testing.T) {
	w := newWorld(t, 0, Config{})
	shut := make(chan struct{})
	w.listen(52, func(s *stream) {
		<-shut
		s.Shutdown(vsock.ShutReceive)
	})
	c, _ := w.mustConnect(52)
	for full := false; !full; { // no more goes for a while
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := c.Write(make([]byte, 1<<20))
		full = n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
	}
	c.SetWriteDeadline(time.Now().Add(time.Minute))
	close(shut)
	if _, err := c.Write(make([]byte, 16<<20)); !errors.Is(err, syscall.EPIPE) { // should there be room, for a slow host has gone on
		t.Errorf("the client: %v", err)
	}
}

// TestGuestReboots: connections are over, and new ones work.
func TestGuestReboots(t *testing.T) {
	for name, features := range drivers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, features, Config{})
			w.listen(52, echo)
			c, r := w.mustConnect(52)
			c.Write([]byte("x\n"))
			r.ReadString('\n')
			w.guest.Halt()
			if b, err := io.ReadAll(r); len(b) != 0 || err != nil {
				t.Errorf("%q, %v", b, err)
			}
			w.guest.Run(features)
			c, r = w.mustConnect(52)
			c.Write([]byte("y\n"))
			if line, err := r.ReadString('\n'); line != "y\n" || err != nil {
				t.Errorf("after the reboot: %q, %v", line, err)
			}
		})
	}
}

// What the guest has sent reaches its reader though the guest is gone.
func TestGuestEndsWithDataOnTheWay(t *testing.T) {
	w := newWorld(t, 0, Config{})
	sent := make(chan struct{})
	w.listen(52, func(s *stream) {
		s.Write(pattern(30000))
		for s.Status().Unsent > 0 {
			<-s.changed
		}
		s.Close()
		close(sent)
	})
	c, r := w.mustConnect(52)
	defer c.Close()
	<-sent
	for w.guest.Len() > 0 { // until the host has answered the end: what lies in a ring is lost with the guest
		time.Sleep(time.Millisecond)
	}
	w.guest.Halt()
	if got, err := io.ReadAll(r); len(got) != 30000 || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestPathIsTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	os.WriteFile(path, nil, 0o666)
	if _, err := New(Config{Path: path}); err == nil || !strings.HasSuffix(err.Error(), "is there and is no socket") {
		t.Errorf("a file: %v", err)
	}
	os.Remove(path)
	h, err := New(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Path: path}); err == nil || !strings.HasSuffix(err.Error(), "is in use: somebody listens there") {
		t.Errorf("a socket in use: %v", err)
	}
	h.cancel()
	h.listeners[0].Listener.(*hybrid.UnixListener).UnixListener.Close() // as when wick is killed
	h.Close()
	h, err = New(Config{Path: path})
	if err != nil {
		t.Fatalf("a socket that was left behind: %v", err)
	}
	h.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left behind: %v", err)
	}
	if _, err := New(Config{Path: "/tmp/" + strings.Repeat("x", 100)}); err == nil {
		t.Error("a path that is too long for PATH_PORT")
	}
}

// A client that says nothing takes nothing from the connections that there can be.
func TestSilentClientsTakeNoConnection(t *testing.T) {
	w := newWorld(t, 0, Config{})
	w.listen(52, echo)
	for range 10 {
		c, err := net.Dial("unix", w.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for len(w.host.waiting) < 10 {
		time.Sleep(time.Millisecond)
	}
	if n := len(w.host.slots); n != 0 {
		t.Errorf("%d connections", n)
	}
	w.mustConnect(52)
	if n := len(w.host.slots); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestPublishedAtIPv4Only(t *testing.T) {
	p, err := ParsePublish("tcp:0.0.0.0:0=80")
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Target.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a := l.Addr().(*net.TCPAddr).AddrPort().Addr(); !a.Is4() {
		t.Errorf("listens at %v", a)
	}
}
