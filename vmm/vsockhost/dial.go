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
	errNoListener = errors.New("nothing in the guest listens there")
	errNoDriver   = errors.New("the guest has no vsock driver yet")
	errNoAnswer   = errors.New("the guest does not answer")
	errClientGone = errors.New("the client has gone")
)

// dialGuest connects to a port of the guest. As long as the guest may take to begin to listen, it tries again.
func (h *Host) dialGuest(port uint32, client socket) (*vsock.Conn, error) {
	end := time.Now().Add(h.config.Wait)
	for {
		timeout := requestTime
		if h.config.Wait > 0 {
			timeout = min(timeout, max(time.Until(end), retryTime))
		}
		c, err := h.dialOnce(port, timeout)
		if err == nil || errors.Is(err, vsock.ErrTooMany) || !time.Now().Before(end) {
			return c, h.waited(err)
		}
		select {
		case <-time.After(min(retryTime, time.Until(end))):
		case <-h.ctx.Done():
			return nil, context.Cause(h.ctx)
		}
		if gone(client) {
			return nil, errClientGone
		}
	}
}

// waited adds to an error how long it was hoped that it would go away.
func (h *Host) waited(err error) error {
	if err != nil && h.config.Wait > 0 {
		return fmt.Errorf("%w, and did not in %v", err, h.config.Wait)
	}
	return err
}

// gone tells whether a client has closed its socket.
func gone(client socket) (hung bool) {
	raw, err := client.SyscallConn()
	if err != nil {
		return true
	}
	return raw.Control(func(fd uintptr) { hung = hungUp(fd) }) != nil || hung
}

// dialOnce asks the guest for a connection.
func (h *Host) dialOnce(port uint32, timeout time.Duration) (*vsock.Conn, error) {
	return h.await(func(notify func()) (*vsock.Conn, error) { return h.connect(port, timeout, notify) })
}

// await waits for the guest's answer to a connection that connect begins.
func (h *Host) await(connect func(notify func()) (*vsock.Conn, error)) (*vsock.Conn, error) {
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
			return nil, errNoListener
		case err == vsock.ErrTimeout && !h.device.Load().Running():
			return nil, errNoDriver
		case err == vsock.ErrTimeout:
			return nil, errNoAnswer
		case err != vsock.ErrNotYet:
			return nil, err
		}
		select {
		case <-changed:
		case <-h.ctx.Done():
			c.Reset()
			return nil, context.Cause(h.ctx)
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
func (h *Host) connect(port uint32, timeout time.Duration, notify func()) (*vsock.Conn, error) {
	for {
		h.mu.Lock()
		local := h.next
		if h.next++; h.next == vsock.AnyPort {
			h.next = firstPort
		}
		h.mu.Unlock()
		c, err := h.device.Load().Connect(vsock.Addr{CID: vsock.Host, Port: local}, vsock.Addr{CID: h.config.CID, Port: port}, timeout, notify)
		if err != vsock.ErrInUse {
			return c, err
		}
	}
}
