package vfs

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Sizes of pipes in bytes, see pipe(7).
const (
	PipeBuf     = pageSize // writes up to this size are atomic
	PipeSize    = 64 << 10 // capacity of a new pipe
	MaxPipeSize = 1 << 20  // /proc/sys/fs/pipe-max-size
)

// pipe is the buffer between two PipeEnds: a ring of pages, each made when it is first written and kept
// until the pipe is gone. Both ends' readiness is told through one queue.
type pipe struct {
	memory *memory
	queue  waiter.Queue
	ino    uint64
	born   time.Time

	mu      sync.Mutex
	ring    []page // guarded by mu; its pages together are the capacity; nil while nobody has the pipe open
	head    int    // guarded by mu: where the oldest byte is
	n       int    // guarded by mu: bytes held
	readers int    // guarded by mu: open descriptions of the read end
	writers int    // guarded by mu

	everReaders uint64 // guarded by mu: how often the read end has been opened
	everWriters uint64 // guarded by mu

	taken   uint64   // guarded by mu: bytes that have left the ring
	packets []packet // guarded by mu: those of the bytes held that are packets, the oldest first; see pipe_packet.go
	peeked  bool     // guarded by mu: somebody has the oldest bytes, and will say how many are taken; others wait. See Peek
}

// PipeEnd is one end of a pipe, or both, if /proc/self/fd/N of it, or its name, was opened with O_RDWR.
type PipeEnd struct {
	pipe          *pipe
	reads, writes bool
	quietUntil    uint64      // poll(2) tells no end before everWriters has come to this
	packets       atomic.Bool // O_DIRECT: each write is a packet
}

// NewPipe returns the ends of a new pipe.
func (fs *FS) NewPipe() (r, w *PipeEnd) { return newPipe(&fs.memory) }

func newPipe(m *memory) (r, w *PipeEnd) {
	p := &pipe{memory: m, readers: 1, writers: 1, everReaders: 1, everWriters: 1, ino: anonymousInode(), born: time.Now()}
	p.ring = make([]page, PipeSize/pageSize)
	return &PipeEnd{pipe: p, reads: true}, &PipeEnd{pipe: p, writes: true}
}

// joinLocked counts a new end, by the access mode in the flags of open(2): unix.EINVAL for none.
func (e *PipeEnd) joinLocked(flags uint32) error {
	switch flags & unix.O_ACCMODE {
	case unix.O_RDONLY:
		e.reads = true
	case unix.O_WRONLY:
		e.writes = true
	case unix.O_RDWR:
		e.reads, e.writes = true, true
	default:
		return unix.EINVAL
	}
	p := e.pipe
	if p.ring == nil {
		p.ring = make([]page, PipeSize/pageSize)
	}
	if e.reads {
		p.readers++
		p.everReaders++
	}
	if e.writes {
		p.writers++
		p.everWriters++
	}
	return nil
}

// leaveLocked ends what joinLocked has begun. With the last end the bytes go.
func (e *PipeEnd) leaveLocked() {
	p := e.pipe
	if e.reads {
		p.readers--
	}
	if e.writes {
		p.writers--
	}
	if p.readers == 0 && p.writers == 0 {
		p.memory.freePages(p.ring...)
		p.ring, p.head, p.n, p.packets = nil, 0, 0, nil
	}
}

var lastAnonymousInode atomic.Uint64

// anonymousInode numbers the objects that are in no directory: pipes, sockets.
func anonymousInode() uint64 { return lastAnonymousInode.Add(1) }

// Read takes bytes out of the pipe: unix.EAGAIN while it is empty and has writers, 0 at the end.
func (e *PipeEnd) Read(dst Dst, _ int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil
	}
	p := e.pipe
	p.mu.Lock()
	if p.n == 0 || p.peeked {
		wait := p.peeked || p.writers > 0
		p.mu.Unlock()
		if wait {
			return 0, unix.EAGAIN
		}
		return 0, nil
	}
	wasFull := p.fullLocked()
	total, err := p.takeLocked(dst)
	room := wasFull && !p.fullLocked()
	p.mu.Unlock()
	if room {
		p.queue.Notify(waiter.WritableEvents)
	}
	if total > 0 {
		err = nil
	}
	return total, err
}

// takeLocked moves bytes from the ring to dst, up to the end of the first packet. Bytes that dst could not take stay, unless
// they are the rest of a packet.
func (p *pipe) takeLocked(dst Dst) (total int64, err error) {
	left := p.readableLocked()
	for left > 0 && dst.Len() > 0 && err == nil {
		piece := p.pieceLocked(p.head, min(left, dst.Len()))
		var n int
		n, err = dst.Write(piece)
		p.dropLocked(n)
		left -= n
		total += int64(n)
	}
	if err == nil {
		p.dropRestLocked()
	}
	return total, err
}

// pieceLocked returns bytes of the ring in place: from the position on, n or as many as are in one page, which
// must have been made.
func (p *pipe) pieceLocked(position, n int) []byte {
	in := position % pageSize
	return p.ring[position/pageSize].bytes[in:min(in+n, pageSize)]
}

// dropLocked forgets the n oldest bytes.
func (p *pipe) dropLocked(n int) {
	p.n -= n
	p.taken += uint64(n)
	p.dropPacketsLocked()
	p.head = (p.head + n) % p.capacityLocked()
	if p.n == 0 {
		p.head = 0 // so that a pipe that never holds much needs one page only
	}
}

func (p *pipe) capacityLocked() int { return len(p.ring) * pageSize }

// Write puts bytes into the pipe: all of them if there are PipeBuf or fewer, else as many as there is room
// for, or as fit into a packet; unix.EAGAIN if that is none, unix.EPIPE without a reader (the caller raises SIGPIPE), unix.ENOMEM.
func (e *PipeEnd) Write(src Src, _ int64) (int64, error) {
	want := src.Len()
	if want == 0 {
		return 0, nil
	}
	p := e.pipe
	p.mu.Lock()
	if p.readers == 0 {
		p.mu.Unlock()
		return 0, unix.EPIPE
	}
	packet := e.packets.Load()
	if packet {
		want = min(want, PipeBuf)
	}
	room := p.roomLocked()
	if room == 0 || want <= PipeBuf && room < want {
		p.mu.Unlock()
		return 0, unix.EAGAIN
	}
	n, err := p.makeLocked(min(room, want))
	if err != nil && (n == 0 || want <= PipeBuf) {
		p.mu.Unlock()
		return 0, err
	}
	total, err := p.putLocked(src, n)
	if packet {
		p.endPacketLocked(int(total))
	}
	p.mu.Unlock()
	if total > 0 {
		// Each write tells, not only the one that ends emptiness: programs with edge-triggered
		// epoll rely on it, as they could with Linux's pipes (pipe_write, poll_usage).
		p.queue.Notify(waiter.ReadableEvents)
		err = nil
	}
	return total, err
}

// makeLocked makes the pages that n more bytes need, and returns for how many bytes there are pages: fewer, and
// unix.ENOMEM, if one can't be had.
func (p *pipe) makeLocked(n int) (int, error) {
	start := p.head + p.n
	for position := start; position < start+n; position += pageSize - position%pageSize {
		slot := &p.ring[position/pageSize%len(p.ring)]
		if slot.bytes != nil {
			continue
		}
		made, err := p.memory.newPage()
		if err != nil {
			return position - start, err
		}
		*slot = made
	}
	return n, nil
}

// putLocked moves n bytes, for which there are room and pages, from src into the ring.
func (p *pipe) putLocked(src Src, n int) (total int64, err error) {
	for n > 0 && err == nil {
		var got int
		got, err = src.Read(p.pieceLocked((p.head+p.n)%p.capacityLocked(), n))
		p.n += got
		n -= got
		total += int64(got)
		if got == 0 {
			break
		}
	}
	return total, err
}

// fullLocked tells whether writers must wait. As on Linux, a pipe counts as writable when an atomic
// write of PipeBuf bytes would succeed.
func (p *pipe) fullLocked() bool { return p.roomLocked() < PipeBuf }

// Readiness tells POLLIN, POLLHUP of the read end; POLLOUT, POLLERR of the write end, see poll(2).
func (e *PipeEnd) Readiness(mask waiter.EventMask) waiter.EventMask {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	var ready waiter.EventMask
	if e.reads {
		if p.n > 0 && !p.peeked {
			ready |= waiter.ReadableEvents
		}
		if p.writers == 0 && p.everWriters >= e.quietUntil {
			ready |= waiter.EventHUp
		}
	}
	if e.writes {
		if !p.fullLocked() {
			ready |= waiter.WritableEvents
		}
		if p.readers == 0 {
			ready |= waiter.EventErr
		}
	}
	return ready & (mask | waiter.EventErr | waiter.EventHUp)
}

// EventRegister implements waiter.Waitable.
func (e *PipeEnd) EventRegister(entry *waiter.Entry) error {
	e.pipe.queue.EventRegister(entry)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (e *PipeEnd) EventUnregister(entry *waiter.Entry) { e.pipe.queue.EventUnregister(entry) }

// Close closes this end. The other one sees the end of the file, or a broken pipe.
func (e *PipeEnd) Close() error {
	p := e.pipe
	p.mu.Lock()
	e.leaveLocked()
	p.mu.Unlock()
	p.queue.Notify(waiter.EventHUp | waiter.EventErr | waiter.ReadableEvents | waiter.WritableEvents)
	return nil
}

// Reopen opens the pipe again, as open(2) of /proc/self/fd/N does.
func (e *PipeEnd) Reopen(flags uint32) (File, error) {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	end := &PipeEnd{pipe: p}
	if err := end.joinLocked(flags); err != nil {
		return nil, err
	}
	return end, nil
}

// Stat implements File.
func (e *PipeEnd) Stat() (unix.Stat_t, error) {
	st := anonymousStat(unix.S_IFIFO|0o600, e.pipe.ino)
	st.Mtim = timespec(e.pipe.born)
	st.Atim, st.Ctim = st.Mtim, st.Mtim
	return st, nil
}

// Path is the name in /proc/self/fd.
func (e *PipeEnd) Path() string { return anonymousName("pipe", e.pipe.ino) }

// Capacity returns how many bytes the pipe can hold (F_GETPIPE_SZ).
func (e *PipeEnd) Capacity() int {
	e.pipe.mu.Lock()
	defer e.pipe.mu.Unlock()
	return e.pipe.capacityLocked()
}

// SetCapacity sets the capacity to size rounded up to a power of two of pages (F_SETPIPE_SZ) and returns it.
func (e *PipeEnd) SetCapacity(size int) (int, error) {
	if size < 0 || size > 1<<31-1 {
		return 0, unix.EINVAL
	}
	capacity := PipeBuf
	for capacity < size {
		capacity *= 2
	}
	if capacity > MaxPipeSize {
		return 0, unix.EPERM
	}
	p := e.pipe
	p.mu.Lock()
	if capacity < p.n || capacity/pageSize < len(p.packets) {
		p.mu.Unlock()
		return 0, unix.EBUSY
	}
	wasFull := p.fullLocked()
	err := p.moveLocked(capacity)
	room := wasFull && !p.fullLocked()
	p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if room {
		p.queue.Notify(waiter.WritableEvents)
	}
	return capacity, nil
}

// moveLocked moves the bytes held, which may be packets, to a new ring.
func (p *pipe) moveLocked(capacity int) error {
	moved := pipe{memory: p.memory, ring: make([]page, capacity/pageSize)}
	if _, err := moved.makeLocked(p.n); err != nil {
		p.memory.freePages(moved.ring...)
		return err
	}
	for at := 0; at < p.n; {
		b := Bytes(p.pieceLocked((p.head+at)%p.capacityLocked(), p.n-at))
		n, _ := moved.putLocked(&b, len(b)) // there is room, and the kernel's memory doesn't fault
		at += int(n)
	}
	p.memory.freePages(p.ring...)
	p.ring, p.head, p.n = moved.ring, 0, moved.n
	return nil
}

// Ioctl answers FIONREAD: the bytes in the pipe.
func (e *PipeEnd) Ioctl(mem Memory, cmd, arg uint64) (uint64, error) {
	if cmd != unix.TIOCINQ {
		return 0, unix.ENOTTY
	}
	e.pipe.mu.Lock()
	n := e.pipe.n
	e.pipe.mu.Unlock()
	return 0, copyOutInt32(mem, arg, int32(n))
}
