package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/kernel/linux"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

// plainHost is the host's side of a program whose machine has no channel to wick: output goes to the first serial port
// as it is, input is at its end.
type plainHost struct{}

// Stream implements vfs.Console, as do the following.
func (plainHost) Stream(int) vfs.Stream          { return plainStream{} }
func (plainHost) Terminal(int) bool              { return false }
func (plainHost) Size() (rows, columns uint16)   { return 0, 0 }
func (plainHost) SetMode(uint32, uint32, uint32) {}

func (plainHost) output() io.Writer { return os.Stderr }

func (plainHost) dump() (func([]byte) bool, <-chan struct{}) {
	return func(text []byte) bool {
		_, err := os.Stderr.Write(text)
		return err == nil
	}, nil
}

func (plainHost) capture() (func([]byte) bool, <-chan struct{}) { return nil, nil }

func (plainHost) timing() {}

func (plainHost) signals(*linux.Process) {}

func (plainHost) end(s task.Status) {
	if s.Signal != 0 {
		fmt.Fprintf(os.Stderr, "wick: the program was killed by %s\n", task.SignalName(s.Signal))
		return
	}
	fmt.Fprintf(os.Stderr, "wick: the program has ended with status %d\n", s.Code)
}

// plainStream is a stream that never waits.
type plainStream struct{}

// Read implements vfs.Stream: there is no input.
func (plainStream) Read([]byte) (int, error) { return 0, nil }

// Write implements vfs.Stream.
func (plainStream) Write(p []byte) (int, error) {
	n, err := os.Stdout.Write(p)
	if err != nil {
		return n, unix.EIO
	}
	return n, nil
}

// Readiness implements waiter.Waitable.
func (plainStream) Readiness(mask waiter.EventMask) waiter.EventMask {
	return mask & (waiter.ReadableEvents | waiter.WritableEvents)
}

// EventRegister implements waiter.Waitable: nothing ever changes.
func (plainStream) EventRegister(*waiter.Entry) error { return nil }

// EventUnregister implements waiter.Waitable.
func (plainStream) EventUnregister(*waiter.Entry) {}
