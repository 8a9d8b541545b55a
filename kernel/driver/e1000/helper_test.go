package e1000

import (
	"bytes"
	"testing"

	"wick/kernel/driver/e1000/e1000test"
	"wick/packet"
)

var testMAC = [6]byte{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}

// tapped is what the tap was told of a frame.
type tapped struct {
	dir       packet.Direction
	wireLen   int
	data      []byte
	rxErrors  uint8
	drop      string
	checksum  packet.Checksum
	segmented bool
}

// newTap returns a tap and where it puts what it is told.
func newTap() (Tap, chan tapped) {
	c := make(chan tapped, 10000)
	return func(f packet.Frame) {
		c <- tapped{f.Direction, f.WireLen, bytes.Clone(f.Data), f.RxErrors, f.Drop, f.Checksum, f.Segmented}
	}, c
}

// start returns a card and its driver; change may change the configuration.
func start(t *testing.T, m *e1000test.Model, change func(*Config)) *Device {
	t.Helper()
	c := Config{Registers: m, Memory: m, Interrupt: m}
	if change != nil {
		change(&c)
	}
	d, err := New(c)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		m.Close()
		d.Attach(nil)
		<-d.Done()
	})
	return d
}

// attach makes a driver put the frames it receives into a channel.
func attach(d *Device) chan []byte {
	c := make(chan []byte, 10000)
	d.Attach(func(frame []byte) { c <- bytes.Clone(frame) })
	return c
}

// frame returns a frame of size bytes with a content of its own.
func frame(size, seed int) []byte {
	f := make([]byte, size)
	for i := range f {
		f[i] = byte(seed + i + i>>8)
	}
	return f
}

func deliver(t *testing.T, m *e1000test.Model, f []byte) {
	t.Helper()
	if !m.Deliver(f) {
		t.Fatal("the card has no room")
	}
}

// expect takes frames out of c and compares them.
func expect(t *testing.T, c chan []byte, want ...[]byte) {
	t.Helper()
	for i, w := range want {
		if got := <-c; !bytes.Equal(got, w) {
			t.Fatalf("frame %d: got %d bytes % x…, want %d bytes % x…", i, len(got), got[:min(8, len(got))], len(w), w[:min(8, len(w))])
		}
	}
}

// awaitQuiet waits until the driver, which has just handed on a frame, has taken all that has come and given back what it gives back.
func awaitQuiet(d *Device) {
	d.rx.mu.Lock()
	defer d.rx.mu.Unlock()
}

func counter(d *Device, c Counter) uint64 { return d.Counters()[c] }
