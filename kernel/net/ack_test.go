package net

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pingPong makes a connection between two machines, and returns what does one exchange over it.
func pingPong(t *testing.T, family int) (exchange func(), c, k Socket, la, lb *testLink) {
	a, b, la, lb := testStacks(t, Options{})
	l := listenOn(t, b, unix.AF_INET6, sa6("::", 7), 1)
	to := sa4("192.0.2.2", 7)
	if family == unix.AF_INET6 {
		check(t, a.s.engine.addAddress(2, netip.MustParsePrefix("2001:db8::1/64")))
		check(t, b.s.engine.addAddress(2, netip.MustParsePrefix("2001:db8::2/64")))
		a.s.engine.addRoute(2, netip.MustParsePrefix("2001:db8::/64"), netip.Addr{})
		b.s.engine.addRoute(2, netip.MustParsePrefix("2001:db8::/64"), netip.Addr{})
		to = sa6("2001:db8::2", 7)
	}
	c, err := dial(a, family, to)
	check(t, err)
	k, err = acceptOne(l)
	check(t, err)
	t.Cleanup(func() { c.Close(); k.Close() })
	buf := make([]byte, 100)
	return func() {
		check(t, writeFull(c, buf))
		check(t, readFull(k, buf))
		check(t, writeFull(k, buf))
		check(t, readFull(c, buf))
	}, c, k, la, lb
}

// watch counts the frames of a link from now on.
func (l *testLink) watch() {
	l.mu.Lock()
	l.keep, l.sent = true, nil
	l.mu.Unlock()
}

func TestAcknowledgementsTravelWithAnswers(t *testing.T) {
	for name, family := range map[string]int{"IPv4": unix.AF_INET, "IPv6": unix.AF_INET6} {
		t.Run(name, func(t *testing.T) { testAcknowledgementsTravelWithAnswers(t, family) })
	}
}

func testAcknowledgementsTravelWithAnswers(t *testing.T, family int) {
	exchange, _, _, la, lb := pingPong(t, family)
	for range 20 {
		exchange()
	}
	// Two packets make an exchange. Where an answer takes longer than ackDelayTime, on a busy machine, its acknowledgement goes alone.
	const rounds = 20
	for end := time.Now().Add(testPatience); ; {
		la.watch()
		lb.watch()
		for range rounds {
			exchange()
		}
		n := len(la.frames()) + len(lb.frames())
		if n <= 3*rounds {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d exchanges took %d frames, want about %d", rounds, n, 2*rounds)
		}
	}
}

func TestHeldAcknowledgementGoesOut(t *testing.T) {
	for name, family := range map[string]int{"IPv4": unix.AF_INET, "IPv6": unix.AF_INET6} {
		t.Run(name, func(t *testing.T) { testHeldAcknowledgementGoesOut(t, family) })
	}
}

func testHeldAcknowledgementGoesOut(t *testing.T, family int) {
	exchange, c, k, _, lb := pingPong(t, family)
	for range 5 {
		exchange()
	}
	lb.watch()
	began := time.Now()
	check(t, writeFull(c, make([]byte, 10)))
	check(t, readFull(k, make([]byte, 10)))
	settle(t, "acknowledgement", func() bool { return len(lb.frames()) > 0 })
	t.Logf("acknowledged after %v", time.Since(began))
}

func TestFullSegmentsAreAcknowledgedAtOnce(t *testing.T) {
	exchange, c, k, _, lb := pingPong(t, unix.AF_INET)
	exchange()
	time.Sleep(2 * ackDelayTime)
	lb.watch()
	const n = 64 << 10
	check(t, writeFull(c, make([]byte, n)))
	check(t, readFull(k, make([]byte, n)))
	settle(t, "acknowledgements", func() bool { return len(lb.frames()) >= 2 })
}
