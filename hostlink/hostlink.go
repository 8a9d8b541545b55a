// Package hostlink is the protocol of typed frames between wick on the host and the kernel in the
// guest, over one byte channel (a serial port, later virtio-console).
//
//	 0      1      2      3      4                    8
//	+------+------+------+------+--------------------+---------
//	| 0xA7 | 0x57 | type |  0   | length, LE 32 bit  | payload
//	+------+------+------+------+--------------------+---------
package hostlink

// Type of a frame.
type Type uint8

// Frame types. H>G: sent by the host; G>H: sent by the guest.
const (
	Ready    Type = 1  // G>H: the guest listens on the channel; payload: version (1 byte)
	Stdin    Type = 2  // H>G: bytes for the program's standard input
	StdinEOF Type = 3  // H>G: the end of standard input
	Stdout   Type = 4  // G>H: bytes from the program's standard output
	Stderr   Type = 5  // G>H: bytes from the program's standard error
	Signal   Type = 6  // H>G: deliver signal N to the program (1 byte)
	WinSize  Type = 7  // H>G: terminal size: rows, columns (2 × LE 16 bit)
	TermMode Type = 8  // G>H: the program set its terminal's c_lflag/c_iflag/c_oflag (3 × LE 32 bit)
	Exit     Type = 9  // G>H: the program ended: kind (0 exited, 1 signalled), number (LE 32 bit)
	Log      Type = 10 // G>H: text of the kernel log
	Dump     Type = 11 // G>H: text of the packet dump
	Capture  Type = 12 // G>H: bytes of a pcapng capture
	Credit   Type = 13 // G>H: the guest can take N more bytes of Stdin (LE 32 bit)
)

// Sizes, in bytes.
const (
	HeaderSize = 8
	MaxPayload = 64 << 10
)
