package e1000

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"wick/kernel/driver/e1000/e1000test"
	"wick/packet"
)

func TestTransmit(t *testing.T) {
	m := e1000test.New(testMAC)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { smallRings(c); c.Tap = tap })
	whole := frame(1518, 3)
	for i := range 50 {
		size := []int{1518, 60, 61, 1514}[i%4]
		f := whole[:size]
		pieces := [][]byte{f[:14], nil, f[14:34], f[34:]}
		if err := d.Transmit(pieces...); err != nil {
			t.Fatal(err)
		}
		sent := m.Sent()
		if len(sent) != 1 || !bytes.Equal(sent[0], f) {
			t.Fatalf("frame %d of %d bytes: %d were sent", i, size, len(sent))
		}
		if got := <-taps; got.dir != packet.Transmit || got.wireLen != size || !bytes.Equal(got.data, f) || got.drop != "" {
			t.Fatalf("the tap got %d bytes, %q", got.wireLen, got.drop)
		}
	}
	if n := counter(d, TxFrames); n != 50 {
		t.Errorf("counted %d frames", n)
	}
}

// The padding is zeros, not what the buffer held before.
func TestShortFramesArePadded(t *testing.T) {
	m := e1000test.New(testMAC)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { smallRings(c); c.Tap = tap })
	for range 8 {
		d.Transmit(bytes.Repeat([]byte{0xFF}, 1514))
		<-taps
	}
	m.Sent()
	for _, size := range []int{14, 42, 59} {
		f := frame(size, 1)
		if err := d.Transmit(f); err != nil {
			t.Fatal(err)
		}
		want := append(f, make([]byte, 60-size)...)
		if sent := m.Sent(); len(sent) != 1 || !bytes.Equal(sent[0], want) {
			t.Errorf("%d bytes: sent % x", size, sent)
		}
		if got := <-taps; got.wireLen != 60 || !bytes.Equal(got.data, want) {
			t.Errorf("%d bytes: the tap got %d", size, got.wireLen)
		}
	}
}

func TestTransmitChecksLengths(t *testing.T) {
	m := e1000test.New(testMAC)
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { c.Tap = tap })
	for _, c := range []struct {
		size, limit, tapped int
		err                 error
		counter             Counter
		text                string
	}{
		{1519, 1518, 1519, ErrTooLong, TxTooLong, "e1000: frame too long: got 1519 bytes, limit 1518"},
		{70000, 1518, 2048, ErrTooLong, TxTooLong, "e1000: frame too long: got 70000 bytes, limit 1518"},
		{13, 14, 13, ErrTooShort, TxTooShort, "e1000: frame too short: got 13 bytes, limit 14"},
		{0, 14, 0, ErrTooShort, TxTooShort, "e1000: frame too short: got 0 bytes, limit 14"},
	} {
		before := counter(d, c.counter)
		err := d.Transmit(make([]byte, c.size))
		if !errors.Is(err, c.err) || err.Error() != c.text {
			t.Errorf("got %v", err)
		}
		if counter(d, c.counter) != before+1 {
			t.Errorf("%v was not counted", c.counter)
		}
		if got := <-taps; got.drop != c.counter.String() || got.wireLen != c.size || len(got.data) != c.tapped {
			t.Errorf("the tap got %d of %d bytes, %q", len(got.data), got.wireLen, got.drop)
		}
	}
	if err := d.Transmit(); !errors.Is(err, ErrTooShort) {
		t.Errorf("no pieces: got %v", err)
	}
	if sent := m.Sent(); len(sent) != 0 {
		t.Errorf("%d frames were sent", len(sent))
	}
}

func TestTransmitRingFull(t *testing.T) {
	m := e1000test.New(testMAC)
	m.HoldTransmit = true
	tap, taps := newTap()
	d := start(t, m, func(c *Config) { smallRings(c); c.Tap = tap })
	for round := range 5 {
		for i := range 7 {
			if err := d.Transmit(frame(60, i)); err != nil {
				t.Fatalf("round %d: frame %d: %v", round, i, err)
			}
			<-taps
		}
		for range 3 {
			if err := d.Transmit(frame(60, 100)); err != ErrRingFull {
				t.Fatalf("round %d: got %v, want ErrRingFull", round, err)
			}
			if got := <-taps; got.drop != "tx-ring-full" || !bytes.Equal(got.data, frame(60, 100)) {
				t.Fatalf("the tap got %q", got.drop)
			}
		}
		m.Release()
		sent := m.Sent()
		if len(sent) != 7 {
			t.Fatalf("round %d: %d were sent", round, len(sent))
		}
		for i, f := range sent {
			if !bytes.Equal(f, frame(60, i)) {
				t.Errorf("round %d: frame %d was overwritten", round, i)
			}
		}
	}
	if n := counter(d, TxRingFull); n != 15 {
		t.Errorf("counted %d", n)
	}
}

func TestConcurrentTransmit(t *testing.T) {
	const senders, each = 8, 300
	m := e1000test.New(testMAC)
	d := start(t, m, smallRings)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			f := make([]byte, 200)
			for i := range each {
				binary.BigEndian.PutUint32(f[20:], uint32(s))
				binary.BigEndian.PutUint32(f[24:], uint32(i))
				f[199] = byte(s + i)
				if err := d.Transmit(f[:24], f[24:]); err != nil {
					t.Errorf("sender %d: %v", s, err)
				}
			}
		})
	}
	all.Wait()
	var next [senders]uint32
	for _, f := range m.Sent() {
		s, i := binary.BigEndian.Uint32(f[20:]), binary.BigEndian.Uint32(f[24:])
		if i != next[s] || f[199] != byte(s+i) {
			t.Fatalf("sender %d: got frame %d, want %d", s, i, next[s])
		}
		next[s]++
	}
	for s, n := range next {
		if n != each {
			t.Errorf("sender %d: %d frames", s, n)
		}
	}
}

// Two drivers on one wire, both ways at once, with rings that fill up and wrap.
func TestTwoCards(t *testing.T) {
	const count = 2000
	a, b := e1000test.New(testMAC), e1000test.New([6]byte{2})
	e1000test.Connect(a, b)
	da := start(t, a, func(c *Config) { c.RxDescriptors = 64 })
	db := start(t, b, func(c *Config) { c.RxDescriptors = 64 })
	var all sync.WaitGroup
	for _, pair := range [][2]*Device{{da, db}, {db, da}} {
		credit := make(chan bool, 32) // the wire has no flow control of its own
		done := make(chan bool)
		next := uint32(0)
		pair[1].Attach(func(f []byte) {
			if got := binary.BigEndian.Uint32(f[14:]); got != next {
				t.Errorf("got frame %d, want %d", got, next)
			}
			<-credit
			if next++; next == count {
				close(done)
			}
		})
		all.Go(func() {
			f := make([]byte, 64)
			for i := range uint32(count) {
				credit <- true
				binary.BigEndian.PutUint32(f[14:], i)
				if err := pair[0].Transmit(f); err != nil {
					t.Errorf("frame %d: %v", i, err)
				}
			}
			<-done
		})
	}
	all.Wait()
}

func TestTransmitDoesNotAllocate(t *testing.T) {
	for _, tap := range []Tap{nil, func(packet.Frame) {}} {
		m := e1000test.New(testMAC)
		m.HoldTransmit = true // the model would allocate
		d := start(t, m, func(c *Config) { c.Tap = tap; c.TxDescriptors = 4096 })
		pieces := [][]byte{frame(54, 1), frame(1000, 2)}
		if a := testing.AllocsPerRun(1000, func() {
			if err := d.Transmit(pieces...); err != nil {
				t.Fatal(err)
			}
		}); a != 0 {
			t.Errorf("%v allocations a frame", a)
		}
	}
}

func BenchmarkTransmit(b *testing.B) {
	m := e1000test.New(testMAC)
	m.HoldTransmit = true
	d, err := New(Config{Registers: m, Memory: m, Interrupt: m, TxDescriptors: 8})
	if err != nil {
		b.Fatal(err)
	}
	pieces := [][]byte{frame(54, 1), frame(1460, 2)}
	b.ReportAllocs()
	for b.Loop() {
		d.Transmit(pieces...)
	}
}
