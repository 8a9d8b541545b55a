package net

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLingerDeliversWhatWasSent checks that data of a program that has closed its socket and ended are on their way until
// the peer has them all.
func TestLingerDeliversWhatWasSent(t *testing.T) {
	a, b, _, _ := testStacks(t, Options{})
	l, err := b.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	check(t, err)
	check(t, b.bind(l, sa4("0.0.0.0", 80)))
	check(t, b.listen(l, 1))
	c, err := a.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	check(t, err)
	check(t, a.connect(c, lingerPeer(t, b)))
	s, _, err := b.accept(l)
	check(t, err)

	const size = 1 << 17
	n, err := a.write(c, make([]byte, size))
	check(t, err)
	a.close(c)
	if left := a.s.Linger(time.Now().Add(-time.Hour)); left != 1 {
		t.Errorf("%d connections are unfinished with nobody reading, want 1", left)
	}
	done := make(chan int)
	go func() {
		total := 0
		for {
			p, err := b.read(s, 1<<16)
			if err != nil || len(p) == 0 {
				done <- total
				return
			}
			total += len(p)
		}
	}()
	if left := a.s.Linger(time.Now().Add(time.Minute)); left != 0 {
		t.Errorf("%d connections are unfinished after a minute", left)
	}
	if got := <-done; got != n {
		t.Errorf("the peer has got %d bytes of %d", got, n)
	}
}

// lingerPeer is the address of port 80 of b.
func lingerPeer(t *testing.T, b *ours) []byte {
	t.Helper()
	for _, p := range b.s.Addresses("eth0") {
		if p.Addr().Is4() {
			return sa4(p.Addr().String(), 80)
		}
	}
	t.Fatal("no IPv4 address")
	return nil
}
