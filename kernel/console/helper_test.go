package console

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/hostlink"
)

// host is the other end of a console's channel. The guest's writes wait until the host reads.
type host struct {
	t      *testing.T
	toHost *io.PipeReader
	frames *hostlink.Reader
	guest  *io.PipeWriter
	out    *hostlink.Writer
}

// pipes is a Channel.
type pipes struct {
	io.Reader
	io.Writer
	flushed func(deadline time.Time) error
}

func (p pipes) Flush(deadline time.Time) error {
	if p.flushed != nil {
		return p.flushed(deadline)
	}
	return nil
}

// start returns a console and its host, which has read Ready and the first Credit.
func start(t *testing.T, c Config) (*Console, *host) {
	con, h := startSilent(t, c, nil)
	h.expect(hostlink.Ready, []byte{hostlink.Version})
	h.expect(hostlink.Credit, hostlink.AppendCredit(nil, inputSize))
	return con, h
}

func startSilent(t *testing.T, c Config, flushed func(time.Time) error) (*Console, *host) {
	fromHost, guest := io.Pipe()
	toHost, fromGuest := io.Pipe()
	h := &host{t: t, toHost: toHost, frames: hostlink.NewReader(toHost), guest: guest, out: hostlink.NewWriter(guest)}
	con := New(pipes{fromHost, fromGuest, flushed}, c)
	t.Cleanup(func() {
		guest.Close()
		toHost.Close()
	})
	return con, h
}

// next returns the next frame.
func (h *host) next() hostlink.Frame {
	h.t.Helper()
	f, err := h.frames.Next()
	if err != nil {
		h.t.Fatalf("the guest's next frame: %v", err)
	}
	return f
}

func (h *host) expect(t hostlink.Type, payload []byte) {
	h.t.Helper()
	if f := h.next(); f.Type != t || !bytes.Equal(f.Payload, payload) {
		h.t.Fatalf("got %v %.60q, want %v %.60q", f.Type, f.Payload, t, payload)
	}
}

func (h *host) send(t hostlink.Type, payload []byte) {
	h.t.Helper()
	if err := h.out.WriteFrame(t, payload); err != nil {
		h.t.Fatal(err)
	}
}

// stall makes the guest's sending goroutine wait in the middle of a frame, which must be read with
// unstall.
func stall(h *host, c *Console) {
	h.t.Helper()
	if _, err := c.Write(hostlink.Log, []byte("stall")); err != nil {
		h.t.Fatal(err)
	}
	// The first bytes of the frame are taken: so it is out of the queue.
	if _, err := io.ReadFull(h.toHost, make([]byte, 1)); err != nil {
		h.t.Fatal(err)
	}
}

func unstall(h *host) {
	h.t.Helper()
	rest := make([]byte, hostlink.HeaderSize-1+len("stall"))
	if _, err := io.ReadFull(h.toHost, rest); err != nil || !bytes.HasSuffix(rest, []byte("stall")) {
		h.t.Fatalf("got %q %v", rest, err)
	}
}

// collect reads frames until Exit or the end, and joins the payloads by type.
func (h *host) collect() map[hostlink.Type][]byte {
	all := map[hostlink.Type][]byte{}
	for {
		f, err := h.frames.Next()
		if err != nil {
			h.t.Errorf("after %d types: %v", len(all), err)
			return all
		}
		all[f.Type] = append(all[f.Type], f.Payload...)
		if f.Type == hostlink.Exit {
			return all
		}
	}
}

// writeAll writes all of p as a program with blocking descriptors does.
func writeAll(s *Stream, p []byte) error {
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr)
	if err := s.EventRegister(&entry); err != nil {
		return err
	}
	defer s.EventUnregister(&entry)
	for len(p) > 0 {
		n, err := s.Write(p)
		if p = p[n:]; err == unix.EAGAIN {
			<-ready
		} else if err != nil {
			return err
		}
	}
	return nil
}

// readFull reads as a program with a blocking descriptor does, until p is full or the end.
func readFull(s *Stream, p []byte) (n int, err error) {
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventHUp)
	if err := s.EventRegister(&entry); err != nil {
		return 0, err
	}
	defer s.EventUnregister(&entry)
	for n < len(p) {
		got, err := s.Read(p[n:])
		n += got
		switch {
		case err == unix.EAGAIN:
			<-ready
		case err != nil:
			return n, err
		case got == 0:
			return n, io.EOF
		}
	}
	return n, nil
}

func text(n, seed int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*31 + i>>8 + seed)
	}
	return p
}

// events collects what a stream notifies.
type events struct {
	mu   sync.Mutex
	mask waiter.EventMask
}

func (e *events) NotifyEvent(mask waiter.EventMask) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mask |= mask
}

func (e *events) take() waiter.EventMask {
	e.mu.Lock()
	defer e.mu.Unlock()
	mask := e.mask
	e.mask = 0
	return mask
}

func register(t *testing.T, s *Stream) *events {
	t.Helper()
	e, entry := &events{}, &waiter.Entry{}
	entry.Init(e, waiter.AllEvents)
	if err := s.EventRegister(entry); err != nil {
		t.Fatal(err)
	}
	return e
}

var errBroken = errors.New("broken")
