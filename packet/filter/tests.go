package filter

import (
	"bytes"
	"slices"

	"wick/packet"
)

func isEther(v *view) bool { return v.frame.Link == packet.LinkEthernet }

func inbound(v *view) bool  { return v.frame.Direction == packet.Receive }
func outbound(v *view) bool { return v.frame.Direction == packet.Transmit }

// etherAddress tests one of the addresses of an Ethernet header.
func etherAddress(off int, mac [6]byte) test {
	return func(v *view) bool {
		if !isEther(v) {
			return false
		}
		b := v.bytes(off, len(mac))
		return b != nil && [6]byte(b) == mac
	}
}

// etherProto tests what an Ethernet header announces: a type, or a service access point behind a length.
func etherProto(tags int, n uint32) test {
	return func(v *view) bool {
		typ, off := v.network(tags)
		if n > maxLength {
			return typ == int(n)
		}
		return isEther(v) && typ <= maxLength && v.is(off, 1, n)
	}
}

// ipProto and ip6Proto test what an IP header announces. Behind an IPv6 header a fragment header is looked through.
func ipProto(tags int, n uint32) test {
	return func(v *view) bool {
		off, ok := v.ip(tags)
		return ok && v.is(off+ipProtocol, 1, n)
	}
}

func ip6Proto(tags int, n uint32) test {
	return func(v *view) bool {
		off, ok := v.ip6(tags)
		if !ok {
			return false
		}
		next, ok := v.number(off+ip6Next, 1)
		return ok && (next == n || next == protoFragment && v.is(off+ip6Size, 1, n))
	}
}

// address4 tests four bytes at an offset of the header of IP, ARP or RARP.
func address4(tags, typ, at int, address, mask uint32) test {
	return func(v *view) bool {
		got, off := v.network(tags)
		if got != typ {
			return false
		}
		n, ok := v.number(off+at, 4)
		return ok && n&mask == address
	}
}

// address6 tests the first bits of an address of an IPv6 header.
func address6(tags, at int, address [16]byte, bits int) test {
	whole, rest := bits/8, bits%8
	return func(v *view) bool {
		off, ok := v.ip6(tags)
		if !ok {
			return false
		}
		b := v.bytes(off+at, len(address))
		if b == nil || !bytes.Equal(b[:whole], address[:whole]) {
			return false
		}
		return rest == 0 || (b[whole]^address[whole])>>(8-rest) == 0
	}
}

// portRange tests a port of a transport header: at 0 the source's, at 2 the destination's.
func portRange(tags int, protocols []uint32, at int, low, high uint32) test {
	between := func(v *view, off int) bool {
		n, ok := v.number(off+at, 2)
		return ok && n >= low && n <= high
	}
	return func(v *view) bool {
		switch typ, off := v.network(tags); typ {
		case typeIP:
			n, ok := v.number(off+ipProtocol, 1)
			if !ok || !slices.Contains(protocols, n) {
				return false
			}
			off, ok = v.transport(off)
			return ok && between(v, off)
		case typeIP6:
			n, ok := v.number(off+ip6Next, 1)
			return ok && slices.Contains(protocols, n) && between(v, off+ip6Size)
		}
		return false
	}
}

// vsockNumber tests a number of a vsock header.
func vsockNumber(off, size int, low, high uint64) test {
	return func(v *view) bool {
		if !v.isVsock() {
			return false
		}
		n, ok := v.littleEndian(off, size)
		return ok && n >= low && n <= high
	}
}
