package net

import (
	"net/netip"
	"slices"
)

// Frames that tell the link of us, so that the first packet to us needs no question: QEMU's user network, for one, holds back
// what is for a guest that it hasn't heard of.

// announce sends a gratuitous ARP for the IPv4 address and neighbour advertisements for the IPv6 ones.
func (l *iface) announce() {
	l.mu.Lock()
	l.announced = nil
	l.mu.Unlock()
	for _, p := range l.stack.engine.addresses(l.index) {
		l.announceAddress(p.Addr())
	}
}

// maxAnnounced bounds what is remembered of announcements, whatever routers make up.
const maxAnnounced = 64

// announceAddress announces one address, unless that was done since the link is up.
func (l *iface) announceAddress(a netip.Addr) {
	if !l.link.LinkUp() {
		return
	}
	l.mu.Lock()
	done := slices.Contains(l.announced, a)
	if !done && len(l.announced) < maxAnnounced {
		l.announced = append(l.announced, a)
	}
	l.mu.Unlock()
	switch {
	case done:
	case a.Is4():
		l.link.Transmit(appendARPAnnouncement(nil, l.link.HardwareAddr(), a))
	default:
		l.link.Transmit(appendNeighborAdvertisement(nil, l.link.HardwareAddr(), a))
	}
}

// appendARPAnnouncement appends the Ethernet frame of an ARP announcement: a request for one's own
// address [RFC 5227 2.3].
//
//	| dst ff:… 6 | src 6 | 0806 | hw 1 | proto 0800 | 6 4 | op 1 | sender mac 6, ip 4 | target mac 6, ip 4 |
func appendARPAnnouncement(b []byte, mac [6]byte, a netip.Addr) []byte {
	ip := a.As4()
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	b = append(b, mac[:]...)
	b = append(b, 0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1)
	b = append(b, mac[:]...)
	b = append(b, ip[:]...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, ip[:]...)
}

// appendNeighborAdvertisement appends the Ethernet frame of an unsolicited neighbour advertisement to all
// nodes, with the override flag [RFC 4861 4.4, 7.2.6].
func appendNeighborAdvertisement(b []byte, mac [6]byte, a netip.Addr) []byte {
	const (
		icmpLen  = 32   // type, code, checksum, flags, target, option
		override = 0x20 // a new address takes the place of what is known
	)
	src := a.As16()
	dst := [16]byte{0: 0xff, 1: 0x02, 15: 0x01} // ff02::1
	b = append(b, 0x33, 0x33, 0, 0, 0, 1)
	b = append(b, mac[:]...)
	b = append(b, 0x86, 0xdd)
	b = append(b, 0x60, 0, 0, 0, 0, icmpLen, 58, 255)
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	start := len(b)
	b = append(b, 136, 0, 0, 0, override, 0, 0, 0)
	b = append(b, src[:]...)
	b = append(b, 2, 1) // target link-layer address, 8 bytes
	b = append(b, mac[:]...)
	sum := internetSum(0, src[:])
	sum = internetSum(sum, dst[:])
	sum += icmpLen + 58
	sum = internetSum(sum, b[start:])
	c := foldSum(sum)
	b[start+2], b[start+3] = byte(c>>8), byte(c)
	return b
}

// internetSum adds b, an even number of bytes (an odd last one is padded with zero), to the sum [RFC 1071].
func internetSum(sum uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// foldSum finishes a checksum.
func foldSum(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
