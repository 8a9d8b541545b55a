package vsock

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"wick/packet"
)

func TestEcho(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	if g.Peer() != (Addr{Host, 80}) || h.Local() != g.Peer() || h.Peer() != g.Local() {
		t.Errorf("addresses %v %v, %v %v", g.Local(), g.Peer(), h.Local(), h.Peer())
	}
	wantRead(t, h, ErrWait)
	mustWrite(t, g, "hello")
	p.settle()
	mustRead(t, h, "hello")
	mustWrite(t, h, "HELLO")
	p.settle()
	mustRead(t, g, "HELLO")
	g.Close()
	p.settle()
	wantRead(t, h, io.EOF)
	wantWrite(t, h, ErrShutdown)
	if err := h.Err(); err != nil {
		t.Errorf("after an agreed end: %v", err)
	}
	p.wantConns(t, 0)
	if len(p.clock.timers) != 0 {
		t.Errorf("%d timers run", len(p.clock.timers))
	}
}

func TestRefused(t *testing.T) {
	p := newPair(t, nil)
	g, err := p.ends[guest].Connect(Addr{guestCID, 1}, Addr{Host, 2}, time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Err(); err != ErrNotYet {
		t.Errorf("before an answer: %v", err)
	}
	wantWrite(t, g, ErrNotYet)
	wantRead(t, g, ErrNotYet)
	p.settle()
	p.asked[host][0].Refuse(DropNoListener)
	p.settle()
	if err := g.Err(); err != ErrRefused {
		t.Errorf("refused: %v", err)
	}
	wantRead(t, g, ErrRefused)
	if err := p.asked[host][0].Accept(); err != ErrRefused {
		t.Errorf("Accept after Refuse: %v", err)
	}
	p.wantConns(t, 0)
}

func TestNobodyListens(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Request = nil })
	g, _ := p.ends[guest].Connect(Addr{guestCID, 1}, Addr{Host, 2}, time.Second, nil)
	p.settle()
	if err := g.Err(); err != ErrRefused {
		t.Errorf("refused: %v", err)
	}
}

func TestConnectTimeOut(t *testing.T) {
	p := newPair(t, nil)
	told := 0
	g, _ := p.ends[guest].Connect(Addr{guestCID, 1}, Addr{Host, 2}, time.Second, func() { told++ })
	p.settle()
	p.clock.advance(time.Second - 1)
	if err := g.Err(); err != ErrNotYet || told != 0 {
		t.Fatalf("before the time: %v, told %d times", err, told)
	}
	p.clock.advance(1)
	if err := g.Err(); err != ErrTimeout || told != 1 {
		t.Fatalf("after the time: %v, told %d times", err, told)
	}
	p.settle() // the host hears of it, too
	if err := p.asked[host][0].Accept(); err != ErrReset {
		t.Errorf("Accept after that: %v", err)
	}
	p.wantConns(t, 0)
}

// TestConnectAfterTimeOut: whoever has not been answered in time may ask again from the same port. It is the same to him whether the
// peer is still away, or comes back and answers all that it finds.
func TestConnectAfterTimeOut(t *testing.T) {
	p := newPair(t, nil)
	connect := func() *Conn {
		t.Helper()
		g, err := p.ends[guest].Connect(Addr{guestCID, 1}, Addr{Host, 2}, time.Second, nil)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for i := range 3 { // the host takes nothing from the wire
		g := connect()
		for p.emit(guest, 100) {
		}
		p.clock.advance(time.Second)
		if err := g.Err(); err != ErrTimeout {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	g := connect()
	for p.emit(guest, 100) {
	}
	for p.deliver(guest) { // and answers each before it sees that it was given up
		if n := len(p.asked[host]); n > 0 && p.asked[host][n-1].Err() == ErrNotYet {
			p.asked[host][n-1].Accept()
			p.emit(host, 100)
		}
	}
	p.settle()
	if n := len(p.asked[host]); n != 4 || p.asked[host][n-1].Err() != nil || g.Err() != nil {
		t.Fatalf("%d requests; %v, %v", n, p.asked[host][n-1].Err(), g.Err())
	}
	mustWrite(t, g, "hello")
	p.settle()
	mustRead(t, p.asked[host][3], "hello")
	p.wantConns(t, 1)
}

// TestRequestAgain: a peer that gives up without a word, as Linux does, and asks again, is answered once, and what was begun for the
// first request ends.
func TestRequestAgain(t *testing.T) {
	l := &liar{pair: newPair(t, nil), t: t}
	l.says(Header{Op: packet.VsockRequest, BufAlloc: 7})
	l.says(Header{Op: packet.VsockRequest, BufAlloc: 9})
	first, second := l.asked[host][0], l.asked[host][1]
	if err := first.Err(); err != ErrReset {
		t.Errorf("the first: %v", err)
	}
	first.Refuse(DropNoListener)
	wantNone(t, l.ends[host])
	if err := second.Accept(); err != nil {
		t.Fatal(err)
	}
	if h, _ := next(t, l.ends[host]); h.Op != packet.VsockResponse {
		t.Errorf("the answer: %s", describe(&h))
	}
	if n, err := second.Space(); n != 9 || err != nil {
		t.Errorf("room for %d, %v", n, err)
	}
	if n := l.ends[host].Len(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestLateResponse(t *testing.T) {
	p := newPair(t, nil)
	g, _ := p.ends[guest].Connect(Addr{guestCID, 1}, Addr{Host, 2}, time.Second, nil)
	p.settle()
	if err := p.asked[host][0].Accept(); err != nil {
		t.Fatal(err)
	}
	p.emit(host, 100) // RESPONSE and RST pass each other
	p.clock.advance(time.Second)
	p.settle()
	if err := p.asked[host][0].Err(); err != ErrReset {
		t.Errorf("the host: %v", err)
	}
	if err := g.Err(); err != ErrTimeout {
		t.Errorf("the guest: %v", err)
	}
	p.wantConns(t, 0)
}

func TestHalfClose(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	mustWrite(t, g, "request")
	if err := g.Shutdown(ShutSend); err != nil {
		t.Fatal(err)
	}
	wantWrite(t, g, ErrShutdown)
	p.settle()
	mustRead(t, h, "request")
	wantRead(t, h, io.EOF)
	for range 5 { // more than a buffer
		mustWrite(t, h, strings.Repeat("y", 600))
		p.settle()
		mustRead(t, g, strings.Repeat("y", 600))
		p.settle()
	}
	h.Shutdown(ShutSend)
	p.settle()
	wantRead(t, g, io.EOF)
	p.wantConns(t, 1) // both are said, but each by one end: somebody closes
	h.Close()
	p.settle()
	p.wantConns(t, 0)
	if err := errors.Join(g.Err(), h.Err()); err != nil {
		t.Error(err)
	}
}

func TestReceiverStops(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	mustWrite(t, g, "unread")
	p.settle()
	mustWrite(t, g, strings.Repeat("x", 900))
	p.emit(guest, MaxData) // passes the SHUTDOWN
	h.Shutdown(ShutReceive)
	wantRead(t, h, io.EOF)
	mustWrite(t, g, "not sent")
	p.emit(host, MaxData)
	p.deliver(host)
	wantWrite(t, g, ErrShutdown)
	p.settle()
	if s := g.Status(); !s.Broken || s.Writable || s.Unsent != 0 {
		t.Errorf("%+v", s)
	}
	if n := p.ends[host].Counters().Discarded; n != 906 {
		t.Errorf("%d bytes discarded, want 906", n)
	}
	mustWrite(t, h, "the other direction lives")
	p.settle()
	mustRead(t, g, "the other direction lives")
}

// Closing sends what was written, and what has come can be read after the connection is gone.
func TestNothingIsLostByClose(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	mustWrite(t, g, strings.Repeat("a", 1000))
	g.Close()
	p.settle()
	p.wantConns(t, 0)
	if got, err := drain(h); len(got) != 1000 || err != io.EOF {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestCloseTimeOut(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	mustWrite(t, g, "last words")
	g.Close()
	p.clock.advance(time.Hour) // the time begins when the peer is asked
	p.emit(guest, MaxData)
	p.emit(guest, MaxData)
	p.wires[guest] = p.wires[guest][:1] // and is not told
	p.clock.advance(8*time.Second - 1)
	if n := p.ends[guest].Len(); n != 1 {
		t.Fatalf("%d connections", n)
	}
	p.clock.advance(1)
	p.settle()
	p.wantConns(t, 0)
	mustRead(t, h, "last words")
	wantRead(t, h, ErrReset)
}

func TestReset(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	mustWrite(t, g, "lost")
	g.Reset()
	wantRead(t, g, ErrAborted)
	wantWrite(t, g, ErrAborted)
	p.settle()
	wantRead(t, h, ErrReset)
	if err := h.Err(); err != ErrReset {
		t.Error(err)
	}
	p.wantConns(t, 0)
}

func TestSlowReader(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	sent, told := 0, 0
	g.Notify(func() { told++ })
	for {
		n, err := g.Write(make([]byte, 300))
		if err == ErrWait {
			break
		}
		sent += n
		p.settle()
	}
	if sent != 1000 {
		t.Fatalf("%d bytes for a buffer of 1000", sent)
	}
	told = 0
	p.settle()
	if p.watch.last.Op != packet.VsockCreditUpdate { // the answer to CREDIT_REQUEST
		t.Errorf("last was %s", describe(&p.watch.last))
	}
	wantWrite(t, g, ErrWait)
	wantNone(t, p.ends[guest]) // asking once is enough
	h.Read(make([]byte, 249))
	wantNone(t, p.ends[host]) // not worth a packet
	h.Read(make([]byte, 1))
	p.settle()
	if told == 0 {
		t.Error("nobody was told of credit")
	}
	if n, err := g.Space(); n != 250 || err != nil {
		t.Errorf("Space: %d, %v", n, err)
	}
	if n, err := g.Write(make([]byte, 300)); n != 250 || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
}

// Connections take turns, and one that nobody reads from stops no other.
func TestTurns(t *testing.T) {
	p := newPair(t, nil)
	a, _ := p.open(t, 1)
	b, hb := p.open(t, 2)
	mustWrite(t, a, strings.Repeat("a", 1000))
	mustWrite(t, b, strings.Repeat("b", 1000))
	for _, want := range []uint32{1, 2, 1, 2} {
		p.emit(guest, 100)
		if p.watch.last.To.Port != want {
			t.Errorf("to port %d, want %d", p.watch.last.To.Port, want)
		}
	}
	p.settle()
	for range 10 {
		drain(hb)
		p.settle()
		mustWrite(t, b, strings.Repeat("b", 1000))
		p.settle()
	}
}

func TestBufferResized(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	h.SetBufAlloc(3000)
	p.settle()
	mustWrite(t, g, strings.Repeat("x", 3000))
	h.SetBufAlloc(100) // while 3000 are on their way
	p.settle()
	wantWrite(t, g, ErrWait)
	if got, _ := drain(h); len(got) != 3000 {
		t.Fatalf("%d bytes", len(got))
	}
	p.settle()
	if n, err := g.Write(make([]byte, 300)); n != 100 || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
	p.settle()
	if got, _ := drain(h); len(got) != 100 {
		t.Errorf("%d bytes", len(got))
	}
}

// What was taken to be sent waits if the peer's buffer shrinks below it.
func TestCreditTakenBack(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	mustWrite(t, g, strings.Repeat("x", 1000))
	h.SetBufAlloc(100)
	p.emit(host, 0x1000)
	p.deliver(host)
	if !p.emit(guest, MaxData) || p.watch.last.Len != 100 {
		t.Fatal(describe(&p.watch.last))
	}
	g.Close()
	got := 0
	for range 20 {
		p.settle()
		b, err := drain(h)
		if got += len(b); err == io.EOF {
			break
		}
	}
	if got != 1000 {
		t.Errorf("%d bytes", got)
	}
	p.wantConns(t, 0)
}

// The counters of credit count modulo 2³².
func TestCountersWrap(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	const near = math.MaxUint32 - 1500
	g.send.sent, g.send.fwdCnt = near, near
	h.receive = receiveCredit{bufAlloc: 1000, fwdCnt: near, received: near, told: near + 1000, edge: near + 1000}
	p.watch.flow(g.Local(), g.Peer()).sent = near
	p.watch.flow(g.Peer(), g.Local()).allowed = near + 1000
	for range 10 {
		mustWrite(t, g, strings.Repeat("x", 700))
		p.settle()
		mustRead(t, h, strings.Repeat("x", 700))
		p.settle()
	}
	if g.send.sent > near {
		t.Error("it has not wrapped")
	}
}

func TestTransportReset(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	told := false
	g.Notify(func() { told = true })
	p.ends[guest].Connect(Addr{guestCID, 7}, Addr{Host, 7}, time.Second, nil)
	told = false
	p.ends[guest].Abort()
	if !told {
		t.Error("nobody was told")
	}
	wantRead(t, g, ErrTransport)
	wantWrite(t, g, ErrTransport)
	wantNone(t, p.ends[guest])
	if len(p.clock.timers) != 0 {
		t.Errorf("%d timers run", len(p.clock.timers))
	}
	p.wires = [2][][]byte{}
	p.ends[host].Abort()
	wantRead(t, h, ErrTransport)
	p.asked[host] = nil
	p.open(t, 80) // the same addresses again
}

func TestAddressInUse(t *testing.T) {
	p := newPair(t, nil)
	g, _ := p.open(t, 80)
	if _, err := p.ends[guest].Connect(g.Local(), g.Peer(), time.Second, nil); err != ErrInUse {
		t.Errorf("%v", err)
	}
}

func TestTooManyConnections(t *testing.T) {
	p := newPair(t, func(c *Config) { c.MaxConns = 3 })
	var all []*Conn
	for port := range uint32(3) {
		c, err := p.ends[guest].Connect(Addr{guestCID, port}, Addr{Host, 80}, time.Second, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if _, err := p.ends[guest].Connect(Addr{guestCID, 9}, Addr{Host, 80}, time.Second, nil); err != ErrTooMany {
		t.Errorf("Connect: %v", err)
	}
	p.settle()
	input(p.ends[host], packetOf(packet.VsockRequest, 9, 80))
	if h, _ := next(t, p.ends[host]); h.Op != packet.VsockReset || h.To.Port != 9 {
		t.Errorf("the fourth request: %s", describe(&h))
	}
	all[0].Close() // before it is established
	p.settle()
	if err := p.asked[host][0].Accept(); err != ErrReset {
		t.Errorf("Accept: %v", err)
	}
	if _, err := p.ends[guest].Connect(Addr{guestCID, 9}, Addr{Host, 80}, time.Second, nil); err != nil {
		t.Errorf("Connect after one has ended: %v", err)
	}
}

// Ready is called once for whatever there is, when somebody waits for it.
func TestReady(t *testing.T) {
	ready := 0
	e := New(Config{Addressed: func(_, _ uint32) bool { return true }, Ready: func() { ready++ }})
	for port := range uint32(3) {
		input(e, packetOf(packet.VsockRW, port, 80))
	}
	if ready != 1 {
		t.Errorf("called %d times", ready)
	}
	for range 3 {
		next(t, e)
	}
	input(e, packetOf(packet.VsockRW, 7, 80))
	if ready != 1 {
		t.Errorf("called %d times though Output was not at the end", ready)
	}
	next(t, e)
	wantNone(t, e)
	input(e, packetOf(packet.VsockRW, 7, 80))
	if ready != 2 {
		t.Errorf("called %d times", ready)
	}
}

func TestOutputNeedsRoom(t *testing.T) {
	p := newPair(t, nil)
	g, _ := p.open(t, 80)
	mustWrite(t, g, "hello")
	if _, err := p.ends[guest].Output(make([]byte, 40), make([]byte, 4)); !errors.Is(err, ErrSmall) {
		t.Errorf("%v", err)
	}
	if !p.emit(guest, 1) || p.watch.last.Len != 1 {
		t.Error(describe(&p.watch.last))
	}
}

func TestAddrString(t *testing.T) {
	for _, c := range []struct {
		a    Addr
		want string
	}{
		{Addr{Host, 1024}, "host(2):1024"}, {Addr{3, 0}, "guest(3):0"}, {Addr{Local, 1}, "local(1):1"},
		{Addr{Hypervisor, 1}, "hypervisor(0):1"}, {Addr{Any, AnyPort}, "any(4294967295):any"},
	} {
		if got := c.a.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
