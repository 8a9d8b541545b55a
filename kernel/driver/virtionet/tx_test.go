package virtionet

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtio/virtiotest"
	"wick/kernel/driver/virtionet/virtionettest"
	"wick/packet"
	"wick/packet/packettest"
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
	seg, o := packettest.TCPSegment(3000, 0, false)
	for name, c := range map[string]struct {
		frame []byte
		o     packet.Offload
		err   error
		why   Counter
	}{
		"13 bytes":                      {frame(13, 0), packet.Offload{}, ErrTooShort, TxTooShort},
		"nothing":                       {nil, packet.Offload{}, ErrTooShort, TxTooShort},
		"1519 bytes":                    {frame(1519, 0), packet.Offload{}, ErrTooLong, TxTooLong},
		"100000 bytes":                  {frame(100000, 0), packet.Offload{}, ErrTooLong, TxTooLong},
		"headers and segments too long": {seg, packet.Offload{Checksum: true, ChecksumStart: 34, ChecksumOffset: 16, SegmentSize: 1500, HeaderLen: 54}, ErrBadOffload, TxBadOffload},
		"segments":                      {frame(1518, 0), packet.Offload{SegmentSize: 536}, ErrBadOffload, TxBadOffload},
		"too many segments":             {frame(100000, 0), packet.Offload{SegmentSize: 536}, ErrTooLong, TxTooLong},
	} {
		if err := d.TransmitOffload(c.o, c.frame); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if f := <-taps; f.Drop != c.why.String() || f.WireLen != len(c.frame) || counter(d, c.why) == 0 {
			t.Errorf("%s: dropped for %q", name, f.Drop)
		}
	}
	if sent := m.Sent(); len(sent) != 0 {
		t.Errorf("%d frames were sent", len(sent))
	}

	d = start(t, virtionettest.New(testMAC, virtionettest.TAP, 64), nil)
	seg, o = packettest.TCPSegment(100, 0, false)
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

// TestSegmentation: what the card or the driver makes of a segment are frames that are right in every field.
func TestSegmentation(t *testing.T) {
	for _, c := range []struct {
		card uint64
		ipv6 bool
	}{{virtionettest.TAP, false}, {virtionettest.TAP, true}, {virtionettest.QEMU, false}, {virtionettest.QEMU, true}} {
		m := virtionettest.New(testMAC, c.card, 256)
		tap, taps := newTap()
		d := start(t, m, func(c *Config) { c.Tap = tap })
		cuts := c.card == virtionettest.TAP
		for _, size := range []struct{ payload, mss int }{{1, 0}, {1440, 0}, {1441, 1440}, {1, 1440}, {2880, 1440}, {10000, 536}, {65000, 1428}} {
			f, o := packettest.TCPSegment(size.payload, size.mss, c.ipv6)
			// In pieces, and more often than there are buffers.
			for range 20 {
				if err := d.TransmitOffload(o, f[:20], f[20:len(f)/2], f[len(f)/2:]); err != nil {
					t.Fatalf("%+v, %+v: %v", c, size, err)
				}
				sent := m.Sent()
				packettest.CheckSegments(t, sent, f, o)
				want, state := sent, packet.ChecksumUnknown
				if cuts {
					want, state = [][]byte{f}, packet.ChecksumOffload
				}
				for _, w := range want {
					if got := <-taps; got.Checksum != state || got.Segmented != (cuts && size.mss > 0) || got.WireLen != len(w) || !bytes.Equal(got.Data, w[:min(len(w), bufferSize-headerSize)]) {
						t.Errorf("%+v, %+v: the tap was told of %d bytes in state %d, segmented: %v, with %d of them", c, size, got.WireLen, got.Checksum, got.Segmented, len(got.Data))
					}
				}
			}
		}
		if s, n := counter(d, TxSegments), counter(d, TxChecksums); cuts && (s != 100 || n != 140) || !cuts && (s != 0 || n != 0) {
			t.Errorf("counted %d segments and %d checksums", s, n)
		}
	}
}

// TestSegmentThatHasNoRoomInTheQueue: a card that cuts segments, but whose queue is too short for the longest ones, gets none.
func TestSegmentThatHasNoRoomInTheQueue(t *testing.T) {
	for _, features := range []uint64{virtionettest.TAP, virtionettest.TAP &^ virtiotest.Indirect} {
		m := virtionettest.New(testMAC, features, 16)
		d := start(t, m, nil)
		for range 3 {
			f, o := packettest.TCPSegment(60_000, 1440, true)
			if err := d.TransmitOffload(o, f); err != nil {
				t.Fatal(err)
			}
			packettest.CheckSegments(t, m.Sent(), f, o)
		}
		if n := counter(d, TxSegments) + counter(d, TxChecksums); n != 0 {
			t.Errorf("%d frames were left to the card", n)
		}
	}
}

// TestTransmittedHeader: each frame has the header that says what is left to the card, and nothing of one before [virtio 5.1.6.2].
func TestTransmittedHeader(t *testing.T) {
	for name, features := range map[string]uint64{"TAP": virtionettest.TAP, "TAP without indirect tables": virtionettest.TAP &^ virtiotest.Indirect} {
		m := virtionettest.New(testMAC, features, 64)
		m.HoldTransmit = true
		d := start(t, m, nil)
		send := func(f []byte, o packet.Offload, want []byte) { // into the same buffers as the one before
			t.Helper()
			if err := d.TransmitOffload(o, f); err != nil {
				t.Fatalf("%s, %+v: %v", name, o, err)
			}
			chain, ok := m.Queues[1].Pop()
			if sent := chain.Read(); !ok || len(chain.Writable) != 0 || !bytes.Equal(sent[:headerSize], want) || !bytes.Equal(sent[headerSize:], f) {
				t.Errorf("%s, %+v: header % x, want % x, behind it %d bytes", name, o, sent[:headerSize], want, len(sent)-headerSize)
			}
			m.Queues[1].Push(chain.ID, 0)
			m.Queues[1].Signal()
		}
		for _, c := range []struct {
			ipv6                  bool
			payload, mss, options int // bytes

			gsoType                          byte
			hdrLen, gsoSize, start, checksum int
		}{
			{true, 60_000, 1440, 0, 4, 74, 1440, 54, 16},
			{true, 20_000, 1428, 12, 4, 86, 1428, 54, 16},
			{true, 65535 - 20, 1220, 0, 4, 74, 1220, 54, 16}, // the longest
			{false, 60_000, 1460, 0, 1, 54, 1460, 34, 16},
			{false, 65535 - 40, 536, 0, 1, 54, 536, 34, 16},
			{true, 100, 0, 0, 0, 0, 0, 54, 16},
			{false, 100, 0, 0, 0, 0, 0, 34, 16},
		} {
			f, o := packettest.TCPSegment(c.payload, c.mss, c.ipv6)
			if c.options > 0 {
				f = slices.Insert(f, o.HeaderLen, make([]byte, c.options)...)
				o.HeaderLen += c.options
			}
			want := rawHeader(1, c.gsoType, c.gsoSize, c.start, c.checksum, 0) // num_buffers is 0 [virtio 5.1.6.2.1]
			want[2] = byte(c.hdrLen)
			send(f, o, want)
		}
		send(frame(100, 1), packet.Offload{}, make([]byte, headerSize))
	}
}

// TestSegmentIsToldOfOnce: the card learns of the frames of one segment by one notification, or when the queue is full.
func TestSegmentIsToldOfOnce(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 64)
	d := start(t, m, nil)
	for _, c := range []struct{ payload, notifications int }{{60 * 536, 1}, {100 * 536, 2}} {
		before := m.Queues[1].Notified()
		f, o := packettest.TCPSegment(c.payload, 536, false)
		if err := d.TransmitOffload(o, f); err != nil {
			t.Fatal(err)
		}
		packettest.CheckSegments(t, m.Sent(), f, o)
		if n := m.Queues[1].Notified() - before; n != c.notifications {
			t.Errorf("%d bytes: notified %d times, want %d", c.payload, n, c.notifications)
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
		for i := range 8 {
			if err := d.Transmit(frame(60, 9+i)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := d.Transmit(frame(60, 17)); !errors.Is(err, ErrRingFull) || counter(d, TxWaits) != 2 {
			t.Errorf("%s: a card that had gone on was not waited for: %v", name, err)
		}
		m.Release()
		if sent := m.Sent(); len(sent) != 16 || !bytes.Equal(sent[8], frame(60, 9)) {
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

// TestStopTakesWhatHasCome: also what the card has not interrupted for.
func TestStopTakesWhatHasCome(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	d := start(t, m, nil)
	c := attach(d)
	deliver(t, m, frame(60, 1))
	expect(t, c, frame(60, 1))
	awaitQuiet(d)
	m.LoseInterrupts(1)
	deliver(t, m, frame(60, 2))
	d.Stop()
	if len(c) != 1 {
		t.Fatalf("%d frames were handed on", len(c))
	}
	expect(t, c, frame(60, 2))
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
	c := attach(d)
	d.Stop()
	if err := d.Err(); !errors.Is(err, virtio.ErrReset) {
		t.Errorf("Err: %v", err)
	}
	deliver(t, m, frame(60, 1))
	if d.lookForLost(look{pending: true}); len(c) != 0 {
		t.Error("a frame that has come after the end was handed on")
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
				f, o := packettest.TCPSegment(3000, 1440, i%2 == 0)
				room <- true
				if err := da.TransmitOffload(o, f); err != nil {
					t.Error(err)
				}
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
		f, o := packettest.TCPSegment(3000, 1440, false)
		pieces := [][]byte{f}
		if n := testing.AllocsPerRun(100, func() { d.TransmitOffload(o, pieces...) }); n != 0 {
			t.Errorf("%v allocations a frame", n)
		}
	}
}
