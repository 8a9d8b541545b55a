package virtionet

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtio/virtiotest"
	"wick/kernel/driver/virtionet/virtionettest"
	"wick/packet"
)

var testMAC = [6]byte{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}

// newTap returns a tap and where it puts what it is told.
func newTap() (Tap, chan packet.Frame) {
	c := make(chan packet.Frame, 10000)
	return func(f packet.Frame) {
		f.Data = bytes.Clone(f.Data)
		c <- f
	}, c
}

// try returns what New says of a card.
func try(t *testing.T, m *virtionettest.Model, change func(*Config)) (*Device, error) {
	t.Helper()
	transport, err := virtio.NewMMIO(m.MMIO(), virtiotest.MMIOSize, m)
	if err != nil {
		t.Fatal(err)
	}
	// No test but those of lost interrupts may depend on the search for them.
	c := Config{Transport: transport, Memory: m, CheckInterval: time.Hour}
	if change != nil {
		change(&c)
	}
	return New(c)
}

// start returns the driver of a card; change may change the configuration.
func start(t *testing.T, m *virtionettest.Model, change func(*Config)) *Device {
	t.Helper()
	d, err := try(t, m, change)
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

// received is what the receiver was given.
type received struct {
	frame    []byte
	checksum packet.Checksum
}

// attach makes a driver put the frames it receives into a channel.
func attach(d *Device) chan received {
	c := make(chan received, 10000)
	d.AttachOffload(func(frame []byte, checksum packet.Checksum) { c <- received{bytes.Clone(frame), checksum} }, func() {})
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

func deliver(t *testing.T, m *virtionettest.Model, f []byte) {
	t.Helper()
	if !m.Deliver(f) {
		t.Fatal("the card has no room")
	}
}

// expect takes frames out of c and compares them.
func expect(t *testing.T, c chan received, want ...[]byte) {
	t.Helper()
	for i, w := range want {
		if got := <-c; !bytes.Equal(got.frame, w) {
			t.Fatalf("frame %d: got %d bytes % x…, want %d bytes % x…", i, len(got.frame), got.frame[:min(8, len(got.frame))], len(w), w[:min(8, len(w))])
		}
	}
}

// awaitQuiet waits until the driver, which has just handed on a frame, doesn't look any more: the next one needs an interrupt.
func awaitQuiet(d *Device) {
	d.rx.mu.Lock()
	defer d.rx.mu.Unlock()
}

func counter(d *Device, c Counter) uint64 { return d.Counters()[c] }

// rawHeader returns a header for a received frame.
func rawHeader(flags, gso byte, size, csumStart, csumOffset, buffers int) []byte {
	b := []byte{flags, gso}
	for _, v := range []int{0, size, csumStart, csumOffset, buffers} {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}
