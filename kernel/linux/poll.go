package linux

import (
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// keptPolled is how many descriptors a thread keeps room to poll for, once it has polled so many. If it has no room for them, more than
// fewPolled are polled only while the kernel's memory isn't short: each takes a hundred bytes, and all threads may poll as many as their
// process may have open.
const (
	keptPolled = 256
	fewPolled  = 32
)

// pollState is what a thread's polls reuse.
type pollState struct {
	fds     []byte // the struct pollfd of poll and ppoll
	items   []polled
	entries []waiter.Entry
}

// polled is one descriptor of a poll.
type polled struct {
	file    *vfs.OpenFile // nil: there is nothing to ask
	wanted  waiter.EventMask
	revents waiter.EventMask
}

// scan asks all files and returns how many are ready.
func (s *pollState) scan() (ready int) {
	for i := range s.items {
		it := &s.items[i]
		if it.file != nil {
			it.revents = it.file.File().Readiness(it.wanted) & it.wanted
		}
		if it.revents != 0 {
			ready++
		}
	}
	return ready
}

// release ends the poll: it gives the references back.
func (s *pollState) release() {
	for i := range s.items {
		if o := s.items[i].file; o != nil {
			o.Release()
		}
		s.items[i] = polled{}
	}
	s.items, s.fds = s.items[:0], nil
	if cap(s.items) > keptPolled {
		s.items, s.entries = nil, nil
	}
}

// roomToPoll refuses to poll n descriptors with unix.ENOMEM if that could make the kernel's memory run out.
func (c *Call) roomToPoll(n int) error {
	if n > max(fewPolled, cap(c.io.poll.items)) && c.Kernel.Short != nil && c.Kernel.Short() {
		return unix.ENOMEM
	}
	return nil
}

// register puts an entry into the queue of each file.
func (s *pollState) register(wakeup chan struct{}) error {
	if cap(s.entries) < len(s.items) {
		s.entries = make([]waiter.Entry, len(s.items))
	}
	s.entries = s.entries[:len(s.items)]
	for i := range s.items {
		it := &s.items[i]
		if it.file == nil {
			continue
		}
		s.entries[i].Init(waiter.ChannelNotifier(wakeup), it.wanted)
		if err := it.file.File().EventRegister(&s.entries[i]); err != nil {
			s.unregister(i)
			return err
		}
	}
	return nil
}

// unregister takes the first n entries out again.
func (s *pollState) unregister(n int) {
	for i := range n {
		if o := s.items[i].file; o != nil {
			o.File().EventUnregister(&s.entries[i])
		}
	}
}

// wait polls until something is ready, until the deadline (zero: none; now: don't wait), and returns how
// many files are.
func (c *Call) wait(deadline time.Time, now bool) (int, error) {
	s := &c.io.poll
	n := s.scan()
	if n > 0 || now {
		return n, nil
	}
	if err := s.register(c.Thread.Wakeup()); err != nil {
		return 0, err
	}
	defer s.unregister(len(s.items))
	for {
		// Again after registering: the change may have come in between.
		if n := s.scan(); n > 0 {
			return n, nil
		}
		switch err := c.Thread.Sleep(deadline); err {
		case nil:
		case unix.ETIMEDOUT:
			return s.scan(), nil
		default:
			return 0, err
		}
	}
}

// timeoutMS returns the deadline of a timeout in milliseconds; negative: none.
func (c *Call) timeoutMS(ms int32) (deadline time.Time, now bool) {
	switch {
	case ms < 0:
		return time.Time{}, false
	case ms == 0:
		return time.Time{}, true
	}
	return c.after(time.Duration(ms) * time.Millisecond), false
}

// timeoutSpec returns the deadline of the timespec at addr; 0: none.
func (c *Call) timeoutSpec(addr uint64) (deadline time.Time, now bool, err error) {
	if addr == 0 {
		return time.Time{}, false, nil
	}
	d, err := c.timespec(addr)
	if err != nil || d == 0 {
		return time.Time{}, true, err
	}
	return c.after(d), false, nil
}

// storeLeft stores the time left until the deadline, as Linux's ppoll and pselect6 do. A failure counts
// for nothing.
func (c *Call) storeLeft(addr uint64, deadline time.Time) {
	if addr != 0 && !deadline.IsZero() {
		_ = c.putTimespec(addr, max(0, time.Until(deadline)))
	}
}

// callMask puts the signal mask at addr, of size bytes, in force for this call; 0: the mask stays.
func (c *Call) callMask(addr, size uint64) error {
	if addr == 0 {
		return nil
	}
	if size != sigsetSize {
		return unix.EINVAL
	}
	set, err := c.Space.Uint64(addr)
	if err != nil {
		return err
	}
	c.Thread.SetCallMask(task.Set(set))
	return nil
}

func (c *Call) poll() (uint64, error) {
	if err := c.loadPoll(c.Args[0], c.Args[1]); err != nil {
		return 0, err
	}
	defer c.io.poll.release()
	deadline, now := c.timeoutMS(int32(c.Args[2]))
	return c.finishPoll(c.Args[0], deadline, now)
}

// ppoll is ppoll(2): fds, nfds, timeout, sigmask, sigsetsize.
func (c *Call) ppoll() (uint64, error) {
	deadline, now, err := c.timeoutSpec(c.Args[2])
	if err != nil {
		return 0, err
	}
	if err := c.callMask(c.Args[3], c.Args[4]); err != nil {
		return 0, err
	}
	if err := c.loadPoll(c.Args[0], c.Args[1]); err != nil {
		return 0, err
	}
	defer c.io.poll.release()
	defer c.storeLeft(c.Args[2], deadline)
	return c.finishPoll(c.Args[0], deadline, now)
}

// sizeofPollfd is the size of struct pollfd in bytes: fd (32 bits), events (16), revents (16).
const sizeofPollfd = 8

// pollAlways are the events that need not be asked for.
const pollAlways = waiter.EventErr | waiter.EventHUp

// pollNVAL marks a descriptor that isn't open. No file has it in its readiness.
const pollNVAL = waiter.EventMask(unix.POLLNVAL)

// loadPoll reads n struct pollfd.
func (c *Call) loadPoll(addr, n uint64) error {
	if n > uint64(c.FDs.Limit()) {
		return unix.EINVAL
	}
	if err := c.roomToPoll(int(n)); err != nil {
		return err
	}
	b := c.io.scratchBytes(int(n) * sizeofPollfd)
	if err := c.Space.CopyIn(b, addr); err != nil {
		return err
	}
	s := &c.io.poll
	s.fds = b
	for ; len(b) > 0; b = b[sizeofPollfd:] {
		var it polled
		if fd := int32(le.Uint32(b)); fd >= 0 {
			o, err := c.file(uint64(fd))
			if err != nil {
				it.revents = pollNVAL
			} else {
				it.file = o
				it.wanted = waiter.EventMask(le.Uint16(b[4:])) | pollAlways
			}
		}
		s.items = append(s.items, it)
	}
	return nil
}

// finishPoll waits and stores the results.
func (c *Call) finishPoll(addr uint64, deadline time.Time, now bool) (uint64, error) {
	n, err := c.wait(deadline, now)
	if err != nil {
		return 0, err
	}
	b := c.io.poll.fds
	for i := range c.io.poll.items {
		le.PutUint16(b[i*sizeofPollfd+6:], uint16(c.io.poll.items[i].revents))
	}
	return uint64(n), c.Space.CopyOut(addr, b)
}

// Events that make a descriptor a member of select's sets [fs/select.c].
const (
	selectIn  = waiter.EventIn | waiter.EventRdNorm | waiter.EventHUp | waiter.EventErr | unix.EPOLLRDBAND
	selectOut = waiter.EventOut | waiter.EventWrNorm | waiter.EventErr | unix.EPOLLWRBAND
	selectPri = waiter.EventPri
)

var selectEvents = [3]waiter.EventMask{selectIn, selectOut, selectPri}

// selectFDs is select(2): nfds, readfds, writefds, exceptfds, timeout.
func (c *Call) selectFDs() (uint64, error) {
	var deadline time.Time
	now := false
	if c.Args[4] != 0 {
		d, err := c.timevalLoose(c.Args[4])
		if err != nil {
			return 0, err
		}
		if now = d == 0; !now {
			deadline = c.after(d)
		}
	}
	n, err := c.doSelect(deadline, now)
	if !deadline.IsZero() {
		var b [timevalSize]byte
		encodeTimeval(b[:], max(0, time.Until(deadline)))
		_ = c.Space.CopyOut(c.Args[4], b[:]) // as Linux does; a failure counts for nothing
	}
	return n, err
}

// timevalLoose reads a timeval whose microseconds may be a second or more: select normalizes it.
func (c *Call) timevalLoose(addr uint64) (time.Duration, error) {
	var b [timevalSize]byte
	if err := c.Space.CopyIn(b[:], addr); err != nil {
		return 0, err
	}
	sec, usec := int64(le.Uint64(b[0:])), int64(le.Uint64(b[8:]))
	if usec > 0 {
		sec, usec = sec+usec/1e6, usec%1e6
	}
	return span(sec, usec, 1000)
}

// pselect is pselect6(2): nfds, readfds, writefds, exceptfds, timeout, and the address of a signal set's
// address and size.
func (c *Call) pselect() (uint64, error) {
	deadline, now, err := c.timeoutSpec(c.Args[4])
	if err != nil {
		return 0, err
	}
	if c.Args[5] != 0 {
		var b [16]byte
		if err := c.Space.CopyIn(b[:], c.Args[5]); err != nil {
			return 0, err
		}
		if err := c.callMask(le.Uint64(b[0:]), le.Uint64(b[8:])); err != nil {
			return 0, err
		}
	}
	defer c.storeLeft(c.Args[4], deadline)
	return c.doSelect(deadline, now)
}

// doSelect does the work of select: the sets are those in the arguments 1 to 3.
func (c *Call) doSelect(deadline time.Time, now bool) (uint64, error) {
	n := int(int32(c.Args[0]))
	if n < 0 {
		return 0, unix.EINVAL
	}
	n = min(n, c.FDs.Size())
	if err := c.roomToPoll(n); err != nil {
		return 0, err
	}
	size := (n + 63) / 64 * 8 // bytes of a set
	b := c.io.scratchBytes(3 * size)
	clear(b)
	for i, addr := range c.Args[1:4] {
		if addr != 0 {
			if err := c.Space.CopyIn(b[i*size:(i+1)*size], addr); err != nil {
				return 0, err
			}
		}
		if n%64 != 0 { // what the last word has beyond nfds is neither looked at nor given back
			last := b[(i+1)*size-8:]
			le.PutUint64(last, le.Uint64(last)&(1<<(n%64)-1))
		}
	}
	s := &c.io.poll
	defer s.release()
	for fd := range n {
		var it polled
		for i, events := range selectEvents {
			if b[i*size+fd/8]&(1<<(fd%8)) != 0 {
				it.wanted |= events
			}
		}
		if it.wanted != 0 {
			o, err := c.file(uint64(fd))
			if err != nil {
				return 0, err
			}
			it.file = o
		}
		s.items = append(s.items, it)
	}
	if _, err := c.wait(deadline, now); err != nil {
		return 0, err
	}
	total := uint64(0)
	for fd := range s.items {
		for i, events := range selectEvents {
			at, bit := i*size+fd/8, byte(1)<<(fd%8)
			if b[at]&bit == 0 {
				continue
			}
			if s.items[fd].revents&events != 0 {
				total++
			} else {
				b[at] &^= bit
			}
		}
	}
	for i, addr := range c.Args[1:4] {
		if addr != 0 {
			if err := c.Space.CopyOut(addr, b[i*size:(i+1)*size]); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}
