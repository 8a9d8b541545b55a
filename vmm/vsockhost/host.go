// Package vsockhost leads the vsock connections of a guest to sockets of the host, and the other way round, as Firecracker
// does: by a Unix-domain socket PATH for connections to the guest, and sockets PATH_PORT for the guest's.
package vsockhost

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"wick/vmm/vsockdev"
	"wick/vsock/hybrid"
)

// Config says what leads where.
type Config struct {
	CID       uint32        // the guest's
	Path      string        // PATH; "" for none
	Maps      []Map         // what goes to other places than PATH_PORT
	Publishes []Publish     // what leads to the guest besides PATH
	Wait      time.Duration // how long a connection waits for a guest that is not there, or does not listen yet
	MaxConns  int           // connections at a time, both ways, and clients that have yet to say CONNECT; 0: DefaultConns
	// HandshakeTime is how long a front-end may take to say what it says first; 0: no bound.
	HandshakeTime time.Duration
	// Peer returns another machine that the guest may connect to by its CID, and that may connect to it, or why there is none. It
	// may be nil.
	Peer func(cid uint32) (*Host, error)
	Log  func(string) // is told of each connection that is refused, and why; must be safe for concurrent use
}

// DefaultConns is Config.MaxConns if that is not set. MostConns is the most that it may be: each may take 128 KiB.
const (
	DefaultConns = vsockdev.DefaultConns
	MostConns    = 65536
)

// firstPort is where the host's ports begin, as Firecracker's do: a guest does not take them for services.
const firstPort = 1 << 30

const (
	// requestTime is how long a guest may take to answer REQUEST, and its monitor to be there.
	requestTime = 5 * time.Second
	// retryTime lies between two attempts to reach a guest that does not listen yet.
	retryTime = 50 * time.Millisecond
	// drainTime is how long sockets may take to read what the guest has sent before it ended.
	drainTime = 2 * time.Second
)

// Host leads connections. It is made by New, which opens its sockets, and serves one guest after the other by Serve.
//
// Locks: mu is taken with no other held, and no other is taken with it.
type Host struct {
	config    Config
	log       *limiter
	listeners []listener
	slots     chan struct{} // one for each connection, from the first byte to the last
	waiting   chan struct{} // one for each client that has yet to say CONNECT

	ctx    context.Context // over after Close
	cancel context.CancelFunc
	work   sync.WaitGroup   // what serves the sockets
	now    func() time.Time // by which Config.Wait ends; time.Now unless a test has another

	mu    sync.Mutex
	guest *guest        // guarded by mu: nil while there is none
	came  chan struct{} // guarded by mu: closed when there is one
	next  uint32        // guarded by mu: the next port of the host
}

// listener is a socket that waits for connections to the guest.
type listener struct {
	net.Listener
	publish *Publish // nil: PATH, where the client says the port
}

// New opens the sockets of the host. Connections to them wait for Serve, as long as they wait for a guest to answer. An error of
// what is in Config.Publishes is a *PublishError.
func New(c Config) (*Host, error) {
	if c.MaxConns == 0 {
		c.MaxConns = DefaultConns
	}
	h := &Host{config: c, log: newLimiter(c.Log), next: firstPort, came: make(chan struct{}), now: time.Now,
		slots: make(chan struct{}, c.MaxConns), waiting: make(chan struct{}, c.MaxConns)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	err := h.listen()
	if err != nil {
		h.Close()
		return nil, err
	}
	for _, l := range h.listeners {
		h.work.Go(func() { h.accept(l) })
	}
	return h, nil
}

func (h *Host) listen() error {
	if h.config.Path != "" {
		if err := hybrid.CheckPath(h.config.Path + "_4294967294"); err != nil {
			return err
		}
		l, err := hybrid.ListenUnix(h.config.Path)
		if err != nil {
			return err
		}
		h.listeners = append(h.listeners, listener{l, nil})
	}
	for i := range h.config.Publishes {
		p := &h.config.Publishes[i]
		l, err := p.Target.listen()
		if err != nil {
			return &PublishError{*p, err}
		}
		if p.Target.Path == "" {
			p.Target.TCP = l.Addr().(*net.TCPAddr).AddrPort()
		}
		h.listeners = append(h.listeners, listener{l, p})
	}
	return nil
}

// PublishError says that one of Config.Publishes can't be had.
type PublishError struct {
	Publish Publish
	Err     error
}

func (e *PublishError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *PublishError) Unwrap() error { return e.Err }

func (t Target) listen() (net.Listener, error) {
	if t.Path != "" {
		return hybrid.ListenUnix(t.Path)
	}
	network := "tcp6"
	if t.TCP.Addr().Is4() { // else 0.0.0.0 would be all addresses of IPv6, too
		network = "tcp4"
	}
	return net.Listen(network, t.TCP.String())
}

// Publishes returns what leads to the guest, with the ports that were picked.
func (h *Host) Publishes() []Publish { return h.config.Publishes }

// Close ends Serve and all connections, and removes the sockets.
func (h *Host) Close() {
	h.cancel()
	for _, l := range h.listeners {
		l.Close()
	}
	h.work.Wait()
}

// take takes one of slots, if there is one.
func take(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func release(slots chan struct{}) { <-slots }

// accept takes the connections of a listener.
func (h *Host) accept(l listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if h.ctx.Err() == nil {
				h.log.printf("%s: %v", l.Addr(), err)
				select { // of descriptors there may be more later
				case <-time.After(time.Second):
					continue
				case <-h.ctx.Done():
				}
			}
			return
		}
		h.work.Go(func() { h.serve(l.publish, c.(socket)) })
	}
}

// serve leads a connection to the guest.
func (h *Host) serve(p *Publish, sock socket) {
	defer sock.Close()
	stop := context.AfterFunc(h.ctx, func() { sock.Close() })
	defer stop()
	port, first, err := h.wanted(p, sock)
	if err != nil {
		h.refuse(p, sock, err)
		return
	}
	if !take(h.slots) {
		h.refuse(p, sock, errTooMany(cap(h.slots)))
		return
	}
	defer release(h.slots)
	g, c, err := h.dialGuest(port, sock)
	if err != nil {
		h.refuse(p, sock, fmt.Errorf("guest port %d: %w", port, err))
		return
	}
	defer g.work.Done()
	if p == nil {
		if _, err := fmt.Fprintf(sock, "OK %d\n", c.Local().Port); err != nil {
			c.Reset()
			return
		}
	}
	stop() // what the guest sends before its end has some time
	g.relay(c, sock, first)
}

// wanted returns the port that a connection is for, and what has come of it. Clients that say nothing take no slot of those that do.
func (h *Host) wanted(p *Publish, sock socket) (port uint32, first []byte, err error) {
	if p != nil {
		return p.Port, nil, nil
	}
	if !take(h.waiting) {
		return 0, nil, fmt.Errorf("%d clients have yet to say what they want", cap(h.waiting))
	}
	defer release(h.waiting)
	return readConnect(sock)
}

// refuse tells why there is no connection: a client of PATH by ERR and the end, one of TCP by RST, any other by the end only.
func (h *Host) refuse(p *Publish, sock socket, err error) {
	if h.ctx.Err() != nil {
		return // the device is gone, which everybody sees
	}
	if p != nil {
		h.log.printf("refused a connection to %v: %v", p.Target, err)
		if tcp, ok := sock.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		return
	}
	h.log.printf("refused a connection: %v", err)
	sock.SetWriteDeadline(time.Now().Add(time.Second)) // a socket that was just opened has room
	fmt.Fprintf(sock, "ERR %v\n", err)
}
