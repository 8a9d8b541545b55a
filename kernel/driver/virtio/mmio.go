package virtio

import (
	"errors"
	"fmt"

	"wick/kernel/hw"
)

// Registers of the MMIO transport [virtio 4.2.2]. All but the configuration space have 32 bits.
const (
	mmioMagicValue        uint32 = 0x000 // RO
	mmioVersion           uint32 = 0x004 // RO
	mmioDeviceID          uint32 = 0x008 // RO; 0: no device
	mmioDeviceFeatures    uint32 = 0x010 // RO
	mmioDeviceFeaturesSel uint32 = 0x014 // WO
	mmioDriverFeatures    uint32 = 0x020 // WO
	mmioDriverFeaturesSel uint32 = 0x024 // WO
	mmioQueueSel          uint32 = 0x030 // WO
	mmioQueueNumMax       uint32 = 0x034 // RO
	mmioQueueNum          uint32 = 0x038 // WO
	mmioQueueReady        uint32 = 0x044 // RW
	mmioQueueNotify       uint32 = 0x050 // WO
	mmioInterruptStatus   uint32 = 0x060 // RO
	mmioInterruptACK      uint32 = 0x064 // WO
	mmioStatus            uint32 = 0x070 // RW
	mmioQueueDescLow      uint32 = 0x080 // WO
	mmioQueueDescHigh     uint32 = 0x084 // WO
	mmioQueueDriverLow    uint32 = 0x090 // WO
	mmioQueueDriverHigh   uint32 = 0x094 // WO
	mmioQueueDeviceLow    uint32 = 0x0A0 // WO
	mmioQueueDeviceHigh   uint32 = 0x0A4 // WO
	mmioConfigGeneration  uint32 = 0x0FC // RO
	mmioConfig            uint32 = 0x100 // RW
)

const (
	mmioMagic    uint32 = 0x74726976 // "virt"
	mmioVersion2 uint32 = 2
)

// Errors of MMIOType and NewMMIO.
var (
	ErrNoMMIO      = errors.New("virtio: no virtio-mmio registers")
	ErrMMIOVersion = errors.New("virtio: virtio-mmio registers of a version other than 2")
	ErrNoDevice    = errors.New("virtio: no device behind the virtio-mmio registers")
)

// ErrQueueInUse says that the device won't have its queue set up.
var ErrQueueInUse = errors.New("virtio: the queue is in use already")

// mmio is a device behind memory-mapped registers [virtio 4.2].
type mmio struct {
	window    hw.Window
	size      int // of window, bytes
	interrupt hw.Interrupt
}

// MMIOType returns the type of the device at a window of sizeBytes: as many as the machine has announced.
func MMIOType(w hw.Window, sizeBytes int) (Type, error) {
	if sizeBytes < int(mmioConfig) {
		return 0, fmt.Errorf("%w in %d bytes", ErrNoMMIO, sizeBytes)
	}
	if v := w.Load32(mmioMagicValue); v != mmioMagic {
		return 0, fmt.Errorf("%w: magic value %#x", ErrNoMMIO, v)
	}
	if v := w.Load32(mmioVersion); v != mmioVersion2 {
		return 0, fmt.Errorf("%w: %d", ErrMMIOVersion, v)
	}
	t := Type(w.Load32(mmioDeviceID))
	if t == 0 {
		return 0, ErrNoDevice
	}
	return t, nil
}

// NewMMIO returns the device at a window of sizeBytes.
func NewMMIO(w hw.Window, sizeBytes int, interrupt hw.Interrupt) (Transport, error) {
	if _, err := MMIOType(w, sizeBytes); err != nil {
		return nil, err
	}
	return &mmio{window: w, size: sizeBytes, interrupt: interrupt}, nil
}

// Type implements Transport.
func (m *mmio) Type() Type { return Type(m.window.Load32(mmioDeviceID)) }

// Sources implements Transport: there is one line for all.
func (m *mmio) Sources() []Source { return []Source{{m.interrupt, m.acknowledge}} }

// String implements Transport.
func (m *mmio) String() string { return "MMIO" }

// maxCauses is how often causes are acknowledged that follow each other without a pause.
const maxCauses = 16

// acknowledge takes back only the causes that it has seen [virtio 4.2.2.2]. The line may be an edge, which comes only after it
// was low, so this goes on until there is no cause left.
func (m *mmio) acknowledge() Cause {
	all := uint32(0)
	for range maxCauses {
		cause := m.window.Load32(mmioInterruptStatus) & uint32(causeAny)
		if cause == 0 {
			break
		}
		m.window.Store32(mmioInterruptACK, cause)
		all |= cause
	}
	return Cause(all)
}

// Status implements Transport.
func (m *mmio) Status() Status { return Status(m.window.Load32(mmioStatus)) }

// SetStatus implements Transport.
func (m *mmio) SetStatus(s Status) { m.window.Store32(mmioStatus, uint32(s)) }

// DeviceFeatures implements Transport.
func (m *mmio) DeviceFeatures() Features {
	return selected{mmioDeviceFeaturesSel, mmioDeviceFeatures}.load(m.window)
}

// SetDriverFeatures implements Transport.
func (m *mmio) SetDriverFeatures(f Features) {
	selected{mmioDriverFeaturesSel, mmioDriverFeatures}.store(m.window, f)
}

// QueueMax implements Transport.
func (m *mmio) QueueMax(i uint16) int {
	m.window.Store32(mmioQueueSel, uint32(i))
	return int(min(m.window.Load32(mmioQueueNumMax), maxQueueSize))
}

// SetQueue implements Transport [virtio 4.2.3.2].
func (m *mmio) SetQueue(i uint16, q QueueAddress) error {
	m.window.Store32(mmioQueueSel, uint32(i))
	if m.window.Load32(mmioQueueReady) != 0 {
		return ErrQueueInUse
	}
	m.window.Store32(mmioQueueNum, uint32(q.Size))
	halves(m.window, mmioQueueDescLow, mmioQueueDescHigh, q.Descriptor)
	halves(m.window, mmioQueueDriverLow, mmioQueueDriverHigh, q.Driver)
	halves(m.window, mmioQueueDeviceLow, mmioQueueDeviceHigh, q.Device)
	m.window.Store32(mmioQueueReady, 1)
	return nil
}

// Notify implements Transport.
func (m *mmio) Notify(i uint16) { m.window.Store32(mmioQueueNotify, uint32(i)) }

// Config implements Transport.
func (m *mmio) Config() Config {
	return Config{Size: m.size - int(mmioConfig), window: m.window, offset: mmioConfig}
}

// ConfigGeneration implements Transport.
func (m *mmio) ConfigGeneration() uint32 { return m.window.Load32(mmioConfigGeneration) }
