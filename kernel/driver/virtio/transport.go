package virtio

import "wick/kernel/hw"

// Transport is how a device is reached [virtio 4]: PCI or MMIO. It is for one Open.
type Transport interface {
	// Type returns the kind of the device.
	Type() Type
	// Sources returns the interrupts of the device. They are all there, and stay, when the last queue is set up.
	Sources() []Source
	// String says where the device is and how it interrupts.
	String() string

	Status() Status
	SetStatus(s Status) // 0 begins a reset, which is over when Status returns 0

	DeviceFeatures() Features
	SetDriverFeatures(f Features)

	// QueueMax returns how many descriptors queue i may have; 0: there is no such queue.
	QueueMax(i uint16) int
	// SetQueue tells the device where queue i is and makes it live.
	SetQueue(i uint16, q QueueAddress) error
	// Notify tells the device that there are new buffers in queue i.
	Notify(i uint16)

	// Config returns the configuration space of the type of device.
	Config() Config
	// ConfigGeneration changes with the configuration.
	ConfigGeneration() uint32
}

// Source is one of a device's interrupts. Queues and the configuration have one each, or share some.
type Source struct {
	Interrupt hw.Interrupt
	// Acknowledge returns why the device has interrupted, as far as that can be known, and takes the interrupt back. It may be
	// for no reason: other devices can be on the same line.
	Acknowledge func() Cause
}

// Cause says why a device has interrupted [virtio 4.1.4.5, 4.2.2].
type Cause uint8

// Causes of interrupts.
const (
	CauseQueue  Cause = 1 << 0 // the device has used buffers
	CauseConfig Cause = 1 << 1 // the configuration or the device's status has changed
	causeAny          = CauseQueue | CauseConfig
)

// QueueAddress is where the parts of a queue are: physical addresses [virtio 2.7].
type QueueAddress struct {
	Size       int    // descriptors
	Descriptor uint64 // descriptor table
	Driver     uint64 // available ring
	Device     uint64 // used ring
}

// Config is the configuration space of a device, little-endian [virtio 2.5]. Each field is read in its own width, those of
// 64 bits as two halves.
type Config struct {
	Size   int // bytes
	window hw.Window
	offset uint32 // of the space in the window
}

// Uint8 reads a field of 8 bits.
func (c Config) Uint8(offset uint32) uint8 { return c.window.Load8(c.offset + offset) }

// Uint16 reads a field of 16 bits.
func (c Config) Uint16(offset uint32) uint16 { return c.window.Load16(c.offset + offset) }

// Uint32 reads a field of 32 bits.
func (c Config) Uint32(offset uint32) uint32 { return c.window.Load32(c.offset + offset) }

// Uint64 reads a field of 64 bits.
func (c Config) Uint64(offset uint32) uint64 {
	return uint64(c.Uint32(offset)) | uint64(c.Uint32(offset+4))<<32
}

// halves writes both halves of a 64-bit register.
func halves(w hw.Registers, low, high uint32, v uint64) {
	w.Store32(low, uint32(v))
	w.Store32(high, uint32(v>>32))
}

// selected is a feature register that shows 32 bits at a time.
type selected struct{ selector, value uint32 }

func (s selected) load(w hw.Registers) (f Features) {
	for i := range uint32(2) {
		w.Store32(s.selector, i)
		f |= Features(w.Load32(s.value)) << (32 * i)
	}
	return f
}

func (s selected) store(w hw.Registers, f Features) {
	for i := range uint32(2) {
		w.Store32(s.selector, i)
		w.Store32(s.value, uint32(f>>(32*i)))
	}
}
