// Package virtio is what drivers of virtio devices have in common: negotiation, configuration, interrupts and split
// virtqueues, by "Virtual I/O Device (VIRTIO) Version 1.2", cited as [virtio]. Devices of before version 1 are refused.
//
//	driver (virtionet, …)     Queue.Add, Publish, Take             Device.Serve, ReadConfig
//	this package              Queue: rings in DMA memory           Device: status, features
//	                          Transport: PCI or MMIO registers, interrupts
//
// A driver takes a device over like this:
//
//	d, err := virtio.Open(transport, memory, choose) // reset, negotiate
//	q, err := d.NewQueue(0, virtio.QueueConfig{…})   // for each of its queues
//	err = d.Start()                                  // the device is live
//	err = d.Serve(func(config bool) error { … })     // after each interrupt, until the end
//	err = d.Reset()                                  // the device reaches for no memory any more
//
// Nothing that a device says is believed unchecked: what it returns must be what it was given. A queue that it has
// corrupted fails with a *QueueError and stays failed; the driver then resets the device.
//
// Methods of a Queue need a lock of its user's. Those of a Device are safe for concurrent use once it has started.
package virtio

import (
	"errors"
	"fmt"
	"strconv"

	"wick/kernel/hw"
)

// Type is the kind of a device [virtio 5].
type Type uint32

// Types of devices.
const (
	TypeNetwork Type = 1
	TypeConsole Type = 3
	TypeEntropy Type = 4
	TypeVsock   Type = 19
)

// String returns the name of a type, or its number.
func (t Type) String() string {
	switch t {
	case TypeNetwork:
		return "network card"
	case TypeConsole:
		return "console"
	case TypeEntropy:
		return "entropy source"
	case TypeVsock:
		return "socket device"
	}
	return "type " + strconv.Itoa(int(t))
}

// Features are feature bits [virtio 2.2]. Bits 0 to 23, and from 50, are of the type of device.
type Features uint64

// Feature bits of all types of devices [virtio 6].
const (
	FeatureIndirect       Features = 1 << 28 // VIRTIO_F_INDIRECT_DESC
	FeatureEventIdx       Features = 1 << 29 // VIRTIO_F_EVENT_IDX
	FeatureVersion1       Features = 1 << 32 // VIRTIO_F_VERSION_1
	FeatureAccessPlatform Features = 1 << 33 // VIRTIO_F_ACCESS_PLATFORM: addresses are those of the bus, and so without an IOMMU physical
)

// coreFeatures are what this package accepts, whatever the driver chooses.
const coreFeatures = FeatureIndirect | FeatureEventIdx | FeatureVersion1 | FeatureAccessPlatform

// Has tells whether all of some features are there.
func (f Features) Has(some Features) bool { return f&some == some }

// Status is the device status field [virtio 2.1].
type Status uint8

// Bits of the device status field.
const (
	StatusAcknowledge Status = 1 << 0 // the device has been noticed
	StatusDriver      Status = 1 << 1 // there is a driver for it
	StatusDriverOK    Status = 1 << 2 // the driver is ready
	StatusFeaturesOK  Status = 1 << 3 // features have been negotiated
	StatusNeedsReset  Status = 1 << 6 // the device has met an error that it can't recover from
	StatusFailed      Status = 1 << 7 // the driver has given up
)

// Errors of a device. Some come wrapped, with numbers.
var (
	ErrLegacy       = errors.New("virtio: the device is of before version 1")
	ErrFeatures     = errors.New("virtio: the device does not accept the features")
	ErrReset        = errors.New("virtio: the reset does not end")
	ErrNeedsReset   = errors.New("virtio: the device says that it needs a reset")
	ErrConfigSize   = errors.New("virtio: the configuration space is too small")
	ErrConfigMoving = errors.New("virtio: the configuration changes faster than it can be read")
)

// maxPolls is how often a register is read before the device counts as broken. A read takes about a microsecond or more.
const maxPolls = 100_000

// Device is a device that a driver has taken over.
type Device struct {
	transport Transport
	memory    hw.Memory
	features  Features
}

// Open resets the device and negotiates features [virtio 3.1.1]: those that choose returns of what the device offers, nil
// standing for none, and those of this package. It becomes live with Start, when the driver has made its queues. If the
// driver can't go on, it calls Fail.
func Open(t Transport, memory hw.Memory, choose func(offered Features) Features) (*Device, error) {
	d := &Device{transport: t, memory: memory}
	if err := d.Reset(); err != nil {
		return nil, err
	}
	d.setStatus(StatusAcknowledge)
	d.setStatus(StatusDriver)
	if err := d.negotiate(choose); err != nil {
		d.Fail()
		return nil, err
	}
	return d, nil
}

func (d *Device) negotiate(choose func(offered Features) Features) error {
	offered := d.transport.DeviceFeatures()
	if !offered.Has(FeatureVersion1) {
		return ErrLegacy
	}
	d.features = offered & coreFeatures
	if choose != nil {
		d.features |= offered & choose(offered)
	}
	d.transport.SetDriverFeatures(d.features)
	d.setStatus(StatusFeaturesOK)
	if d.transport.Status()&StatusFeaturesOK == 0 {
		return fmt.Errorf("%w %#x of those offered, %#x", ErrFeatures, uint64(d.features), uint64(offered))
	}
	return nil
}

// setStatus sets one more bit; the driver never clears one but by a reset [virtio 2.1.1].
func (d *Device) setStatus(bit Status) { d.transport.SetStatus(d.transport.Status() | bit) }

// Features returns the features that have been negotiated.
func (d *Device) Features() Features { return d.features }

// Start makes the device live.
func (d *Device) Start() error {
	d.setStatus(StatusDriverOK)
	if d.transport.Status()&StatusNeedsReset != 0 {
		return ErrNeedsReset
	}
	return nil
}

// Fail tells the device that the driver has given up on it.
func (d *Device) Fail() { d.setStatus(StatusFailed) }

// Reset resets the device, so that it touches no memory, sends no interrupt and has no queues any more [virtio 2.4].
func (d *Device) Reset() error {
	d.transport.SetStatus(0)
	for range maxPolls {
		if d.transport.Status() == 0 {
			return nil
		}
	}
	return ErrReset
}

// ReadConfig calls read with the configuration space, of which it must have size bytes at least, until no change came in
// between [virtio 2.5.1]: read may be called more than once. What it reads at offset size or behind may panic.
func (d *Device) ReadConfig(size int, read func(c Config)) error {
	c := d.transport.Config()
	if c.Size < size {
		return fmt.Errorf("%w: %d bytes, want %d", ErrConfigSize, c.Size, size)
	}
	for range maxPolls {
		before := d.transport.ConfigGeneration()
		read(c)
		if d.transport.ConfigGeneration() == before {
			return nil
		}
	}
	return ErrConfigMoving
}
