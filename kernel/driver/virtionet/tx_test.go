package virtionet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtio/virtiotest"
	"wick/kernel/driver/virtionet/virtionettest"
	"wick/packet"
)

func TestTransmit(t *testing.T) {
	for name, features := range variants {
		m := virtionettest.New(testMAC, features, 8)
		tap, taps := newTap()
		d := start(t, m, func(c *Config) { c.Tap = tap })
		for i, size := range []int{14, 42, 60, 1514, 1518, 60, 61, 62, 63, 64, 65} {
			f := frame(size, i)
			if err := d.Transmit(f[:10], nil, f[10:13], f[13:]); err != nil {
				t.Fatalf("%s: %d bytes: %v", name, size, err)
			}
			if sent := m.Sent(); len(sent) != 1 || !bytes.Equal(sent[0], f) {
				t.Errorf("%s: %d bytes: the card has sent %d frames", name, size, len(sent))
			}
			if got := <-taps; got.Direction != packet.Transmit || got.WireLen != size || !bytes.Equal(got.Data, f) || got.Drop != "" || got.Checksum != 0 {
				t.Errorf("%s: the tap was told of %d bytes, dropped for %q", name, got.WireLen, got.Drop)
			}
		}
	}
}

func TestRefusedFrames(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 64)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { c.Tap = tap })
	seg, o := tcpSegment(100, 0, false)
	for name, c := range map[string]struct {
		frame []byte
		o     packet.Offload
		err   error
		why   Counter
	}{
		"13 bytes":          {frame(13, 0), packet.Offload{}, ErrTooShort, TxTooShort},
		"nothing":           {nil, packet.Offload{}, ErrTooShort, TxTooShort},
		"1519 bytes":        {frame(1519, 0), packet.Offload{}, ErrTooLong, TxTooLong},
		"100000 bytes":      {frame(100000, 0), packet.Offload{}, ErrTooLong, TxTooLong},
		"checksum":          {seg, o, ErrBadOffload, TxBadOffload},
		"segments":          {frame(1518, 0), packet.Offload{SegmentSize: 536}, ErrBadOffload, TxBadOffload},
		"too many segments": {frame(100000, 0), packet.Offload{SegmentSize: 536}, ErrTooLong, TxTooLong},
	} {
		if err := d.TransmitOffload(c.o, c.frame); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if f := <-taps; f.Drop != c.why.String() || f.WireLen != len(c.frame) || counter(d, c.why) == 0 {
			t.Errorf("%s: dropped for %q", name, f.Drop)
		}
	}
	if sent := m.Sent(); len(sent) != 0 || d.SegmentationOffload() {
		t.Errorf("%d frames were sent", len(sent))
	}

	d = start(t, virtionettest.New(testMAC, virtionettest.TAP, 64), nil)
	if !d.SegmentationOffload() {
		t.Fatal("no segmentation with a TAP interface")
	}
	for name, change := range map[string]func(o *packet.Offload){
		"checksum of the Ethernet header": func(o *packet.Offload) { o.ChecksumStart = 13 },
		"checksum behind the end":         func(o *packet.Offload) { o.ChecksumOffset = len(seg) - o.ChecksumStart - 1 },
		"checksum before its start":       func(o *packet.Offload) { o.ChecksumOffset = -1 },
		"headers longer than the frame":   func(o *packet.Offload) { o.SegmentSize, o.HeaderLen = 10, len(seg)+1 },
		"headers without TCP":             func(o *packet.Offload) { o.SegmentSize, o.HeaderLen = 10, o.ChecksumStart },
		"segments without a checksum":     func(o *packet.Offload) { *o = packet.Offload{SegmentSize: 10, HeaderLen: 54} },
	} {
		bad := o
		change(&bad)
		if err := d.TransmitOffload(bad, seg); !errors.Is(err, ErrBadOffload) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSegmentation: what the card makes of a segment are frames that are right in every field.
func TestSegmentation(t *testing.T) {
	for _, ipv6 := range []bool{false, true} {
		m := virtionettest.New(testMAC, virtionettest.TAP, 256)
		tap, taps := newTap()
		d := start(t, m, func(c *Config) { c.Tap = tap })
		for _, c := range []struct{ payload, mss int }{{1, 0}, {1440, 0}, {1461, 1460}, {1, 1460}, {2920, 1460}, {10000, 536}, {65000, 1448}} {
			f, o := tcpSegment(c.payload, c.mss, ipv6)
			// In pieces, and more often than there are buffers.
			for range 20 {
				if err := d.TransmitOffload(o, f[:20], f[20:len(f)/2], f[len(f)/2:]); err != nil {
					t.Fatalf("%+v: %v", c, err)
				}
				if got := <-taps; got.Checksum != packet.ChecksumOffload || got.WireLen != len(f) || !bytes.Equal(got.Data, f[:min(len(f), bufferSize-headerSize)]) {
					t.Errorf("%+v: the tap was told of %d bytes in state %d, with %d of them", c, got.WireLen, got.Checksum, len(got.Data))
				}
				var payload []byte
				sent := m.Sent()
				if want := max(1, (c.payload+max(c.mss, 1)-1)/max(c.mss, 1)); c.mss > 0 && len(sent) != want {
					t.Fatalf("%+v: %d frames, want %d", c, len(sent), want)
				}
				for _, s := range sent {
					if text := string(packet.Append(nil, &packet.Frame{Data: s, WireLen: len(s)}, packet.Line)); bytes.Contains([]byte(text), []byte("!")) || !bytes.Contains([]byte(text), []byte("ck=ok")) {
						t.Fatalf("%+v: %s", c, text)
					}
					at := o.ChecksumStart + 20
					if seq := binary.BigEndian.Uint32(s[o.ChecksumStart+4:]); seq != 0xFFFFF000+uint32(len(payload)) {
						t.Fatalf("%+v: sequence number %#x at %d", c, seq, len(payload))
					}
					payload = append(payload, s[at:]...)
				}
				if !bytes.Equal(payload, f[o.ChecksumStart+20:]) {
					t.Fatalf("%+v: the payload isn't that of the segment", c)
				}
			}
		}
		if counter(d, TxSegments) != 100 || counter(d, TxChecksums) != 140 {
			t.Errorf("counted %d segments and %d checksums", counter(d, TxSegments), counter(d, TxChecksums))
		}
	}
}

// TestFullQueue: a card that sends nothing costs one wait, and each frame is counted; it goes on when the card does.
func TestFullQueue(t *testing.T) {
	for name, features := range variants {
		m := virtionettest.New(testMAC, features, 8)
		m.HoldTransmit = true
		tap, taps := newTap()
		d := start(t, m, func(c *Config) { c.Tap = tap; c.TxBuffers = 8 })
		d.sendPatience = 10 * time.Millisecond
		for i := range 8 {
			if err := d.Transmit(frame(60, i)); err != nil {
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
			<-taps
		}
		for range 100 {
			if err := d.Transmit(frame(60, 8)); !errors.Is(err, ErrRingFull) {
				t.Fatalf("%s: %v", name, err)
			}
			if f := <-taps; f.Drop != "tx-ring-full" || f.WireLen != 60 {
				t.Errorf("%s: dropped for %q", name, f.Drop)
			}
		}
		if n, w := counter(d, TxRingFull), counter(d, TxWaits); n != 100 || w != 1 {
			t.Errorf("%s: counted %d frames and %d waits", name, n, w)
		}
		m.Release()
		if err := d.Transmit(frame(60, 9)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		m.Release()
		if sent := m.Sent(); len(sent) != 9 || !bytes.Equal(sent[8], frame(60, 9)) {
			t.Errorf("%s: %d frames were sent", name, len(sent))
		}
	}
}

// TestBusyCard: a card that needs a while loses nothing.
func TestBusyCard(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	m.HoldTransmit = true
	d := start(t, m, func(c *Config) { c.TxBuffers = 8 })
	d.sendPatience = time.Minute
	stop := make(chan bool)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			select {
			case <-stop:
				return
			default:
				m.Release()
			}
		}
	}()
	for i := range 2_000 {
		if err := d.Transmit(frame(60, i)); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	m.Release()
	if n := len(m.Sent()); n != 2_000 {
		t.Errorf("%d frames were sent", n)
	}
}

// TestNotificationsAreFew: a card that is at work isn't told of each frame.
func TestNotificationsAreFew(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 64)
	m.HoldTransmit = true
	d := start(t, m, nil)
	for i := range 60 {
		if err := d.Transmit(frame(60, i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.Queues[1].Notified(); n != 1 || counter(d, TxNotifications) != 1 {
		t.Errorf("notified %d times, counted %d", n, counter(d, TxNotifications))
	}
}

// TestStop: what was sent is on the wire, what has come has been handed on, and then nothing goes any more.
func TestStop(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	m.HoldTransmit = true
	d := start(t, m, nil)
	c := attach(d)
	if err := d.Transmit(frame(60, 1)); err != nil {
		t.Fatal(err)
	}
	d.stopPatience = time.Minute
	time.AfterFunc(10*time.Millisecond, m.Release)
	deliver(t, m, frame(60, 2))
	d.Stop()
	if sent := m.Sent(); len(sent) != 1 {
		t.Errorf("%d frames were sent", len(sent))
	}
	expect(t, c, frame(60, 2))
	<-d.Done()
	if err := d.Err(); err != nil {
		t.Errorf("Err: %v", err)
	}
	if m.Queues[0].Live() || m.Status() != 0 {
		t.Errorf("the card is live after Stop: status %#x", m.Status())
	}
	if err := d.Transmit(frame(60, 1)); !errors.Is(err, ErrStopped) || counter(d, TxStopped) != 1 {
		t.Errorf("Transmit: %v", err)
	}
}

// TestStopOfAStuckCard ends.
func TestStopOfAStuckCard(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	m.HoldTransmit = true
	d := start(t, m, nil)
	d.stopPatience = 10 * time.Millisecond
	attach(d)
	if err := d.Transmit(frame(60, 1)); err != nil {
		t.Fatal(err)
	}
	d.Stop()
	if m.Status() != 0 {
		t.Errorf("status %#x", m.Status())
	}
}

// TestStopOfACardThatDoesNotReset: it may go on reaching for its memory, which stays its own; the driver tells, and is done with it.
func TestStopOfACardThatDoesNotReset(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	m.OnStatus = func(status uint8) {
		if virtio.Status(status)&virtio.StatusDriverOK != 0 {
			m.StuckReset = true
		}
	}
	d := start(t, m, nil)
	attach(d)
	d.Stop()
	if err := d.Err(); !errors.Is(err, virtio.ErrReset) {
		t.Errorf("Err: %v", err)
	}
	if m.Status()&virtiotest.StatusFailed == 0 {
		t.Errorf("status %#x", m.Status())
	}
	if err := d.Transmit(frame(60, 1)); !errors.Is(err, ErrStopped) {
		t.Errorf("Transmit: %v", err)
	}
}

func TestConcurrentTransmit(t *testing.T) {
	a, b := virtionettest.New(testMAC, virtionettest.TAP, 256), virtionettest.New(testMAC, virtionettest.TAP, 256)
	virtionettest.Connect(a, b)
	da, db := start(t, a, nil), start(t, b, nil)
	got := attach(db)
	attach(da)
	const each = 100
	room := make(chan bool, 100) // as many as the receiver has room for
	for range 4 {
		go func() {
			for i := range each {
				f, o := tcpSegment(3000, 1448, i%2 == 0)
				room <- true
				da.TransmitOffload(o, f)
			}
		}()
	}
	for i := range 4 * each {
		if r := <-got; len(r.frame) != 3054 && len(r.frame) != 3074 || r.checksum != packet.ChecksumOffload {
			t.Fatalf("frame %d: %d bytes", i, len(r.frame))
		}
		<-room
	}
}

func TestTransmitDoesNotAllocate(t *testing.T) {
	for _, tap := range []Tap{nil, func(packet.Frame) {}} {
		m := virtionettest.New(testMAC, virtionettest.TAP, 256)
		m.HoldTransmit = true
		d := start(t, m, func(c *Config) { c.Tap = tap; c.TxBuffers = 4096 })
		f, o := tcpSegment(3000, 1448, false)
		if n := testing.AllocsPerRun(100, func() { d.TransmitOffload(o, f) }); n != 0 {
			t.Errorf("%v allocations a frame", n)
		}
	}
}
