package vsockhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wick/vsock"
)

// Why a guest can't be reached.
var (
	errNoMachine  = errors.New("the machine is not running")
	errRefused    = errors.New("the guest refuses it: nothing listens there, or there is no room for more")
	errNoDriver   = errors.New("the guest has no vsock driver yet")
	errNoAnswer   = errors.New("the guest does not answer")
	errReset      = errors.New("the guest was reset, or has ended")
	errClientGone = errors.New("the client has gone")
)

// dialGuest connects to a port of the guest. As long as the guest may take to begin to listen, it tries again. What the caller does
// counts as the guest's work.
func (h *Host) dialGuest(port uint32, client socket) (*guest, *vsock.Conn, error) {
	ctx, stop, err := h.untilGone(client)
	if err != nil {
		return nil, nil, err
	}
	defer stop()
	end := h.now().Add(h.config.Wait)
	refused := false
	for {
		timeout := requestTime
		if h.config.Wait > 0 {
			timeout = min(timeout, max(end.Sub(h.now()), retryTime))
		}
		g, c, err := h.dialOnce(ctx, port, timeout)
		if refused = refused || err == errRefused; refused && err == errNoAnswer && timeout < requestTime {
			err = errRefused // it does answer, but this time it had to be quick
		}
		if err == nil || errors.Is(err, vsock.ErrTooMany) || ctx.Err() != nil || !h.now().Before(end) {
			return g, c, h.waited(err)
		}
		select {
		case <-time.After(min(retryTime, end.Sub(h.now()))):
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

// waited adds to an error how long it was hoped that it would go away.
func (h *Host) waited(err error) error {
	given := err == errClientGone || errors.Is(err, vsock.ErrTooMany) // nobody waits then
	if err != nil && h.config.Wait > 0 && !given {
		return fmt.Errorf("%w; waited %v", err, h.config.Wait)
	}
	return err
}

// untilGone returns a context that is over when a client has closed its socket: what it has asked for is not to take room from
// others. Nobody else may read until stop is called.
func (h *Host) untilGone(client socket) (ctx context.Context, stop func(), err error) {
	raw, err := client.SyscallConn()
	if err != nil {
		return nil, nil, errClientGone
	}
	ctx, cancel := context.WithCancelCause(h.ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if raw.Read(hungUp) == nil {
			cancel(errClientGone)
		}
	}()
	return ctx, func() {
		client.SetReadDeadline(time.Unix(1, 0)) // ends Read
		<-watched
		client.SetReadDeadline(time.Time{})
		cancel(nil)
	}, nil
}

// dialOnce asks the guest for a connection, when there is one.
func (h *Host) dialOnce(ctx context.Context, port uint32, timeout time.Duration) (*guest, *vsock.Conn, error) {
	end := time.NewTimer(timeout)
	defer end.Stop()
	began := time.Now()
	g, came := h.enter()
	for g == nil {
		select {
		case <-came:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-end.C:
			return nil, nil, errNoMachine
		}
		g, came = h.enter()
	}
	timeout = max(timeout-time.Since(began), retryTime)
	c, err := g.await(ctx, func(notify func()) (*vsock.Conn, error) { return g.connect(port, timeout, notify) })
	if err != nil {
		g.work.Done()
		return nil, nil, err
	}
	return g, c, nil
}

// await waits for the guest's answer to a connection that connect begins.
func (g *guest) await(ctx context.Context, connect func(notify func()) (*vsock.Conn, error)) (*vsock.Conn, error) {
	changed := make(chan struct{}, 1)
	c, err := connect(func() { poke(changed) })
	if err != nil {
		return nil, err
	}
	for {
		switch err := c.Err(); {
		case err == nil, err == vsock.ErrReset: // it was established; there may be data
			return c, nil
		case err == vsock.ErrRefused:
			return nil, errRefused
		case err == vsock.ErrTransport:
			return nil, errReset
		case err == vsock.ErrTimeout && !g.device.Running():
			return nil, errNoDriver
		case err == vsock.ErrTimeout:
			return nil, errNoAnswer
		case err != vsock.ErrNotYet:
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.Reset()
			return nil, context.Cause(ctx)
		case <-g.ctx.Done():
			c.Reset()
			return nil, errReset
		}
	}
}

// poke wakes who waits for a channel, or will wait.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// connect begins a connection from a free port of the host.
func (g *guest) connect(port uint32, timeout time.Duration, notify func()) (*vsock.Conn, error) {
	h := g.host
	for {
		h.mu.Lock()
		local := h.next
		if h.next++; h.next == vsock.AnyPort {
			h.next = firstPort
		}
		h.mu.Unlock()
		c, err := g.device.Connect(vsock.Addr{CID: vsock.Host, Port: local}, vsock.Addr{CID: h.config.CID, Port: port}, timeout, notify)
		if err != vsock.ErrInUse {
			return c, err
		}
	}
}
