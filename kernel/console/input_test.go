package console

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/hostlink"
)

func TestInputWithCredit(t *testing.T) {
	c, h := start(t, Config{})
	want := text(200_000, 1)
	credit := inputSize
	done := make(chan bool)
	go func() {
		defer close(done)
		rest := want
		for len(rest) > 0 {
			for credit == 0 {
				n, err := hostlink.ParseCredit(h.next().Payload)
				if err != nil || n < inputSize/2 {
					t.Errorf("credit of %d, %v", n, err)
				}
				credit += int(n)
			}
			n := min(credit, len(rest), 5000)
			h.send(hostlink.Stdin, rest[:n])
			credit -= n
			rest = rest[n:]
		}
		h.send(hostlink.StdinEOF, nil)
		for {
			if _, err := h.frames.Next(); err != nil {
				return
			}
		}
	}()
	got := make([]byte, len(want)+1)
	n, err := readFull(c.Stream(0), got)
	if n != len(want) || err != io.EOF || !bytes.Equal(got[:n], want) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	h.toHost.Close()
	<-done
}

// waitFor waits until a stream is ready for one of the events.
func waitFor(s *Stream, mask waiter.EventMask) {
	entry, ready := waiter.NewChannelEntry(mask)
	s.EventRegister(&entry)
	defer s.EventUnregister(&entry)
	for s.Readiness(mask) == 0 {
		<-ready
	}
}

func TestEndOfPipe(t *testing.T) {
	c, h := start(t, Config{})
	s := c.Stream(0)
	p := make([]byte, 100)
	if n, err := s.Read(p); n != 0 || err != unix.EAGAIN {
		t.Errorf("nothing yet: %d %v", n, err)
	}
	if r := s.Readiness(waiter.AllEvents); r != 0 {
		t.Errorf("nothing yet: ready for %#x", r)
	}
	h.send(hostlink.Stdin, []byte("abc"))
	h.send(hostlink.StdinEOF, nil)
	h.send(hostlink.Stdin, []byte("more"))
	waitFor(s, waiter.EventHUp)
	if r := s.Readiness(waiter.AllEvents); r != waiter.ReadableEvents|waiter.EventHUp {
		t.Errorf("bytes and the end: ready for %#x", r)
	}
	if r := s.Readiness(waiter.EventIn); r != waiter.EventIn {
		t.Errorf("the mask is ignored: %#x", r)
	}
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Errorf("no room: %d %v", n, err)
	}
	if n, err := s.Read(p); string(p[:n]) != "abc" || err != nil {
		t.Errorf("got %q %v", p[:n], err)
	}
	for range 3 {
		if n, err := s.Read(p); n != 0 || err != nil {
			t.Errorf("at the end: %d %v", n, err)
		}
	}
	if r := s.Readiness(waiter.AllEvents); r != waiter.EventHUp {
		t.Errorf("at the end: ready for %#x", r)
	}
}

// On a terminal an end of file ends one read, and more may follow.
func TestEndOfFileOnTerminal(t *testing.T) {
	resized := make(chan bool, 1)
	c, h := start(t, Config{Terminal: [3]bool{true, false, false}, Resize: func() { resized <- true }})
	s := c.Stream(0)
	h.send(hostlink.Stdin, []byte("abc"))
	h.send(hostlink.StdinEOF, nil)
	h.send(hostlink.StdinEOF, nil)
	h.send(hostlink.Stdin, []byte("de"))
	h.send(hostlink.StdinEOF, nil)
	for range 2 * maxEnds {
		h.send(hostlink.StdinEOF, nil) // more than are kept
	}
	h.send(hostlink.WinSize, hostlink.Window{}.Append(nil))
	<-resized // all that was sent before has come
	for _, want := range []string{"a", "bc", "", "", "de", ""} {
		p := make([]byte, max(len(want), 1))
		if want == "bc" || want == "de" {
			p = make([]byte, 100)
		}
		if n, err := s.Read(p); string(p[:n]) != want || err != nil {
			t.Fatalf("got %q %v, want %q", p[:n], err, want)
		}
	}
	for range maxEnds - 3 {
		if n, err := s.Read(make([]byte, 1)); n != 0 || err != nil {
			t.Fatalf("got %d %v", n, err)
		}
	}
	if n, err := s.Read(make([]byte, 1)); n != 0 || err != unix.EAGAIN {
		t.Errorf("after the last end: %d %v", n, err)
	}
	h.guest.Close()
	waitFor(s, waiter.EventHUp)
	if n, err := s.Read(make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("after the channel's end: %d %v", n, err)
	}
}

func TestInputWithoutCreditIsRefused(t *testing.T) {
	c, h := start(t, Config{})
	h.send(hostlink.Stdin, text(inputSize+10, 1))
	h.expect(hostlink.Log, []byte("console: the host sent 10 bytes of input more than it had credit for; they are lost\n"))
	got := make([]byte, inputSize)
	if n, err := readFull(c.Stream(0), got); n != inputSize || err != nil || !bytes.Equal(got, text(inputSize, 1)) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestSignalAndSize(t *testing.T) {
	signals, sizes := make(chan uint8, 1), make(chan bool, 1)
	c, h := start(t, Config{
		Rows: 24, Columns: 80,
		Signal: func(n uint8) { signals <- n }, Resize: func() { sizes <- true },
	})
	if rows, columns := c.Size(); rows != 24 || columns != 80 {
		t.Errorf("%d × %d at first", rows, columns)
	}
	h.send(hostlink.Signal, []byte{2})
	if n := <-signals; n != 2 {
		t.Errorf("signal %d", n)
	}
	h.send(hostlink.WinSize, hostlink.Window{Rows: 50, Columns: 132}.Append(nil))
	<-sizes
	if rows, columns := c.Size(); rows != 50 || columns != 132 {
		t.Errorf("%d × %d", rows, columns)
	}
}

func TestNonsenseFromTheHost(t *testing.T) {
	c, h := start(t, Config{Terminal: [3]bool{false, true, true}})
	if c.Terminal(0) || !c.Terminal(1) {
		t.Error("terminals are mixed up")
	}
	for _, x := range []struct {
		send func()
		want string
	}{
		{func() { h.send(hostlink.Signal, []byte{0}) }, "signal: got 0, want 1 to 64"},
		{func() { h.send(hostlink.Signal, nil) }, "Signal frame with 0 bytes"},
		{func() { h.send(hostlink.WinSize, []byte{1}) }, "WinSize frame with 1 bytes"},
		{func() { h.send(hostlink.Stdout, []byte("x")) }, "the host sent a frame of the guest's: Stdout"},
		{func() { h.guest.Write([]byte("12345678")) }, "first byte of a frame"},
	} {
		x.send()
		if f := h.next(); f.Type != hostlink.Log || !strings.Contains(string(f.Payload), x.want) {
			t.Errorf("got %v %q, want %q", f.Type, f.Payload, x.want)
		}
	}
	h.send(hostlink.Signal, []byte{2}) // nobody to tell
	h.send(hostlink.Stdin, []byte("still there"))
	p := make([]byte, 11)
	if _, err := readFull(c.Stream(0), p); err != nil || string(p) != "still there" {
		t.Errorf("got %q %v", p, err)
	}
}
