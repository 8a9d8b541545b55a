package vsockhost

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"wick/vsock"
)

// requestPeer answers a connection that the guest asks for to another machine: that sees it as coming from the guest.
func (g *guest) requestPeer(ctx context.Context, c *vsock.Conn) {
	peer, other, err := g.dialPeer(ctx, c.Peer(), c.Local())
	if err != nil {
		g.refuse(c, err)
		return
	}
	defer peer.work.Done()
	if err := c.Accept(); err != nil {
		other.Reset()
		g.refuse(c, errGaveUp)
		return
	}
	splice(c, other)
}

// dialPeer connects to another machine, for whose work counts what the caller does.
func (g *guest) dialPeer(ctx context.Context, from, to vsock.Addr) (*guest, *vsock.Conn, error) {
	if g.host.config.Peer == nil {
		return nil, nil, fmt.Errorf("there are no machines with CIDs here but the guest's, %d, and the host, %d", from.CID, vsock.Host)
	}
	h, err := g.host.config.Peer(to.CID)
	if err != nil {
		return nil, nil, err
	}
	peer, _ := h.enter()
	if peer == nil {
		return nil, nil, errNoMachine
	}
	other, err := peer.connectFrom(ctx, from, to)
	if err != nil {
		peer.work.Done()
		return nil, nil, err
	}
	return peer, other, nil
}

// connectFrom connects to the guest from another one's address. A connection between the same ports may be about to end: the other
// guest has given it up, and this one has yet to be told.
func (g *guest) connectFrom(ctx context.Context, from, to vsock.Addr) (*vsock.Conn, error) {
	for end := time.Now().Add(requestTime); ; time.Sleep(time.Millisecond) {
		c, err := g.await(ctx, func(notify func()) (*vsock.Conn, error) { return g.device.Connect(from, to, requestTime, notify) })
		if err != vsock.ErrInUse || ctx.Err() != nil || time.Now().After(end) {
			return c, err
		}
	}
}

// splice moves data between two connections until both are over. Each direction ends by itself, and takes no more than the
// other side has room for.
func splice(a, b *vsock.Conn) {
	changed := [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
	notify := func() {
		poke(changed[0])
		poke(changed[1])
	}
	a.Notify(notify)
	b.Notify(notify)
	var work sync.WaitGroup
	work.Go(func() { move(a, b, changed[0]) })
	work.Go(func() { move(b, a, changed[1]) })
	work.Wait()
	a.Close()
	b.Close()
}

// move moves what comes from one connection to the other, until either ends.
func move(from, to *vsock.Conn, changed <-chan struct{}) {
	for {
		err := moveSome(from, to)
		switch {
		case err == nil:
			continue
		case err == vsock.ErrWait && !to.Status().Broken:
			<-changed
			continue
		case err == io.EOF:
			to.Shutdown(vsock.ShutSend)
		case from.Err() != nil:
			to.Reset()
		case to.Err() != nil:
			from.Reset()
		default: // nobody reads
			from.Shutdown(vsock.ShutReceive)
		}
		return
	}
}

// moveSome moves what there is and the other side has room for.
func moveSome(from, to *vsock.Conn) error {
	b := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(b)
	n, err := from.Peek(b[:], 0)
	if err != nil {
		return err
	}
	n, err = to.Write(b[:n])
	from.Discard(n)
	return err
}
