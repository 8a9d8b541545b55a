// Package vsockhost leads the vsock connections of a guest to sockets of the host, and the other way round, as Firecracker
// does: by a Unix-domain socket PATH for connections to the guest, and sockets PATH_PORT for the guest's.
package vsockhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"wick/vmm/vsockdev"
	"wick/vsock"
	"wick/vsock/hybrid"
)

// Config says what leads where.
type Config struct {
	CID       uint32        // the guest's
	Path      string        // PATH; "" for none
	Maps      []Map         // what goes to other places than PATH_PORT
	Publishes []Publish     // what leads to the guest besides PATH
	Wait      time.Duration // how long a connection waits for a guest that does not listen yet
	// Peer returns another machine that the guest may connect to by its CID, and that may connect to it; nil if there is none.
	// It may be nil.
	Peer func(cid uint32) *Host
	Log  func(string) // is told of each connection that is refused, and why; must be safe for concurrent use
}

// firstPort is where the host's ports begin, as Firecracker's do: a guest does not take them for services.
const firstPort = 1 << 30

const (
	// requestTime is how long a guest may take to answer REQUEST.
	requestTime = 5 * time.Second
	// retryTime lies between two attempts to reach a guest that does not listen yet.
	retryTime = 50 * time.Millisecond
	// drainTime is how long sockets may take to read what the guest has sent before it ended.
	drainTime = 2 * time.Second
)

// Host leads connections. It is made by New, then gets its device by Serve.
type Host struct {
	config    Config
	log       *limiter
	listeners []listener
	slots     chan struct{} // one for each connection, from the first byte to the last
	waiting   chan struct{} // one for each client that has yet to say CONNECT

	ctx    context.Context // over when the guest is
	cancel context.CancelFunc
	work   sync.WaitGroup

	device atomic.Pointer[vsockdev.Device] // nil before Serve

	mu   sync.Mutex
	next uint32 // guarded by mu: the next port of the host
}

// listener is a socket that waits for connections to the guest.
type listener struct {
	net.Listener
	publish *Publish // nil: PATH, where the client says the port
}

// New opens the sockets of the host. Connections to them wait for Serve.
func New(c Config) (*Host, error) {
	h := &Host{config: c, log: newLimiter(c.Log), next: firstPort,
		slots: make(chan struct{}, vsockdev.MaxConns), waiting: make(chan struct{}, vsockdev.MaxConns)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	err := h.listen()
	if err != nil {
		h.Close()
		return nil, err
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
			return err
		}
		if p.Target.Path == "" {
			p.Target.TCP = l.Addr().(*net.TCPAddr).AddrPort()
		}
		h.listeners = append(h.listeners, listener{l, p})
	}
	return nil
}

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

// Close closes the sockets that Serve has not taken over, and ends Serve.
func (h *Host) Close() {
	h.cancel()
	for _, l := range h.listeners {
		l.Close()
	}
}

// Serve serves the guest whose front-end is at the other end of conn, until that closes it or Close is called. Then all
// its connections are over.
func (h *Host) Serve(conn *net.UnixConn) error {
	device := vsockdev.New(conn, vsockdev.Config{
		CID: h.config.CID, Request: h.request,
		Log: func(err error) { h.log.printf("the device has stopped until the guest resets it: %v", err) },
	})
	h.device.Store(device)
	stop := context.AfterFunc(h.ctx, func() { device.Close() })
	defer stop()
	for _, l := range h.listeners {
		h.work.Go(func() { h.accept(l) })
	}
	err := device.Serve()
	h.Close()
	h.work.Wait()
	return err
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

// request answers a connection that the guest asks for.
func (h *Host) request(c *vsock.Conn) {
	if !take(h.slots) {
		h.log.printf("refused the guest's connection to port %d: %d connections are open", c.Local().Port, cap(h.slots))
		c.Refuse()
		return
	}
	if c.Local().CID != vsock.Host {
		h.work.Go(func() {
			defer release(h.slots)
			h.requestPeer(c)
		})
		return
	}
	h.work.Go(func() {
		defer release(h.slots)
		sock, err := h.dialHost(c.Local().Port)
		if err != nil {
			h.log.printf("refused the guest's connection to port %d: %v", c.Local().Port, err)
			c.Refuse()
			return
		}
		defer sock.Close()
		if err := c.Accept(); err != nil {
			h.log.printf("the guest's connection to port %d: %v", c.Local().Port, err)
			return
		}
		h.relay(c, sock, nil)
	})
}

// dialHost connects to what the guest reaches by a port.
func (h *Host) dialHost(port uint32) (socket, error) {
	for _, m := range h.config.Maps {
		if m.Port == port {
			return m.Target.dial(h.ctx)
		}
	}
	if h.config.Path == "" {
		return nil, errors.New("nothing is mapped to it")
	}
	return Target{Path: h.config.Path + "_" + strconv.FormatUint(uint64(port), 10)}.dial(h.ctx)
}

// relay moves data until the end of a connection.
func (h *Host) relay(c *vsock.Conn, sock socket, first []byte) {
	stop := context.AfterFunc(h.ctx, func() {
		c.Reset()
		time.AfterFunc(drainTime, func() { sock.Close() })
	})
	defer stop()
	run(c, sock, first)
	if err := c.Err(); errors.Is(err, vsock.ErrProtocol) {
		h.log.printf("connection %v, %v: %v", c.Peer(), c.Local(), err)
	}
}

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
	port, first, err := h.wanted(p, sock)
	if err != nil {
		h.refuse(p, sock, err)
		return
	}
	if !take(h.slots) {
		h.refuse(p, sock, fmt.Errorf("%d connections are open", cap(h.slots)))
		return
	}
	defer release(h.slots)
	c, err := h.dialGuest(port, sock)
	if err != nil {
		h.refuse(p, sock, fmt.Errorf("guest port %d: %w", port, err))
		return
	}
	if p == nil {
		if _, err := fmt.Fprintf(sock, "OK %d\n", c.Local().Port); err != nil {
			c.Reset()
			return
		}
	}
	stop()
	h.relay(c, sock, first)
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

// refuse tells why there is no connection.
func (h *Host) refuse(p *Publish, sock socket, err error) {
	if h.ctx.Err() != nil {
		return // the guest is gone, which everybody sees
	}
	if p != nil {
		h.log.printf("refused a connection from %s: %v", sock.RemoteAddr(), err)
		return
	}
	h.log.printf("refused a connection: %v", err)
	sock.SetWriteDeadline(time.Now().Add(time.Second)) // a socket that was just opened has room
	fmt.Fprintf(sock, "ERR %v\n", err)
}
