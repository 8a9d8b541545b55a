package vsockhost

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"wick/vmm/vsockdev"
	"wick/vsock"
)

// guest is the machine that a Host leads to, for as long as its monitor is there.
type guest struct {
	host   *Host
	device *vsockdev.Device
	ctx    context.Context // over when the monitor has gone
	cancel context.CancelFunc
	work   sync.WaitGroup // its connections
}

// Serve serves the guest whose front-end is at the other end of conn, until that closes it or Close is called. Then all its
// connections are over, and another may be served. There can be one at a time.
func (h *Host) Serve(conn *net.UnixConn) error {
	g := &guest{host: h}
	g.ctx, g.cancel = context.WithCancel(h.ctx)
	g.device = vsockdev.New(conn, vsockdev.Config{
		CID: h.config.CID, MaxConns: h.config.MaxConns, HandshakeTime: h.config.HandshakeTime, Request: g.request,
		Dropped: g.dropped,
		Log:     func(err error) { h.log.printf("the device has stopped until the guest resets it: %v", err) },
	})
	defer context.AfterFunc(h.ctx, func() { g.device.Close() })()
	h.mu.Lock()
	h.guest = g
	close(h.came)
	h.mu.Unlock()

	err := g.device.Serve()

	h.mu.Lock()
	h.guest, h.came = nil, make(chan struct{})
	h.mu.Unlock()
	g.cancel()
	g.work.Wait()
	return err
}

// enter returns the guest, for whose work counts what the caller does until it calls work.Done; or nil and what is closed when
// there is a guest.
func (h *Host) enter() (g *guest, came <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.guest != nil {
		h.guest.work.Add(1)
	}
	return h.guest, h.came
}

// request answers a connection that the guest asks for.
func (g *guest) request(c *vsock.Conn) {
	if !take(g.host.slots) {
		g.refuse(c, errTooMany(cap(g.host.slots)))
		return
	}
	g.work.Go(func() {
		defer release(g.host.slots)
		ctx, stop := g.asking(c)
		defer stop()
		if c.Local().CID != vsock.Host {
			g.requestPeer(ctx, c)
			return
		}
		sock, err := g.dialHost(ctx, c.Local().Port)
		if err != nil {
			g.refuse(c, err)
			return
		}
		defer sock.Close()
		if err := c.Accept(); err != nil {
			g.refuse(c, errGaveUp)
			return
		}
		g.relay(c, sock, nil)
	})
}

// errGaveUp says that a guest does not want the connection any more that it has asked for.
var errGaveUp = errors.New("the guest has stopped waiting for it")

// asking returns a context that is over when the guest does not ask for a connection any more.
func (g *guest) asking(c *vsock.Conn) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(g.ctx)
	c.Notify(func() {
		if c.Err() != vsock.ErrNotYet {
			cancel(errGaveUp)
		}
	})
	return ctx, func() { cancel(nil) }
}

// refusedByHost is why a request was dropped that had its line in the log.
const refusedByHost = "refused"

// refuse refuses what the guest asks for.
func (g *guest) refuse(c *vsock.Conn, err error) {
	c.Refuse(refusedByHost)
	if g.ctx.Err() == nil {
		g.host.log.printf("refused the guest's connection to %s: %v", place(c.Local()), err)
	}
}

// dropped is told of packets that no connection is told of.
func (g *guest) dropped(h *vsock.Header, why string) {
	if why == vsock.DropTooMany {
		g.host.log.printf("refused the guest's connection to %s: %v", place(h.To), errTooMany(g.host.config.MaxConns))
	}
}

// place is what a guest has asked for, in words.
func place(a vsock.Addr) string {
	if a.CID == vsock.Host {
		return "port " + strconv.FormatUint(uint64(a.Port), 10)
	}
	return a.String()
}

type errTooMany int

func (n errTooMany) Error() string { return strconv.Itoa(int(n)) + " connections are open" }

// dialHost connects to what the guest reaches by a port.
func (g *guest) dialHost(ctx context.Context, port uint32) (socket, error) {
	c := &g.host.config
	for _, m := range c.Maps {
		if m.Port == port {
			return m.Target.dial(ctx)
		}
	}
	if c.Path == "" {
		return nil, errors.New("nothing is mapped to it")
	}
	return Target{Path: c.Path + "_" + strconv.FormatUint(uint64(port), 10)}.dial(ctx)
}

// relay moves data until the end of a connection.
func (g *guest) relay(c *vsock.Conn, sock socket, first []byte) {
	stop := context.AfterFunc(g.ctx, func() {
		c.Reset()
		time.AfterFunc(drainTime, func() { sock.Close() })
	})
	defer stop()
	run(c, sock, first)
	if err := c.Err(); errors.Is(err, vsock.ErrProtocol) {
		g.host.log.printf("connection %v, %v: %v", c.Peer(), c.Local(), err)
	}
}
