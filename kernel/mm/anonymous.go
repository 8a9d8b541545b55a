package mm

import (
	"io"
	"sync"
)

// anonymous is the memory of a MAP_SHARED area without a file: a SharedBacking, so that it stays shared when the process forks
// or maps it once more. It has the size that was mapped at first; what lies beyond is SIGBUS, as with Linux's /dev/zero.
type anonymous struct {
	machine Machine
	size    int64 // bytes, a multiple of PageSize

	mu     sync.Mutex
	views  map[*View]struct{}        // guarded by mu
	chunks map[int64]*anonymousChunk // guarded by mu; by offset
}

// anonymousChunk is the frames of chunkSpan bytes, 0 where there is none yet.
type anonymousChunk [chunkSpan / PageSize]PhysAddr

const chunkSpan = 512 * PageSize

// attachAnonymous makes the View of new shared memory.
func (s *Space) attachAnonymous(size uint64) *View {
	m := &anonymous{machine: s.machine, size: int64(size), views: make(map[*View]struct{}), chunks: make(map[int64]*anonymousChunk)}
	v := &View{Backing: m, shared: m, space: s}
	m.views[v] = struct{}{}
	return v
}

// frameLocked returns where the frame of the page at off is noted, nil if there is no place yet.
func (m *anonymous) frameLocked(off int64) *PhysAddr {
	if c := m.chunks[off/chunkSpan]; c != nil {
		return &c[off%chunkSpan/PageSize]
	}
	return nil
}

// Frame implements Backing.
func (m *anonymous) Frame(off int64) (PhysAddr, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := m.frameLocked(off); at != nil && *at != 0 {
		return *at, true
	}
	return 0, false
}

// ReadAt implements Backing, for whole pages.
func (m *anonymous) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= m.size {
		return 0, io.EOF
	}
	frame, ok := m.Frame(off)
	if !ok {
		clear(p)
		return len(p), nil
	}
	return copy(p, m.machine.Page(frame)[:]), nil
}

// Page implements SharedBacking.
func (m *anonymous) Page(off int64) (PhysAddr, Outcome) {
	if off < 0 || off >= m.size {
		return 0, BusError
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.frameLocked(off)
	if at == nil {
		m.chunks[off/chunkSpan] = new(anonymousChunk)
		at = m.frameLocked(off)
	}
	if *at == 0 {
		frame, ok := m.machine.AllocFrame()
		if !ok {
			return 0, OutOfMemory
		}
		*at = frame
	}
	return *at, Handled
}

// Attach implements SharedBacking.
func (m *anonymous) Attach(v *View, access Access) (Access, error) {
	m.Inherit(nil, v)
	return access, nil
}

// Inherit implements SharedBacking.
func (m *anonymous) Inherit(_, v *View) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.views[v] = struct{}{}
}

// Detach implements SharedBacking: with the last View the memory goes.
func (m *anonymous) Detach(v *View) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if delete(m.views, v); len(m.views) > 0 {
		return
	}
	for _, c := range m.chunks {
		m.machine.FreeFrames(c.take(0, chunkSpan))
	}
	m.chunks = nil
}

// sole returns how many pages there are if only one space maps them, and else 0.
func (m *anonymous) sole() (pages uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.views) != 1 {
		return 0
	}
	for _, c := range m.chunks {
		for _, frame := range c {
			if frame != 0 {
				pages++
			}
		}
	}
	return pages
}

// take takes the frames from lo to hi, offsets in the chunk, out of it.
func (c *anonymousChunk) take(lo, hi int64) (frames []PhysAddr) {
	for i := lo / PageSize; i < (hi+PageSize-1)/PageSize; i++ {
		if c[i] != 0 {
			frames = append(frames, c[i])
			c[i] = 0
		}
	}
	return frames
}

// Punch implements SharedBacking.
func (m *anonymous) Punch(off, n int64) error {
	end := min(off+n, m.size)
	var gone []PhysAddr
	var views []*View
	m.mu.Lock()
	for at, c := range m.chunks {
		if lo, hi := max(off-at*chunkSpan, 0), min(end-at*chunkSpan, chunkSpan); lo < hi {
			gone = append(gone, c.take(lo, hi)...)
		}
	}
	for v := range m.views {
		views = append(views, v)
	}
	m.mu.Unlock()
	for _, v := range views {
		v.Drop(off, end, false)
	}
	m.machine.FreeFrames(gone)
	return nil
}
