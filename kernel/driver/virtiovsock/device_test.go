package virtiovsock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtio/virtiotest"
	"wick/packet"
	"wick/vsock"
)

const testCID = 3

// model is the device: what it does with its queues, and the host behind it.
type model struct {
	*virtiotest.Device
	host  *vsock.Endpoint
	asked chan *vsock.Conn
	hold  bool // the tx queue isn't looked at; to be set before the driver starts

	in, out sync.Mutex // of those who work at the tx and rx queues
}

func cidConfig(cid uint64) []byte { return binary.LittleEndian.AppendUint64(nil, cid) }

func newModel(features uint64) *model {
	m := &model{Device: virtiotest.New(19, features, cidConfig(testCID), 128, 128, 128), asked: make(chan *vsock.Conn, 4*txBuffers)}
	more := make(chan struct{}, 1)
	wake := func() {
		select {
		case more <- struct{}{}:
		default:
		}
	}
	m.host = vsock.New(vsock.Config{
		Addressed: func(from, to uint32) bool { return to == vsock.Host },
		Request:   func(c *vsock.Conn) { m.asked <- c },
		Ready:     wake,
	})
	m.OnNotify = func(queue int) {
		switch {
		case queue == txQueue && !m.hold:
			m.takeSent()
		case queue == rxQueue:
			wake()
		}
	}
	go func() {
		for range more {
			m.deliver()
		}
	}()
	return m
}

// takeSent gives the host what is in the tx queue.
func (m *model) takeSent() {
	m.in.Lock()
	defer m.in.Unlock()
	for {
		c, ok := m.Queues[txQueue].Pop()
		if !ok {
			break
		}
		if b := c.Read(); m.host != nil {
			if h, err := vsock.ParseHeader(b); err == nil {
				m.host.Input(&h, b[vsock.HeaderSize:])
			}
		}
		m.Queues[txQueue].Push(c.ID, 0)
	}
	m.Queues[txQueue].Signal()
}

// deliver puts what the host sends into the rx queue.
func (m *model) deliver() {
	m.out.Lock()
	defer m.out.Unlock()
	q := m.Queues[rxQueue]
	for {
		c, ok := q.Pop()
		if !ok {
			break
		}
		n, err := m.host.Output(c.Writable...)
		if err != nil {
			panic(err)
		}
		if n == 0 {
			q.Return(1)
			break
		}
		q.Push(c.ID, n)
	}
	q.Signal()
}

// put puts bytes into a queue, as if the host had sent them.
func (m *model) put(t *testing.T, queue int, b []byte) {
	t.Helper()
	m.out.Lock()
	defer m.out.Unlock()
	c, ok := m.Queues[queue].Pop()
	if !ok {
		t.Fatalf("queue %d has no buffer", queue)
	}
	m.Queues[queue].Push(c.ID, c.Write(b))
	m.Queues[queue].Signal()
}

// started returns the driver of a device, and the guest's endpoint.
func started(t *testing.T, m *model, change func(*Config)) (*Device, *vsock.Endpoint, chan *vsock.Conn) {
	t.Helper()
	transport, err := virtio.NewMMIO(m.MMIO(), virtiotest.MMIOSize, m)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Transport: transport, Memory: m, CheckInterval: time.Hour}
	if change != nil {
		change(&c)
	}
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan *vsock.Conn, 16)
	e := vsock.New(vsock.Config{
		Addressed: func(from, to uint32) bool { return to == d.CID() },
		Request:   func(c *vsock.Conn) { asked <- c },
		Ready:     d.Kick,
	})
	if err := d.Attach(e); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	return d, e, asked
}

// stream reads and writes a connection as a blocking file, for any number of goroutines.
type stream struct {
	*vsock.Conn

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed at the next change
}

func newStream(c *vsock.Conn) *stream {
	s := &stream{Conn: c, changed: make(chan struct{})}
	c.Notify(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(s.changed)
		s.changed = make(chan struct{})
	})
	return s
}

// wait calls try until it returns something other than vsock.ErrWait.
func (s *stream) wait(try func() error) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if err := try(); err != vsock.ErrWait {
			return err
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			return errors.New("nothing changes")
		}
	}
}

// established waits until the connection is established, or over.
func (s *stream) established() error {
	return s.wait(func() error {
		if err := s.Err(); err != vsock.ErrNotYet {
			return err
		}
		return vsock.ErrWait
	})
}

func (s *stream) Read(p []byte) (n int, err error) {
	err = s.wait(func() (err error) {
		n, err = s.Conn.Read(p)
		return err
	})
	return n, err
}

func (s *stream) Write(p []byte) (total int, err error) {
	for len(p) > 0 && err == nil {
		n := 0
		err = s.wait(func() (err error) {
			n, err = s.Conn.Write(p)
			return err
		})
		p = p[n:]
		total += n
	}
	return total, err
}

// connected makes a connection from the guest to the host.
func connected(t *testing.T, m *model, e *vsock.Endpoint) (guest, host *stream) {
	t.Helper()
	c, err := e.Connect(vsock.Addr{CID: testCID, Port: 1000}, vsock.Addr{CID: vsock.Host, Port: 2000}, 20*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	guest = newStream(c)
	h := <-m.asked
	if err := h.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := guest.established(); err != nil {
		t.Fatal(err)
	}
	return guest, newStream(h)
}

var featureSets = map[string]uint64{"plain": 0, "event index": virtiotest.EventIdx, "QEMU's": virtiotest.EventIdx | virtiotest.Indirect}

// TestBothWays moves 4 MiB each way at once: both rings wrap many times and run full.
func TestBothWays(t *testing.T) {
	for name, features := range featureSets {
		t.Run(name, func(t *testing.T) {
			m := newModel(features)
			d, e, _ := started(t, m, nil)
			guest, host := connected(t, m, e)
			data := make([]byte, 4<<20)
			for i := range data {
				data[i] = byte(i ^ i>>8 ^ i>>16)
			}
			var work sync.WaitGroup
			for _, dir := range [][2]*stream{{guest, host}, {host, guest}} {
				work.Go(func() {
					if n, err := dir[0].Write(data); n != len(data) || err != nil {
						t.Errorf("wrote %d bytes, %v", n, err)
					}
					dir[0].Shutdown(vsock.ShutSend)
				})
				work.Go(func() {
					if got, err := io.ReadAll(dir[1]); err != nil || !bytes.Equal(got, data) {
						t.Errorf("read %d bytes, %v", len(got), err)
					}
				})
			}
			work.Wait()
			if err := d.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHostConnects(t *testing.T) {
	m := newModel(virtiotest.EventIdx)
	_, _, asked := started(t, m, nil)
	c, err := m.host.Connect(vsock.Addr{CID: vsock.Host, Port: 5}, vsock.Addr{CID: testCID, Port: 6}, 20*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	host := newStream(c)
	guest := <-asked
	guest.Accept()
	if _, err := newStream(guest).Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if err := host.established(); err != nil {
		t.Fatal(err)
	}
	if n, err := host.Read(b); string(b[:n]) != "hello" || err != nil {
		t.Errorf("read %q, %v", b[:n], err)
	}
}

// TestTransportReset: connections end on both sides of the word, and the machine has the address that it is given then.
func TestTransportReset(t *testing.T) {
	m := newModel(virtiotest.EventIdx)
	d, e, _ := started(t, m, nil)
	guest, _ := connected(t, m, e)
	m.SetConfig(func(config []byte) { copy(config, cidConfig(9)) })
	m.put(t, eventQueue, []byte{0, 0, 0, 0})
	if _, err := guest.Read(make([]byte, 1)); !errors.Is(err, vsock.ErrTransport) {
		t.Errorf("a blocked read ends with %v", err)
	}
	if d.CID() != 9 {
		t.Errorf("CID %d", d.CID())
	}
	for range 3 * eventBuffers { // the buffers are given back
		m.put(t, eventQueue, []byte{1, 0, 0, 0})
		m.put(t, eventQueue, []byte{0})
		settle(t, func() bool { return m.Queues[eventQueue].Available() == eventBuffers })
	}
	if c := d.Counters(); c[TransportResets] != 1 || c[EventsUnknown] != 6*eventBuffers {
		t.Errorf("counters %v", c)
	}
}

func settle(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never")
		}
	}
}

// TestFullTransmitQueue: a host that takes nothing stops those who write, and nothing is lost.
func TestFullTransmitQueue(t *testing.T) {
	m := newModel(virtiotest.EventIdx)
	d, e, _ := started(t, m, nil)
	guest, host := connected(t, m, e)
	m.in.Lock() // the model is busy
	written := make(chan error)
	data := bytes.Repeat([]byte("x"), 200<<10)
	go func() {
		_, err := guest.Write(data)
		written <- err
	}()
	read := make(chan []byte)
	go func() {
		b := make([]byte, len(data))
		n, _ := io.ReadFull(host, b)
		read <- b[:n]
	}()
	m.in.Unlock()
	if err := <-written; err != nil {
		t.Error(err)
	}
	if got := <-read; !bytes.Equal(got, data) {
		t.Errorf("read %d bytes", len(got))
	}
	if err := d.Err(); err != nil {
		t.Error(err)
	}
}

// TestHeldTransmitQueue fills the queue, then has the host take everything at once.
func TestHeldTransmitQueue(t *testing.T) {
	m := newModel(virtiotest.EventIdx)
	m.hold = true
	d, e, _ := started(t, m, nil)
	for port := range uint32(3 * txBuffers) {
		if _, err := e.Connect(vsock.Addr{CID: testCID, Port: port}, vsock.Addr{CID: vsock.Host, Port: 1}, time.Minute, nil); err != nil {
			t.Fatal(err)
		}
	}
	// Who asks for a connection needn't be the one that sends it.
	settle(t, func() bool { return m.Queues[txQueue].Available() == txBuffers && d.Counters()[TxWaits] > 0 })
	for got := 0; got < 3*txBuffers; {
		settle(t, func() bool { return m.Queues[txQueue].Available() > 0 }) // the driver sends on
		m.takeSent()
		for ; len(m.asked) > 0; got++ {
			(<-m.asked).Refuse(vsock.DropNoListener)
		}
	}
}

// TestFloodOfStrangers: the host has to take answers before it can go on.
func TestFloodOfStrangers(t *testing.T) {
	m := newModel(virtiotest.EventIdx)
	d, e, _ := started(t, m, nil)
	h := vsock.Header{From: vsock.Addr{CID: vsock.Host, Port: 1}, To: vsock.Addr{CID: testCID, Port: 1}, Type: 1, Op: 5}
	const flood = 5000
	for i := range flood {
		h.From.Port = uint32(i)
		settle(t, func() bool { return m.Queues[rxQueue].Available() > 0 })
		m.put(t, rxQueue, h.Append(nil))
	}
	settle(t, func() bool { return e.Counters().Sent == flood })
	if c := e.Counters(); c.Unanswered != 0 || d.Err() != nil {
		t.Errorf("%+v, %v", c, d.Err())
	}
}

func TestMalformedPackets(t *testing.T) {
	m := newModel(0)
	d, e, _ := started(t, m, nil)
	for _, b := range [][]byte{nil, make([]byte, vsock.HeaderSize-1), bytes.Repeat([]byte{0xff}, vsock.HeaderSize)} {
		m.put(t, rxQueue, b)
	}
	settle(t, func() bool { return d.Counters()[RxMalformed] == 3 })
	guest, host := connected(t, m, e) // and it goes on
	if _, err := guest.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if n, err := host.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestLostInterrupt(t *testing.T) {
	m := newModel(virtiotest.EventIdx)
	_, e, _ := started(t, m, func(c *Config) { c.CheckInterval = time.Millisecond })
	guest, host := connected(t, m, e)
	m.LoseInterrupts(3)
	for range 10 {
		if _, err := host.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := guest.Read(make([]byte, 10)); n == 0 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
	}
}

// TestStopWaitsForWhoSends: what is written while another goroutine is at the end of sending, which then is to send it too, is
// sent before the end.
func TestStopWaitsForWhoSends(t *testing.T) {
	m := newModel(virtiotest.EventIdx)
	d, e, _ := started(t, m, nil)
	d.stopPatience = time.Minute
	guest, host := connected(t, m, e)
	settle(t, func() bool { return !d.sending.taken() })
	notified := m.Queues[txQueue].Notified()
	m.in.Lock() // the model is busy
	first, stopped := make(chan error), make(chan struct{})
	go func() {
		_, err := guest.Write([]byte("first"))
		first <- err
	}()
	settle(t, func() bool { return m.Queues[txQueue].Notified() > notified })
	if _, err := guest.Write([]byte("second")); err != nil {
		t.Error(err)
	}
	calls := d.sending.calls.Load()
	go func() {
		d.Stop()
		close(stopped)
	}()
	settle(t, func() bool { return d.sending.calls.Load() > calls })
	m.in.Unlock()
	if err := <-first; err != nil {
		t.Error(err)
	}
	<-stopped
	b := make([]byte, len("firstsecond"))
	if n, err := io.ReadFull(host, b); string(b[:n]) != "firstsecond" {
		t.Errorf("the host got %q, %v", b[:n], err)
	}
}

// TestDeviceBreaksRules: it is given up, and connections end.
func TestDeviceBreaksRules(t *testing.T) {
	for name, breaks := range map[string]func(m *model){
		"used index of rx": func(m *model) { m.Queues[rxQueue].SkipUsed(1000); m.Queues[rxQueue].Signal() },
		"used ID of rx":    func(m *model) { m.Queues[rxQueue].PushRaw(5000, 10); m.Queues[rxQueue].Signal() },
		"length of event":  func(m *model) { m.Queues[eventQueue].PushRaw(0, 5); m.Queues[eventQueue].Signal() },
		"CID after reset": func(m *model) {
			m.SetConfig(func(config []byte) { copy(config, cidConfig(vsockHostCID)) })
			c, _ := m.Queues[eventQueue].Pop()
			m.Queues[eventQueue].Push(c.ID, c.Write([]byte{0, 0, 0, 0}))
			m.Queues[eventQueue].Signal()
		},
		"needs reset": func(m *model) { m.NeedReset() },
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel(virtiotest.EventIdx)
			d, e, _ := started(t, m, nil)
			guest, _ := connected(t, m, e)
			m.out.Lock()
			breaks(m)
			m.out.Unlock()
			if _, err := guest.Read(make([]byte, 1)); !errors.Is(err, vsock.ErrTransport) {
				t.Errorf("a blocked read ends with %v", err)
			}
			<-d.Done()
			if d.Err() == nil {
				t.Error("no error")
			}
			if m.Status()&virtiotest.StatusFailed == 0 && m.Status() != 0 {
				t.Errorf("status %#x", m.Status())
			}
		})
	}
}

const vsockHostCID = 2

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		device *virtiotest.Device
		want   error
	}{
		"another type":   {virtiotest.New(1, 0, cidConfig(3), 8, 8, 8), ErrNotVsock},
		"host's CID":     {virtiotest.New(19, 0, cidConfig(2), 8, 8, 8), ErrCID},
		"any CID":        {virtiotest.New(19, 0, cidConfig(1<<32-1), 8, 8, 8), ErrCID},
		"long CID":       {virtiotest.New(19, 0, cidConfig(1<<32+3), 8, 8, 8), ErrCID},
		"no event queue": {virtiotest.New(19, 0, cidConfig(3), 8, 8), virtio.ErrNoQueue},
	} {
		transport, err := virtio.NewMMIO(c.device.MMIO(), virtiotest.MMIOSize, c.device)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Transport: transport, Memory: c.device}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestTap(t *testing.T) {
	var mu sync.Mutex
	var sent, received int
	var settled []string
	m := newModel(0)
	_, e, _ := started(t, m, func(c *Config) {
		c.Tap = func(f packet.Frame) {
			mu.Lock()
			defer mu.Unlock()
			if _, err := vsock.ParseHeader(f.Data); err != nil || f.Link != packet.LinkVsock || f.WireLen != len(f.Data) {
				t.Errorf("%+v, %v", f, err)
			}
			if f.Direction == packet.Transmit {
				sent++
			} else {
				received++
			}
		}
		c.Settle = func(drop string) {
			mu.Lock()
			defer mu.Unlock()
			settled = append(settled, drop)
			if len(settled) != received {
				t.Errorf("%d packets settled, %d received", len(settled), received)
			}
		}
	})
	connected(t, m, e)
	// Connected is connected a moment before the packet that did it is settled.
	all := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(settled) > 0 && len(settled) == received
	}
	for deadline := time.Now().Add(20 * time.Second); !all() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	if sent < 1 || received < 1 || len(settled) != received || settled[0] != "" {
		t.Errorf("%d packets sent, %d received, %q", sent, received, settled)
	}
}
