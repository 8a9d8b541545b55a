package pcapng

import (
	"fmt"

	"wick/packet/pcap"
)

// describe takes what the block in d.buf tells of the section or of an interface.
func (d *Reader) describe(kind uint32) error {
	switch kind {
	case blockSection:
		return d.sectionHeader(d.buf)
	case blockInterface:
		if len(d.all) == maxInterfaces {
			return d.damaged("more than %d interfaces", maxInterfaces)
		}
		d.interfaceDescription(d.buf)
	case blockStatistics:
		d.statistics(d.buf)
	}
	return nil
}

// sectionHeader starts a section [pcapng 4.1].
//
//	+-------------------+---------+---------+---------------------------------------+---------
//	| byte-order magic  |  major  |  minor  |          section length               | options
//	+-------------------+---------+---------+---------------------------------------+---------
func (d *Reader) sectionHeader(b []byte) error {
	if len(b) < sectionSize {
		return d.damaged("section header has %d of %d bytes", len(b), sectionSize)
	}
	if major := d.u16(b[4:]); major != versionMajor {
		if d.sections == 0 {
			return fmt.Errorf("%w: version %d.%d, want %d.0", ErrFormat, major, d.u16(b[6:]), versionMajor)
		}
		return d.damaged("version is %d.%d, want %d.0", major, d.u16(b[6:]), versionMajor)
	}
	d.section, d.interfaces = Section{}, nil
	for o := d.options(b[sectionSize:]); o.next(); {
		switch o.code {
		case optComment:
			d.section.Comments = append(d.section.Comments, o.text())
		case optSectionHardware:
			d.section.Hardware = o.text()
		case optSectionOS:
			d.section.OS = o.text()
		case optSectionApplication:
			d.section.Application = o.text()
		}
	}
	d.sections++
	return nil
}

// interfaceDescription adds an interface [pcapng 4.2].
//
//	+---------+---------+-------------------+---------
//	|  link   |(reservd)|  snapshot length  | options
//	+---------+---------+-------------------+---------
func (d *Reader) interfaceDescription(b []byte) {
	i := &Interface{ID: len(d.interfaces), Section: d.sections - 1, resolution: resolutionDefault}
	d.interfaces = append(d.interfaces, i) // even a broken one has its number
	d.all = append(d.all, i)
	if len(b) < describSize {
		d.note("interface description has %d of %d bytes", len(b), describSize)
		return
	}
	i.Link, i.SnapLen = pcap.LinkType(d.u16(b)), int(d.u32(b[4:]))
	for o := d.options(b[describSize:]); o.next(); {
		d.interfaceOption(i, &o)
	}
}

func (d *Reader) interfaceOption(i *Interface, o *options) {
	switch o.code {
	case optComment:
		i.Comments = append(i.Comments, o.text())
	case optName:
		i.Name = o.text()
	case optDescription:
		i.Description = o.text()
	case optOS:
		i.OS = o.text()
	case optHardware:
		i.Hardware = o.text()
	case optFilter:
		if len(o.value) > 0 && o.value[0] == 0 { // 0: text
			o.value = o.value[1:]
			i.Filter = o.text()
		}
	case optMAC:
		if o.sized(6) {
			i.MAC = append([]byte(nil), o.value...)
		}
	case optResolution:
		if o.sized(1) {
			i.resolution = o.value[0]
		}
	case optFCS:
		if o.sized(1) {
			i.FCSLen = fcsBytes(o.value[0])
		}
	case optOffset:
		if o.sized(8) {
			i.offset = int64(d.u64(o.value))
		}
	}
}

// fcsBytes takes the length of a frame check sequence: the draft says bits, its example and some writers mean bytes.
func fcsBytes(n byte) int {
	if n >= 8 {
		n /= 8
	}
	return int(n)
}

// statistics takes the counts of an interface [pcapng 4.6].
//
//	+-------------------+-------------------+-------------------+---------
//	|     interface     |  time, upper half |  time, lower half | options
//	+-------------------+-------------------+-------------------+---------
func (d *Reader) statistics(b []byte) {
	if len(b) < statsSize {
		d.note("interface statistics have %d of %d bytes", len(b), statsSize)
		return
	}
	i := d.find(d.u32(b))
	if i == nil {
		return
	}
	s := Statistics{Time: i.timestamp(d.units(b[4:]))}
	for o := d.options(b[statsSize:]); o.next(); {
		switch o.code {
		case optComment:
			s.Comments = append(s.Comments, o.text())
		case optStart, optStop:
			if !o.sized(8) {
				continue
			}
			if t := i.timestamp(d.units(o.value)); o.code == optStart {
				s.Start = t
			} else {
				s.Stop = t
			}
		case optReceived:
			s.Received = o.count()
		case optDropped:
			s.Dropped = o.count()
		case optAccepted:
			s.Accepted = o.count()
		case optOSDropped:
			s.OSDropped = o.count()
		case optDelivered:
			s.Delivered = o.count()
		}
	}
	i.Statistics = s
}

// units reads a time: the upper half first, whatever the byte order.
func (d *Reader) units(b []byte) uint64 { return uint64(d.u32(b))<<32 | uint64(d.u32(b[4:])) }

// find returns the interface with a number, or notes that there is none.
func (d *Reader) find(id uint32) *Interface {
	if uint64(id) < uint64(len(d.interfaces)) {
		return d.interfaces[id]
	}
	d.note("interface %d is not described", id)
	return nil
}

// enhanced reads an enhanced packet [pcapng 4.3].
//
//	+-------------------+-------------------+-------------------+-------------------+-------------------+----
//	|     interface     |  time, upper half |  time, lower half |  captured length  |    wire length    | data, options
//	+-------------------+-------------------+-------------------+-------------------+-------------------+----
func (d *Reader) enhanced(b []byte) (Packet, bool) {
	if len(b) < packetSize {
		d.note("packet has %d of %d bytes", len(b), packetSize)
		return Packet{}, false
	}
	i := d.find(d.u32(b))
	if i == nil {
		return Packet{}, false
	}
	return d.packet(i, b)
}

// obsolete reads a packet of old files [pcapng A].
//
//	+---------+---------+-------------------+-------------------+-------------------+-------------------+----
//	|interface|  drops  |  time, upper half |  time, lower half |  captured length  |    wire length    | data, options
//	+---------+---------+-------------------+-------------------+-------------------+-------------------+----
func (d *Reader) obsolete(b []byte) (Packet, bool) {
	if len(b) < packetSize {
		d.note("packet has %d of %d bytes", len(b), packetSize)
		return Packet{}, false
	}
	i := d.find(uint32(d.u16(b)))
	if i == nil {
		return Packet{}, false
	}
	p, ok := d.packet(i, b)
	if drops := d.u16(b[2:]); drops != 0xffff { // which means that it is not known
		p.Lost = Known(uint64(drops))
	}
	return p, ok
}

// packet reads what enhanced and obsolete packets have in common, from the time on.
func (d *Reader) packet(i *Interface, b []byte) (Packet, bool) {
	p := Packet{Interface: i, Time: i.timestamp(d.units(b[4:])), WireLen: int(d.u32(b[16:]))}
	size, rest := uint64(d.u32(b[12:])), b[packetSize:]
	if size > pcap.MaxPacket {
		d.note("captured length is %d, more than %d", size, pcap.MaxPacket)
		return Packet{}, false
	}
	if size > uint64(len(rest)) {
		d.note("packet has %d of %d captured bytes", len(rest), size)
		p.Data = rest
		return p, true
	}
	p.Data = rest[:size:size]
	for o := d.options(rest[min(padded(int(size)), len(rest)):]); o.next(); {
		switch o.code {
		case optComment:
			p.Comments = append(p.Comments, o.text())
		case optFlags:
			if o.sized(4) {
				p.Flags = Flags(d.u32(o.value))
			}
		case optDropCount:
			p.Lost = o.count()
		case optPacketID:
			p.ID = o.count()
		}
	}
	return p, true
}

// simple reads a packet that has nothing but its length, of the first interface [pcapng 4.4].
//
//	+-------------------+----
//	|    wire length    | data
//	+-------------------+----
func (d *Reader) simple(b []byte) (Packet, bool) {
	if len(b) < simpleSize {
		d.note("packet has %d of %d bytes", len(b), simpleSize)
		return Packet{}, false
	}
	i := d.find(0)
	if i == nil {
		return Packet{}, false
	}
	wire := d.u32(b)
	size := uint64(wire)
	if i.SnapLen > 0 {
		size = min(size, uint64(i.SnapLen))
	}
	data := b[simpleSize:]
	if size > uint64(len(data)) {
		d.note("packet has %d of %d captured bytes", len(data), size)
	} else {
		data = data[:size:size]
	}
	return Packet{Interface: i, WireLen: int(wire), Data: data}, true
}
