package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"wick/bundle"
	"wick/hostlink"
	"wick/kernel/console"
	"wick/kernel/driver/uart"
	"wick/kernel/driver/virtio"
	"wick/kernel/driver/virtioconsole"
	"wick/kernel/ground"
	"wick/kernel/hw"
	"wick/kernel/linux"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// host is wick, or whoever has started the machine.
type host interface {
	vfs.Console
	// output takes the kernel log.
	output() io.Writer
	// dump returns where lines of the packet dump go; room, if not nil, tells when there is place again.
	dump() (write func(text []byte) bool, room <-chan struct{})
	// capture returns the same for bytes of a capture; nil if there is nobody to take one.
	capture() (write func(b []byte) bool, room <-chan struct{})
	// signals has the host's signals delivered to the first process, or to whom its terminal belongs.
	signals(p *linux.Process)
	// timing tells how long the boot has taken until now.
	timing()
	// end tells how the program ended, when all it wrote has been sent.
	end(s task.Status)
}

// com2Line is the interrupt line of the second serial port, on which wick listens.
const com2Line = 3

// portPatience is how long the host may take to tell of the port of its virtio device. It does so at once, unless there is no
// port of ours.
const portPatience = 10 * time.Second

// openHost opens the channel to wick, or, where there is none, the plain serial port.
func openHost(c *bundle.Config) (host, error) {
	channel, err := openChannel()
	if err != nil {
		return nil, err
	}
	if channel == nil {
		return plainHost{}, nil
	}
	h := new(wickHost)
	h.Console = console.New(channel, console.Config{
		Terminal: c.Terminal, Rows: c.Rows, Columns: c.Columns, Signal: h.signal, Resize: h.resize,
		Ready: func() { h.ready.Store(ground.Uptime()) },
	})
	return h, nil
}

// openChannel returns the way to wick: a port of a virtio device, or the second serial port; nil if there is neither.
func openChannel() (console.Channel, error) {
	for _, d := range virtioDevices() {
		if d.kind != virtio.TypeConsole {
			continue
		}
		port, err := openPort(d)
		switch {
		case err == nil:
			return port, nil
		case errors.Is(err, virtioconsole.ErrNoPort), errors.Is(err, virtioconsole.ErrNoPorts): // somebody else's
		default:
			return nil, err
		}
	}
	interrupt, err := hw.OpenInterrupt(com2Line, hw.Edge)
	if err != nil {
		return nil, err
	}
	port, err := uart.New(machine{}, uart.COM2, interrupt)
	if err != nil {
		return nil, interrupt.Close()
	}
	return port, nil
}

func openPort(d *virtioDevice) (*virtioconsole.Port, error) {
	transport, err := d.open()
	if err != nil {
		return nil, err
	}
	return virtioconsole.New(virtioconsole.Config{Transport: transport, Memory: machine{}, Name: hostlink.PortName}, portPatience)
}

// wickHost is wick at the other end of a channel of typed frames.
type wickHost struct {
	*console.Console
	program atomic.Pointer[linux.Process]
	ready   atomic.Uint64 // what ground.Uptime was when the host was about to be told that the guest listens
}

// Stream implements vfs.Console.
func (h *wickHost) Stream(fd int) vfs.Stream { return h.Console.Stream(fd) }

func (h *wickHost) output() io.Writer { return h.Log() }

func (h *wickHost) dump() (func([]byte) bool, <-chan struct{}) {
	return func(text []byte) bool { return h.TryWrite(hostlink.Dump, text) }, h.Room(hostlink.Dump)
}

func (h *wickHost) capture() (func([]byte) bool, <-chan struct{}) {
	return func(b []byte) bool { return h.TryWrite(hostlink.Capture, b) }, h.Room(hostlink.Capture)
}

func (h *wickHost) timing() { h.Timing(bootTimes(began, h.ready.Load())) }

func (h *wickHost) signals(p *linux.Process) { h.program.Store(p) }

// signal passes a signal of the host on. One that comes before the program runs is wick's matter.
func (h *wickHost) signal(number uint8) {
	if p := h.program.Load(); p != nil {
		p.SignalFromHost(unix.Signal(number))
	}
}

func (h *wickHost) resize() { h.signal(uint8(unix.SIGWINCH)) }

// endPatience is how long the host may take to read what the program has written.
const endPatience = 5 * time.Minute

func (h *wickHost) end(s task.Status) {
	status := hostlink.ExitStatus{Number: uint32(s.Code)}
	if s.Signal != 0 {
		status = hostlink.ExitStatus{Signalled: true, Number: uint32(s.Signal)}
	}
	if err := h.Exit(status, time.Now().Add(endPatience)); err != nil {
		fmt.Fprintln(os.Stderr, "wick: kernel: the exit status did not reach the host:", err)
	}
}
