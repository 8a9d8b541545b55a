package virtiorng

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtio/virtiotest"
)

const (
	patience = time.Minute
	never    = time.Hour // between looks without an interrupt
)

// source is a device that answers a buffer with what next returns; nil: not at all.
type source struct {
	*virtiotest.Device
	next func(room int) []byte

	mu   sync.Mutex
	held []virtiotest.Chain // guarded by mu; buffers that were not answered
}

func newSource(features uint64, next func(room int) []byte) *source {
	s := &source{Device: virtiotest.New(4, features, nil, 8), next: next}
	s.OnNotify = func(int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		q := s.Queues[0]
		for c, ok := q.Pop(); ok; c, ok = q.Pop() {
			if answer := s.next(c.Room()); answer == nil {
				s.held = append(s.held, c)
			} else {
				q.Push(c.ID, c.Write(answer))
			}
		}
		q.Signal()
	}
	return s
}

// release answers the buffers that were not.
func (s *source) release(answer []byte) (buffers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.held {
		s.Queues[0].Push(c.ID, c.Write(answer))
	}
	buffers, s.held = len(s.held), nil
	s.Queues[0].Signal()
	return buffers
}

// counter returns bytes that count up, a number at a time.
func counter(atOnce int) func(int) []byte {
	n := byte(0)
	return func(room int) []byte {
		b := make([]byte, min(room, atOnce))
		for i := range b {
			n++
			b[i] = n
		}
		return b
	}
}

// transports are the ways to a device.
var transports = map[string]func(s *source) (virtio.Transport, error){
	"mmio": func(s *source) (virtio.Transport, error) {
		return virtio.NewMMIO(s.MMIO(), virtiotest.MMIOSize, s)
	},
	"messages": func(s *source) (virtio.Transport, error) {
		p := s.PCI()
		p.AddMessages(2, 2)
		return virtio.NewPCI(p.Function(), p.Window, virtio.PCIInterrupts{Line: p.Line, Message: p.Message})
	},
}

func open(t *testing.T, s *source, way string, check time.Duration) *Device {
	t.Helper()
	tr, err := transports[way](s)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Config{Transport: tr, Memory: s, CheckInterval: check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.device.Close()
		<-d.done
	})
	return d
}

// TestRead: whatever the device gives at once, all of it arrives, in order, and nothing twice.
func TestRead(t *testing.T) {
	for way := range transports {
		for _, atOnce := range []int{1, 3, 63, 64, 1000} {
			for _, features := range []uint64{0, virtiotest.EventIdx | virtiotest.Indirect} {
				d := open(t, newSource(features, counter(atOnce)), way, never)
				got := make([]byte, 200)
				if n, err := d.Read(got, patience); n != len(got) || err != nil {
					t.Fatalf("%s, %d at once: %d bytes, %v", way, atOnce, n, err)
				}
				for i, b := range got {
					// What is left of a buffer is thrown away, never used for somebody else.
					if b != byte(i+1) {
						t.Fatalf("%s, %d at once: byte %d is %d", way, atOnce, i, b)
					}
				}
				if !bytes.Equal(d.buffer, make([]byte, bufferSize)) {
					t.Errorf("%s: the buffer still has % x", way, d.buffer)
				}
			}
		}
	}
}

// TestDeviceThatGivesNothing: a few empty buffers are tolerated, many in a row are not.
func TestDeviceThatGivesNothing(t *testing.T) {
	full, asked := counter(8), 0
	s := newSource(0, func(room int) []byte {
		if asked++; asked%maxEmpty != 0 {
			return []byte{}
		}
		return full(room)
	})
	d := open(t, s, "mmio", never)
	b := make([]byte, 20)
	if n, err := d.Read(b, patience); n != 20 || err != nil || b[19] != 20 {
		t.Errorf("now and then empty: %d bytes, %v, % x", n, err, b)
	}
	s.mu.Lock()
	s.next = func(int) []byte { return []byte{} }
	s.mu.Unlock()
	for range 2 {
		if n, err := d.Read(b, patience); n != 0 || !errors.Is(err, ErrEmpty) {
			t.Errorf("always empty: %d bytes, %v", n, err)
		}
	}
	if s.Status() != 0 {
		t.Errorf("the device has status %#x and was not reset", s.Status())
	}
}

// TestDeviceThatDoesNotAnswer: a reader gives up and the device keeps its one buffer, which a later reader gets.
func TestDeviceThatDoesNotAnswer(t *testing.T) {
	answers := counter(4)
	answered := 0
	s := newSource(virtiotest.EventIdx, func(room int) []byte {
		if answered++; answered == 2 {
			return nil
		}
		return answers(room)
	})
	d := open(t, s, "messages", never)
	b := make([]byte, 6)
	if n, err := d.Read(b, 20*time.Millisecond); n != 4 || !errors.Is(err, ErrSilent) {
		t.Errorf("%d bytes, %v", n, err)
	}
	for range 3 {
		if n, err := d.Read(b, time.Millisecond); n != 0 || !errors.Is(err, ErrSilent) {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	done := make(chan error)
	go func() {
		n, err := d.Read(b, patience)
		if n != len(b) {
			err = errors.Join(err, errors.New("too little"))
		}
		done <- err
	}()
	if n := s.release([]byte{101, 102, 103}); n != 1 {
		t.Errorf("the device had %d buffers", n)
	}
	if err := <-done; err != nil || !bytes.Equal(b, []byte{101, 102, 103, 5, 6, 7}) {
		t.Errorf("%v, % d", err, b)
	}
}

// TestLostInterrupt: a reader looks by itself now and then.
func TestLostInterrupt(t *testing.T) {
	s := newSource(virtiotest.EventIdx, func(int) []byte { return nil })
	d := open(t, s, "mmio", time.Millisecond)
	done := make(chan error)
	b := make([]byte, 4)
	go func() {
		_, err := d.Read(b, patience)
		done <- err
	}()
	s.LoseInterrupts(1)
	for s.release([]byte{1, 2, 3, 4}) == 0 { // until the reader has asked
		time.Sleep(time.Millisecond)
	}
	if err := <-done; err != nil || s.Interrupts() != 0 {
		t.Errorf("%v, %d interrupts", err, s.Interrupts())
	}
}

// TestDeviceThatLies: what it says of the buffer is not believed.
func TestDeviceThatLies(t *testing.T) {
	for name, c := range map[string]struct {
		id, written uint32
		want        error
	}{
		"more than there is room for": {0, bufferSize + 1, virtio.ErrUsedLength},
		"another buffer":              {1, 4, virtio.ErrUsedID},
		"no buffer":                   {77, 4, virtio.ErrUsedID},
	} {
		s := newSource(0, nil)
		s.OnNotify = func(int) {
			s.Queues[0].Pop()
			s.Queues[0].PushRaw(c.id, c.written)
			s.Queues[0].Signal()
		}
		d := open(t, s, "mmio", never)
		for range 2 {
			if n, err := d.Read(make([]byte, 4), patience); n != 0 || !errors.Is(err, c.want) {
				t.Errorf("%s: %d bytes, %v", name, n, err)
			}
		}
	}
}

// TestDeviceThatNeedsAReset ends a reader that waits.
func TestDeviceThatNeedsAReset(t *testing.T) {
	s := newSource(0, func(int) []byte { return nil })
	d := open(t, s, "messages", never)
	done := make(chan error)
	go func() {
		_, err := d.Read(make([]byte, 4), patience)
		done <- err
	}()
	s.NeedReset()
	if err := <-done; !errors.Is(err, virtio.ErrNeedsReset) {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		device *virtiotest.Device
		want   error
	}{
		"another device": {virtiotest.New(1, 0, nil, 8), ErrNotEntropy},
		"no queue":       {virtiotest.New(4, 0, nil), virtio.ErrNoQueue},
		"legacy":         {func() *virtiotest.Device { m := virtiotest.New(4, 0, nil, 8); m.Features = 0; return m }(), virtio.ErrLegacy},
	} {
		tr, err := virtio.NewMMIO(c.device.MMIO(), virtiotest.MMIOSize, c.device)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Transport: tr, Memory: c.device}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
