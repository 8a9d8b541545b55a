package console

import (
	"bytes"
	"io"
	"testing"
	"time"

	"wick/hostlink"
	"wick/kernel/driver/uart"
	"wick/kernel/driver/uart/uarttest"
)

// portHost is the host's end of a model of a serial port.
type portHost struct {
	port *uarttest.Model
	held []byte
}

func (h *portHost) Read(p []byte) (int, error) {
	if len(h.held) == 0 {
		if h.held = h.port.WaitOutput(1); len(h.held) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, h.held)
	h.held = h.held[n:]
	return n, nil
}

func (h *portHost) Write(p []byte) (int, error) {
	h.port.Feed(p)
	return len(p), nil
}

func TestOverSerialPort(t *testing.T) {
	port := uarttest.New(uart.COM2)
	u, err := uart.New(port, uart.COM2, port)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	c := New(u, Config{})
	link := &portHost{port: port}
	h := &host{t: t, frames: hostlink.NewReader(link), out: hostlink.NewWriter(link)}
	h.expect(hostlink.Ready, []byte{hostlink.Version})
	h.expect(hostlink.Credit, hostlink.AppendCredit(nil, inputSize))
	h.send(hostlink.Stdin, text(inputSize, 1))
	h.send(hostlink.StdinEOF, nil)

	// As cat does.
	go func() {
		p := make([]byte, 1000)
		for {
			n, err := readFull(c.Stream(0), p)
			if err := writeAll(c.Stream(1), p[:n]); err != nil {
				t.Error(err)
			}
			if err != nil {
				break
			}
		}
		if err := c.Exit(hostlink.ExitStatus{Number: 7}, time.Time{}); err != nil {
			t.Error(err)
		}
	}()
	got := h.collect()
	if !bytes.Equal(got[hostlink.Stdout], text(inputSize, 1)) {
		t.Errorf("%d bytes came back", len(got[hostlink.Stdout]))
	}
	if status, err := hostlink.ParseExit(got[hostlink.Exit]); err != nil || status.Number != 7 {
		t.Errorf("got %v %v", status, err)
	}
}
