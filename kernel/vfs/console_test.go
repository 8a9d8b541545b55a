package vfs

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// hostConsole is a Console for tests.
type hostConsole struct {
	streams  [3]hostStream
	terminal [3]bool
	modes    [][3]uint32
}

// hostStream keeps what is written and gives what input holds.
type hostStream struct {
	waiter.Queue
	input  []byte
	eof    bool
	output []byte
	room   int
}

func (s *hostStream) Read(p []byte) (int, error) {
	if len(s.input) == 0 {
		if s.eof {
			return 0, nil
		}
		return 0, unix.EAGAIN
	}
	n := copy(p, s.input)
	s.input = s.input[n:]
	return n, nil
}

func (s *hostStream) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	if n == 0 {
		return 0, unix.EAGAIN
	}
	s.room -= n
	s.output = append(s.output, p[:n]...)
	return n, nil
}

func (s *hostStream) Readiness(mask waiter.EventMask) (ready waiter.EventMask) {
	if len(s.input) > 0 {
		ready |= waiter.ReadableEvents
	}
	if s.room > 0 {
		ready |= waiter.WritableEvents
	}
	return ready & mask
}

func (s *hostStream) EventRegister(e *waiter.Entry) error {
	s.Queue.EventRegister(e)
	return nil
}

func (c *hostConsole) Stream(fd int) Stream { return &c.streams[fd] }
func (c *hostConsole) Terminal(fd int) bool { return c.terminal[fd] }
func (c *hostConsole) Size() (r, w uint16)  { return 25, 80 }
func (c *hostConsole) SetMode(i, o, l uint32) {
	c.modes = append(c.modes, [3]uint32{i, o, l})
}

// testMemory is program memory from address 0x1000 on.
type testMemory []byte

func (m testMemory) at(va uint64, n int) []byte {
	if va < 0x1000 || va-0x1000+uint64(n) > uint64(len(m)) {
		return nil
	}
	return m[va-0x1000:][:n]
}

func (m testMemory) CopyIn(dst []byte, va uint64) error {
	src := m.at(va, len(dst))
	if src == nil {
		return unix.EFAULT
	}
	copy(dst, src)
	return nil
}

func (m testMemory) CopyOut(va uint64, src []byte) error {
	dst := m.at(va, len(src))
	if dst == nil {
		return unix.EFAULT
	}
	copy(dst, src)
	return nil
}

func TestStdioAsPipes(t *testing.T) {
	host := &hostConsole{}
	host.streams[0].input = []byte("hello")
	host.streams[1].room = 8
	table := newTestFS(t, Options{Console: host}).NewTable()
	in, _ := table.Get(0)
	out, _ := table.Get(1)
	for fd := range 3 {
		o, _ := table.Get(fd)
		st, _ := o.File().Stat()
		if st.Mode&unix.S_IFMT != unix.S_IFIFO {
			t.Errorf("descriptor %d: mode %o", fd, st.Mode)
		}
		if _, err := o.File().(Ioctler).Ioctl(make(testMemory, 100), unix.TCGETS, 0x1000); err != unix.ENOTTY {
			t.Errorf("descriptor %d: TCGETS = %v", fd, err)
		}
		if _, err := o.Seek(0, 1); err != unix.ESPIPE {
			t.Errorf("descriptor %d: seek = %v", fd, err)
		}
	}
	mem := make(testMemory, 100)
	if _, err := in.File().(Ioctler).Ioctl(mem, unix.TIOCINQ, 0x1000); err != nil || binary.LittleEndian.Uint32(mem) != 5 {
		t.Errorf("FIONREAD: %v, %d", err, binary.LittleEndian.Uint32(mem))
	}
	if n, err := in.Read(&faultyDst{room: 10, good: 2}); n != 2 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
	if got := in.File().Readiness(waiter.AllEvents); got != waiter.ReadableEvents {
		t.Errorf("readiness %#x", got)
	}
	buf := make([]byte, 10)
	b := Bytes(buf)
	if n, err := in.Read(&b); n != 3 || string(buf[:3]) != "llo" || err != nil {
		t.Errorf("read: %d, %v, %q", n, err, buf)
	}
	if _, err := in.Read(&b); err != unix.EAGAIN {
		t.Errorf("read of nothing: %v", err)
	}
	host.streams[0].eof = true
	if n, err := in.Read(&b); n != 0 || err != nil {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	if _, err := in.Write(&b); err != unix.EBADF {
		t.Errorf("write of descriptor 0: %v", err)
	}
	if _, err := out.Read(&b); err != unix.EBADF {
		t.Errorf("read of descriptor 1: %v", err)
	}
	b = Bytes("0123456789")
	if n, err := out.Write(&b); n != 8 || err != nil {
		t.Errorf("write: %d, %v; want 8", n, err)
	}
	b = Bytes("89")
	if _, err := out.Write(&b); err != unix.EAGAIN {
		t.Errorf("write without room: %v", err)
	}
	if string(host.streams[1].output) != "01234567" {
		t.Errorf("the host got %q", host.streams[1].output)
	}
}

func TestStdioAsTerminal(t *testing.T) {
	host := &hostConsole{terminal: [3]bool{true, true, true}}
	host.streams[1].room = 100
	fs := newTestFS(t, Options{Console: host})
	table := fs.NewTable()
	paths := fs.NewPaths()
	paths.SetProcess(&ProcessInfo{PID: 1, FDs: table})
	o, _ := table.Get(2)
	if o.Flags()&unix.O_ACCMODE != unix.O_RDWR {
		t.Errorf("flags %#x", o.Flags())
	}
	write(t, o, "to the screen")
	if string(host.streams[1].output) != "to the screen" {
		t.Errorf("the host got %q", host.streams[1].output)
	}
	st, _ := o.File().Stat()
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		t.Errorf("mode %o", st.Mode)
	}
	// ttyname(3) compares what the link of /proc leads to with fstat.
	if n, err := paths.Lookup(nil, "/proc/self/fd/2", true); err != nil || n.Stat().Rdev != st.Rdev {
		t.Errorf("/proc/self/fd/2: %v", err)
	}
	mem := make(testMemory, 100)
	ioctl := func(cmd uint64) {
		t.Helper()
		if _, err := o.File().(Ioctler).Ioctl(mem, cmd, 0x1000); err != nil {
			t.Errorf("ioctl %#x: %v", cmd, err)
		}
	}
	ioctl(unix.TIOCGPGRP)
	if group := binary.LittleEndian.Uint32(mem); group != 1 {
		t.Errorf("foreground process group %d", group)
	}
	ioctl(unix.TIOCGWINSZ)
	if rows, columns := binary.LittleEndian.Uint16(mem), binary.LittleEndian.Uint16(mem[2:]); rows != 25 || columns != 80 {
		t.Errorf("size %d, %d", rows, columns)
	}
	ioctl(unix.TCGETS)
	lflag := binary.LittleEndian.Uint32(mem[12:])
	if lflag&(unix.ICANON|unix.ECHO) != unix.ICANON|unix.ECHO {
		t.Errorf("lflag %#x", lflag)
	}
	binary.LittleEndian.PutUint32(mem[12:], lflag&^(unix.ICANON|unix.ECHO))
	ioctl(unix.TCSETSW)
	if len(host.modes) != 1 || host.modes[0][2] != lflag&^(unix.ICANON|unix.ECHO) {
		t.Errorf("the host was told %#x", host.modes)
	}
	clear(mem)
	ioctl(unix.TCGETS2)
	if got := binary.LittleEndian.Uint32(mem[12:]); got != lflag&^(unix.ICANON|unix.ECHO) {
		t.Errorf("lflag %#x", got)
	}
	tty := mustOpen(t, paths, "/dev/tty", unix.O_RDWR)
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents)
	tty.File().EventRegister(&entry)
	host.streams[0].input = []byte("typed")
	host.streams[0].Notify(waiter.ReadableEvents)
	<-ready
	tty.File().EventUnregister(&entry)
	buf := make([]byte, 10)
	b := Bytes(buf)
	if n, err := tty.Read(&b); n != 5 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
	if _, err := o.File().(Ioctler).Ioctl(mem, unix.TCGETS, 5); err != unix.EFAULT {
		t.Errorf("TCGETS to nowhere: %v", err)
	}
}
