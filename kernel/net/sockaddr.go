package net

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Socket addresses as programs write them [ip(7), ipv6(7)]: struct sockaddr_in is family, port (big endian), address, 8
// bytes of padding; sockaddr_in6 is family, port, flow information, address, scope (native).
const (
	sizeofSockaddrIn  = 16
	sizeofSockaddrIn6 = 28
	minSockaddrIn6    = 24 // without the scope, as RFC 2133 had it
)

// MaxSockaddr is the longest socket address, in bytes (struct sockaddr_storage).
const MaxSockaddr = 128

// sockaddrFamily returns the address family of b.
func sockaddrFamily(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, unix.EINVAL
	}
	return int(binary.NativeEndian.Uint16(b)), nil
}

// parseSockaddrIn reads a sockaddr_in, whose family has been checked.
func parseSockaddrIn(b []byte) (endpoint, error) {
	if len(b) < sizeofSockaddrIn {
		return endpoint{}, unix.EINVAL
	}
	return endpoint{addr: netip.AddrFrom4([4]byte(b[4:8])), port: binary.BigEndian.Uint16(b[2:])}, nil
}

// parseSockaddrIn6 reads a sockaddr_in6, whose family has been checked.
func parseSockaddrIn6(b []byte) (endpoint, error) {
	if len(b) < minSockaddrIn6 {
		return endpoint{}, unix.EINVAL
	}
	e := endpoint{addr: netip.AddrFrom16([16]byte(b[8:24])), port: binary.BigEndian.Uint16(b[2:])}
	if len(b) >= sizeofSockaddrIn6 && (e.addr.IsLinkLocalUnicast() || e.addr.IsMulticast()) {
		e.scope = binary.NativeEndian.Uint32(b[24:])
	}
	return e, nil
}

// appendSockaddr appends e as an address of the family; IPv4 addresses are mapped for AF_INET6.
func appendSockaddr(b []byte, family int, e endpoint) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(family))
	b = binary.BigEndian.AppendUint16(b, e.port)
	if family == unix.AF_INET {
		a := netip.IPv4Unspecified()
		if e.addr.Is4() {
			a = e.addr
		}
		a4 := a.As4()
		b = append(b, a4[:]...)
		return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	a := netip.IPv6Unspecified()
	if e.addr.IsValid() {
		a = e.addr
	}
	a16 := a.As16()
	b = append(b, 0, 0, 0, 0) // flow information
	b = append(b, a16[:]...)
	return binary.NativeEndian.AppendUint32(b, e.scope)
}

// ipv4Broadcast is 255.255.255.255.
var ipv4Broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
