// Package virtiotest is a model of virtio devices, for tests of the drivers and of what stands on them: the registers of
// both transports and the device's side of split virtqueues. What a type of device does with its queues is its user's.
//
// It panics if the driver breaks the rules. It can break them itself, as its fields say.
package virtiotest

import (
	"errors"
	"sync"

	"wick/kernel/hw"
)

// Feature bits, status bits and causes of interrupts. The model names them itself, so that a slip of the driver's doesn't
// repeat here.
const (
	Indirect = 1 << 28
	EventIdx = 1 << 29
	Version1 = 1 << 32

	statusDriver     = 1 << 1
	statusDriverOK   = 1 << 2
	statusFeaturesOK = 1 << 3
	statusNeedsReset = 1 << 6
	StatusFailed     = 1 << 7

	causeQueue  = 1 << 0
	causeConfig = 1 << 1
)

// Device is a device with its memory and its interrupt line. It implements hw.Memory and hw.Interrupt; MMIO and PCI
// return its registers. It is safe for concurrent use.
type Device struct {
	Kind     uint32 // type of device
	Features uint64 // that it offers
	Config   []byte // configuration space; to be changed by SetConfig once the driver runs
	Queues   []*Queue

	// What is wrong with the device. To be set before the driver starts.
	StuckReset     bool // the status never reads 0, and a reset does nothing
	RefuseFeatures bool // FEATURES_OK doesn't stay set
	MovingConfig   bool // the generation changes each time that it is read
	// RefuseVector, or nil, tells whether the device has no resources for a vector of a queue, or of the configuration if that
	// is -1. It is called with the model's lock.
	RefuseVector func(queue int, vector uint16) bool

	// Hooks, or nil. They are called without the model's lock, so they may call it.
	OnNotify func(queue int)    // after the driver has notified
	OnUnmask func()             // before the line is unmasked
	OnStatus func(status uint8) // after the driver has written the status
	OnConfig func()             // before the configuration space is read
	// OnBarrier is called by Barrier: what the driver has stored can be seen, and what the device does can be seen by the driver.
	OnBarrier func()

	mu         sync.Mutex
	status     uint8  // guarded by mu
	accepted   uint64 // guarded by mu; features
	generation uint32 // guarded by mu
	selector   struct{ device, driver, queue uint32 }
	memory     []hw.DMA // guarded by mu
	nextAddr   uint64   // guarded by mu

	line       sync.Cond // of mu
	cause      uint8     // guarded by mu; the line is high while it isn't 0
	masked     bool      // guarded by mu
	pending    bool      // guarded by mu; the interrupt has fired and nobody has waited for it
	closed     bool      // guarded by mu
	lose       int       // guarded by mu; interrupts still to be lost
	interrupts int       // guarded by mu
	lineOpen   bool      // guarded by mu; of a function with a line of its own
	messages   *messages // guarded by mu; nil: MSI-X isn't there
}

// ErrClosed is the error of Wait after Close.
var ErrClosed = errors.New("virtiotest: closed")

// New returns a device of a kind with queues of up to so many descriptors.
func New(kind uint32, features uint64, config []byte, queues ...int) *Device {
	d := &Device{Kind: kind, Features: features | Version1, Config: config, nextAddr: firstAddr, masked: true}
	d.line.L = &d.mu
	for i, most := range queues {
		d.Queues = append(d.Queues, &Queue{device: d, index: i, most: most})
	}
	return d
}

// Barrier implements hw.Memory.
func (d *Device) Barrier() {
	if d.OnBarrier != nil {
		d.OnBarrier()
	}
}

// resetLocked does what a reset does.
func (d *Device) resetLocked() {
	d.accepted, d.cause = 0, 0
	if d.messages != nil {
		d.messages.config = noVector
	}
	for _, q := range d.Queues {
		q.resetLocked()
	}
}

func (d *Device) loadStatus() uint8 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.StuckReset && d.status == 0 {
		return statusDriver
	}
	return d.status
}

func (d *Device) storeStatus(v uint8) {
	d.mu.Lock()
	d.status |= v
	switch {
	case v == 0 && !d.StuckReset:
		d.status = 0
		d.resetLocked()
	case v&statusFeaturesOK != 0 && (d.RefuseFeatures || d.accepted&^d.Features != 0):
		d.status &^= statusFeaturesOK
	case v&statusDriverOK != 0 && v&statusFeaturesOK == 0:
		panic("virtiotest: DRIVER_OK without FEATURES_OK")
	}
	d.mu.Unlock()
	if d.OnStatus != nil {
		d.OnStatus(v)
	}
}

// Status returns the device status.
func (d *Device) Status() uint8 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

// Accepted returns the features that the driver has accepted.
func (d *Device) Accepted() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.accepted
}

func (d *Device) loadFeatures() uint32 {
	if d.selector.device > 1 {
		return 0
	}
	return uint32(d.Features >> (32 * d.selector.device))
}

func (d *Device) storeFeatures(v uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.status&statusFeaturesOK != 0 {
		panic("virtiotest: features are changed after FEATURES_OK")
	}
	shift := 32 * d.selector.driver
	d.accepted = d.accepted&^(0xFFFFFFFF<<shift) | uint64(v)<<shift
}

// SetConfig changes the configuration space, and interrupts.
func (d *Device) SetConfig(change func(config []byte)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d.Config)
	d.generation++
	d.raiseLocked(nil)
}

// NeedReset sets DEVICE_NEEDS_RESET, and interrupts.
func (d *Device) NeedReset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status |= statusNeedsReset
	d.raiseLocked(nil)
}

func (d *Device) loadGeneration() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.MovingConfig {
		d.generation++
	}
	return d.generation
}

// loadConfig reads n bytes of the configuration space.
func (d *Device) loadConfig(offset uint32, n int) (v uint32) {
	if d.OnConfig != nil {
		d.OnConfig()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if int(offset)%n != 0 {
		panic("virtiotest: a field of the configuration is read across its bounds")
	}
	for i := range n {
		if at := int(offset) + i; at < len(d.Config) {
			v |= uint32(d.Config[at]) << (8 * i)
		}
	}
	return v
}

// raiseLocked interrupts for a queue, or for the configuration if that is nil.
func (d *Device) raiseLocked(q *Queue) {
	switch {
	case d.useMessagesLocked() && q != nil:
		d.sendLocked(q.vector)
	case d.useMessagesLocked():
		d.sendLocked(d.messages.config)
	case q != nil:
		d.cause |= causeQueue
	default:
		d.cause |= causeConfig
	}
	d.fireLocked()
}

// fireLocked makes the interrupt fire if the line is high and not masked.
func (d *Device) fireLocked() {
	if d.masked || d.cause == 0 {
		return
	}
	if d.lose > 0 {
		d.lose--
		d.cause = 0 // for ever, as a message-signalled one
		return
	}
	d.interrupts++
	d.masked, d.pending = true, true
	d.line.Broadcast()
}

// acknowledge takes causes back.
func (d *Device) acknowledge(cause uint8) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cause &^= cause
}

func (d *Device) loadCause() uint8 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cause
}

// Wait implements hw.Interrupt.
func (d *Device) Wait() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.pending && !d.closed {
		d.line.Wait()
	}
	if d.closed {
		return ErrClosed
	}
	d.pending = false
	return nil
}

// Unmask implements hw.Interrupt.
func (d *Device) Unmask() error {
	if d.OnUnmask != nil {
		d.OnUnmask()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.masked = false
	d.fireLocked()
	return nil
}

// Interrupt fires the interrupt without a cause, as another device on the line would, or the first queue's message.
func (d *Device) Interrupt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.useMessagesLocked() {
		d.sendLocked(d.Queues[0].vector)
		return
	}
	d.masked, d.pending = true, true
	d.line.Broadcast()
}

// LoseInterrupts makes the next n interrupts not arrive.
func (d *Device) LoseInterrupts(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose = n
}

// Interrupts returns how often the interrupt has fired.
func (d *Device) Interrupts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.interrupts
}

// Close ends Wait.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.line.Broadcast()
	return nil
}
