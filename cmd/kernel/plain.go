package main

import (
	"os"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/kernel/vfs"
)

// plainHost is the host's side of a program whose machine has no channel to wick: output goes to the first serial port
// as it is, input is at its end.
type plainHost struct{}

func (plainHost) Stream(int) vfs.Stream          { return plainStream{} }
func (plainHost) Terminal(int) bool              { return false }
func (plainHost) Size() (rows, columns uint16)   { return 0, 0 }
func (plainHost) SetMode(uint32, uint32, uint32) {}

type plainStream struct{}

// Readiness implements waiter.Waitable: a plain stream is always ready.
func (plainStream) Readiness(mask waiter.EventMask) waiter.EventMask {
	return mask & (waiter.ReadableEvents | waiter.WritableEvents)
}

// EventRegister implements waiter.Waitable: nothing ever changes.
func (plainStream) EventRegister(*waiter.Entry) error { return nil }

// EventUnregister implements waiter.Waitable.
func (plainStream) EventUnregister(*waiter.Entry) {}

func (plainStream) Read([]byte) (int, error) { return 0, nil }

func (plainStream) Write(p []byte) (int, error) {
	n, err := os.Stdout.Write(p)
	if err != nil {
		return n, unix.EIO
	}
	return n, nil
}
