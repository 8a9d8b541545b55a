package virtiotest

import (
	"fmt"

	"wick/kernel/hw"
)

// MMIOSize is the size of the window of MMIO, in bytes, as QEMU's.
const MMIOSize = 0x200

// MMIO returns the device's memory-mapped registers [virtio 4.2.2].
func (d *Device) MMIO() hw.Window { return mmio{d} }

type mmio struct{ d *Device }

// mmioConfig is where the configuration space begins.
const mmioConfig = 0x100

// Load32 implements hw.Registers.
func (m mmio) Load32(offset uint32) uint32 {
	d, q := m.d, m.d.selected()
	switch offset {
	case 0x000:
		return 0x74726976
	case 0x004:
		return 2
	case 0x008:
		return d.Kind
	case 0x00C:
		return 0x554D4551
	case 0x010:
		return d.loadFeatures()
	case 0x034:
		if q == nil {
			return 0
		}
		return uint32(q.most)
	case 0x044:
		if q != nil && q.ready {
			return 1
		}
		return 0
	case 0x060:
		return uint32(d.loadCause())
	case 0x070:
		return uint32(d.loadStatus())
	case 0x0FC:
		return d.loadGeneration()
	}
	if offset < mmioConfig {
		panic(fmt.Sprintf("virtiotest: MMIO register %#x is read", offset))
	}
	return d.loadConfig(offset-mmioConfig, 4)
}

// Store32 implements hw.Registers.
func (m mmio) Store32(offset uint32, v uint32) {
	d, q := m.d, m.d.selected()
	switch offset {
	case 0x014:
		d.selector.device = v
	case 0x020:
		d.storeFeatures(v)
	case 0x024:
		d.selector.driver = v
	case 0x030:
		d.selector.queue = v
	case 0x038:
		q.size = v
	case 0x044:
		q.setReady()
	case 0x050:
		d.notify(v)
	case 0x064:
		d.acknowledge(uint8(v))
	case 0x070:
		d.storeStatus(uint8(v))
	case 0x080, 0x084:
		half(&q.desc, offset&4 != 0, v)
	case 0x090, 0x094:
		half(&q.availRing, offset&4 != 0, v)
	case 0x0A0, 0x0A4:
		half(&q.usedRing, offset&4 != 0, v)
	default:
		panic(fmt.Sprintf("virtiotest: MMIO register %#x is written", offset))
	}
}

// Load8 implements hw.Window.
func (m mmio) Load8(offset uint32) uint8 { return uint8(m.narrow(offset, 1)) }

// Load16 implements hw.Window.
func (m mmio) Load16(offset uint32) uint16 { return uint16(m.narrow(offset, 2)) }

func (m mmio) narrow(offset uint32, n int) uint32 {
	if offset < mmioConfig {
		panic(fmt.Sprintf("virtiotest: %d bytes of the MMIO register at %#x are read", n, offset))
	}
	return m.d.loadConfig(offset-mmioConfig, n)
}

// Store8 implements hw.Window.
func (m mmio) Store8(offset uint32, _ uint8) { m.Store16(offset, 0) }

// Store16 implements hw.Window. No driver here writes to the configuration space.
func (m mmio) Store16(offset uint32, _ uint16) {
	panic(fmt.Sprintf("virtiotest: a part of the MMIO register at %#x is written", offset))
}
