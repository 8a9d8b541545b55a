package virtiotest

import (
	"encoding/binary"
	"fmt"

	"wick/kernel/hw"
	"wick/kernel/hw/pci"
)

// PCI is a device as a function on a PCI bus. It implements hw.Ports, for the configuration space.
type PCI struct {
	Device *Device
	Space  [256]byte // configuration space; may be changed before the driver starts

	address uint32
	mask    [256]byte // bits that can be written
}

// Where the parts are in BAR 4, as QEMU has them, and how far the queues' notifications are apart, in bytes.
const (
	barAddress   = 0xFE000000
	barSize      = 0x4000
	commonAt     = 0x0000
	isrAt        = 0x1000
	configAt     = 0x2000
	notifyAt     = 0x3000
	notifyApart  = 4
	firstCap     = 0x40
	capSize      = 20
	regBAR1      = 0x14
	regBAR4      = 0x20
	regCapsAt    = 0x34
	regInterrupt = 0x3C
)

// Line is the interrupt line in the configuration space.
const Line = 11

// PCI returns the device as a function of a machine in which there is nothing else, at 00:00.0.
func (d *Device) PCI() *PCI {
	p := &PCI{Device: d}
	le := binary.LittleEndian
	le.PutUint16(p.Space[0x00:], 0x1AF4)
	le.PutUint16(p.Space[0x02:], 0x1040+uint16(d.Kind))
	le.PutUint16(p.Space[0x06:], 1<<4) // capabilities
	p.Space[0x08] = 1
	le.PutUint32(p.Space[regBAR4:], barAddress|0xC) // 64 bits, prefetchable
	le.PutUint16(p.Space[regInterrupt:], 1<<8|Line)
	le.PutUint16(p.mask[0x04:], 0x7FF)
	le.PutUint32(p.mask[regBAR4:], ^uint32(barSize-1))
	le.PutUint32(p.mask[regBAR4+4:], ^uint32(0))
	p.Space[regCapsAt] = firstCap
	for i, c := range []struct {
		kind   byte
		offset uint32
		length uint32
	}{
		{5, 0, 0}, {4, configAt, uint32(len(d.Config))}, {3, isrAt, 1}, {2, notifyAt, uint32(notifyApart * len(d.Queues))}, {1, commonAt, 0x38},
	} {
		at := firstCap + capSize*i
		p.Space[at], p.Space[at+1], p.Space[at+2], p.Space[at+3] = 9, byte(at+capSize), capSize, c.kind
		p.Space[at+4] = 4
		le.PutUint32(p.Space[at+8:], c.offset)
		le.PutUint32(p.Space[at+12:], c.length)
		le.PutUint32(p.Space[at+16:], notifyApart)
	}
	p.Space[firstCap+capSize*4+1] = 0
	return p
}

// Capability returns the bytes of the capability of a type in the configuration space.
func (p *PCI) Capability(kind byte) []byte {
	for at := firstCap; ; at += capSize {
		if p.Space[at+3] == kind {
			return p.Space[at:][:capSize]
		}
	}
}

// Function returns the function as package pci finds it.
func (p *PCI) Function() *pci.Function {
	f, ok := pci.NewBus(p).Find(func(*pci.Function) bool { return true })
	if !ok {
		panic("virtiotest: the function isn't found")
	}
	return f
}

// Window returns the registers in a BAR.
func (p *PCI) Window(bar pci.BAR) (hw.Window, error) {
	switch {
	case bar.Address == barAddress && bar.Size == barSize:
		return pciWindow{p.Device}, nil
	case bar.Address == msixBARAddress && bar.Size == msixBARSize && p.Device.messages != nil:
		return table{d: p.Device}, nil
	}
	panic(fmt.Sprintf("virtiotest: BAR %+v", bar))
}

func (p *PCI) at(n int) []byte {
	if p.address>>8 != 0x800000 { // enabled, bus 0, device 0, function 0
		return []byte{0xFF, 0xFF, 0xFF, 0xFF}[:n]
	}
	return p.Space[p.address&0xFC:][:n]
}

// In32 implements hw.Ports.
func (p *PCI) In32(uint16) uint32 { return binary.LittleEndian.Uint32(p.at(4)) }

// Out32 implements hw.Ports.
func (p *PCI) Out32(port uint16, v uint32) {
	if port == 0xCF8 {
		p.address = v
		return
	}
	p.write(0, v, 4)
}

// Out16 implements hw.Ports.
func (p *PCI) Out16(port uint16, v uint16) { p.write(int(port-0xCFC), uint32(v), 2) }

func (p *PCI) write(offset int, v uint32, n int) {
	for i := range n {
		at := int(p.address&0xFC) + offset + i
		p.Space[at] = p.Space[at]&^p.mask[at] | byte(v>>(8*i))&p.mask[at]
	}
	if m := p.Device.messages; m != nil && int(p.address&0xFC) == m.capability {
		p.Device.setControl(binary.LittleEndian.Uint16(p.Space[m.capability+2:]))
	}
}

// In8 implements hw.Ports; package pci doesn't use it, nor the two that follow.
func (p *PCI) In8(uint16) uint8   { panic("virtiotest: In8") }
func (p *PCI) In16(uint16) uint16 { panic("virtiotest: In16") }
func (p *PCI) Out8(uint16, uint8) { panic("virtiotest: Out8") }

// pciWindow is BAR 4.
type pciWindow struct{ d *Device }

// Load8 implements hw.Window.
func (w pciWindow) Load8(offset uint32) uint8 {
	switch {
	case offset == commonAt+0x14:
		return w.d.loadStatus()
	case offset == commonAt+0x15:
		return uint8(w.d.loadGeneration())
	case offset == isrAt: // reading it takes the interrupt back
		if w.d.messages != nil && w.d.messages.control&msixEnable != 0 {
			panic("virtiotest: the ISR status is read, which says nothing with MSI-X")
		}
		cause := w.d.loadCause()
		w.d.acknowledge(cause)
		return cause
	case offset >= configAt && offset < notifyAt:
		return uint8(w.d.loadConfig(offset-configAt, 1))
	}
	panic(fmt.Sprintf("virtiotest: 8 bits of BAR 4 at %#x are read", offset))
}

// Load16 implements hw.Window.
func (w pciWindow) Load16(offset uint32) uint16 {
	q := w.d.selected()
	switch {
	case offset == commonAt+0x10:
		return w.d.loadVector(nil)
	case offset == commonAt+0x12:
		return uint16(len(w.d.Queues))
	case offset == commonAt+0x1A && q != nil:
		return w.d.loadVector(q)
	case offset == commonAt+0x18 && q != nil:
		return uint16(q.most)
	case offset == commonAt+0x1C && q != nil:
		if q.ready {
			return 1
		}
		return 0
	case offset == commonAt+0x1E && q != nil:
		return uint16(q.index)
	case offset >= configAt && offset < notifyAt:
		return uint16(w.d.loadConfig(offset-configAt, 2))
	}
	panic(fmt.Sprintf("virtiotest: 16 bits of BAR 4 at %#x are read", offset))
}

// Load32 implements hw.Registers.
func (w pciWindow) Load32(offset uint32) uint32 {
	switch {
	case offset == commonAt+0x04:
		return w.d.loadFeatures()
	case offset >= configAt && offset < notifyAt:
		return w.d.loadConfig(offset-configAt, 4)
	}
	panic(fmt.Sprintf("virtiotest: 32 bits of BAR 4 at %#x are read", offset))
}

// Store8 implements hw.Window.
func (w pciWindow) Store8(offset uint32, v uint8) {
	if offset != commonAt+0x14 {
		panic(fmt.Sprintf("virtiotest: 8 bits of BAR 4 at %#x are written", offset))
	}
	w.d.storeStatus(v)
}

// Store16 implements hw.Window.
func (w pciWindow) Store16(offset uint32, v uint16) {
	switch {
	case offset == commonAt+0x10:
		w.d.setVector(nil, v)
	case offset == commonAt+0x16:
		w.d.selector.queue = uint32(v)
	case offset == commonAt+0x1A:
		w.d.setVector(w.d.selected(), v)
	case offset == commonAt+0x18:
		w.d.selected().size = uint32(v)
	case offset == commonAt+0x1C:
		w.d.selected().setReady()
	case offset >= notifyAt && offset == notifyAt+notifyApart*uint32(v):
		w.d.notify(uint32(v))
	default:
		panic(fmt.Sprintf("virtiotest: %#x is written to 16 bits of BAR 4 at %#x", v, offset))
	}
}

// Store32 implements hw.Registers.
func (w pciWindow) Store32(offset uint32, v uint32) {
	q := w.d.selected()
	switch offset {
	case commonAt + 0x00:
		w.d.selector.device = v
	case commonAt + 0x08:
		w.d.selector.driver = v
	case commonAt + 0x0C:
		w.d.storeFeatures(v)
	case commonAt + 0x20, commonAt + 0x24:
		half(&q.desc, offset&4 != 0, v)
	case commonAt + 0x28, commonAt + 0x2C:
		half(&q.availRing, offset&4 != 0, v)
	case commonAt + 0x30, commonAt + 0x34:
		half(&q.usedRing, offset&4 != 0, v)
	default:
		panic(fmt.Sprintf("virtiotest: 32 bits of BAR 4 at %#x are written", offset))
	}
}
