package uart

import (
	"bytes"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"wick/kernel/driver/uart/uarttest"
)

func start(t *testing.T, m *uarttest.Model) *UART {
	t.Helper()
	u, err := New(m, COM2, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		if _, err := io.Copy(io.Discard, u); err != uarttest.ErrClosed {
			t.Errorf("Read ended with %v", err)
		}
	})
	return u
}

// text returns n bytes that don't repeat soon.
func text(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}

func TestAbsent(t *testing.T) {
	m := uarttest.New(COM2)
	m.Absent = true
	if _, err := New(m, COM2, m); err != ErrAbsent {
		t.Errorf("got %v", err)
	}
}

func TestSetUp(t *testing.T) {
	m := uarttest.New(COM2)
	start(t, m)
	if d := m.Divisor(); d != 1 {
		t.Errorf("divisor %d", d)
	}
}

func TestWrite(t *testing.T) {
	for _, noFIFO := range []bool{false, true} {
		m := uarttest.New(COM2)
		m.NoFIFO = noFIFO
		u := start(t, m)
		m.Accesses()
		want := text(1000)
		if n, err := u.Write(want); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
		if got := m.WaitOutput(1000); !bytes.Equal(got, want) {
			t.Errorf("no FIFO %v: sent %d bytes", noFIFO, len(got))
		}
		if n := m.Accesses(); !noFIFO && n > 1000+1000/16+10 {
			t.Errorf("%d accesses for 1000 bytes", n)
		}
	}
}

// strings is a model that has string output.
type strings struct {
	*uarttest.Model
	t *testing.T
}

func (s strings) OutBytes(port uint16, p []byte) {
	if port != COM2 || len(p) > 16 {
		s.t.Errorf("%d bytes for port %#x", len(p), port)
	}
	for _, b := range p {
		s.Out8(port, b)
	}
}

func TestWriteByStrings(t *testing.T) {
	m := uarttest.New(COM2)
	u, err := New(strings{m, t}, COM2, m)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want := text(100)
	u.Write(want)
	if got := m.WaitOutput(100); !bytes.Equal(got, want) {
		t.Errorf("sent % x", got)
	}
}

func TestWriteWaitsForTransmitter(t *testing.T) {
	for _, lose := range []bool{false, true} {
		m := uarttest.New(COM2)
		m.LoseTHRE = lose
		u := start(t, m)
		want := text(200)
		var got []byte
		written := make(chan bool)
		m.Hold(true)
		go func() { u.Write(want); close(written) }()
		for len(got) < 192 {
			m.WaitFull(16)
			select {
			case <-written:
				t.Fatal("Write has returned before all was sent")
			default:
			}
			m.Release()
			got = append(got, m.WaitOutput(16)...)
		}
		<-written
		if err := u.Flush(time.Now()); err != os.ErrDeadlineExceeded {
			t.Errorf("Flush of a held transmitter: %v", err)
		}
		m.Hold(false)
		if err := u.Flush(time.Time{}); err != nil {
			t.Errorf("Flush: %v", err)
		}
		if got = append(got, m.WaitOutput(200-len(got))...); !bytes.Equal(got, want) {
			t.Errorf("lost interrupts %v: sent %d bytes", lose, len(got))
		}
	}
}

func TestRead(t *testing.T) {
	for _, noFIFO := range []bool{false, true} {
		m := uarttest.New(COM2)
		m.NoFIFO = noFIFO
		u := start(t, m)
		for _, n := range []int{1, 13, 14, 15, 16, 17, 100, 3000, 20000} {
			want := text(n)
			m.Feed(want)
			got := make([]byte, n)
			if _, err := io.ReadFull(u, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("no FIFO %v, %d bytes: %v", noFIFO, n, err)
			}
		}
		if n, err := u.Read(nil); n != 0 || err != nil {
			t.Errorf("empty Read: %d, %v", n, err)
		}
	}
}

func TestReadTakesFewAccesses(t *testing.T) {
	m := uarttest.New(COM2)
	u := start(t, m)
	m.Accesses()
	m.Feed(text(1400))
	if _, err := io.ReadFull(u, make([]byte, 1400)); err != nil {
		t.Fatal(err)
	}
	if n := m.Accesses(); n > 3*1400 {
		t.Errorf("%d accesses for 1400 bytes", n)
	}
}

// What nobody reads stays with the sender.
func TestFullBufferHoldsSenderBack(t *testing.T) {
	m := uarttest.New(COM2)
	u := start(t, m)
	want := text(3 * bufferSize)
	m.Feed(want)
	m.WaitStopped()
	// The other direction goes on meanwhile, with its interrupt.
	m.Hold(true)
	written := make(chan bool)
	go func() { u.Write(text(17)); close(written) }()
	m.WaitFull(16)
	m.Hold(false)
	<-written
	m.WaitOutput(17)

	got := make([]byte, len(want))
	if _, err := io.ReadFull(u, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v; bytes differ", err)
	}
	if n := u.Overruns(); n != 0 {
		t.Errorf("%d overruns", n)
	}
}

func TestErrorsAreCounted(t *testing.T) {
	m := uarttest.New(COM2)
	u := start(t, m)
	m.Fail(0x02)
	u.Write([]byte("x"))
	m.Fail(0x1C)
	u.Write([]byte("y"))
	if u.Overruns() != 1 || u.LineErrors() != 1 {
		t.Errorf("got %d overruns and %d errors", u.Overruns(), u.LineErrors())
	}
}

// A cause without end must not keep the goroutine.
func TestBrokenPort(t *testing.T) {
	m := uarttest.New(COM2)
	m.ForeverModem = true
	u := start(t, m)
	u.Write(text(100))
	m.WaitOutput(100)
}

func TestBothWaysAtOnce(t *testing.T) {
	m := uarttest.New(COM2)
	u := start(t, m)
	want := text(50000)
	var all sync.WaitGroup
	all.Go(func() {
		for i := 0; i < len(want); i += 1000 {
			m.Feed(want[i : i+1000])
		}
	})
	all.Go(func() {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(u, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("received: %v", err)
		}
	})
	all.Go(func() {
		var got []byte
		for len(got) < len(want) {
			got = append(got, m.WaitOutput(1)...)
		}
		if !bytes.Equal(got, want) {
			t.Error("sent bytes differ")
		}
	})
	all.Go(func() {
		for i := 0; i < len(want); i += 1000 {
			m.Hold(true)
			go m.Hold(false)
			u.Write(want[i : i+1000])
		}
	})
	all.Wait()
}

func TestWriteAfterInterruptFailed(t *testing.T) {
	m := uarttest.New(COM2)
	u := start(t, m)
	m.Close()
	if _, err := u.Read(make([]byte, 1)); err != uarttest.ErrClosed {
		t.Fatalf("Read: %v", err)
	}
	m.Hold(true)
	written := make(chan bool)
	go func() { u.Write(text(17)); close(written) }()
	m.WaitFull(16)
	m.Hold(false)
	<-written
}

func TestNoAllocation(t *testing.T) {
	m := uarttest.New(COM2)
	u := start(t, m)
	p := text(64)
	if n := testing.AllocsPerRun(100, func() { u.Write(p) }); n > 1 { // of the model's output
		t.Errorf("%v allocations", n)
	}
}
