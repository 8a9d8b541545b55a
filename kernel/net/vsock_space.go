package net

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"wick/vsock"
)

// vsockSpace is the addresses of AF_VSOCK sockets, and what leads to the other ends: a device, and this machine itself.
type vsockSpace struct {
	stack  *Stack
	device atomic.Pointer[vsockDevice] // nil: none

	loop     *vsock.Endpoint // both ends of connections within this machine
	looping  sync.Once
	loopMore chan struct{} // loop has something to be carried
	done     chan struct{}

	mu    sync.Mutex
	ports map[uint32][]*vsockSocket // guarded by mu: bound sockets by port
	next  uint32                    // guarded by mu: the port that is given next
}

// vsockDevice is the way to the host.
type vsockDevice struct {
	*vsock.Endpoint
	cid func() uint32
}

func (v *vsockSpace) init(s *Stack) {
	v.stack = s
	v.ports = make(map[uint32][]*vsockSocket)
	v.next = firstVsockPort + rand.Uint32N(1<<20) // not the same from one boot to the next: peers may remember connections
	v.loopMore, v.done = make(chan struct{}, 1), make(chan struct{})
	v.loop = vsock.New(vsock.Config{
		Addressed: func(from, to uint32) bool { return v.here(from) && v.here(to) },
		Request:   v.request,
		Ready:     v.wakeCarrier,
		BufAlloc:  defaultVsockBuffer,
		Memory:    s.options.VsockMemory / 2,
	})
}

func (v *vsockSpace) close() { close(v.done) }

// AttachVsock makes an endpoint for a device that carries packets to the host and from it; there can be one. cid returns the
// machine's address, which may change when the device resets the transport; ready is vsock.Config.Ready.
func (s *Stack) AttachVsock(cid func() uint32, ready func()) *vsock.Endpoint {
	e := vsock.New(vsock.Config{
		Addressed: func(from, to uint32) bool { return to == cid() && from != to && from != vsock.Local },
		Request:   s.vsock.request,
		Ready:     ready,
		BufAlloc:  defaultVsockBuffer,
		Memory:    s.options.VsockMemory,
	})
	s.vsock.device.Store(&vsockDevice{e, cid})
	return e
}

// CID returns the address of this machine: VMADDR_CID_LOCAL if it has no device.
func (s *Stack) CID() uint32 {
	if d := s.vsock.device.Load(); d != nil {
		return d.cid()
	}
	return vsock.Local
}

// here tells whether a CID is this machine.
func (v *vsockSpace) here(cid uint32) bool { return cid == vsock.Local || cid == v.stack.CID() }

// route returns what leads to a CID, and our own address there.
func (v *vsockSpace) route(to uint32) (e *vsock.Endpoint, from uint32, err error) {
	if v.here(to) {
		v.looping.Do(func() { go v.carry() })
		return v.loop, vsock.Local, nil
	}
	if d := v.device.Load(); d != nil {
		return d.Endpoint, d.cid(), nil
	}
	return nil, 0, unix.ENODEV
}

func (v *vsockSpace) wakeCarrier() {
	select {
	case v.loopMore <- struct{}{}:
	default: // it will look anyway
	}
}

// carry takes packets from one end of connections within this machine to the other.
func (v *vsockSpace) carry() {
	buffer := make([]byte, vsock.HeaderSize+vsockPiece)
	for {
		n, err := v.loop.Output(buffer)
		if n == 0 || err != nil {
			select {
			case <-v.loopMore:
				continue
			case <-v.done:
				return
			}
		}
		if h, err := vsock.ParseHeader(buffer[:n]); err == nil {
			v.loop.Input(&h, buffer[vsock.HeaderSize:n])
		}
	}
}

// unfinished is the number of connections. They are all being closed when it matters.
func (v *vsockSpace) unfinished() int {
	n := v.loop.Len()
	if d := v.device.Load(); d != nil {
		n += d.Len()
	}
	return n
}

// counters calls visit with the counters of the connections with the host.
func (v *vsockSpace) counters(visit func(name string, value uint64)) {
	d := v.device.Load()
	if d == nil {
		return
	}
	c := d.Counters()
	visit("vsock.rx-packets", c.Received)
	visit("vsock.rx-bytes", c.ReceivedBytes)
	visit("vsock.tx-packets", c.Sent)
	visit("vsock.tx-bytes", c.SentBytes)
	visit("vsock.rx-dropped-wrong-address", c.WrongAddress)
	visit("vsock.rx-no-connection", c.Strangers)
	visit("vsock.rx-no-connection-unanswered", c.Unanswered)
	visit("vsock.rx-discarded-bytes", c.Discarded)
	visit("vsock.violations", c.Violations)
}

// firstVsockPort is the first port that bind chooses: those below are reserved, as Linux's LAST_RESERVED_PORT says.
const firstVsockPort = 1024

// vsockPortTries is how many ports bind looks at for a free one; Linux gives up after as many.
const vsockPortTries = 24

// bind gives a socket an address.
func (v *vsockSpace) bind(s *vsockSocket, a vsock.Addr) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone || s.local.Port != vsock.AnyPort:
		return unix.EINVAL
	case a.CID != vsock.Any && !v.here(a.CID):
		return unix.EADDRNOTAVAIL
	case a.Port != vsock.AnyPort:
		if v.findLocked(a) != nil {
			return unix.EADDRINUSE
		}
	default:
		for tries := 0; ; tries++ {
			if tries == vsockPortTries {
				return unix.EADDRNOTAVAIL
			}
			if v.next < firstVsockPort || v.next == vsock.AnyPort {
				v.next = firstVsockPort
			}
			a.Port = v.next
			v.next++
			if v.findLocked(a) == nil {
				break
			}
		}
	}
	s.local, s.bound = a, true
	v.ports[a.Port] = append(v.ports[a.Port], s)
	return nil
}

// findLocked returns a bound socket whose address overlaps with a.
func (v *vsockSpace) findLocked(a vsock.Addr) *vsockSocket {
	for _, s := range v.ports[a.Port] {
		if s.local.CID == a.CID || s.local.CID == vsock.Any || a.CID == vsock.Any { // local doesn't change once it is set
			return s
		}
	}
	return nil
}

// unbind gives a socket's address back.
func (v *vsockSpace) unbind(s *vsockSocket) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !s.bound { // set by bind under v.mu, once
		return
	}
	port, list := s.local.Port, v.ports[s.local.Port]
	for i, k := range list {
		if k == s {
			list[i] = list[len(list)-1]
			list[len(list)-1] = nil
			v.ports[port] = list[:len(list)-1]
			break
		}
	}
	if len(v.ports[port]) == 0 {
		delete(v.ports, port)
	}
}

// request hands a connection that a peer asks for to the socket that listens, or refuses it.
func (v *vsockSpace) request(c *vsock.Conn) {
	v.mu.Lock()
	s := v.findLocked(c.Local())
	v.mu.Unlock()
	if s == nil {
		c.Refuse(vsock.DropNoListener)
		return
	}
	s.requested(c)
}
