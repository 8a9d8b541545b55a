package vsock

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"wick/packet"
)

// clock is a clock that tests wind.
type clock struct {
	now    time.Duration
	timers []*alarm
}

type alarm struct {
	at time.Duration
	f  func()
}

func (c *clock) afterFunc(d time.Duration, f func()) (stop func() bool) {
	a := &alarm{c.now + d, f}
	c.timers = append(c.timers, a)
	return func() bool { return c.remove(a) }
}

func (c *clock) remove(a *alarm) bool {
	i := slices.Index(c.timers, a)
	if i < 0 {
		return false
	}
	c.timers = slices.Delete(c.timers, i, i+1)
	return true
}

// advance lets time pass.
func (c *clock) advance(d time.Duration) {
	end := c.now + d
	for {
		var first *alarm
		for _, a := range c.timers {
			if a.at <= end && (first == nil || a.at < first.at) {
				first = a
			}
		}
		if first == nil {
			c.now = end
			return
		}
		c.remove(first)
		c.now = first.at
		first.f()
	}
}

// pair is a guest and a host with a wire between them that keeps packets until they are delivered.
type pair struct {
	clock clock
	ends  [2]*Endpoint
	wires [2][][]byte // packets on their way, by their sender
	asked [2][]*Conn  // connections that were asked for, by who is to answer
	watch *watcher

	buffer [HeaderSize + MaxData]byte
}

const guestCID = 42

const (
	guest = 0
	host  = 1
)

var cids = [2]uint32{guestCID, Host}

func newPair(t testing.TB, change func(c *Config)) *pair {
	p := &pair{watch: newWatcher(t)}
	for i := range p.ends {
		c := Config{
			Addressed: func(from, to uint32) bool { return from == cids[1-i] && to == cids[i] },
			Request:   func(c *Conn) { p.asked[i] = append(p.asked[i], c) },
			AfterFunc: p.clock.afterFunc,
			BufAlloc:  1000,
		}
		if change != nil {
			change(&c)
		}
		p.ends[i] = New(c)
	}
	return p
}

// emit moves one packet of an end to the wire; room is that of its buffer.
func (p *pair) emit(i, room int) bool {
	b := p.buffer[:HeaderSize+room]
	n, err := p.ends[i].Output(b[:7], b[7:7], b[7:])
	if err != nil {
		panic(err)
	}
	if n == 0 {
		return false
	}
	p.watch.sees(b[:n])
	p.wires[i] = append(p.wires[i], bytes.Clone(b[:n]))
	return true
}

// deliver moves the oldest packet of an end from the wire to the other end.
func (p *pair) deliver(i int) bool {
	if len(p.wires[i]) == 0 {
		return false
	}
	b := p.wires[i][0]
	p.wires[i] = p.wires[i][1:]
	input(p.ends[1-i], b)
	return true
}

func input(e *Endpoint, b []byte) {
	h, err := ParseHeader(b)
	if err != nil {
		panic(err)
	}
	data := b[HeaderSize:]
	e.Input(&h, data[:len(data)/3], nil, data[len(data)/3:])
}

// settle delivers all there is, and tells whether there was something.
func (p *pair) settle() (any bool) {
	for again := true; again; any = any || again {
		again = false
		for i := range p.ends {
			for p.emit(i, MaxData) || p.deliver(i) {
				again = true
			}
		}
	}
	return any
}

// open returns the two ends of a new connection from the guest's port 1024 to the host's port.
func (p *pair) open(t testing.TB, port uint32) (g, h *Conn) {
	t.Helper()
	g, err := p.ends[guest].Connect(Addr{guestCID, 1024}, Addr{Host, port}, time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.settle()
	if len(p.asked[host]) != 1 {
		t.Fatalf("%d requests at the host", len(p.asked[host]))
	}
	h = p.asked[host][0]
	p.asked[host] = nil
	if err := h.Accept(); err != nil {
		t.Fatal(err)
	}
	p.settle()
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	return g, h
}

// watcher looks at the wire and checks that nobody sends more than he has been allowed, with a bookkeeping of its own:
// sums that don't wrap.
type watcher struct {
	t     testing.TB
	flows map[key]*flow // by sender
	last  Header
}

type flow struct {
	sent    uint64 // by this end
	allowed uint64 // to the other end: the furthest that this end has told
}

func newWatcher(t testing.TB) *watcher { return &watcher{t: t, flows: make(map[key]*flow)} }

func (w *watcher) flow(from, to Addr) *flow {
	f := w.flows[key{from, to}]
	if f == nil {
		f = new(flow)
		w.flows[key{from, to}] = f
	}
	return f
}

func (w *watcher) sees(b []byte) {
	h, err := ParseHeader(b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.last = h
	if int(h.Len) != len(b)-HeaderSize {
		w.t.Fatalf("len %d in a packet with %d bytes", h.Len, len(b)-HeaderSize)
	}
	if h.Op == packet.VsockRequest {
		delete(w.flows, key{h.From, h.To})
		delete(w.flows, key{h.To, h.From})
	}
	if h.Op == packet.VsockReset {
		return
	}
	from, to := w.flow(h.From, h.To), w.flow(h.To, h.From)
	// fwd_cnt is told modulo 2³²; what the other end has sent says which.
	read := to.sent - uint64(uint32(to.sent)-h.FwdCnt)
	from.allowed = max(from.allowed, read+uint64(h.BufAlloc))
	from.sent += uint64(h.Len)
	if from.sent > to.allowed {
		w.t.Fatalf("%v has sent %d bytes to %v and was allowed %d", h.From, from.sent, h.To, to.allowed)
	}
}

// Helpers that fail the test.

func mustWrite(t testing.TB, c *Conn, data string) {
	t.Helper()
	if n, err := c.Write([]byte(data)); n != len(data) || err != nil {
		t.Fatalf("Write of %d bytes: %d, %v", len(data), n, err)
	}
}

func mustRead(t testing.TB, c *Conn, want string) {
	t.Helper()
	b := make([]byte, len(want)+1)
	if n, err := c.Read(b); string(b[:n]) != want || err != nil {
		t.Fatalf("Read: %q, %v; want %q", b[:n], err, want)
	}
}

func wantRead(t testing.TB, c *Conn, want error) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, want) {
		t.Fatalf("Read: %d, %v; want %v", n, err, want)
	}
}

func wantWrite(t testing.TB, c *Conn, want error) {
	t.Helper()
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, want) {
		t.Fatalf("Write: %d, %v; want %v", n, err, want)
	}
}

func (p *pair) wantConns(t testing.TB, n int) {
	t.Helper()
	for i, e := range p.ends {
		if got := e.Len(); got != n {
			t.Errorf("%d connections at end %d, want %d", got, i, n)
		}
	}
}

// next takes a packet out of an endpoint; the test fails if there is none.
func next(t testing.TB, e *Endpoint) (Header, []byte) {
	t.Helper()
	b := make([]byte, HeaderSize+MaxData)
	n, err := e.Output(b)
	if n == 0 {
		t.Fatalf("no packet (%v)", err)
	}
	h, err := ParseHeader(b[:n])
	if err != nil {
		t.Fatal(err)
	}
	return h, b[HeaderSize:n]
}

func wantNone(t testing.TB, e *Endpoint) {
	t.Helper()
	b := make([]byte, HeaderSize+MaxData)
	if n, _ := e.Output(b); n != 0 {
		h, _ := ParseHeader(b)
		t.Fatalf("an unexpected packet: %s", describe(&h))
	}
}

var opNames = []string{"", "REQUEST", "RESPONSE", "RST", "SHUTDOWN", "RW", "CREDIT_UPDATE", "CREDIT_REQUEST"}

func describe(h *Header) string {
	return fmt.Sprintf("%v>%v %s flags=%d len=%d buf_alloc=%d fwd_cnt=%d", h.From, h.To, opNames[h.Op], h.Flags, h.Len, h.BufAlloc, h.FwdCnt)
}

// drain reads all there is.
func drain(c *Conn) ([]byte, error) {
	var all bytes.Buffer
	b := make([]byte, 300)
	for {
		n, err := c.Read(b)
		all.Write(b[:n])
		if err != nil {
			return all.Bytes(), err
		}
	}
}
