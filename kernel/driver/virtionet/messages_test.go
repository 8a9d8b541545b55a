package virtionet

import (
	"slices"
	"testing"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtionet/virtionettest"
)

// TestCardWithMessages: over PCI frames and changes of the link come by messages of their own.
func TestCardWithMessages(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 64)
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
	links := make(chan bool, 1)
	d.OnLinkChange(func(up bool) { links <- up })
	got := attach(d)
	const frames = 200
	for i := range frames {
		f := frame(100, i)
		deliver(t, m, f)
		expect(t, got, f)
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
