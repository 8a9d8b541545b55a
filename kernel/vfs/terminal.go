package vfs

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// termios is the kernel's struct termios2 [asm-generic/termbits.h]; struct termios is the
// part before the speeds.
type termios struct {
	iflag, oflag, cflag, lflag uint32
	line                       uint8
	cc                         [19]uint8
	ispeed, ospeed             uint32
}

// Sizes of termios and termios2 in bytes.
const (
	termiosSize  = 36
	termios2Size = 44
)

// defaultTermios is tty_std_termios of Linux.
var defaultTermios = termios{
	iflag:  unix.ICRNL | unix.IXON,
	oflag:  unix.OPOST | unix.ONLCR,
	cflag:  unix.B38400 | unix.CS8 | unix.CREAD | unix.HUPCL,
	lflag:  unix.ISIG | unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE | unix.IEXTEN,
	cc:     [19]uint8{3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22},
	ispeed: 38400,
	ospeed: 38400,
}

func (t *termios) encode(b []byte) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], t.iflag)
	le.PutUint32(b[4:], t.oflag)
	le.PutUint32(b[8:], t.cflag)
	le.PutUint32(b[12:], t.lflag)
	b[16] = t.line
	copy(b[17:36], t.cc[:])
	if len(b) >= termios2Size {
		le.PutUint32(b[36:], t.ispeed)
		le.PutUint32(b[40:], t.ospeed)
	}
}

func (t *termios) decode(b []byte) {
	le := binary.LittleEndian
	t.iflag, t.oflag, t.cflag, t.lflag = le.Uint32(b[0:]), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])
	t.line = b[16]
	copy(t.cc[:], b[17:36])
	if len(b) >= termios2Size {
		t.ispeed, t.ospeed = le.Uint32(b[36:]), le.Uint32(b[40:])
	}
}

// terminalFile is the program's terminal, opened as descriptors 0 to 2, /dev/console or /dev/tty. The
// host's terminal does all line editing; here bytes only pass. A size that the program sets holds from then
// on, whatever the host's terminal does.
type terminalFile struct {
	opened
	console *console
}

func openConsole(o *opening) (File, error) { return &terminalFile{o.file(), o.node.fs.console}, nil }

func openTTY(o *opening) (File, error) {
	if !o.node.fs.console.terminal() {
		return nil, unix.ENXIO
	}
	return openConsole(o)
}

// IsTerminal tells whether f is the program's terminal.
func IsTerminal(f File) bool {
	_, ok := f.(*terminalFile)
	return ok
}

// Read implements File.
func (t *terminalFile) Read(dst Dst, _ int64) (int64, error) { return t.console.input.read(dst) }

// Write implements File.
func (t *terminalFile) Write(src Src, _ int64) (int64, error) {
	n, err := writeStream(t.console.output(), src)
	if err == unix.EPIPE {
		err = unix.EIO // a terminal that has hung up
	}
	return n, err
}

// Close implements File.
func (t *terminalFile) Close() error { return nil }

// Readiness implements waiter.Waitable.
func (t *terminalFile) Readiness(mask waiter.EventMask) waiter.EventMask {
	return t.console.input.readiness(mask&^waiter.WritableEvents) |
		t.console.output().Readiness(mask&waiter.WritableEvents)
}

// EventRegister implements waiter.Waitable.
func (t *terminalFile) EventRegister(e *waiter.Entry) error {
	t.console.queue.EventRegister(e)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (t *terminalFile) EventUnregister(e *waiter.Entry) { t.console.queue.EventUnregister(e) }

// Ioctl implements Ioctler, see ioctl_tty(2).
func (t *terminalFile) Ioctl(mem Memory, cmd, arg uint64) (uint64, error) {
	c := t.console
	switch cmd {
	case unix.TCGETS, unix.TCGETS2:
		var b [termios2Size]byte
		c.mu.Lock()
		c.termios.encode(b[:])
		c.mu.Unlock()
		if cmd == unix.TCGETS {
			return 0, mem.CopyOut(arg, b[:termiosSize])
		}
		return 0, mem.CopyOut(arg, b[:])
	case unix.TCSETS, unix.TCSETSW, unix.TCSETSF, unix.TCSETS2, unix.TCSETSW2, unix.TCSETSF2:
		return 0, t.setTermios(mem, cmd, arg)
	case unix.TIOCGWINSZ:
		return 0, t.size(mem, arg)
	case unix.TIOCSWINSZ:
		var b [8]byte
		if err := mem.CopyIn(b[:], arg); err != nil {
			return 0, err
		}
		c.mu.Lock()
		c.rows, c.columns = binary.LittleEndian.Uint16(b[0:]), binary.LittleEndian.Uint16(b[2:])
		c.mu.Unlock()
		return 0, nil
	case unix.TIOCGPGRP, unix.TIOCGSID:
		c.mu.Lock()
		id := c.foreground
		if cmd == unix.TIOCGSID {
			id = c.session
		}
		c.mu.Unlock()
		return 0, copyOutInt32(mem, arg, id)
	case unix.TIOCSPGRP:
		var b [4]byte
		if err := mem.CopyIn(b[:], arg); err != nil {
			return 0, err
		}
		c.mu.Lock()
		c.foreground = int32(binary.LittleEndian.Uint32(b[:]))
		c.mu.Unlock()
		return 0, nil
	case unix.TIOCINQ:
		return 0, copyOutInt32(mem, arg, c.input.available())
	case unix.TIOCOUTQ:
		return 0, copyOutInt32(mem, arg, 0)
	case unix.TCFLSH:
		if arg == unix.TCIFLUSH || arg == unix.TCIOFLUSH {
			c.input.flush()
		}
		return 0, nil
	case unix.TCSBRK, unix.TCXONC, unix.TIOCSCTTY:
		return 0, nil // nothing is held back here
	}
	return 0, unix.ENOTTY
}

// setTermios stores the mode and tells the host, whose terminal it is.
func (t *terminalFile) setTermios(mem Memory, cmd, arg uint64) error {
	n := termiosSize
	if cmd == unix.TCSETS2 || cmd == unix.TCSETSW2 || cmd == unix.TCSETSF2 {
		n = termios2Size
	}
	var b [termios2Size]byte
	if err := mem.CopyIn(b[:n], arg); err != nil {
		return err
	}
	c := t.console
	c.mu.Lock()
	c.termios.decode(b[:n])
	mode := c.termios
	c.mu.Unlock()
	if cmd == unix.TCSETSF || cmd == unix.TCSETSF2 {
		c.input.flush()
	}
	c.host.SetMode(mode.iflag, mode.oflag, mode.lflag)
	return nil
}

// size stores the window size, struct winsize.
func (t *terminalFile) size(mem Memory, arg uint64) error {
	c := t.console
	rows, columns := c.host.Size()
	c.mu.Lock()
	if c.rows != 0 || c.columns != 0 {
		rows, columns = c.rows, c.columns
	}
	c.mu.Unlock()
	var b [8]byte
	binary.LittleEndian.PutUint16(b[0:], rows)
	binary.LittleEndian.PutUint16(b[2:], columns)
	return mem.CopyOut(arg, b[:])
}
