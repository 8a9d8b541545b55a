package hybrid

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// device is a socket of a device that gives each client an answer.
func device(t *testing.T, answer func(c net.Conn)) (path string) {
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
				answer(c)
			}()
		}
	}()
	return path
}

// says answers the first line with a text.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		b := make([]byte, 100)
		c.Read(b)
		io.WriteString(c, text)
	}
}

func TestDial(t *testing.T) {
	asked := make(chan string, 1)
	path := device(t, func(c net.Conn) {
		b := make([]byte, 100)
		n, _ := c.Read(b)
		asked <- string(b[:n])
		io.WriteString(c, "OK 1073741824\nearly data") // in one piece
	})
	c, err := Dial(path, 52)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := <-asked; got != "CONNECT 52\n" {
		t.Errorf("asked %q", got)
	}
	if l, r := c.LocalAddr(), c.RemoteAddr(); l.String() != path+":1073741824" || r.String() != path+":52" || r.Network() != "vsock" {
		t.Errorf("addresses %v, %v", l, r)
	}
	if b, err := io.ReadAll(c); string(b) != "early data" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestDialRefused(t *testing.T) {
	for answer, want := range map[string]string{
		"": ":52: connection refused",
		"ERR guest port 52: nothing in the guest listens there\n": ":52: connection refused: guest port 52: nothing in the guest listens there",
	} {
		_, err := Dial(device(t, says(answer)), 52)
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v", answer, err)
		}
	}
	for _, answer := range []string{"OK", "OK\n", "OK x\n", "OK 4294967296\n", "SSH-2.0-OpenSSH\r\n", strings.Repeat("x", 5000)} {
		if _, err := Dial(device(t, says(answer)), 52); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.20q: %v", answer, err)
		}
	}
	if _, err := Dial(filepath.Join(t.TempDir(), "v"), 52); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
}

func TestDialContextEnds(t *testing.T) {
	path := device(t, func(c net.Conn) { io.Copy(io.Discard, c) }) // never answers
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := DialContext(ctx, path, 52); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	l, err := Listen(path, 80)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, 80); err == nil {
		t.Error("two listen at one port")
	}
	if c, err := net.Dial("unix", path+"_80"); err != nil {
		t.Fatal(err)
	} else {
		defer c.Close()
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.LocalAddr().String() != path+":80" || l.Addr() != c.LocalAddr() {
		t.Errorf("addresses %v, %v", l.Addr(), c.LocalAddr())
	}
	l.Close()
	if _, err := os.Lstat(path + "_80"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestListenAfterKill: a socket that a killed program has left gives way, a file does not.
func TestListenAfterKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	old, err := net.Listen("unix", path+"_80")
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	old.Close()
	l, err := Listen(path, 80)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.WriteFile(path+"_81", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, 81); err == nil {
		t.Error("a file gave way")
	}
}

func TestPathTooLong(t *testing.T) {
	path := "/tmp/" + strings.Repeat("x", 110)
	if _, err := Dial(path, 1); err == nil || !strings.Contains(err.Error(), "is longer than the 107 bytes") {
		t.Errorf("Dial: %v", err)
	}
	if _, err := Listen(path, 1); err == nil || !strings.Contains(err.Error(), "is longer than the 107 bytes") {
		t.Errorf("Listen: %v", err)
	}
}

// Whoever listens at a path already learns nothing of it when others try.
func TestListenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	l, err := Listen(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen(path, 1); err == nil || !strings.HasSuffix(err.Error(), "is in use: somebody listens there") {
		t.Errorf("the second Listen: %v", err)
	}
	l.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if c, err := l.Accept(); err == nil {
		t.Errorf("the first has got a connection: %v", c)
	}
}

// TestEmptyPath: the empty path is no name of a socket, though a system takes it for one that it chooses.
func TestEmptyPath(t *testing.T) {
	if _, err := Dial("", 1); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("Dial: %v", err)
	}
	if _, err := Listen("", 1); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("Listen: %v", err)
	}
	if _, err := ListenUnix(""); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("ListenUnix: %v", err)
	}
}

// TestCloseLeavesWhatIsOthers: a socket that has taken the place of ours in the meantime stays.
func TestCloseLeavesWhatIsOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of the other one: %v", err)
	}
}

// TestOneGetsAnAbandonedPath: of many that find a socket which a killed program has left one gets the path, and keeps it.
func TestOneGetsAnAbandonedPath(t *testing.T) {
	defer func(old time.Duration) { folderPatience = old }(folderPatience)
	folderPatience = time.Minute // a host may stop the one that has the lock for long
	path := filepath.Join(t.TempDir(), "v")
	for range 20 {
		old, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		old.(*net.UnixListener).SetUnlinkOnClose(false)
		old.Close()
		got := make(chan *UnixListener)
		for range 8 {
			go func() {
				l, err := ListenUnix(path)
				if err != nil && !strings.HasSuffix(err.Error(), "is in use: somebody listens there") {
					t.Error(err)
				}
				got <- l
			}()
		}
		var listeners []*UnixListener
		for range 8 {
			if l := <-got; l != nil {
				listeners = append(listeners, l)
			}
		}
		if len(listeners) != 1 {
			t.Fatalf("%d have it", len(listeners))
		}
		listeners[0].Close()
	}
}

// errOver is why a context of a test is over.
var errOver = errors.New("the test is over it")

// overWhenAwaited is a context that is over as soon as somebody waits for its end.
type overWhenAwaited struct {
	context.Context
	cancel context.CancelCauseFunc
}

func (o overWhenAwaited) Done() <-chan struct{} {
	o.cancel(errOver)
	return o.Context.Done()
}

// late is a context whose deadline has passed, and whose timer is yet to tell so.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Unix(1, 0), true }

// TestDeadlineComesBeforeItsTimer: until a context is over, its deadline makes no error of its own.
func TestDeadlineComesBeforeItsTimer(t *testing.T) {
	path := device(t, func(net.Conn) {})
	c, err := DialUnix(late{t.Context()}, path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestDialWaitsForRoom: a full backlog is waited for, as long as the context lasts.
func TestDialWaitsForRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	first, err := DialUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	if c, err := DialUnix(overWhenAwaited{ctx, cancel}, path); !errors.Is(err, syscall.EAGAIN) || !errors.Is(err, errOver) {
		t.Errorf("%v, %v", c, err)
	}
	got := make(chan error)
	go func() {
		c, err := DialUnix(t.Context(), path)
		if err == nil {
			c.Close()
		}
		got <- err
	}()
	if conn, _, err := syscall.Accept(fd); err != nil {
		t.Error(err)
	} else {
		defer syscall.Close(conn)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}
