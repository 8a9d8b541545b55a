// Package packet decodes network frames and says in words what they hold. It serves the drivers of
// the kernel and the command line of the host.
//
// Append is the whole of it for most callers. Beneath are the headers as the specifications draw them: a byte slice
// type per header, a Parse function that validates once, and accessors that cannot fail thereafter.
package packet

import "time"

// Direction of a frame as the network card sees it.
type Direction uint8

// Directions.
const (
	Receive  Direction = iota // printed as <
	Transmit                  // printed as >
	Unknown                   // printed as -
)

// Checksum says what is known of the checksums of a frame without computing them.
type Checksum uint8

// Checksum states.
const (
	ChecksumUnknown  Checksum = iota // compute and compare
	ChecksumOffload                  // the card will fill it in
	ChecksumVerified                 // the card has verified it
)

// Damage says what befell a frame on its way to us, besides the receive errors of the E1000.
type Damage uint8

// Kinds of damage; they add up.
const (
	DamageNoEOP       Damage = 1 << iota // the descriptor lacks End Of Packet: the rest of the frame is elsewhere
	DamageShortHeader                    // the used length is less than a virtio-net header
)

// Frame is one frame with what is known of its passage. Data is valid only during the call it is
// passed to.
type Frame struct {
	Number    uint64        // counts from 1 per run
	Time      time.Duration // since the start of the run or capture
	Interface string        // e0, v0
	Link      Link          // what Data starts with
	Direction Direction
	WireLen   int    // bytes on the wire, without the FCS
	Data      []byte // bytes captured; may be fewer than WireLen
	RxErrors  uint8  // the receive descriptor's error bits, 0 if none [8254x 3.2.3.2]
	Damage    Damage
	Checksum  Checksum
	Segmented bool   // stands for several TCP segments, which a card makes of it or has made it of
	Drop      string // why the kernel dropped the frame; "" if it didn't
	Comment   string // what somebody has noted in the capture
}

// Mode selects how much Append says.
type Mode uint8

// Modes.
const (
	Line Mode = iota // one line a packet
	Full             // the line, each layer's fields with byte ranges, and a hex dump
	Hex              // the line and a hex dump
)

// MaxLine bounds the length of the line of one frame, in bytes, whatever the frame holds.
const MaxLine = 8192
