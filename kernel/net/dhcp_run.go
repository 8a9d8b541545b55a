package net

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"wick/packet"
)

// dhcpRunner runs a dhcpClient on an interface: its goroutine, clock and frames.
type dhcpRunner struct {
	iface  *iface
	frames chan dhcpMessage
	up     chan struct{}
	done   chan struct{}
	once   sync.Once
	wait   sync.WaitGroup
}

// startDHCP has the interface configured by DHCP.
func (l *iface) startDHCP() {
	r := &dhcpRunner{iface: l, frames: make(chan dhcpMessage, 4), up: make(chan struct{}, 1), done: make(chan struct{})}
	l.mu.Lock()
	l.dhcp = r
	l.mu.Unlock()
	l.stack.engine.setTap(l.index, r.receive)
	r.wait.Add(1)
	go r.run()
}

// receive looks at each received frame. It takes those for the client's port.
func (r *dhcpRunner) receive(frame []byte, checksum packet.Checksum) bool {
	if !isDHCPReply(frame) {
		return false
	}
	if m, ok := parseDHCP(frame, checksum); ok {
		select {
		case r.frames <- m:
		default: // the client is busy with others; servers answer repetitions
		}
	}
	return true
}

// linkUp is called when the carrier is back: the lease may be one of another network.
func (r *dhcpRunner) linkUp() {
	select {
	case r.up <- struct{}{}:
	default:
	}
}

func (r *dhcpRunner) stop() {
	r.once.Do(func() { close(r.done) })
	r.wait.Wait()
	r.iface.stack.engine.setTap(r.iface.index, nil)
}

func (r *dhcpRunner) run() {
	defer r.wait.Done()
	c := &dhcpClient{
		mac:       r.iface.link.HardwareAddr(),
		hostname:  r.iface.stack.options.Hostname,
		random:    random32,
		send:      func(f []byte) { r.iface.link.Transmit(f) },
		configure: r.configure,
	}
	c.start(time.Now())
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if !c.next.IsZero() {
			timer.Reset(time.Until(c.next))
		} else {
			timer.Stop()
		}
		select {
		case m := <-r.frames:
			c.handle(time.Now(), &m)
		case <-timer.C:
			c.tick(time.Now())
		case <-r.up:
			c.start(time.Now())
		case <-r.done:
			return
		}
	}
}

// configure makes the lease the interface's address; nil takes it away.
func (r *dhcpRunner) configure(l *dhcpLease) {
	i := r.iface
	if l == nil {
		i.clearIPv4()
		i.stack.options.Log("net: %s: DHCP lease lost", i.name)
		return
	}
	c := LinkConfig{Address: l.address, Gateway: l.router, DNS: l.dns, DHCP: true}
	i.mu.Lock()
	same := i.config.Address == c.Address && i.config.Gateway == c.Gateway
	i.mu.Unlock()
	if !same {
		i.clearIPv4()
		if err := i.setIPv4(c); err != nil {
			i.stack.options.Log("net: %s: DHCP address %s: %v", i.name, l.address, err)
			return
		}
		i.stack.options.Log("net: %s: address %s by DHCP from %s", i.name, l.address, l.server)
		i.announce()
	} else {
		i.stack.setDNS(i.index, l.dns)
	}
}

func random32() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.NativeEndian.Uint32(b[:])
}
