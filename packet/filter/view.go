package filter

import (
	"encoding/binary"

	"wick/packet"
)

// view is a packet while it is being matched.
type view struct {
	frame   *packet.Frame
	data    []byte
	missing bool // a test needed bytes that aren't there
}

// bytes returns n bytes at off, or nil if they aren't there.
func (v *view) bytes(off, n int) []byte {
	if off < 0 || off+n > len(v.data) {
		v.missing = true
		return nil
	}
	return v.data[off : off+n]
}

// number reads a big-endian number of 1, 2 or 4 bytes.
func (v *view) number(off, size int) (n uint32, ok bool) {
	b := v.bytes(off, size)
	if b == nil {
		return 0, false
	}
	for _, c := range b {
		n = n<<8 | uint32(c)
	}
	return n, true
}

// is tells whether a number is as given.
func (v *view) is(off, size int, want uint32) bool {
	n, ok := v.number(off, size)
	return ok && n == want
}

// Lengths of link headers, in bytes.
const (
	ethernetSize = 14
	cookedSize   = 16
	cooked2Size  = 20
	tagSize      = 4
)

// EtherTypes and what else can stand in their place.
const (
	typeIP      = 0x0800
	typeARP     = 0x0806
	typeRARP    = 0x8035
	typeIP6     = 0x86dd
	typeUnknown = 0
	maxLength   = 1500 // a type up to here is a length
)

// network returns the EtherType behind the given number of VLAN tags, and where what it announces starts.
func (v *view) network(tags int) (typ, off int) {
	switch v.frame.Link {
	case packet.LinkEthernet:
		return v.tagged(ethernetSize-2, ethernetSize, tags)
	case packet.LinkCooked:
		return v.tagged(cookedSize-2, cookedSize, tags)
	case packet.LinkCooked2:
		return v.tagged(0, cooked2Size, tags)
	case packet.LinkRaw:
		if b := v.bytes(0, 1); b != nil && tags == 0 {
			switch b[0] >> 4 {
			case 4:
				return typeIP, 0
			case 6:
				return typeIP6, 0
			}
		}
	}
	return typeUnknown, 0
}

// tagged returns the type that stands at typeOff, or behind tags that start at off.
func (v *view) tagged(typeOff, off, tags int) (int, int) {
	if tags > 0 {
		off += tags * tagSize
		typeOff = off - 2
	}
	n, _ := v.number(typeOff, 2)
	return int(n), off
}

// ip and ip6 tell whether an IP header stands behind the tags, and where.
func (v *view) ip(tags int) (off int, ok bool) {
	typ, off := v.network(tags)
	return off, typ == typeIP
}

func (v *view) ip6(tags int) (off int, ok bool) {
	typ, off := v.network(tags)
	return off, typ == typeIP6
}

// Offsets in IP headers, and lengths.
const (
	ipFragment = 6
	ipProtocol = 9
	ipSource   = 12
	ipDest     = 16
	ip6Next    = 6
	ip6Source  = 8
	ip6Dest    = 24
	ip6Size    = 40

	fragmentOffset = 0x1fff // mask
	protoFragment  = 44     // of IPv6
)

// transport returns where what an IPv4 header at off carries starts; false in a later fragment.
func (v *view) transport(off int) (int, bool) {
	fragment, ok := v.number(off+ipFragment, 2)
	if !ok || fragment&fragmentOffset != 0 {
		return 0, false
	}
	first, ok := v.number(off, 1)
	return off + int(first&0xf)*4, ok
}

// isVsock tells whether the packet is one of virtio-vsock, with or without the header of vsockmon, which starts in the same
// way.
func (v *view) isVsock() bool {
	return v.frame.Link == packet.LinkVsock || v.frame.Link == packet.LinkVsockMon
}

// littleEndian reads a number of vsock.
func (v *view) littleEndian(off, size int) (uint64, bool) {
	b := v.bytes(off, size)
	switch {
	case b == nil:
		return 0, false
	case size == 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	}
	return binary.LittleEndian.Uint64(b), true
}
