package e1000

import (
	"bytes"
	"testing"
	"time"

	"wick/kernel/driver/e1000/e1000test"
	"wick/packet"
)

func smallRings(c *Config) { c.RxDescriptors, c.TxDescriptors = 8, 8 }

func TestReceiveWrapsAround(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, smallRings)
	received := attach(d)
	sizes := []int{14, 42, 60, 1514, 1518}
	total := 0
	for i := range 100 {
		f := frame(sizes[i%len(sizes)], i)
		deliver(t, m, f)
		expect(t, received, f)
		total += len(f)
	}
	if n, b := counter(d, RxFrames), counter(d, RxBytes); n != 100 || b != uint64(total) {
		t.Errorf("counted %d frames and %d bytes, want 100 and %d", n, b, total)
	}
}

func TestFramesBeforeAttachWait(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, smallRings)
	for i := range 7 {
		deliver(t, m, frame(60, i))
	}
	if m.Deliver(frame(60, 7)) {
		t.Fatal("a ring of 8 took 8 frames: its tail can't be told from its head")
	}
	received := attach(d)
	for i := range 7 {
		expect(t, received, frame(60, i))
	}
	if n, missed := counter(d, RxNoBuffers), counter(d, RxMissed); n != 1 || missed != 1 {
		t.Errorf("counted %d and %d, want 1 and 1", n, missed)
	}
	if n := counter(d, RxNoBuffers); n != 1 {
		t.Errorf("counted %d at the second look", n)
	}
}

func TestReceptionGoesOnAfterOverrun(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, smallRings)
	entered, leave := make(chan bool), make(chan bool)
	received := make(chan []byte, 100)
	d.Attach(func(f []byte) {
		entered <- true
		<-leave
		received <- bytes.Clone(f)
	})
	deliver(t, m, frame(60, 0))
	<-entered // the receiver is busy
	i := 1
	for m.Deliver(frame(60, i)) {
		i++
	}
	close(leave)
	for j := range i {
		if j > 0 {
			<-entered
		}
		expect(t, received, frame(60, j))
	}
	awaitQuiet(d) // all descriptors are given back
	deliver(t, m, frame(60, 99))
	<-entered
	expect(t, received, frame(60, 99))
}

// TestScreenedFramesAreTold: the tap learns why the receiver doesn't want a frame, which then isn't handed on.
func TestScreenedFramesAreTold(t *testing.T) {
	m := e1000test.New(testMAC)
	tap, told := newTap()
	d := start(t, m, func(c *Config) { c.Tap = tap })
	d.Screen(func(f []byte) string {
		if f[0] == 1 {
			return "rx-no-memory"
		}
		return ""
	})
	received := attach(d)
	deliver(t, m, frame(60, 1))
	deliver(t, m, frame(60, 2))
	expect(t, received, frame(60, 2))
	for i, want := range []string{"rx-no-memory", ""} {
		if got := <-told; got.drop != want || !bytes.Equal(got.data, frame(60, i+1)) {
			t.Errorf("frame %d: told %q", i+1, got.drop)
		}
	}
	if screened, frames := counter(d, RxScreened), counter(d, RxFrames); screened != 1 || frames != 1 {
		t.Errorf("counted %d screened, %d handed on", screened, frames)
	}
}

// QEMU loses what it has queued if it gets back only some of the descriptors.
func TestBurstBeyondTheRing(t *testing.T) {
	m := e1000test.New(testMAC)
	m.QEMUQueue = true
	d := start(t, m, func(c *Config) { c.RxDescriptors = 64 })
	entered, leave := make(chan bool, 1000), make(chan bool)
	received := make(chan []byte, 1000)
	d.Attach(func(f []byte) {
		entered <- true
		<-leave
		received <- bytes.Clone(f)
	})
	next := 0
	for range 5 {
		first := next
		deliver(t, m, frame(60, next))
		<-entered // the receiver is busy
		for next++; m.Room() > 0; next++ {
			deliver(t, m, frame(60, next))
		}
		for range 63 {
			deliver(t, m, frame(60, next))
			next++
		}
		for i := first; i < next; i++ {
			leave <- true
			expect(t, received, frame(60, i))
		}
		for range next - first - 1 {
			<-entered
		}
	}
	if n := counter(d, RxMissed); n != 0 {
		t.Errorf("%d frames were lost", n)
	}
}

func TestDescriptorsAreGivenBackInBatches(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, nil)
	for i := range 255 {
		deliver(t, m, frame(60, i))
	}
	before := m.Stores(uint32(regRDT))
	received := attach(d)
	for i := range 255 {
		expect(t, received, frame(60, i))
	}
	awaitQuiet(d) // all descriptors are given back
	deliver(t, m, frame(60, 0))
	expect(t, received, frame(60, 0))
	if n := m.Stores(uint32(regRDT)) - before; n > 10 {
		t.Errorf("%d stores of RDT for 256 frames", n)
	}
}

// Nor is RDT stored for each frame if they come one at a time, as in an exchange of questions and answers; and however many
// descriptors are kept, all frames of a burst find one.
func TestSingleFramesAreGivenBackInBatches(t *testing.T) {
	m := e1000test.New(testMAC)
	received := attach(start(t, m, nil))
	before := m.Stores(uint32(regRDT))
	for i := range 512 {
		deliver(t, m, frame(60, i))
		expect(t, received, frame(60, i))
	}
	if n := m.Stores(uint32(regRDT)) - before; n < 10 || n > 20 {
		t.Errorf("%d stores of RDT for 512 frames one by one", n)
	}
	if room := m.Room(); room < 200 {
		t.Errorf("of 256 descriptors the card has %d", room)
	}
}

// A frame may come at any moment; none of them may leave it in the ring without an interrupt.
func TestNoInterruptIsLost(t *testing.T) {
	for _, c := range []struct {
		name string
		hook func(m *e1000test.Model, do func())
	}{
		{"before causes are cleared", func(m *e1000test.Model, do func()) {
			m.OnLoad = func(offset uint32) {
				if offset == uint32(regICR) {
					do()
				}
			}
		}},
		{"while descriptors are given back", func(m *e1000test.Model, do func()) {
			m.OnStore = func(offset, _ uint32) {
				if offset == uint32(regRDT) {
					do()
				}
			}
		}},
		{"before the interrupt is unmasked", func(m *e1000test.Model, do func()) {
			m.OnUnmask = do
		}},
	} {
		m := e1000test.New(testMAC)
		armed := make(chan int, 1)
		c.hook(m, func() {
			select {
			case i := <-armed:
				m.Deliver(frame(100, i))
			default:
			}
		})
		d := start(t, m, smallRings) // where each descriptor is given back at once
		received := attach(d)
		for i := range 50 {
			armed <- i
			deliver(t, m, frame(60, i))
			// The second one may come before the first one, if the driver was on its way to wait.
			sizes := len(<-received) + len(<-received)
			if sizes != 160 {
				t.Fatalf("%s: got %d bytes", c.name, sizes)
			}
		}
	}
}

func TestLostAndFalseInterruptsDoNoHarm(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, nil)
	received := attach(d)
	deliver(t, m, frame(60, 0))
	expect(t, received, frame(60, 0))
	m.Interrupt()
	m.Interrupt()
	deliver(t, m, frame(60, 1))
	expect(t, received, frame(60, 1))
	m.LoseInterrupts(1)
	deliver(t, m, frame(60, 2)) // perhaps nobody hears of it,
	deliver(t, m, frame(60, 3)) // then the next one brings it
	m.Interrupt()
	expect(t, received, frame(60, 2), frame(60, 3))
}

// TestLostInterrupt: the card's interrupts don't arrive; the frames do.
func TestLostInterrupt(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, func(c *Config) { c.CheckInterval = time.Millisecond })
	received := attach(d)
	deliver(t, m, frame(60, 0))
	expect(t, received, frame(60, 0))
	m.LoseInterrupts(1 << 30)
	for i := 0; counter(d, InterruptsLost) < 3; i++ {
		awaitQuiet(d) // else all frames might come while the driver looks anyway
		deliver(t, m, frame(60, i))
		expect(t, received, frame(60, i))
	}
}

// TestLooksInARow: what is in the ring at two looks has lost its interrupt only if there was time for that one between them.
func TestLooksInARow(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, func(c *Config) { c.CheckInterval = time.Hour })
	deliver(t, m, frame(60, 0)) // nobody receives
	first, lost := d.lookForLost(look{})
	if again, twice := d.lookForLost(first); again != first || lost || twice {
		t.Errorf("looks right behind each other found lost interrupts: %v, %v", lost, twice)
	}
	first.at = first.at.Add(-d.check)
	if _, lost := d.lookForLost(first); !lost {
		t.Error("a look an hour later found no lost interrupt")
	}
}

func TestDroppedFrames(t *testing.T) {
	const done, end = e1000test.RxDD, e1000test.RxEOP
	whole := func(n int, errors uint8) e1000test.Received {
		return e1000test.Received{Data: frame(n, 7), Status: done | end, Errors: errors, Length: n}
	}
	part := func(status uint8, length int) e1000test.Received {
		return e1000test.Received{Data: frame(2048, 7), Status: status, Length: length}
	}
	for _, c := range []struct {
		name    string
		parts   []e1000test.Received
		why     Counter
		also    Counter
		wireLen int
		dataLen int
	}{
		{"empty", []e1000test.Received{whole(0, 0)}, RxRunt, RxRunt, 0, 0},
		{"runt", []e1000test.Received{whole(13, 0)}, RxRunt, RxRunt, 13, 13},
		{"oversized", []e1000test.Received{whole(1519, 0)}, RxOversized, RxOversized, 1519, 1519},
		{"full buffer", []e1000test.Received{whole(2048, 0)}, RxOversized, RxOversized, 2048, 2048},
		{"length past the buffer", []e1000test.Received{part(done|end, 2049)}, RxBadLength, RxBadLength, 2049, 0},
		{"greatest length", []e1000test.Received{part(done|end, 65535)}, RxBadLength, RxBadLength, 65535, 0},
		{"two descriptors", []e1000test.Received{part(done, 2048), part(done|end, 100)}, RxNoEOP, RxNoEOP, 2048, 2048},
		{"five descriptors", []e1000test.Received{part(done, 2048), part(done, 2048), part(done, 2048), part(done, 2048), part(done|end, 1)}, RxNoEOP, RxNoEOP, 2048, 2048},
		{"no EOP, length 0", []e1000test.Received{part(done, 0), part(done|end, 60)}, RxNoEOP, RxNoEOP, 0, 0},
		{"CE", []e1000test.Received{whole(60, 1<<0)}, RxErrors, RxErrorCE, 60, 60},
		{"SE", []e1000test.Received{whole(60, 1<<1)}, RxErrors, RxErrorSE, 60, 60},
		{"SEQ", []e1000test.Received{whole(60, 1<<2)}, RxErrors, RxErrorSEQ, 60, 60},
		{"CXE", []e1000test.Received{whole(60, 1<<4)}, RxErrors, RxErrorCXE, 60, 60},
		{"RXE", []e1000test.Received{whole(60, 1<<7)}, RxErrors, RxErrorRXE, 60, 60},
		{"all errors", []e1000test.Received{whole(60, 0xFF)}, RxErrors, RxErrorRXE, 60, 60},
		{"runt with error", []e1000test.Received{whole(5, 1<<0)}, RxErrors, RxErrorCE, 5, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := e1000test.New(testMAC)
			tap, taps := newTap()
			d := start(t, m, func(config *Config) { smallRings(config); config.Tap = tap })
			received := attach(d)
			// More than once around the ring, each time followed by a good frame.
			for i := range 20 {
				if !m.DeliverRaw(c.parts...) {
					t.Fatal("no room")
				}
				got := <-taps
				if got.dir != packet.Receive || got.drop != c.why.String() || got.wireLen != c.wireLen || len(got.data) != c.dataLen || got.rxErrors != c.parts[0].Errors {
					t.Fatalf("the tap got %d of %d bytes, errors %#x, %q", len(got.data), got.wireLen, got.rxErrors, got.drop)
				}
				deliver(t, m, frame(60, i))
				expect(t, received, frame(60, i))
				if got := <-taps; got.drop != "" || got.wireLen != 60 {
					t.Fatalf("the tap got %d bytes, %q of the good frame", got.wireLen, got.drop)
				}
			}
			if n, also := counter(d, c.why), counter(d, c.also); n != 20 || also != 20 {
				t.Errorf("%v is %d, %v is %d, want 20", c.why, n, c.also, also)
			}
		})
	}
}

// The card may complain of checksums that it was not asked to check.
func TestChecksumErrorsAreTheStacks(t *testing.T) {
	m := e1000test.New(testMAC)
	received := attach(start(t, m, nil))
	m.DeliverRaw(e1000test.Received{Data: frame(60, 1), Status: e1000test.RxDD | e1000test.RxEOP, Errors: 0x60, Length: 60})
	expect(t, received, frame(60, 1))
}

func TestNobodyAttached(t *testing.T) {
	m := e1000test.New(testMAC)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { c.Tap = tap })
	d.Attach(nil)
	deliver(t, m, frame(60, 1))
	if got := <-taps; got.drop != "rx-no-receiver" {
		t.Errorf("got %q", got.drop)
	}
	received := attach(d)
	deliver(t, m, frame(60, 2))
	expect(t, received, frame(60, 2))
	if n := counter(d, RxNoReceiver); n != 1 {
		t.Errorf("counted %d", n)
	}
}

// TestBatchEnd: the receiver is told when all that has come has been handed on.
func TestBatchEnd(t *testing.T) {
	m := e1000test.New(testMAC)
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
		m := e1000test.New(testMAC)
		d := start(t, m, func(c *Config) { c.Tap = tap })
		n := 0
		d.receiver.Store(&receiver{func(f []byte, _ packet.Checksum) { n += len(f) }, func() {}})
		parts := []e1000test.Received{{Data: frame(1514, 1), Status: e1000test.RxDD | e1000test.RxEOP, Length: 1514}}
		if a := testing.AllocsPerRun(1000, func() {
			m.DeliverRaw(parts...)
			d.service()
		}); a != 0 {
			t.Errorf("%v allocations a frame", a)
		}
		if n != 1001*1514 {
			t.Errorf("got %d bytes", n)
		}
	}
}

// Whatever the card writes back, nothing is handed on that it didn't write, and reception goes on.
func FuzzDevice(f *testing.F) {
	f.Add([]byte{3, 0, 60, 0})
	f.Add([]byte{1, 0, 0, 8, 3, 0, 255, 255, 3, 0x83, 60, 0})
	f.Add([]byte{3, 0, 14, 0, 0, 0, 0, 0, 1, 255, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := e1000test.New(testMAC)
		d, err := New(Config{Registers: m, Memory: m, Interrupt: m, RxDescriptors: 8})
		if err != nil {
			t.Fatal(err)
		}
		receive := func(frame []byte, _ packet.Checksum) {
			if len(frame) < headerSize || len(frame) > maxFrame {
				t.Errorf("handed on %d bytes", len(frame))
			}
		}
		d.receiver.Store(&receiver{receive, func() {}})
		for ; len(data) >= 4; data = data[4:] {
			// Without DD a real card writes nothing.
			part := e1000test.Received{Status: data[0] | e1000test.RxDD, Errors: data[1], Length: int(data[2]) | int(data[3])<<8}
			if !m.DeliverRaw(part) {
				t.Fatal("the driver gave no descriptor back")
			}
			d.service()
		}
		m.DeliverRaw(e1000test.Received{Status: e1000test.RxDD | e1000test.RxEOP, Length: 60})
		d.service()
		before := counter(d, RxFrames)
		deliver(t, m, frame(60, 1))
		d.service()
		if counter(d, RxFrames) != before+1 {
			t.Error("a good frame was not handed on")
		}
	})
}
