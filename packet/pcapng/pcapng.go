// Package pcapng reads and writes captures in the format of Wireshark: draft-ietf-opsawg-pcapng, cited as [pcapng 4.3].
//
// A file is a row of blocks:
//
//	 0                   4                   8                        length-4  length
//	+-------------------+-------------------+-------------------//---+---------+
//	|       type        |      length       | body, padded to 4 bytes| length  |
//	+-------------------+-------------------+-------------------//---+---------+
//
// A section header comes first; it tells the byte order of what follows up to the next one. Then there is a description
// of each interface, before the packets that name it. Most bodies end with options:
//
//	 0         2         4
//	+---------+---------+-------------------------
//	|  code   | length  | value, padded to 4 bytes
//	+---------+---------+-------------------------
package pcapng

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"wick/packet/pcap"
)

// ErrFormat is wrapped by the errors for files that are no pcapng files.
var ErrFormat = errors.New("not a pcapng file")

// ErrDamaged is wrapped by the errors for files that break off or hold what can't be.
var ErrDamaged = errors.New("damaged pcapng file")

// Types of blocks [pcapng 10.1].
const (
	blockInterface  = 0x00000001
	blockPacket     = 0x00000002 // obsolete [pcapng A]
	blockSimple     = 0x00000003
	blockStatistics = 0x00000005
	blockEnhanced   = 0x00000006
	blockSection    = 0x0a0d0d0a // the same in either byte order
)

// Magic is the type of the block that a file starts with, in either byte order.
const Magic = blockSection

const (
	byteOrderMagic = 0x1a2b3c4d
	versionMajor   = 1

	headerSize  = 8  // type and length
	frameSize   = 12 // header and the length behind the body
	sectionSize = 16 // body of a section header without options
	describSize = 8  // body of an interface description without options
	packetSize  = 20 // body of an enhanced packet, or of an obsolete one, without data and options
	simpleSize  = 4  // body of a simple packet without data
	statsSize   = 12 // body of statistics without options

	maxOptions    = 1 << 20 // bytes of options that a block may have
	maxInterfaces = 1 << 16 // that a file may describe, in all sections

	maxBody = packetSize + pcap.MaxPacket + maxOptions // of a block that is looked at; others are skipped
)

// Codes of options [pcapng 3.5, 4.1, 4.2, 4.3, 4.6].
const (
	optEnd     = 0
	optComment = 1

	optSectionHardware    = 2
	optSectionOS          = 3
	optSectionApplication = 4

	optName        = 2
	optDescription = 3
	optMAC         = 6
	optResolution  = 9
	optFilter      = 11
	optOS          = 12
	optFCS         = 13
	optOffset      = 14
	optHardware    = 15

	optFlags     = 2
	optDropCount = 4
	optPacketID  = 5

	optStart     = 2
	optStop      = 3
	optReceived  = 4
	optDropped   = 5
	optAccepted  = 6
	optOSDropped = 7
	optDelivered = 8
)

// Section is what a section header tells.
type Section struct {
	Hardware    string // that the capture was made on
	OS          string
	Application string // that wrote the section
	Comments    []string
}

// Interface is one that packets were captured on.
type Interface struct {
	Link        pcap.LinkType
	SnapLen     int // bytes that are kept of a packet at most; 0: no limit
	Name        string
	Description string
	Filter      string // of the capture, in the syntax of tcpdump
	OS          string
	Hardware    string
	MAC         []byte // 6 bytes, or nil
	FCSLen      int    // bytes of frame check sequence that packets end with; 0 if it is not told
	Comments    []string

	// Statistics are the last that the file has told so far. A writer takes them from WriteStatistics only.
	Statistics Statistics

	ID      int // counts from 0 in each section; given by Reader and Writer
	Section int // counts from 0; given by Reader

	resolution byte  // of times, as optResolution has it
	offset     int64 // to be added to times, in seconds
}

// DropComment starts the comment by which our captures tell why a packet was dropped; the reason follows.
const DropComment = "dropped: "

// LateDrop returns the comment on a packet, or on the statistics of an interface, by which our captures tell that a packet from
// before was dropped: the one with the ID.
func LateDrop(id uint64, why string) string {
	return lateDrop + strconv.FormatUint(id, 10) + lateDropWhy + why
}

const (
	lateDrop    = "packet "
	lateDropWhy = " was dropped: "
)

// ParseLateDrop reads what LateDrop has made; ok is false if the comment is another one.
func ParseLateDrop(comment string) (id uint64, why string, ok bool) {
	number, why, ok := strings.Cut(strings.TrimPrefix(comment, lateDrop), lateDropWhy)
	if !ok || !strings.HasPrefix(comment, lateDrop) {
		return 0, "", false
	}
	id, err := strconv.ParseUint(number, 10, 64)
	return id, why, err == nil
}

// Statistics are the counts of an interface since the capture began.
type Statistics struct {
	Time        time.Time // when they were taken; the zero Time if there are none
	Start, Stop time.Time // of the capture; the zero Time if it is not told
	Received    Count     // by the interface
	Dropped     Count     // by the interface, for want of room
	Accepted    Count     // by the filter
	OSDropped   Count     // by the operating system
	Delivered   Count     // to the user
	Comments    []string
}

// Count is a number that may not be known.
type Count struct {
	N     uint64
	Known bool
}

// Known returns a Count that is known.
func Known(n uint64) Count { return Count{N: n, Known: true} }

// Flags are the link-layer information of a packet [pcapng 4.3.1].
type Flags uint32

// Flags. What is not there is not told.
const (
	FlagInbound          Flags = 1
	FlagOutbound         Flags = 2
	FlagChecksumNotReady Flags = 1 << 9 // left to the card
	FlagChecksumValid    Flags = 1 << 10
	FlagSegmentation     Flags = 1 << 11 // of TCP, left to the card: the packet stands for several
	FlagErrorCRC         Flags = 1 << 24
	FlagErrorTooLong     Flags = 1 << 25
	FlagErrorTooShort    Flags = 1 << 26
	FlagErrorGap         Flags = 1 << 27 // between frames
	FlagErrorAlignment   Flags = 1 << 28
	FlagErrorDelimiter   Flags = 1 << 29
	FlagErrorPreamble    Flags = 1 << 30
	FlagErrorSymbol      Flags = 1 << 31

	flagDirection Flags = 3
	flagFCSShift        = 5
	flagFCSMask         = 0xf
)

// Inbound tells whether the packet is known to have been received, Outbound whether it is known to have been sent.
func (f Flags) Inbound() bool { return f&flagDirection == FlagInbound }

// Outbound is the opposite of Inbound; both are false if the direction is not known.
func (f Flags) Outbound() bool { return f&flagDirection == FlagOutbound }

// FCSLen returns how many bytes of frame check sequence the packet ends with, 0 if it is not told here.
func (f Flags) FCSLen() int { return int(f >> flagFCSShift & flagFCSMask) }

// WithoutFCS is what remains to be said of a packet when its frame check sequence is taken off.
func (f Flags) WithoutFCS() Flags { return f &^ (flagFCSMask << flagFCSShift) }

// Packet is one packet of a capture.
type Packet struct {
	Interface *Interface
	Time      time.Time // the zero Time if the file has none
	WireLen   int       // bytes on the wire
	Data      []byte    // bytes captured; valid until the next call of Next
	Flags     Flags
	Comments  []string
	Lost      Count // packets of the interface that the capture has missed since the one before
	ID        Count // what the capturing machine calls the packet; our captures number those of all interfaces from 1
}
