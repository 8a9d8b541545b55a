package pci

import (
	"encoding/binary"
	"errors"
	"testing"
)

// config is the configuration space of one function.
type config struct {
	data [256]byte
	mask [256]byte // bits that can be written
}

// machine is a model of the host bridge.
type machine struct {
	t         *testing.T
	functions map[Address]*config
	address   uint32
	accesses  int
}

func newMachine(t *testing.T) *machine {
	return &machine{t: t, functions: map[Address]*config{}}
}

// add puts a function into the machine.
func (m *machine) add(a Address, vendor, device uint16, class uint32, header uint8) *config {
	c := &config{}
	binary.LittleEndian.PutUint16(c.data[regVendorID:], vendor)
	binary.LittleEndian.PutUint16(c.data[regDeviceID:], device)
	binary.LittleEndian.PutUint32(c.data[regRevision:], class<<8|3)
	c.data[regHeaderType] = header
	binary.LittleEndian.PutUint16(c.mask[regCommand:], 0x7FF)
	m.functions[a] = c
	return c
}

func (c *config) bar(i int, v, mask uint32) {
	binary.LittleEndian.PutUint32(c.data[int(regBAR0)+4*i:], v)
	binary.LittleEndian.PutUint32(c.mask[int(regBAR0)+4*i:], mask)
}

func (m *machine) selected() (*config, int) {
	m.accesses++
	if m.address&addressEnable == 0 {
		m.t.Fatalf("access to data with address %#x", m.address)
	}
	a := Address{Bus: uint8(m.address >> 16), Device: uint8(m.address >> 11 & 31), Function: uint8(m.address >> 8 & 7)}
	return m.functions[a], int(m.address & 0xFC)
}

func (m *machine) In32(port uint16) uint32 {
	if port != portData {
		m.t.Fatalf("read of port %#x", port)
	}
	c, register := m.selected()
	if c == nil {
		return ^uint32(0)
	}
	return binary.LittleEndian.Uint32(c.data[register:])
}

func (m *machine) write(register int, v uint32, n int) {
	c, base := m.selected()
	if c == nil {
		return
	}
	for i := range n {
		at := base + register + i
		c.data[at] = c.data[at]&^c.mask[at] | byte(v>>(8*i))&c.mask[at]
	}
}

func (m *machine) Out32(port uint16, v uint32) {
	switch port {
	case portAddress:
		m.address = v
	case portData:
		m.write(0, v, 4)
	default:
		m.t.Fatalf("write of port %#x", port)
	}
}

func (m *machine) Out16(port uint16, v uint16) { m.write(int(port-portData), uint32(v), 2) }

func (m *machine) In8(port uint16) uint8   { m.t.Fatalf("8-bit read of %#x", port); return 0 }
func (m *machine) In16(port uint16) uint16 { m.t.Fatalf("16-bit read of %#x", port); return 0 }
func (m *machine) Out8(port uint16, _ uint8) {
	m.t.Fatalf("8-bit write of %#x", port)
}

// q35 has what matters of QEMU's: a multifunction device, a root port with a card, a loop.
func q35(t *testing.T) *machine {
	m := newMachine(t)
	m.add(Address{0, 0, 0}, 0x8086, 0x29C0, 0x060000, 0)
	m.add(Address{0, 2, 0}, 0x8086, 0x100E, 0x020000, 0)
	m.add(Address{0, 2, 1}, 0xDEAD, 0xBEEF, 0x020000, 0) // an alias: not multifunction
	m.add(Address{0, 3, 0}, 0x1B36, 0x000C, 0x060400, 1).data[regSecondaryBus] = 5
	m.add(Address{0, 31, 0}, 0x8086, 0x2918, 0x060100, 0x80)
	m.add(Address{0, 31, 2}, 0x8086, 0x2922, 0x010601, 0x80)
	m.add(Address{5, 0, 0}, 0x8086, 0x10D3, 0x020000, 0)
	m.add(Address{5, 1, 0}, 0x1B36, 0x000C, 0x060400, 1).data[regSecondaryBus] = 0
	m.add(Address{5, 2, 0}, 0, 0, 0, 0)
	return m
}

func TestScan(t *testing.T) {
	m := q35(t)
	want := []string{"00:00.0", "00:02.0", "00:03.0", "05:00.0", "05:01.0", "00:1f.0", "00:1f.2"}
	found := NewBus(m).Scan()
	var got []string
	for _, f := range found {
		got = append(got, f.Address.String())
	}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	f := found[len(found)-1]
	if f.VendorID != 0x8086 || f.DeviceID != 0x2922 || f.Class != 0x010601 || f.Revision != 3 {
		t.Errorf("got %+v", f)
	}
	// Boot time: each access is an exit of the virtual machine.
	if m.accesses > 120 {
		t.Errorf("%d accesses for two buses", m.accesses)
	}
}

func TestFind(t *testing.T) {
	f, ok := NewBus(q35(t)).Find(func(f *Function) bool { return f.VendorID == 0x8086 && f.DeviceID == 0x10D3 })
	if !ok || f.Address.String() != "05:00.0" {
		t.Errorf("got %v %v", f, ok)
	}
	if _, ok := NewBus(newMachine(t)).Find(func(*Function) bool { return true }); ok {
		t.Error("found something in an empty machine")
	}
}

func TestBAR(t *testing.T) {
	m := newMachine(t)
	c := m.add(Address{0, 3, 0}, 0x8086, 0x100E, 0x020000, 0)
	c.bar(0, 0xFEB80000, 0xFFFE0000)
	c.bar(1, 0xC001, 0x0000FFC0) // 16 bits of ports
	c.bar(2, 0x0000000C, 0xFFF00000)
	c.bar(3, 0x00000008, 0xFFFFFFFF) // upper half of BAR 2: at 32 GiB
	c.bar(5, 0x00000000, 0xFFFFF000)
	binary.LittleEndian.PutUint16(c.data[regCommand:], 7)
	before := c.data
	f, _ := NewBus(m).Find(func(*Function) bool { return true })
	for i, want := range []BAR{
		{Address: 0xFEB80000, Size: 128 << 10},
		{IO: true, Address: 0xC000, Size: 64},
		{Prefetch: true, Address: 0x800000000, Size: 1 << 20},
	} {
		if got, err := f.BAR(i); err != nil || got != want {
			t.Errorf("BAR %d: got %+v %v, want %+v", i, got, err, want)
		}
	}
	for i, want := range map[int]error{-1: ErrNoBAR, 4: ErrNoBAR, 5: ErrBARUnassigned, 6: ErrNoBAR} {
		if _, err := f.BAR(i); !errors.Is(err, want) {
			t.Errorf("BAR %d: got %v, want %v", i, err, want)
		}
	}
	if _, err := f.BAR(5); err.Error() != "pci 00:03.0: BAR 5: base address register without an address" {
		t.Errorf("got %v", err)
	}
	if c.data != before {
		t.Error("sizing changed the configuration")
	}
}

func TestBARTypes(t *testing.T) {
	m := newMachine(t)
	c := m.add(Address{0, 3, 0}, 1, 1, 0, 0)
	c.bar(0, 0xFEB80006, 0xFFFE0000)
	c.bar(5, 0xFEB80004, 0xFFFE0000) // 64 bits wide, and nothing behind it
	m.add(Address{0, 4, 0}, 1, 2, 0x060400, 1).bar(2, 0xFEB80000, 0xFFFE0000)
	found := NewBus(m).Scan()
	for _, i := range []int{0, 5} {
		if _, err := found[0].BAR(i); !errors.Is(err, ErrBARType) {
			t.Errorf("BAR %d: got %v", i, err)
		}
	}
	if _, err := found[1].BAR(2); !errors.Is(err, ErrNoBAR) {
		t.Errorf("a bridge has two: got %v", err)
	}
}

func TestEnable(t *testing.T) {
	m := newMachine(t)
	c := m.add(Address{0, 3, 0}, 0x8086, 0x100E, 0x020000, 0)
	binary.LittleEndian.PutUint16(c.data[regCommand:], uint16(CommandIO|CommandInterruptDisable))
	// A write of the status register would clear its bits.
	c.data[regStatus], c.mask[regStatus] = 0x10, 0xFF
	f, _ := NewBus(m).Find(func(*Function) bool { return true })
	f.Enable()
	if got, want := f.Command(), CommandIO|CommandMemory|CommandBusMaster; got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
	if c.data[regStatus] != 0x10 {
		t.Error("Enable wrote the status register")
	}
}

func TestInterruptLine(t *testing.T) {
	m := newMachine(t)
	c := m.add(Address{0, 3, 0}, 0x8086, 0x100E, 0x020000, 0)
	f, _ := NewBus(m).Find(func(*Function) bool { return true })
	for _, x := range []struct {
		line, pin uint8
		ok        bool
	}{{11, 1, true}, {11, 0, false}, {0xFF, 1, false}} {
		c.data[regInterrupt], c.data[regInterrupt+1] = x.line, x.pin
		if line, ok := f.InterruptLine(); line != x.line || ok != x.ok {
			t.Errorf("%+v: got %d %v", x, line, ok)
		}
	}
	binary.LittleEndian.PutUint32(c.data[regSubsystem:], 0x11001AF4)
	if vendor, device := f.Subsystem(); vendor != 0x1AF4 || device != 0x1100 {
		t.Errorf("got %#x:%#x", vendor, device)
	}
}

func TestCapabilities(t *testing.T) {
	m := newMachine(t)
	c := m.add(Address{0, 3, 0}, 0x1AF4, 0x1041, 0x020000, 0)
	f, _ := NewBus(m).Find(func(*Function) bool { return true })
	c.data[regCapabilities] = 0x40
	if got := f.Capabilities(); got != nil {
		t.Errorf("without the status bit: got %v", got)
	}
	c.data[regStatus] = byte(statusCapabilities)
	copy(c.data[0x40:], []byte{0x09, 0x9B}) // the lower two bits are reserved
	copy(c.data[0x98:], []byte{0x11, 0x20}) // leads into the header
	got := f.Capabilities()
	if len(got) != 2 || got[0] != (Capability{9, 0x40}) || got[1] != (Capability{0x11, 0x98}) {
		t.Errorf("got %v", got)
	}
	if v := f.Read32(0x98); v != 0x2011 {
		t.Errorf("got %#x", v)
	}
	c.data[0x99] = 0x40 // a circle
	if got := f.Capabilities(); len(got) != maxCapabilities {
		t.Errorf("a circle gave %d entries", len(got))
	}
	c.mask[0x98] = 0xFF
	f.Write32(0x98, 0x55)
	if v := f.Read32(0x98); v != 0x4055 {
		t.Errorf("got %#x", v)
	}
}
