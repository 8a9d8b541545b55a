package linux

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/kernel/mm"
	"wick/kernel/net"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// transferState is what a thread's calls reuse, so that they don't allocate.
type transferState struct {
	buffer  mm.Buffer
	ranges  []mm.Range
	events  []vfs.EpollEvent
	scratch []byte
	poll    pollState
}

// keptScratch is how many bytes of scratch a thread keeps.
const keptScratch = 8 << 10

// scratchBytes returns a buffer of n bytes, with old contents; a small one is the thread's, and the same the next time.
func (s *transferState) scratchBytes(n int) []byte {
	if n > keptScratch {
		return make([]byte, n)
	}
	if cap(s.scratch) < n {
		s.scratch = make([]byte, n)
	}
	return s.scratch[:n]
}

// file returns what is open as the descriptor in an argument, with a reference to be released. It refuses what
// was opened with O_PATH, as most calls do.
func (c *Call) file(arg uint64) (*vfs.OpenFile, error) {
	o, err := c.FDs.Get(int(int32(arg)))
	if err == nil && o.Flags()&unix.O_PATH != 0 {
		o.Release()
		return nil, unix.EBADF
	}
	return o, err
}

// memory prepares the thread's buffer over n bytes of the program at addr.
func (c *Call) memory(addr, n uint64) (*mm.Buffer, error) {
	if int64(n) < 0 {
		return nil, unix.EINVAL
	}
	n = min(n, mm.MaxTransfer)
	if addr > mm.TaskEnd || n > mm.TaskEnd-addr {
		return nil, unix.EFAULT
	}
	c.io.buffer.Reset(c.Space, addr, int(n))
	return &c.io.buffer, nil
}

// vector prepares the thread's buffer over the n struct iovec at addr.
func (c *Call) vector(addr, n uint64) (*mm.Buffer, error) {
	if n > math.MaxInt32 {
		return nil, unix.EINVAL
	}
	ranges, err := c.Space.CopyInRanges(c.io.ranges, addr, int(n))
	if err != nil {
		return nil, err
	}
	c.io.ranges = ranges
	c.io.buffer.ResetRanges(c.Space, ranges)
	return &c.io.buffer, nil
}

func (c *Call) read() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.memory(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	return c.readFile(o, b)
}

func (c *Call) readv() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.vector(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	return c.readFile(o, b)
}

func (c *Call) write() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.memory(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	return c.writeFile(o, b)
}

func (c *Call) writev() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.vector(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	return c.writeFile(o, b)
}

// readFile reads at the position, waiting for something to read unless O_NONBLOCK is set.
func (c *Call) readFile(o *vfs.OpenFile, b *mm.Buffer) (uint64, error) {
	if s, ok := o.File().(*vfs.SignalFD); ok {
		return c.readSignals(o, s, b)
	}
	if s, ok := o.File().(net.Socket); ok && s.RecvLowat() > 1 && b.Len() > 0 {
		m := &c.sock.message
		*m = net.Message{}
		n, err := c.recv(o, s, b, 0)
		releaseAll(m) // nobody asked for files
		return n, err
	}
	n, err := o.Read(b)
	if err != unix.EAGAIN || o.Nonblock() {
		return uint64(n), err
	}
	limit := recvTimeout(o)
	err = vfs.Wait(c.Thread, o.File(), waiter.ReadableEvents, c.until(limit), func() (err error) {
		n, err = o.Read(b)
		return err
	})
	return uint64(n), waitError(err, limit)
}

// writeFile writes at the position, waiting until everything is written unless O_NONBLOCK is set.
func (c *Call) writeFile(o *vfs.OpenFile, b *mm.Buffer) (uint64, error) {
	total, err := writeSome(o, b)
	if err == unix.EAGAIN && !o.Nonblock() {
		limit := sendTimeout(o)
		err = vfs.Wait(c.Thread, o.File(), waiter.WritableEvents, c.until(limit), func() error {
			n, err := writeSome(o, b)
			total += n
			return err
		})
		err = waitError(err, limit)
	}
	if err == unix.EPIPE {
		c.brokenPipe(o, total)
	}
	if total > 0 {
		return total, nil
	}
	return 0, err
}

// writeSome writes as much of b as goes without waiting. What is left in b is not written. The error tells why
// that isn't everything.
func writeSome(o *vfs.OpenFile, b *mm.Buffer) (total uint64, err error) {
	for {
		start := *b
		n, err := o.Write(b)
		if int64(start.Len()-b.Len()) != n {
			*b = start
			b.Skip(int(n))
		}
		total += uint64(n)
		if err != nil || n == 0 || b.Len() == 0 {
			return total, err
		}
	}
}

// brokenPipe raises the SIGPIPE that goes with EPIPE. A pipe raises it also if something was written
// before, a socket doesn't, pipe(7), send(2).
func (c *Call) brokenPipe(o *vfs.OpenFile, written uint64) {
	if _, pipe := vfs.PipeOf(o.File()); !pipe && written > 0 {
		return
	}
	// A signal that is pending already, or ignored, is no error.
	_ = c.Thread.SendInfo(task.Info{Signo: int32(unix.SIGPIPE), Code: task.SiUser})
}

// recvTimeout returns SO_RCVTIMEO of a socket; 0: wait for ever.
func recvTimeout(o *vfs.OpenFile) time.Duration {
	if s, ok := o.File().(interface{ RecvTimeout() time.Duration }); ok {
		return s.RecvTimeout()
	}
	return 0
}

// sendTimeout returns SO_SNDTIMEO of a socket; 0: wait for ever.
func sendTimeout(o *vfs.OpenFile) time.Duration {
	if s, ok := o.File().(interface{ SendTimeout() time.Duration }); ok {
		return s.SendTimeout()
	}
	return 0
}

// until returns the deadline of a wait that may take as long as limit; the zero time if that is 0.
func (c *Call) until(limit time.Duration) time.Time {
	if limit == 0 {
		return time.Time{}
	}
	return c.after(limit)
}

// waitError turns the end of a wait with a socket's timeout into what signal(7) and socket(7) say:
// EAGAIN, and no restart after a signal's handler.
func waitError(err error, limit time.Duration) error {
	switch {
	case err == unix.ETIMEDOUT && limit != 0:
		return unix.EAGAIN
	case err == unix.EINTR && limit != 0:
		return errNoRestart
	}
	return err
}

func (c *Call) pread() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.memory(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	n, err := o.ReadAt(b, int64(c.Args[3]))
	return uint64(n), err
}

func (c *Call) pwrite() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.memory(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	n, err := o.WriteAt(b, int64(c.Args[3]))
	return uint64(n), err
}

// preadv has the position in one register on 64-bit machines; the one after it counts for nothing.
func (c *Call) preadv() (uint64, error) { return c.readvAt(int64(c.Args[3])) }

func (c *Call) pwritev() (uint64, error) { return c.writevAt(int64(c.Args[3])) }

// Flags of preadv2 and pwritev2 that ask for nothing that isn't so anyway.
const rwfHints = unix.RWF_HIPRI | unix.RWF_DSYNC | unix.RWF_SYNC

func (c *Call) preadv2() (uint64, error) {
	if uint32(c.Args[5])&^rwfHints != 0 {
		return 0, unix.EOPNOTSUPP
	}
	if int64(c.Args[3]) == -1 {
		return c.readv()
	}
	return c.readvAt(int64(c.Args[3]))
}

func (c *Call) pwritev2() (uint64, error) {
	if uint32(c.Args[5])&^rwfHints != 0 {
		return 0, unix.EOPNOTSUPP
	}
	if int64(c.Args[3]) == -1 {
		return c.writev()
	}
	return c.writevAt(int64(c.Args[3]))
}

func (c *Call) readvAt(off int64) (uint64, error) {
	if off < 0 {
		return 0, unix.EINVAL
	}
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.vector(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	n, err := o.ReadAt(b, off)
	return uint64(n), err
}

func (c *Call) writevAt(off int64) (uint64, error) {
	if off < 0 {
		return 0, unix.EINVAL
	}
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	b, err := c.vector(c.Args[1], c.Args[2])
	if err != nil {
		return 0, err
	}
	n, err := o.WriteAt(b, off)
	return uint64(n), err
}

func (c *Call) lseek() (uint64, error) {
	o, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer o.Release()
	pos, err := o.Seek(int64(c.Args[1]), int(int32(c.Args[2])))
	return uint64(pos), err
}
