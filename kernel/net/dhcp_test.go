package net

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"wick/packet"
)

var (
	clientMAC = [6]byte{2, 0, 0, 0, 0, 1}
	serverMAC = [6]byte{2, 0, 0, 0, 0, 9}
)

// fakeServer answers a client on a virtual clock.
type fakeServer struct {
	t       *testing.T
	now     time.Time
	c       *dhcpClient
	address netip.Addr
	lease   uint32 // seconds
	extra   []byte // options
	silent  bool
	nak     bool
	sent    []clientMessage
	leases  []string // what configure was told
}

// clientMessage is what a client has sent, as a server reads it.
type clientMessage struct {
	at        time.Duration // since the start
	kind      byte
	xid       uint32
	ciaddr    netip.Addr
	broadcast bool
	options   map[byte][]byte
	unicast   bool // to the server
}

func newFakeServer(t *testing.T) *fakeServer {
	s := &fakeServer{t: t, now: time.Unix(1e9, 0), address: addr4(10, 0, 2, 15), lease: 86400}
	random := uint32(1)
	s.c = &dhcpClient{mac: clientMAC, hostname: "guest", random: func() uint32 { random += 0x01000193; return random }}
	s.c.send = func(f []byte) { s.receive(append([]byte(nil), f...)) }
	s.c.configure = func(l *dhcpLease) {
		what := "none"
		if l != nil {
			what = l.address.String() + " via " + l.router.String()
			for _, d := range l.dns {
				what += " dns " + d.String()
			}
		}
		s.leases = append(s.leases, what)
	}
	return s
}

// receive checks what the client sends.
func (s *fakeServer) receive(f []byte) {
	t := s.t
	t.Helper()
	if len(f) < etherLen+ipv4Len+udpLen+dhcpMinimum || foldSum(internetSum(0, f[14:34])) != 0 || !dhcpSumOK(f[14:]) {
		t.Fatalf("broken frame %x", f)
	}
	m := f[etherLen+ipv4Len+udpLen:]
	if m[0] != 1 || binary.BigEndian.Uint16(f[34:]) != 68 || binary.BigEndian.Uint16(f[36:]) != 67 || string(m[28:34]) != string(clientMAC[:]) {
		t.Fatalf("not a client's message: %x", f)
	}
	c := clientMessage{at: s.now.Sub(time.Unix(1e9, 0)), xid: binary.BigEndian.Uint32(m[4:]), ciaddr: netip.AddrFrom4([4]byte(m[12:])),
		broadcast: m[10]&0x80 != 0, options: make(map[byte][]byte), unicast: f[0] != 0xff}
	for o := m[240:]; o[0] != dhcpOptEnd; o = o[2+o[1]:] {
		c.options[o[0]] = o[2 : 2+o[1]]
	}
	c.kind = c.options[dhcpOptMessageType][0]
	s.sent = append(s.sent, c)
}

// reply is a server's message.
func (s *fakeServer) reply(kind byte, xid uint32) []byte {
	m := make([]byte, dhcpOptions)
	m[0], m[1], m[2] = 2, 1, 6
	binary.BigEndian.PutUint32(m[4:], xid)
	a := s.address.As4()
	copy(m[16:], a[:])
	copy(m[28:], clientMAC[:])
	binary.BigEndian.PutUint32(m[236:], dhcpMagic)
	m = append(m, dhcpOptMessageType, 1, kind, dhcpOptServerID, 4, 10, 0, 2, 2)
	if kind != dhcpNak {
		m = append(m, dhcpOptSubnetMask, 4, 255, 255, 255, 0, dhcpOptRouter, 4, 10, 0, 2, 2, dhcpOptDNS, 4, 10, 0, 2, 3)
		m = binary.BigEndian.AppendUint32(append(m, dhcpOptLeaseTime, 4), s.lease)
		m = append(m, s.extra...)
	}
	m = append(m, dhcpOptEnd)
	return appendUDPFrame(nil, serverMAC, clientMAC, addr4(10, 0, 2, 2), s.address, 67, 68, m)
}

// deliver hands the client a frame.
func (s *fakeServer) deliver(f []byte) {
	if m, ok := parseDHCP(f, packet.ChecksumUnknown); ok {
		s.c.handle(s.now, &m)
	}
}

// answer answers what the client has sent since n messages.
func (s *fakeServer) answer(n int) {
	for ; n < len(s.sent); n++ {
		switch m := s.sent[n]; {
		case s.silent:
		case m.kind == dhcpDiscover:
			s.deliver(s.reply(dhcpOffer, m.xid))
		case s.nak:
			s.deliver(s.reply(dhcpNak, m.xid))
		default:
			s.deliver(s.reply(dhcpAck, m.xid))
		}
	}
}

// run lets d pass.
func (s *fakeServer) run(d time.Duration) {
	end := s.now.Add(d)
	for !s.c.next.IsZero() && !s.c.next.After(end) {
		n := len(s.sent)
		s.now = s.c.next
		s.c.tick(s.now)
		s.answer(n)
	}
	s.now = end
}

func (s *fakeServer) start() {
	s.c.start(s.now)
	s.answer(0)
}

func (s *fakeServer) kinds() (out []byte) {
	for _, m := range s.sent {
		out = append(out, m.kind)
	}
	return out
}

func TestDHCPGetsALease(t *testing.T) {
	s := newFakeServer(t)
	s.start()
	if string(s.kinds()) != "\x01\x03" {
		t.Fatalf("sent %v", s.kinds())
	}
	equal(t, "leases", s.leases, []string{"10.0.2.15/24 via 10.0.2.2 dns 10.0.2.3"})
	d, r := s.sent[0], s.sent[1]
	if !d.broadcast || d.unicast || string(d.options[dhcpOptHostname]) != "guest" || len(d.options[dhcpOptParameters]) == 0 {
		t.Errorf("discover: %+v", d)
	}
	if r.xid != d.xid || string(r.options[dhcpOptRequestedIP]) != "\x0a\x00\x02\x0f" || string(r.options[dhcpOptServerID]) != "\x0a\x00\x02\x02" {
		t.Errorf("request: %+v", r)
	}
	if want := s.now.Add(12 * time.Hour); s.c.next != want {
		t.Errorf("renewal at %v, want %v", s.c.next, want)
	}
}

func TestDHCPRepeatsUntilAnswered(t *testing.T) {
	s := newFakeServer(t)
	s.silent = true
	s.start()
	s.run(5 * time.Minute)
	for i := 1; i < len(s.sent); i++ {
		gap, least := s.sent[i].at-s.sent[i-1].at, min(time.Second<<(i-1), 64*time.Second)
		if s.sent[i].kind != dhcpDiscover || gap < least || gap > least*5/4 {
			t.Errorf("repetition %d after %v, want about %v", i, gap, least)
		}
	}
	if len(s.sent) < 8 {
		t.Errorf("only %d messages", len(s.sent))
	}
	s.silent = false
	s.run(2 * time.Minute)
	if len(s.leases) != 1 {
		t.Errorf("leases %q", s.leases)
	}
}

func TestDHCPRenews(t *testing.T) {
	s := newFakeServer(t)
	s.lease = 3600
	s.start()
	s.run(30*time.Minute + time.Second)
	r := s.sent[len(s.sent)-1]
	if r.kind != dhcpRequest || r.at != 30*time.Minute || r.ciaddr != s.address || !r.unicast || r.broadcast ||
		r.options[dhcpOptServerID] != nil || r.options[dhcpOptRequestedIP] != nil {
		t.Errorf("renewal: %+v", r)
	}
	if len(s.leases) != 2 || s.leases[1] != s.leases[0] {
		t.Errorf("leases %q", s.leases)
	}
}

func TestDHCPRebindsAndLosesTheLease(t *testing.T) {
	s := newFakeServer(t)
	s.lease = 3600
	s.start()
	s.silent = true
	s.run(3600*time.Second + time.Millisecond)
	t2 := 3600 * time.Second / 8 * 7
	renewals, rebindings := 0, 0
	for _, m := range s.sent[2:] {
		switch {
		case m.kind == dhcpRequest && m.unicast && m.at < t2:
			renewals++
		case m.kind == dhcpRequest && !m.unicast && m.at >= t2 && m.ciaddr == s.address:
			rebindings++
		case m.kind == dhcpDiscover && m.at == time.Hour:
			if string(m.options[dhcpOptRequestedIP]) != "\x0a\x00\x02\x0f" {
				t.Error("doesn't ask for the address that it had")
			}
		default:
			t.Errorf("unexpected %+v", m)
		}
	}
	if renewals < 2 || rebindings < 2 {
		t.Errorf("%d renewals, %d rebindings", renewals, rebindings)
	}
	equal(t, "leases", s.leases, []string{"10.0.2.15/24 via 10.0.2.2 dns 10.0.2.3", "none"})
	s.silent = false
	s.run(time.Minute)
	if len(s.leases) != 3 {
		t.Error("no new lease")
	}
}

func TestDHCPRefused(t *testing.T) {
	s := newFakeServer(t)
	s.nak = true
	s.c.start(s.now)
	s.answer(0)
	for range 3 { // each refusal begins anew
		s.run(2 * time.Minute)
	}
	if len(s.leases) != 0 {
		t.Errorf("leases %q", s.leases)
	}
	s.nak = false
	s.run(2 * time.Minute)
	if len(s.leases) != 1 {
		t.Errorf("leases %q, state %v", s.leases, s.c.state)
	}
	s.nak = true
	s.run(13 * time.Hour) // the renewal is refused
	if len(s.leases) < 2 || s.leases[1] != "none" {
		t.Errorf("leases %q", s.leases)
	}
}

func TestDHCPIgnoresOthers(t *testing.T) {
	s := newFakeServer(t)
	s.silent = true
	s.start()
	xid := s.sent[0].xid
	for name, spoil := range map[string]func(f []byte) []byte{
		"another transaction":   func(f []byte) []byte { return s.reply(dhcpOffer, xid+1) },
		"an unasked ack":        func(f []byte) []byte { return s.reply(dhcpAck, xid) },
		"cut short":             func(f []byte) []byte { return f[:len(f)-3] },
		"a fragment":            func(f []byte) []byte { f[20] = 0x20; return f },
		"a bad checksum":        func(f []byte) []byte { f[len(f)-2]++; return f },
		"another machine":       func(f []byte) []byte { return refresh(f, 28) },
		"a request":             func(f []byte) []byte { return refresh(f, 0) },
		"another magic":         func(f []byte) []byte { return refresh(f, 236) },
		"a multicast address":   func(f []byte) []byte { s.address = addr4(224, 0, 0, 1); return s.reply(dhcpOffer, xid) },
		"no address":            func(f []byte) []byte { s.address = addr4(0, 0, 0, 0); return s.reply(dhcpOffer, xid) },
		"a broken option":       func(f []byte) []byte { s.extra = []byte{6, 200}; return s.reply(dhcpOffer, xid) },
		"an option without end": func(f []byte) []byte { s.extra = []byte{6}; return s.reply(dhcpOffer, xid)[:len(f)] },
	} {
		s.address, s.extra = addr4(10, 0, 2, 15), nil
		s.deliver(spoil(s.reply(dhcpOffer, xid)))
		if s.c.state != dhcpSelecting {
			t.Errorf("%s was believed", name)
			s.c.state = dhcpSelecting
		}
	}
}

// refresh changes a byte of the message and makes the checksum right again.
func refresh(f []byte, at int) []byte {
	f[etherLen+ipv4Len+udpLen+at] ^= 3
	f[40], f[41] = 0, 0 // none
	return f
}

func TestDHCPOddLeases(t *testing.T) {
	for _, c := range []struct {
		name   string
		lease  uint32
		extra  []byte
		t1, t2 time.Duration
	}{
		{"for ever", 0xffffffff, nil, 0, 0},
		{"none", 0, nil, 0, 0},
		{"a second", 1, nil, time.Second, 2 * time.Second / 8 * 7},
		{"own times", 1000, []byte{dhcpOptRenewal, 4, 0, 0, 0, 100, dhcpOptRebind, 4, 0, 0, 0, 200}, 100 * time.Second, 200 * time.Second},
		{"times beyond the end", 1000, []byte{dhcpOptRenewal, 4, 0, 1, 0, 0, dhcpOptRebind, 4, 0, 1, 0, 0}, 500 * time.Second, 875 * time.Second},
	} {
		s := newFakeServer(t)
		s.lease, s.extra = c.lease, c.extra
		s.start()
		if s.c.state != dhcpBound || s.c.lease.t1 != c.t1 || s.c.lease.t2 != c.t2 || (c.t1 == 0) != s.c.next.IsZero() {
			t.Errorf("%s: state %v, T1 %v, T2 %v, next %v", c.name, s.c.state, s.c.lease.t1, s.c.lease.t2, s.c.next)
		}
	}
}

func FuzzDHCP(f *testing.F) {
	s := newFakeServer(nil)
	f.Add(s.reply(dhcpOffer, 1))
	f.Add(s.reply(dhcpNak, 1))
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, ok := parseDHCP(frame, packet.ChecksumUnknown)
		if !ok {
			return
		}
		c := &dhcpClient{mac: m.mac, xid: m.xid, random: func() uint32 { return m.xid }, send: func([]byte) {}, configure: func(*dhcpLease) {}}
		for _, state := range []dhcpState{dhcpSelecting, dhcpRequesting, dhcpRenewing} {
			c.state, c.xid = state, m.xid
			c.handle(time.Unix(1e9, 0), &m)
			c.tick(c.next)
		}
	})
}

// TestDHCPConfiguresTheStack has a server on the other end of the cable.
func TestDHCPConfiguresTheStack(t *testing.T) {
	la, lb := newTestLinks(t)
	f := newFakeServer(t)
	lb.Attach(func(frame []byte) {
		if len(frame) < 300 || frame[12] != 8 || frame[23] != 17 || frame[37] != 67 {
			return
		}
		n := len(f.sent)
		f.receive(append([]byte(nil), frame...))
		switch m := f.sent[n]; m.kind {
		case dhcpDiscover:
			lb.Transmit(f.reply(dhcpOffer, m.xid))
		case dhcpRequest:
			lb.Transmit(f.reply(dhcpAck, m.xid))
		}
	})
	s, err := New(Options{Hostname: "guest"})
	check(t, err)
	defer s.Close()
	check(t, s.AddLink(la, "eth0", LinkConfig{DHCP: true}))
	select {
	case <-s.Configured("eth0"):
	case <-time.After(testPatience):
		t.Fatal("no address")
	}
	settle(t, "address", func() bool { return len(s.DNS()) > 0 })
	var v4 []string
	for _, p := range s.Addresses("eth0") {
		if p.Addr().Is4() {
			v4 = append(v4, p.String())
		}
	}
	equal(t, "addresses", v4, []string{"10.0.2.15/24"})
	if dns := s.DNS(); len(dns) != 1 || dns[0] != addr4(10, 0, 2, 3) {
		t.Errorf("DNS %v", dns)
	}
}
