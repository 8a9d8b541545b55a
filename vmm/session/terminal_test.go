package session

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wick/hostlink"
	"wick/vmm/session/ptytest"
)

// onPTY makes a terminal of a new pseudoterminal, and returns its other end too.
func onPTY(t *testing.T) (*Terminal, *os.File) {
	t.Helper()
	master, slave := ptytest.Open(t)
	fd := int(slave.Fd())
	saved, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	term := newTerminal(fd, *saved)
	term.stdin = true
	return term, master
}

func termios(t *testing.T, term *Terminal) unix.Termios {
	t.Helper()
	now, err := unix.IoctlGetTermios(term.fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *now
}

func TestModesAreAppliedAndRestored(t *testing.T) {
	term, _ := onPTY(t)
	before := termios(t, term)
	if term.Raw() {
		t.Error("raw from the start")
	}
	term.Apply(hostlink.Modes{Lflag: unix.ISIG, Iflag: unix.BRKINT, Oflag: 0})
	now := termios(t, term)
	if now.Lflag != unix.ISIG || now.Iflag != unix.BRKINT || now.Oflag != 0 || now.Cc[unix.VMIN] != 1 || now.Cc[unix.VTIME] != 0 {
		t.Errorf("got %+v", now)
	}
	if now.Cflag != before.Cflag {
		t.Errorf("cflag: got %#x, want %#x", now.Cflag, before.Cflag)
	}
	if !term.Raw() {
		t.Error("not raw")
	}
	s := Session{Terminal: term}
	if got := string(s.asLines([]byte("a\nb"))); got != "a\r\nb" {
		t.Errorf("raw: got %q", got)
	}
	term.Apply(hostlink.Modes{Lflag: before.Lflag &^ unix.ECHO, Iflag: before.Iflag, Oflag: before.Oflag})
	if now := termios(t, term); now.Lflag != before.Lflag&^unix.ECHO || now.Cc != before.Cc {
		t.Errorf("without echo: got %+v, before %+v", now, before)
	}
	if term.Raw() {
		t.Error("raw with ONLCR")
	}
	if got := string(s.asLines([]byte("a\nb"))); got != "a\nb" {
		t.Errorf("cooked: got %q", got)
	}
	term.Restore()
	if now := termios(t, term); now != before {
		t.Errorf("restored: got %+v, want %+v", now, before)
	}
}

func TestContinuedAppliesAgain(t *testing.T) {
	term, _ := onPTY(t)
	before := termios(t, term)
	term.Continued() // nothing to apply
	if termios(t, term) != before {
		t.Error("changed without a reason")
	}
	term.Apply(hostlink.Modes{Oflag: before.Oflag})
	term.Suspend()
	if termios(t, term) != before {
		t.Error("not set back while suspended")
	}
	term.Continued()
	if termios(t, term).Lflag != 0 {
		t.Error("the program's modes are not back after SIGCONT")
	}
	if !term.AwaitForeground(nil) {
		t.Error("a terminal that does not control us has no background")
	}
	term.Restore()
	term.Continued() // a signal that came while wick was about to end
	if termios(t, term) != before {
		t.Error("the program's modes are set after the end")
	}
}

func TestSize(t *testing.T) {
	term, master := onPTY(t)
	if w, ok := term.Size(); ok {
		t.Errorf("a size from the start: %+v", w)
	}
	ptytest.Resize(t, master, 40, 100)
	if w, ok := term.Size(); !ok || w != (hostlink.Window{Rows: 40, Columns: 100}) {
		t.Errorf("got %+v, %v", w, ok)
	}
	if term.HungUp() {
		t.Error("hung up from the start")
	}
	master.Close()
	if !term.HungUp() {
		t.Error("not hung up")
	}
}

func TestTheGuestLearnsTheSize(t *testing.T) {
	term, master := onPTY(t)
	ptytest.Resize(t, master, 24, 80)
	g := newGuest(t, func(s *Session) { s.Terminal = term })
	g.ready()
	g.expect(hostlink.WinSize, "\x18\x00\x50\x00")
	ptytest.Resize(t, master, 25, 81)
	g.signals <- unix.SIGWINCH
	g.expect(hostlink.WinSize, "\x19\x00\x51\x00")
	g.send(hostlink.TermMode, string(hostlink.Modes{}.Append(nil)))
	g.send(hostlink.Dump, "a\nb\n")
	g.exit(hostlink.ExitStatus{})
	g.vm.end()
	if r := g.result(); !r.Exited {
		t.Errorf("got %+v", r)
	}
	if !bytes.Equal(g.stderr.Bytes(), []byte("a\r\nb\r\n")) {
		t.Errorf("dump on a raw terminal: %q", g.stderr.String())
	}
	term.Restore()
}

// TestEndOfFileOnATerminal: Ctrl-D ends a read, not the terminal.
func TestEndOfFileOnATerminal(t *testing.T) {
	term, master := onPTY(t)
	slave := os.NewFile(uintptr(dup(t, term.fd)), "pty")
	defer slave.Close()
	g := newGuest(t, func(s *Session) { s.Terminal, s.Stdin = term, slave })
	g.ready()
	g.credit(100)
	master.WriteString("one\n\x04two\n")
	g.expect(hostlink.Stdin, "one\n")
	g.expect(hostlink.StdinEOF, "")
	g.expect(hostlink.Stdin, "two\n")
}

// readAfterEIO is standard input whose first read comes before wick is in the foreground.
type readAfterEIO struct {
	io.Reader
	refused bool
}

func (r *readAfterEIO) Read(b []byte) (int, error) {
	if !r.refused {
		r.refused = true
		return 0, unix.EIO
	}
	return r.Reader.Read(b)
}

// TestForegroundComesAfterTheRead: a read in the background fails, and by the time that wick looks
// why it is in the foreground. That is not the end of its input.
func TestForegroundComesAfterTheRead(t *testing.T) {
	term, master := onPTY(t)
	slave := os.NewFile(uintptr(dup(t, term.fd)), "pty")
	defer slave.Close()
	g := newGuest(t, func(s *Session) { s.Terminal, s.Stdin = term, &readAfterEIO{Reader: slave} })
	g.ready()
	g.credit(100)
	master.WriteString("one\n")
	g.expect(hostlink.Stdin, "one\n")
}

// TestHangUpEndsTheInput: a terminal that is gone fails with EIO too, and is not read again.
func TestHangUpEndsTheInput(t *testing.T) {
	term, master := onPTY(t)
	master.Close()
	g := newGuest(t, func(s *Session) { s.Terminal, s.Stdin = term, &readAfterEIO{Reader: strings.NewReader("one")} })
	g.ready()
	g.credit(100)
	g.expect(hostlink.StdinEOF, "")
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	fd, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
