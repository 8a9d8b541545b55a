package console

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/hostlink"
)

func TestOutputKeepsItsOrder(t *testing.T) {
	c, h := start(t, Config{})
	stall(h, c)
	for _, w := range []struct {
		fd   int
		text string
	}{{1, "one "}, {1, "two "}, {2, "three "}, {1, "four "}} {
		if n, err := c.Stream(w.fd).Write([]byte(w.text)); n != len(w.text) || err != nil {
			t.Fatalf("%q: %d %v", w.text, n, err)
		}
	}
	c.Log().Write([]byte("log "))
	c.Stream(2).Write([]byte("five"))
	unstall(h)
	h.expect(hostlink.Stdout, []byte("one two "))
	h.expect(hostlink.Stderr, []byte("three "))
	h.expect(hostlink.Stdout, []byte("four "))
	h.expect(hostlink.Log, []byte("log "))
	h.expect(hostlink.Stderr, []byte("five"))
}

func TestNothingIsLost(t *testing.T) {
	c, h := start(t, Config{})
	want := map[hostlink.Type][]byte{
		hostlink.Stdout: text(500_000, 1), hostlink.Stderr: text(300_000, 2), hostlink.Log: text(200_000, 3),
		hostlink.Exit: hostlink.ExitStatus{Number: 3}.Append(nil),
	}
	var writers sync.WaitGroup
	pieces := func(p []byte, size int, write func([]byte) error) {
		writers.Go(func() {
			for i := 0; i < len(p); i += size {
				if err := write(p[i:min(i+size, len(p))]); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		})
	}
	pieces(want[hostlink.Stdout], 70_000, func(p []byte) error { return writeAll(c.Stream(1), p) })
	pieces(want[hostlink.Stderr], 123, func(p []byte) error { return writeAll(c.Stream(2), p) })
	pieces(want[hostlink.Log], 77, func(p []byte) error { _, err := c.Log().Write(p); return err })
	go func() {
		writers.Wait()
		if err := c.Exit(hostlink.ExitStatus{Number: 3}, time.Time{}); err != nil {
			t.Errorf("Exit: %v", err)
		}
	}()
	got := h.collect()
	for typ, p := range want {
		if !bytes.Equal(got[typ], p) {
			t.Errorf("%v: %d bytes, want %d, or others", typ, len(got[typ]), len(p))
		}
	}
}

func TestWritesBehaveAsThoseOfAPipe(t *testing.T) {
	c, h := start(t, Config{})
	s := c.Stream(1)
	stall(h, c)
	e := register(t, s)
	if n, err := s.Write(text(outputSize-1000, 1)); n != outputSize-1000 || err != nil {
		t.Fatal(n, err)
	}
	if r := s.Readiness(waiter.AllEvents); r != 0 {
		t.Errorf("with room for 1000 bytes: ready for %#x", r)
	}
	if n, err := s.Write(text(1001, 2)); n != 0 || err != unix.EAGAIN {
		t.Errorf("1001 bytes, room for 1000: %d %v", n, err)
	}
	if n, err := s.Write(text(5000, 2)); n != 0 || err != unix.EAGAIN {
		t.Errorf("5000 bytes, room for 1000: %d %v", n, err)
	}
	if n, err := s.Write(text(1000, 3)); n != 1000 || err != nil {
		t.Errorf("1000 bytes, room for 1000: %d %v", n, err)
	}
	if n, err := s.Write(nil); n != 0 || err != nil {
		t.Errorf("no bytes: %d %v", n, err)
	}
	if e.take() != 0 {
		t.Error("told of room where there was none")
	}
	entry, ready := waiter.NewChannelEntry(waiter.EventOut)
	s.EventRegister(&entry)
	unstall(h)
	h.next()
	h.next()
	h.next()
	<-ready
	s.EventUnregister(&entry)
	if r := s.Readiness(waiter.AllEvents); r != waiter.WritableEvents {
		t.Errorf("with room again: ready for %#x", r)
	}
	if n, err := s.Write(text(6000, 4)); n < pipeBuf || err != nil {
		t.Errorf("6000 bytes: %d %v", n, err)
	}
}

func TestDumpIsRefusedWhenFull(t *testing.T) {
	c, h := start(t, Config{})
	stall(h, c)
	line := bytes.Repeat([]byte("d"), 1000)
	taken := 0
	for c.TryWrite(hostlink.Dump, line) {
		taken++
	}
	if taken != dumpSize/1000 {
		t.Errorf("took %d lines", taken)
	}
	if !c.TryWrite(hostlink.Capture, line) || !c.TryWrite(hostlink.Log, line) || !c.TryWrite(hostlink.Dump, nil) {
		t.Error("other queues are full too")
	}
	unstall(h)
	go c.Exit(hostlink.ExitStatus{}, time.Time{})
	got := h.collect()
	if n := len(got[hostlink.Dump]); n != taken*1000 {
		t.Errorf("%d bytes of dump, want %d", n, taken*1000)
	}
	<-c.Room(hostlink.Dump)
	<-c.Room(hostlink.Capture)
	if c.TryWrite(hostlink.Dump, line) {
		t.Error("took a line after the end")
	}
}

// A program that writes without end must not hide the dump, nor the dump delay the program much.
func TestDumpGetsItsShare(t *testing.T) {
	c, h := start(t, Config{})
	stall(h, c)
	c.Stream(1).Write(text(outputSize, 1))
	c.TryWrite(hostlink.Dump, text(20_000, 2))
	c.TryWrite(hostlink.Capture, text(20_000, 3))
	unstall(h)
	sums := map[hostlink.Type]int{}
	for sums[hostlink.Stdout] < outputSize {
		f := h.next()
		sums[f.Type] += len(f.Payload)
		side := sums[hostlink.Dump] + sums[hostlink.Capture]
		share := sums[hostlink.Stdout] * chunkSize / outputShare
		if side < share-2*chunkSize || side > share+2*chunkSize {
			t.Fatalf("after %d bytes of output: %d of dump, %d of capture", sums[hostlink.Stdout], sums[hostlink.Dump], sums[hostlink.Capture])
		}
	}
	if d := sums[hostlink.Dump] - sums[hostlink.Capture]; d < -chunkSize || d > chunkSize {
		t.Errorf("%d of dump, %d of capture", sums[hostlink.Dump], sums[hostlink.Capture])
	}
}

func TestSetModeNeverWaits(t *testing.T) {
	c, h := start(t, Config{})
	c.SetMode(1, 2, 3)
	h.expect(hostlink.TermMode, hostlink.Modes{Iflag: 1, Oflag: 2, Lflag: 3}.Append(nil))
	stall(h, c)
	c.Stream(1).Write(text(outputSize, 1))
	c.SetMode(4, 5, 6)
	c.SetMode(7, 8, 9) // takes the place of the one before
	unstall(h)
	go c.Exit(hostlink.ExitStatus{}, time.Time{})
	got := h.collect()
	if want := (hostlink.Modes{Iflag: 7, Oflag: 8, Lflag: 9}).Append(nil); !bytes.Equal(got[hostlink.TermMode], want) {
		t.Errorf("got % x", got[hostlink.TermMode])
	}
}

func TestExit(t *testing.T) {
	flushed := make(chan time.Time, 1)
	c, h := startSilent(t, Config{}, func(d time.Time) error { flushed <- d; return nil })
	h.next()
	h.next()
	c.Stream(1).Write([]byte("last words"))
	c.TryWrite(hostlink.Dump, []byte("#1\n"))
	deadline := time.Now().Add(time.Hour)
	ended := make(chan error)
	go func() { ended <- c.Exit(hostlink.ExitStatus{Signalled: true, Number: 11}, deadline) }()
	h.expect(hostlink.Stdout, []byte("last words"))
	h.expect(hostlink.Dump, []byte("#1\n"))
	h.expect(hostlink.Exit, hostlink.ExitStatus{Signalled: true, Number: 11}.Append(nil))
	if err := <-ended; err != nil {
		t.Errorf("Exit: %v", err)
	}
	if d := <-flushed; !d.Equal(deadline) {
		t.Errorf("flushed by %v", d)
	}
	for fd := 1; fd <= 2; fd++ {
		if _, err := c.Stream(fd).Write([]byte("x")); err != unix.EPIPE {
			t.Errorf("write after the end: %v", err)
		}
		if r := c.Stream(fd).Readiness(waiter.AllEvents); r != waiter.WritableEvents|waiter.EventErr {
			t.Errorf("after the end ready for %#x", r)
		}
	}
	if _, err := c.Log().Write([]byte("x")); err != ErrEnded {
		t.Errorf("log after the end: %v", err)
	}
	// A second one changes nothing.
	if err := c.Exit(hostlink.ExitStatus{}, time.Now().Add(time.Hour)); err != nil {
		t.Errorf("second Exit: %v", err)
	}
}

func TestExitKeepsItsDeadline(t *testing.T) {
	c, h := start(t, Config{})
	stall(h, c)
	if err := c.Flush(time.Now()); err != os.ErrDeadlineExceeded {
		t.Errorf("Flush: %v", err)
	}
	if err := c.Exit(hostlink.ExitStatus{}, time.Now()); err != os.ErrDeadlineExceeded {
		t.Errorf("Exit: %v", err)
	}
}

// Those who wait to write when the program ends are let go.
func TestExitEndsWaiting(t *testing.T) {
	c, h := start(t, Config{})
	stall(h, c)
	c.Stream(1).Write(text(outputSize, 1))
	errs := make(chan error, 2)
	go func() { errs <- writeAll(c.Stream(2), text(100, 1)) }()
	go func() { _, err := c.Log().Write(text(100, 1)); errs <- err }()
	c.Exit(hostlink.ExitStatus{}, time.Now())
	for range 2 {
		if err := <-errs; err != unix.EPIPE && err != ErrEnded {
			t.Errorf("got %v", err)
		}
	}
	unstall(h)
	if got := h.collect(); len(got[hostlink.Stdout]) != outputSize || len(got[hostlink.Stderr]) != 0 {
		t.Errorf("%d bytes of output and %d of errors", len(got[hostlink.Stdout]), len(got[hostlink.Stderr]))
	}
}

func TestBrokenChannel(t *testing.T) {
	c, h := start(t, Config{})
	stall(h, c)
	c.Stream(1).Write(text(outputSize, 1))
	errs := make(chan error, 3)
	go func() { errs <- writeAll(c.Stream(2), text(100, 1)) }()
	go func() { _, err := c.Log().Write(text(100, 1)); errs <- err }()
	go func() { errs <- c.Flush(time.Time{}) }()
	h.toHost.CloseWithError(errBroken)
	for range 3 {
		if err := <-errs; err != unix.EPIPE && err != errBroken {
			t.Errorf("got %v", err)
		}
	}
	if err := c.Exit(hostlink.ExitStatus{}, time.Time{}); err != errBroken {
		t.Errorf("Exit: %v", err)
	}
	if c.TryWrite(hostlink.Dump, []byte("x")) {
		t.Error("took a line for a broken channel")
	}
}

func TestWrongDescriptors(t *testing.T) {
	c, _ := start(t, Config{})
	if _, err := c.Stream(0).Write([]byte("x")); err != unix.EBADF {
		t.Errorf("write to 0: %v", err)
	}
	if _, err := c.Stream(1).Read(make([]byte, 1)); err != unix.EBADF {
		t.Errorf("read from 1: %v", err)
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	c := newConsole(nil, Config{})
	s := c.Stream(1)
	p := text(1000, 1)
	frame := make([]byte, 0, hostlink.HeaderSize+chunkSize)
	c.next(frame) // Ready
	c.next(frame) // Credit
	s.Write(p)
	c.next(frame)
	if n := testing.AllocsPerRun(100, func() {
		s.Write(p)
		c.next(frame)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestReadyIsTimedBeforeTheHostHasIt: a time taken after might be later than that at which the host took it.
func TestReadyIsTimedBeforeTheHostHasIt(t *testing.T) {
	ready := make(chan struct{})
	_, h := startSilent(t, Config{Ready: func() { close(ready) }}, nil)
	var first [1]byte
	if _, err := h.toHost.Read(first[:]); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ready:
	default:
		t.Error("the host has read Ready, and the guest has not taken the time")
	}
}

// TestTimingComesBeforeOutput: the host knows the stages of the boot when the program's first output arrives.
func TestTimingComesBeforeOutput(t *testing.T) {
	c, h := start(t, Config{})
	times := hostlink.BootTimes{Stub: 1, Program: 2}
	c.Timing(times)
	c.Stream(1).Write([]byte("output"))
	h.expect(hostlink.Timing, times.Append(nil))
	h.expect(hostlink.Stdout, []byte("output"))
	c.Exit(hostlink.ExitStatus{}, time.Now()) // the host doesn't read: it is past the deadline
	c.Timing(times)                           // nobody wants it any more
	h.expect(hostlink.Exit, hostlink.ExitStatus{}.Append(nil))
}
