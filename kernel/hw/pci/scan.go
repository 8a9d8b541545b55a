package pci

// Function is one function of a device.
type Function struct {
	Address
	VendorID uint16
	DeviceID uint16
	Class    uint32 // class, subclass and programming interface, 8 bits each [PCI 3.0 D]
	Revision uint8

	bus    *Bus
	layout uint8
}

// The class code of bridges to further buses, without the programming interface.
const classBridge = 0x0604

// Scan returns the functions on bus 0 and on all buses behind bridges, in the order of their addresses
// as far as the bridges keep it. The bridges must have been set up by the firmware.
func (b *Bus) Scan() []Function {
	s := scan{bus: b}
	s.visit(0)
	return s.found
}

// Find returns the first function on any bus for which match is true.
func (b *Bus) Find(match func(*Function) bool) (*Function, bool) {
	found := b.Scan()
	for i := range found {
		if match(&found[i]) {
			return &found[i], true
		}
	}
	return nil, false
}

// scan is one run over the buses.
type scan struct {
	bus   *Bus
	seen  [256]bool // buses; a bridge that leads back must not make a circle
	found []Function
}

func (s *scan) visit(bus uint8) {
	if s.seen[bus] {
		return
	}
	s.seen[bus] = true
	for device := range uint8(devicesPerBus) {
		s.device(Address{Bus: bus, Device: device})
	}
}

// device looks at one device: at its other functions only if it says that it has some, since
// others answer for each function number [PCI 3.0 3.2.2.3.4].
func (s *scan) device(a Address) {
	if !s.function(a) {
		return
	}
	if s.bus.Read8(a, regHeaderType)&headerMultifunction == 0 {
		return
	}
	for a.Function = 1; a.Function < functionsPerDevice; a.Function++ {
		s.function(a)
	}
}

// function records the function at a, if there is one, and what is behind it if it is a bridge.
func (s *scan) function(a Address) bool {
	id := s.bus.Read32(a, regVendorID)
	// 0 isn't a vendor either; some broken bridges answer so for an empty slot.
	if vendor := uint16(id); vendor == 0xFFFF || vendor == 0 {
		return false
	}
	class := s.bus.Read32(a, regRevision)
	f := Function{
		Address: a, VendorID: uint16(id), DeviceID: uint16(id >> 16), Class: class >> 8, Revision: uint8(class),
		bus: s.bus, layout: s.bus.Read8(a, regHeaderType) & headerLayout,
	}
	s.found = append(s.found, f)
	if f.Class>>8 == classBridge && f.layout == layoutBridge {
		s.visit(s.bus.Read8(a, regSecondaryBus))
	}
	return true
}
