package virtioconsole

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtio/virtiotest"
)

const patience = time.Minute

// host is a device with a port, and what is at its other end.
type host struct {
	*virtiotest.Device
	name  string        // of the port, as the device says it
	check time.Duration // how often the driver looks without an interrupt

	mu   sync.Mutex
	cond sync.Cond
	hold bool   // nothing is taken from the guest
	got  []byte // what was
	open bool   // the guest has opened the port
	told []byte // what the guest has said about ports: number and event of each
}

func newHost(features uint64, name string) *host {
	// No test but that of lost interrupts may depend on the search for them.
	h := &host{Device: virtiotest.New(3, features|1<<1, make([]byte, 12), 64, 64, 32, 32, 64, 64), name: name, check: time.Hour}
	h.cond.L = &h.mu
	h.OnNotify = func(queue int) {
		switch queue {
		case controlTransmitQueue:
			h.messages()
		case transmitQueue:
			h.take()
		}
	}
	return h
}

// messages answers what the driver has to say.
func (h *host) messages() {
	q := h.Queues[controlTransmitQueue]
	for c, ok := q.Pop(); ok; c, ok = q.Pop() {
		m := c.Read()
		q.Push(c.ID, 0)
		h.mu.Lock()
		h.told = append(h.told, m[0], m[4])
		h.mu.Unlock()
		switch binary.LittleEndian.Uint16(m[4:]) {
		case controlDeviceReady:
			h.message(0, controlPortAdd, "") // a console, not the driver's
			h.message(portNumber, controlPortAdd, "")
		case controlPortReady:
			h.message(portNumber, controlPortName, h.name)
			h.message(portNumber, controlPortOpen, "")
		case controlPortOpen:
			h.mu.Lock()
			h.open = true
			h.mu.Unlock()
		}
	}
	q.Signal()
}

func (h *host) message(port uint32, event uint16, name string) {
	m := binary.LittleEndian.AppendUint32(nil, port)
	m = binary.LittleEndian.AppendUint16(m, event)
	m = binary.LittleEndian.AppendUint16(m, 1)
	h.put(controlReceiveQueue, append(m, name...))
}

// put fills a buffer of the driver's; false: there is none.
func (h *host) put(queue int, data []byte) bool {
	q := h.Queues[queue]
	c, ok := q.Pop()
	if ok {
		q.Push(c.ID, c.Write(data))
		q.Signal()
	}
	return ok
}

// take takes what the guest has written.
func (h *host) take() {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.Queues[transmitQueue]
	for !h.hold {
		c, ok := q.Pop()
		if !ok {
			break
		}
		h.got = append(h.got, c.Read()...)
		q.Push(c.ID, 0)
	}
	h.cond.Broadcast()
	q.Signal()
}

func (h *host) setHold(hold bool) {
	h.mu.Lock()
	h.hold = hold
	h.mu.Unlock()
	h.take()
}

// await waits for n bytes of the guest.
func (h *host) await(n int) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.got) < n {
		h.cond.Wait()
	}
	return bytes.Clone(h.got)
}

func open(t *testing.T, h *host, timeout time.Duration) (*Port, error) {
	t.Helper()
	transport, err := virtio.NewMMIO(h.MMIO(), virtiotest.MMIOSize, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return New(Config{Transport: transport, Memory: h, Name: "test", CheckInterval: h.check}, timeout)
}

func mustOpen(t *testing.T, h *host) *Port {
	t.Helper()
	p, err := open(t, h, patience)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var variants = map[string]uint64{"plain": 0, "event": virtiotest.EventIdx}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestStreams: what is written at one end is read at the other, in any sizes.
func TestStreams(t *testing.T) {
	for name, features := range variants {
		h := newHost(features, "test\x00")
		p := mustOpen(t, h)
		want := random(1 << 20)
		go func() {
			for b := want; len(b) > 0; {
				n := min(len(b), 1+rand.IntN(3*bufferSize))
				if k, err := p.Write(b[:n]); k != n || err != nil {
					t.Errorf("%s: %d of %d bytes: %v", name, k, n, err)
				}
				b = b[n:]
			}
		}()
		if got := h.await(len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s: what was sent has changed", name)
		}
		go func() {
			for b := want; len(b) > 0; {
				n := min(len(b), 1+rand.IntN(4096))
				if h.put(receiveQueue, b[:n]) {
					b = b[n:]
				} else {
					time.Sleep(10 * time.Microsecond) // as the host does; not what is tested
				}
			}
		}()
		got := make([]byte, len(want))
		for n := 0; n < len(got); {
			k, err := p.Read(got[n:min(len(got), n+1+rand.IntN(5000))])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: what was received has changed", name)
		}
	}
}

// TestSlowHost: nothing is lost while the host takes nothing; Write waits, and Flush until its deadline.
func TestSlowHost(t *testing.T) {
	for name, features := range variants {
		h := newHost(features, "test")
		p := mustOpen(t, h)
		h.setHold(true)
		want := random(2 * dataBuffers * bufferSize)
		written := make(chan error, 1)
		if n, err := p.Write(want[:10]); n != 10 || err != nil {
			t.Fatal(n, err)
		}
		if err := p.Flush(time.Now().Add(5 * time.Millisecond)); err != os.ErrDeadlineExceeded {
			t.Errorf("%s: Flush: %v", name, err)
		}
		go func() {
			_, err := p.Write(want[10:])
			written <- err
		}()
		for h.Queues[transmitQueue].Available() < dataBuffers {
			time.Sleep(time.Millisecond)
		}
		select {
		case <-written:
			t.Errorf("%s: Write didn't wait", name)
		default:
		}
		h.setHold(false)
		if err := <-written; err != nil {
			t.Error(err)
		}
		if err := p.Flush(time.Time{}); err != nil {
			t.Errorf("%s: Flush: %v", name, err)
		}
		h.mu.Lock()
		if !bytes.Equal(h.got, want) {
			t.Errorf("%s: %d bytes have come, or others", name, len(h.got))
		}
		h.mu.Unlock()
	}
}

// TestLostInterrupts: the device's interrupts don't arrive; what it sends does, and who waits for it to read goes on.
func TestLostInterrupts(t *testing.T) {
	for name, features := range variants {
		h := newHost(features, "test")
		h.check = time.Millisecond
		h.LoseInterrupts(1 << 30) // also those of the messages that open the port
		p := mustOpen(t, h)
		h.setHold(true)
		written := make(chan error, 1)
		want := random(2 * dataBuffers * bufferSize)
		go func() {
			_, err := p.Write(want)
			written <- err
		}()
		for h.Queues[transmitQueue].Available() < dataBuffers {
			time.Sleep(time.Millisecond)
		}
		h.setHold(false)
		if got := h.await(len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s: what was sent has changed", name)
		}
		if err := <-written; err != nil {
			t.Errorf("%s: Write: %v", name, err)
		}
		b := make([]byte, 10)
		for i := range 3 * dataBuffers {
			if !h.put(receiveQueue, []byte{byte(i)}) {
				t.Fatalf("%s: no room for byte %d", name, i)
			}
			if n, err := p.Read(b); n != 1 || b[0] != byte(i) || err != nil {
				t.Fatalf("%s: read %d of byte %d: %v", name, n, i, err)
			}
		}
		if n := h.Interrupts(); n != 0 {
			t.Errorf("%s: %d interrupts came", name, n)
		}
		h.Queues[receiveQueue].SkipUsed(100)
		h.Queues[receiveQueue].Signal()
		if _, err := p.Read(b); !errors.Is(err, virtio.ErrUsedIndex) {
			t.Errorf("%s: of a broken queue: %v", name, err)
		}
	}
}

// TestNoInterruptsForSending: nobody waits, so nobody is told.
func TestNoInterruptsForSending(t *testing.T) {
	for name, features := range variants {
		h := newHost(features, "test")
		p := mustOpen(t, h)
		before := h.Interrupts()
		for range 100 {
			if _, err := p.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		h.await(100)
		if n := h.Interrupts() - before; n > 2 { // one for a message, perhaps
			t.Errorf("%s: %d interrupts", name, n)
		}
	}
}

func TestPortsThatCantBeOpened(t *testing.T) {
	for name, c := range map[string]struct {
		change func(h *host)
		want   error
	}{
		"another name":   {func(h *host) { h.name = "other" }, ErrNoPort},
		"silent device":  {func(h *host) { h.OnNotify = nil }, ErrNoPort},
		"no ports":       {func(h *host) { h.Features &^= 1 << 1 }, ErrNoPorts},
		"another device": {func(h *host) { h.Kind = 1 }, ErrNotConsole},
		"one port less":  {func(h *host) { h.Queues = h.Queues[:4] }, virtio.ErrNoQueue},
		"stuck reset":    {func(h *host) { h.StuckReset = true }, virtio.ErrReset},
	} {
		h := newHost(0, "test")
		c.change(h)
		if _, err := open(t, h, 20*time.Millisecond); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSenselessMessages are left alone, and so are those about other ports.
func TestSenselessMessages(t *testing.T) {
	h := newHost(0, "test")
	p := mustOpen(t, h)
	for _, m := range [][]byte{{}, {1}, make([]byte, 7), {1, 0, 0, 0, 99, 0, 0, 0}, {9, 0, 0, 0, 1, 0, 1, 0},
		append([]byte{1, 0, 0, 0, 7, 0, 1, 0}, "test"...), append([]byte{1, 0, 0, 0, 7, 0, 1, 0}, make([]byte, 240)...)} {
		for !h.put(controlReceiveQueue, m) {
			time.Sleep(time.Millisecond)
		}
	}
	h.put(receiveQueue, nil)
	h.put(receiveQueue, []byte("after"))
	b := make([]byte, 10)
	if n, err := p.Read(b); string(b[:n]) != "after" || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if want := []byte{0xFF, byte(controlDeviceReady), portNumber, byte(controlPortReady), portNumber, byte(controlPortOpen)}; !bytes.Equal(h.told, want) {
		t.Errorf("told % x, want % x", h.told, want)
	}
}

// TestBrokenDevice: readers and writers are told, and the device is reset.
func TestBrokenDevice(t *testing.T) {
	for name, c := range map[string]struct {
		lie  func(h *host)
		want error
	}{
		"bad index":   {func(h *host) { h.Queues[receiveQueue].SkipUsed(100); h.Queues[receiveQueue].Signal() }, virtio.ErrUsedIndex},
		"bad length":  {func(h *host) { h.Queues[receiveQueue].PushRaw(1, 1<<20); h.Queues[receiveQueue].Signal() }, virtio.ErrUsedLength},
		"bad message": {func(h *host) { h.Queues[controlReceiveQueue].PushRaw(99, 0); h.Queues[controlReceiveQueue].Signal() }, virtio.ErrUsedID},
		"needs reset": {func(h *host) { h.NeedReset() }, virtio.ErrNeedsReset},
		"closed":      {func(h *host) { h.Close() }, virtiotest.ErrClosed},
	} {
		for variant, features := range variants {
			h := newHost(features, "test")
			p := mustOpen(t, h)
			h.put(receiveQueue, []byte("x"))
			for p.received() == 0 {
				time.Sleep(time.Millisecond)
			}
			c.lie(h)
			<-p.ended
			notified := h.Queues[receiveQueue].Notified()
			if n, err := p.Read(make([]byte, 2)); n != 1 || err != nil {
				t.Errorf("%s, %s: what had come before: %d bytes, %v", name, variant, n, err)
			}
			if _, err := p.Read(make([]byte, 1)); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: Read: %v", name, variant, err)
			}
			if n := h.Queues[receiveQueue].Notified() - notified; h.Status() != 0 || n != 0 {
				t.Errorf("%s, %s: a device of status %#x was notified %d times", name, variant, h.Status(), n)
			}
			if _, err := io.Copy(p, bytes.NewReader(random(2*dataBuffers*bufferSize))); err != nil && !errors.Is(err, c.want) {
				t.Errorf("%s, %s: Write: %v", name, variant, err)
			}
		}
	}
}

// received returns how many pieces wait to be read.
func (p *Port) received() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.filled)
}

// TestBrokenTransmitQueue: it is seen by who writes.
func TestBrokenTransmitQueue(t *testing.T) {
	h := newHost(0, "test")
	p := mustOpen(t, h)
	h.setHold(true)
	h.Queues[transmitQueue].SkipUsed(100)
	h.Queues[transmitQueue].Signal()
	if _, err := p.Write(random(2 * dataBuffers * bufferSize)); !errors.Is(err, virtio.ErrUsedIndex) {
		t.Error(err)
	}
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, virtio.ErrUsedIndex) {
		t.Error(err)
	}
}
