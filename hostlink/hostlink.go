// Package hostlink is the protocol of typed frames between wick on the host and the kernel in the
// guest, over one byte channel (a port of a virtio console device, or a serial port).
//
//	 0      1      2      3      4                    8
//	+------+------+------+------+--------------------+---------
//	| 0xA7 | 0x57 | type |  0   | length, LE 32 bit  | payload
//	+------+------+------+------+--------------------+---------
//
// The guest speaks first: Ready, then Credit. Bytes that the host sends before it has seen Ready
// may be lost. The frames of a stream type are pieces of one byte stream; where it was cut means
// nothing. Exit is the last frame of the guest, and the only way to learn how the program ended.
package hostlink

import "encoding/binary"

// Version is the version of the protocol, as Ready carries it.
const Version = 1

// PortName is the name of the virtio port.
const PortName = "wick.link"

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
	Timing   Type = 14 // G>H: when the boot reached its stages, before the program's first instruction (6 × LE 64 bit)
)

// lastType is the highest type of this version.
const lastType = Timing

// Sizes, in bytes.
const (
	HeaderSize = 8
	MaxPayload = 64 << 10
)

// The first two bytes of a header.
const (
	magic0 = 0xA7
	magic1 = 0x57
)

var typeNames = [...]string{
	Ready: "Ready", Stdin: "Stdin", StdinEOF: "StdinEOF", Stdout: "Stdout", Stderr: "Stderr",
	Signal: "Signal", WinSize: "WinSize", TermMode: "TermMode", Exit: "Exit", Log: "Log",
	Dump: "Dump", Capture: "Capture", Credit: "Credit", Timing: "Timing",
}

// String returns the name of the constant.
func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return "type " + utoa(uint64(t))
}

// Stream tells whether frames of type t are pieces of a byte stream, to be joined and cut at will.
func (t Type) Stream() bool {
	switch t {
	case Stdin, Stdout, Stderr, Log, Dump, Capture:
		return true
	}
	return false
}

// AppendHeader appends the header of a frame with n bytes of payload.
func AppendHeader(dst []byte, t Type, n int) []byte {
	dst = append(dst, magic0, magic1, byte(t), 0)
	return binary.LittleEndian.AppendUint32(dst, uint32(n))
}
