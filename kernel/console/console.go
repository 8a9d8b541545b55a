// Package console is the guest's end of package hostlink: the program's standard streams, the kernel log, the
// packet dump and the exit status, over one byte channel to the host.
//
//	Stream(1), Stream(2), Log ──> queue, in order, nothing lost ──┐
//	TryWrite(Dump) ─────────────> queue; full: refused ───────────┼─> sending goroutine ──> channel
//	TryWrite(Capture) ──────────> queue; full: refused ───────────┘
//	Stream(0) <── buffer <── receiving goroutine <────────────────────────────────────────── channel
//
// What the program writes, what the kernel logs and terminal modes share one queue: they arrive in the order
// in which they happened. The dump gets its share of the channel while the program fills it, and no more.
// Input is bounded by credit: the host sends no more than there is room for.
//
// Console.mu is the only lock; nothing is notified while it is held.
package console

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"

	"wick/hostlink"
)

// Channel is the way to the host. Read and Write wait.
type Channel interface {
	io.ReadWriter
	// Flush waits until what was written has left, or until the deadline, unless that is the zero time.
	Flush(deadline time.Time) error
}

// Config is what a Console needs to know.
type Config struct {
	Terminal [3]bool // whether descriptors 0, 1, 2 are terminals of the host
	Rows     uint16  // size of the terminal at first
	Columns  uint16

	// Signal and Resize, if not nil, are called when the host sends a signal for the program, or
	// another size of the terminal. They run on the receiving goroutine and must not wait.
	Signal func(number uint8)
	Resize func()
	// Ready, if not nil, is called when the host is about to be told that the guest listens, on the sending goroutine.
	Ready func()
}

// Sizes in bytes. The memory of a queue is allocated when it is first used.
const (
	outputSize  = 64 << 10 // as of a pipe on Linux
	dumpSize    = 64 << 10
	captureSize = 64 << 10
	inputSize   = 16 << 10
	chunkSize   = 4 << 10 // payload of a frame; the longest time that one queue waits for another
	outputShare = 8 << 10 // what the program may send while dump or capture wait for one chunk
	pipeBuf     = 4 << 10 // writes up to this size are not split [pipe(7), PIPE_BUF]
)

// ErrEnded says that Exit has been called: nothing more is taken.
var ErrEnded = errors.New("console: the program has ended")

// Console is the guest's end of the channel. It is safe for concurrent use.
type Console struct {
	channel  Channel
	terminal [3]bool
	signal   func(number uint8)
	resize   func()
	ready    func()

	streams [3]Stream

	mu      sync.Mutex
	work    sync.Cond // of mu; there is something to send
	space   sync.Cond // of mu; there is room in output, or err or ended have changed
	output  queue     // guarded by mu, as all that follow are
	dump    queue
	capture queue
	sides   [2]side
	fair    fairness
	modes   *hostlink.Modes // to be sent when there is room; nil: none
	credit  int             // bytes that the host hasn't been told of
	hello   bool            // Ready has been sent
	exit    []byte          // payload of Exit, to be sent last
	ended   bool            // Exit has been called
	err     error           // of the channel; nothing can be sent any more
	drained []chan struct{} // closed when nothing is left to be sent
	input   input
	rows    uint16
	columns uint16
}

// side is what is special of the queues that refuse.
type side struct {
	queue *queue
	room  chan struct{} // has a token after the queue was emptied by a chunk
}

// fairness is whose turn it is.
type fairness struct {
	output int // bytes of output sent since something else was
	side   int // index of the side that is next
}

// New makes the console on a channel, tells the host that the guest listens, and starts to serve it.
func New(channel Channel, c Config) *Console {
	con := newConsole(channel, c)
	go con.send()
	go con.receive()
	return con
}

func newConsole(channel Channel, c Config) *Console {
	con := &Console{
		channel: channel, terminal: c.Terminal, signal: c.Signal, resize: c.Resize, ready: c.Ready,
		output: queue{capacity: outputSize}, dump: queue{capacity: dumpSize}, capture: queue{capacity: captureSize},
		credit: inputSize, rows: c.Rows, columns: c.Columns,
	}
	con.work.L, con.space.L = &con.mu, &con.mu
	con.sides = [2]side{{&con.dump, make(chan struct{}, 1)}, {&con.capture, make(chan struct{}, 1)}}
	for fd := range con.streams {
		con.streams[fd] = Stream{console: con, fd: fd}
	}
	return con
}

// Stream returns the host's end of descriptor 0, 1 or 2.
func (c *Console) Stream(fd int) *Stream { return &c.streams[fd] }

// Terminal tells whether descriptor 0, 1 or 2 is a terminal of the host.
func (c *Console) Terminal(fd int) bool { return c.terminal[fd] }

// Size returns the size of the terminal in characters.
func (c *Console) Size() (rows, columns uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows, c.columns
}

// SetMode tells the host what the program has made of its terminal, in the words of termios(3). It doesn't
// wait: if there is no room, it is sent as soon as there is.
func (c *Console) SetMode(iflag, oflag, lflag uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.modes = &hostlink.Modes{Lflag: lflag, Iflag: iflag, Oflag: oflag}
	c.queueModesLocked()
	c.work.Signal()
}

// queueModesLocked moves modes into the output, if there is room.
func (c *Console) queueModesLocked() {
	if c.modes == nil {
		return
	}
	var payload [12]byte
	p := c.modes.Append(payload[:0])
	if c.output.room(hostlink.TermMode) >= len(p) {
		c.output.push(hostlink.TermMode, p)
		c.modes = nil
	}
}

// queueOf returns the queue for frames of type t, and whether it is for those that wait.
func (c *Console) queueOf(t hostlink.Type) (q *queue, waits bool) {
	switch t {
	case hostlink.Dump:
		return &c.dump, false
	case hostlink.Capture:
		return &c.capture, false
	}
	return &c.output, true
}

// TryWrite takes all of p as bytes of a stream of type t, or, if there is no room for it at once, nothing, and
// then it returns false. p may be 64 KiB long.
func (c *Console) TryWrite(t hostlink.Type, p []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	q, _ := c.queueOf(t)
	if c.ended || c.err != nil || q.room(t) < len(p) {
		return false
	}
	if len(p) > 0 {
		q.push(t, p)
		c.work.Signal()
	}
	return true
}

// Write takes all of p as bytes of a stream of type t: Stdout, Stderr or Log. It waits for room as long as it
// takes; nothing is lost. Its errors are ErrEnded and the channel's.
func (c *Console) Write(t hostlink.Type, p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := len(p)
	for len(p) > 0 {
		if err := c.closedLocked(); err != nil {
			return total - len(p), err
		}
		n := min(c.output.room(t), len(p))
		if n == 0 {
			c.space.Wait()
			continue
		}
		c.output.push(t, p[:n])
		c.work.Signal()
		p = p[n:]
	}
	return total, nil
}

// closedLocked returns why nothing is taken any more, or nil.
func (c *Console) closedLocked() error {
	if c.ended {
		return ErrEnded
	}
	return c.err
}

// Room returns a channel that has a token when TryWrite of Dump or Capture may succeed again.
func (c *Console) Room(t hostlink.Type) <-chan struct{} {
	if t == hostlink.Capture {
		return c.sides[1].room
	}
	return c.sides[0].room
}

// Timing tells the host how long the boot has taken. It doesn't wait: if there is no room, the host isn't told.
func (c *Console) Timing(t hostlink.BootTimes) {
	p := t.Append(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && c.output.room(hostlink.Timing) >= len(p) {
		c.output.push(hostlink.Timing, p)
		c.work.Signal()
	}
}

// Log returns a writer to the kernel log. Its Write waits for room.
func (c *Console) Log() io.Writer { return logWriter{c} }

type logWriter struct{ console *Console }

func (l logWriter) Write(p []byte) (int, error) { return l.console.Write(hostlink.Log, p) }

// Exit takes nothing more, sends what is queued, and then how the program ended. It returns when all of that has
// left the machine, or, with os.ErrDeadlineExceeded, at the deadline, unless that is the zero time:
// the host may take its time to read what the program has written.
func (c *Console) Exit(status hostlink.ExitStatus, deadline time.Time) error {
	c.mu.Lock()
	if !c.ended {
		c.ended = true
		c.exit = status.Append(nil)
		c.work.Signal()
		c.space.Broadcast()
	}
	c.mu.Unlock()
	c.notify(waiter.WritableEvents | waiter.EventErr)
	return c.Flush(deadline)
}

// Flush waits until there is nothing left to send and all has left the machine, or, with
// os.ErrDeadlineExceeded, until the deadline, unless that is the zero time.
func (c *Console) Flush(deadline time.Time) error {
	c.mu.Lock()
	drained := make(chan struct{})
	if c.err == nil {
		c.drained = append(c.drained, drained)
		c.work.Signal()
	} else {
		close(drained)
	}
	c.mu.Unlock()

	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-drained:
	case <-expired:
		return os.ErrDeadlineExceeded
	}
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.channel.Flush(deadline)
}

// notify tells those who wait to write.
func (c *Console) notify(mask waiter.EventMask) {
	c.streams[1].queue.Notify(mask)
	c.streams[2].queue.Notify(mask)
}
