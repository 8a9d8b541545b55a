package mm

import (
	"sync"
	"sync/atomic"
)

// shares counts the page-table entries that map a frame, for frames that have had more than one since a fork. All spaces that
// come of each other have the same shares. Another frame has one entry, and the count 0.
//
// An entry with pteCounted holds one count. It is given back only when no TLB knows its translation any more, so a frame whose
// count is 1 is used through that one entry alone, and who gives the last count back may free the frame.
type shares struct {
	mu     sync.Mutex                    // held while chunks is replaced
	chunks atomic.Pointer[[]*shareChunk] // by physical address, each for shareSpan bytes; nil: none counted there yet
}

// shareChunk is the counts of shareSpan bytes of memory: 1/1024 of it. Chunks are never given back.
type shareChunk [shareSpan / PageSize]atomic.Int32

const shareSpan = 4 << 20

// count returns the count of a frame that has been counted before.
func (s *shares) count(frame PhysAddr) *atomic.Int32 {
	return &(*s.chunks.Load())[frame/shareSpan][frame%shareSpan/PageSize]
}

// begin counts two entries for a frame that had one.
func (s *shares) begin(frame PhysAddr) {
	if c := s.chunks.Load(); c == nil || frame/shareSpan >= PhysAddr(len(*c)) || (*c)[frame/shareSpan] == nil {
		s.grow(int(frame / shareSpan))
	}
	s.count(frame).Store(2)
}

// grow makes the chunk of a number.
func (s *shares) grow(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var grown []*shareChunk
	if c := s.chunks.Load(); c != nil {
		grown = append(grown, *c...)
	}
	for len(grown) <= i {
		grown = append(grown, nil)
	}
	if grown[i] == nil {
		grown[i] = new(shareChunk)
	}
	s.chunks.Store(&grown)
}

// another counts one more entry.
func (s *shares) another(frame PhysAddr) { s.count(frame).Add(1) }

// sole tells whether the frame, which the caller has an entry with a count for, has no other entry.
func (s *shares) sole(frame PhysAddr) bool { return s.count(frame).Load() == 1 }

// end stops counting a frame that has one entry.
func (s *shares) end(frame PhysAddr) { s.count(frame).Store(0) }

// drop gives a count back and tells whether it was the last, so that the frame is the caller's.
func (s *shares) drop(frame PhysAddr) (last bool) { return s.count(frame).Add(-1) == 0 }
