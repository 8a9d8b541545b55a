package session

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"wick/hostlink"
)

// fakeVM is a machine that ends when it is told to, or when the test ends it.
type fakeVM struct {
	link   net.Conn // the session's end, closed when the machine ends
	once   sync.Once
	ended  chan struct{}
	kill   sync.Once
	killed chan struct{}
	events chan string // "pause", "resume"
}

func (v *fakeVM) end() {
	v.once.Do(func() {
		v.link.Close()
		close(v.ended)
	})
}

func (v *fakeVM) Kill() {
	v.kill.Do(func() { close(v.killed) })
	v.end()
}
func (v *fakeVM) Pause()                 { v.events <- "pause" }
func (v *fakeVM) Resume()                { v.events <- "resume" }
func (v *fakeVM) Ended() <-chan struct{} { return v.ended }

// guest is the other end of a session under test.
type guest struct {
	*testing.T
	vm      *fakeVM
	conn    net.Conn
	out     *hostlink.Writer
	in      *hostlink.Reader
	session *Session
	signals chan os.Signal
	stdin   *io.PipeWriter
	stdout  bytes.Buffer // read them after result
	stderr  bytes.Buffer
	results chan Result
}

// newGuest starts a session. Standard input is a pipe whose other end is g.stdin.
func newGuest(t *testing.T, change func(*Session)) *guest {
	t.Helper()
	ours, theirs := net.Pipe()
	g := &guest{
		T: t, conn: theirs, out: hostlink.NewWriter(theirs), in: hostlink.NewReader(theirs),
		vm:      &fakeVM{link: ours, ended: make(chan struct{}), killed: make(chan struct{}), events: make(chan string, 8)},
		signals: make(chan os.Signal, 4), results: make(chan Result, 1),
	}
	stdin, stdinWriter := io.Pipe()
	g.stdin = stdinWriter
	g.session = &Session{VM: g.vm, Link: ours, Stdin: stdin, Stdout: &g.stdout, Stderr: &g.stderr, Signals: g.signals}
	if change != nil {
		change(g.session)
	}
	over := make(chan struct{})
	go func() {
		g.results <- g.session.Run()
		close(over)
	}()
	t.Cleanup(func() {
		stdin.Close()
		g.vm.end()
		theirs.Close()
		<-over // the next test may change exitGrace
	})
	return g
}

func (g *guest) send(kind hostlink.Type, payload string) {
	g.Helper()
	if err := g.out.WriteFrame(kind, []byte(payload)); err != nil {
		g.Fatalf("sending %v: %v", kind, err)
	}
}

func (g *guest) ready() { g.send(hostlink.Ready, string(hostlink.AppendReady(nil))) }

func (g *guest) credit(n uint32) { g.send(hostlink.Credit, string(hostlink.AppendCredit(nil, n))) }

func (g *guest) exit(s hostlink.ExitStatus) { g.send(hostlink.Exit, string(s.Append(nil))) }

// expect reads a frame.
func (g *guest) expect(kind hostlink.Type, payload string) {
	g.Helper()
	f, err := g.in.Next()
	if err != nil || f.Type != kind || string(f.Payload) != payload {
		g.Fatalf("got %v %q, %v, want %v %q", f.Type, f.Payload, err, kind, payload)
	}
}

// expectSignal reads a signal for the program.
func (g *guest) expectSignal(sig syscall.Signal) {
	g.Helper()
	g.expect(hostlink.Signal, string([]byte{byte(sig)}))
}

func (g *guest) result() Result {
	g.Helper()
	select {
	case r := <-g.results:
		return r
	case <-time.After(time.Minute):
		g.Fatal("the session does not end")
		return Result{}
	}
}

func TestOutputIsByteForByte(t *testing.T) {
	order := ""
	var g *guest
	started := make(chan struct{})
	g = newGuest(t, func(s *Session) {
		s.OnReady = func() {
			<-started
			order = g.stdout.String() + "|"
		}
	})
	close(started)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	g.ready()
	g.send(hostlink.Stdout, string(all))
	g.send(hostlink.Stderr, "\x00err\r\n")
	g.send(hostlink.Stdout, "")
	g.send(hostlink.Stdout, "end")
	g.send(hostlink.Log, "log\n")
	g.send(hostlink.Dump, "dump\n")
	g.exit(hostlink.ExitStatus{Number: 3})
	g.vm.end()
	r := g.result()
	if !r.Exited || r.Exit.Number != 3 || r.Exit.Signalled || r.Stopped != 0 || !r.Ready || r.Err != nil || r.Skipped != 0 {
		t.Errorf("got %+v", r)
	}
	if got, want := g.stdout.String(), string(all)+"end"; got != want {
		t.Errorf("stdout: got %q, want %q", got, want)
	}
	if got, want := g.stderr.String(), "\x00err\r\nlog\ndump\n"; got != want {
		t.Errorf("stderr: got %q, want %q", got, want)
	}
	if order != "|" {
		t.Errorf("OnReady came after output %q", order)
	}
}

func TestStdinWaitsForCredit(t *testing.T) {
	g := newGuest(t, nil)
	g.ready()
	g.credit(3)
	go g.stdin.Write([]byte("abcdefgh"))
	g.expect(hostlink.Stdin, "abc")
	g.credit(1)
	g.expect(hostlink.Stdin, "d")
	g.credit(2)
	g.expect(hostlink.Stdin, "ef")
	g.credit(100)
	g.expect(hostlink.Stdin, "gh")
	go g.stdin.Close()
	g.expect(hostlink.StdinEOF, "")
	g.exit(hostlink.ExitStatus{Signalled: true, Number: uint32(syscall.SIGSEGV)})
	g.vm.end()
	if r := g.result(); !r.Exited || !r.Exit.Signalled || r.Exit.Number != uint32(syscall.SIGSEGV) {
		t.Errorf("got %+v", r)
	}
}

// countingReader tells of each Read.
type countingReader struct{ reads chan int }

func (c *countingReader) Read(p []byte) (int, error) {
	c.reads <- len(p)
	return 0, io.EOF
}

func TestStdinIsNotReadWithoutCredit(t *testing.T) {
	stdin := &countingReader{reads: make(chan int, 4)}
	g := newGuest(t, func(s *Session) { s.Stdin = stdin })
	g.ready()
	g.credit(0)
	g.send(hostlink.Stdout, "x") // the session has handled what came before
	if len(stdin.reads) != 0 {
		t.Fatal("read without credit")
	}
	g.credit(5)
	if n := <-stdin.reads; n != 5 {
		t.Errorf("read %d bytes with credit for 5", n)
	}
	g.expect(hostlink.StdinEOF, "")
}

func TestManyCreditsDoNotOverflow(t *testing.T) {
	var c credit
	c.init()
	c.bytes = 1<<64 - 2
	c.add(1<<32 - 1)
	if n := c.wait(10); n != 10 {
		t.Errorf("got %d", n)
	}
}

func TestLargeStdin(t *testing.T) {
	g := newGuest(t, nil)
	want := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	go func() {
		g.stdin.Write(want)
		g.stdin.Close()
	}()
	g.ready()
	g.credit(uint32(len(want) + 1))
	var got []byte
	for {
		f, err := g.in.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Type == hostlink.StdinEOF {
			break
		}
		got = append(got, f.Payload...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d, or others", len(got), len(want))
	}
}

func TestCtrlC(t *testing.T) {
	g := newGuest(t, nil)
	g.ready()
	g.send(hostlink.Stdout, "x")
	g.signals <- syscall.SIGQUIT
	g.expectSignal(syscall.SIGQUIT)
	g.signals <- syscall.SIGINT
	g.expectSignal(syscall.SIGINT)
	select {
	case <-g.vm.killed:
		t.Fatal("the first Ctrl-C stops the machine")
	default:
	}
	g.signals <- syscall.SIGINT
	if r := g.result(); r.Stopped != syscall.SIGINT || r.Exited {
		t.Errorf("got %+v", r)
	}
}

func TestSecondQuitAsksTheKernelForAReport(t *testing.T) {
	reports := make(chan bool, 4)
	g := newGuest(t, func(s *Session) { s.Report = func() { reports <- true } })
	g.ready()
	g.send(hostlink.Stdout, "x") // once that is read, the session knows that the guest is ready
	g.signals <- syscall.SIGQUIT
	g.expectSignal(syscall.SIGQUIT)
	select {
	case <-reports:
		t.Fatal("the first SIGQUIT brings a report")
	default:
	}
	for range 2 {
		g.signals <- syscall.SIGQUIT
		<-reports
	}
	g.signals <- syscall.SIGINT
	g.expectSignal(syscall.SIGINT) // the program has not got the others
	g.signals <- syscall.SIGTERM
	if r := g.result(); r.Stopped != syscall.SIGTERM {
		t.Errorf("got %+v", r)
	}
}

func TestCtrlCWhileTheGuestDoesNotRead(t *testing.T) {
	g := newGuest(t, nil)
	g.ready()
	g.send(hostlink.Stdout, "x")
	g.signals <- syscall.SIGINT // nobody reads the frame: net.Pipe has no buffer
	g.signals <- syscall.SIGINT
	if r := g.result(); r.Stopped != syscall.SIGINT {
		t.Errorf("got %+v", r)
	}
}

func TestCtrlCWhileItBootsStops(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		g := newGuest(t, nil)
		g.signals <- sig
		if r := g.result(); r.Stopped != sig || r.Ready {
			t.Errorf("got %+v", r)
		}
	}
}

func TestTerminationStops(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		g := newGuest(t, nil)
		g.ready()
		g.signals <- sig
		if r := g.result(); r.Stopped != sig || r.Exited {
			t.Errorf("got %+v", r)
		}
	}
}

func TestContinueResumesTheMachine(t *testing.T) {
	g := newGuest(t, nil)
	g.signals <- syscall.SIGCONT
	if e := <-g.vm.events; e != "resume" {
		t.Errorf("got %s", e)
	}
}

func TestNoExitFrame(t *testing.T) {
	g := newGuest(t, nil)
	g.ready()
	g.send(hostlink.Stdout, "half")
	g.vm.end()
	if r := g.result(); r.Exited || !r.Ready || r.Stopped != 0 || r.TimedOut {
		t.Errorf("got %+v", r)
	}
	if g.stdout.String() != "half" {
		t.Errorf("stdout: %q", g.stdout.String())
	}
}

func TestBootTimeout(t *testing.T) {
	g := newGuest(t, func(s *Session) { s.BootTimeout = time.Millisecond })
	if r := g.result(); !r.TimedOut || r.Exited || r.Ready {
		t.Errorf("got %+v", r)
	}
}

func TestBootTimeoutEndsWithReady(t *testing.T) {
	fired := make(chan struct{})
	g := newGuest(t, func(s *Session) {
		s.BootTimeout = 50 * time.Millisecond
		s.ready.Store(true) // as if it had come in time
		time.AfterFunc(100*time.Millisecond, func() { close(fired) })
	})
	<-fired
	g.exit(hostlink.ExitStatus{})
	g.vm.end()
	if r := g.result(); r.TimedOut || !r.Exited {
		t.Errorf("got %+v", r)
	}
}

func TestWrongVersion(t *testing.T) {
	g := newGuest(t, nil)
	g.send(hostlink.Ready, "\x63")
	if r := g.result(); r.Err == nil || r.Ready || r.Exited {
		t.Errorf("got %+v", r)
	}
	<-g.vm.killed
}

func TestMalformedPayloads(t *testing.T) {
	for _, kind := range []hostlink.Type{hostlink.Ready, hostlink.Credit, hostlink.TermMode, hostlink.Exit} {
		g := newGuest(t, nil)
		g.send(kind, "xx")
		if r := g.result(); r.Err == nil || r.Exited {
			t.Errorf("%v: got %+v", kind, r)
		}
	}
}

func TestGarbageIsSkippedAndCounted(t *testing.T) {
	g := newGuest(t, nil)
	g.conn.Write([]byte("garbage"))
	g.ready()
	g.send(hostlink.Stdout, "after")
	g.exit(hostlink.ExitStatus{})
	g.vm.end()
	r := g.result()
	if !r.Exited || r.Skipped != 7 || g.stdout.String() != "after" {
		t.Errorf("got %+v, stdout %q", r, g.stdout.String())
	}
}

// TestFramesForTheGuestAreIgnored: the guest has no business sending them.
func TestFramesForTheGuestAreIgnored(t *testing.T) {
	g := newGuest(t, nil)
	g.send(hostlink.Stdin, "x")
	g.send(hostlink.Signal, "\x09")
	g.exit(hostlink.ExitStatus{})
	g.vm.end()
	if r := g.result(); !r.Exited || r.Err != nil {
		t.Errorf("got %+v", r)
	}
}

// failingWriter fails as a closed pipe or a full disk does.
type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestOutputThatFails(t *testing.T) {
	closed := &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
	g := newGuest(t, func(s *Session) { s.Stdout = failingWriter{closed} })
	g.send(hostlink.Stdout, "x")
	if r := g.result(); r.Stopped != syscall.SIGPIPE || r.Err != nil {
		t.Errorf("closed pipe: got %+v", r)
	}
	g = newGuest(t, func(s *Session) { s.Stdout = failingWriter{syscall.ENOSPC} })
	g.send(hostlink.Stdout, "x")
	if r := g.result(); !errors.Is(r.Err, syscall.ENOSPC) || r.Stopped != 0 {
		t.Errorf("full disk: got %+v", r)
	}
}

// TestMachineThatDoesNotPowerOff: the exit status counts, and the machine is ended.
func TestMachineThatDoesNotPowerOff(t *testing.T) {
	defer func(old time.Duration) { exitGrace = old }(exitGrace)
	exitGrace = time.Millisecond
	g := newGuest(t, nil)
	g.exit(hostlink.ExitStatus{Number: 7})
	<-g.vm.killed
	if r := g.result(); !r.Exited || r.Exit.Number != 7 {
		t.Errorf("got %+v", r)
	}
}
