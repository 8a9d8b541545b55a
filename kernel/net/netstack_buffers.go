package net

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Sizes of a connection's buffers, in bytes for each direction.
const (
	defaultBuffer = 128 << 10 // at first; tcp_rmem and tcp_wmem of Linux
	leastBuffer   = 16 << 10  // keeps a connection going: half of it is the window, five full segments

	// initialBuffer is that for the initial window, which is all that has been advertised before the first data.
	initialBuffer = 2 * (2 * tcp.InitialCwnd * 1460)
)

// buffers bounds what TCP connections hold together while memory is tight, by the sizes of the engine's buffers: it advertises what half
// of a receive buffer has room for, and takes from programs what fits a send buffer. So peers and programs wait; otherwise frames that
// the window has asked for would have to be dropped. It is what tcp_mem does on Linux [tcp(7)].
type buffers struct {
	tight func() bool // nil: never
	total int         // for each direction while memory is tight, in bytes; 0: no bound
	most  int         // for one connection
}

// part returns how much each of n connections can have if all have as much.
func (b *buffers) part(n int64) int {
	if b.total == 0 {
		return b.most
	}
	return min(max(b.total/int(max(n, 1)), leastBuffer), b.most)
}

// share returns how large each buffer may be, and whether it is bounded, if there are n connections.
func (b *buffers) share(n int64) (size int, bounded bool) {
	if !is(b.tight) {
		return b.most, false
	}
	size = b.part(n)
	return size, size < b.most
}

// streamBuffers is what is known of the buffers of a connection.
type streamBuffers struct {
	receiveSet, sendSet atomic.Bool  // by the program, whose they are then: they are left alone
	receive             atomic.Int64 // how large the receive buffer was before it was bounded, which is what the program sees
	bounded             atomic.Bool  // the receive buffer is
	sendBounded         atomic.Bool
}

func (s *tcpStream) share() (size int, bounded bool) { return s.n.buffers.share(s.n.streams.Load()) }

// listenSmall has the connections of a listener begin with what the initial window needs, until begin knows better; it is called before
// the engine listens, and what it returns after that.
func (s *tcpStream) listenSmall() (restore func()) {
	ops := s.ep.SocketOptions()
	size := ops.GetReceiveBufferSize()
	if s.buffers.receiveSet.Load() || size <= initialBuffer {
		return func() {}
	}
	ops.SetReceiveBufferSize(initialBuffer, false)
	return func() { ops.SetReceiveBufferSize(size, false) }
}

// begin gives a connection of such a listener the usual buffers, unless there are so many that all would ask for too much at once, or
// so much has come that the window may be shut, which the engine wouldn't notice. Then they grow with
// what comes and goes, if memory isn't tight.
func (s *tcpStream) begin() {
	ops := s.ep.SocketOptions()
	if ops.GetReceiveBufferSize() != initialBuffer {
		return // by SO_RCVBUF of the listener
	}
	s.buffers.receive.Store(defaultBuffer)
	part := s.n.buffers.part(s.n.streams.Load())
	if part < defaultBuffer {
		ops.SetSendBufferSize(int64(max(part, initialBuffer)), false)
	}
	if part >= defaultBuffer && s.readable() < initialBuffer/4 { // half of the window
		ops.SetReceiveBufferSize(defaultBuffer, false)
		return
	}
	s.buffers.bounded.Store(true)
}

// shrinkReceive makes the receive buffer smaller. What has been advertised must have room still [RFC 9293 3.8.6]; the engine doesn't take
// the window back, but would drop what it has no room for.
func (s *tcpStream) shrinkReceive(size int) {
	ops := s.ep.SocketOptions()
	now := ops.GetReceiveBufferSize()
	if now <= int64(size) {
		return
	}
	s.buffers.receive.Store(max(s.buffers.receive.Load(), now))
	s.buffers.bounded.Store(true)
	ops.SetReceiveBufferSize(int64(size), false)
}

// moderate adapts the receive buffer after the program has read n bytes: it becomes smaller by no more than they had, so that the window
// just doesn't move.
func (s *tcpStream) moderate(n int) {
	if s.buffers.receiveSet.Load() {
		return
	}
	share, bounded := s.share()
	size := int(s.ep.SocketOptions().GetReceiveBufferSize())
	if bounded && size >= share {
		s.shrinkReceive(max(share, size-n))
		return
	}
	if !bounded && s.buffers.bounded.Swap(false) {
		s.growAgain(size)
	}
	s.ep.ModerateRecvBuf(n)
}

// growAgain has the engine enlarge a buffer that was bounded when data comes as fast as that lets it. Otherwise it waits for more in a
// round trip than there has ever been. Only ModerateRecvBuf uses the number, under the same lock.
func (s *tcpStream) growAgain(size int) {
	ep, ok := s.ep.(*tcp.Endpoint)
	if !ok {
		return
	}
	ep.LockUser()
	defer ep.UnlockUser()
	ep.RcvAutoParams.PrevCopiedBytes = min(ep.RcvAutoParams.PrevCopiedBytes, size/4)
}

// boundSend adapts the send buffer before the program writes. The engine enlarges it with the congestion window.
func (s *tcpStream) boundSend() {
	if s.buffers.sendSet.Load() {
		return
	}
	ops := s.ep.SocketOptions()
	share, bounded := s.share()
	now := ops.GetSendBufferSize()
	switch {
	case bounded && now > int64(share):
		s.buffers.sendBounded.Store(true)
		ops.SetSendBufferSize(int64(share), false)
	case !bounded && s.buffers.sendBounded.Swap(false):
		ops.SetSendBufferSize(max(now, int64(min(s.n.buffers.part(s.n.streams.Load()), defaultBuffer))), false)
	}
}

// receiveBuffer is how large the receive buffer is for the program: as on Linux, shortage of memory narrows the window, but doesn't show in
// SO_RCVBUF.
func (s *tcpStream) receiveBuffer() int {
	return int(max(s.ep.SocketOptions().GetReceiveBufferSize(), s.buffers.receive.Load()))
}
