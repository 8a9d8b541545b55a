package virtio

import (
	"testing"

	"wick/kernel/driver/virtio/virtiotest"
	"wick/kernel/hw"
)

// causes is a window in which after each read of the causes of interrupts there are others.
type causes struct {
	hw.Window
	left []uint32
	now  uint32
}

func (c *causes) Load32(offset uint32) uint32 {
	if offset != mmioInterruptStatus {
		return c.Window.Load32(offset)
	}
	seen := c.now
	if len(c.left) > 0 {
		c.now |= c.left[0]
		c.left = c.left[1:]
	}
	return seen
}

func (c *causes) Store32(offset uint32, v uint32) {
	if offset == mmioInterruptACK {
		c.now &^= v
	}
}

// TestAcknowledgeLowersTheLine: a cause that comes between the reading and the acknowledging of others is seen, and doesn't
// keep the line high, which would be the end of an edge-triggered line.
func TestAcknowledgeLowersTheLine(t *testing.T) {
	endless := make([]uint32, 1000)
	for i := range endless {
		endless[i] = 1
	}
	for _, c := range []struct {
		name    string
		now     uint32
		left    []uint32
		want    Cause
		leftNow uint32
	}{
		{"another device's", 0, nil, 0, 0},
		{"queue", 1, nil, 1, 0},
		{"configuration after queue", 1, []uint32{2}, 3, 0},
		{"configuration when the line has been low", 1, []uint32{0, 2}, 1, 2}, // that is another edge
		{"a device that doesn't stop", 1, endless, 1, 1},
	} {
		w := &causes{Window: virtiotest.New(1, 0, testConfig(), 8).MMIO(), left: c.left, now: c.now}
		transport, err := NewMMIO(w, virtiotest.MMIOSize, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := transport.Sources()[0].Acknowledge(); got != c.want || w.now != c.leftNow {
			t.Errorf("%s: got %v, and %v is left, want %v and %v", c.name, got, w.now, c.want, c.leftNow)
		}
	}
}
