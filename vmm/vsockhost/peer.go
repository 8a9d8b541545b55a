package vsockhost

import (
	"errors"
	"io"
	"sync"

	"wick/vsock"
)

// peer returns the other machine with a CID, nil if the guest can't reach one.
func (h *Host) peer(cid uint32) *Host {
	if h.config.Peer == nil {
		return nil
	}
	return h.config.Peer(cid)
}

// requestPeer answers a connection that the guest asks for to another machine: that sees it as coming from the guest.
func (h *Host) requestPeer(c *vsock.Conn) {
	from, to := c.Peer(), c.Local()
	other, err := h.dialPeer(from, to)
	if err != nil {
		h.log.printf("refused the guest's connection to %v: %v", to, err)
		c.Refuse()
		return
	}
	if err := c.Accept(); err != nil {
		other.Reset()
		return
	}
	splice(c, other)
}

func (h *Host) dialPeer(from, to vsock.Addr) (*vsock.Conn, error) {
	p := h.peer(to.CID)
	if p == nil {
		return nil, errors.New("the guest can reach no such machine")
	}
	device := p.device.Load()
	if device == nil {
		return nil, errNoDriver
	}
	return p.await(func(notify func()) (*vsock.Conn, error) { return device.Connect(from, to, requestTime, notify) })
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
