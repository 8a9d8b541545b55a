package virtionet

import (
	"encoding/binary"
	"errors"
	"testing"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtio/virtiotest"
	"wick/kernel/driver/virtionet/virtionettest"
)

// TestFeatures: only what the driver can use together is accepted.
func TestFeatures(t *testing.T) {
	const rest = ^uint64(virtionettest.TAP | virtionettest.MTU | 1<<33)
	for _, c := range []struct{ offered, want uint64 }{
		{virtionettest.QEMU, virtionettest.QEMU},
		{virtionettest.TAP, virtionettest.TAP},
		{^uint64(0), virtionettest.TAP | virtionettest.MTU | 1<<33},
		{virtionettest.TAP &^ virtionettest.MrgRxbuf, virtionettest.TAP &^ (virtionettest.MrgRxbuf | virtionettest.GuestTSO4 | virtionettest.GuestTSO6)},
		{virtionettest.TAP &^ virtionettest.HostTSO6, virtionettest.TAP &^ (virtionettest.HostTSO6 | virtionettest.HostTSO4 | virtionettest.CSUM)},
		{virtionettest.TAP &^ virtionettest.GuestCSUM, virtionettest.TAP &^ (virtionettest.GuestCSUM | virtionettest.GuestTSO4 | virtionettest.GuestTSO6)},
		{rest, 0},
	} {
		m := virtionettest.New(testMAC, c.offered, 64)
		start(t, m, nil)
		if got := m.Accepted(); got != c.want|virtiotest.Version1 {
			t.Errorf("offered %#x: accepted %#x, want %#x", c.offered, got, c.want)
		}
	}
}

func TestAddress(t *testing.T) {
	if d := start(t, virtionettest.New(testMAC, virtionettest.QEMU, 8), nil); d.HardwareAddr() != testMAC {
		t.Errorf("got % x", d.HardwareAddr())
	}
	a := start(t, virtionettest.New(testMAC, virtionettest.QEMU&^virtionettest.MAC, 8), nil).HardwareAddr()
	b := start(t, virtionettest.New(testMAC, virtionettest.QEMU&^virtionettest.MAC, 8), nil).HardwareAddr()
	if a == b || a[0]&3 != 2 {
		t.Errorf("made up % x and % x", a, b)
	}
}

func TestMTU(t *testing.T) {
	for _, c := range []struct {
		features  uint64
		mtu, want int
	}{
		{virtionettest.QEMU, 9000, 1500}, // not offered
		{virtionettest.QEMU | virtionettest.MTU, 9000, 9000},
		{virtionettest.QEMU | virtionettest.MTU, 1400, 1400},
		{virtionettest.MAC | virtionettest.MTU, 9000, 1500}, // without merged buffers
		{virtionettest.QEMU | virtionettest.MTU, 65535, 65535},
		{virtionettest.QEMU | virtionettest.MTU, 67, 0},
	} {
		m := virtionettest.New(testMAC, c.features, 64)
		binary.LittleEndian.PutUint16(m.Config[10:], uint16(c.mtu))
		if c.want == 0 {
			if _, err := try(t, m, nil); !errors.Is(err, ErrMTU) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		d := start(t, m, nil)
		if d.MTU() != c.want {
			t.Errorf("%+v: got %d", c, d.MTU())
		}
		f := frame(14+c.want, 1)
		if err := d.Transmit(f); err != nil || len(m.Sent()) != 1 {
			t.Errorf("%+v: a full frame: %v", c, err)
		}
		got := attach(d)
		deliver(t, m, f)
		expect(t, got, f)
	}
}

func TestCardsThatCantBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *virtionettest.Model)
		want   error
	}{
		"another device":    {func(m *virtionettest.Model) { m.Kind = 3 }, ErrNotNetwork},
		"legacy":            {func(m *virtionettest.Model) { m.Features &^= virtiotest.Version1 }, virtio.ErrLegacy},
		"stuck reset":       {func(m *virtionettest.Model) { m.StuckReset = true }, virtio.ErrReset},
		"no transmit queue": {func(m *virtionettest.Model) { m.Queues = m.Queues[:1] }, virtio.ErrNoQueue},
		"moving address":    {func(m *virtionettest.Model) { m.MovingConfig = true }, virtio.ErrConfigMoving},
	} {
		m := virtionettest.New(testMAC, virtionettest.TAP, 8)
		c.change(m)
		if _, err := try(t, m, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLink(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	m.Config[6] = 0
	d := start(t, m, nil)
	if d.LinkUp() {
		t.Error("up from the start")
	}
	changes := make(chan bool, 10)
	d.OnLinkChange(func(up bool) { changes <- up })
	attach(d)
	for _, up := range []bool{true, false, true} {
		m.SetLink(up)
		if got := <-changes; got != up || d.LinkUp() != up {
			t.Errorf("changed to %v, want %v", got, up)
		}
	}
	if n := counter(d, LinkChanges); n != 3 {
		t.Errorf("counted %d changes", n)
	}
	d.OnLinkChange(nil)
	m.SetLink(false)
	if d := start(t, virtionettest.New(testMAC, virtionettest.MAC, 8), nil); !d.LinkUp() {
		t.Error("a card that can't tell has no link")
	}
}

func TestCounterNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range NumCounters {
		if s := c.String(); s == "" || seen[s] {
			t.Errorf("counter %d is called %q", c, s)
		} else {
			seen[s] = true
		}
	}
	if NumCounters.String() != "counter?" {
		t.Error(NumCounters.String())
	}
}
