package virtionet

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtio/virtiotest"
	"wick/kernel/driver/virtionet/virtionettest"
	"wick/packet"
	"wick/packet/packettest"
)

// variants are cards with different ways of queues and of receiving.
var variants = map[string]uint64{
	"least": virtionettest.MAC,
	"merge": virtionettest.MAC | virtionettest.MrgRxbuf,
	"QEMU":  virtionettest.QEMU,
	"TAP":   virtionettest.TAP,
}

func TestReceiveWrapsAround(t *testing.T) {
	for name, features := range variants {
		m := virtionettest.New(testMAC, features, 8)
		d := start(t, m, nil)
		c := attach(d)
		sizes := []int{14, 42, 60, 1514, 1518}
		total := 0
		for i := range 100 {
			f := frame(sizes[i%len(sizes)], i)
			deliver(t, m, f)
			expect(t, c, f)
			total += len(f)
		}
		if n, b := counter(d, RxFrames), counter(d, RxBytes); n != 100 || b != uint64(total) {
			t.Errorf("%s: counted %d frames and %d bytes, want 100 and %d", name, n, b, total)
		}
	}
}

func TestFramesBeforeAttachWait(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	d := start(t, m, nil)
	for i := range 8 {
		deliver(t, m, frame(60, i))
	}
	if m.Deliver(frame(60, 8)) {
		t.Fatal("a queue of 8 took 9 frames")
	}
	c := attach(d)
	for i := range 8 {
		expect(t, c, frame(60, i))
	}
	deliver(t, m, frame(60, 9))
	expect(t, c, frame(60, 9))
}

// TestMergedBuffers: segments of up to the 64 KiB of either IP come in as many buffers as they need, and are told of as what they are.
func TestMergedBuffers(t *testing.T) {
	for _, c := range []struct {
		ipv6    bool
		gso     byte
		headers int
		longest int // bytes of payload; IPv6 doesn't count its header
	}{{false, gsoTCPv4, 54, 65535 - 40}, {true, gsoTCPv6, 74, 65535 - 20}} {
		m := virtionettest.New(testMAC, virtionettest.TAP, 64)
		tap, taps := newTap()
		d := start(t, m, func(c *Config) { c.Tap = tap })
		got := attach(d)
		sizes := []int{2036 - c.headers, 2037 - c.headers, 0, 4000, c.longest, 60, 33000, 4084 - c.headers}
		merged := uint64(0)
		for i := range 100 {
			f, o := packettest.TCPSegment(sizes[i%len(sizes)], 0, c.ipv6)
			if len(f) > 2036 {
				merged++
			}
			if !m.DeliverRaw(append(rawHeader(flagNeedsCsum, c.gso, 1428, o.ChecksumStart, 16, 0), f...)) {
				t.Fatal("no room")
			}
			told := <-taps
			if told.Drop != "" || !told.Segmented || told.Checksum != packet.ChecksumOffload || told.WireLen != len(f) || !bytes.Equal(told.Data, f) {
				t.Fatalf("%+v, %d bytes: the tap was told of %d, segmented: %v, checksum state %d, dropped for %q", c, len(f), told.WireLen, told.Segmented, told.Checksum, told.Drop)
			}
			if r := <-got; !bytes.Equal(r.frame, f) || r.checksum != packet.ChecksumOffload {
				t.Fatalf("%+v, %d bytes: got %d, checksum state %d", c, len(f), len(r.frame), r.checksum)
			}
		}
		if n, s := counter(d, RxMerged), counter(d, RxSegments); n != merged || s != 100 {
			t.Errorf("%+v: counted %d merged frames and %d segments, want %d and 100", c, n, s, merged)
		}
	}
}

// TestTaggedSegments: what is behind a VLAN tag is the stack's to look at.
func TestTaggedSegments(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.TAP, 64)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { c.Tap = tap })
	got := attach(d)
	for _, tag := range []string{"\x81\x00\x00\x05", "\x88\xA8\x00\x05"} {
		f, o := packettest.TCPSegment(65535-20, 0, true)
		f = slices.Insert(f, 12, []byte(tag)...)
		m.DeliverRaw(append(rawHeader(flagNeedsCsum, gsoTCPv6, 1428, o.ChecksumStart+4, 16, 0), f...))
		if told := <-taps; told.Drop != "" || !told.Segmented {
			t.Fatalf("dropped for %q", told.Drop)
		}
		expect(t, got, f)
	}
}

// TestPartsThatComeLate: a card may show the buffers of a frame one by one.
func TestPartsThatComeLate(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	d := start(t, m, func(c *Config) { c.RxBuffers = 8 })
	c := attach(d)
	f := frame(1000, 1)
	m.DeliverBuffers(append(rawHeader(0, 0, 0, 0, 0, 3), f[:10]...))
	m.DeliverBuffers(f[10:900])
	m.DeliverBuffers(f[900:])
	expect(t, c, f)
	deliver(t, m, frame(60, 2))
	expect(t, c, frame(60, 2))
}

func TestDroppedFrames(t *testing.T) {
	plain := rawHeader(0, 0, 0, 0, 0, 1)
	with := func(h []byte, f []byte) []byte { return append(bytes.Clone(h), f...) }
	tcp, _ := packettest.TCPSegment(100, 0, false)
	tcp6, _ := packettest.TCPSegment(100, 0, true)
	neither := bytes.Clone(tcp)
	neither[13] = 6 // ARP
	for name, c := range map[string]struct {
		buffers  [][]byte
		why      Counter
		length   int
		features uint64
		damage   packet.Damage
	}{
		"no header":                  {[][]byte{{}}, RxShortHeader, 0, virtionettest.TAP, packet.DamageShortHeader},
		"half a header":              {[][]byte{plain[:11]}, RxShortHeader, 0, virtionettest.TAP, packet.DamageShortHeader},
		"no frame":                   {[][]byte{plain}, RxRunt, 0, virtionettest.TAP, 0},
		"13 bytes":                   {[][]byte{with(plain, frame(13, 0))}, RxRunt, 13, virtionettest.TAP, 0},
		"1519 bytes":                 {[][]byte{with(plain, frame(1519, 0))}, RxOversized, 1519, virtionettest.TAP, 0},
		"no buffers":                 {[][]byte{with(rawHeader(0, 0, 0, 0, 0, 0), frame(60, 0))}, RxBadBuffers, 60, virtionettest.TAP, 0},
		"9 of 8 buffers":             {[][]byte{with(rawHeader(0, 0, 0, 0, 0, 9), frame(60, 0))}, RxBadBuffers, 60, virtionettest.TAP, 0},
		"65535 buffers":              {[][]byte{with(rawHeader(0, 0, 0, 0, 0, 65535), frame(60, 0))}, RxBadBuffers, 60, virtionettest.TAP, 0},
		"merged to 1519 bytes":       {[][]byte{with(rawHeader(0, 0, 0, 0, 0, 2), frame(1500, 0)), frame(19, 0)}, RxOversized, 1519, virtionettest.TAP, 0},
		"checksum not negotiated":    {[][]byte{with(rawHeader(1, 0, 0, 34, 16, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.QEMU, 0},
		"checksum behind the end":    {[][]byte{with(rawHeader(1, 0, 0, 34, len(tcp)-34-1, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"checksum far behind":        {[][]byte{with(rawHeader(1, 0, 0, 65535, 65535, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"segments not negotiated":    {[][]byte{with(rawHeader(1, 1, 536, 34, 16, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.QEMU | virtionettest.GuestCSUM, 0},
		"segments of UDP":            {[][]byte{with(rawHeader(1, 3, 536, 34, 16, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"segments of 0 bytes":        {[][]byte{with(rawHeader(1, 1, 0, 34, 16, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"segments without checksum":  {[][]byte{with(rawHeader(0, 4, 536, 34, 16, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"segments with an ECN bit":   {[][]byte{with(rawHeader(1, 0x81, 536, 34, 16, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"TCPv6 not negotiated":       {[][]byte{with(rawHeader(1, 4, 536, 54, 16, 1), tcp6)}, RxBadOffload, len(tcp6), virtionettest.TAP &^ virtionettest.GuestTSO6, 0},
		"TCPv4 not negotiated":       {[][]byte{with(rawHeader(1, 1, 536, 34, 16, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP &^ virtionettest.GuestTSO4, 0},
		"TCPv6 segments of IPv4":     {[][]byte{with(rawHeader(1, 4, 536, 54, 16, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"TCPv4 segments of IPv6":     {[][]byte{with(rawHeader(1, 1, 536, 54, 16, 1), tcp6)}, RxBadOffload, len(tcp6), virtionettest.TAP, 0},
		"TCPv4 segments of ARP":      {[][]byte{with(rawHeader(1, 1, 536, 34, 16, 1), neither)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"TCPv6 segments of 0 bytes":  {[][]byte{with(rawHeader(1, 4, 0, 54, 16, 1), tcp6)}, RxBadOffload, len(tcp6), virtionettest.TAP, 0},
		"TCPv6, checksum verified":   {[][]byte{with(rawHeader(2, 4, 536, 54, 16, 1), tcp6)}, RxBadOffload, len(tcp6), virtionettest.TAP, 0},
		"TCPv6 with an ECN bit":      {[][]byte{with(rawHeader(1, 0x84, 536, 54, 16, 1), tcp6)}, RxBadOffload, len(tcp6), virtionettest.TAP, 0},
		"TCP in the IPv6 header":     {[][]byte{with(rawHeader(1, 4, 536, 53, 16, 1), tcp6)}, RxBadOffload, len(tcp6), virtionettest.TAP, 0},
		"TCP in the IPv4 header":     {[][]byte{with(rawHeader(1, 1, 536, 33, 16, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"TCPv6, UDP's checksum":      {[][]byte{with(rawHeader(1, 4, 536, 54, 6, 1), tcp6)}, RxBadOffload, len(tcp6), virtionettest.TAP, 0},
		"TCPv6, checksum too far":    {[][]byte{with(rawHeader(1, 4, 536, len(tcp6)-17, 16, 1), tcp6)}, RxBadOffload, len(tcp6), virtionettest.TAP, 0},
		"merged, TCPv6 of IPv4":      {[][]byte{with(rawHeader(1, 4, 536, 54, 16, 2), tcp[:60]), tcp[60:]}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"segments of any UDP":        {[][]byte{with(rawHeader(1, 5, 536, 34, 6, 1), tcp)}, RxBadOffload, len(tcp), virtionettest.TAP, 0},
		"short but with a checksum":  {[][]byte{with(rawHeader(1, 0, 0, 0, 0, 1), frame(13, 0))}, RxRunt, 13, virtionettest.TAP, 0},
		"twice a header, no content": {[][]byte{rawHeader(0, 0, 0, 0, 0, 2), {}}, RxRunt, 0, virtionettest.TAP, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := virtionettest.New(testMAC, c.features, 8)
			tap, taps := newTap()
			d := start(t, m, func(config *Config) { config.Tap = tap; config.RxBuffers = 8 })
			got := attach(d)
			m.DeliverBuffers(c.buffers...)
			f := <-taps
			if f.Drop != c.why.String() || f.WireLen != c.length || f.Damage != c.damage || f.Segmented || counter(d, c.why) != 1 {
				t.Errorf("dropped for %q, %d bytes, damage %d, segmented: %v, counted %d", f.Drop, f.WireLen, f.Damage, f.Segmented, counter(d, c.why))
			}
			// It goes on.
			deliver(t, m, frame(60, 3))
			expect(t, got, frame(60, 3))
		})
	}
}

// TestFrameBeyondAll: a card that puts together more than a frame can be is believed in its count of buffers only.
func TestFrameBeyondAll(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.TAP, 64)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { c.Tap = tap })
	c := attach(d)
	segment, o := packettest.TCPSegment(1000, 0, true)
	long := slices.Concat(rawHeader(flagNeedsCsum, gsoTCPv6, 1428, o.ChecksumStart, 16, 64), segment, make([]byte, 64*2048))
	for _, buffers := range []int{33, 64} {
		long[10] = byte(buffers)
		var pieces [][]byte
		for i := range buffers {
			pieces = append(pieces, long[i*2048:][:2048])
		}
		m.DeliverBuffers(pieces...)
		if f := <-taps; f.Drop != "rx-oversized" || f.WireLen != buffers*2048-headerSize || !f.Segmented || len(f.Data) != maxSegment {
			t.Errorf("%d buffers: dropped for %q, %d bytes, of which the tap got %d", buffers, f.Drop, f.WireLen, len(f.Data))
		}
		deliver(t, m, frame(60, 3))
		expect(t, c, frame(60, 3))
		<-taps
	}
}

func TestNoReceiver(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { c.Tap = tap })
	d.Attach(nil)
	deliver(t, m, frame(60, 0))
	if f := <-taps; f.Drop != "rx-no-receiver" {
		t.Errorf("dropped for %q", f.Drop)
	}
	c := make(chan int, 1)
	d.Attach(func(frame []byte) { c <- len(frame) })
	deliver(t, m, frame(61, 0))
	if n := <-c; n != 61 {
		t.Errorf("got %d bytes", n)
	}
}

// TestScreenedFramesAreTold: the tap learns why the receiver doesn't want a frame, which then isn't handed on.
func TestScreenedFramesAreTold(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { c.Tap = tap })
	d.Screen(func(frame []byte) string {
		if len(frame) == 61 {
			return "rx-why"
		}
		return ""
	})
	c := attach(d)
	deliver(t, m, frame(61, 0))
	deliver(t, m, frame(60, 0))
	expect(t, c, frame(60, 0))
	if first, second := <-taps, <-taps; first.Drop != "rx-why" || first.WireLen != 61 || second.Drop != "" {
		t.Errorf("the tap was told of %q and %q", first.Drop, second.Drop)
	}
	if n, f := counter(d, RxScreened), counter(d, RxFrames); n != 1 || f != 1 {
		t.Errorf("counted %d screened frames and %d others", n, f)
	}
}

// TestChecksumStates: what the card knows reaches the receiver and the tap.
func TestChecksumStates(t *testing.T) {
	tcp, _ := packettest.TCPSegment(10, 0, false)
	for _, c := range []struct {
		flags    byte
		features uint64
		want     packet.Checksum
	}{
		{0, virtionettest.TAP, packet.ChecksumUnknown},
		{flagNeedsCsum, virtionettest.TAP, packet.ChecksumOffload},
		{flagDataValid, virtionettest.TAP, packet.ChecksumVerified},
		{flagDataValid, virtionettest.QEMU, packet.ChecksumUnknown}, // not negotiated
	} {
		m := virtionettest.New(testMAC, c.features, 64)
		tap, taps := newTap()
		d := start(t, m, func(config *Config) { config.Tap = tap })
		got := attach(d)
		m.DeliverRaw(append(rawHeader(c.flags, 0, 0, 34, 16, 0), tcp...))
		if r, f := <-got, <-taps; r.checksum != c.want || f.Checksum != c.want || f.Segmented {
			t.Errorf("flags %d: got %d, the tap %d, want %d", c.flags, r.checksum, f.Checksum, c.want)
		}
	}
}

// A frame may come at any moment; none of them may leave it in the queue without an interrupt.
func TestNoInterruptIsLost(t *testing.T) {
	for variant, features := range variants {
		for _, whileUnmasked := range []bool{false, true} {
			m := virtionettest.New(testMAC, features, 64)
			armed := make(chan int, 1)
			another := func() {
				select {
				case i := <-armed:
					m.Deliver(frame(100, i))
				default:
				}
			}
			if whileUnmasked {
				m.OnUnmask = another
			}
			d := start(t, m, nil)
			c := make(chan int, 100)
			d.Attach(func(frame []byte) {
				if !whileUnmasked {
					another()
				}
				c <- len(frame)
			})
			for i := range 50 {
				armed <- i
				deliver(t, m, frame(60, i))
				// The second one may come before the first one, if the driver was on its way to wait.
				if sizes := <-c + <-c; sizes != 160 {
					t.Fatalf("%s: got %d bytes", variant, sizes)
				}
			}
		}
	}
}

// TestLostInterrupt: the card's interrupts don't arrive; the frames do.
func TestLostInterrupt(t *testing.T) {
	for name, features := range variants {
		m := virtionettest.New(testMAC, features, 8)
		d := start(t, m, func(c *Config) { c.CheckInterval = time.Millisecond })
		c := attach(d)
		deliver(t, m, frame(60, 0))
		expect(t, c, frame(60, 0))
		m.LoseInterrupts(1 << 30)
		for i := 0; counter(d, InterruptsLost) < 8; i++ {
			if i == 1000 { // one may come while the driver looks anyway
				t.Fatalf("%s: of %d lost interrupts %d were counted", name, i, counter(d, InterruptsLost))
			}
			awaitQuiet(d)
			deliver(t, m, frame(60, i))
			expect(t, c, frame(60, i))
		}
	}
}

// TestLooksInARow: what is in the queue at two looks has lost its interrupt only if there was time for that one between them.
func TestLooksInARow(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 8)
	d := start(t, m, nil) // it looks once an hour, and nobody receives
	deliver(t, m, frame(60, 0))
	first := d.lookForLost(look{})
	if again := d.lookForLost(first); again != first || counter(d, InterruptsLost) != 0 {
		t.Errorf("a look right behind another found %d lost interrupts", counter(d, InterruptsLost))
	}
	first.at = first.at.Add(-d.check)
	if d.lookForLost(first); counter(d, InterruptsLost) != 1 {
		t.Errorf("a look an hour later found %d lost interrupts", counter(d, InterruptsLost))
	}
}

// TestBrokenCard: a card that breaks the rules of its queues is reset and reported; nothing is sent any more.
func TestBrokenCard(t *testing.T) {
	for name, c := range map[string]struct {
		lie  func(m *virtionettest.Model)
		want error
	}{
		"bad index":   {func(m *virtionettest.Model) { m.Queues[0].SkipUsed(100); m.Queues[0].Signal() }, virtio.ErrUsedIndex},
		"bad id":      {func(m *virtionettest.Model) { m.Queues[0].PushRaw(77, 0); m.Queues[0].Signal() }, virtio.ErrUsedID},
		"bad length":  {func(m *virtionettest.Model) { m.Queues[0].PushRaw(0, 2049); m.Queues[0].Signal() }, virtio.ErrUsedLength},
		"needs reset": {func(m *virtionettest.Model) { m.NeedReset() }, virtio.ErrNeedsReset},
		"moving link": {func(m *virtionettest.Model) { m.SetConfig(func([]byte) { m.MovingConfig = true }) }, virtio.ErrConfigMoving},
		"stuck reset": {func(m *virtionettest.Model) {
			m.SetConfig(func([]byte) { m.StuckReset = true })
			m.Queues[0].PushRaw(77, 0)
			m.Queues[0].Signal()
		}, virtio.ErrUsedID},
		"transmit: bad index":  {func(m *virtionettest.Model) { m.Queues[1].SkipUsed(100); m.Queues[1].Signal() }, virtio.ErrUsedIndex},
		"transmit: bad id":     {func(m *virtionettest.Model) { m.Queues[1].PushRaw(8, 0); m.Queues[1].Signal() }, virtio.ErrUsedID},
		"transmit: bad length": {func(m *virtionettest.Model) { m.Queues[1].PushRaw(0, 1); m.Queues[1].Signal() }, virtio.ErrUsedLength}, // nothing can be written
	} {
		for variant, features := range variants {
			if c.want == virtio.ErrConfigMoving && features&virtionettest.Status == 0 {
				continue // nothing of it is read
			}
			m := virtionettest.New(testMAC, features, 8)
			m.HoldTransmit = true
			d := start(t, m, func(c *Config) { c.TxBuffers = 8 })
			down := make(chan bool, 1)
			d.OnLinkChange(func(up bool) { down <- up })
			attach(d)
			deliver(t, m, frame(60, 0))
			transmits := strings.HasPrefix(name, "transmit")
			if transmits {
				if err := d.Transmit(frame(60, 0)); err != nil {
					t.Fatal(err)
				}
			}
			c.lie(m)
			for transmits && d.Transmit(frame(60, 0)) == nil { // it is seen when the queue is full
			}
			<-d.Done()
			if err := d.Err(); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v", name, variant, err)
			}
			if err := d.Transmit(frame(60, 0)); !errors.Is(err, ErrStopped) {
				t.Errorf("%s, %s: Transmit: %v", name, variant, err)
			}
			if up := <-down; up || d.LinkUp() {
				t.Errorf("%s, %s: the link is up", name, variant)
			}
			if m.Status()&virtiotest.StatusFailed == 0 || m.Queues[0].Live() != m.StuckReset {
				t.Errorf("%s, %s: status %#x", name, variant, m.Status())
			}
		}
	}
}

// TestBatchEnd: the receiver is told when all that has come has been handed on.
func TestBatchEnd(t *testing.T) {
	m := virtionettest.New(testMAC, virtionettest.QEMU, 64)
	d := start(t, m, nil)
	for range 3 {
		deliver(t, m, frame(100, 1))
	}
	events := make(chan string, 16)
	d.AttachOffload(func([]byte, packet.Checksum) { events <- "frame" }, func() { events <- "end" })
	for i, want := range []string{"frame", "frame", "frame", "end"} {
		if got := <-events; got != want {
			t.Errorf("event %d: %s", i, got)
		}
	}
}

func TestReceiveDoesNotAllocate(t *testing.T) {
	for _, tap := range []Tap{nil, func(packet.Frame) {}} {
		m := virtionettest.New(testMAC, virtionettest.QEMU, 64)
		d := start(t, m, func(c *Config) { c.Tap = tap })
		b := append(rawHeader(0, 0, 0, 0, 0, 1), frame(1514, 0)...)
		d.receiver.Store(&receiver{func([]byte, packet.Checksum) {}, func() {}})
		if n := testing.AllocsPerRun(100, func() { d.acceptLocked(b) }); n != 0 {
			t.Errorf("%v allocations a frame", n)
		}
	}
}

// FuzzCard: whatever the card says in its queues, in headers and of what it has written, nothing is handed on that can't be a frame, and
// either the card goes on or the driver says what is wrong with it.
func FuzzCard(f *testing.F) {
	const (
		receives = iota // one buffer: a header, a length
		uses            // any chain of a queue, with any length
		skips           // elements of a used ring
		scribbles
		transmits
		sends // what the driver transmits
		operations
	)
	f.Add(true, []byte{receives, 1, 4, 0x94, 5, 54, 16, 1, 200})
	f.Add(true, []byte{receives, 1, 1, 0, 1, 34, 16, 3, 255, receives, 0, 0, 0, 0, 0, 0, 0, 20, receives, 0, 0, 0, 0, 0, 0, 0, 255})
	f.Add(false, []byte{transmits, 4, scribbles, 0, sends, transmits, 1, uses, 1, 3, 0, skips, 0, 9, transmits, 0})
	f.Add(true, []byte{transmits, 1, transmits, 4, transmits, 4, uses, 1, 0, 0, receives, 2, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, offloads bool, program []byte) {
		features := uint64(virtionettest.QEMU)
		if offloads {
			features = virtionettest.TAP
		}
		m := virtionettest.New(testMAC, features, 8)
		m.HoldTransmit = true
		d, err := try(t, m, func(c *Config) { c.RxBuffers, c.TxBuffers = 8, 64 })
		if err != nil {
			t.Fatal(err)
		}
		d.sendPatience = 0
		handed := 0
		d.receiver.Store(&receiver{func(frame []byte, _ packet.Checksum) {
			handed++
			if len(frame) < ethernetHeader || len(frame) > maxSegment || !offloads && len(frame) > d.maxFrame() {
				t.Errorf("handed on %d bytes", len(frame))
			}
		}, func() {}})
		at := 0
		next := func() int {
			if at++; at > len(program) {
				return 0
			}
			return int(program[at-1])
		}
		for at < len(program) && err == nil && d.broken.Load() == nil {
			switch next() % operations {
			case receives:
				b := frame(8*next(), at)
				h := rawHeader(byte(next()), byte(next()), next()|next()<<8, next(), next(), next())
				copy(b, h)
				if m.Queues[0].Available() > 0 {
					m.DeliverBuffers(b)
				}
			case uses:
				q := m.Queues[next()%2]
				q.Pop()
				q.PushRaw(uint32(next()), uint32(next()*16))
				q.Signal()
			case skips:
				q, n := m.Queues[next()%2], next()
				for range n { // what it uses it has taken
					q.Pop()
				}
				q.SkipUsed(n)
				q.Signal()
			case scribbles:
				if q := m.Queues[next()%2]; q.Available() == 0 {
					q.Scribble()
				}
			case transmits:
				segment, o := packettest.TCPSegment(100*next(), 1000, next()%2 == 0)
				d.TransmitOffload(o, segment)
			case sends:
				m.Release()
			}
			err = d.service(false)
		}
		var broken *virtio.QueueError
		if err != nil && !errors.As(err, &broken) {
			t.Errorf("service: %v", err)
		}
		if err != nil || d.broken.Load() != nil || m.Queues[0].Available() == 0 {
			return
		}
		for d.rx.parts > 0 { // the rest of a frame
			m.DeliverBuffers(nil)
			d.service(false)
		}
		before := handed
		deliver(t, m, frame(60, 1))
		if err := d.service(false); err != nil || handed != before+1 {
			t.Errorf("a good frame was not handed on: %v", err)
		}
	})
}
