package e1000

import (
	"errors"
	"testing"

	"wick/kernel/driver/e1000/e1000test"
)

// closableModel is a model whose interrupt can be closed, as an interrupt file can.
type closableModel struct{ *e1000test.Model }

func (m closableModel) Close() error {
	m.Model.Close()
	return nil
}

// TestStop checks that when Stop returns, what the card had received has been handed on, and nothing is sent any more.
func TestStop(t *testing.T) {
	m := e1000test.New(testMAC)
	d := start(t, m, func(c *Config) { c.Interrupt = closableModel{m} })
	received := attach(d)
	if err := d.Transmit(frame(60, 1)); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		deliver(t, m, frame(60, i))
	}
	d.Stop()
	if n := len(received); n != 5 {
		t.Errorf("%d frames were handed on, want 5", n)
	}
	if err := d.Transmit(frame(60, 2)); !errors.Is(err, ErrStopped) {
		t.Errorf("Transmit after Stop: %v", err)
	}
	if sent, refused := counter(d, TxFrames), counter(d, TxStopped); sent != 1 || refused != 1 {
		t.Errorf("%d frames sent and %d refused, want 1 and 1", sent, refused)
	}
}
