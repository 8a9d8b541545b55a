package tap

import (
	"sync"
	"time"

	"wick/packet"
)

// Watch gives the frames of a card and of a vsock device to several queues, to all in the same order, with the same
// numbers and times.
type Watch struct {
	queues []*Queue
	mu     sync.Mutex // held while queues are given something
}

// NewWatch makes a Watch; there is at least one queue.
func NewWatch(queues ...*Queue) *Watch { return &Watch{queues: queues} }

// Card returns the side of the network card, Sockets that of the vsock device.
func (w *Watch) Card() *Side { return &Side{watch: w, link: packet.LinkEthernet} }

// Sockets returns the side of the vsock device.
func (w *Watch) Sockets() *Side { return &Side{watch: w, link: packet.LinkVsock} }

// Side is a Watch as a driver, and the stack above it, see it. Received frames are told of to Tap first, when nothing has
// been done with them; then comes Settle, from the same goroutine.
type Side struct {
	watch *Watch
	link  packet.Link
	held  uint64 // guarded by watch.mu; the number of the frame that was received last
}

// Tap takes a frame, as the drivers' hooks do.
func (s *Side) Tap(f packet.Frame) {
	hold := f.Direction == packet.Receive && f.Drop == ""
	w := s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now() // of all, so that they tell the same
	var number uint64
	for _, q := range w.queues {
		number = q.tap(&f, now, hold)
	}
	if hold {
		s.held = number
	}
}

// Settle tells what has become of the frame that was received last: why it was dropped, "" if it wasn't. It returns its
// number, for Dropped.
func (s *Side) Settle(drop string) (number uint64) {
	w := s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.queues {
		q.settle(s.link, drop)
	}
	return s.held
}

// Dropped tells that a frame was dropped after it had been settled as if it weren't.
func (s *Side) Dropped(number uint64, drop string) {
	w := s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.queues {
		q.dropped(s.link, number, drop)
	}
}
