package virtio

import (
	"testing"

	"wick/kernel/driver/virtio/virtiotest"
	"wick/kernel/hw"
)

// testConfig is a configuration space with a field of each width.
func testConfig() []byte { return []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16} }

// transports are the ways to a model.
var transports = map[string]func(m *virtiotest.Device) (Transport, error){
	"mmio": func(m *virtiotest.Device) (Transport, error) { return NewMMIO(m.MMIO(), virtiotest.MMIOSize, m) },
	"pci": func(m *virtiotest.Device) (Transport, error) {
		p := m.PCI()
		return NewPCI(p.Function(), p.Window, PCIInterrupts{Line: p.Line})
	},
	"messages": func(m *virtiotest.Device) (Transport, error) {
		p := m.PCI()
		p.AddMessages(3, 10)
		return NewPCI(p.Function(), p.Window, PCIInterrupts{Line: p.Line, Message: p.Message})
	},
}

// variants are the combinations of features that change how queues work.
var variants = map[string]uint64{
	"plain": 0, "event": virtiotest.EventIdx, "indirect": virtiotest.Indirect, "both": virtiotest.Indirect | virtiotest.EventIdx,
}

// open returns a device that has been opened over MMIO.
func open(t *testing.T, m *virtiotest.Device) *Device {
	t.Helper()
	transport, err := transports["mmio"](m)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(transport, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// queue returns the first queue of a device that has started.
func queue(t *testing.T, d *Device, size, segments int) *Queue {
	t.Helper()
	q, err := d.NewQueue(0, QueueConfig{Size: size, Segments: segments})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	return q
}

// memory returns DMA memory as a segment.
func memory(t *testing.T, m *virtiotest.Device, size int) (Segment, []byte) {
	t.Helper()
	d, err := m.AllocDMA(size)
	if err != nil {
		t.Fatal(err)
	}
	return Segment{Addr: d.Addr, Len: uint32(size)}, d.Data
}

// badWindow is a window of registers that all read the same, but for those in special.
type badWindow struct {
	hw.Window
	special map[uint32]uint32
}

func (b badWindow) Load32(offset uint32) uint32 { return b.special[offset] }
