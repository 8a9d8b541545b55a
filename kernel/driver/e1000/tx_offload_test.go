package e1000

import (
	"bytes"
	"errors"
	"testing"

	"wick/kernel/driver/e1000/e1000test"
	"wick/packet"
	"wick/packet/packettest"
)

// TestSegmentation: what the card or the driver makes of a segment are frames that are right in every field, and the tap is told of
// what the card is given.
func TestSegmentation(t *testing.T) {
	for _, c := range []struct{ ipv6, whole bool }{{}, {ipv6: true}, {whole: true}, {ipv6: true, whole: true}} {
		m := e1000test.New(testMAC)
		tap, taps := newTap()
		d := start(t, m, func(config *Config) { config.Tap, config.WholeFrames = tap, c.whole })
		for _, size := range []struct {
			payload, mss int
			card         bool // completes it
		}{
			{1, 0, false}, {300, 0, true}, {1440, 0, true}, {1441, 1440, !c.ipv6}, {2880, 1440, !c.ipv6},
			{40_000, 536, !c.ipv6}, {65_000, 1428, !c.ipv6},
		} {
			f, o := packettest.TCPSegment(size.payload, size.mss, c.ipv6)
			for range 20 { // the ring wraps
				if err := d.TransmitOffload(o, f[:14], nil, f[14:100%len(f)], f[100%len(f):]); err != nil {
					t.Fatalf("%+v, %+v: %v", c, size, err)
				}
				sent := m.Sent()
				packettest.CheckSegments(t, sent, f, o)
				want, state := sent, packet.ChecksumUnknown
				if size.card && !c.whole {
					want, state = [][]byte{f}, packet.ChecksumOffload
				}
				for _, w := range want {
					if got := <-taps; got.checksum != state || got.segmented != (state == packet.ChecksumOffload && size.mss > 0) || got.wireLen != len(w) || !bytes.Equal(got.data, w[:min(len(w), bufferSize)]) {
						t.Fatalf("%+v, %+v: the tap was told of %d bytes in state %d, segmented: %v, with %d of them", c, size, got.wireLen, got.checksum, got.segmented, len(got.data))
					}
				}
			}
		}
		if s, n := counter(d, TxSegments) > 0, counter(d, TxChecksums) > 0; s != (!c.whole && !c.ipv6) || n != !c.whole {
			t.Errorf("%+v: counted segments %v, checksums %v", c, s, n)
		}
	}
}

// TestChecksumOfPaddedFrame: padding is not part of what is summed.
func TestChecksumOfPaddedFrame(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, smallRings)
	for range 8 {
		d.Transmit(bytes.Repeat([]byte{0xFF}, 1514))
	}
	m.Sent()
	f, o := packettest.TCPSegment(1, 0, false)
	if err := d.TransmitOffload(o, f); err != nil {
		t.Fatal(err)
	}
	sent := m.Sent()
	packettest.CheckSegments(t, sent, f, o)
	if len(sent[0]) != minFrame || !bytes.Equal(sent[0][len(f):], make([]byte, minFrame-len(f))) {
		t.Errorf("sent % x", sent[0])
	}
}

func TestRefusedOffload(t *testing.T) {
	m := e1000test.New(testMAC)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { c.Tap = tap })
	f, o := packettest.TCPSegment(3000, 1440, false)
	change := func(change func(*packet.Offload)) packet.Offload {
		bad := o
		change(&bad)
		return bad
	}
	for name, c := range map[string]struct {
		frame []byte
		o     packet.Offload
		err   error
		why   Counter
	}{
		"too long for a frame":   {frame(1519, 0), change(func(o *packet.Offload) { o.SegmentSize = 0 }), ErrTooLong, TxTooLong},
		"too long for a segment": {frame(65550, 0), o, ErrTooLong, TxTooLong},
		"frames too long":        {f, change(func(o *packet.Offload) { o.SegmentSize = 1500 }), ErrBadOffload, TxBadOffload},
		"headers without TCP":    {f, change(func(o *packet.Offload) { o.HeaderLen = 40 }), ErrBadOffload, TxBadOffload},
		"no checksum":            {f, change(func(o *packet.Offload) { o.Checksum = false }), ErrBadOffload, TxBadOffload},
	} {
		if err := d.TransmitOffload(c.o, c.frame); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if got := <-taps; got.drop != c.why.String() || got.wireLen != len(c.frame) || counter(d, c.why) == 0 {
			t.Errorf("%s: dropped for %q", name, got.drop)
		}
	}
	if n := len(m.Sent()); n != 0 {
		t.Errorf("%d frames were sent", n)
	}
}

// TestSegmentsInAFullRing: the card gets the whole of a segment or nothing; of one that the driver cuts, as many frames as there is
// room for.
func TestSegmentsInAFullRing(t *testing.T) {
	for _, whole := range []bool{false, true} {
		m := e1000test.New(testMAC)
		m.HoldTransmit = true
		d := start(t, m, func(c *Config) { c.WholeFrames = whole })
		f, o := packettest.TCPSegment(20*1440, 1440, false)
		sent := 0
		for ; sent < 10; sent++ {
			if err := d.TransmitOffload(o, f); errors.Is(err, ErrRingFull) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if counter(d, TxRingFull) != 1 {
			t.Errorf("counted %d", counter(d, TxRingFull))
		}
		m.Release()
		frames := len(m.Sent())
		if descriptors := descriptorsFor(len(f)); !whole && (sent != (defaultTxDescriptors-1)/descriptors || frames != 20*sent) {
			t.Errorf("%d segments of %d descriptors went out in %d frames", sent, descriptors, frames)
		}
		if whole && frames != defaultTxDescriptors-1 {
			t.Errorf("%d frames went out", frames)
		}
		if err := d.TransmitOffload(o, f); err != nil {
			t.Errorf("with room again: %v", err)
		}
	}
}

// TestSegmentsInASmallRing: where the ring has no room for a segment, its frames go out all the same.
func TestSegmentsInASmallRing(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, smallRings)
	for range 5 {
		f, o := packettest.TCPSegment(65_000, 1428, false)
		if err := d.TransmitOffload(o, f); err != nil {
			t.Fatal(err)
		}
		packettest.CheckSegments(t, m.Sent(), f, o)
	}
}

func TestTransmitOffloadDoesNotAllocate(t *testing.T) {
	for _, whole := range []bool{false, true} {
		m := e1000test.New(testMAC)
		m.HoldTransmit = true // the model would allocate
		d := start(t, m, func(c *Config) { c.WholeFrames, c.TxDescriptors = whole, 4096 })
		f, o := packettest.TCPSegment(3000, 1440, false)
		pieces := [][]byte{f}
		if n := testing.AllocsPerRun(100, func() { d.TransmitOffload(o, pieces...) }); n != 0 {
			t.Errorf("%v allocations a segment", n)
		}
	}
}
