package vsock

import (
	"errors"
	"io"
	"strings"
	"testing"

	"wick/packet"
)

// packetOf returns a packet of the guest for the host, with generous credit.
func packetOf(op int, from, to uint32) []byte {
	h := Header{From: Addr{guestCID, from}, To: Addr{Host, to}, Type: packet.VsockStream, Op: op, BufAlloc: 1 << 20}
	return h.Append(nil)
}

// liar is a guest that says what it likes to a host.
type liar struct {
	*pair
	t    *testing.T
	conn *Conn
}

// newLiar returns one that has a connection from port 7 to port 80, with 1000 bytes of credit.
func newLiar(t *testing.T) *liar {
	l := &liar{pair: newPair(t, nil), t: t}
	l.says(Header{Op: packet.VsockRequest})
	l.conn = l.asked[host][0]
	if err := l.conn.Accept(); err != nil {
		t.Fatal(err)
	}
	if h, _ := next(t, l.ends[host]); h.Op != packet.VsockResponse {
		t.Fatal(describe(&h))
	}
	return l
}

func (l *liar) says(h Header, data ...string) {
	all := strings.Join(data, "")
	h.From, h.To = Addr{guestCID, 7}, Addr{Host, 80}
	if h.Type == 0 {
		h.Type = packet.VsockStream
	}
	if h.BufAlloc == 0 {
		h.BufAlloc = 1000
	}
	if h.Len == 0 {
		h.Len = uint32(len(all))
	}
	l.ends[host].Input(&h, []byte(all))
}

func TestViolations(t *testing.T) {
	for _, c := range []struct {
		name, want string
		lie        func(l *liar)
	}{
		{"more than there is credit for", "1 bytes with credit for 0", func(l *liar) {
			l.says(Header{Op: packet.VsockRW}, strings.Repeat("x", 1000))
			l.says(Header{Op: packet.VsockRW}, "x")
		}},
		{"more at once", "1001 bytes with credit for 1000", func(l *liar) {
			l.says(Header{Op: packet.VsockRW}, strings.Repeat("x", 1001))
		}},
		{"credit that was read but not told", "251 bytes with credit for 0", func(l *liar) {
			l.says(Header{Op: packet.VsockRW}, strings.Repeat("x", 1000))
			l.conn.Read(make([]byte, 251))
			l.says(Header{Op: packet.VsockRW}, strings.Repeat("x", 251))
		}},
		{"fwd_cnt of nothing sent", "fwd_cnt 1 of 0 bytes sent, 0 before", func(l *liar) {
			l.says(Header{Op: packet.VsockCreditUpdate, FwdCnt: 1})
		}},
		{"fwd_cnt from the future", "fwd_cnt 6 of 5 bytes sent, 0 before", func(l *liar) {
			l.conn.Write([]byte("hello"))
			next(l.t, l.ends[host])
			l.says(Header{Op: packet.VsockCreditUpdate, FwdCnt: 6})
		}},
		{"data after shutdown", "3 bytes after SHUTDOWN", func(l *liar) {
			l.says(Header{Op: packet.VsockShutdown, Flags: ShutSend})
			l.says(Header{Op: packet.VsockRW}, "abc")
		}},
		{"data that is not there", "len 100 with 3 bytes", func(l *liar) {
			l.says(Header{Op: packet.VsockRW, Len: 100}, "abc")
		}},
		{"all the data in the world", "len 4294967295 with 3 bytes", func(l *liar) {
			l.says(Header{Op: packet.VsockRW, Len: 1<<32 - 1}, "abc")
		}},
		{"a second request", "REQUEST on a connection that exists", func(l *liar) {
			l.says(Header{Op: packet.VsockRequest})
		}},
		{"a response", "RESPONSE that nobody waits for", func(l *liar) {
			l.says(Header{Op: packet.VsockResponse})
		}},
		{"no op", "op 0", func(l *liar) { l.says(Header{}) }},
		{"unknown op", "op 8", func(l *liar) { l.says(Header{Op: 8}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLiar(t)
			c.lie(l)
			err := l.conn.Err()
			if !errors.Is(err, ErrProtocol) || !strings.HasSuffix(err.Error(), ": "+c.want) {
				t.Fatalf("%v, want %s", err, c.want)
			}
			wantWrite(t, l.conn, ErrProtocol)
			h, _ := next(t, l.ends[host])
			if h.Op != packet.VsockReset || h.From.Port != 80 || h.To.Port != 7 || h.Type != packet.VsockStream {
				t.Errorf("the answer: %s", describe(&h))
			}
			wantNone(t, l.ends[host])
			if n := l.ends[host].Counters().Violations; n != 1 || l.ends[host].Len() != 0 {
				t.Errorf("%d violations, %d connections", n, l.ends[host].Len())
			}
			l.says(Header{Op: packet.VsockRequest}) // life goes on
			if err := l.asked[host][1].Accept(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a peer does before it has an answer.
func TestImpatience(t *testing.T) {
	for _, c := range []struct {
		name string
		h    Header
		data string
		want error
	}{
		{"data", Header{Op: packet.VsockRW}, "x", ErrProtocol},
		{"request, as Linux does that has given up", Header{Op: packet.VsockRequest}, "", ErrReset},
		{"gives up", Header{Op: packet.VsockShutdown, Flags: ShutBoth}, "", ErrReset},
		{"reset", Header{Op: packet.VsockReset}, "", ErrReset},
		{"credit request", Header{Op: packet.VsockCreditRequest}, "", ErrNotYet},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &liar{pair: newPair(t, nil), t: t}
			l.says(Header{Op: packet.VsockRequest})
			l.says(c.h, c.data)
			if err := l.asked[host][0].Err(); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
			err := l.asked[host][0].Accept()
			if (err == nil) != (c.want == ErrNotYet) {
				t.Errorf("Accept: %v", err)
			}
		})
	}
}

// What a peer does that we have asked and that has not answered.
func TestWrongAnswer(t *testing.T) {
	for _, op := range []int{packet.VsockShutdown, packet.VsockRW, packet.VsockRequest, 99} {
		p := newPair(t, nil)
		c, err := p.ends[host].Connect(Addr{Host, 80}, Addr{guestCID, 7}, 1e9, nil)
		if err != nil {
			t.Fatal(err)
		}
		next(t, p.ends[host])
		input(p.ends[host], packetOf(op, 7, 80))
		if err := c.Err(); !errors.Is(err, ErrProtocol) {
			t.Errorf("op %d: %v", op, err)
		}
		if h, _ := next(t, p.ends[host]); h.Op != packet.VsockReset {
			t.Errorf("op %d: %s", op, describe(&h))
		}
		if len(p.clock.timers) != 0 {
			t.Errorf("%d timers run", len(p.clock.timers))
		}
	}
}

func TestStrangersAreReset(t *testing.T) {
	p := newPair(t, nil)
	for op := range 10 {
		if op == packet.VsockReset || op == packet.VsockRequest {
			continue
		}
		input(p.ends[host], packetOf(op, 7, 80))
		h, _ := next(t, p.ends[host])
		if h.Op != packet.VsockReset || h.From != (Addr{Host, 80}) || h.To != (Addr{guestCID, 7}) || h.BufAlloc|h.FwdCnt|h.Flags|h.Len != 0 {
			t.Errorf("op %d: %s", op, describe(&h))
		}
	}
	input(p.ends[host], packetOf(packet.VsockReset, 7, 80)) // else two strangers would never stop
	wantNone(t, p.ends[host])
}

// A type that we don't have is refused in its own words, and no connection suffers.
func TestUnknownTypeIsReset(t *testing.T) {
	l := newLiar(t)
	for _, op := range []int{packet.VsockRequest, packet.VsockRW} {
		l.says(Header{Op: op, Type: packet.VsockSeqPacket})
		if h, _ := next(t, l.ends[host]); h.Op != packet.VsockReset || h.Type != packet.VsockSeqPacket {
			t.Errorf("op %d: %s", op, describe(&h))
		}
	}
	if err := l.conn.Err(); err != nil {
		t.Error(err)
	}
}

func TestWrongAddressesAreDropped(t *testing.T) {
	l := newLiar(t)
	for _, c := range []struct{ from, to uint32 }{{guestCID, 3}, {3, Host}, {Host, Host}, {Host, guestCID}, {guestCID, Any}} {
		l.ends[host].Input(&Header{From: Addr{c.from, 7}, To: Addr{c.to, 80}, Type: packet.VsockStream, Op: packet.VsockReset})
	}
	if n := l.ends[host].Counters().WrongAddress; n != 5 {
		t.Errorf("%d counted", n)
	}
	if err := l.conn.Err(); err != nil {
		t.Error(err)
	}
	wantNone(t, l.ends[host])
}

// Answers to a flood are bounded: whoever takes packets can stop, and if he does not, some get none.
func TestFloodOfStrangers(t *testing.T) {
	p := newPair(t, nil)
	taken := 0
	for port := uint32(0); !p.ends[host].Congested(); port++ {
		input(p.ends[host], packetOf(packet.VsockRW, port, 80))
		taken++
	}
	if taken != maxResets {
		t.Errorf("congested after %d packets", taken)
	}
	for port := range uint32(100) {
		input(p.ends[host], packetOf(packet.VsockRW, port, 80))
	}
	if n := p.ends[host].Counters().Unanswered; n != 100 {
		t.Errorf("%d unanswered", n)
	}
	next(t, p.ends[host])
	if p.ends[host].Congested() {
		t.Error("congested after one has gone")
	}
}

// Whoever asks for connections and ends them without taking the answers gets no more than the others.
func TestFloodOfRequests(t *testing.T) {
	p := newPair(t, func(c *Config) { c.MaxConns = 10 })
	for port := range uint32(10000) {
		input(p.ends[host], packetOf(packet.VsockRequest, port, 80))
		for _, c := range p.asked[host] {
			c.Refuse(DropNoListener)
		}
		p.asked[host] = nil
	}
	if n := len(p.ends[host].resets); n > maxResets+10 {
		t.Errorf("%d answers wait", n)
	}
}

// An older fwd_cnt than the last is no news and no lie: a peer's threads may overtake each other.
func TestOvertakenCredit(t *testing.T) {
	l := newLiar(t)
	mustWrite(t, l.conn, strings.Repeat("x", 1000))
	next(t, l.ends[host])
	l.says(Header{Op: packet.VsockCreditUpdate, FwdCnt: 600})
	l.says(Header{Op: packet.VsockCreditUpdate, FwdCnt: 400})
	if n, err := l.conn.Space(); n != 600 || err != nil {
		t.Errorf("Space: %d, %v", n, err)
	}
}

// Data may come in a buffer that is longer; what is behind it is not data.
func TestLongBuffer(t *testing.T) {
	l := newLiar(t)
	l.says(Header{Op: packet.VsockRW, Len: 3}, "abcdef")
	mustRead(t, l.conn, "abc")
}

// Each byte is counted though the peer sends them one by one, and they take no more memory than together.
func TestManySmallPackets(t *testing.T) {
	l := newLiar(t)
	for range 1000 {
		l.says(Header{Op: packet.VsockRW}, "x")
	}
	if n := len(l.conn.input.list); n != 1 {
		t.Errorf("%d segments for 1000 bytes", n)
	}
	l.says(Header{Op: packet.VsockRW}, "x")
	if err := l.conn.Err(); !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
	if got, err := drain(l.conn); len(got) != 1000 || !errors.Is(err, ErrProtocol) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A peer that ends both directions and then says more hears only that there is no connection.
func TestAfterTheEnd(t *testing.T) {
	l := newLiar(t)
	l.says(Header{Op: packet.VsockShutdown, Flags: ShutReceive})
	l.says(Header{Op: packet.VsockShutdown, Flags: ShutSend})
	for range 2 {
		if h, _ := next(t, l.ends[host]); h.Op != packet.VsockReset {
			t.Error(describe(&h))
		}
		l.says(Header{Op: packet.VsockRW}, "x")
	}
	wantRead(t, l.conn, io.EOF)
	if err := l.conn.Err(); err != nil {
		t.Error(err)
	}
}

// TestDropsAreExplained: Input says why it drops a packet, and says nothing of others.
func TestDropsAreExplained(t *testing.T) {
	request := func(e *Endpoint, port uint32) string {
		h := Header{From: Addr{guestCID, 9}, To: Addr{Host, port}, Type: packet.VsockStream, Op: packet.VsockRequest, BufAlloc: 1 << 20}
		return e.Input(&h)
	}
	l := newLiar(t)
	host := l.ends[host]
	says := func(h Header, data string) string {
		h.From, h.To, h.BufAlloc, h.Len = Addr{guestCID, 7}, Addr{Host, 80}, 1000, uint32(len(data))
		if h.Type == 0 {
			h.Type = packet.VsockStream
		}
		return host.Input(&h, []byte(data))
	}
	refusing := newPair(t, func(c *Config) { c.Request = func(c *Conn) { c.Refuse(DropNoListener) } }).ends[1]
	slow := newPair(t, func(c *Config) { c.Request = func(c *Conn) { c.Refuse(DropBacklogFull) } }).ends[1]
	full := newPair(t, func(c *Config) { c.MaxConns = 1 }).ends[1]
	request(full, 80)
	poor := newPair(t, func(c *Config) { c.Memory = 1 }).ends[1]
	deaf := newPair(t, func(c *Config) { c.Request = nil }).ends[1]
	for _, c := range []struct {
		name, want string
		input      func() string
	}{
		{"data", "", func() string { return says(Header{Op: packet.VsockRW}, "x") }},
		{"another request", "", func() string { return request(host, 81) }},
		{"a type that isn't ours", DropNoConnection, func() string { return says(Header{Op: packet.VsockRW, Type: 9}, "x") }},
		{"a stranger", DropNoConnection, func() string { h, _ := ParseHeader(packetOf(packet.VsockRW, 1, 2)); return host.Input(&h) }},
		{"a stranger's RST", DropNoConnection, func() string { h, _ := ParseHeader(packetOf(packet.VsockReset, 1, 2)); return host.Input(&h) }},
		{"an address of others", DropWrongAddress, func() string {
			h := Header{From: Addr{99, 7}, To: Addr{Host, 80}, Type: packet.VsockStream, Op: packet.VsockRequest}
			return host.Input(&h)
		}},
		{"nobody listens", DropNoListener, func() string { return request(refusing, 80) }},
		{"a full backlog", DropBacklogFull, func() string { return request(slow, 80) }},
		{"too many", DropTooMany, func() string { return request(full, 81) }},
		{"no memory", DropNoMemory, func() string { return request(poor, 80) }},
		{"nobody at all", DropNoListener, func() string { return request(deaf, 80) }},
		{"data that nobody will read", DropShut, func() string {
			if err := l.conn.Shutdown(ShutReceive); err != nil {
				t.Fatal(err)
			}
			return says(Header{Op: packet.VsockRW}, "x")
		}},
		{"a violation", DropViolation, func() string { return says(Header{Op: packet.VsockRequest}, "") }},
	} {
		if got := c.input(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
