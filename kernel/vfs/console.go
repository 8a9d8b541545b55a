package vfs

import (
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Stream is the host's end of one of the program's descriptors 0 to 2. No method waits.
type Stream interface {
	// Read gives bytes that have come: unix.EAGAIN if there are none yet, 0 at the end. Descriptor 0 only.
	Read(p []byte) (int, error)
	// Write takes bytes, as many as there is room for: unix.EAGAIN if that is none, unix.EPIPE if the host
	// has closed its end. Descriptors 1 and 2 only.
	Write(p []byte) (int, error)
	waiter.Waitable
}

// Console is the host's side of the program's descriptors.
type Console interface {
	Stream(fd int) Stream               // of descriptor 0, 1 or 2
	Terminal(fd int) bool               // whether it is a terminal of the host; if not it behaves as a pipe
	Size() (rows, columns uint16)       // of the terminal
	SetMode(iflag, oflag, lflag uint32) // the program has set these of its terminal, termios(3)
}

// console is what the kernel keeps of the program's descriptors and terminal.
type console struct {
	host  Console
	input input
	inode [3]uint64 // of the pipes

	queue    waiter.Queue    // of the terminal: what both streams tell
	forwards [2]waiter.Entry // in the queues of the streams

	mu            sync.Mutex
	termios       termios // guarded by mu
	rows, columns uint16  // guarded by mu: set by TIOCSWINSZ; 0: what the host says
	foreground    int32   // guarded by mu: process group, 0: not known yet
	session       int32   // guarded by mu: whose terminal it is, that of the first process
}

func newConsole(host Console) *console {
	if host == nil {
		host = noConsole{}
	}
	c := &console{host: host, termios: defaultTermios}
	c.input.stream = host.Stream(0)
	for fd := range c.inode {
		c.inode[fd] = anonymousInode()
	}
	if c.terminal() {
		for i, s := range []Stream{c.input.stream, c.output()} {
			c.forwards[i].Init(c, waiter.AllEvents)
			if err := s.EventRegister(&c.forwards[i]); err != nil {
				panic(err) // streams are the kernel's own and take entries
			}
		}
	}
	return c
}

// NotifyEvent implements waiter.EventListener: a stream of the terminal tells of a change.
func (c *console) NotifyEvent(mask waiter.EventMask) { c.queue.Notify(mask) }

// setForeground makes the process group that of the terminal, unless the program has set one.
func (c *console) setForeground(group int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.foreground == 0 {
		c.foreground, c.session = int32(group), int32(group)
	}
}

// Foreground returns the process group that the terminal belongs to; 0: there is no terminal.
func (fs *FS) Foreground() int {
	c := fs.console
	if !c.terminal() {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.foreground)
}

// output returns the stream on which the terminal is written: that of the first descriptor that is one.
func (c *console) output() Stream {
	for fd := 1; fd <= 2; fd++ {
		if c.host.Terminal(fd) {
			return c.host.Stream(fd)
		}
	}
	return c.host.Stream(2)
}

// terminal tells whether any descriptor is a terminal.
func (c *console) terminal() bool {
	return c.host.Terminal(0) || c.host.Terminal(1) || c.host.Terminal(2)
}

// NewTable returns the descriptor table of the first process, with descriptors 0 to 2 open.
func (fs *FS) NewTable() *Table {
	t := NewTable()
	t.max = fs.maxFDs
	var terminal *OpenFile
	for fd := range 3 {
		var o *OpenFile
		switch {
		case !fs.console.host.Terminal(fd):
			flags := uint32(unix.O_WRONLY)
			if fd == 0 {
				flags = unix.O_RDONLY
			}
			o = NewOpenFile(&stdioPipe{console: fs.console, fd: fd}, flags)
		case terminal != nil:
			terminal.Retain() // one description for all, as of a login shell
			o = terminal
		default:
			terminal = NewOpenFile(&terminalFile{fs.openedConsole(), fs.console}, unix.O_RDWR)
			o = terminal
		}
		if err := t.Dup(o, fd, false); err != nil {
			panic(err) // an empty table has room for three
		}
	}
	return t
}

// openedConsole returns /dev/console as if it had been opened, whatever the program has made of /dev.
func (fs *FS) openedConsole() opened {
	const name = "console"
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	return opened{fs.dev.entries[name].node.(*Special), fs.dev, name}
}

// input buffers what the stream of descriptor 0 gives, so that nothing is lost when the
// program's memory can't take it.
type input struct {
	stream Stream

	mu   sync.Mutex
	held []byte // guarded by mu: not read yet, part of buf
	buf  []byte // guarded by mu
}

const inputBufferSize = 16 << 10

// fillLocked gets bytes from the stream if none are held. 0 with a nil error is the end.
func (in *input) fillLocked() error {
	if len(in.held) > 0 {
		return nil
	}
	if in.buf == nil {
		in.buf = make([]byte, inputBufferSize)
	}
	n, err := in.stream.Read(in.buf)
	in.held = in.buf[:n]
	if n > 0 {
		return nil
	}
	return err
}

func (in *input) read(dst Dst) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.fillLocked(); err != nil || len(in.held) == 0 {
		return 0, err
	}
	n, err := dst.Write(in.held[:min(len(in.held), dst.Len())])
	in.held = in.held[n:]
	if n > 0 {
		err = nil
	}
	return int64(n), err
}

// available returns how many bytes can be read at once (FIONREAD).
func (in *input) available() int32 {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.fillLocked() // an error shows at the next read
	return int32(len(in.held))
}

// flush forgets what has come (TCIFLUSH).
func (in *input) flush() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.held = nil
	for {
		if err := in.fillLocked(); err != nil || len(in.held) == 0 {
			return
		}
		in.held = nil
	}
}

func (in *input) readiness(mask waiter.EventMask) waiter.EventMask {
	in.mu.Lock()
	held := len(in.held) > 0
	in.mu.Unlock()
	ready := in.stream.Readiness(mask)
	if held {
		ready |= mask & waiter.ReadableEvents
	}
	return ready
}

// writeStream sends src to a stream.
func writeStream(s Stream, src Src) (total int64, err error) {
	bounce := newBounce()
	defer freeBounce(bounce)
	for err == nil && src.Len() > 0 {
		var got, n int
		got, err = src.Read(bounce[:min(src.Len(), len(bounce))])
		for n < got {
			m, werr := s.Write(bounce[n:got])
			n += m
			if m == 0 && werr == nil {
				werr = unix.EAGAIN
			}
			if werr != nil {
				err = werr
				break
			}
		}
		total += int64(n)
	}
	if total > 0 {
		err = nil
	}
	return total, err
}

// stdioPipe is a descriptor 0 to 2 that is no terminal: as the end of a pipe to the host.
type stdioPipe struct {
	console *console
	fd      int
}

// Read implements File.
func (s *stdioPipe) Read(dst Dst, _ int64) (int64, error) { return s.console.input.read(dst) }

// Write implements File.
func (s *stdioPipe) Write(src Src, _ int64) (int64, error) {
	return writeStream(s.console.host.Stream(s.fd), src)
}

// Stat implements File.
func (s *stdioPipe) Stat() (unix.Stat_t, error) {
	return anonymousStat(unix.S_IFIFO|0o600, s.console.inode[s.fd]), nil
}

// Readiness implements waiter.Waitable.
func (s *stdioPipe) Readiness(mask waiter.EventMask) waiter.EventMask {
	if s.fd == 0 {
		return s.console.input.readiness(mask &^ waiter.WritableEvents)
	}
	return s.console.host.Stream(s.fd).Readiness(mask &^ waiter.ReadableEvents)
}

// EventRegister implements waiter.Waitable.
func (s *stdioPipe) EventRegister(e *waiter.Entry) error {
	return s.console.host.Stream(s.fd).EventRegister(e)
}

// EventUnregister implements waiter.Waitable.
func (s *stdioPipe) EventUnregister(e *waiter.Entry) {
	s.console.host.Stream(s.fd).EventUnregister(e)
}

// Close implements File. The host sees the end of the stream when the program ends.
func (s *stdioPipe) Close() error { return nil }

// Reopen implements Reopener.
func (s *stdioPipe) Reopen(flags uint32) (File, error) {
	write := flags&unix.O_ACCMODE != unix.O_RDONLY
	if write == (s.fd == 0) {
		return nil, unix.EACCES // the other end is the host's
	}
	return &stdioPipe{s.console, s.fd}, nil
}

// Path is the name in /proc/self/fd.
func (s *stdioPipe) Path() string { return anonymousName("pipe", s.console.inode[s.fd]) }

// Ioctl answers FIONREAD.
func (s *stdioPipe) Ioctl(mem Memory, cmd, arg uint64) (uint64, error) {
	if cmd != unix.TIOCINQ {
		return 0, unix.ENOTTY
	}
	var n int32
	if s.fd == 0 {
		n = s.console.input.available()
	}
	return 0, copyOutInt32(mem, arg, n)
}

// noConsole is a host that gives nothing and takes everything.
type noConsole struct{}

func (noConsole) Stream(int) Stream            { return noStream{} }
func (noConsole) Terminal(int) bool            { return false }
func (noConsole) Size() (rows, columns uint16) { return 0, 0 }
func (noConsole) SetMode(_, _, _ uint32)       {}

type noStream struct{ alwaysReady }

func (noStream) Read([]byte) (int, error)    { return 0, nil }
func (noStream) Write(p []byte) (int, error) { return len(p), nil }
