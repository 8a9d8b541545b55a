package net

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testLink is one end of a cable in memory. Frames are delivered by a goroutine of the receiving end, as a driver's.
type testLink struct {
	mac  [6]byte
	peer *testLink
	in   chan []byte

	mu      sync.Mutex
	receive func([]byte)
	changed func(bool)
	down    bool
	fate    func(frame []byte) []time.Duration // when copies of a frame arrive; nil: one, at once
	sent    [][]byte                           // kept if keep
	keep    bool
	full    bool
}

const testRing = 4096 // frames that a card holds

// newTestLinks makes a cable.
func newTestLinks(t testing.TB) (a, b *testLink) {
	a = &testLink{mac: [6]byte{2, 0, 0, 0, 0, 1}, in: make(chan []byte, testRing)}
	b = &testLink{mac: [6]byte{2, 0, 0, 0, 0, 2}, in: make(chan []byte, testRing)}
	a.peer, b.peer = b, a
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, l := range []*testLink{a, b} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case f := <-l.in:
					l.deliver(f)
				case <-stop:
					return
				}
			}
		}()
	}
	t.Cleanup(func() { close(stop); wg.Wait() })
	return a, b
}

func (l *testLink) deliver(f []byte) {
	l.mu.Lock()
	receive := l.receive
	l.mu.Unlock()
	if receive != nil {
		receive(f)
	}
	for i := range f { // the memory is the driver's again
		f[i] = 0xdb
	}
}

func (l *testLink) HardwareAddr() [6]byte { return l.mac }
func (l *testLink) MTU() int              { return 1500 }

func (l *testLink) Attach(receive func([]byte)) {
	l.mu.Lock()
	l.receive = receive
	l.mu.Unlock()
}

func (l *testLink) LinkUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.down
}

func (l *testLink) OnLinkChange(changed func(bool)) {
	l.mu.Lock()
	l.changed = changed
	l.mu.Unlock()
}

func (l *testLink) setUp(up bool) {
	l.mu.Lock()
	l.down = !up
	changed := l.changed
	l.mu.Unlock()
	if changed != nil {
		changed(up)
	}
}

func (l *testLink) Transmit(pieces ...[]byte) error {
	var f []byte
	for _, p := range pieces {
		f = append(f, p...)
	}
	if len(f) > 14+l.MTU() {
		panic(fmt.Sprintf("frame of %d bytes", len(f)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keep {
		l.sent = append(l.sent, append([]byte(nil), f...))
	}
	if l.full || l.down {
		return unix.ENOBUFS
	}
	if l.fate == nil {
		return l.peer.enqueue(f)
	}
	for _, d := range l.fate(f) {
		f := append([]byte(nil), f...)
		if d == 0 {
			l.peer.enqueue(f)
		} else {
			time.AfterFunc(d, func() { l.peer.enqueue(f) })
		}
	}
	return nil
}

func (l *testLink) enqueue(f []byte) error {
	select {
	case l.in <- f:
		return nil
	default:
		return unix.ENOBUFS
	}
}

// setFate decides what becomes of the frames that are sent.
func (l *testLink) setFate(fate func([]byte) []time.Duration) {
	l.mu.Lock()
	l.fate = fate
	l.mu.Unlock()
}

// frames returns what was sent since keep was set.
func (l *testLink) frames() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([][]byte(nil), l.sent...)
}

// lossy loses, doubles and reorders some of the frames.
func lossy(seed uint64) func([]byte) []time.Duration {
	r := rand.New(rand.NewPCG(seed, 1))
	return func([]byte) []time.Duration {
		switch n := r.IntN(100); {
		case n < 2:
			return nil
		case n < 4:
			return []time.Duration{0, 0}
		case n < 8:
			return []time.Duration{time.Millisecond}
		}
		return []time.Duration{0}
	}
}

// testStacks makes two machines on one cable: 192.0.2.1 and 192.0.2.2.
func testStacks(t testing.TB, o Options) (a, b *ours, la, lb *testLink) {
	la, lb = newTestLinks(t)
	return testStack(t, o, la, "192.0.2.1/24"), testStack(t, o, lb, "192.0.2.2/24"), la, lb
}

// testStack makes a machine with a card.
func testStack(t testing.TB, o Options, l Link, address string) *ours {
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &ours{t: t, s: s}
	t.Cleanup(func() {
		for fd := range w.fds {
			w.close(fd)
		}
		s.Close()
	})
	if err := s.AddLink(l, "eth0", LinkConfig{Address: netip.MustParsePrefix(address), Gateway: addr4(192, 0, 2, 254)}); err != nil {
		t.Fatal(err)
	}
	return w
}

func addr4(a, b, c, d byte) netip.Addr { return netip.AddrFrom4([4]byte{a, b, c, d}) }
