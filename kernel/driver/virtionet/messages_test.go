package virtionet

import (
	"slices"
	"testing"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtionet/virtionettest"
	"wick/packet"
)

// startWithMessages is start for a card on PCI, with messages.
func startWithMessages(t *testing.T, m *virtionettest.Model) *Device {
	t.Helper()
	p := m.PCI()
	p.AddMessages(3, 3)
	transport, err := virtio.NewPCI(p.Function(), p.Window, virtio.PCIInterrupts{Line: p.Line, Message: p.Message})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Config{Transport: transport, Memory: m, CheckInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNoInterruptsWhileTheDriverLooks: a card isn't asked to interrupt for what comes while the driver is at work.
func TestNoInterruptsWhileTheDriverLooks(t *testing.T) {
	for name, features := range variants {
		m := virtionettest.New(testMAC, features, 64)
		d := startWithMessages(t, m)
		const rounds, frames = 20, 50
		got := 0
		done := make(chan bool)
		d.AttachOffload(func([]byte, packet.Checksum) {
			if got++; got%frames != 0 {
				m.Deliver(frame(100, got)) // before the driver has looked for it
			} else {
				done <- true
			}
		}, func() {})
		for range rounds {
			d.rx.mu.Lock() // it doesn't look now
			deliver(t, m, frame(100, 0))
			d.rx.mu.Unlock()
			<-done
		}
		if n := m.Messages()[1]; n > 2*rounds {
			t.Errorf("%s: %d interrupts for %d frames, %d of them in a row", name, n, rounds*frames, frames)
		}
		d.Stop()
	}
}

// TestBuffersAreGivenBackInBatches: the card learns of several at once, and of the last ones when the driver has nothing else to do.
func TestBuffersAreGivenBackInBatches(t *testing.T) {
	for name, features := range variants {
		m := virtionettest.New(testMAC, features, 64)
		d := start(t, m, func(c *Config) { c.RxBuffers = 64 })
		for i := range 61 {
			deliver(t, m, frame(100, i))
		}
		published := 0
		seen := m.Queues[0].Available()
		m.OnBarrier = func() {
			if n := m.Queues[0].Available(); n != seen {
				published, seen = published+1, n
			}
		}
		d.receiver.Store(&receiver{func([]byte, packet.Checksum) {}, func() {}})
		if err := d.service(false); err != nil || seen != 64 || published != 8 {
			t.Errorf("%s: %d buffers were given back in %d batches: %v", name, seen, published, err)
		}
		m.OnBarrier = nil
	}
}

// TestCardWithMessages: over PCI frames and changes of the link come by messages of their own.
func TestCardWithMessages(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 64)
	d := startWithMessages(t, m)
	links := make(chan bool, 1)
	d.OnLinkChange(func(up bool) { links <- up })
	got := attach(d)
	const frames = 200
	for i := range frames {
		f := frame(100, i)
		deliver(t, m, f)
		expect(t, got, f)
		awaitQuiet(d)
	}
	m.SetLink(false)
	if up := <-links; up {
		t.Error("the link is said to be up")
	}
	fired := m.Messages()
	if len(fired) != 3 || fired[0] != 1 || fired[1] == 0 || fired[1] > frames || fired[2] != 0 || m.LineOpen() {
		t.Errorf("messages were raised %v times: of the configuration, of received and of sent frames", fired)
	}
	d.Stop()
	if err := d.Err(); err != nil || slices.ContainsFunc(m.Messages(), func(int) bool { return true }) {
		t.Errorf("after Stop: %v, messages %v", err, m.Messages())
	}
}
