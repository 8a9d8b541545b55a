package vhosttest

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"wick/vsock"
)

// Guest is a guest whose driver behaves: the guest's end of a vsock device.
type Guest struct {
	*vsock.Endpoint
	*FrontEnd

	ready chan struct{}
	stop  chan struct{}
	work  sync.WaitGroup
	Sent  [256]int // packets by operation, valid after Halt
}

// NewGuest starts a guest with a vsock device at the other end of conn. It ends with the test, or by Halt.
func NewGuest(t testing.TB, conn *net.UnixConn, cid uint32, features uint64, change func(*vsock.Config)) *Guest {
	t.Helper()
	g := &Guest{FrontEnd: New(t, conn, 2, 16), ready: make(chan struct{}, 1)}
	config := vsock.Config{
		Addressed: func(from, to uint32) bool { return to == cid },
		Ready:     g.kick,
	}
	if change != nil {
		change(&config)
	}
	g.Endpoint = vsock.New(config)
	g.Handshake()
	g.Run(features)
	t.Cleanup(g.Halt)
	return g
}

// Run starts the device and the driver.
func (g *Guest) Run(features uint64) {
	g.T.Helper()
	g.stop = make(chan struct{})
	g.Start(features | Version1 | Protocol)
	g.work.Go(g.receive)
	g.work.Go(g.transmit)
	g.kick()
}

// Halt ends the driver and resets the device. It may be called again.
func (g *Guest) Halt() {
	if g.stop == nil {
		return
	}
	close(g.stop)
	for _, q := range g.Queues {
		q.Call.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	g.work.Wait()
	g.stop = nil
	g.Stop()
	g.Abort()
}

func (g *Guest) kick() {
	select {
	case g.ready <- struct{}{}:
	default:
	}
}

// stopped tells whether the driver is to end.
func (g *Guest) stopped() bool {
	select {
	case <-g.stop:
		return true
	default:
		return false
	}
}

// await waits for a chain that the device has given back; false means that the driver is to end.
func (g *Guest) await(q *Queue) (head uint16, written uint32, ok bool) {
	for !g.stopped() {
		q.WantInterrupt()
		if head, written, ok = q.Used(); ok {
			return head, written, true
		}
		q.Call.Read(make([]byte, 8))
	}
	return 0, 0, false
}

func (g *Guest) receive() {
	q := g.Queues[0]
	const size = 4096 + vsock.HeaderSize
	for i := range q.Size {
		q.Desc(i, q.Buffer(i), size, Write, 0)
		q.Offer(i)
	}
	for {
		head, n, ok := g.await(q)
		if !ok {
			return
		}
		packet := bytes.Clone(g.Memory[q.Buffer(head):][:n])
		h, err := vsock.ParseHeader(packet)
		if err != nil || int(h.Len) != len(packet)-vsock.HeaderSize {
			g.T.Errorf("a packet of %d bytes: %+v, %v", n, h, err)
		}
		g.Input(&h, packet[vsock.HeaderSize:])
		q.Offer(head)
	}
}

// transmit sends what there is; header and data are in buffers of their own, as Linux has them.
func (g *Guest) transmit() {
	q := g.Queues[1]
	free := make([]uint16, 0, q.Size)
	for i := uint16(0); i < q.Size; i += 2 {
		free = append(free, i)
	}
	for {
		for len(free) > 0 {
			i := free[len(free)-1]
			header := g.Memory[q.Buffer(i):][:vsock.HeaderSize]
			n, err := g.Output(header, g.Memory[q.Buffer(i+1):][:vsock.MaxData])
			if err != nil {
				g.T.Error(err)
			}
			if n == 0 {
				break
			}
			h, _ := vsock.ParseHeader(header)
			g.Sent[h.Op&255]++
			free = free[:len(free)-1]
			flags := uint16(Next)
			if n == vsock.HeaderSize {
				flags = 0
			}
			q.Desc(i, q.Buffer(i), vsock.HeaderSize, flags, i+1)
			q.Desc(i+1, q.Buffer(i+1), uint32(n-vsock.HeaderSize), 0, 0)
			q.Offer(i)
		}
		if len(free) > 0 {
			select {
			case <-g.ready:
			case <-g.stop:
				return
			}
		} else if head, _, ok := g.await(q); ok {
			free = append(free, head)
		} else {
			return
		}
		for {
			head, _, ok := q.Used()
			if !ok {
				break
			}
			free = append(free, head)
		}
	}
}
