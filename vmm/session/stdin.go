package session

import (
	"errors"
	"math"
	"sync"
	"syscall"

	"wick/hostlink"
)

// stdinChunk is how much of standard input is read at once, in bytes.
const stdinChunk = 16 << 10

// forwardStdin sends standard input as the guest gives credit for it. Nothing is read before: what
// the program does not read stays for whoever reads the descriptor after wick.
func (s *Session) forwardStdin() {
	var buffers [2][]byte // one is being written while the other is filled
	for i := 0; ; i ^= 1 {
		n := s.credit.wait(stdinChunk)
		if n == 0 {
			return
		}
		if buffers[i] == nil {
			buffers[i] = make([]byte, stdinChunk)
		}
		got, err := s.Stdin.Read(buffers[i][:n])
		if got > 0 {
			s.credit.take(got)
			if !s.out.send(hostlink.Stdin, buffers[i][:got], s.done) {
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, syscall.EIO) && s.terminalStdin():
			// Only the foreground may read the terminal [POSIX 11.1.4]. It may be ours again by now.
			if !s.awaitForeground() {
				return
			}
		default: // the end, or an error: there is nothing more to come
			if !s.out.send(hostlink.StdinEOF, nil, s.done) || !s.terminalStdin() {
				return
			}
		}
	}
}

// terminalStdin tells whether input may come after an end of file: on a terminal, where Ctrl-D
// ends one read and not the file, unless the terminal has been hung up.
func (s *Session) terminalStdin() bool {
	return s.Terminal != nil && s.Terminal.Stdin() && !s.Terminal.HungUp()
}

// credit is how many bytes the guest can take.
type credit struct {
	cond   sync.Cond
	mu     sync.Mutex
	bytes  uint64 // guarded by mu
	closed bool   // guarded by mu
}

func (c *credit) init() { c.cond.L = &c.mu }

func (c *credit) add(n uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes > math.MaxUint64-uint64(n) {
		return
	}
	c.bytes += uint64(n)
	c.cond.Broadcast()
}

func (c *credit) take(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= uint64(n)
}

// wait waits until the guest can take something and returns how much, at most limit; 0 after close.
func (c *credit) wait(limit uint64) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.bytes == 0 && !c.closed {
		c.cond.Wait()
	}
	if c.closed {
		return 0
	}
	return min(c.bytes, limit)
}

func (c *credit) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.cond.Broadcast()
}
