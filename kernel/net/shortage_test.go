package net

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"wick/vsock"
)

// newShort makes a world whose memory is short while the flag is set.
func newShort(t *testing.T) (w *ours, short *atomic.Bool) {
	short = new(atomic.Bool)
	return newOursWith(t, Options{Short: short.Load}), short
}

// connected returns the two ends of a connection: TCP over loopback, or of the kind of pair.
func (w *ours) connected(t *testing.T, family, typ int) (a, b int) {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if family == unix.AF_UNIX {
		a, b, err := w.pair(family, typ, 0)
		fail(err)
		return a, b
	}
	l, err := w.socket(family, typ, 0)
	fail(err)
	fail(w.bind(l, sa4("127.0.0.1", 0)))
	fail(w.listen(l, 1))
	sa, err := w.name(l)
	fail(err)
	a, err = w.socket(family, typ, 0)
	fail(err)
	fail(w.connect(a, sa))
	b, _, err = w.accept(l)
	fail(err)
	return a, b
}

func TestWritersWaitWhileMemoryIsShort(t *testing.T) {
	for name, kind := range map[string][2]int{
		"tcp":            {unix.AF_INET, unix.SOCK_STREAM},
		"unix stream":    {unix.AF_UNIX, unix.SOCK_STREAM},
		"unix datagrams": {unix.AF_UNIX, unix.SOCK_DGRAM},
	} {
		t.Run(name, func(t *testing.T) {
			w, short := newShort(t)
			a, b := w.connected(t, kind[0], kind[1])
			short.Store(true)
			if n, err := w.sendmsg(a, []byte("x"), nil, nil, unix.MSG_DONTWAIT); err != unix.EAGAIN {
				t.Errorf("write: %d, %v", n, err)
			}
			if r := w.poll(a, unix.POLLOUT, 0); r != 0 {
				t.Errorf("poll: %#x", r)
			}
			written := make(chan error, 1)
			go func() {
				_, err := w.write(a, []byte("later"))
				written <- err
			}()
			short.Store(false)
			if err := <-written; err != nil {
				t.Error(err)
			}
			if got, err := w.read(b, 10); err != nil || string(got) != "later" {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
}

// A connection that is broken may be what keeps the memory: whoever writes to it learns that, and closes it.
func TestBrokenVsockWritersDoNotWaitForMemory(t *testing.T) {
	w, short := newShort(t)
	l := must[int](t)(w.socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0))
	check(t, w.bind(l, savm(vsock.Any, 7)))
	check(t, w.listen(l, 1))
	a := must[int](t)(w.socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0))
	check(t, w.connect(a, savm(vsock.Local, 7)))
	b, _, err := w.accept(l)
	check(t, err)
	short.Store(true)
	if _, err := w.sendmsg(a, []byte("x"), nil, nil, unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Errorf("write: %v", err)
	}
	w.close(b)
	if got := w.poll(a, unix.POLLRDHUP, 10_000); got&unix.POLLRDHUP == 0 {
		t.Fatalf("poll: %#x", got)
	}
	_, err = w.write(a, []byte("x"))
	wantErr(t, "write to a broken connection", err, unix.EPIPE)
}

func TestDatagramsAreDroppedWhileMemoryIsShort(t *testing.T) {
	w, short := newShort(t)
	s, err := w.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.bind(s, sa4("127.0.0.1", 0)); err != nil {
		t.Fatal(err)
	}
	sa, _ := w.name(s)
	for i, b := range []string{"one", "two", "three"} {
		short.Store(i == 1)
		if _, err := w.sendmsg(s, []byte(b), sa, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"one", "three"} {
		if got, err := w.read(s, 10); err != nil || string(got) != want {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
	}
	counted := uint64(0)
	w.s.Counters(func(name string, v uint64) {
		if name == "udp.receive-no-memory" {
			counted = v
		}
	})
	if counted != 1 {
		t.Errorf("%d datagrams counted", counted)
	}
}

func TestNoNewSocketsWhileMemoryIsShort(t *testing.T) {
	w, short := newShort(t)
	a, err := w.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	nl, err := w.socket(unix.AF_NETLINK, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	short.Store(true)
	if _, err := w.socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != unix.ENFILE {
		t.Errorf("socket: %v", err)
	}
	if err := w.connect(a, sa4("127.0.0.1", 9)); err != unix.ENOBUFS {
		t.Errorf("connect: %v", err)
	}
	if _, err := w.write(nl, make([]byte, 20)); err != unix.ENOBUFS {
		t.Errorf("netlink request: %v", err)
	}
	short.Store(false)
	if err := w.connect(a, sa4("127.0.0.1", 9)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect with memory: %v", err)
	}
}

// frame4 is an IPv4 frame, frame6 an IPv6 one.
func frame4(flagsAndOffset uint16, protocol byte, payload []byte) []byte {
	f := make([]byte, 14+20, 1514)
	f[12] = 8
	f[14] = 0x45
	binary.BigEndian.PutUint16(f[14+6:], flagsAndOffset)
	f[14+9] = protocol
	return append(f, payload...)
}

func frame6(next byte, payload []byte) []byte {
	f := make([]byte, 14+40, 1514)
	f[12], f[13] = 0x86, 0xdd
	f[14] = 0x60
	f[14+6] = next
	return append(f, payload...)
}

// TestFramesThatStayAreRefusedBeforeThoseThatFreeMemory: the states are how little memory there is, each including those before.
func TestFramesThatStayAreRefusedBeforeThoseThatFreeMemory(t *testing.T) {
	segment := func(flags byte, options int) []byte {
		b := make([]byte, 20+options)
		b[12], b[13] = byte(20+options)<<2, flags
		return b
	}
	const ack, syn = 0x10, 0x02
	const enough, crowded, short, low = 0, 1, 2, 3
	for name, c := range map[string]struct {
		frame []byte
		want  int // the first state in which it is refused
	}{
		"acknowledgement":                {frame4(0, 6, segment(ack, 40)), low},
		"acknowledgement over IPv6":      {frame6(6, segment(ack, 40)), low},
		"opening":                        {frame4(0, 6, segment(syn, 20)), crowded},
		"answer to an opening":           {frame4(0, 6, segment(syn|ack, 20)), short},
		"opening over IPv6":              {frame6(6, segment(syn, 20)), crowded},
		"data":                           {frame4(0, 6, append(segment(ack, 12), make([]byte, 200)...)), short},
		"small datagram":                 {frame4(0, 17, make([]byte, 20)), low},
		"large datagram":                 {frame4(0, 17, make([]byte, 1000)), short},
		"first fragment":                 {frame4(0x2000, 17, make([]byte, 8)), short},
		"last fragment":                  {frame4(1, 17, make([]byte, 8)), short},
		"fragment over IPv6":             {frame6(44, make([]byte, 16)), short},
		"ARP":                            {append(make([]byte, 12), 8, 6, 0, 1), low},
		"header only":                    {frame4(0, 6, nil)[:14], low},
		"cut IPv4 header":                {frame4(0, 6, nil)[:20], low},
		"cut IPv6 header":                {frame6(6, nil)[:30], low},
		"cut segment":                    {frame4(0, 6, segment(syn, 0)[:13]), low},
		"IPv4 header longer than it is":  {append(append(make([]byte, 12), 8, 0, 0x4f), make([]byte, 30)...), low},
		"IPv4 header shorter than it is": {append(append(make([]byte, 12), 8, 0, 0x40), make([]byte, 30)...), low},
	} {
		for state := enough; state <= low; state++ {
			from := func(s int) func() bool { return func() bool { return state >= s } }
			m := memory{short: from(short), crowded: func(int) bool { return state >= crowded }, low: from(low)}
			if got := m.refuses(c.frame); got != (state >= c.want) {
				t.Errorf("%s, state %d: refused %v", name, state, got)
			}
		}
		if new(memory).refuses(c.frame) {
			t.Errorf("%s is refused without need", name)
		}
	}
}

// TestConnectionsAreCountedBeforeTheyTakeMemory: of those that are asked for at once only so many are let in as there is memory for.
func TestConnectionsAreCountedBeforeTheyTakeMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		syn := frame4(0, 6, make([]byte, 20))
		syn[14+20+12], syn[14+20+13] = 5<<4, 2
		m := memory{crowded: func(n int) bool { return n > 10 }}
		let := func() (n int) {
			for range 100 {
				if !m.refuses(syn) {
					n++
				}
			}
			return n
		}
		if n := let(); n != 10 {
			t.Errorf("%d were let in", n)
		}
		time.Sleep(openingPeriod)
		if n := let(); n != 0 {
			t.Errorf("%d more, right after", n)
		}
		time.Sleep(2 * openingPeriod)
		if n := let(); n != 10 {
			t.Errorf("%d later", n)
		}
	})
}
