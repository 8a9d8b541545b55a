package vsock

import (
	"testing"
	"time"
)

// Connections whose data nobody reads take no more memory than there is, however many they are, and stop no other.
func TestMemoryIsShared(t *testing.T) {
	const memory = 40 * leastShare
	p := newPair(t, func(c *Config) { c.BufAlloc, c.Memory = 256<<10, memory })
	var senders, receivers []*Conn
	for port := uint32(1); ; port++ {
		c, err := p.ends[guest].Connect(Addr{guestCID, 1024}, Addr{Host, port}, time.Second, nil)
		if err == ErrTooMany {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		p.settle()
		h := p.asked[host][0]
		p.asked[host] = nil
		if err := h.Accept(); err != nil {
			t.Fatal(err)
		}
		p.settle()
		senders, receivers = append(senders, c), append(receivers, h)
		fill(p, c)
	}
	if n := len(senders); n < memory/leastShare/2 {
		t.Errorf("%d connections in memory for %d", n, memory/leastShare)
	}
	unread := func() (n int) {
		for _, h := range receivers {
			n += h.Status().Readable
		}
		return n
	}
	if n, e := unread(), p.ends[host]; n > memory || e.shared > memory {
		t.Errorf("%d bytes unread, %d shared of %d", n, e.shared, memory)
	}
	for i, h := range receivers { // each goes on while the others are full
		for total := 0; total < 100<<10; {
			n, err := h.Read(make([]byte, 8<<10))
			if err != nil {
				t.Fatalf("connection %d: %v after %d bytes", i, err, total)
			}
			total += n
			p.settle()
			fill(p, senders[i])
		}
		if n := unread(); n > memory {
			t.Fatalf("%d bytes unread", n)
		}
	}
	for i := range senders {
		senders[i].Reset()
	}
	p.settle()
	if e := p.ends[host]; e.shared != unread() {
		t.Errorf("%d bytes shared, %d unread of connections that are over", e.shared, unread())
	}
	for _, h := range receivers {
		h.Close()
	}
	for i, e := range p.ends {
		if e.shared != 0 {
			t.Errorf("end %d: %d bytes shared without a connection", i, e.shared)
		}
	}
	if _, h := p.open(t, 80); h.receive.bufAlloc <= leastShare {
		t.Errorf("a lone connection gets %d bytes", h.receive.bufAlloc)
	}
}

// fill writes until there is no room.
func fill(p *pair, c *Conn) {
	for {
		n, err := c.Write(make([]byte, 1000))
		if p.settle(); n == 0 || err != nil {
			return
		}
	}
}

// A buffer that was made smaller counts as large as it was until what may be on its way has come.
func TestSmallerBufferIsStillAccountedFor(t *testing.T) {
	const memory = 1 << 20
	p := newPair(t, func(c *Config) { c.BufAlloc, c.Memory = 32<<10, memory })
	_, h := p.open(t, 80)
	e := p.ends[host]
	if e.shared != 32<<10 {
		t.Fatalf("%d bytes shared", e.shared)
	}
	h.SetBufAlloc(8 << 10)
	if e.shared != 32<<10 {
		t.Errorf("%d bytes shared with %d allowed", e.shared, 32<<10)
	}
	h.SetBufAlloc(1 << 30)
	if e.shared > memory {
		t.Errorf("%d bytes shared of %d", e.shared, memory)
	}
}
