// Package pcap reads and writes classic capture files: https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap
//
//	 0                   4         6         8
//	+-------------------+---------+---------+-------------------+
//	|       magic       |  major  |  minor  |     (time zone)   |   file header, 24 bytes
//	+-------------------+---------+---------+-------------------+
//	|  (time accuracy)  |  snapshot length  |     link type     |
//	+-------------------+-------------------+-------------------+
//	|      seconds      |    µs or ns       |  captured length  |   before each packet, 16 bytes
//	+-------------------+-------------------+-------------------+
//	|    wire length    | captured bytes
//	+-------------------+----
//
// The byte order is the writer's; the magic tells it, and whether times are in microseconds or nanoseconds.
package pcap

// Magic numbers, as the writer's byte order has them.
const (
	magicMicros = 0xa1b2c3d4
	magicNanos  = 0xa1b23c4d
	magicNG     = 0x0a0d0d0a // the first block of a pcapng file, in either order
)

const (
	fileHeaderSize   = 24
	packetHeaderSize = 16
	versionMajor     = 2
	versionMinor     = 4
)

// LinkType tells what a packet of a capture starts with [https://www.tcpdump.org/linktypes.html].
type LinkType uint32

// Link types that are decoded.
const (
	LinkEthernet LinkType = 1
	LinkRaw      LinkType = 101 // IPv4 or IPv6
	LinkSLL      LinkType = 113 // Linux cooked
	LinkVsock    LinkType = 271
	LinkSLL2     LinkType = 276 // Linux cooked, version 2

	linkMask = 0xffff // what is above it tells of the frame check sequence
	fcsKnown = 1 << 26
	fcsShift = 28 // its length, in units of fcsUnits bytes
	fcsUnits = 2
)

// MaxPacket bounds the captured length of a packet in bytes. No capture tool writes more.
const MaxPacket = 256 << 10
