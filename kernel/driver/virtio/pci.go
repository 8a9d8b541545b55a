package virtio

import (
	"errors"
	"fmt"

	"wick/kernel/hw"
	"wick/kernel/hw/pci"
)

// Identity of virtio devices on PCI [virtio 4.1.2].
const (
	pciVendorID          uint16 = 0x1AF4
	pciTransitionalFirst uint16 = 0x1000 // also has an interface of before version 1; the type is in the subsystem ID
	pciTransitionalLast  uint16 = 0x103F
	pciModernFirst       uint16 = 0x1040 // plus the type
	pciModernLast        uint16 = 0x107F
)

// Errors of NewPCI.
var (
	ErrCapability = errors.New("virtio: PCI capability missing or out of its bounds")
	ErrNotifyAt   = errors.New("virtio: place of a queue's notifications out of bounds")
)

// pciCapability is the ID of the capabilities that say where a device has its registers [virtio 4.1.4].
//
//	 31        24 23        16 15         8 7          0
//	+------------+------------+------------+------------+
//	|  cfg_type  |  cap_len   |  cap_next  |  cap_vndr  |
//	+------------+------------+------------+------------+
//	|          padding        |     id     |    bar     |
//	+-------------------------+------------+------------+
//	|                offset in the BAR                  |
//	+---------------------------------------------------+
//	|                length                             |
//	+---------------------------------------------------+
//	|  notify_off_multiplier, in pciNotifyCfg only      |
//	+---------------------------------------------------+
const pciCapability uint8 = 0x09

// pciCfg is the type of such a capability.
type pciCfg uint8

const (
	pciCommonCfg pciCfg = 1
	pciNotifyCfg pciCfg = 2
	pciISRCfg    pciCfg = 3
	pciDeviceCfg pciCfg = 4
)

// Registers of the common configuration [virtio 4.1.4.3].
const (
	pciDeviceFeatureSelect uint32 = 0x00 // RW
	pciDeviceFeature       uint32 = 0x04 // RO
	pciDriverFeatureSelect uint32 = 0x08 // RW
	pciDriverFeature       uint32 = 0x0C // RW
	pciNumQueues           uint32 = 0x12 // RO, 16 bits
	pciDeviceStatus        uint32 = 0x14 // RW, 8 bits
	pciConfigGeneration    uint32 = 0x15 // RO, 8 bits
	pciQueueSelect         uint32 = 0x16 // RW, 16 bits
	pciQueueSize           uint32 = 0x18 // RW, 16 bits
	pciQueueEnable         uint32 = 0x1C // RW, 16 bits
	pciQueueNotifyOff      uint32 = 0x1E // RO, 16 bits
	pciQueueDesc           uint32 = 0x20 // RW, 64 bits
	pciQueueDriver         uint32 = 0x28 // RW, 64 bits
	pciQueueDevice         uint32 = 0x30 // RW, 64 bits
	pciCommonSize                 = 0x38
)

// region is a part of a BAR.
type region struct {
	window hw.Window
	offset uint32
	length uint32
}

// pciDevice is a device on a PCI bus [virtio 4.1].
type pciDevice struct {
	kind    Type
	address pci.Address
	sources pciSources

	common, isr, notify, config region

	multiplier uint32            // of queue_notify_off, bytes
	notifyAt   map[uint16]uint32 // offsets in notify.window by queue; set before the device is live
}

// PCIType returns the type of a function that is a virtio device; ok is false if it is something else.
func PCIType(f *pci.Function) (t Type, ok bool) {
	switch {
	case f.VendorID != pciVendorID:
	case f.DeviceID >= pciModernFirst && f.DeviceID <= pciModernLast:
		return Type(f.DeviceID - pciModernFirst), true
	case f.DeviceID >= pciTransitionalFirst && f.DeviceID <= pciTransitionalLast:
		_, subsystem := f.Subsystem()
		return Type(subsystem), true
	}
	return 0, false
}

// NewPCI returns the device that a function is, and enables it. window makes the registers in a BAR reachable. The interrupts
// are opened as queues are set up.
func NewPCI(f *pci.Function, window func(pci.BAR) (hw.Window, error), interrupts PCIInterrupts) (Transport, error) {
	d := &pciDevice{address: f.Address, notifyAt: make(map[uint16]uint32)}
	d.kind, _ = PCIType(f)
	bars := pciBARs{function: f, window: window}
	for _, part := range []pciPart{
		{pciCommonCfg, &d.common, pciCommonSize, 4},
		{pciNotifyCfg, &d.notify, 2, 2},
		{pciISRCfg, &d.isr, 1, 1},
		{pciDeviceCfg, &d.config, 0, 4}, // not all types of devices have one
	} {
		at, err := bars.find(part)
		if err != nil {
			return nil, fmt.Errorf("pci %v: capability of type %d: %w", f.Address, part.kind, err)
		}
		if part.kind == pciNotifyCfg {
			d.multiplier = f.Read32(at + 16)
		}
	}
	d.sources.open = interrupts
	d.sources.prepare(f, &bars)
	f.Enable()
	d.sources.enable()
	return d, nil
}

// pciPart is what capabilities of a type tell the place of.
type pciPart struct {
	kind    pciCfg
	to      *region
	least   uint32 // bytes
	aligned uint32 // bytes [virtio 4.1.4]
}

// capabilities returns where those of a type are that don't reach out of the configuration space.
func capabilities(f *pci.Function, kind pciCfg) (at []uint8) {
	least := uint8(16)
	if kind == pciNotifyCfg {
		least = 20
	}
	for _, c := range f.Capabilities() {
		if c.ID != pciCapability {
			continue
		}
		head := f.Read32(c.Offset)
		if length := uint8(head >> 16); pciCfg(head>>24) == kind && length >= least && int(c.Offset)+int(length) <= 256 {
			at = append(at, c.Offset)
		}
	}
	return at
}

// pciBARs are the BARs of a function that have been made reachable.
type pciBARs struct {
	function *pci.Function
	window   func(pci.BAR) (hw.Window, error)
	bars     [6]pci.BAR
	windows  [6]hw.Window
}

// find finds a part by the first capability that can be used [virtio 4.1.4.1], and returns where that is. If there are only others, the error
// is about the first.
func (b *pciBARs) find(part pciPart) (at uint8, err error) {
	all := capabilities(b.function, part.kind)
	if len(all) == 0 && part.least > 0 {
		return 0, fmt.Errorf("%w: there is none", ErrCapability)
	}
	for _, at := range all {
		r, wrong := b.region(at)
		if wrong == nil && (r.length < part.least || r.offset%part.aligned != 0) {
			wrong = fmt.Errorf("%w: %d bytes at %#x", ErrCapability, r.length, r.offset)
		}
		if wrong == nil {
			*part.to = r
			return at, nil
		}
		if err == nil {
			err = wrong
		}
	}
	return 0, err
}

// region returns the part of a BAR that the capability at a place in the configuration space tells of.
func (b *pciBARs) region(at uint8) (region, error) {
	bar := int(uint8(b.function.Read32(at + 4)))
	r := region{offset: b.function.Read32(at + 8), length: b.function.Read32(at + 12)}
	whole, window, err := b.at(bar)
	if err != nil {
		return region{}, err
	}
	if uint64(r.offset)+uint64(r.length) > whole.Size {
		return region{}, fmt.Errorf("%w: %d bytes at %#x of BAR %d, which has %#x", ErrCapability, r.length, r.offset, bar, whole.Size)
	}
	r.window = window
	return r, nil
}

// at returns a BAR with registers in memory.
func (b *pciBARs) at(bar int) (pci.BAR, hw.Window, error) {
	if bar >= len(b.bars) {
		return pci.BAR{}, nil, fmt.Errorf("%w: BAR %d", ErrCapability, bar) // the others are reserved
	}
	if b.windows[bar] == nil {
		var err error
		if b.bars[bar], err = b.function.BAR(bar); err != nil {
			return pci.BAR{}, nil, err
		}
		if b.bars[bar].IO {
			return pci.BAR{}, nil, fmt.Errorf("%w: BAR %d is of ports", ErrCapability, bar)
		}
		if b.windows[bar], err = b.window(b.bars[bar]); err != nil {
			return pci.BAR{}, nil, err
		}
	}
	return b.bars[bar], b.windows[bar], nil
}

// Type implements Transport.
func (d *pciDevice) Type() Type { return d.kind }

// Status implements Transport.
func (d *pciDevice) Status() Status {
	return Status(d.common.window.Load8(d.common.offset + pciDeviceStatus))
}

// SetStatus implements Transport.
func (d *pciDevice) SetStatus(s Status) {
	d.common.window.Store8(d.common.offset+pciDeviceStatus, uint8(s))
}

// DeviceFeatures implements Transport.
func (d *pciDevice) DeviceFeatures() Features {
	return selected{d.common.offset + pciDeviceFeatureSelect, d.common.offset + pciDeviceFeature}.load(d.common.window)
}

// SetDriverFeatures implements Transport.
func (d *pciDevice) SetDriverFeatures(f Features) {
	selected{d.common.offset + pciDriverFeatureSelect, d.common.offset + pciDriverFeature}.store(d.common.window, f)
}

func (d *pciDevice) load16(register uint32) uint16 {
	return d.common.window.Load16(d.common.offset + register)
}

func (d *pciDevice) store16(register uint32, v uint16) {
	d.common.window.Store16(d.common.offset+register, v)
}

// QueueMax implements Transport.
func (d *pciDevice) QueueMax(i uint16) int {
	if i >= d.load16(pciNumQueues) {
		return 0
	}
	d.store16(pciQueueSelect, i)
	return int(d.load16(pciQueueSize))
}

// SetQueue implements Transport [virtio 4.1.5.1.3].
func (d *pciDevice) SetQueue(i uint16, q QueueAddress) error {
	d.store16(pciQueueSelect, i)
	if d.load16(pciQueueEnable) != 0 {
		return ErrQueueInUse
	}
	off := uint64(d.load16(pciQueueNotifyOff)) * uint64(d.multiplier)
	if off+2 > uint64(d.notify.length) || off%2 != 0 {
		return fmt.Errorf("%w: queue %d at %#x of %#x bytes", ErrNotifyAt, i, off, d.notify.length)
	}
	d.notifyAt[i] = d.notify.offset + uint32(off)
	if err := d.route(); err != nil {
		return err
	}
	d.store16(pciQueueSize, uint16(q.Size))
	common := d.common.window
	for _, part := range []struct {
		register uint32
		address  uint64
	}{{pciQueueDesc, q.Descriptor}, {pciQueueDriver, q.Driver}, {pciQueueDevice, q.Device}} {
		halves(common, d.common.offset+part.register, d.common.offset+part.register+4, part.address)
	}
	d.store16(pciQueueEnable, 1)
	return nil
}

// Notify implements Transport.
func (d *pciDevice) Notify(i uint16) { d.notify.window.Store16(d.notifyAt[i], i) }

// Config implements Transport.
func (d *pciDevice) Config() Config {
	return Config{Size: int(d.config.length), window: d.config.window, offset: d.config.offset}
}

// ConfigGeneration implements Transport.
func (d *pciDevice) ConfigGeneration() uint32 {
	return uint32(d.common.window.Load8(d.common.offset + pciConfigGeneration))
}
