package vsock

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"wick/packet"
)

// sim is a guest and a host that do what a script says, in any order, with packets on their way. Each stream carries
// bytes that tell where they belong.
type sim struct {
	*pair
	t       testing.TB
	script  []byte
	streams []*stream
}

// stream is a connection and what is known of it.
type stream struct {
	id      int
	conns   [2]*Conn
	written [2]int // bytes that an end has written
	read    [2]int // bytes that an end has read
	writing [2]bool
	reading [2]bool
	broken  bool // an end was reset
}

func (s *sim) byte() int {
	if len(s.script) == 0 {
		return 0
	}
	b := s.script[0]
	s.script = s.script[1:]
	return int(b)
}

// content is the byte at an offset of what an end of a stream sends.
func (st *stream) content(end, offset int) byte {
	return byte(offset*7 + offset>>8 + st.id*31 + end*101)
}

func runSim(t testing.TB, script []byte) {
	s := &sim{t: t, script: script}
	s.pair = newPair(t, func(c *Config) { c.MaxConns = 20; c.BufAlloc = 700 })
	for len(s.script) > 0 {
		s.step()
		for _, e := range s.ends {
			checkInvariants(t, e)
		}
	}
	s.finish()
}

func (s *sim) step() {
	op, i := s.byte(), 0
	if op&0x80 != 0 {
		i = 1
	}
	switch op & 15 {
	case 0, 1:
		s.emit(i, 1+s.byte()*5)
	case 2, 3, 4:
		s.deliver(i)
		s.answer()
	case 5:
		s.open(i)
	case 6, 7:
		s.write(i)
	case 8, 9:
		s.read(i, s.byte()*4)
	case 10:
		if st := s.pick(i); st != nil {
			st.conns[i].SetBufAlloc(uint32(1 + s.byte()*4))
		}
	case 11:
		s.shutdown(i, uint32(s.byte()&3))
	case 12:
		if st := s.pick(i); st != nil && s.byte()&3 == 0 {
			st.conns[i].Close()
			st.writing[i], st.reading[i] = false, false
		}
	case 13:
		if st := s.pick(i); st != nil && s.byte()&7 == 0 {
			st.conns[i].Reset()
			st.broken = true
		}
	case 14:
		s.clock.advance(time.Duration(s.byte()) * time.Millisecond)
	}
}

// pick chooses a stream that an end knows.
func (s *sim) pick(i int) *stream {
	if len(s.streams) == 0 {
		return nil
	}
	st := s.streams[s.byte()%len(s.streams)]
	if st.conns[i] == nil {
		return nil
	}
	return st
}

// open asks for a connection; the port tells the other end which it is.
func (s *sim) open(i int) {
	id := len(s.streams)
	c, err := s.ends[i].Connect(Addr{cids[i], uint32(id)}, Addr{cids[1-i], 1}, time.Hour, nil)
	if err != nil {
		if err != ErrTooMany {
			s.t.Fatal(err)
		}
		return
	}
	st := &stream{id: id, writing: [2]bool{true, true}, reading: [2]bool{true, true}}
	st.conns[i] = c
	s.streams = append(s.streams, st)
}

// answer accepts, or sometimes refuses, what was asked for.
func (s *sim) answer() {
	for i := range s.asked {
		for _, c := range s.asked[i] {
			st := s.streams[c.Peer().Port]
			if st.conns[i] = c; s.byte()%8 == 7 {
				c.Refuse(DropNoListener)
				st.broken = true
			} else {
				c.Accept()
			}
		}
		s.asked[i] = nil
	}
}

func (s *sim) write(i int) {
	st := s.pick(i)
	if st == nil {
		return
	}
	b := make([]byte, s.byte()*3)
	for j := range b {
		b[j] = st.content(i, st.written[i]+j)
	}
	n, _ := st.conns[i].Write(b)
	st.written[i] += n
}

func (s *sim) read(i, size int) {
	if st := s.pick(i); st != nil {
		s.readStream(st, i, size)
	}
}

func (s *sim) readStream(st *stream, i, size int) error {
	b := make([]byte, size)
	n, err := st.conns[i].Peek(b, 0)
	st.conns[i].Discard(n)
	for j, got := range b[:n] {
		if want := st.content(1-i, st.read[i]+j); got != want {
			s.t.Fatalf("stream %d, end %d, byte %d: %d, want %d", st.id, i, st.read[i]+j, got, want)
		}
	}
	st.read[i] += n
	return err
}

func (s *sim) shutdown(i int, flags uint32) {
	st := s.pick(i)
	if st == nil {
		return
	}
	if st.conns[i].Shutdown(flags) == nil {
		st.writing[i] = st.writing[i] && flags&ShutSend == 0
		st.reading[i] = st.reading[i] && flags&ShutReceive == 0
	}
}

// finish closes all that is open and sees that nothing was lost.
func (s *sim) finish() {
	for again := true; again; {
		again = s.settle()
		s.answer()
		for _, st := range s.streams {
			for i, c := range st.conns {
				if c != nil && st.reading[i] {
					s.readStream(st, i, 4096)
				}
			}
		}
	}
	for _, st := range s.streams {
		for i, c := range st.conns {
			if c == nil {
				continue
			}
			if err := c.Err(); errors.Is(err, ErrProtocol) {
				s.t.Fatalf("stream %d, end %d: %v", st.id, i, err)
			}
			if !st.broken && st.reading[i] && st.conns[1-i] != nil && st.read[i] != st.written[1-i] {
				s.t.Fatalf("stream %d, end %d: read %d of %d bytes", st.id, i, st.read[i], st.written[1-i])
			}
			c.Close()
		}
	}
	s.settle()
	s.clock.advance(time.Hour)
	s.settle()
	for i, e := range s.ends {
		checkInvariants(s.t, e)
		if e.Len() != 0 {
			s.t.Fatalf("%d connections are left at end %d", e.Len(), i)
		}
	}
	if n := len(s.clock.timers); n != 0 {
		s.t.Fatalf("%d timers run", n)
	}
}

// checkInvariants looks into an endpoint.
func checkInvariants(t testing.TB, e *Endpoint) {
	listed := 0
	for c := e.first; c != nil; c = c.next {
		if listed++; !c.queued {
			t.Fatal("in the list and not queued")
		}
		if c.next == nil && e.last != c {
			t.Fatal("the list does not end where it ends")
		}
	}
	if n := len(e.resets); n > maxResets+e.cfg.MaxConns {
		t.Fatalf("%d answers wait", n)
	}
	if len(e.conns) > e.cfg.MaxConns {
		t.Fatalf("%d connections", len(e.conns))
	}
	for k, c := range e.conns {
		switch r := c.receive; {
		case c.key != k || c.state == closed:
			t.Fatalf("%v is there in state %d", k, c.state)
		case c.input.len() != int(r.received-r.fwdCnt):
			t.Fatalf("%d bytes in the buffer, received %d, fwd_cnt %d", c.input.len(), r.received, r.fwdCnt)
		case r.window() > maxBufAlloc:
			t.Fatalf("window %d", r.window())
		case c.output.len() > maxOutput:
			t.Fatalf("%d bytes wait to be sent", c.output.len())
		case c.hasPacketLocked() && !c.queued:
			t.Fatal("has something to send and no turn")
		case c.queued:
			listed--
		}
	}
	if listed < 0 {
		t.Fatal("queued and not in the list")
	}
}

func TestSimulation(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 40
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, 3000)
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		runSim(t, script)
	}
}

func FuzzPair(f *testing.F) {
	f.Add([]byte{5, 0, 0, 2, 0, 0x80, 0, 0x82, 6, 0, 100, 0, 0, 2, 0x88, 0, 100, 12, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) < 1<<14 {
			runSim(t, script)
		}
	})
}

// FuzzLies has a guest say anything to a host that goes on as if nothing was.
func FuzzLies(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 5, 200, 0, 0, 0, 4, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		p := newPair(t, func(c *Config) { c.MaxConns = 8 })
		s := &sim{pair: p, t: t, script: script}
		var all []*Conn
		data := make([]byte, 2048)
		for len(s.script) > 0 && len(script) < 1<<14 {
			h := Header{
				From: Addr{guestCID, uint32(s.byte() & 3)}, To: Addr{Host, uint32(s.byte() & 1)},
				Type: packet.VsockStream, Op: s.byte() % 9, Flags: uint32(s.byte()),
			}
			lie := s.byte()
			h.Len, h.FwdCnt, h.BufAlloc = uint32(lie*8), uint32(s.byte()*16), uint32(s.byte()*64)
			if lie == 255 {
				h.Len, h.FwdCnt, h.Type = 1<<32-1, h.FwdCnt<<20, s.byte()&3
			}
			p.ends[host].Input(&h, data)
			for _, c := range p.asked[host] {
				if c.Accept() == nil {
					all = append(all, c)
				}
			}
			p.asked[host] = nil
			if len(all) > 0 {
				c, what := all[s.byte()%len(all)], s.byte()
				liveOn(c, what, data)
			}
			if s.byte()&1 == 0 {
				p.ends[host].Output(data)
			}
			checkInvariants(t, p.ends[host])
		}
		for _, c := range all {
			if _, err := drain(c); err == nil {
				t.Fatal("no end")
			}
			c.Close()
		}
	})
}

// liveOn does something with a connection.
func liveOn(c *Conn, what int, data []byte) {
	switch what & 7 {
	case 0:
		c.Read(data[:what])
	case 1:
		c.Write(data[:what])
	case 2:
		c.Shutdown(uint32(what >> 3))
	case 3:
		c.SetBufAlloc(uint32(what))
	case 4:
		c.Close()
	case 5:
		c.Status()
	case 6:
		c.Reset()
	}
}

// TestEndOfBoth: both ends close at the same time with data on the way.
func TestEndOfBoth(t *testing.T) {
	p := newPair(t, nil)
	g, h := p.open(t, 80)
	mustWrite(t, g, "a")
	mustWrite(t, h, "b")
	g.Shutdown(ShutSend)
	h.Shutdown(ShutSend)
	for i := range p.ends {
		for p.emit(i, MaxData) {
		}
	}
	p.settle()
	mustRead(t, g, "b")
	mustRead(t, h, "a")
	wantRead(t, g, io.EOF)
	wantRead(t, h, io.EOF)
	g.Close()
	h.Close()
	p.settle()
	p.wantConns(t, 0)
}
