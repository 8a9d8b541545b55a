package console

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/hostlink"
)

// input is what has come for the program's standard input.
type input struct {
	bytes []byte // a ring of inputSize bytes, allocated with the first one
	head  int    // index of the first byte
	used  int    // bytes
	freed int    // bytes read by the program of which the host hasn't been told

	// Ends of file that the program has not seen, as the number of bytes to be read before each. On
	// a terminal more may come after one, in a pipe nothing does.
	ends   []int
	closed bool // nothing more will come
}

// maxEnds bounds how many ends of file wait to be read.
const maxEnds = 16

// receive is the receiving goroutine.
func (c *Console) receive() {
	reader := hostlink.NewReader(c.channel)
	for {
		frame, err := reader.Next()
		var format *hostlink.FormatError
		switch {
		case err == nil:
			err = c.handle(frame)
		case errors.As(err, &format):
		default:
			c.closeInput()
			return
		}
		if err != nil {
			// Not Write: this goroutine must not wait for the host.
			c.TryWrite(hostlink.Log, []byte(err.Error()+"\n"))
		}
	}
}

// handle does what a frame of the host says.
func (c *Console) handle(f hostlink.Frame) error {
	switch f.Type {
	case hostlink.Stdin:
		return c.putInput(f.Payload)
	case hostlink.StdinEOF:
		c.endInput()
	case hostlink.Signal:
		number, err := hostlink.ParseSignal(f.Payload)
		if err == nil && c.signal != nil {
			c.signal(number)
		}
		return err
	case hostlink.WinSize:
		window, err := hostlink.ParseWinSize(f.Payload)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.rows, c.columns = window.Rows, window.Columns
		c.mu.Unlock()
		if c.resize != nil {
			c.resize()
		}
	default:
		return errors.New("console: the host sent a frame of the guest's: " + f.Type.String())
	}
	return nil
}

// putInput stores bytes of standard input. More than the host had credit for is not taken.
func (c *Console) putInput(p []byte) error {
	c.mu.Lock()
	in := &c.input
	if in.closed {
		c.mu.Unlock()
		return nil
	}
	if in.bytes == nil {
		in.bytes = make([]byte, inputSize)
	}
	n := min(len(p), inputSize-in.used)
	tail := (in.head + in.used) % inputSize
	first := copy(in.bytes[tail:], p[:n])
	copy(in.bytes, p[first:n])
	in.used += n
	c.mu.Unlock()
	if n > 0 {
		c.streams[0].queue.Notify(waiter.ReadableEvents)
	}
	if n < len(p) {
		return errors.New("console: the host sent " + strconv.Itoa(len(p)-n) + " bytes of input more than it had credit for; they are lost")
	}
	return nil
}

// endInput marks the end of standard input after what has come so far.
func (c *Console) endInput() {
	c.mu.Lock()
	in := &c.input
	if !c.terminal[0] {
		in.closed = true
	} else if !in.closed && len(in.ends) < maxEnds {
		in.ends = append(in.ends, in.used)
	}
	c.mu.Unlock()
	c.notifyEnd()
}

// closeInput marks the end of all input.
func (c *Console) closeInput() {
	c.mu.Lock()
	c.input.closed = true
	c.mu.Unlock()
	c.notifyEnd()
}

func (c *Console) notifyEnd() {
	c.streams[0].queue.Notify(waiter.ReadableEvents | waiter.EventHUp | waiter.EventRdHUp)
}

// readInput gives the program what there is, up to the next end of file.
func (c *Console) readInput(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := &c.input
	available := in.used
	if len(in.ends) > 0 {
		available = in.ends[0]
	}
	n := min(len(p), available)
	switch {
	case len(p) == 0:
		return 0, nil
	case n > 0:
	case len(in.ends) > 0:
		in.ends = in.ends[1:]
		return 0, nil
	case in.closed:
		return 0, nil
	default:
		return 0, unix.EAGAIN
	}
	first := copy(p[:n], in.bytes[in.head:])
	copy(p[first:n], in.bytes)
	in.head = (in.head + n) % inputSize
	in.used -= n
	for i := range in.ends {
		in.ends[i] -= n
	}
	// The host always has half of the buffer to go on with, or is told of the other half.
	if in.freed += n; in.freed >= inputSize/2 {
		c.credit += in.freed
		in.freed = 0
		c.work.Signal()
	}
	return n, nil
}

// inputReadiness returns what a read would find.
func (c *Console) inputReadiness() (ready waiter.EventMask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := &c.input
	if in.used > 0 || len(in.ends) > 0 {
		ready |= waiter.ReadableEvents
	}
	if in.closed {
		ready |= waiter.EventHUp
	}
	return ready
}
