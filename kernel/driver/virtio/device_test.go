package virtio

import (
	"errors"
	"testing"
	"unsafe"

	"wick/kernel/driver/virtio/virtiotest"
)

func TestNegotiation(t *testing.T) {
	const wanted, offered = Features(0b0110), 0b1010
	for name, transport := range transports {
		m := virtiotest.New(uint32(TypeEntropy), offered|virtiotest.EventIdx, testConfig(), 8, 16)
		tr, err := transport(m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if tr.Type() != TypeEntropy {
			t.Errorf("%s: type %d", name, tr.Type())
		}
		d, err := Open(tr, m, func(Features) Features { return wanted })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := FeatureVersion1 | FeatureEventIdx | 0b0010; d.Features() != want || m.Accepted() != uint64(want) {
			t.Errorf("%s: features %#x, the device has %#x, want %#x", name, d.Features(), m.Accepted(), want)
		}
		for i, want := range []int{8, 16} {
			q, err := d.NewQueue(uint16(i), QueueConfig{Size: 100, Segments: 1})
			if err != nil || q.Size() != want {
				t.Errorf("%s: queue %d: %v", name, i, err)
			}
			if _, err := d.NewQueue(uint16(i), QueueConfig{Size: 100, Segments: 1}); !errors.Is(err, ErrQueueInUse) {
				t.Errorf("%s: queue %d is made twice: %v", name, i, err)
			}
		}
		if _, err := d.NewQueue(2, QueueConfig{Size: 8, Segments: 1}); !errors.Is(err, ErrNoQueue) {
			t.Errorf("%s: queue 2 of 2: %v", name, err)
		}
		if err := d.Start(); err != nil || !m.Queues[1].Live() {
			t.Errorf("%s: Start: %v", name, err)
		}
		if err := d.Reset(); err != nil || m.Queues[1].Live() || m.Status() != 0 {
			t.Errorf("%s: Reset: %v", name, err)
		}
	}
}

func TestDevicesThatCantBeOpened(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *virtiotest.Device)
		want   error
		failed bool
	}{
		"legacy":   {func(m *virtiotest.Device) { m.Features = 0xFF }, ErrLegacy, true},
		"features": {func(m *virtiotest.Device) { m.RefuseFeatures = true }, ErrFeatures, true},
		"reset":    {func(m *virtiotest.Device) { m.StuckReset = true }, ErrReset, false},
	} {
		m := virtiotest.New(1, 0, nil, 8)
		c.change(m)
		tr, err := transports["mmio"](m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(tr, m, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if failed := m.Status()&virtiotest.StatusFailed != 0; failed != c.failed {
			t.Errorf("%s: the device was told that the driver has failed: %v", name, failed)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, transport := range transports {
		m := virtiotest.New(1, 0, testConfig(), 8)
		tr, err := transport(m)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Open(tr, m, nil)
		if err != nil {
			t.Fatal(err)
		}
		// The configuration changes while it is read for the first time.
		reads := 0
		var a, b uint8
		var two uint16
		var four uint32
		var eight uint64
		err = d.ReadConfig(16, func(c Config) {
			a = c.Uint8(0)
			if reads++; reads == 1 {
				m.SetConfig(func(config []byte) { config[0], config[1] = 101, 102 })
			}
			b, two, four, eight = c.Uint8(1), c.Uint16(2), c.Uint32(4), c.Uint64(8)
		})
		if err != nil || reads != 2 {
			t.Errorf("%s: %d reads: %v", name, reads, err)
		}
		if a != 101 || b != 102 || two != 0x0403 || four != 0x08070605 || eight != 0x100F0E0D0C0B0A09 {
			t.Errorf("%s: got %d %d %#x %#x %#x", name, a, b, two, four, eight)
		}
		if err := d.ReadConfig(1000, func(Config) { t.Error("read") }); !errors.Is(err, ErrConfigSize) {
			t.Errorf("%s: 1000 bytes: %v", name, err)
		}
		m.MovingConfig = true
		if err := d.ReadConfig(16, func(Config) {}); !errors.Is(err, ErrConfigMoving) {
			t.Errorf("%s: moving: %v", name, err)
		}
	}
}

func TestMMIOThatIsNone(t *testing.T) {
	for name, c := range map[string]struct {
		special map[uint32]uint32
		size    int
		want    error
	}{
		"nothing":    {nil, 512, ErrNoMMIO},
		"too small":  {map[uint32]uint32{0: mmioMagic, 4: 2, 8: 1}, 128, ErrNoMMIO},
		"version 1":  {map[uint32]uint32{0: mmioMagic, 4: 1, 8: 1}, 512, ErrMMIOVersion},
		"no device":  {map[uint32]uint32{0: mmioMagic, 4: 2}, 512, ErrNoDevice},
		"one device": {map[uint32]uint32{0: mmioMagic, 4: 2, 8: 1}, 512, nil},
	} {
		if _, err := NewMMIO(badWindow{special: c.special}, c.size, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPCICapabilities: a function may say anything about where its registers are.
func TestPCICapabilities(t *testing.T) {
	for name, change := range map[string]func(p *virtiotest.PCI){
		"no common configuration": func(p *virtiotest.PCI) { p.Capability(1)[3] = 77 },
		"no notifications":        func(p *virtiotest.PCI) { p.Capability(2)[3] = 77 },
		"no ISR":                  func(p *virtiotest.PCI) { p.Capability(3)[3] = 77 },
		"BAR 6":                   func(p *virtiotest.PCI) { p.Capability(1)[4] = 6 },
		"BAR 0, which isn't one":  func(p *virtiotest.PCI) { p.Capability(1)[4] = 0 },
		"behind the BAR":          func(p *virtiotest.PCI) { p.Capability(1)[9] = 0xFF },
		"too long for 32 bits":    func(p *virtiotest.PCI) { copy(p.Capability(1)[8:], "\xFC\xFF\xFF\xFF\x38\x00\x00\x00") },
		"too short":               func(p *virtiotest.PCI) { p.Capability(1)[12] = 0x37 },
		"not aligned":             func(p *virtiotest.PCI) { p.Capability(1)[8] = 2 },
		"a short capability":      func(p *virtiotest.PCI) { p.Capability(1)[2] = 15 },
		"out of the space":        func(p *virtiotest.PCI) { p.Capability(1)[2] = 0xFF },
		"a circle":                func(p *virtiotest.PCI) { p.Capability(5)[1] = 0x40 },
	} {
		m := virtiotest.New(1, 0, testConfig(), 8)
		p := m.PCI()
		change(p)
		if _, err := NewPCI(p.Function(), p.Window, PCIInterrupts{Line: p.Line}); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	// Queues may have their notifications where there is nothing.
	m := virtiotest.New(1, 0, testConfig(), 8, 8)
	p := m.PCI()
	p.Capability(2)[12] = 4
	tr, err := NewPCI(p.Function(), p.Window, PCIInterrupts{Line: p.Line})
	if err != nil {
		t.Fatal(err)
	}
	if enabled := byte(1<<1 | 1<<2); p.Space[4]&enabled != enabled {
		t.Errorf("command register %#x: the function doesn't respond, or reaches no memory", p.Space[4])
	}
	d, err := Open(tr, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.NewQueue(0, QueueConfig{Size: 8, Segments: 1}); err != nil {
		t.Error(err)
	}
	if _, err := d.NewQueue(1, QueueConfig{Size: 8, Segments: 1}); !errors.Is(err, ErrNotifyAt) {
		t.Error(err)
	}
}

// TestFirstCapabilityThatCanBeUsed: a function may have several of a type, the first of them in ports or where there is nothing
// [virtio 4.1.4.1].
func TestFirstCapabilityThatCanBeUsed(t *testing.T) {
	for name, change := range map[string]func(c []byte, p *virtiotest.PCI){
		"ports":        func(c []byte, p *virtiotest.PCI) { c[4], p.Space[0x10], p.Space[0x11] = 0, 1, 0xC0 },
		"no BAR":       func(c []byte, _ *virtiotest.PCI) { c[4] = 3 },
		"reserved BAR": func(c []byte, _ *virtiotest.PCI) { c[4] = 6 },
		"too short":    func(c []byte, _ *virtiotest.PCI) { c[12] = 1 },
	} {
		for _, kind := range []byte{1, 2} {
			m := virtiotest.New(1, 0, testConfig(), 8)
			p := m.PCI()
			first := p.Capability(5) // nobody needs that one
			next := first[1]
			copy(first, p.Capability(kind))
			first[1], first[16] = next, 99 // another multiplier
			change(first, p)
			tr, err := NewPCI(p.Function(), p.Window, PCIInterrupts{Line: p.Line})
			if err != nil {
				t.Errorf("%s, type %d: %v", name, kind, err)
				continue
			}
			d, err := Open(tr, m, nil)
			if err != nil {
				t.Fatal(err)
			}
			q := queue(t, d, 8, 1)
			s, _ := memory(t, m, 16)
			if err := q.Add(0, nil, []Segment{s}); err != nil {
				t.Fatal(err)
			}
			if !q.Publish() || m.Queues[0].Notified() != 1 {
				t.Errorf("%s, type %d: the device was not notified", name, kind)
			}
		}
	}
}

func TestPCIType(t *testing.T) {
	for _, c := range []struct {
		vendor, device, subsystem uint16
		want                      Type
		ok                        bool
	}{
		{0x1AF4, 0x1041, 0x1100, TypeNetwork, true}, {0x1AF4, 0x1053, 0, TypeVsock, true},
		{0x1AF4, 0x1000, 1, TypeNetwork, true}, // transitional
		{0x1AF4, 0x1080, 1, 0, false}, {0x8086, 0x1041, 1, 0, false},
	} {
		p := virtiotest.New(0, 0, nil).PCI()
		for at, v := range map[int]uint16{0: c.vendor, 2: c.device, 0x2E: c.subsystem} {
			p.Space[at], p.Space[at+1] = byte(v), byte(v>>8)
		}
		if got, ok := PCIType(p.Function()); got != c.want || ok != c.ok {
			t.Errorf("%x:%x: got %d, %v", c.vendor, c.device, got, ok)
		}
	}
}

func TestLayout(t *testing.T) {
	if n := unsafe.Sizeof(descriptor{}); n != descriptorSize {
		t.Errorf("a descriptor has %d bytes", n)
	}
	if n := unsafe.Sizeof(usedElement{}); n != 8 {
		t.Errorf("a used element has %d bytes", n)
	}
	var d descriptor
	if l, f, n := unsafe.Offsetof(d.length), unsafe.Offsetof(d.flags), unsafe.Offsetof(d.next); l != 8 || f != 12 || n != 14 {
		t.Errorf("offsets %d, %d, %d", l, f, n)
	}
}

func TestServe(t *testing.T) {
	for name, transport := range transports {
		m := virtiotest.New(1, virtiotest.EventIdx, testConfig(), 8)
		serve := func() (calls chan bool, result chan error, d *Device) {
			tr, err := transport(m)
			if err != nil {
				t.Fatal(err)
			}
			if d, err = Open(tr, m, nil); err != nil {
				t.Fatal(err)
			}
			queue(t, d, 8, 1)
			calls, result = make(chan bool), make(chan error)
			go func() {
				result <- d.Serve(func(config bool) error {
					calls <- config
					return nil
				})
			}()
			if !<-calls {
				t.Errorf("%s: the first call is not about the configuration", name)
			}
			return calls, result, d
		}
		calls, result, d := serve()
		m.SetConfig(func([]byte) {})
		if !<-calls {
			t.Errorf("%s: a change of the configuration isn't told", name)
		}
		m.Interrupt() // another device's
		if <-calls {
			t.Errorf("%s: an interrupt without a cause is about the configuration", name)
		}
		m.NeedReset()
		if err := <-result; err != ErrNeedsReset {
			t.Errorf("%s: %v", name, err)
		}
		if err := d.Start(); err != ErrNeedsReset {
			t.Errorf("%s: Start: %v", name, err)
		}

		m = virtiotest.New(1, virtiotest.EventIdx, testConfig(), 8)
		_, result, d = serve()
		if !d.Close() {
			t.Errorf("%s: the interrupt can't be closed", name)
		}
		if err := <-result; err != virtiotest.ErrClosed {
			t.Errorf("%s: %v", name, err)
		}
		own := errors.New("the driver's own")
		if err := d.Serve(func(bool) error { return own }); err != own {
			t.Errorf("%s: %v", name, err)
		}
	}
}
