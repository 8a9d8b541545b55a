package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"wick/bundle"
	"wick/kernel/ground"
	"wick/kernel/net"
	"wick/kernel/tap"
	"wick/packet"
)

// watch is what looks on at the card and the vsock device: the packet dump, and the capture.
type watch struct {
	dump, capture *tap.Queue // nil if nobody has asked for it
	side, sockets *tap.Side  // of the card and the vsock device; nil if nobody looks on
	card          atomic.Pointer[card]
}

// Names in the dump and in captures: of the card, and of the vsock device.
const (
	cardName    = "e0"
	socketsName = "v0"
)

// The memory for packets that wait to be captured: a share of the kernel's, so that bursts are captured whole that come
// faster than the channel to the host takes them.
const (
	minCapture   = 256 << 10
	maxCapture   = 8 << 20
	captureShare = 8 // of the kernel's memory
)

// startWatch starts what the configuration asks for. description is that of the card, "" if there is none.
func (k *kernel) startWatch(description string) (*watch, error) {
	w := new(watch)
	var queues []*tap.Queue
	start := time.Now() // of both, so that their times agree
	c := &k.bundle.Config
	if c.Dump != "" {
		mode, err := dumpMode(c.Dump)
		if err != nil {
			return nil, err
		}
		write, room := k.host.dump()
		w.dump = tap.New(tap.Config{Interface: cardName, Sockets: socketsName, Mode: mode, Start: start, Write: write, Room: room})
		queues = append(queues, w.dump)
	}
	if c.Capture {
		write, room := k.host.capture()
		if write == nil {
			return nil, errors.New("a capture needs wick at the other end, and there is only a serial port")
		}
		w.capture = tap.New(captureConfig(c, description, start, write, room, w.missed))
		queues = append(queues, w.capture)
	}
	if len(queues) > 0 {
		both := tap.NewWatch(queues...)
		w.side, w.sockets = both.Card(), both.Sockets()
	}
	return w, nil
}

func captureConfig(c *bundle.Config, description string, start time.Time, write func([]byte) bool, room <-chan struct{}, missed func() uint64) tap.Config {
	config := tap.Config{
		Description: description, Format: tap.Capture, Start: start, Write: write, Room: room, Missed: missed, SnapLen: int(c.SnapLen),
	}
	if description != "" {
		config.Interface = cardName
	}
	if hasVsock() {
		config.Sockets = socketsName
	}
	_, memory := ground.KernelMemory()
	config.Fit(int(min(max(memory/captureShare, minCapture), maxCapture)))
	return config
}

// dumpMode translates the mode of the configuration.
func dumpMode(name string) (packet.Mode, error) {
	switch name {
	case "line":
		return packet.Line, nil
	case "full":
		return packet.Full, nil
	}
	return 0, fmt.Errorf("packet dump %q: want line or full", name)
}

// tap returns what the card is to tell of its frames, nil if nobody looks on.
func (w *watch) tap() func(packet.Frame) {
	if w.side == nil {
		return nil
	}
	return w.side.Tap
}

// judge returns what the stack is to tell of the frames that it gets, nil if nobody looks on.
func (w *watch) judge() net.Judge {
	if w.side == nil {
		return nil
	}
	return w.side
}

// watch says which card it is.
func (w *watch) watch(c *card) { w.card.Store(c) }

// missed returns how many frames the card has lost.
func (w *watch) missed() uint64 {
	if c := w.card.Load(); c != nil {
		return c.missed()
	}
	return 0
}

// watchPatience is how long the end of the run waits for a host that takes none of the packets that are still to be shown.
const watchPatience = 10 * time.Second

// end shows and captures what is left, and tells of what is missing.
func (w *watch) end(log func(string, ...any)) {
	if w.dump != nil {
		if n := w.dump.Close(watchPatience); n > 0 {
			log("... %d packets not shown", n)
		}
	}
	if w.capture == nil {
		return
	}
	unsaid := w.capture.Close(watchPatience)
	seen, missing := w.capture.Counts()
	if missing += unsaid; missing > 0 {
		log("wick: the capture lacks %d of %d packets: they came faster than the host took them (--snaplen makes room for more)", missing, seen)
	}
}
